"""A page for people that comes with 200 (of a proxy, of a log-in) says of no message that it was
taken: somebody who was to be called was not.
"""

from __future__ import annotations

import pytest

from selfheal.outbox import letters
from tests import scene, stub_pagerduty, stub_slack
from tests.notify import notify_scene

PAGES = (
    b"<!DOCTYPE html><html><body>Log in</body></html>",
    b"\xef\xbb\xbf\r\n<html><body>Log in</body></html>",
)
CASES = [
    ("pagerduty", stub_pagerduty.Stub, lambda stub: stub.settings(), lambda stub: stub.events),
    ("slack", stub_slack.Stub, lambda stub: stub.by_webhook(), lambda stub: stub.posted),
    ("slack", stub_slack.Stub, lambda stub: stub.by_token(), lambda stub: stub.posted),
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("case", CASES, ids=["pagerduty", "slack webhook", "slack token"])
def test_message_that_was_answered_with_a_page_is_sent_again(tmp_path, case, page):
    name, kind, settings, taken = case
    with kind() as stub:
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, notify={name: dict(settings(stub), timeout_s=60)})
        plain, stub.answer = stub.answer, lambda request: (200, {}, page)
        channel = "%s:default" % name
        outbox_id, delivery = notify_scene.carried(ctx, channel, notify_scene.payload())
        assert delivery.status == "pending" and "answered" in delivery.error
        stub.answer = plain
        ctx.clock.at += 3600
        notify_scene.telling.deliver(ctx, outbox_id)
        assert letters.is_delivered(ctx.store, outbox_id) and len(taken(stub)) == 1


@pytest.mark.parametrize("body", [b"ok", b"", {"success": True}])
def test_what_takes_the_same_as_slack_may_say_so_in_its_own_words(tmp_path, body):
    with stub_slack.Stub() as stub:
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, notify={"slack": dict(stub.by_webhook(), timeout_s=60)})
        stub.answer = lambda request: (200, {}, body)
        _, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
        assert delivery.status == "sent"

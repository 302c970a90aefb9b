"""A system that is overloaded (503) and says for how long is left alone for so long, although
nobody knows what it has written.
"""

from __future__ import annotations

import pytest

from selfheal.apis.declined import unavailable
from selfheal.outbox import claims
from selfheal.outbox.carrying import deliver
from selfheal.respond import telling
from tests import letter_world, scene, stub_pagerduty, stub_slack
from tests.letter_world import post, row_of
from tests.notify import notify_scene
from tests.tickets import desk as desks


def test_letter_in_doubt_waits_as_long_as_it_was_asked_to(ctx, monkeypatch):
    got = []

    def carry(_ctx, letter):
        got.append(letter)
        if len(got) == 1:
            raise unavailable("answered 503", {"retry-after": "1200"}, 0.0)
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    first, second = post(ctx, "a"), post(ctx, "b")
    deliver(ctx, known)
    deliver(ctx, known)
    assert len(got) == 1 and claims.is_resting(ctx.store, got[0].channel)
    assert row_of(ctx, first)["next_attempt_at"] == ctx.clock.at + 1200
    ctx.clock.at += 1200
    deliver(ctx, known)
    assert {one.id: one.may_have_arrived for one in got[1:]} == {first: True, second: False}


@pytest.mark.parametrize("kind", ["servicenow", "jira", "jira datacenter"])
def test_tracker_that_is_overloaded_is_left_alone(tmp_path, monkeypatch, kind):
    with desks.desk(kind, scene.store_url("sqlite", tmp_path), monkeypatch) as desk:
        plain = desk.stub.answer
        tried = []

        def busy(request):
            tried.append(request["path"])
            return 503, {"Retry-After": "1500"}, b"<html>busy</html>"

        desk.stub.answer = busy
        desk.incident()
        desk.escalated()
        desk.follow()
        telling.deliver(desk.ctx)
        desk.clock.at += 1400
        telling.deliver(desk.ctx)
        assert len(tried) == 1
        desk.stub.answer = plain
        desk.work()
        assert desk.ticket()["state"] in ("open", "in_progress")


@pytest.mark.parametrize("name", ["pagerduty", "slack"])
def test_channel_that_is_overloaded_is_left_alone_but_by_what_calls_somebody(tmp_path, name):
    with (stub_pagerduty if name == "pagerduty" else stub_slack).Stub() as stub:
        settings = stub.settings() if name == "pagerduty" else stub.by_webhook()
        ctx = scene.context(
            scene.store_url("sqlite", tmp_path), notify={name: dict(settings, timeout_s=60)}
        )
        stub.answer = lambda request: (503, {"Retry-After": "1500"}, b"busy")
        channel = "%s:default" % name
        said = notify_scene.payload()
        waits = []
        for kind in ("acknowledged", "escalation"):
            outbox_id, delivery = notify_scene.carried(ctx, channel, said, kind, key=kind)
            assert delivery.status == "pending"
            waits.append(row_of(ctx, outbox_id)["next_attempt_at"] - ctx.clock.at)
        assert waits[0] == 1500 and waits[1] <= 30  # who calls somebody does not wait so long

"""The outbox by hand: what waits and why, trying again, giving up; each said on the timeline."""

from __future__ import annotations

import pytest

from selfheal import door
from selfheal.exceptions import Conflict, InvalidInput, NotFound
from selfheal.operate import check_outbox
from selfheal.operate.outbox import outbox_discard, outbox_list, outbox_retry
from selfheal.outbox import claims, letters
from tests import scene


@pytest.fixture(params=scene.BOTH)
def ctx(request, tmp_path, receiver):
    made = scene.context(
        scene.store_url(request.param, tmp_path),
        notify=scene.webhook(receiver, token="hook-token-1"),
    )
    scene.incident(made.store)
    yield made
    made.close()


def post(ctx, key, incident_id="inc-1", **more):
    return letters.post(ctx.store, "ticket", incident_id, key, {"text": key}, **more)


def kill(ctx, outbox_id, error="answered 400: no such field"):
    ctx.store.execute(
        "UPDATE outbox SET status = 'dead', attempts = 4, last_error = ?, ended_at = ? "
        "WHERE id = ?",
        (error, ctx.store.now(), outbox_id),
    )


def test_list_shows_what_did_not_arrive_and_why(ctx):
    sent, dead, waiting = (post(ctx, key) for key in "abc")
    ctx.store.execute("UPDATE outbox SET status = 'sent', sent_at = 1 WHERE id = ?", (sent,))
    kill(ctx, dead)
    found = outbox_list(ctx)
    shown = {one["outbox_id"]: one for one in found["letters"]}
    assert set(shown) == {dead, waiting}
    assert shown[dead]["last_error"] == "answered 400: no such field"
    assert shown[dead]["next_attempt_at"] is None and shown[dead]["ended_at"]
    assert shown[waiting]["next_attempt_at"] and not shown[waiting]["is_under_way"]
    assert found["summary"] == "webhook: 1 waiting, 1 given up"
    everything = outbox_list(ctx, status="any", incident_id="inc-1")
    assert {one["outbox_id"] for one in everything["letters"]} == {sent, dead, waiting}
    assert outbox_list(ctx, status="sent")["letters"][0]["outbox_id"] == sent
    assert outbox_list(ctx, channel="slack")["letters"] == []
    with pytest.raises(InvalidInput, match="status must be one of"):
        outbox_list(ctx, status="lost")


def test_list_says_why_nothing_goes(ctx, monkeypatch):
    first = post(ctx, "a", queue="q")
    second = post(ctx, "b", queue="q")
    found = {one["outbox_id"]: one["waits_behind"] for one in outbox_list(ctx)["letters"]}
    assert found == {first: None, second: first}
    monkeypatch.delitem(ctx.config.values, "notify")
    found = outbox_list(ctx)
    assert "set notify.webhook.url" in found["channels"][0]["problem"]
    assert "set notify.webhook.url" in found["summary"]


def test_nothing_waits_is_said(ctx):
    assert outbox_list(ctx)["summary"] == "nothing waits: every letter has arrived"


def test_letter_is_tried_again_at_once(ctx, receiver):
    outbox_id = post(ctx, "a")
    kill(ctx, outbox_id)
    done = outbox_retry(ctx, outbox_id=outbox_id, who="ann")
    assert (done["retried"], done["sent"]) == ([outbox_id], 1)
    assert receiver.messages[0]["id"] == outbox_id
    assert scene.kinds(ctx.store) == ["letter_retried", "notified"]
    with pytest.raises(Conflict, match="was sent"):
        outbox_retry(ctx, outbox_id=outbox_id)


def test_channel_is_tried_again(ctx, receiver):
    for key in "ab":
        kill(ctx, post(ctx, key))
    receiver.answers = [(200, {}, b""), (503, {}, b"overloaded")]
    done = outbox_retry(ctx, channel="webhook", who="ann")
    assert (done["count"], done["sent"]) == (2, 1)
    assert "outbox_list says why" in done["summary"]
    assert "answered 503" in outbox_list(ctx)["letters"][0]["last_error"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, InvalidInput),
        ({"outbox_id": "msg-1", "channel": "webhook"}, InvalidInput),
        ({"outbox_id": "msg-nobody"}, NotFound),
        ({"channel": "pigeon"}, NotFound),
    ],
)
def test_what_names_nothing_tries_nothing(ctx, receiver, given, error):
    kill(ctx, post(ctx, "a"))
    with pytest.raises(error):
        outbox_retry(ctx, **given)
    assert receiver.requests == []


def test_letter_is_discarded_once_and_the_timeline_says_by_whom(ctx):
    outbox_id = post(ctx, "a")
    shown = outbox_discard(ctx, outbox_id, reason="told by phone", who="ann")
    assert (shown["status"], shown["note"]) == ("discarded", "discarded by ann: told by phone")
    assert outbox_discard(ctx, outbox_id, who="bob") == shown
    assert scene.kinds(ctx.store) == ["letter_discarded"]
    with pytest.raises(NotFound):
        outbox_discard(ctx, "msg-nobody")


def test_what_was_sent_or_is_under_way_is_not_discarded(ctx):
    sent, carried = post(ctx, "a"), post(ctx, "b")
    ctx.store.execute("UPDATE outbox SET status = 'sent' WHERE id = ?", (sent,))
    claims.take(ctx.store, carried)
    with pytest.raises(Conflict, match="sent already"):
        outbox_discard(ctx, sent)
    with pytest.raises(Conflict, match="try again in a minute"):
        outbox_discard(ctx, carried)
    assert outbox_list(ctx)["letters"][0]["is_under_way"]


def test_no_secret_is_shown(ctx, receiver):
    receiver.answers = [(403, {}, b"no such token: hook-token-1")]
    post(ctx, "a hook-token-1")
    letters.retry(ctx.store, "webhook", "ann")
    outbox_retry(ctx, outbox_id=letters.find(ctx.store, "a hook-token-1"))
    ok, shown = door.call("selfheal.operate.outbox.outbox_list", {}, context=ctx)
    assert ok and "hook-token-1" not in str(shown) and "no such token" in str(shown)


def test_check_says_what_was_given_up_or_waits_for_long(ctx):
    assert check_outbox.lines(ctx) == [("outbox", "on", "0 letters on their way", "")]
    post(ctx, "a")
    assert check_outbox.lines(ctx)[0][:2] == ("outbox", "on")
    ctx.clock.at += 2 * 3600
    [(_, state, detail, do)] = check_outbox.lines(ctx)
    assert state == "warning" and "webhook: 0 given up, 1 waiting since" in detail
    assert "outbox_retry" in do
    ctx.clock.at -= 2 * 3600
    kill(ctx, post(ctx, "b"))
    [(_, state, detail, _do)] = check_outbox.lines(ctx)
    assert state == "error" and "1 given up, 1 waiting" in detail

"""Letters to a real receiver: at least once, never twice at a time, never lost."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from email.utils import formatdate
from pathlib import Path

import pytest

from selfheal.outbox import claims, letters, waits
from selfheal.respond import telling
from selfheal.store import open_store
from tests import scene, web

LIBRARY = Path(__file__).resolve().parents[2] / "actions" / "lib"


@pytest.fixture
def ctx(tmp_path, receiver):
    return scene.context(
        scene.store_url("sqlite", tmp_path),
        notify=scene.webhook(receiver, token="hook-token-1", headers={"X-Team": "sre"}),
    )


def row_of(ctx, outbox_id):
    return ctx.store.one("SELECT * FROM outbox WHERE id = ?", (outbox_id,))


@pytest.mark.parametrize("kind", scene.BOTH)
def test_posting_the_same_key_again_keeps_the_first_message(kind, tmp_path):
    store = open_store(scene.store_url(kind, tmp_path))
    first = letters.post(store, "escalation", "inc-1", "key", {"text": "one"})
    assert letters.post(store, "escalation", "inc-1", "key", {"text": "two"}) == first
    assert store.query("SELECT payload FROM outbox") == [{"payload": '{"text":"one"}'}]
    assert letters.post(store, "escalation", "inc-1", "other", {}) != first


def test_message_arrives_with_its_id_as_idempotency_key(ctx, receiver):
    outbox_id = letters.post(
        ctx.store, "escalation", "inc-1", "key", {"text": "help", "incident": {"id": "inc-1"}}
    )
    (delivery,) = telling.deliver(ctx, outbox_id)
    assert (delivery.status, delivery.tried, delivery.attempts) == ("sent", True, 1)
    (request,) = receiver.requests
    assert request["headers"]["idempotency-key"] == outbox_id
    assert request["headers"]["authorization"] == "Bearer hook-token-1"
    assert request["headers"]["x-team"] == "sre"
    assert receiver.messages == [
        {
            "id": outbox_id,
            "kind": "escalation",
            "created_at": "2023-11-14T22:13:20.000Z",
            "text": "help",
            "incident": {"id": "inc-1"},
        }
    ]
    assert letters.is_delivered(ctx.store, outbox_id)
    assert telling.deliver(ctx) == []
    assert len(receiver.requests) == 1


def test_text_leaves_as_it_came_and_without_our_secrets(ctx, receiver):
    text = "{{ .Values.x }} <% ctx() %> \x00 \ud800 \x1b[31m hook-token-1"
    letters.post(ctx.store, "ticket", None, "key", {"text": text})
    telling.deliver(ctx)
    assert receiver.messages[0]["text"] == text.replace("hook-token-1", "********")


def test_without_a_destination_everything_waits(tmp_path, receiver):
    ctx = scene.context(scene.store_url("sqlite", tmp_path))
    outbox_id = letters.post(ctx.store, "ticket", "inc-1", "key", {})
    (delivery,) = telling.deliver(ctx, outbox_id)
    assert (delivery.status, delivery.tried) == ("no_destination", False)
    row = row_of(ctx, outbox_id)
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert letters.pending_count(ctx.store) == 1
    later = scene.context(str(ctx.config.get("database.url")), notify=scene.webhook(receiver))
    assert [d.status for d in telling.deliver(later)] == ["sent"]


def test_refused_message_is_tried_again_later_with_the_same_id(ctx, receiver):
    receiver.answers = [(500, {}, b"out of order"), (204, {}, b"")]
    outbox_id = letters.post(ctx.store, "escalation", "inc-1", "key", {})
    (failed,) = telling.deliver(ctx)
    assert (failed.status, failed.attempts) == ("pending", 1)
    assert "answered 500: out of order" in row_of(ctx, outbox_id)["last_error"]
    assert telling.deliver(ctx) == []  # not due yet
    ctx.clock.at += waits.FIRST_RETRY_S
    (sent,) = telling.deliver(ctx)
    assert (sent.status, sent.attempts) == ("sent", 2)
    assert row_of(ctx, outbox_id)["last_error"] is None
    assert {request["headers"]["idempotency-key"] for request in receiver.requests} == {outbox_id}


def test_waiting_doubles_up_to_a_cap_and_ends_hourly():
    seconds = [waits.backoff_s(attempts) for attempts in range(1, 13)]
    assert seconds == [30, 60, 120, 240, 480, 900, 900, 900, 900, 3600, 3600, 3600]


def test_receiver_may_ask_for_a_longer_wait(ctx, receiver):
    receiver.answers = [(429, {"Retry-After": "1200"}, b"")]
    outbox_id = letters.post(ctx.store, "escalation", "inc-1", "key", {})
    telling.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == ctx.clock.at + 1200
    receiver.answers = [(429, {"Retry-After": "99999999"}, b"")]
    ctx.clock.at += 1200
    telling.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == ctx.clock.at + letters.LONGEST_WAIT_S


def test_receiver_may_name_the_time_to_come_back(ctx, receiver):
    at = ctx.clock.at + 1200
    receiver.answers = [(503, {"Retry-After": formatdate(at, usegmt=True)}, b"")]
    outbox_id = letters.post(ctx.store, "escalation", "inc-1", "key", {})
    telling.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == at


def test_what_failed_together_is_not_tried_together_again():
    waits_s = [waits.wait_s(3, 0, "msg-%d" % number) for number in range(200)]
    assert all(96 <= one <= 120 for one in waits_s) and len(set(waits_s)) > 100
    assert waits.wait_s(3, 500, "msg-1") == 500
    assert waits.wait_s(50, 0, "msg-1") == waits.wait_s(50, 0, "msg-1") <= letters.LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("status", "setting"),
    [
        (401, "notify.webhook.token"),
        (403, "notify.webhook.headers"),
        (404, "notify.webhook.url"),
        (302, "notify.webhook.url"),
    ],
)
def test_error_names_the_setting_to_look_at(ctx, receiver, status, setting):
    receiver.answers = [(status, {"Location": "http://127.0.0.1:1/"}, b"")]
    letters.post(ctx.store, "escalation", "inc-1", "key", {})
    (delivery,) = telling.deliver(ctx)
    assert delivery.status == "pending"
    assert "answered %d" % status in delivery.error and setting in delivery.error
    assert (
        len(receiver.requests) == 1
    )  # a redirect is not followed: it would carry our token elsewhere


def test_unreachable_receiver_ends_the_batch(ctx):
    ids = [letters.post(ctx.store, "escalation", None, "key-%d" % n, {}) for n in range(5)]
    with web.nobody() as url:
        ctx.config.values["notify"]["webhook"]["url"] = url
        (delivery,) = telling.deliver(ctx)
    assert delivery.id == ids[0] and "refused" in delivery.error
    assert [row_of(ctx, i)["attempts"] for i in ids] == [1, 0, 0, 0, 0]


def test_refused_message_does_not_hold_up_the_others(ctx, receiver):
    receiver.answers = [(400, {}, b"no such field"), (200, {}, b"")]
    ids = [letters.post(ctx.store, "escalation", None, "key-%d" % n, {}) for n in range(3)]
    assert [d.status for d in telling.deliver(ctx)] == ["pending", "sent", "sent"]
    assert [row_of(ctx, i)["status"] for i in ids] == ["pending", "sent", "sent"]


def test_slow_receiver_does_not_keep_the_sender_for_ever(ctx, receiver):
    for number in range(5):
        letters.post(ctx.store, "escalation", None, "key-%d" % number, {})

    def slowly(_request):
        ctx.clock.at += 40

    receiver.on_request = slowly
    assert len(telling.deliver(ctx)) == 2
    assert letters.pending_count(ctx.store) == 3


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "nonsense", "http://", "http://127.0.0.1:99999/"]
)
def test_unusable_url_is_an_error_of_the_message_not_a_crash(tmp_path, url):
    ctx = scene.context(scene.store_url("sqlite", tmp_path), notify={"webhook": {"url": url}})
    letters.post(ctx.store, "escalation", None, "key", {})
    (delivery,) = telling.deliver(ctx)
    assert delivery.status == "pending" and "notify.webhook" in delivery.error


@pytest.mark.parametrize("kind", scene.BOTH)
def test_workers_at_the_same_time_send_each_message_once(kind, tmp_path, receiver):
    url = scene.store_url(kind, tmp_path)
    store = open_store(url, now=scene.Clock().now)
    ids = [letters.post(store, "escalation", None, "key-%d" % n, {}) for n in range(20)]
    start = threading.Barrier(6)

    def work():
        ctx = scene.context(url, notify=scene.webhook(receiver))
        start.wait(180)
        telling.deliver(ctx)
        ctx.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert sorted(message["id"] for message in receiver.messages) == sorted(ids)


SENDER = """
import sys
sys.path.insert(0, sys.argv[1])
from selfheal.config import Config
from selfheal.context import Context
from selfheal.respond import telling
webhook = {"url": sys.argv[3], "timeout_s": 240}
ctx = Context(Config({"database": {"url": sys.argv[2]}, "notify": {"webhook": webhook}}))
telling.deliver(ctx)
"""


def send_and_die(url, receiver):
    """A sender sends a letter and is killed before it can mark it."""
    started = queue.Queue()  # the request may come before Popen has told us whom to kill
    receiver.on_request = lambda _request: os.kill(started.get(timeout=300).pid, signal.SIGKILL)
    sender = subprocess.Popen([sys.executable, "-c", SENDER, str(LIBRARY), url, receiver.url])
    started.put(sender)
    assert sender.wait(300) == -signal.SIGKILL
    receiver.on_request = lambda _request: None


def test_message_of_a_killed_sender_goes_out_again_with_the_same_id(tmp_path, receiver):
    url = scene.store_url("sqlite", tmp_path)
    store = open_store(url)
    outbox_id = letters.post(store, "escalation", "inc-1", "key", {"text": "help"})
    send_and_die(url, receiver)
    assert store.value("SELECT status FROM outbox") == "pending"
    clock = scene.Clock(store.now() + 1)
    early = scene.context(url, clock, notify=scene.webhook(receiver))
    assert telling.deliver(early) == []  # the sender may still be alive
    clock.at += claims.LEASE_S
    assert [d.status for d in telling.deliver(early)] == ["sent"]
    assert [request["headers"]["idempotency-key"] for request in receiver.requests] == [
        outbox_id
    ] * 2
    first, second = (json.loads(request["body"]) for request in receiver.requests)
    assert first == second


def test_sender_that_outlived_its_lease_does_not_postpone_the_next_one(ctx, receiver):
    outbox_id = letters.post(ctx.store, "escalation", None, "key", {})
    other = open_store(str(ctx.config.get("database.url")))

    def meanwhile(_request):
        other.execute(
            "UPDATE outbox SET claimed_by = 'another', next_attempt_at = 5 WHERE id = ?",
            (outbox_id,),
        )

    receiver.answers = [(500, {}, b"")]
    receiver.on_request = meanwhile
    telling.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == 5


def test_retry_after_that_only_looks_like_a_number_is_no_number(ctx, receiver):
    receiver.answers = [(503, {"Retry-After": "\u00b2"}, b"")]
    (delivery,) = telling.deliver(
        ctx, letters.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    )
    assert delivery.status == "pending" and "503" in delivery.error


def test_what_the_receiver_says_of_our_headers_is_not_kept(tmp_path, receiver):
    ctx = scene.context(
        scene.store_url("sqlite", tmp_path),
        notify=scene.webhook(receiver, headers={"X-Api-Key": "hook-key-1"}),
    )
    receiver.answers = [(403, {}, b"no such key: hook-key-1")]
    outbox_id = letters.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    telling.deliver(ctx, outbox_id)
    kept = row_of(ctx, outbox_id)["last_error"]
    assert "no such key" in kept and "hook-key-1" not in kept


def test_headers_that_are_no_map_name_the_setting(tmp_path, receiver):
    ctx = scene.context(
        scene.store_url("sqlite", tmp_path), notify=scene.webhook(receiver, headers="X-Team: sre")
    )
    (delivery,) = telling.deliver(
        ctx, letters.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    )
    assert delivery.status == "pending" and "notify.webhook.headers" in delivery.error


def test_clock_that_is_set_back_holds_up_no_message(ctx, receiver):
    outbox_id = letters.post(ctx.store, "escalation", "inc-1", "key", {})
    ctx.clock.at -= 3 * 3600
    (delivery,) = telling.deliver(ctx)
    assert (delivery.id, delivery.status) == (outbox_id, "sent")
    assert len(receiver.requests) == 1


def test_killed_sender_holds_its_queue_until_it_is_surely_dead(tmp_path, receiver):
    url = scene.store_url("sqlite", tmp_path)
    store = open_store(url)
    ids = [
        letters.post(store, "resolved", None, "key-%d" % number, {}, queue="thread")
        for number in range(3)
    ]
    clock = scene.Clock(store.now())
    early = scene.context(url, clock, notify=scene.webhook(receiver))
    for _ in ids:
        send_and_die(url, receiver)
        row = store.one("SELECT * FROM outbox WHERE claimed_by IS NOT NULL")
        clock.at = row["next_attempt_at"] - 1
        assert telling.deliver(early) == []
        clock.at += 1
        assert len(telling.deliver(early, row["id"])) == 1
    told = [request["headers"]["idempotency-key"] for request in receiver.requests]
    assert told == [one for one in ids for _ in range(2)]


def test_letter_of_before_the_outbox_had_channels_is_sent(tmp_path, receiver):
    """A row as the schema of before wrote it: no column of a queue."""
    ctx = scene.context(scene.store_url("sqlite", tmp_path), notify=scene.webhook(receiver))
    now = ctx.store.now()
    ctx.store.insert("outbox", {
        "id": "msg-old", "incident_id": None, "kind": "ticket", "channel": "webhook",
        "dedupe_key": "old", "payload": '{"text":"help"}', "status": "pending", "attempts": 3,
        "created_at": now - 60, "next_attempt_at": now,
    })
    assert [(one.id, one.status) for one in telling.deliver(ctx)] == [("msg-old", "sent")]

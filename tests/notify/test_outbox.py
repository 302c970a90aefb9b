"""The outbox against a real receiver: at least once, never twice at a time, never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from selfheal.notify import outbox
from selfheal.store import open_store
from tests import scene

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
    first = outbox.post(store, "escalation", "inc-1", "key", {"text": "one"})
    assert outbox.post(store, "escalation", "inc-1", "key", {"text": "two"}) == first
    assert store.query("SELECT payload FROM outbox") == [{"payload": '{"text":"one"}'}]
    assert outbox.post(store, "escalation", "inc-1", "other", {}) != first


def test_message_arrives_with_its_id_as_idempotency_key(ctx, receiver):
    outbox_id = outbox.post(
        ctx.store, "escalation", "inc-1", "key", {"text": "help", "incident": {"id": "inc-1"}}
    )
    (delivery,) = outbox.deliver(ctx, outbox_id)
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
    assert outbox.is_delivered(ctx.store, outbox_id)
    assert outbox.deliver(ctx) == []
    assert len(receiver.requests) == 1


def test_text_leaves_as_it_came_and_without_our_secrets(ctx, receiver):
    text = "{{ .Values.x }} <% ctx() %> \x00 \ud800 \x1b[31m hook-token-1"
    outbox.post(ctx.store, "ticket", None, "key", {"text": text})
    outbox.deliver(ctx)
    assert receiver.messages[0]["text"] == text.replace("hook-token-1", "********")


def test_without_a_destination_everything_waits(tmp_path, receiver):
    ctx = scene.context(scene.store_url("sqlite", tmp_path))
    outbox_id = outbox.post(ctx.store, "ticket", "inc-1", "key", {})
    (delivery,) = outbox.deliver(ctx, outbox_id)
    assert (delivery.status, delivery.tried) == ("no_destination", False)
    row = row_of(ctx, outbox_id)
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert outbox.pending_count(ctx.store) == 1
    later = scene.context(str(ctx.config.get("database.url")), notify=scene.webhook(receiver))
    assert [d.status for d in outbox.deliver(later)] == ["sent"]


def test_refused_message_is_tried_again_later_with_the_same_id(ctx, receiver):
    receiver.answers = [(500, {}, b"out of order"), (204, {}, b"")]
    outbox_id = outbox.post(ctx.store, "escalation", "inc-1", "key", {})
    (failed,) = outbox.deliver(ctx)
    assert (failed.status, failed.attempts) == ("pending", 1)
    assert "answered 500: out of order" in row_of(ctx, outbox_id)["last_error"]
    assert outbox.deliver(ctx) == []  # not due yet
    ctx.clock.at += outbox.FIRST_RETRY_S
    (sent,) = outbox.deliver(ctx)
    assert (sent.status, sent.attempts) == ("sent", 2)
    assert row_of(ctx, outbox_id)["last_error"] is None
    assert {request["headers"]["idempotency-key"] for request in receiver.requests} == {outbox_id}


def test_waiting_doubles_up_to_a_cap_and_ends_hourly():
    waits = [outbox.retry_after_s(attempts) for attempts in range(1, 13)]
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900, 900, 3600, 3600, 3600]


def test_receiver_may_ask_for_a_longer_wait(ctx, receiver):
    receiver.answers = [(429, {"Retry-After": "1200"}, b"")]
    outbox_id = outbox.post(ctx.store, "escalation", "inc-1", "key", {})
    outbox.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == ctx.clock.at + 1200
    receiver.answers = [(429, {"Retry-After": "99999999"}, b"")]
    ctx.clock.at += 1200
    outbox.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == ctx.clock.at + outbox.HOURLY_S


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
    outbox.post(ctx.store, "escalation", "inc-1", "key", {})
    (delivery,) = outbox.deliver(ctx)
    assert delivery.status == "pending"
    assert "answered %d" % status in delivery.error and setting in delivery.error
    assert (
        len(receiver.requests) == 1
    )  # a redirect is not followed: it would carry our token elsewhere


def test_unreachable_receiver_ends_the_batch(ctx, receiver):
    receiver.stop()
    ids = [outbox.post(ctx.store, "escalation", None, "key-%d" % n, {}) for n in range(5)]
    (delivery,) = outbox.deliver(ctx)
    assert delivery.id == ids[0] and "refused" in delivery.error
    assert [row_of(ctx, i)["attempts"] for i in ids] == [1, 0, 0, 0, 0]


def test_refused_message_does_not_hold_up_the_others(ctx, receiver):
    receiver.answers = [(400, {}, b"no such field"), (200, {}, b"")]
    ids = [outbox.post(ctx.store, "escalation", None, "key-%d" % n, {}) for n in range(3)]
    assert [d.status for d in outbox.deliver(ctx)] == ["pending", "sent", "sent"]
    assert [row_of(ctx, i)["status"] for i in ids] == ["pending", "sent", "sent"]


def test_slow_receiver_does_not_keep_the_sender_for_ever(ctx, receiver):
    for number in range(5):
        outbox.post(ctx.store, "escalation", None, "key-%d" % number, {})

    def slowly(_request):
        ctx.clock.at += 40

    receiver.on_request = slowly
    assert len(outbox.deliver(ctx)) == 2
    assert outbox.pending_count(ctx.store) == 3


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "nonsense", "http://", "http://127.0.0.1:99999/"]
)
def test_unusable_url_is_an_error_of_the_message_not_a_crash(tmp_path, url):
    ctx = scene.context(scene.store_url("sqlite", tmp_path), notify={"webhook": {"url": url}})
    outbox.post(ctx.store, "escalation", None, "key", {})
    (delivery,) = outbox.deliver(ctx)
    assert delivery.status == "pending" and "notify.webhook" in delivery.error


@pytest.mark.parametrize("kind", scene.BOTH)
def test_workers_at_the_same_time_send_each_message_once(kind, tmp_path, receiver):
    url = scene.store_url(kind, tmp_path)
    store = open_store(url, now=scene.Clock().now)
    ids = [outbox.post(store, "escalation", None, "key-%d" % n, {}) for n in range(20)]
    start = threading.Barrier(6)

    def work():
        ctx = scene.context(url, notify=scene.webhook(receiver))
        start.wait(10)
        outbox.deliver(ctx)
        ctx.close()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(message["id"] for message in receiver.messages) == sorted(ids)


SENDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from selfheal.config import Config
from selfheal.context import Context
from selfheal.notify import outbox
config = {"database": {"url": sys.argv[2]}, "notify": {"webhook": {"url": sys.argv[3]}}}
ctx = Context(Config(config))
outbox.deliver(ctx)
"""


def test_message_of_a_killed_sender_goes_out_again_with_the_same_id(tmp_path, receiver):
    url = scene.store_url("sqlite", tmp_path)
    store = open_store(url)
    outbox_id = outbox.post(store, "escalation", "inc-1", "key", {"text": "help"})
    sender = subprocess.Popen([sys.executable, "-c", SENDER, str(LIBRARY), url, receiver.url])
    receiver.on_request = lambda _request: os.kill(
        sender.pid, signal.SIGKILL
    )  # after sending, before marking
    assert sender.wait(30) == -signal.SIGKILL
    receiver.on_request = lambda _request: None
    assert store.value("SELECT status FROM outbox") == "pending"
    clock = scene.Clock(store.now() + 1)
    early = scene.context(url, clock, notify=scene.webhook(receiver))
    assert outbox.deliver(early) == []  # the sender may still be alive
    clock.at += outbox.LEASE_S
    assert [d.status for d in outbox.deliver(early)] == ["sent"]
    assert [request["headers"]["idempotency-key"] for request in receiver.requests] == [
        outbox_id
    ] * 2
    first, second = (json.loads(request["body"]) for request in receiver.requests)
    assert first == second


def test_sender_that_outlived_its_lease_does_not_postpone_the_next_one(ctx, receiver):
    outbox_id = outbox.post(ctx.store, "escalation", None, "key", {})
    other = open_store(str(ctx.config.get("database.url")))

    def meanwhile(_request):
        other.execute(
            "UPDATE outbox SET attempts = 7, next_attempt_at = 5 WHERE id = ?", (outbox_id,)
        )

    receiver.answers = [(500, {}, b"")]
    receiver.on_request = meanwhile
    outbox.deliver(ctx)
    assert row_of(ctx, outbox_id)["next_attempt_at"] == 5


def test_retry_after_that_only_looks_like_a_number_is_no_number(ctx, receiver):
    receiver.answers = [(503, {"Retry-After": "\u00b2"}, b"")]
    (delivery,) = outbox.deliver(
        ctx, outbox.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    )
    assert delivery.status == "pending" and "503" in delivery.error


def test_what_the_receiver_says_of_our_headers_is_not_kept(tmp_path, receiver):
    ctx = scene.context(
        scene.store_url("sqlite", tmp_path),
        notify=scene.webhook(receiver, headers={"X-Api-Key": "hook-key-1"}),
    )
    receiver.answers = [(403, {}, b"no such key: hook-key-1")]
    outbox_id = outbox.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    outbox.deliver(ctx, outbox_id)
    kept = row_of(ctx, outbox_id)["last_error"]
    assert "no such key" in kept and "hook-key-1" not in kept


def test_headers_that_are_no_map_name_the_setting(tmp_path, receiver):
    ctx = scene.context(
        scene.store_url("sqlite", tmp_path), notify=scene.webhook(receiver, headers="X-Team: sre")
    )
    (delivery,) = outbox.deliver(
        ctx, outbox.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    )
    assert delivery.status == "pending" and "notify.webhook.headers" in delivery.error


def test_clock_that_is_set_back_holds_up_no_message(ctx, receiver):
    outbox_id = outbox.post(ctx.store, "escalation", "inc-1", "key", {})
    ctx.clock.at -= 3 * 3600
    (delivery,) = outbox.deliver(ctx)
    assert (delivery.id, delivery.status) == (outbox_id, "sent")
    assert len(receiver.requests) == 1

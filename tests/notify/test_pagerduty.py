"""PagerDuty's Events API v2 against a strict stand-in: one alert per escalation whatever happens,
acknowledged and resolved by the same key, within the limits.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.notify import pagerduty_event, threads
from selfheal.outbox import letters
from tests import scene, stub_pagerduty
from tests.notify import notify_scene

ABOUT = "escalation:inc-1:0"


@pytest.fixture
def pagerduty():
    with stub_pagerduty.Stub() as server:
        yield server


@pytest.fixture
def ctx(tmp_path, pagerduty):
    return context(tmp_path, pagerduty)


def context(tmp_path, pagerduty, **more):
    url = scene.store_url("sqlite", tmp_path)
    settings = pagerduty.settings(timeout_s=60, **more)
    return scene.context(url, notify={"pagerduty": settings})


def said():
    return threads.first(notify_scene.payload(), ABOUT)


def test_event_carries_what_happened_what_was_tried_and_the_evidence(ctx, pagerduty):
    _, delivery = notify_scene.carried(ctx, "pagerduty:default", said())
    assert delivery.status == "sent", delivery.error
    (event,) = pagerduty.events
    assert event["dedup_key"] == ABOUT and event["event_action"] == "trigger"
    alert = event["payload"]
    assert alert["summary"] == "[critical] web is down" and alert["severity"] == "critical"
    assert (alert["source"], alert["group"], alert["class"]) == ("web", "shop", "ServiceDown")
    assert alert["timestamp"] == "2023-11-14T22:13:20.000Z"
    details = alert["custom_details"]
    assert details["do_first"] and details["why"].startswith("The remediation ran")
    assert details["tried"][0]["remedy"] == "runbook:restart-web"
    assert "alert is active" in details["evidence"] and details["not_undone"]
    assert {"href": "http://wiki.example/web", "text": "runbook"} in event["links"]


def test_execution_is_the_clients_link(ctx, pagerduty):
    url = "https://st2.example/#/history/5f1"
    notify_scene.carried(ctx, "pagerduty:default", dict(said(), links={"execution": url}))
    assert pagerduty.events[0]["client_url"] == url


@pytest.mark.parametrize("kind", ["429", "500", "drop_before", "drop_after"])
def test_whatever_fails_there_is_one_alert(ctx, pagerduty, kind):
    pagerduty.fail_next(kind)
    outbox_id, delivery = notify_scene.carried(ctx, "pagerduty:default", said())
    assert delivery.status == "pending"
    ctx.clock.at = letters.get(ctx.store, outbox_id)["next_attempt_at"]
    from selfheal.respond import telling

    (again,) = telling.deliver(ctx, outbox_id)
    assert again.status == "sent"
    assert list(pagerduty.alerts) == [ABOUT]


def test_429_waits_as_long_as_it_says(ctx, pagerduty):
    pagerduty.fail_next("429")
    outbox_id, _ = notify_scene.carried(ctx, "pagerduty:default", said())
    row = letters.get(ctx.store, outbox_id)
    assert row["next_attempt_at"] >= ctx.clock.at + 23 and not row["in_doubt"]


def test_acknowledging_and_resolving_meet_the_same_alert(ctx, pagerduty):
    first, _ = notify_scene.carried(ctx, "pagerduty:default", said())
    follow = threads.acknowledged(said(), ABOUT, first, "ann", "looking")
    notify_scene.carried(ctx, "pagerduty:default", follow, "acknowledged", "two")
    assert pagerduty.alerts[ABOUT]["status"] == "acknowledged"
    follow = threads.resolved(said(), ABOUT, first, "closed by hand")
    notify_scene.carried(ctx, "pagerduty:default", follow, "resolved", "three")
    assert pagerduty.alerts[ABOUT]["status"] == "resolved"
    assert set(pagerduty.events[1]) == {"routing_key", "event_action", "dedup_key"}


@pytest.mark.parametrize("key", ["short", "f" * 32])
def test_wrong_routing_key_names_the_setting_and_not_the_key(tmp_path, pagerduty, key):
    ctx = context(tmp_path, pagerduty, routing_key=key)
    outbox_id, delivery = notify_scene.carried(ctx, "pagerduty:default", said())
    assert delivery.status == "pending" and "notify.pagerduty.routing_key" in delivery.error
    assert key not in json.dumps(letters.get(ctx.store, outbox_id))


@pytest.mark.parametrize("size", [1, 60])
def test_hostile_and_huge_text_is_taken_within_the_limits(ctx, pagerduty, size):
    told = threads.first(notify_scene.hostile(size), ABOUT)
    _, delivery = notify_scene.carried(ctx, "pagerduty:default", told)
    assert delivery.status == "sent", delivery.error
    body = pagerduty.requests[0]["body"]
    assert len(body) <= 512 * 1024
    if size > 1:
        assert "characters]" in pagerduty.events[0]["payload"]["summary"] or (
            len(pagerduty.events[0]["payload"]["summary"]) <= 1024
        )


def test_failure_of_the_pack_itself_is_told_in_words(ctx, pagerduty):
    from selfheal.notify import messages

    told = threads.first(messages.failure("Sensor", "ended", "5f1"), "failure:x")
    notify_scene.carried(ctx, "pagerduty:default", told, "failure")
    alert = pagerduty.events[0]["payload"]
    assert alert["source"] == "selfheal" and alert["severity"] == "error"
    assert "check_config" in json.dumps(alert["custom_details"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner,
                                                                max_size=3),
    max_leaves=12,
)
NAMES = ("title", "severity", "incident", "why", "tried", "plan", "links", "text", "evidence")


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.text(min_size=1, max_size=600))
def test_payload_of_any_shape_makes_a_valid_event(payload, about):
    event = pagerduty_event.event(payload, stub_pagerduty.KEY, "trigger", about)
    event["payload"].pop("timestamp", None)  # ours is always a time, this one is anything
    headers = {"content-type": "application/json"}
    assert stub_pagerduty._wrong(headers, json.dumps(event).encode()) == []


def test_keys_that_differ_only_at_their_end_stay_different():
    first, second = ("x" * 400 + end for end in "ab")
    assert pagerduty_event.key_of(first) != pagerduty_event.key_of(second)
    assert len(pagerduty_event.key_of(first)) <= 255

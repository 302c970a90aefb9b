"""The safety net: people are told when the store is down, and when a part of the pack failed."""

from __future__ import annotations

import os

import pytest

from selfheal import door
from selfheal.exceptions import StoreError
from selfheal.incidents import registry
from selfheal.respond import escalate
from tests import scene


@pytest.fixture
def ctx(url, receiver, api):
    return scene.context(url, api=api, notify=scene.webhook(receiver))


def everything(ctx):
    """All rows that a finishing step may write."""
    tables = ("incidents", "incident_events", "outbox", "approvals", "locks")
    return {table: ctx.store.query("SELECT * FROM %s ORDER BY 1" % table) for table in tables}


# Without the store


@pytest.fixture
def broken_url(tmp_path):
    (tmp_path / "file").write_text("a file where a directory should be")
    return "sqlite:///%s" % (tmp_path / "file" / "selfheal.db")


ROOMS = {"escalate_to_oncall": "escalate", "report_failure": "escalate"}


def call(function, url, receiver, **parameters):
    config = {"database": {"url": url}, "notify": scene.webhook(receiver)}
    path = "selfheal.respond.%s.%s" % (ROOMS.get(function, "finish"), function)
    return door.call(path, parameters, config=config)


@pytest.mark.parametrize(
    "bad", ["broken", "postgresql://nobody@127.0.0.1:1/none", "sqlite:///relative.db", "nonsense"]
)
def test_escalation_reaches_people_when_the_store_is_down(receiver, broken_url, bad):
    url = broken_url if bad == "broken" else bad
    succeeded, result = call(
        "escalate_to_oncall", url, receiver, incident_id="inc-1", reason="not_resolved"
    )
    assert succeeded, result
    assert {key: result[key] for key in ("escalated", "delivered", "recorded", "outbox_id")} == {
        "escalated": True,
        "delivered": True,
        "recorded": False,
        "outbox_id": "",
    }
    (message,) = receiver.messages
    assert message["incident"] == {"id": "inc-1"} and "database" in message["text"]
    call("escalate_to_oncall", url, receiver, incident_id="inc-1", reason="not_resolved")
    keys = {request["headers"]["idempotency-key"] for request in receiver.requests}
    assert len(keys) == 1  # a receiver can drop the repetition


def test_store_that_fails_half_way_does_not_silence_the_escalation(tmp_path, receiver):
    ctx = scene.context(scene.store_url("sqlite", tmp_path), notify=scene.webhook(receiver))
    scene.incident(ctx.store)
    ctx.store.execute("DROP TABLE outbox")
    result = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
    assert result["delivered"] and not result["recorded"]
    assert registry.get(ctx.store, "inc-1").status == "open"  # so that it is taken up again


def test_nobody_reached_at_all_is_an_error_that_says_so(receiver, broken_url):
    receiver.stop()
    for function, parameters in (
        ("escalate_to_oncall", {"incident_id": "inc-1"}),
        ("report_failure", {"subject": "x", "status": "failed"}),
    ):
        succeeded, result = call(function, broken_url, receiver, **parameters)
        assert not succeeded
        assert result["error_type"] == StoreError.__name__ and result["retryable"]
        assert "database.url" in result["error"] and "notify.webhook.url" in result["error"]


# The net


def test_failure_without_an_incident_is_told_once_an_hour(ctx, receiver):
    for _ in range(5):
        result = escalate.report_failure(ctx, "AlertmanagerSensor", "ended with exit code 3")
    assert result["delivered"] and not result["escalated"]
    assert [message["kind"] for message in receiver.messages] == ["failure"]
    ctx.clock.at += 3600
    escalate.report_failure(ctx, "AlertmanagerSensor", "ended with exit code 3")
    escalate.report_failure(ctx, "AlertmanagerSensor", "ended with exit code 4")
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("named", [{"incident_id": "inc-1"}, {"execution_id": "run-1"}])
def test_failed_workflow_escalates_its_incident(ctx, receiver, named):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-1", 600)
    result = escalate.report_failure(ctx, "selfheal.incident_response", "timeout", **named)
    assert (
        result["escalated"] and result["incident_id"] == "inc-1" and result["status"] == "escalated"
    )
    assert receiver.messages[0]["reason"] == "workflow_failed"
    assert not registry.is_held(ctx.store, "inc-1")


def test_failed_workflow_does_not_take_the_incident_from_a_living_response(ctx, receiver):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-2", 600)
    result = escalate.report_failure(ctx, "selfheal.incident_response", "failed", "run-1", "inc-1")
    assert not result["escalated"] and "another response" in result["note"]
    assert registry.is_held(ctx.store, "inc-1") and receiver.requests == []


@pytest.mark.parametrize("status", ["escalated", "ticketed", "observed", "resolved"])
def test_failure_after_the_incident_was_handed_over_changes_nothing(ctx, receiver, status):
    scene.incident(ctx.store, status=status, run_id="run-1")
    result = escalate.report_failure(ctx, "selfheal.incident_response", "failed", "run-1", "inc-1")
    assert not result["escalated"] and result["status"] == status and result["note"]
    assert receiver.requests == []


def test_failure_of_an_incident_that_is_gone_is_told_all_the_same(ctx, receiver):
    assert escalate.report_failure(ctx, "selfheal.incident_response", "failed", "run-9", "inc-9")[
        "delivered"
    ]
    assert receiver.messages[0]["execution_id"] == "run-9"


def test_failure_reaches_people_when_the_store_is_down(receiver, broken_url):
    succeeded, result = call(
        "report_failure", broken_url, receiver, subject="sensor", status="died", incident_id="inc-1"
    )
    assert succeeded and result["delivered"] and not result["recorded"]
    assert "sensor: died" in receiver.messages[0]["title"]
    assert receiver.messages[0]["incident"] == {"id": "inc-1"}
    assert os.path.basename(broken_url) in receiver.messages[0]["text"]

"""Closing, recording, tickets and escalation: once each, told to people, whatever fails around
them.
"""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import Conflict, InvalidInput, NotFound
from selfheal.guard import locks
from selfheal.incidents import registry
from selfheal.respond import escalate, finish
from selfheal.store import open_store
from tests import scene


@pytest.fixture
def ctx(url, receiver, api):
    return scene.context(url, api=api, notify=scene.webhook(receiver))


def everything(ctx):
    """All rows that a finishing step may write."""
    tables = ("incidents", "incident_events", "outbox", "approvals", "locks")
    return {table: ctx.store.query("SELECT * FROM %s ORDER BY 1" % table) for table in tables}


STEPS = {
    "close": lambda ctx, **more: finish.close_incident(ctx, "inc-1", **more),
    "observe": lambda ctx, **more: finish.observe_incident(ctx, "inc-1", **more),
    "ticket": lambda ctx, **more: finish.create_incident_ticket(ctx, "inc-1", **more),
    "escalate": lambda ctx, **more: escalate.escalate_to_oncall(ctx, "inc-1", **more),
}


@pytest.mark.parametrize("step", sorted(STEPS))
@pytest.mark.parametrize("run_id", ["", "run-1"])
def test_second_call_changes_nothing_and_names_the_same_message(ctx, receiver, step, run_id):
    scene.incident(ctx.store, status="analyzing", run_id="run-1")
    first = STEPS[step](ctx, run_id=run_id)
    before = everything(ctx)
    ctx.clock.at += 1000
    second = STEPS[step](ctx, run_id=run_id)
    assert everything(ctx) == before
    assert second.get("outbox_id") == first.get("outbox_id")
    assert (
        second["status"] ==
        first["status"] ==
        {
            "close": "resolved",
            "observe": "observed",
            "ticket": "ticketed",
            "escalate": "escalated",
        }[step]
    )
    assert len(receiver.requests) == (1 if step in ("ticket", "escalate") else 0)
    assert ctx.store.query("SELECT name FROM locks") == []


@pytest.mark.parametrize("step", sorted(STEPS))
def test_unknown_incident_is_not_found(ctx, step):
    with pytest.raises(NotFound):
        STEPS[step](ctx)


# Closing


def test_closing_records_how_it_ended(ctx):
    scene.incident(ctx.store)
    result = finish.close_incident(ctx, "inc-1", resolution="remediated")
    assert result == {
        "incident_id": "inc-1",
        "status": "resolved",
        "closed": True,
        "resolution": "remediated",
        "note": "",
    }
    assert scene.kinds(ctx.store) == ["resolved"]


def test_unknown_resolution_is_refused(ctx):
    scene.incident(ctx.store)
    with pytest.raises(InvalidInput, match="remediated, self_resolved, manual"):
        finish.close_incident(ctx, "inc-1", resolution="bored")


@pytest.mark.parametrize(
    ("rows", "resolution"),
    [
        ([], "self_resolved"),
        ([{"status": "failed"}], "self_resolved"),
        ([{"status": "done", "dry_run": 1}], "self_resolved"),
        ([{"status": "done"}], "remediated"),
    ],
)
def test_signal_that_ended_after_a_remediation_counts_as_remediated(ctx, rows, resolution):
    scene.incident(ctx.store, cleared_at=scene.START)
    for row in rows:
        scene.execution(ctx.store, **row)
    assert (
        finish.close_incident(ctx, "inc-1", resolution="self_resolved")["resolution"] == resolution
    )


def test_remediation_before_the_reopening_does_not_count(ctx):
    scene.incident(ctx.store, cleared_at=scene.START)
    scene.execution(ctx.store, started_at=scene.START - 100)
    from selfheal.incidents import timeline

    timeline.record(ctx.store, "inc-1", "reopened", "its cause came back")
    assert (
        finish.close_incident(ctx, "inc-1", resolution="self_resolved")["resolution"] ==
        "self_resolved"
    )


def test_incident_that_fires_again_is_not_closed_as_self_resolved(ctx):
    scene.incident(ctx.store, cleared_at=None)
    result = finish.close_incident(ctx, "inc-1", resolution="self_resolved")
    assert (result["closed"], result["status"]) == (False, "open")
    assert "firing again" in result["note"]


def test_closing_frees_the_incident_from_a_running_response(ctx):
    scene.incident(ctx.store, cleared_at=scene.START)
    assert registry.claim(ctx.store, "inc-1", "run-1", 600) == "cleared"
    result = finish.close_incident(ctx, "inc-1", resolution="self_resolved")
    assert result["closed"] and "stops at its next step" in result["note"]
    assert not registry.is_held(ctx.store, "inc-1")


def test_run_that_lost_its_incident_does_not_close_it(ctx):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-2", 600)
    with pytest.raises(Conflict, match="run-2"):
        finish.close_incident(ctx, "inc-1", run_id="run-1", resolution="remediated")
    assert registry.get(ctx.store, "inc-1").status == "analyzing"
    assert locks.holder(ctx.store, "incident:inc-1") == "run-2"


@pytest.mark.parametrize("step", ["close", "escalate"])
def test_pending_question_is_answered_with_no(ctx, api, step):
    scene.incident(ctx.store, status="awaiting_approval")
    scene.approval(ctx.store)
    scene.approval(ctx.store, "apr-2", inquiry_id=None)
    scene.approval(ctx.store, "apr-3", status="approved", inquiry_id="inq-3")
    STEPS[step](ctx)
    (request,) = api.requests
    assert (request["method"], request["path"]) == ("PUT", "/v1/inquiries/inq-1")
    assert api.messages == [{"id": "inq-1", "response": {"approved": False}}]
    statuses = {
        row["id"]: row["status"] for row in ctx.store.query("SELECT id, status FROM approvals")
    }
    assert statuses == {"apr-1": "withdrawn", "apr-2": "withdrawn", "apr-3": "approved"}


def test_inquiry_that_cannot_be_answered_does_not_keep_the_incident_open(ctx, api):
    api.answers = [(500, {}, b"")]
    scene.incident(ctx.store)
    scene.approval(ctx.store)
    assert finish.close_incident(ctx, "inc-1")["closed"]


# Observing


@pytest.mark.parametrize(
    ("columns", "words"),
    [({"dry_run": 1}, "dry run"), ({"reasons": ["severity is info"]}, "severity is info")],
)
def test_observing_says_why_nothing_was_done(ctx, columns, words):
    scene.incident(ctx.store, **columns)
    finish.observe_incident(ctx, "inc-1")
    assert words in ctx.store.value("SELECT message FROM incident_events")


def test_person_may_not_put_away_what_a_response_works_on(ctx):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-1", 600)
    with pytest.raises(Conflict, match="run-1"):
        finish.observe_incident(ctx, "inc-1")
    assert finish.observe_incident(ctx, "inc-1", run_id="run-1")["status"] == "observed"


# Tickets


def test_ticket_carries_plan_and_priority(ctx, receiver):
    scene.incident(
        ctx.store,
        plan={
            "remedy": "runbook",
            "runbook": "clean-disk",
            "risk": "disruptive",
            "confidence": 0.9,
            "steps": [],
        },
    )
    result = finish.create_incident_ticket(ctx, "inc-1")
    assert result["delivered"]
    (message,) = receiver.messages
    assert message["kind"] == "ticket" and message["id"] == result["outbox_id"]
    assert message["ticket"] == {
        "key": "ticket:inc-1:0",
        "title": "web is down",
        "priority": 1,
        "category": "ServiceDown",
        "component": "web",
    }
    assert message["plan"]["runbook"] == "clean-disk"
    assert scene.kinds(ctx.store) == ["ticketed", "notified"]


def test_closed_incident_gets_no_ticket(ctx, receiver):
    scene.incident(ctx.store, status="resolved")
    result = finish.create_incident_ticket(ctx, "inc-1", run_id="run-1")
    assert (result["status"], result["outbox_id"], result["delivered"]) == ("resolved", "", False)
    assert "closed" in result["note"]
    assert receiver.requests == [] and ctx.store.query("SELECT * FROM locks") == []


def test_ticket_after_escalation_does_not_repeat_when_called_again(ctx):
    scene.incident(ctx.store)
    finish.create_incident_ticket(ctx, "inc-1")
    escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
    assert finish.create_incident_ticket(ctx, "inc-1")["status"] == "escalated"


# Escalating


def test_escalation_reaches_people_with_the_story(ctx, receiver):
    scene.incident(ctx.store, status="verifying", reasons=["low risk"])
    scene.execution(ctx.store, status="failed")
    ctx.store.insert(
        "undo_log",
        {
            "id": "und-1",
            "incident_id": "inc-1",
            "execution_id": "exe-1",
            "step": "drain",
            "action": "{}",
            "status": "pending",
            "created_at": 0,
            "updated_at": 0,
        },
    )
    result = escalate.escalate_to_oncall(ctx, "inc-1", reason="undo_failed")
    assert {key: result[key] for key in ("status", "escalated", "delivered", "recorded")} == {
        "status": "escalated",
        "escalated": True,
        "delivered": True,
        "recorded": True,
    }
    (message,) = receiver.messages
    assert message["reason"] == "undo_failed" and message["severity"] == "critical"
    assert message["tried"][0]["status"] == "failed"
    assert message["not_undone"] == [{"step": "drain", "status": "pending", "outcome": None}]
    assert "http://prometheus.example/graph" in message["links"]["alert"]
    assert scene.kinds(ctx.store) == ["escalated", "notified"]


def test_resolved_incident_calls_nobody(ctx, receiver):
    scene.incident(ctx.store, status="resolved")
    result = escalate.escalate_to_oncall(ctx, "inc-1", run_id="run-1", reason="close_failed")
    assert (result["escalated"], result["status"], result["outbox_id"]) == (False, "resolved", "")
    assert "resolved" in result["note"]
    assert receiver.requests == [] and ctx.store.query("SELECT * FROM locks") == []


def test_reopened_incident_may_call_again(ctx, receiver):
    scene.incident(ctx.store)
    first = escalate.escalate_to_oncall(ctx, "inc-1")
    registry.update(ctx.store, "inc-1", status="analyzing", reopened=1)
    second = escalate.escalate_to_oncall(ctx, "inc-1")
    assert first["outbox_id"] != second["outbox_id"] and len(receiver.requests) == 2


def test_second_response_to_the_same_incident_does_not_call_again(ctx, receiver):
    scene.incident(ctx.store)
    first = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
    registry.claim(ctx.store, "inc-1", "run-2", 600)
    second = escalate.escalate_to_oncall(ctx, "inc-1", run_id="run-2", reason="not_resolved")
    assert second["escalated"] and second["outbox_id"] == first["outbox_id"]
    assert len(receiver.requests) == 1
    assert scene.kinds(ctx.store).count("escalated") == 2


def test_run_that_lost_its_incident_leaves_it_to_the_living_one(ctx, receiver):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-2", 600)
    result = escalate.escalate_to_oncall(ctx, "inc-1", run_id="run-1", reason="workflow_failed")
    assert not result["escalated"] and "run-2" in result["note"]
    assert registry.get(ctx.store, "inc-1").status == "analyzing" and receiver.requests == []


def test_escalating_by_hand_stops_the_running_response(ctx):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-1", 600)
    assert escalate.escalate_to_oncall(ctx, "inc-1")["escalated"]
    with pytest.raises(Conflict):
        registry.hold(ctx.store, registry.get(ctx.store, "inc-1"), "run-1", 60)
    ctx.clock.at += 601
    assert not registry.is_held(
        ctx.store, "inc-1"
    )  # and does not hold it longer than the response would have


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [((500, {}, b""), ["escalated", "delivery_failed"]), (None, ["escalated", "no_destination"])],
)
def test_undelivered_escalation_is_said_once_on_the_timeline(url, receiver, answer, kinds):
    sections = {"notify": scene.webhook(receiver)} if answer else {}
    ctx = scene.context(url, **sections)
    if answer:
        receiver.answers = [answer]
    scene.incident(ctx.store)
    for _ in range(3):
        result = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
        ctx.clock.at += 4000
    assert result["escalated"] and not result["delivered"] and result["outbox_id"]
    assert scene.kinds(ctx.store) == kinds


def test_message_that_keeps_failing_is_said_on_the_timeline(url, receiver):
    ctx = scene.context(url, notify=scene.webhook(receiver))
    receiver.answers = [(500, {}, b"")]
    scene.incident(ctx.store)
    for _ in range(14):
        escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
        ctx.clock.at += 4000
    assert scene.kinds(ctx.store) == ["escalated", "delivery_failed", "not_delivered"]
    receiver.answers = [(200, {}, b"")]
    assert escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")["delivered"]
    assert scene.kinds(ctx.store)[-1] == "notified"


def test_escalations_at_the_same_time_make_one_message(url, receiver):
    store = open_store(url)
    scene.incident(store)
    start = threading.Barrier(5)
    results = []

    def work():
        ctx = scene.context(url, notify=scene.webhook(receiver))
        start.wait(180)
        results.append(escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy"))
        ctx.close()

    workers = [threading.Thread(target=work) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(180)
    assert len({result["outbox_id"] for result in results}) == 1 and len(results) == 5
    assert len(receiver.requests) == 1
    assert scene.kinds(store) == ["escalated", "notified"]

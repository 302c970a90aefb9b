"""Housekeeping: nothing is left behind, whatever died, and one failure does not stop the rest."""

from __future__ import annotations

import json

import pytest

from selfheal.exceptions import StoreError
from selfheal.guard import locks
from selfheal.incidents import flapping, registry
from selfheal.operate import housekeeping as module
from selfheal.operate.housekeeping import housekeeping
from selfheal.outbox import letters
from selfheal.remedy import execute, journal
from selfheal.remedy.model import Command
from selfheal.respond import escalate, waiting
from tests import scene
from tests.remedy import scenes


@pytest.fixture(params=scene.BOTH)
def ctx(request, tmp_path, receiver, api):
    return scene.context(
        scene.store_url(request.param, tmp_path),
        api=api,
        notify=scene.webhook(receiver),
        resolver={"max_retries": 3},
    )


def injected(api, trigger):
    return [
        message["payload"]["incident_id"]
        for message in api.messages
        if message.get("trigger") == trigger
    ]


def test_quiet_system_has_nothing_to_do(ctx, receiver, api):
    result = housekeeping(ctx)
    assert result["ran"] and result["problems"] == []
    assert set(result["parts"]) == {
        "approvals",
        "dead_responses",
        "dead_executions",
        "left_by_hand",
        "dispatch",
        "waits",
        "ladder",
        "lasting",
        "messages",
        "silences",
        "tickets",
        "statistics",
        "retention",
        "rejected_signals",
        "guard",
        "audit",
    }
    assert receiver.requests == [] and api.requests == []
    assert ctx.store.query("SELECT * FROM locks") == []
    assert (
        ctx.store.value("SELECT status FROM system_status WHERE component = 'housekeeping'") == "ok"
    )
    json.dumps(result)


def test_one_housekeeper_at_a_time(ctx):
    locks.acquire(ctx.store, module.LOCK, "another", 60)
    assert housekeeping(ctx) == {"ran": False, "parts": {}, "problems": []}
    ctx.clock.at += 60  # the other one died
    assert housekeeping(ctx)["ran"]


def test_unanswered_question_expires_and_its_workflow_is_told(ctx, api):
    scene.incident(ctx.store, status="awaiting_approval")
    locks.acquire(ctx.store, "incident:inc-1", "run-1", 10_000)
    scene.approval(ctx.store, expires_at=scene.START + 600)
    assert housekeeping(ctx)["parts"]["approvals"] == {"expired": 0, "answered": 0}
    ctx.clock.at += 600
    assert housekeeping(ctx)["parts"]["approvals"] == {"expired": 1, "answered": 1}
    assert api.messages == [{"id": "inq-1", "response": {"approved": False}}]
    assert ctx.store.value("SELECT status FROM approvals") == "expired"
    assert scene.kinds(ctx.store) == ["approval_expired"]
    assert housekeeping(ctx)["parts"]["approvals"] == {"expired": 0, "answered": 0}
    assert len(api.requests) == 1


def test_workflow_that_could_not_be_told_is_told_next_time(ctx, api):
    scene.incident(ctx.store, status="resolved")
    scene.approval(ctx.store, expires_at=scene.START)
    api.answers = [(503, {}, b""), (200, {}, b"")]
    assert housekeeping(ctx)["parts"]["approvals"] == {"expired": 1, "answered": 0}
    assert housekeeping(ctx)["parts"]["approvals"] == {"expired": 0, "answered": 1}
    assert len(api.requests) == 2


def test_inquiry_that_is_gone_is_not_asked_for_ever(ctx, api):
    scene.incident(ctx.store, status="resolved")
    scene.approval(ctx.store, expires_at=scene.START)
    api.answers = [(404, {}, b"")]
    housekeeping(ctx)
    housekeeping(ctx)
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", ["analyzing", "awaiting_approval", "remediating", "verifying"])
def test_dead_response_is_followed_by_another(ctx, api, status):
    scene.incident(ctx.store, status=status, run_id="run-1", attempts=1, dispatched_at=scene.START)
    scene.execution(
        ctx.store, status="running", outcome={"owner": {"host": "gone", "pid": 1}}, finished_at=None
    )
    assert housekeeping(ctx)["parts"]["dead_responses"] == {
        "closed": 0,
        "reopened": 1,
        "escalated": 0,
    }
    incident = registry.get(ctx.store, "inc-1")
    assert incident.status == "open" and incident.dispatched_at == ctx.clock.at
    assert injected(api, "selfheal.alert") == ["inc-1"]
    assert ctx.store.value("SELECT status FROM execution_history") == "interrupted"
    message = ctx.store.value("SELECT message FROM incident_events WHERE kind = 'response_died'")
    assert "run-1 died" in message and status in message and "1 of 3" in message


def test_living_response_is_left_alone(ctx, api):
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-1", 60)
    housekeeping(ctx)
    assert registry.get(ctx.store, "inc-1").status == "analyzing" and api.requests == []
    ctx.clock.at += 60
    housekeeping(ctx)
    assert registry.get(ctx.store, "inc-1").status == "open"


def test_response_that_keeps_dying_ends_with_a_person(ctx, receiver):
    scene.incident(ctx.store)
    for number in range(3):
        registry.claim(ctx.store, "inc-1", "run-%d" % number, 60)
        ctx.clock.at += 200
        housekeeping(ctx)
    incident = registry.get(ctx.store, "inc-1")
    assert (incident.status, incident.attempts) == ("escalated", 3)
    assert [message["reason"] for message in receiver.messages] == ["attempts_used"]
    assert scene.kinds(ctx.store).count("response_died") == 3
    housekeeping(ctx)
    assert len(receiver.requests) == 1


def test_what_the_last_dead_response_left_half_done_is_undone_before_somebody_is_called(
    ctx, receiver, tmp_path
):
    taken_back = tmp_path / "taken_back"
    ctx.config.values["safety"] = {"command_table": scenes.write_command_table(tmp_path)}
    scene.incident(ctx.store, status="remediating", run_id="run-3", attempts=3)
    execution_id = scene.execution(ctx.store, status="interrupted")
    touch = execute.describe(Command(argv=("touch", str(taken_back))), 30.0)
    undo = dict(touch, variables={}, cwd=str(tmp_path))
    journal.record_undo(ctx.store, "inc-1", execution_id, "restart", undo, None)
    housekeeping(ctx)
    assert taken_back.exists()
    assert registry.get(ctx.store, "inc-1").status == "escalated"
    assert [message["reason"] for message in receiver.messages] == ["attempts_used"]
    assert ctx.store.value("SELECT status FROM undo_log") == "undone"


def test_dead_response_to_an_ended_alert_is_closed(ctx, api):
    scene.incident(
        ctx.store, status="verifying", run_id="run-1", attempts=3, cleared_at=scene.START
    )
    scene.execution(ctx.store, status="done")
    assert housekeeping(ctx)["parts"]["dead_responses"] == {
        "closed": 1,
        "reopened": 0,
        "escalated": 0,
    }
    assert registry.get(ctx.store, "inc-1").resolution == "remediated"


def test_housekeeper_that_died_half_way_is_made_good_by_the_next(ctx, receiver, monkeypatch):
    scene.incident(ctx.store, status="remediating", run_id="run-1", attempts=3)

    def killed(*_ignored, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(escalate, "escalate_to_oncall", killed)
        with pytest.raises(KeyboardInterrupt):
            housekeeping(ctx)
    housekeeping(ctx)
    assert registry.get(ctx.store, "inc-1").status == "escalated"
    assert scene.kinds(ctx.store).count("response_died") == 1 and len(receiver.requests) == 1


def test_incident_whose_trigger_was_lost_is_started_again(ctx, api):
    scene.incident(ctx.store, dispatched_at=scene.START)
    housekeeping(ctx)
    assert injected(api, "selfheal.alert") == []
    ctx.clock.at += 121
    housekeeping(ctx)
    assert injected(api, "selfheal.alert") == ["inc-1"]


def test_waiting_messages_are_sent_and_said_on_the_timeline(ctx, receiver):
    scene.incident(ctx.store, status="escalated")
    letters.post(ctx.store, "escalation", "inc-1", "key", {"text": "help"})
    receiver.answers = [(500, {}, b""), (200, {}, b"")]
    counts = {"sent": 0, "failed": 1, "pending": 1, "dead": 0}
    assert housekeeping(ctx)["parts"]["messages"] == counts
    ctx.clock.at += 60
    counts = {"sent": 1, "failed": 0, "pending": 0, "dead": 0}
    assert housekeeping(ctx)["parts"]["messages"] == counts
    assert scene.kinds(ctx.store) == ["delivery_failed", "notified"]


def test_old_records_go_once_an_hour(ctx):
    long_ago = scene.START - 91 * 86400
    for name in ("inc-1", "inc-2"):
        scene.incident(
            ctx.store, name, status="resolved", updated_at=long_ago, resolved_at=long_ago
        )
        assert housekeeping(ctx)["parts"]["retention"] == (
            {"incidents": 1} if name == "inc-1" else {}
        )
    ctx.clock.at += 3600
    assert housekeeping(ctx)["parts"]["retention"] == {"incidents": 1}


def test_rejected_signals_of_the_last_hour_are_counted(ctx):
    for number, age in enumerate((10, 20, 4000)):
        ctx.store.insert(
            "rejected_signals",
            {
                "id": str(number),
                "at": scene.START - age,
                "source": "alertmanager",
                "reason": "x",
                "sample": "",
            },
        )
    assert housekeeping(ctx)["parts"]["rejected_signals"] == {"alertmanager": 2}


@pytest.mark.parametrize("broken", [name for name, _ in module._PARTS])
def test_part_that_fails_does_not_stop_the_others(ctx, receiver, monkeypatch, broken):
    def fail(_ctx):
        raise ZeroDivisionError("defect")

    monkeypatch.setattr(
        module,
        "_PARTS",
        tuple((name, fail if name == broken else part) for name, part in module._PARTS),
    )
    result = housekeeping(ctx)
    assert [problem["part"] for problem in result["problems"]] == [broken]
    assert len(result["parts"]) == len(module._PARTS) - 1
    assert (
        ctx.store.value("SELECT status FROM system_status WHERE component = 'housekeeping'") ==
        "degraded"
    )
    assert ctx.store.query("SELECT * FROM locks") == []


def test_platform_that_is_down_is_a_problem_and_the_rest_is_done(ctx, api, receiver):
    scene.incident(ctx.store)
    scene.incident(ctx.store, "inc-2", status="escalated")
    letters.post(ctx.store, "escalation", "inc-2", "key", {})
    api.answers = [(500, {}, b"")]
    result = housekeeping(ctx)
    assert [problem["part"] for problem in result["problems"]] == ["dispatch"]
    assert len(receiver.requests) == 1
    api.answers = [(202, {}, b"")]
    assert housekeeping(ctx)["problems"] == [] and injected(api, "selfheal.alert")[-1] == "inc-1"


def test_one_bad_incident_does_not_keep_the_others_dead(ctx):
    scene.incident(ctx.store, "inc-1", status="verifying", run_id="run-1")
    scene.incident(ctx.store, "inc-2", status="verifying", run_id="run-2")
    scene.execution(ctx.store, incident_id="inc-1", status="running", outcome=["not a map"])
    result = housekeeping(ctx)
    assert [problem["part"] for problem in result["problems"]] == ["dead_responses"]
    assert registry.get(ctx.store, "inc-1").status == "escalated"
    assert registry.get(ctx.store, "inc-2").status == "open"


def test_dead_execution_of_an_incident_that_was_handed_over_is_ended(ctx):
    scene.incident(ctx.store, "inc-1", status="escalated", run_id="run-1")
    scene.execution(ctx.store, incident_id="inc-1", status="running", outcome={"owner": {}})
    result = housekeeping(ctx)
    assert result["parts"]["dead_executions"] == {
        "interrupted": 1,
        "unreadable": 0,
        "undone": 0,
    }
    assert ctx.store.value("SELECT status FROM execution_history") == "interrupted"
    assert registry.get(ctx.store, "inc-1").status == "escalated"


def test_store_that_cannot_be_reached_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    from selfheal.config import Config
    from selfheal.context import Context

    with pytest.raises(StoreError):
        housekeeping(
            Context(Config({"database": {"url": "sqlite:///%s/x.db" % (tmp_path / "file")}}))
        )


def test_housekeeper_that_died_before_the_clock_was_set_back_holds_up_nobody(ctx):
    locks.acquire(ctx.store, module.LOCK, "dead", module.LOCK_S)
    ctx.clock.at -= 3 * 3600
    assert housekeeping(ctx)["ran"]


def test_what_waited_for_its_next_turn_and_what_stopped_flapping_are_taken_care_of(ctx, receiver):
    scene.incident(ctx.store, status="observed")
    waiting.until(ctx.store, "inc-1", ctx.store.now() + 60)
    scene.incident(ctx.store, "inc-2", status="escalated")
    known = registry.get(ctx.store, "inc-2")
    flapping.tell(ctx.store, known, "msg-1")
    flapping.closed(ctx.store, known.group_key, is_by_person=False)
    assert flapping.came_back(ctx.store, [known.group_key], 3600.0)
    parts = housekeeping(ctx)["parts"]
    assert (parts["waits"]["taken_up"], parts["lasting"]["told"]) == (0, 0)
    ctx.clock.at += 3601
    parts = housekeeping(ctx)["parts"]
    assert (parts["waits"]["taken_up"], parts["lasting"]["told"]) == (1, 1)
    assert [message["reason"] for message in receiver.messages] == ["keeps_coming"]

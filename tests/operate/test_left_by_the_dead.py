"""What a dead response, or a dead hand, left half done: housekeeping takes it back, once, before
anything else is begun, and tells people what cannot be.
"""

from __future__ import annotations

import pytest

from selfheal.guard import gate, locks
from selfheal.incidents import registry
from selfheal.operate.housekeeping import housekeeping
from selfheal.remedy import execute, journal
from selfheal.remedy.model import Command
from selfheal.respond import deeds
from tests import scene
from tests.remedy import scenes


@pytest.fixture
def ctx(url, receiver, api):
    return scene.context(
        url, api=api, notify=scene.webhook(receiver), resolver={"max_retries": 3}
    )


def injected(api):
    return [
        message["payload"]["incident_id"]
        for message in api.messages
        if message.get("trigger") == "selfheal.alert"
    ]


def left_half_done(ctx, tmp_path, argv=None, undo_status="acting", **incident):
    """What shows that the undo of a dead execution of incident inc-1 was carried out, by a file."""
    taken_back = tmp_path / "taken_back"
    ctx.config.values["safety"] = {"command_table": scenes.write_command_table(tmp_path)}
    scene.incident(ctx.store, run_id="run-1", attempts=1, **incident)
    dead = {"owner": {"host": "gone", "pid": 1}}
    execution_id = scene.execution(ctx.store, status="running", outcome=dead)
    act = execute.describe(Command(argv=tuple(argv or ("touch", str(taken_back)))), 30.0)
    undo = dict(act, variables={}, cwd=str(tmp_path))
    undo_id = journal.record_undo(ctx.store, "inc-1", execution_id, "restart", undo, None)
    journal.mark_undo(ctx.store, undo_id, undo_status)
    return taken_back


@pytest.mark.parametrize("undo_status", ["acting", "undoing"])
def test_what_a_dead_response_left_half_done_is_undone_before_another_follows(
    ctx, api, tmp_path, undo_status
):
    taken_back = left_half_done(ctx, tmp_path, undo_status=undo_status, status="remediating")
    is_there_first = []
    api.on_request = lambda request: is_there_first.append(taken_back.exists())
    assert housekeeping(ctx)["parts"]["dead_responses"]["reopened"] == 1
    assert is_there_first == [True] and injected(api) == ["inc-1"]
    assert ctx.store.value("SELECT status FROM undo_log") == "undone"


@pytest.mark.parametrize("status", ["open", "escalated", "resolved"])
def test_what_died_under_a_hand_or_after_the_handover_is_undone_once(ctx, tmp_path, status):
    taken_back = left_half_done(ctx, tmp_path, status=status, resolution="self_resolved")
    assert housekeeping(ctx)["parts"]["dead_executions"] == {
        "interrupted": 1,
        "unreadable": 0,
        "undone": 1,
    }
    taken_back.unlink()
    assert housekeeping(ctx)["parts"]["dead_executions"]["undone"] == 0
    assert not taken_back.exists()
    assert registry.get(ctx.store, "inc-1").status == status


def test_what_a_person_has_closed_is_left_as_they_left_it(ctx, tmp_path):
    taken_back = left_half_done(ctx, tmp_path, status="resolved", resolution="manual")
    assert housekeeping(ctx)["parts"]["dead_executions"]["undone"] == 0
    assert not taken_back.exists()


def test_what_another_holds_is_theirs_to_undo(ctx, tmp_path):
    taken_back = left_half_done(ctx, tmp_path, status="open")
    locks.acquire(ctx.store, "incident:inc-1", "hand-1", 600)
    assert housekeeping(ctx)["problems"] == [] and not taken_back.exists()
    ctx.clock.at += 601
    assert housekeeping(ctx)["parts"]["dead_executions"]["undone"] == 1


@pytest.mark.parametrize(
    ("status", "cleared_at"),
    [("remediating", None), ("remediating", scene.START), ("ticketed", None)],
)
def test_undo_of_the_dead_that_fails_is_told_to_a_person_once(
    ctx, receiver, tmp_path, status, cleared_at
):
    left_half_done(ctx, tmp_path, argv=["false"], status=status, cleared_at=cleared_at)
    for _ in range(3):
        housekeeping(ctx)
    assert registry.get(ctx.store, "inc-1").status == "escalated"
    assert [message["reason"] for message in receiver.messages] == ["undo_failed"]
    assert scene.kinds(ctx.store).count("undo_step") == 1


def test_only_what_had_begun_counts_against_its_remedy(ctx):
    scene.incident(ctx.store, status="escalated", run_id="run-1")
    dead = {"owner": {"host": "gone", "pid": 1}}
    scene.execution(ctx.store, status="running", outcome=dead)  # it died waiting for its target
    housekeeping(ctx)
    assert ctx.store.value("SELECT COUNT(*) FROM circuit_breakers") == 0
    begun = scene.execution(ctx.store, "exe-2", status="running", outcome=dead)
    incident = registry.get(ctx.store, "inc-1")
    deed = deeds.deed_of(incident, journal.plan_of(ctx.store, begun), begun)
    assert gate.enter(ctx, deed) is None
    housekeeping(ctx)
    assert ctx.store.value("SELECT COUNT(*) FROM circuit_breakers") == 1


def test_response_that_died_before_the_clock_was_set_back_is_followed_by_another(ctx, api):
    ctx.clock.at += 30 * 86400
    scene.incident(ctx.store)
    registry.claim(ctx.store, "inc-1", "run-1", 600)
    ctx.clock.at = scene.START
    housekeeping(ctx)
    assert registry.is_held(ctx.store, "inc-1")  # it may well be alive
    ctx.clock.at += 601
    assert housekeeping(ctx)["parts"]["dead_responses"]["reopened"] == 1
    assert injected(api) == ["inc-1"]

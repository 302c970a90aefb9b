"""What is taken back is a deed on its target as well: never beside a remedy that is at work there.
"""

from __future__ import annotations

import json

import pytest

from selfheal.exceptions import Conflict
from selfheal.guard import locks
from selfheal.incidents import registry
from selfheal.operate.housekeeping import housekeeping
from selfheal.remedy import journal
from selfheal.remedy import undo as undoing
from selfheal.respond import targets
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.respond.runbooks import run_runbook
from tests.remedy import scenes

TARGET = "target:shop"


@pytest.fixture
def clock():
    return scenes.StillClock()


@pytest.fixture
def ctx(tmp_path, clock, url):
    context = scenes.context_for(tmp_path, clock=clock, url=url, values=scenes.UNBOUNDED)
    scenes.write_runbook(
        tmp_path,
        steps=[
            {
                "name": "one",
                "command": scenes.shell("touch %s/done" % tmp_path),
                "undo": {"command": scenes.shell("rm %s/done" % tmp_path)},
            }
        ],
    )
    yield context
    context.close()


def done(ctx, run_id="run-1"):
    """An incident whose remedy was carried out."""
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, run_id)
    if run_id:
        determine_response_strategy(ctx, incident_id, run_id)
    assert remediate(ctx, incident_id, run_id)["outcome"] == "done"
    return incident_id


def interrupted(ctx, incident_id):
    """As if the process of its remedy had died, and its response with it."""
    ctx.store.execute("UPDATE undo_log SET status = ?", (journal.ACTING,))
    ctx.store.execute(
        "UPDATE execution_history SET status = ?, finished_at = ?",
        (journal.INTERRUPTED, ctx.store.now()),
    )
    registry.update(ctx.store, incident_id, status="escalated")
    ctx.store.execute("DELETE FROM locks")


@pytest.mark.parametrize("run_id", ["run-1", ""])
def test_it_waits_for_the_end_of_what_is_at_work_there(ctx, clock, tmp_path, run_id):
    incident_id = done(ctx, run_id)
    assert locks.acquire(ctx.store, TARGET, "exe-another", 30)
    before = len(clock.slept)
    assert undo_remediation(ctx, incident_id, run_id)["outcome"] == "undone"
    assert 29 <= sum(clock.slept[before:]) <= 31
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("run_id", ["run-1", ""])
def test_what_does_not_end_is_told_and_nothing_is_taken_back_beside_it(ctx, tmp_path, run_id):
    incident_id = done(ctx, run_id)
    assert locks.acquire(ctx.store, TARGET, "exe-another", 36000)
    with pytest.raises(Conflict, match="exe-another.* is at work .*undo_remediation"):
        undo_remediation(ctx, incident_id, run_id)
    assert (tmp_path / "done").exists()
    assert ctx.store.value("SELECT status FROM undo_log") == "pending"
    locks.release(ctx.store, TARGET, "exe-another")
    assert undo_remediation(ctx, incident_id, run_id)["outcome"] == "undone"


def test_while_it_goes_on_no_remedy_gets_the_target(ctx, monkeypatch):
    incident_id = done(ctx)
    undo, tried = undoing.undo, []

    def watched(*arguments):
        tried.append(locks.acquire(ctx.store, TARGET, "exe-another", 600))
        return undo(*arguments)

    monkeypatch.setattr(undoing, "undo", watched)
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "undone"
    assert tried == [False]
    assert locks.holder(ctx.store, TARGET) is None


def test_with_nothing_to_take_back_nobody_waits(ctx, clock):
    incident_id = scenes.add_incident(ctx.store)
    assert locks.acquire(ctx.store, TARGET, "exe-another", 600)
    assert undo_remediation(ctx, incident_id)["outcome"] == "nothing"
    assert clock.slept == []


def test_housekeeping_waits_for_nobody_and_comes_again(ctx, clock, tmp_path):
    interrupted(ctx, done(ctx))
    assert locks.acquire(ctx.store, TARGET, "exe-another", 90)
    before = len(clock.slept)
    assert housekeeping(ctx)["parts"]["dead_executions"]["undone"] == 0
    assert clock.slept[before:] == [] and (tmp_path / "done").exists()
    clock.advance(91)
    assert housekeeping(ctx)["parts"]["dead_executions"]["undone"] == 1
    assert not (tmp_path / "done").exists()


def test_the_next_response_does_nothing_before_it_could_take_back_what_is_half_done(
    ctx, clock, tmp_path
):
    incident_id = done(ctx)
    interrupted(ctx, incident_id)
    registry.update(ctx.store, incident_id, status="remediating")
    assert locks.acquire(ctx.store, TARGET, "exe-another", 36000)
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "exe-another" in answer["reason"]
    locks.release(ctx.store, TARGET, "exe-another")
    clock.advance(61)  # what just ended there would count for this one as well
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("is_cleared", [True, False])
def test_a_dead_response_is_not_done_with_before_what_it_left_is_taken_back(
    ctx, clock, tmp_path, is_cleared
):
    incident_id = done(ctx)
    ctx.store.execute("UPDATE execution_history SET status = ?", (journal.FAILED,))
    registry.update(ctx.store, incident_id, status="remediating", attempts=9)
    if is_cleared:
        scenes.clear(ctx.store, incident_id)
    ctx.store.execute("DELETE FROM locks")
    assert locks.acquire(ctx.store, TARGET, "exe-another", 90)
    dead = {"closed": 0, "reopened": 0, "escalated": 0}
    assert housekeeping(ctx)["parts"]["dead_responses"] == dead
    assert registry.get(ctx.store, incident_id).status == "remediating"
    clock.advance(91)
    ended = "closed" if is_cleared else "escalated"
    assert housekeeping(ctx)["parts"]["dead_responses"] == dict(dead, **{ended: 1})
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("is_cleared", [True, False])
def test_what_never_gets_its_turn_is_told_to_a_person(ctx, clock, tmp_path, is_cleared):
    incident_id = done(ctx)
    ctx.store.execute("UPDATE execution_history SET status = ?", (journal.FAILED,))
    registry.update(ctx.store, incident_id, status="remediating")
    if is_cleared:
        scenes.clear(ctx.store, incident_id)
    ctx.store.execute("DELETE FROM locks")
    assert locks.acquire(ctx.store, TARGET, "exe-another", 10 * 86400)
    for _ in range(3):
        assert housekeeping(ctx)["parts"]["dead_responses"]["escalated"] == 0
        clock.advance(10)
    clock.advance(ctx.config.number("resolver.timeout"))
    assert housekeeping(ctx)["parts"]["dead_responses"]["escalated"] == 1
    assert registry.get(ctx.store, incident_id).status == "escalated"
    [told] = [row for row in scenes.rows_of(ctx.store, "outbox") if row["kind"] == "escalation"]
    assert json.loads(told["payload"])["reason"] == "undo_failed"
    assert (tmp_path / "done").exists()
    waits = scenes.timeline_of(ctx.store, incident_id, "response_died")
    assert "waits to be taken back" in waits[0]["message"] and len(waits) == 2


def test_what_a_hand_cannot_take_back_beside_another_remedy_is_told(ctx, tmp_path, monkeypatch):
    scenes.write_runbook(
        tmp_path,
        name="half",
        steps=[
            {
                "name": "one",
                "command": scenes.shell("touch %s/done" % tmp_path),
                "undo": {"command": scenes.shell("rm %s/done" % tmp_path)},
            },
            {"name": "two", "command": scenes.shell("exit 1")},
        ],
    )
    free = targets.release

    def release(context, names, owner):
        free(context, names, owner)
        locks.acquire(context.store, TARGET, "exe-another", 36000)  # who waited for it

    monkeypatch.setattr(targets, "release", release)
    incident_id = scenes.add_incident(ctx.store, status="observed")
    answer = run_runbook(ctx, "half", incident_id, anyway=True, who="ann")
    assert (answer["outcome"], answer["undone"]) == ("failed", "partly")
    assert (tmp_path / "done").exists()
    assert registry.get(ctx.store, incident_id).status == "escalated"
    [told] = [row for row in scenes.rows_of(ctx.store, "outbox") if row["kind"] == "escalation"]
    assert json.loads(told["payload"])["reason"] == "undo_failed"

"""A remedy whose process stood still for so long that others took it for dead goes no further when
it wakes up: what they found half done is theirs by then.
"""

from __future__ import annotations

import json

import pytest

from selfheal.guard import clock as clocks
from selfheal.guard import gate, locks
from selfheal.guard.clock import Machine
from selfheal.incidents import registry
from selfheal.remedy import journal, recovery
from selfheal.respond import targets
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from tests.guard.permits import deed
from tests.remedy import scenes

TARGET = "target:shop"


@pytest.fixture
def clock():
    return scenes.StillClock()


@pytest.fixture
def ctx(tmp_path, clock):
    context = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(
        tmp_path,
        steps=[
            {"name": "one", "command": scenes.shell("touch %s/one" % tmp_path)},
            {"name": "rest", "wait": {"seconds": 5}},
            {"name": "two", "command": scenes.shell("touch %s/two" % tmp_path)},
        ],
    )
    yield context
    context.close()


def planned(ctx, run_id):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, run_id)
    if run_id:
        determine_response_strategy(ctx, incident_id, run_id)
    return incident_id


def while_it_rests(clock, happens):
    """Between its first step and its second, `happens()` once."""
    sleep, told = clock.sleep, []

    def rest(seconds):
        sleep(seconds)
        if not told:
            told.append(seconds)
            happens()

    clock.sleep = rest


@pytest.mark.parametrize("run_id", ["run-1", ""])
def test_one_that_another_host_took_for_dead_goes_no_further(ctx, clock, tmp_path, run_id):
    incident_id = planned(ctx, run_id)

    def taken_for_dead():
        ctx.store.execute("UPDATE locks SET expires_at = 1")
        owner = dict(journal.this_process(), host="stood-still")
        ctx.store.execute(
            "UPDATE execution_history SET outcome = ?", (json.dumps({"owner": owner}),)
        )
        assert recovery.interrupted(ctx.store, incident_id)

    while_it_rests(clock, taken_for_dead)
    answer = remediate(ctx, incident_id, run_id)
    assert answer["outcome"] == "failed" and "taken for dead" in answer["reason"]
    assert (tmp_path / "one").exists() and not (tmp_path / "two").exists()


@pytest.mark.parametrize("run_id", ["run-1", ""])
def test_one_whose_target_another_has_taken_goes_no_further(ctx, clock, tmp_path, run_id):
    incident_id = planned(ctx, run_id)

    def taken():
        ctx.store.execute("UPDATE locks SET expires_at = 1 WHERE name = ?", (TARGET,))
        assert locks.acquire(ctx.store, TARGET, "exe-another", 600)

    while_it_rests(clock, taken)
    answer = remediate(ctx, incident_id, run_id)
    assert answer["outcome"] == "failed" and "exe-another" in answer["reason"]
    assert not (tmp_path / "two").exists()
    assert locks.holder(ctx.store, TARGET) == "exe-another"
    assert ctx.store.value("SELECT COUNT(*) FROM circuit_breakers") == 0  # nothing is wrong with it


def test_one_whose_lock_ran_out_while_nobody_came_goes_on(ctx, clock, tmp_path):
    incident_id = planned(ctx, "run-1")
    while_it_rests(clock, lambda: ctx.store.execute("UPDATE locks SET expires_at = 1"))
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    assert (tmp_path / "two").exists()


def test_by_a_clock_that_is_ahead_no_target_is_taken_from_who_holds_it(
    ctx, clock, tmp_path, monkeypatch
):
    incident_id = planned(ctx, "run-1")
    gate.look(ctx, deed())  # the clock is known by now
    assert locks.acquire(ctx.store, TARGET, "exe-another", 600)
    boot, started = clocks.machine_of(ctx).boot, clock.monotonic()
    monkeypatch.setattr(clocks, "machine_of", lambda _ctx: Machine("web-1", boot, started))
    ctx.store.execute("UPDATE checkpoints SET name = ? WHERE name LIKE ?", (
        "guard_clock:web-1", "guard_clock:%",
    ))
    clock.advance(7200.0)  # and nothing of it has really passed
    locks.acquire(ctx.store, registry.lock_name(incident_id), "run-1", 7200.0)
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "clock" in answer["reason"]
    assert not (tmp_path / "one").exists()
    row = ctx.store.one("SELECT owner FROM locks WHERE name = ?", (targets.lock_name("shop"),))
    assert row["owner"] == "exe-another"

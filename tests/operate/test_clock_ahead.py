"""By a clock that jumped ahead everybody seems dead and everything old: housekeeping ends nobody
and deletes nothing until the clock is believed again.
"""

from __future__ import annotations

import json

import pytest

from selfheal.guard import budgets, clock, locks, pause
from selfheal.guard.clock import Machine
from selfheal.incidents import registry
from selfheal.incidents.alerts import BY_HAND, MANUAL_SOURCE
from selfheal.operate import pausing
from selfheal.operate.housekeeping import housekeeping
from selfheal.remedy import journal
from tests import scene
from tests.guard.permits import begin, deed

YEARS_S = 5 * 365 * 86400.0
# Another host's: from here only its lock tells whether it lives.
ELSEWHERE = {"owner": {"host": "elsewhere", "pid": 1}}


@pytest.fixture(params=scene.BOTH)
def ctx(request, tmp_path, receiver, api, monkeypatch):
    context = scene.context(
        scene.store_url(request.param, tmp_path), api=api, notify=scene.webhook(receiver)
    )
    passed = [1000.0]  # seconds since boot: what no setting of the clock moves
    monkeypatch.setattr(clock, "machine_of", lambda _ctx: Machine("web-1", "boot-1", passed[0]))
    context.passed = passed
    housekeeping(context)  # what the clock is compared with from now on
    return context


def jumps(ctx, seconds):
    ctx.clock.at += seconds


def passes(ctx, seconds):
    ctx.clock.at += seconds
    ctx.passed[0] += seconds


def at_work(ctx, **incident):
    """A remedy at work on another host, half done and held by its locks."""
    scene.incident(ctx.store, run_id="run-1", attempts=1, **incident)
    execution_id = scene.execution(ctx.store, status="running", outcome=ELSEWHERE)
    journal.record_undo(ctx.store, "inc-1", execution_id, "restart", {"kind": "command"}, None)
    locks.acquire(ctx.store, "target:prod/shop/web", execution_id, 600)
    locks.acquire(ctx.store, registry.lock_name("inc-1"), "run-1", 600)


def states(ctx):
    return [
        ctx.store.value("SELECT status FROM %s" % table)
        for table in ("incidents", "execution_history", "undo_log")
    ]


@pytest.mark.parametrize(
    ("incident", "before"),
    [
        ({"status": "remediating"}, ["remediating", "running", "acting"]),
        ({"status": "escalated"}, ["escalated", "running", "acting"]),
        (
            {"status": "observed", "source": MANUAL_SOURCE, "alert_type": BY_HAND},
            ["observed", "running", "acting"],
        ),
    ],
)
def test_who_is_at_work_elsewhere_is_not_taken_for_dead(ctx, api, incident, before):
    at_work(ctx, **incident)
    jumps(ctx, 7200.0)
    result = housekeeping(ctx)
    assert states(ctx) == before
    seems_dead = [one["error"] for one in result["problems"] if one["part"] == "dead_responses"]
    assert len(result["problems"]) == len(seems_dead) == (before[0] == "remediating")
    assert all("inc-1" in words and "scope=clock" in words for words in seems_dead)
    assert "ahead" in result["parts"]["guard"]["clock"]
    assert [row for row in api.messages if row.get("trigger") == "selfheal.alert"] == []


def test_who_is_dead_is_found_as_soon_as_the_clock_is_believed(ctx):
    at_work(ctx, status="remediating")
    jumps(ctx, 7200.0)
    housekeeping(ctx)
    assert states(ctx)[1] == "running"
    pausing.resume(ctx, "clock", who="ada")
    housekeeping(ctx)
    assert states(ctx)[1] == "interrupted"


def test_a_clock_that_is_set_back_again_keeps_nobody_from_the_dead(ctx):
    at_work(ctx, status="remediating")
    jumps(ctx, YEARS_S)
    housekeeping(ctx)
    jumps(ctx, -YEARS_S)
    housekeeping(ctx)
    assert states(ctx)[1] == "running"
    passes(ctx, 601.0)
    housekeeping(ctx)
    assert states(ctx)[1] == "interrupted"


def test_nothing_is_old_by_a_clock_that_jumped(ctx):
    scene.incident(
        ctx.store, status="resolved", resolved_at=scene.START, updated_at=scene.START
    )
    assert begin(ctx, deed()) is None
    pausing.pause(ctx, "remedy=restart", minutes=30, who="ada")
    held = dict.fromkeys(("incidents", "incident_events", "budgets", "pauses", "pause_changes"))
    for table in held:
        held[table] = ctx.store.value("SELECT COUNT(*) FROM %s" % table)
    jumps(ctx, YEARS_S)
    assert housekeeping(ctx)["parts"]["retention"] == {}
    for table, count in held.items():
        assert ctx.store.value("SELECT COUNT(*) FROM %s" % table) == count, table
    jumps(ctx, -YEARS_S)
    housekeeping(ctx)
    assert budgets.left(ctx, deed("exe-2"))["target"]["hour"]["used"] == 1
    assert [one.words for one in pause.live(ctx.store)] == ["remedy=restart"]


def test_what_is_old_goes_once_the_clock_is_believed(ctx):
    scene.incident(
        ctx.store, status="resolved", resolved_at=scene.START, updated_at=scene.START
    )
    jumps(ctx, YEARS_S)
    housekeeping(ctx)
    passes(ctx, 60.0 * ctx.config.number("safety.clock_settle_minutes"))
    gone = housekeeping(ctx)["parts"]["retention"]
    assert gone["incidents"] == 1
    json.dumps(gone)

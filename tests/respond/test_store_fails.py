"""The database fails at a statement, is gone or full from one on, or drops the connection, anywhere
in a remedy or an undo: the answer is no or a recorded failure, nothing is done without a record of
its undo, and when the database is back everything goes on.

SELFHEAL_FAULTS=all fails each statement in turn; a few of them are failed always.
"""

from __future__ import annotations

import os

import pytest

from selfheal.incidents import evidence
from selfheal.respond.remediate import remediate, undo_remediation
from tests import needs
from tests.remedy import scenes
from tests.respond import dying_scene
from tests.respond.dying_scene import DROPPED, FAIL, FULL, GONE

EVERY = 1 if os.environ.get("SELFHEAL_FAULTS") == "all" else 23
STATEMENTS = {"respond": 77, "approved": 83, "hand": 70, "undo": 28}


@pytest.fixture
def scenery(tmp_path, url):
    needs.linux()
    clock = scenes.StillClock()
    dying_scene.write_runbook(tmp_path)
    ctx = dying_scene.context(tmp_path, url, clock)
    yield ctx, clock, tmp_path, url
    ctx.close()


def act_of(ctx, part, run_id):
    incident_id = dying_scene.prepared(ctx, run_id, is_asked=part == "approved")
    if part == "hand":
        ctx.store.execute("DELETE FROM locks")
        ctx.store.execute("UPDATE incidents SET status = 'ticketed' WHERE id = ?", (incident_id,))
        return incident_id, dying_scene.responding(incident_id, "")
    if part == "undo":
        assert remediate(ctx, incident_id, run_id)["outcome"] == "done"
        return incident_id, dying_scene.undoing(incident_id, run_id)
    return incident_id, dying_scene.responding(incident_id, run_id)


@pytest.mark.parametrize("part", STATEMENTS)
def test_whatever_statement_fails_nothing_is_lost_and_nothing_stays_stuck(scenery, part):
    ctx, clock, tmp_path, url = scenery
    world = dying_scene.World(tmp_path)
    for place in range(1 + len(part) % EVERY, STATEMENTS[part], EVERY):
        for what in (FAIL, GONE, FULL if url.startswith("sqlite") else DROPPED):
            clock.advance(2 * dying_scene.DAY_S)
            run_id = "run-%d-%s" % (place, what)
            incident_id, act = act_of(ctx, part, run_id)
            child = dying_scene.start(tmp_path, url, clock, act, what, place)
            assert not dying_scene.was_killed(child)
            cut_off = ctx.store.value("SELECT COUNT(*) FROM undo_log WHERE status = 'undoing'")
            dying_scene.later(ctx, clock)
            if part == "hand":  # a remedy that failed under a person's hand is theirs to undo
                assert undo_remediation(ctx, incident_id)["failed"] == 0
            world.check(ctx, cut_off)
            dying_scene.finish(ctx, incident_id)
            ctx.store.execute("DELETE FROM undo_log")
            world.clear()
    clock.advance(2 * dying_scene.DAY_S)
    incident_id, act = act_of(ctx, part, "last")
    assert not dying_scene.was_killed(dying_scene.start(tmp_path, url, clock, act))
    assert len(world.lines()) == (0 if part == "undo" else len(dying_scene.STEPS))
    assert evidence.examine_all(ctx.store).is_ok
    # Nobody holds a probe or a unit that nobody can free.
    assert ctx.store.value("SELECT COUNT(*) FROM circuit_breakers WHERE state <> 'closed'") == 0

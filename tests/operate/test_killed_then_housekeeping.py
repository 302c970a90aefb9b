"""`kill -9` of a remedy, an undo or housekeeping itself, at any statement and at any time: what
runs afterwards is housekeeping and nothing else, and each remedy was done whole or is undone, once.

SELFHEAL_KILLS=100 kills as often as the promise was made for; a few are killed always.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from selfheal.incidents import evidence
from selfheal.operate.housekeeping import housekeeping
from selfheal.respond.remediate import remediate
from tests import needs
from tests.remedy import scenes
from tests.respond import dying_scene

KILLS = int(os.environ.get("SELFHEAL_KILLS") or 12)
SEED = int(os.environ.get("SELFHEAL_KILL_SEED") or 20261122)
# Which part is killed, how many statements it has, and how many seconds it takes about.
PARTS = {
    "response": (76, 0.25),
    "approved response": (80, 0.25),
    "hand": (70, 0.25),
    "undo": (26, 0.2),
    "undo by hand": (26, 0.2),
    "housekeeping": (60, 0.3),
}


@pytest.fixture
def scenery(tmp_path, url):
    needs.linux()
    clock = scenes.StillClock()
    dying_scene.write_runbook(tmp_path)
    ctx = dying_scene.context(tmp_path, url, clock)
    yield ctx, clock, tmp_path, url
    ctx.close()


def killed(scenery, chance, act, statements, seconds):
    """Kill a child in the middle of `act`, at a statement or at a time; whether it was."""
    _, clock, tmp_path, url = scenery
    if chance.random() < 0.6:
        what = chance.choice((dying_scene.KILL_BEFORE, dying_scene.KILL_AFTER))
        place = chance.randint(1, statements)
        return dying_scene.was_killed(dying_scene.start(tmp_path, url, clock, act, what, place))
    child = dying_scene.start(tmp_path, url, clock, act)
    time.sleep(chance.uniform(0, seconds))
    os.kill(child, 9)
    return dying_scene.was_killed(child)


def prepare(ctx, part, run_id):
    """(incident, what a child does in `part`)."""
    incident_id = dying_scene.prepared(ctx, run_id, is_asked=part.startswith("approved"))
    whose = "" if part.endswith("hand") else run_id
    if part == "hand":
        ctx.store.execute("DELETE FROM locks")  # no response holds it any more
        ctx.store.execute("UPDATE incidents SET status = 'escalated' WHERE id = ?", (incident_id,))
    if not part.startswith("undo"):
        return incident_id, dying_scene.responding(incident_id, whose)
    assert remediate(ctx, incident_id, run_id)["outcome"] == "done"
    if not whose:
        ctx.store.execute("DELETE FROM locks")
        ctx.store.execute("UPDATE incidents SET status = 'escalated' WHERE id = ?", (incident_id,))
    return incident_id, dying_scene.undoing(incident_id, whose)


def undoing_now(ctx):
    return ctx.store.value("SELECT COUNT(*) FROM undo_log WHERE status = 'undoing'")


def test_housekeeping_alone_undoes_or_finishes_what_was_killed_anywhere(scenery):
    ctx, clock, tmp_path, _ = scenery
    chance, world, kills, turn = random.Random(SEED), dying_scene.World(tmp_path), 0, 0
    while kills < KILLS:
        turn += 1
        assert turn < 3 * KILLS + 20, "%d kills in %d turns" % (kills, turn)
        clock.advance(2 * dying_scene.DAY_S)
        part = list(PARTS)[turn % len(PARTS)]
        incident_id, act = prepare(ctx, part, "run-%d" % turn)
        if part == "housekeeping":  # first it must have something to do
            kills += killed(scenery, chance, act, *PARTS["response"])
            clock.advance(dying_scene.LATER_S)
            act = housekeeping
        kills += killed(scenery, chance, act, *PARTS[part])
        # Of an undo that was cut off nobody knows whether it ended, so it is done again.
        cut_off = undoing_now(ctx)
        dying_scene.later(ctx, clock)
        world.check(ctx, cut_off)
        before = world.log()
        dying_scene.finish(ctx, incident_id)
        dying_scene.later(ctx, clock)
        assert world.log() == before, "housekeeping did it once more"
        world.clear()
        ctx.store.execute("DELETE FROM undo_log")
    assert evidence.examine_all(ctx.store).is_ok

"""Many people, housekeepers and responses at one question at once: one verdict, used at most
once.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from selfheal.incidents import registry
from selfheal.remedy import plan as plans
from selfheal.respond.approval.settling import settle_approval
from tests.respond.approval_scene import BOTH, asked, context, row_of, told_of

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 20
ROUNDS = int(os.environ.get("SELFHEAL_RACE_ROUNDS", "2"))

# A process takes one part in every round; all wait at the door of a round until it opens.
RACER = """
import json, os, sys, time
from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import Refused
from selfheal.incidents import registry
from selfheal.remedy import plan as plans
from selfheal.respond import approval
from selfheal.respond.approval import answering, record

class Platform:
    execution_id = None
    def answer_inquiry(self, *_):
        pass

class Clock:
    def __init__(self, at): self.at = at
    def now(self): return self.at
    monotonic = now

given = json.loads(sys.argv[1])
ctx = Context(Config(given["config"]), clock=Clock(given["now"]), platform=Platform())
ctx.store.value("SELECT 1")
print("ready", flush=True)
for line in sys.stdin:
    part, question, incident_id, now = json.loads(line)
    ctx.clock.at = now
    try:
        if part in ("approve", "reject"):
            say = getattr(answering, part)
            answer = say(ctx, question, "", "p%d" % os.getpid())
            mine = answer["decided_by"] == "p%d" % os.getpid() and "before" not in answer["note"]
            found = answer["status"] if mine else "nothing"
        elif part == "expire":
            found = "expired" if record.expire_and_tell(ctx)["expired"] else "nothing"
        else:
            incident = registry.get(ctx.store, incident_id)
            is_mine = approval.use(
                ctx.store, incident, plans.hash_of(incident.plan), "exe-%d" % os.getpid()
            )
            found = "used" if is_mine else "nothing"
    except Refused:
        found = "refused"
    print(found, flush=True)
"""


class Racers:
    """Processes that each do their part of a round at once."""

    def __init__(self, ctx):
        given = {"config": dict(ctx.config.values), "now": ctx.clock.now()}
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "actions" / "lib"))
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(PROCESSES)
        ]
        for process in self._processes:
            assert process.stdout.readline() == "ready\n"

    def race(self, parts, approval_id, incident_id, now):
        """What each part came to, in the order of `parts`."""
        for process, part in zip(self._processes, parts):
            process.stdin.write(json.dumps([part, approval_id, incident_id, now]) + "\n")
        for process in self._processes:
            process.stdin.flush()
        return [process.stdout.readline().strip() for process in self._processes]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.stdin.close()
            process.wait(timeout=180)
            process.stdout.close()


@pytest.mark.parametrize("kind", BOTH)
def test_twenty_at_once_come_to_one_verdict(tmp_path, kind):
    ctx = context(tmp_path, kind)
    with Racers(ctx) as racers:
        for number in range(ROUNDS):
            run_id = "run-%d" % number
            incident_id, approval_id = asked(ctx, run_id, "inq-%d" % number)
            parts = ["approve"] * 8 + ["reject"] * 3 + ["expire"] * 3 + ["use"] * 6
            random.Random(number).shuffle(parts)
            # The last moment at which a yes is in time, and the first that is the end.
            now = ctx.clock.now() + 1800
            found = racers.race(parts, approval_id, incident_id, now)
            ctx.clock.time = now
            _check(ctx, found, run_id, incident_id, approval_id)
            ctx.clock.advance(1)
    ctx.close()


def _check(ctx, found, run_id, incident_id, approval_id):
    row = row_of(ctx, approval_id)
    assert found.count("approved") <= 1 and found.count("used") <= 1, found
    assert found.count("rejected") <= 1 and found.count("expired") <= 1, found
    assert not {"rejected", "expired"} <= set(found), found
    ends = {status for status in ("used", "rejected", "expired") if status in found}
    assert row["status"] == (ends.pop() if ends else "approved"), found
    assert not ends, found
    if "used" in found:
        assert "approved" in found, found
    assert len(told_of(ctx, incident_id, "approval_approved")) == found.count("approved")
    assert len(told_of(ctx, incident_id, "approval_rejected")) == found.count("rejected")
    assert len(told_of(ctx, incident_id, "approval_used")) == found.count("used")
    settled = {
        settle_approval(ctx, incident_id, approval_id, "yes", run_id)["verdict"] for _ in range(3)
    }
    expected = {"used": "approved"}.get(row["status"], row["status"])
    assert settled == {expected}
    incident = registry.get(ctx.store, incident_id)
    assert plans.hash_of(incident.plan) == row["plan_hash"]


@pytest.mark.parametrize("kind", BOTH)
def test_twenty_executions_share_no_yes(tmp_path, kind):
    ctx = context(tmp_path, kind)
    with Racers(ctx) as racers:
        for number in range(ROUNDS):
            run_id = "run-%d" % number
            incident_id, approval_id = asked(ctx, run_id, "inq-%d" % number)
            settle_approval(ctx, incident_id, approval_id, "yes", run_id)
            found = racers.race(["use"] * PROCESSES, approval_id, incident_id, ctx.clock.now())
            assert found.count("used") == 1, found
            assert row_of(ctx, approval_id)["status"] == "used"
    ctx.close()

"""Incidents become tickets while everything dies at random: the steps of responses, the workers
that carry letters (also by SIGKILL), and the tracker, before and after it has done its work.

In the end each incident has exactly one ticket, and each ticket every comment once and in order.
SELFHEAL_TICKETS says how many incidents: 1,000 for all, fewer where time is short.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from selfheal.respond import telling, ticketing
from tests import scene
from tests.tickets import desk as desks

INCIDENTS = int(os.environ.get("SELFHEAL_TICKETS", "100")) // 2  # in each of the two trackers
KILLS = max(4, INCIDENTS // 25)
WORKER = Path(__file__).with_name("ticket_worker.py")
_DIES_ONCE_IN = 300  # statements
_FAULTS = ("429", "500", "drop_before", "drop_after", "drop_after")
_FAULTY = 0.04  # of all requests
_MARK = re.compile(r"\bmsg-[0-9a-z]{10}-[0-9a-z]{6}\b")
STAGES = {
    "acknowledged": "Acknowledged",
    "analyzed": "Diagnostics",
    "decided": "Decision",
    "approval_requested": "A person is asked",
    "remediation_started": "Remediation started",
    "remediation_finished": "Remediation finished",
    "not_verified": "Not verified",
    "response_died": "The response died",
}


class Killed(BaseException):
    """The process ends here, with nothing of its own left to do."""


def script(chance):
    """What happens to an incident after it was escalated: [(what, heading of its comment)]."""
    steps = [(kind, STAGES[kind]) for kind in chance.sample(sorted(STAGES), chance.randint(1, 4))]
    steps += [("resolved", "Resolved")]
    for _ in range(chance.choice((0, 0, 1, 2))):
        kind = chance.choice(sorted(STAGES))
        steps += [("reopened", "The cause is back"), (kind, STAGES[kind]), ("resolved", "Resolved")]
    return steps


class Run:
    """One tracker, many incidents, and who works on them."""

    def __init__(self, desk, chance):
        self.desk, self.chance = desk, chance
        self.victim = None
        self.is_faulty = True
        self.faults = {}
        self.deaths = 0
        self.scripts = {"inc-%d" % n: script(chance) for n in range(INCIDENTS)}
        desk.stub.chance = self.fault

    def fault(self, _request):
        """What goes wrong with a request; a process that is to die dies while it waits for it."""
        if self.victim is not None and self.chance.random() < 0.08:
            os.kill(self.victim.pid, signal.SIGKILL)
            self.victim = None
            return self.chance.choice(("", "drop_before", "drop_after"))
        if not self.is_faulty or self.chance.random() >= _FAULTY:
            return ""
        kind = self.chance.choice(_FAULTS)
        self.faults[kind] = self.faults.get(kind, 0) + 1
        return kind

    def mortal(self):
        """A context whose process dies at some statement, before or after it was carried out."""
        ctx = self.desk.open()
        chance, store = self.chance, ctx.store
        execute = store._execute

        def dying(cursor, sql, parameters):
            if chance.random() * _DIES_ONCE_IN < 0.5:
                raise Killed
            execute(cursor, sql, parameters)
            if chance.random() * _DIES_ONCE_IN < 0.5:
                raise Killed

        store._execute = dying
        return ctx

    def does(self, work):
        """Do `work(ctx)` in a process that may die of it."""
        ctx = self.mortal()
        try:
            work(ctx)
        except Killed:
            self.deaths += 1
        finally:
            ctx.close()

    def turn(self):
        """What a worker does with all that waits, until it is done or dies."""
        self.does(lambda ctx: (ticketing.follow_all(ctx), telling.deliver(ctx, limit=500)))
        self.desk.clock.at += self.chance.choice((20, 60, 350))

    def happens(self, incident_id, what):
        if what in ("resolved", "reopened"):
            getattr(self.desk, what)(incident_id)
        else:
            self.desk.happens(what, "%s of %s" % (what, incident_id), incident_id, outcome="done")
        if self.chance.random() < 0.2:
            severity = self.chance.choice(("critical", "error", "warning"))
            self.desk.store.execute(
                "UPDATE incidents SET severity = ? WHERE id = ?", (severity, incident_id)
            )
        self.does(lambda ctx: ticketing.follow(ctx, incident_id))

    def kill_one(self):
        """A real process carries letters and is killed at a request of its own."""
        given = {
            "url": self.desk.url, "at": self.desk.clock.at,
            "sections": {**self.desk.sections, "tickets": self.desk.settings},
        }
        root = WORKER.parents[2]
        worker = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(given)], stdout=subprocess.PIPE, cwd=str(root)
        )
        try:
            assert worker.stdout.readline() == b"ready\n"
            self.victim = worker
            worker.wait(600)
        finally:
            self.victim = None
            worker.kill()
            worker.wait()
            worker.stdout.close()
        self.desk.clock.at += 310  # whoever is dead by then counts as dead
        return worker.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kind", desks.REAL)
def test_one_ticket_each_and_every_comment_once_in_order(kind, tmp_path):
    chance = random.Random("tickets:%s:%d" % (kind, INCIDENTS))
    clock = scene.Clock()
    more = {"lag_s": 50.0} if kind == "jira" else {}
    with importlib.import_module("tests.stub_%s" % kind).Stub(now=clock.now, **more) as stub:
        url = scene.store_url("sqlite", tmp_path)
        desk = desks.Desk(url, stub, {stub.section: stub.settings()}, clock)
        run = Run(desk, chance)
        killed = story(run)
        run.is_faulty = False
        desk.work(rounds=40)
        check(run)
        assert stub.violations == []
        assert run.deaths > INCIDENTS // 5 and killed >= KILLS // 2, (run.deaths, killed)
        assert set(run.faults) == set(_FAULTS)


def story(run):
    """Everything that happens; how many processes were killed."""
    desk, chance = run.desk, run.chance
    for incident_id in run.scripts:
        desk.incident(incident_id)
        desk.happens("analyzed", "no runbook fits", incident_id)
        desk.happens("decided", "escalate: no runbook", incident_id)
        desk.escalated(incident_id)
        run.does(lambda ctx, one=incident_id: ticketing.follow(ctx, one))
    left = {name: list(steps) for name, steps in run.scripts.items()}
    many, turns, killed = sum(map(len, left.values())), 0, 0
    while left:
        for name in chance.sample(sorted(left), min(len(left), 12)):
            run.happens(name, left[name].pop(0)[0])
            if not left[name]:
                del left[name]
        run.turn()
        turns += 1
        if killed < KILLS and turns % max(1, many // 12 // (KILLS + 1)) == 0:
            killed += int(run.kill_one())
    return killed


def check(run):
    """Each incident has one ticket, with every comment once and in order."""
    tickets = {}
    for ticket in run.desk.stub.tickets():
        assert ticket["correlation"] not in tickets, "made twice: %s" % ticket["correlation"]
        tickets[ticket["correlation"]] = ticket
    assert sorted(tickets) == sorted("selfheal-%s-0" % name for name in run.scripts)
    for name, steps in run.scripts.items():
        ticket = tickets["selfheal-%s-0" % name]
        found = [desks.heading_of(text) for text in ticket["comments"]]
        told = [one for one in found if not one.startswith("Severity:")]
        first = ["Diagnostics", "What was done before this ticket"]
        assert told == first + [heading for _, heading in steps], name
        marks = [_MARK.findall(text)[-1] for text in ticket["comments"]]
        assert len(set(marks)) == len(marks), name
        assert ticket["state"] in ("resolved", "closed"), name
    assert run.desk.waiting() == []

"""A help desk for tests: incidents in a store, one tracker (in memory, or a real server that speaks
as ServiceNow or Jira does), and the hands of the people who work there.
"""

from __future__ import annotations

import importlib
import itertools
from contextlib import contextmanager

from selfheal.config import load_schema
from selfheal.incidents import registry, timeline
from selfheal.respond import telling, ticket_sync, ticketing
from selfheal.tickets import links, trackers
from tests import scene
from tests.tickets import memory_tracker

REAL = ("servicenow", "jira")
ALL = ("memory", *REAL, "jira datacenter")
_numbers = itertools.count()
_SCHEMA = load_schema()


class Desk:
    """`stub` is the tracker: what tickets it has, and its *_by_hand(ref)."""

    def __init__(self, url, stub, sections, clock=None, **tickets):
        self.stub = stub
        self.clock = clock or scene.Clock()
        self.url, self.sections = url, sections
        self.tracker_name = "%s.default" % next(iter(sections))
        self.settings = {"attach_report": False, **tickets}
        self.ctx = self.open()
        self.store = self.ctx.store
        ticketing.follow_all(self.ctx)  # there was a tracker before there were incidents

    def open(self):
        """A context of its own, as another process has it."""
        ctx = scene.context(self.url, clock=self.clock, tickets=self.settings, **self.sections)
        ctx.config._schema = _SCHEMA  # read once: a crash test opens a thousand of them
        return ctx

    # What happens to incidents.

    def incident(self, incident_id="inc-1", **columns):
        return scene.incident(self.store, incident_id, **columns)

    def happens(self, kind, words="it happened", incident_id="inc-1", **data):
        """An entry of the timeline, as a step of a response writes it."""
        self.clock.at += 1
        timeline.record(self.store, incident_id, kind, words, data)

    def escalated(self, incident_id="inc-1", reason="strategy", **data):
        self.clock.at += 1
        registry.hand_over(
            self.store, incident_id, "escalated", "escalated to on-call",
            {"reason": reason, **data},
        )

    def resolved(self, incident_id="inc-1"):
        self.clock.at += 1
        words = "closed: the remediation worked"
        registry.resolve(self.store, incident_id, "remediated", words)

    def reopened(self, incident_id="inc-1"):
        """The cause is back, as attach writes it."""
        self.clock.at += 1
        again = registry.get(self.store, incident_id).reopened + 1
        registry.update(
            self.store, incident_id, status="open", reopened=again, resolution=None,
            resolved_at=None, cleared_at=None,
        )
        timeline.record(self.store, incident_id, "reopened", "the cause is back")

    # What we do.

    def work(self, rounds=6):
        """What housekeeping does with tickets, until nothing is left to do."""
        for _ in range(rounds):
            ticketing.follow_all(self.ctx)
            tried = any(one.tried for one in telling.deliver(self.ctx, limit=500))
            if not tried and not self.waiting():
                return
            self.clock.at += 400
        raise AssertionError("letters stay: %s" % self.waiting())

    def follow(self, incident_id="inc-1"):
        """What each step of a response does; how many letters it posted."""
        return ticketing.follow(self.ctx, incident_id)

    def sync(self, incident_id=""):
        """Look at the tickets now; what was seen, by kind."""
        self.clock.at += 1
        found = ticket_sync.ticket_sync(self.ctx, incident_id)
        assert found["problems"] == [], found
        return [one["what"] for one in found["changes"]]

    # What there is to see.

    def waiting(self):
        return self.store.query(
            "SELECT kind, status, last_error FROM outbox WHERE status IN ('pending', 'dead') "
            "AND queue LIKE ?",
            ("ticket:%",),
        )

    def ticket(self):
        """The only ticket that there is."""
        (found,) = self.stub.tickets()
        return found

    def headings(self, ref=None):
        """The first lines of a ticket's comments (of the only one's), without their times."""
        found = self.stub.tickets()
        if ref is None:
            assert len(found) == 1, found
        (ticket,) = [one for one in found if ref in (None, one["ref"])]
        return [heading_of(text) for text in ticket["comments"]]

    def links(self, incident_id="inc-1"):
        return links.of_incident(self.store, incident_id)

    def kinds(self, incident_id="inc-1"):
        """The kinds of the timeline's entries that tell of tickets."""
        return [one for one in scene.kinds(self.store, incident_id) if one.startswith("ticket_")]


def heading_of(text):
    """What a comment is, from its text in whatever markup."""
    line = next(line for line in text.splitlines() if line.strip(" #*_=[]h1234."))
    line = line.strip(" #*_=[]")
    for start in ("h1.", "h2.", "h3.", "h4."):
        line = line[len(start):].strip() if line.startswith(start) else line
    return line.partition(" (2")[0].partition(" (1")[0].strip(" *_")


@contextmanager
def desk(kind, url, monkeypatch, clock=None, **tickets):
    """A desk whose tracker is of `kind` (one of ALL)."""
    if kind == "memory":
        monkeypatch.setitem(trackers.MODULES, "memory", memory_tracker.MODULE)
        place = "http://memory.example/%d" % next(_numbers)
        yield Desk(url, memory_tracker.at(place), {"memory": {"url": place}}, clock, **tickets)
        return
    system, _, flavour = kind.partition(" ")
    module = importlib.import_module("tests.stub_%s" % system)
    with module.Stub(*flavour.split()) as stub:
        if system == "servicenow":
            stub.made_by_others()
        yield Desk(url, stub, {stub.section: stub.settings()}, clock, **tickets)
        assert stub.violations == []

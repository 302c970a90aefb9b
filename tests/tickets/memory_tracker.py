"""A tracker in memory, for tests of what is decided above trackers: one by its url, shared by all
who name that url.
"""

from __future__ import annotations

from dataclasses import replace

from selfheal.document import plain
from selfheal.exceptions import NotFound, Refused
from selfheal.tickets.model import (
    ASSIGNEE,
    CLOSED,
    DONE,
    IN_PROGRESS,
    OPEN,
    RESOLVED,
    STATE,
    Author,
    Ticket,
)

MODULE = "tests.tickets.memory_tracker"
_BY_URL = {}


def tracker(ctx, target):
    """As the modules of real trackers."""
    settings = ctx.config.targets("memory")[target]
    found = _BY_URL.setdefault(settings["url"], Memory())
    found.name = "memory.%s" % target
    return found


def at(url):
    """The tracker at that url, made when there is none."""
    return _BY_URL.setdefault(url, Memory())


class Memory:
    """See selfheal.tickets.model.Tracker; `fail` is called before and after each write."""

    def __init__(self):
        self.name = "memory.default"
        self.by_ref = {}
        self.correlations = {}
        self.comments = {}
        self.log = []
        self.drafts = {}
        self.has_states = True
        self.fail = lambda when, what: None
        self.is_proven = True  # that it would show what is there; or an error
        self.hidden = set()  # what our user may not see
        self.authors = {}  # (ref, what): who

    # What a tracker does.

    def find(self, correlation):
        assert correlation
        return [
            self.by_ref[ref]
            for ref, value in self.correlations.items()
            if value == correlation and ref in self.by_ref and ref not in self.hidden
        ]

    def create(self, draft):
        self.fail("before", "create")
        ref = str(len(self.drafts) + 1)
        number = "MEM-%s" % ref
        self.by_ref[ref] = Ticket(
            ref, number, "http://memory/%s" % number, OPEN, "New", kind="incident",
            severity=draft.severity,
        )
        self.correlations[ref] = draft.correlation
        self.drafts[ref] = draft
        self.comments[ref] = []
        self.log.append(("create", ref))
        self.fail("after", "create")
        return self.by_ref[ref]

    def read(self, refs):
        shown = set(self.by_ref) - self.hidden
        return {ref: self.by_ref[ref] for ref in refs if ref in shown}

    def sees(self, refs):
        if isinstance(self.is_proven, Exception):
            raise self.is_proven
        return self.is_proven

    def author(self, ref, what):
        return self.authors.get((ref, what))

    def complete(self, ref, draft):
        pass

    def comment(self, ref, body, mark):
        self.fail("before", "comment")
        self._there(ref)
        self.comments[ref].append((mark, plain(body)))
        self.log.append(("comment", ref, plain(body).splitlines()[0]))
        self.fail("after", "comment")

    def has_comment(self, ref, mark):
        return any(known == mark for known, _ in self.comments[ref])

    def set_severity(self, ref, severity):
        self._set(ref, "severity", severity=severity)

    def resolve(self, ref, body, resolved_at):
        if not self.has_states:
            raise Refused("this type has no state Resolved")
        self.authors[ref, STATE] = Author(("selfheal",), is_us=True)
        self._set(ref, "resolve", state=RESOLVED, raw_state="Resolved", updated_by="selfheal")

    def reopen(self, ref, body):
        if not self.has_states:
            raise Refused("this type has no state Open")
        self._set(ref, "reopen", state=IN_PROGRESS, raw_state="In Progress", updated_by="selfheal")

    def link(self, ref, other, words):
        self._there(ref)
        self.log.append(("link", ref, other.number))

    def attach(self, ref, name, content, media_type):
        self._there(ref)
        self.log.append(("attach", ref, name))

    # What people do.

    def close_by_hand(self, ref):
        self.authors[ref, STATE] = Author(("ann",))
        self._by_hand(ref, state=CLOSED, raw_state="Closed")

    def reopen_by_hand(self, ref):
        self._by_hand(ref, state=OPEN, raw_state="New")

    def assign_by_hand(self, ref, who="ann", by=None):
        if by:
            self.authors[ref, ASSIGNEE] = Author((by,), is_us=by == "selfheal")
        self._by_hand(ref, assignee=who)

    def delete_by_hand(self, ref):
        del self.by_ref[ref]

    def move_by_hand(self, ref):
        self._by_hand(ref, number="OTHER-%s" % ref, url="http://memory/OTHER-%s" % ref)

    def change_kind_by_hand(self, ref):
        self._by_hand(ref, kind="problem")
        self.has_states = False

    # What there is to see.

    def tickets(self):
        return [
            {
                "ref": ref, "number": one.number, "correlation": self.correlations[ref],
                "state": one.state, "raw_state": one.raw_state,
                "comments": [text for _, text in self.comments[ref]],
                "severity": one.severity, "assignee": one.assignee, "kind": one.kind,
                "title": self.drafts[ref].title, "body": plain(self.drafts[ref].body),
            }
            for ref, one in self.by_ref.items()
        ]

    def _set(self, ref, what, **columns):
        self.fail("before", what)
        self._there(ref)
        self.by_ref[ref] = replace(self.by_ref[ref], **columns)
        self.log.append((what, ref))
        self.fail("after", what)

    def _by_hand(self, ref, **columns):
        self.by_ref[ref] = replace(self.by_ref[ref], **{"updated_by": "ann", **columns})

    def _there(self, ref):
        if ref not in self.by_ref:
            raise NotFound("no ticket %s" % ref)
        assert self.by_ref[ref].state in (*DONE, OPEN, IN_PROGRESS)

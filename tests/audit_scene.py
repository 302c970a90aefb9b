"""The scene of the audit's tests: a store with chains, executions and seals, and hands that tamper
with it and are taken back.
"""

from __future__ import annotations

from contextlib import contextmanager

from selfheal.incidents import evidence, timeline
from selfheal.remedy import journal
from selfheal.store import seals

PLAN = {"remedy": "runbook", "runbook": "restart", "risk": "reversible"}
INCIDENTS = ("inc-1", "inc-2", "inc-3")
EVENTS = 6


class _TakenBack(Exception):
    """Ends a transaction without a trace."""


def fill(store):
    """Three incidents of six events each, the second with two executions, all sealed; then one
    event more of the third, which is not.
    """
    for name in INCIDENTS:
        for number in range(EVENTS):
            once = "key-%d" % number if number == 2 else None
            timeline.record(
                store, name, "note", "entry %d" % number, {"number": number}, "run-1", once
            )
    first = journal.begin(store, "inc-2", "run-1", PLAN)
    journal.finish(store, first, journal.DONE, {"outcome": "done"})
    journal.set_verified(store, first, True)
    journal.begin(store, "inc-2", "", PLAN, journal.REFUSED, outcome={"outcome": "refused"})
    seals.seal_changed(store)
    timeline.record(store, "inc-3", "note", "after the seal")
    return store


@contextmanager
def taken_back(store):
    """What is done inside leaves no trace."""
    try:
        with store.transaction():
            yield store
            raise _TakenBack
    except _TakenBack:
        pass


def kinds_found(store, incident_id=None):
    """{(part, kind)} of all findings, or of one incident's."""
    report = evidence.examine_all(store)
    return {
        (finding.part, finding.kind)
        for name, findings in report.broken.items()
        for finding in findings
        if incident_id in (None, name)
    }

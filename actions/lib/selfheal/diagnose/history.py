"""What experience says: how often this cause was seen, and whether this remedy helped then.

The confidence written in a runbook weighs as much as four past runs; each run on the same cause
whose effect was proven or disproven by the signal counts as one more. Runs that nobody judged say
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfheal.records import dataclass
from selfheal.store import Store

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

PRIOR_WEIGHT = 4.0
_MAX_RUNS = 100
_DAY_S = 86400.0
WINDOW_DAYS = 30


@dataclass(frozen=True)
class Experience:
    """Runs of one remedy on one cause: how many helped, how many did not."""

    helped: int
    failed: int


def times_seen(store: Store, incident: Incident) -> int:
    """Other incidents of the same cause in the last WINDOW_DAYS days."""
    return int(
        store.value(
            "SELECT COUNT(*) FROM incidents WHERE group_key = ? AND id <> ? AND opened_at >= ?",
            (incident.group_key, incident.id, store.now() - WINDOW_DAYS * _DAY_S),
        ) or
        0
    )


def experience(store: Store, incident: Incident, remedy: str) -> Experience:
    """How the newest runs of `remedy` ("runbook:<name>") on this cause ended: proven, or failed or
    disproven.
    """
    rows = store.query(
        "SELECT e.status, e.verified FROM execution_history e JOIN incidents i ON i.id = "
        "e.incident_id "
        "WHERE i.group_key = ? AND e.remedy = ? AND e.dry_run = 0 AND (e.verified IS NOT NULL OR "
        "e.status = ?) "
        "ORDER BY e.started_at DESC LIMIT ?",
        (incident.group_key, remedy, "failed", _MAX_RUNS),
    )
    helped = sum(1 for row in rows if row["verified"])
    return Experience(helped, len(rows) - helped)


def adjusted(confidence: float, past: Experience) -> float:
    """The runbook's own confidence, moved by experience."""
    runs = past.helped + past.failed
    return (confidence * PRIOR_WEIGHT + past.helped) / (PRIOR_WEIGHT + runs)


def in_words(confidence: float, past: Experience) -> str:
    """How the confidence came about."""
    runs = past.helped + past.failed
    if not runs:
        return (
            "confidence %.2f, as the runbook states; it has not been tried on this cause"
            % confidence
        )
    return "confidence %.2f: the runbook states %.2f and helped in %d of %d runs on this cause" % (
        adjusted(confidence, past),
        confidence,
        past.helped,
        runs,
    )

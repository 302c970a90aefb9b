"""What happened in a stretch of time, in numbers: documents taken in, incidents detected and how
they ended, remediations and whether they helped.

Counts of incidents are of distinct incidents to which that happened within the time, so that an
incident that was opened before it and closed in it counts as resolved. A remediation counts where
it began, with what is known of its outcome by now.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from selfheal.incidents import model
from selfheal.remedy import journal
from selfheal.store import Store, dump
from selfheal.store.engine import placeholders

RESOLUTIONS = ("remediated", "self_resolved", "manual")
HANDED_OVER = tuple(sorted(model.HANDED_OVER))
# What of an incident is counted, in the order in which people read it.
COUNTED = ("detected", "reopened", "analysed", "resolved", *RESOLUTIONS, *HANDED_OVER, "failed")
_KINDS = {"opened": "detected", "analyzed": "analysed", "reopened": "reopened"}
_KINDS.update({kind: kind for kind in HANDED_OVER})
# A remedy that was refused or only planned was not tried.
_TRIED = (journal.RUNNING, journal.DONE, journal.FAILED, journal.INTERRUPTED, journal.CLEARED)
_LOST = (journal.FAILED, journal.INTERRUPTED)
_OUTCOME = (
    "CASE WHEN e.verified = 1 OR (e.status = ? AND e.verified IS NULL AND i.status = ? AND "
    "i.resolution = ?) THEN 'succeeded' WHEN e.verified = 0 OR e.status IN (?, ?) THEN 'failed' "
    "ELSE 'undecided' END"
)


def documents(store: Store, since: float, until: float) -> Dict[str, Dict[str, int]]:
    """{origin: {"documents", "unreadable", "new_patterns"}} by the minute in which they were seen;
    `since` and `until` are cut to whole minutes.
    """
    rows = store.query(
        "SELECT origin, SUM(documents) AS documents, SUM(unreadable) AS unreadable, "
        "SUM(new_patterns) AS new_patterns FROM error_intake WHERE minute >= ? AND minute < ? "
        "GROUP BY origin ORDER BY origin",
        (int(since // 60), int(until // 60)),
    )
    names = ("documents", "unreadable", "new_patterns")
    return {str(row["origin"]): {name: int(row[name]) for name in names} for row in rows}


def incidents(store: Store, since: float, until: float) -> Dict[str, Dict[str, int]]:
    """{source: {name of COUNTED: how many}}, only sources of which there is something to say."""
    found: Dict[str, Dict[str, int]] = {}

    def note(source: Any, name: str, many: Any) -> None:
        found.setdefault(str(source), dict.fromkeys(COUNTED, 0))[name] += int(many)

    for row in store.query(
        "SELECT i.source, e.kind, COUNT(DISTINCT e.incident_id) AS many "
        "FROM incident_events e JOIN incidents i ON i.id = e.incident_id "
        "WHERE e.at >= ? AND e.at < ? AND e.kind IN (%s) "
        # Of some incidents only the end has ever been heard of.
        "AND NOT (e.kind = 'opened' AND i.resolved_at IS NOT NULL AND i.resolved_at = i.opened_at) "
        "GROUP BY i.source, e.kind" % placeholders(list(_KINDS)),
        (since, until, *_KINDS),
    ):
        note(row["source"], _KINDS[row["kind"]], row["many"])
    for resolution in RESOLUTIONS:
        for row in _resolved_as(store, resolution, since, until):
            note(row["source"], resolution, row["many"])
            note(row["source"], "resolved", row["many"])
    for row in _failed(store, since, until):
        note(row["source"], "failed", row["many"])
    return {source: found[source] for source in sorted(found)}


def remediations(store: Store, since: float, until: float) -> Dict[str, int]:
    """{"tried", "succeeded" (the signal proved it), "failed", "undecided"}; no dry runs."""
    rows = store.query(
        "SELECT %s AS outcome, COUNT(*) AS many FROM execution_history e "
        "LEFT JOIN incidents i ON i.id = e.incident_id WHERE e.started_at >= ? AND "
        "e.started_at < ? AND e.dry_run = 0 AND e.status IN (%s) GROUP BY 1"
        % (_OUTCOME, placeholders(_TRIED)),
        (journal.DONE, model.RESOLVED, "remediated", *_LOST, since, until, *_TRIED),
    )
    counts = {"succeeded": 0, "failed": 0, "undecided": 0}
    counts.update({str(row["outcome"]): int(row["many"]) for row in rows})
    return dict(tried=sum(counts.values()), **counts)


def times_to_resolve(store: Store, since: float, until: float) -> Dict[str, Tuple[int, float]]:
    """{source: (incidents closed within the time and still closed, their mean seconds from the
    opening, or the last reopening, to the end)}.
    """
    began = (
        "COALESCE((SELECT MAX(e.at) FROM incident_events e WHERE e.incident_id = i.id AND "
        "e.kind = 'reopened' AND e.at <= i.resolved_at), i.opened_at)"
    )
    rows = store.query(
        "SELECT i.source, COUNT(*) AS many, AVG(i.resolved_at - %s) AS mean FROM incidents i "
        "WHERE i.status = ? AND i.updated_at >= ? AND i.resolved_at >= ? AND i.resolved_at < ? "
        "AND i.resolved_at > i.opened_at GROUP BY i.source" % began,
        (model.RESOLVED, since, since, until),
    )
    return {str(row["source"]): (int(row["many"]), float(row["mean"])) for row in rows}


def unresolved(store: Store) -> Dict[str, Dict[str, int]]:
    """{source: {"active", "handed_over"}}: incidents that are not closed now."""
    rows = store.query(
        "SELECT source, status, COUNT(*) AS many FROM incidents WHERE status IN (%s) "
        "GROUP BY source, status ORDER BY source"
        % placeholders(sorted(model.STATUSES - {model.RESOLVED})),
        sorted(model.STATUSES - {model.RESOLVED}),
    )
    counts: Dict[str, Dict[str, int]] = {}
    for row in rows:
        group = "active" if row["status"] in model.ACTIVE else "handed_over"
        own = counts.setdefault(str(row["source"]), {"active": 0, "handed_over": 0})
        own[group] += int(row["many"])
    return counts


def proven_so_far(store: Store) -> Dict[str, int]:
    """{"succeeded", "failed"}: judged remediations since the store was made."""
    row = store.one("SELECT SUM(successes) AS good, SUM(failures) AS bad FROM solutions") or {}
    return {"succeeded": int(row.get("good") or 0), "failed": int(row.get("bad") or 0)}


def summed(counts: Mapping[str, Mapping[str, int]], names: Tuple[str, ...]) -> Dict[str, int]:
    """The counts of all sources together."""
    return {name: sum(own.get(name, 0) for own in counts.values()) for name in names}


def success_rate(counts: Mapping[str, int]) -> Optional[float]:
    """Share of the judged remediations that helped; None when none was judged."""
    judged = counts["succeeded"] + counts["failed"]
    return round(counts["succeeded"] / judged, 3) if judged else None


def _resolved_as(
    store: Store, resolution: str, since: float, until: float
) -> List[Dict[str, Any]]:
    return store.query(
        "SELECT i.source, COUNT(DISTINCT e.incident_id) AS many FROM incident_events e "
        "JOIN incidents i ON i.id = e.incident_id WHERE e.at >= ? AND e.at < ? AND "
        "e.kind = 'resolved' AND e.data = ? GROUP BY i.source",
        (since, until, dump({"resolution": resolution})),
    )


def _failed(store: Store, since: float, until: float) -> List[Dict[str, Any]]:
    """Incidents that had to be escalated, or a remediation of which failed."""
    return store.query(
        "SELECT i.source, COUNT(*) AS many FROM incidents i WHERE i.id IN ("
        "SELECT incident_id FROM incident_events WHERE at >= ? AND at < ? AND kind IN (?, ?) "
        "UNION SELECT incident_id FROM execution_history WHERE status IN (?, ?) AND dry_run = 0 "
        "AND finished_at >= ? AND finished_at < ?) GROUP BY i.source",
        (since, until, model.ESCALATED, "not_verified", *_LOST, since, until),
    )

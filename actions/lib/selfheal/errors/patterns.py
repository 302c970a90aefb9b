"""Questions people ask about patterns of errors: which there are, and everything about one.

Times come back as ISO text in UTC. Values from outside are cut to a readable length here; the door
makes them harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from selfheal.errors.classify import TYPES
from selfheal.errors.record import UNREADABLE
from selfheal.errors.similar import similar
from selfheal.errors.windows import OF_GROUP, span
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents import model
from selfheal.store import Row, Store, load
from selfheal.store.engine import placeholders
from selfheal.text import cap, iso, one_line, truncate

if TYPE_CHECKING:
    from selfheal.context import Context

MAX_LISTED = 200
MINUTE_S = 60
ORDERS = {
    "occurrences": "occurrences DESC, fingerprint",
    "last_seen": "last_seen_at DESC, fingerprint",
    "first_seen": "first_seen_at DESC, fingerprint",
}
_SHOWN = 200
_SAMPLES = 10
_GROUPS = 50
_INCIDENTS = 20
_SIMILAR = 10
_COMPARED = 1000
_COLUMNS = (
    "fingerprint, template, error_type, severity, rule, occurrences, first_seen_at, last_seen_at"
)


def error_pattern_list(
    ctx: Context,
    type: str = "",
    severity: str = "",
    hours: float = 24,
    order: str = "occurrences",
    limit: int = 50,
) -> Dict[str, Any]:
    """Patterns of errors, most frequent or latest first: {"patterns": [...], "count"}.

    `hours` leaves out those last seen before then (0: none). A pattern that was merged into another
    shows there, as `merged` (how many) and `with_merged` (occurrences together). Raises
    InvalidInput.
    """
    _one_of("type", type, ("", *sorted({*TYPES, UNREADABLE})))
    _one_of("severity", severity, ("", *model.SEVERITIES))
    _one_of("order", order, sorted(ORDERS))
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
        raise InvalidInput(
            "limit must be a whole number from 1 to %d, not %r" % (MAX_LISTED, limit)
        )
    if hours < 0:
        raise InvalidInput("hours must be 0 (no limit) or more, not %s" % hours)
    conditions = ["merged_into IS NULL"]
    parameters: List[Any] = []
    for column, value in (("error_type", type), ("severity", severity)):
        if value:
            conditions.append("%s = ?" % column)
            parameters.append(value)
    if hours:
        conditions.append("last_seen_at >= ?")
        parameters.append(ctx.clock.now() - float(hours) * 3600)
    rows = ctx.store.query(
        "SELECT %s FROM error_patterns WHERE %s ORDER BY %s LIMIT ?"
        % (_COLUMNS, " AND ".join(conditions), ORDERS[order]),
        (*parameters, limit),
    )
    merged = _merged(ctx.store, [row["fingerprint"] for row in rows])
    alerting = _open_incidents(ctx.store, [row["fingerprint"] for row in rows])
    shown = []
    for row in rows:
        others = merged.get(row["fingerprint"], [])
        shown.append(
            {
                **_facts(row, _SHOWN),
                "merged": len(others),
                "with_merged": row["occurrences"] + sum(one["occurrences"] for one in others),
                "open_incidents": alerting.get(row["fingerprint"], 0),
            }
        )
    return {"patterns": shown, "count": len(shown)}


def error_pattern_get(ctx: Context, fingerprint: str) -> Dict[str, Any]:
    """Everything about one pattern: where it happens, how often, its latest documents, its
    incidents, what is merged into it and what reads alike. Raises NotFound.
    """
    store = ctx.store
    row = pattern(store, fingerprint)
    groups = store.query(
        "SELECT group_key, scope, origin, severity, occurrences, first_logged_at, last_logged_at, "
        "alerting_since, incident_id, next_alert_at FROM error_groups WHERE fingerprint = ? "
        "ORDER BY last_logged_at DESC LIMIT ?",
        (fingerprint, _GROUPS),
    )
    return {
        **_facts(row, 4000),
        "sample": truncate(row["sample"], 4000),
        "merged_into": row["merged_into"],
        "merged_at": None if row["merged_at"] is None else iso(row["merged_at"]),
        "merged_by": row["merged_by"],
        "merged": [
            _facts(one, _SHOWN) for one in _merged(store, [fingerprint]).get(fingerprint, [])
        ],
        "rate": _rate(store, fingerprint, ctx.clock.now()),
        "groups": [_group(group) for group in groups],
        "samples": _samples(store, [group["group_key"] for group in groups]),
        "incidents": _incidents(store, fingerprint),
        "similar": _similar(store, row),
    }


def pattern(store: Store, fingerprint: str) -> Row:
    """The row of a pattern. Raises NotFound."""
    row = store.one("SELECT * FROM error_patterns WHERE fingerprint = ?", (fingerprint,))
    if row is None:
        raise NotFound(
            "there is no error pattern %r; error_pattern_list shows those there are"
            % one_line(fingerprint, 64)
        )
    return row


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InvalidInput(
            "%s must be one of %s, not %r"
            % (name, ", ".join(one for one in allowed if one), str(value)[:40])
        )


def _facts(row: Row, limit: int) -> Dict[str, Any]:
    shorten = one_line if limit == _SHOWN else truncate
    return {
        "fingerprint": row["fingerprint"],
        "template": shorten(row["template"], limit),
        "error_type": row["error_type"],
        "severity": row["severity"],
        "rule": row["rule"],
        "occurrences": row["occurrences"],
        "first_seen_at": iso(row["first_seen_at"]),
        "last_seen_at": iso(row["last_seen_at"]),
    }


def _merged(store: Store, fingerprints: Sequence[str]) -> Dict[str, List[Row]]:
    found: Dict[str, List[Row]] = {}
    if fingerprints:
        rows = store.query(
            "SELECT merged_into, %s FROM error_patterns WHERE merged_into IN (%s) "
            "ORDER BY fingerprint" % (_COLUMNS, placeholders(fingerprints)),
            fingerprints,
        )
        for row in rows:
            found.setdefault(row["merged_into"], []).append(row)
    return found


def _open_incidents(store: Store, fingerprints: Sequence[str]) -> Dict[str, int]:
    if not fingerprints:
        return {}
    rows = store.query(
        "SELECT g.fingerprint, COUNT(DISTINCT i.id) AS many FROM error_groups g "
        "JOIN incidents i ON i.id = g.incident_id WHERE i.status <> 'resolved' AND "
        "g.fingerprint IN (%s) GROUP BY g.fingerprint" % placeholders(fingerprints),
        fingerprints,
    )
    return {row["fingerprint"]: row["many"] for row in rows}


def _rate(store: Store, fingerprint: str, now: float) -> Dict[str, int]:
    """Errors of the last 5 minutes, hour and day, in whole minutes."""
    minute = int(now // MINUTE_S)
    spans = {"last_5_minutes": 5, "last_hour": 60, "last_day": 1440}
    sums = ", ".join(
        "SUM(CASE WHEN minute > ? THEN stored + counted ELSE 0 END) AS %s" % name for name in spans
    )
    row = store.one(
        "SELECT %s FROM error_counts WHERE minute > ? AND group_key IN "
        "(SELECT group_key FROM error_groups WHERE fingerprint = ?)" % sums,
        (*(minute - span for span in spans.values()), minute - 1440, fingerprint),
    ) or {}
    return {name: int(row.get(name) or 0) for name in spans}


def _group(row: Row) -> Dict[str, Any]:
    return {
        "group_key": row["group_key"],
        "scope": one_line(row["scope"], 500),
        "origin": row["origin"],
        "severity": row["severity"],
        "occurrences": row["occurrences"],
        "first_logged_at": iso(row["first_logged_at"]),
        "last_logged_at": iso(row["last_logged_at"]),
        "alerting_since": row["alerting_since"],
        "incident_id": row["incident_id"],
        "next_alert_at": _when(row["next_alert_at"]),
    }


def _when(at: Optional[float]) -> Optional[str]:
    return None if at is None else iso(at)


def _samples(store: Store, keys: Sequence[str]) -> List[Dict[str, Any]]:
    """The latest documents of these groups, the latest first."""
    rows: List[Row] = []
    for key in keys[:_SAMPLES]:
        rows += store.query(
            "SELECT document_id, logged_at, host, program, severity, message, detail "
            "FROM error_logs WHERE %s ORDER BY group_key DESC, logged_at DESC LIMIT ?" % OF_GROUP,
            (*span(key, float("-inf")), _SAMPLES),
        )
    rows.sort(key=lambda row: (-row["logged_at"], row["document_id"]))
    return [
        {
            "document_id": row["document_id"],
            "logged_at": iso(row["logged_at"]),
            "host": one_line(row["host"], _SHOWN),
            "program": one_line(row["program"], _SHOWN),
            "severity": row["severity"],
            "message": truncate(row["message"], 1000),
            "detail": cap(load(row["detail"]), 1000, 30),
        }
        for row in rows[:_SAMPLES]
    ]


def _incidents(store: Store, fingerprint: str) -> List[Dict[str, Any]]:
    rows = store.query(
        "SELECT id, title, status, severity, resolution, opened_at FROM incidents WHERE id IN "
        "(SELECT incident_id FROM alerts WHERE fingerprint IN "
        "(SELECT 'elk:' || group_key FROM error_groups WHERE fingerprint = ?)) "
        "ORDER BY opened_at DESC, id DESC LIMIT ?",
        (fingerprint, _INCIDENTS),
    )
    return [
        {
            "incident_id": row["id"],
            "title": one_line(row["title"], _SHOWN),
            "status": row["status"],
            "severity": row["severity"],
            "resolution": row["resolution"],
            "opened_at": iso(row["opened_at"]),
        }
        for row in rows
    ]


def _similar(store: Store, row: Row) -> List[Dict[str, Any]]:
    others = store.query(
        "SELECT fingerprint, template, merged_into FROM error_patterns WHERE fingerprint <> ? "
        "ORDER BY last_seen_at DESC LIMIT ?",
        (row["fingerprint"], _COMPARED),
    )
    by_template = {other["template"]: other for other in others}
    return [
        {
            "fingerprint": by_template[template]["fingerprint"],
            "template": one_line(template, _SHOWN),
            "likeness": likeness,
            "merged_into": by_template[template]["merged_into"],
        }
        for template, likeness in similar(row["template"], list(by_template))[:_SIMILAR]
    ]

"""Questions people ask about incidents: which there are, everything about one, what happened when.

Times come back as ISO text in UTC. Values from outside are cut to a readable length here; the door
makes them harmless.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.diagnose import record
from selfheal.exceptions import InvalidInput
from selfheal.incidents import model, registry, timeline
from selfheal.store import Row, Store, load
from selfheal.store.engine import placeholders
from selfheal.text import cap, iso, one_line, without_credentials

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

MAX_LISTED = 200
MAX_ENTRIES = 1000
# Filters that name several states.
GROUPS = {
    "active": model.ACTIVE,
    "handed_over": model.HANDED_OVER,
    "unresolved": model.STATUSES - {model.RESOLVED},
}
_SOURCE = re.compile(r"[0-9A-Za-z_.:-]{1,64}\Z")
_SHOWN = 200
_COLUMNS = (
    "id, title, severity, status, source, alert_type, cluster, namespace, workload, instance, "
    "service, strategy, resolution, alert_count, attempts, reopened, dry_run, opened_at, "
    "last_seen_at, updated_at, resolved_at"
)


def incident_list(
    ctx: Context,
    status: str = "",
    severity: str = "",
    source: str = "",
    hours: float = 24,
    limit: int = 50,
) -> Dict[str, Any]:
    """Incidents, newest first: {"incidents": [...], "count"}.

    `status` is a state or active, handed_over, unresolved. `hours` leaves out closed incidents last
    changed before then (0: none); those still open always show. Raises InvalidInput naming what the
    filters may be.
    """
    conditions, parameters = _conditions(status, severity, source)
    count = _whole("limit", limit, 1, MAX_LISTED)
    if hours < 0:
        raise InvalidInput("hours must be 0 (no limit) or more, not %s" % hours)
    if hours:
        conditions.append("(status <> ? OR updated_at >= ?)")
        parameters += [model.RESOLVED, ctx.clock.now() - float(hours) * 3600]
    rows = ctx.store.query(
        "SELECT %s FROM incidents WHERE %s ORDER BY opened_at DESC, id DESC LIMIT ?"
        % (_COLUMNS, " AND ".join(conditions) or "1 = 1"),
        (*parameters, count),
    )
    return {"incidents": [_line(row) for row in rows], "count": len(rows)}


def incident_get(ctx: Context, incident_id: str) -> Dict[str, Any]:
    """Everything about one incident, its alerts, remediations, approvals, messages and the last
    close look at it included. Raises NotFound.
    """
    store = ctx.store
    incident = registry.get(store, incident_id)
    looked = record.latest(store, incident_id)
    return {
        **_facts(incident),
        "taken_by": one_line(registry.taken_by(store, incident_id), _SHOWN),
        "held_by_a_response": registry.is_held(store, incident_id),
        "alerts": [_alert(row) for row in _children(store, "alerts", incident_id, "first_seen_at")],
        "executions": [
            _execution(row)
            for row in _children(store, "execution_history", incident_id, "started_at")
        ],
        "undo": [_undo(row) for row in _children(store, "undo_log", incident_id, "created_at")],
        "approvals": [
            _approval(row) for row in _children(store, "approvals", incident_id, "requested_at")
        ],
        "messages": [
            _message(row) for row in _children(store, "outbox", incident_id, "created_at")
        ],
        "diagnosis": dict(record.shown(looked), at=_when(looked.at)) if looked else None,
    }


def incident_timeline(ctx: Context, incident_id: str, limit: int = 200) -> Dict[str, Any]:
    """What happened, oldest first: {"incident_id", "status", "entries": [{"at", "kind", "message",
    "data"}]}.

    The last `limit` entries. Raises NotFound, InvalidInput.
    """
    count = _whole("limit", limit, 1, MAX_ENTRIES)
    incident = registry.get(ctx.store, incident_id)
    entries = [
        {
            "at": _when(entry["at"]),
            "kind": entry["kind"],
            "message": entry["message"],
            "data": cap(entry["data"], 2000, 100),
        }
        for entry in timeline.entries(ctx.store, incident_id, count)
    ]
    return {"incident_id": incident_id, "status": incident.status, "entries": entries}


def _when(at: Optional[float]) -> Optional[str]:
    return None if at is None else iso(at)


def _conditions(status: str, severity: str, source: str) -> Tuple[List[str], List[Any]]:
    conditions: List[str] = []
    parameters: List[Any] = []
    if status:
        states = sorted(GROUPS.get(status, [status]))
        _one_of("status", status, sorted(model.STATUSES) + sorted(GROUPS))
        conditions.append("status IN (%s)" % placeholders(states))
        parameters += states
    if severity:
        _one_of("severity", severity, model.SEVERITIES)
        conditions.append("severity = ?")
        parameters.append(severity)
    if source:
        if not _SOURCE.match(source):
            raise InvalidInput(
                "source must be the name of one, such as alertmanager (incident_list shows them), "
                "or empty for any, not %r" % source[:40]
            )
        conditions.append("source = ?")
        parameters.append(source)
    return conditions, parameters


def _one_of(name: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise InvalidInput("%s must be one of %s, not %r" % (name, ", ".join(allowed), value[:40]))


def _whole(name: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(
            "%s must be a whole number from %d to %d, not %r" % (name, least, most, value)
        )
    return value


def _line(row: Row) -> Dict[str, Any]:
    shown = {
        name: one_line(value, _SHOWN) if isinstance(value, str) else value
        for name, value in row.items()
    }
    shown["incident_id"] = shown.pop("id")
    shown["dry_run"] = bool(row["dry_run"])
    for name in ("opened_at", "last_seen_at", "updated_at", "resolved_at"):
        shown[name] = _when(row[name])
    return shown


def _facts(incident: Incident) -> Dict[str, Any]:
    facts = {
        name: getattr(incident, name)
        for name in (
            "source",
            "alert_type",
            "title",
            "severity",
            "status",
            "response_level",
            "dry_run",
            "cluster",
            "namespace",
            "workload",
            "instance",
            "service",
            "strategy",
            "resolution",
            "run_id",
            "attempts",
            "reopened",
            "alert_count",
            "group_key",
        )
    }
    facts.update(
        {
            name: _when(getattr(incident, name))
            for name in (
                "opened_at",
                "updated_at",
                "last_seen_at",
                "dispatched_at",
                "cleared_at",
                "resolved_at",
            )
        }
    )
    long = {
        name: cap(getattr(incident, name), 4000, 100)
        for name in ("signal", "analysis", "plan", "reasons")
    }
    return {"incident_id": incident.id, **facts, **long}


def _children(store: Store, table: str, incident_id: str, order: str) -> List[Row]:
    rows = store.query(
        "SELECT * FROM %s WHERE incident_id = ? ORDER BY %s DESC LIMIT ?" % (table, order),
        (incident_id, MAX_LISTED),
    )
    return rows[::-1]


def _alert(row: Row) -> Dict[str, Any]:
    return {
        "fingerprint": row["fingerprint"],
        "status": row["status"],
        "severity": row["severity"],
        "source": row["source"],
        "starts_at": row["starts_at"],
        "ends_at": row["ends_at"],
        "first_seen_at": _when(row["first_seen_at"]),
        "last_seen_at": _when(row["last_seen_at"]),
        "generator_url": row["generator_url"],
        "labels": cap(load(row["labels"]), 1000, 50),
        "annotations": cap(load(row["annotations"]), 1000, 50),
    }


def _execution(row: Row) -> Dict[str, Any]:
    return {
        "execution_id": row["id"],
        "run_id": row["run_id"],
        "remedy": row["remedy"],
        "risk": row["risk"],
        "status": row["status"],
        "dry_run": bool(row["dry_run"]),
        "verified": None if row["verified"] is None else bool(row["verified"]),
        "started_at": _when(row["started_at"]),
        "finished_at": _when(row["finished_at"]),
        "plan": cap(load(row["plan"]), 1000, 50),
        "outcome": cap(load(row["outcome"]), 2000, 50),
    }


def _undo(row: Row) -> Dict[str, Any]:
    return {
        "step": row["step"],
        "status": row["status"],
        "execution_id": row["execution_id"],
        "created_at": _when(row["created_at"]),
        "updated_at": _when(row["updated_at"]),
        "action": cap(_presentable(load(row["action"])), 1000, 50),
        "outcome": cap(load(row["outcome"]), 1000, 50),
    }


def _presentable(action: Any) -> Any:
    """`action` of an undo record fit to show: the headers of an API call may hold its credentials,
    as may what stood in a pod template.
    """
    if not isinstance(action, dict):
        return action
    if action.get("kind") == "kubernetes":
        kept = ("kind", "do", "options", "cluster", "words", "timeout_s")
        return {name: action[name] for name in kept if name in action}
    if action.get("kind") != "api_call":
        return action
    shown = {name: value for name, value in action.items() if name != "headers"}
    return dict(shown, url=without_credentials(str(action.get("url"))))


def _approval(row: Row) -> Dict[str, Any]:
    return {
        "approval_id": row["id"],
        "status": row["status"],
        "decided_by": row["decided_by"],
        "inquiry_id": row["inquiry_id"],
        "requested_at": _when(row["requested_at"]),
        "expires_at": _when(row["expires_at"]),
        "decided_at": _when(row["decided_at"]),
    }


def _message(row: Row) -> Dict[str, Any]:
    return {
        "outbox_id": row["id"],
        "kind": row["kind"],
        "channel": row["channel"],
        "status": row["status"],
        "attempts": row["attempts"],
        "last_error": row["last_error"],
        "created_at": _when(row["created_at"]),
        "sent_at": _when(row["sent_at"]),
        "next_attempt_at": _when(row["next_attempt_at"]) if row["status"] == "pending" else None,
    }

"""Incidents in the store: read one, claim its response, move it through its states, hand it over,
close it.

Every change is one UPDATE guarded by the state it starts from, so of two racing callers one wins
and the other learns it. A response holds the incident by a lock that expires: a dead run's incident
is free again by itself.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from selfheal.exceptions import Conflict, NotFound
from selfheal.guard import locks
from selfheal.incidents import flapping, model, timeline
from selfheal.incidents.model import Incident, from_row
from selfheal.store import Store, dump, load_map
from selfheal.store.engine import placeholders

CLAIMED = "claimed"
TAKEN = "taken"
CLEARED = "cleared"
CLOSED = "closed"
UNKNOWN = "unknown"
_JSON_FIELDS = ("signal", "analysis", "plan", "reasons")


def get(store: Store, incident_id: str) -> Incident:
    """The incident. Raises NotFound."""
    row = store.one("SELECT * FROM incidents WHERE id = ?", (incident_id,))
    if row is None:
        raise NotFound(
            "there is no incident %r; incident_list shows those there are" % incident_id[:64]
        )
    return from_row(row)


def began_at(store: Store, incident: Incident) -> float:
    """When the incident was opened, or opened again the last time."""
    reopened_at = store.value(
        "SELECT MAX(at) FROM incident_events WHERE incident_id = ? AND kind = ?",
        (incident.id, "reopened"),
    )
    return incident.opened_at if reopened_at is None else float(reopened_at)


def taken_by(store: Store, incident_id: str) -> str:
    """Who has acknowledged the incident since people were called last; empty for nobody."""
    by = store.value(
        "SELECT e.acknowledged_by FROM escalations e "
        "JOIN escalation_members m ON m.escalation_id = e.id "
        "JOIN incidents i ON i.id = m.incident_id AND i.reopened = m.opening "
        "WHERE m.incident_id = ? AND e.ended_at IS NULL AND e.acknowledged_at >= e.began_at "
        "ORDER BY e.began_at DESC LIMIT 1",
        (incident_id,),
    )
    if by:
        return str(by)
    last = store.one(
        "SELECT kind, data FROM incident_events WHERE incident_id = ? AND kind IN (?, ?) "
        "ORDER BY id DESC LIMIT 1",
        (incident_id, "escalated", "acknowledged"),
    )
    if last is None or last["kind"] != "acknowledged":
        return ""
    return str(load_map(last["data"]).get("by") or "")


def lock_name(incident_id: str) -> str:
    """The name of the lock by which a response holds the incident."""
    return "incident:%s" % incident_id


def dispatch_number(dispatched_at: Optional[float]) -> int:
    """What tells one request for a response from another: its time in milliseconds, 0 for none."""
    return 0 if dispatched_at is None else round(dispatched_at * 1000)


def claim(store: Store, incident_id: str, run_id: str, ttl_s: float, dispatch: int = 0) -> str:
    """Begin a response to the incident as `run_id`, holding it for `ttl_s` seconds.

    `dispatch` is the number of the request that started the run, 0 when a person did. A request is
    good for one run: a late or repeated one finds the incident TAKEN. Returns CLAIMED, TAKEN (also
    while another run holds it), CLEARED (its signal is gone already) or CLOSED. A claimed incident
    is `analyzing` and counts one attempt more. Raises NotFound.
    """
    with store.transaction("incidents"):
        incident = get(store, incident_id)
        if incident.status == model.RESOLVED:
            return CLOSED
        is_new_run = incident.run_id != run_id
        is_spent = dispatch != dispatch_number(incident.dispatched_at)
        if dispatch and is_new_run and is_spent:
            return TAKEN
        if not locks.acquire(store, lock_name(incident_id), run_id, ttl_s):
            return TAKEN
        update(
            store,
            incident_id,
            status=model.ANALYZING,
            run_id=run_id,
            dispatched_at=None,
            attempts=incident.attempts + (1 if is_new_run else 0),
        )
    return CLEARED if incident.is_cleared else CLAIMED


def hold(store: Store, incident: Incident, run_id: str, ttl_s: float) -> None:
    """Renew the claim of `run_id` for `ttl_s` seconds. Raises Conflict when another run has taken
    over.
    """
    if run_id and not locks.acquire(store, lock_name(incident.id), run_id, ttl_s):
        raise Conflict(
            "incident %s is held by another response (%s); this one stops"
            % (incident.id, locks.holder(store, lock_name(incident.id))),
            retryable=False,
        )


def release(store: Store, incident_id: str, run_id: str) -> None:
    """End the claim of `run_id`; nothing happens when it has none."""
    if run_id:
        locks.release(store, lock_name(incident_id), run_id)


def is_held(store: Store, incident_id: str) -> bool:
    """Whether a living response holds the incident."""
    return locks.holder(store, lock_name(incident_id)) is not None


def update(store: Store, incident_id: str, **fields: Any) -> None:
    """Set columns of the incident; `updated_at` follows. Field names are the code's own."""
    values = {
        name: dump(value) if name in _JSON_FIELDS and value is not None else value
        for name, value in fields.items()
    }
    values["updated_at"] = store.now()
    assignments = ", ".join("%s = ?" % name for name in values)
    store.execute(
        "UPDATE incidents SET %s WHERE id = ?" % assignments, (*values.values(), incident_id)
    )


def move(store: Store, incident_id: str, status: str, **fields: Any) -> bool:
    """Move the incident to `status` with further columns; False when it is not in a state that
    allows it.
    """
    sources = sorted(state for state, allowed in model.TRANSITIONS.items() if status in allowed)
    values = {
        name: dump(value) if name in _JSON_FIELDS and value is not None else value
        for name, value in fields.items()
    }
    values.update(status=status, updated_at=store.now())
    assignments = ", ".join("%s = ?" % name for name in values)
    sql = "UPDATE incidents SET %s WHERE id = ? AND status IN (%s)"
    changed = store.execute(
        sql % (assignments, placeholders(sources)), (*values.values(), incident_id, *sources)
    )
    return changed == 1


def resolve(
    store: Store, incident_id: str, resolution: str, message: str, run_id: str = ""
) -> bool:
    """Close the incident as `resolution` (remediated, self_resolved, manual); False when it is
    closed already.
    """
    with store.transaction("incidents"):
        if not move(
            store, incident_id, model.RESOLVED, resolution=resolution, resolved_at=store.now()
        ):
            return False
        timeline.record(
            store, incident_id, "resolved", message, {"resolution": resolution}, run_id or None
        )
        store.execute("DELETE FROM locks WHERE name = ?", (lock_name(incident_id),))
        cause = store.value("SELECT group_key FROM incidents WHERE id = ?", (incident_id,))
        flapping.closed(store, str(cause), is_by_person=resolution == "manual")
    return True


def hand_over(
    store: Store,
    incident_id: str,
    status: str,
    message: str,
    data: Optional[Dict[str, Any]] = None,
    run_id: str = "",
) -> bool:
    """Leave the incident to people as `status` (escalated, ticketed, observed); False when it is
    closed.
    """
    with store.transaction("incidents"):
        if not move(store, incident_id, status):
            return False
        timeline.record(store, incident_id, status, message, data, run_id or None)
        store.execute("DELETE FROM locks WHERE name = ?", (lock_name(incident_id),))
    return True


def responding_count(store: Store) -> int:
    """How many living responses are at work now; those that wait for a person's answer are not."""
    states = sorted(model.RESPONDING - {model.AWAITING_APPROVAL})
    sql = (
        "SELECT COUNT(*) FROM incidents i JOIN locks l ON l.name = 'incident:' || i.id "
        "WHERE l.expires_at > ? AND i.status IN (%s)" % placeholders(states)
    )
    return int(store.value(sql, (store.now(), *states)) or 0)


def stale(store: Store) -> List[Incident]:
    """Incidents in a responding state that no living response holds: their run died."""
    states = sorted(model.RESPONDING)
    rows = store.query(
        "SELECT i.* FROM incidents i "
        "LEFT JOIN locks l ON l.name = 'incident:' || i.id AND l.expires_at > ? "
        "WHERE i.status IN (%s) AND l.name IS NULL ORDER BY i.opened_at" % placeholders(states),
        (store.now(), *states),
    )
    return [from_row(row) for row in rows]

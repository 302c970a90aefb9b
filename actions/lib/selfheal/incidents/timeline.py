"""The timeline of an incident: append-only, in order, each entry written once.

Messages are our own words with values in them; text from outside goes into `data` and is kept as it
came.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from selfheal.ids import new_id
from selfheal.store import Store, dump, load
from selfheal.text import printable, truncate

_MAX_MESSAGE = 2000


def record(
    store: Store,
    incident_id: str,
    kind: str,
    message: str,
    data: Optional[Dict[str, Any]] = None,
    run_id: Optional[str] = None,
    once: Optional[str] = None,
) -> bool:
    """Append one entry. With `once`, an entry of that key is written a single time; False when it
    was there already.
    """
    now = store.now()
    row = {
        "id": new_id("evt", now),
        "incident_id": incident_id,
        "at": now,
        "kind": kind,
        "message": truncate(printable(message), _MAX_MESSAGE),
        "data": None if data is None else dump(data),
        "run_id": run_id,
        "dedupe_key": once,
    }
    conflict = "ON CONFLICT (incident_id, dedupe_key) DO NOTHING"
    return store.insert("incident_events", row, conflict) == 1


def entries(store: Store, incident_id: str, limit: int = 500) -> List[Dict[str, Any]]:
    """The last `limit` entries, oldest first: {"at", "kind", "message", "data", "run_id"}."""
    rows = store.query(
        "SELECT at, kind, message, data, run_id FROM incident_events WHERE incident_id = ? "
        "ORDER BY id DESC LIMIT ?",
        (incident_id, limit),
    )
    for row in rows:
        row["data"] = load(row["data"])
    return rows[::-1]

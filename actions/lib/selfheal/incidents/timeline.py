"""The timeline of an incident: append-only, in order, each entry written once, chained by hashes.

Messages are our own words with values in them; text from outside goes into `data` and is kept as it
came. `actor` in `data` names the person or the thing that did it, where that is known.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from selfheal.store import Row, Store, chain, load


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
    row = chain.entry(store, incident_id, kind, message, data, run_id, once)
    return chain.append(store, [row]) == 1


def record_many(store: Store, entries: Sequence[Row]) -> int:
    """Append many `entries` (of `store.chain.entry`) at the cost of few; how many were not there
    already.
    """
    return chain.append(store, entries)


def entries(store: Store, incident_id: str, limit: int = 500) -> List[Dict[str, Any]]:
    """The last `limit` entries, oldest first: {"at", "kind", "message", "data", "run_id"}. What is
    written only so that executions can be verified is left out.
    """
    rows = store.query(
        "SELECT at, kind, message, data, run_id FROM incident_events "
        "WHERE incident_id = ? AND kind <> ? ORDER BY id DESC LIMIT ?",
        (incident_id, chain.EXECUTION, limit),
    )
    for row in rows:
        row["data"] = load(row["data"])
    return rows[::-1]

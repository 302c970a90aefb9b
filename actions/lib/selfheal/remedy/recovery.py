"""Executions whose process died: told from living ones, and given the outcome that they could not
write.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from selfheal.exceptions import Conflict
from selfheal.remedy import journal
from selfheal.store import Store


def interrupted(store: Store, incident_id: str, run_id: str = "") -> List[str]:
    """Mark the incident's executions whose process is dead as interrupted; their ids.

    Dead is: gone from this host; or, on another host, its target lock expired or its response is
    `run_id` itself, for a response only comes to a later step when the earlier one is over.
    """
    marked = []
    for row in journal.running(store, incident_id):
        if not _is_alive(store, row, run_id):
            outcome: Dict[str, Any] = dict(
                row["outcome"],
                outcome=journal.INTERRUPTED,
                reason="its process ended before it could write an outcome",
            )
            if journal.finish(store, row["id"], journal.INTERRUPTED, outcome):
                store.execute("DELETE FROM locks WHERE owner = ?", (row["id"],))
                marked.append(row["id"])
    return marked


def refuse_beside_living(store: Store, incident_id: str) -> None:
    """Raises Conflict while an execution of the incident is not known to be over. Call
    `interrupted` first.
    """
    for row in journal.running(store, incident_id):
        raise Conflict(
            "a remediation of incident %s is still running (%s); wait for it or for its lock to "
            "expire" % (incident_id, row["id"])
        )


def _is_alive(store: Store, row: Mapping[str, Any], run_id: str) -> bool:
    is_dead = journal.is_dead(row["outcome"].get("owner") or {})
    if is_dead is not None:
        return not is_dead
    if run_id and row["run_id"] == run_id:
        return False
    lock = store.one(
        "SELECT name FROM locks WHERE owner = ? AND expires_at > ?", (row["id"], store.now())
    )
    return lock is not None

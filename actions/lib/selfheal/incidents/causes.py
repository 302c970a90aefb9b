"""The cause of an incident, when a later look knows it better than the one that opened it.

A workload is one incident whatever is wrong with it, and what is wrong changes: an image that
cannot be pulled is repaired and then the new version crashes. The type of an incident chooses its
runbook, so it changes only while nobody is at work on it, and its timeline says that it did.
"""

from __future__ import annotations

from typing import Dict, Mapping

from selfheal.guard import locks
from selfheal.incidents import model, timeline
from selfheal.incidents.registry import lock_name, update
from selfheal.store import Store, load_map
from selfheal.text import one_line

CHANGED = "cause_changed"


def change(
    store: Store,
    incident_id: str,
    alert_type: str,
    title: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    run_id: str = "",
    is_new: bool = False,
) -> bool:
    """Make `alert_type` the incident's cause, with its title, labels and annotations; whether that
    was done.

    It is not while a response is at work, unless `run_id` is that response, and not of an incident
    that is resolved. `is_new` is for an incident that was opened just now: its timeline need not
    tell. Raises StoreError.
    """
    with store.transaction("incidents"):
        row = store.one(
            "SELECT status, alert_type, signal FROM incidents WHERE id = ?", (incident_id,)
        )
        if row is None or row["status"] == model.RESOLVED:
            return False
        if _is_busy(store, incident_id, str(row["status"]), run_id):
            return False
        signal: Dict[str, object] = load_map(row["signal"])
        signal.update(labels=dict(labels), annotations=dict(annotations))
        update(store, incident_id, alert_type=alert_type, title=one_line(title), signal=signal)
        if not is_new and row["alert_type"] != alert_type:
            timeline.record(
                store,
                incident_id,
                CHANGED,
                "the cause is %s now; it was %s" % (alert_type, row["alert_type"]),
                {"before": row["alert_type"], "after": alert_type},
                run_id or None,
            )
    return True


def _is_busy(store: Store, incident_id: str, status: str, run_id: str) -> bool:
    holder = locks.holder(store, lock_name(incident_id))
    if run_id and holder == run_id:
        return False
    return status in model.RESPONDING or holder is not None

"""Incidents whose remedy may begin again before long: until when they wait, and their being taken
up then.

While it waits an incident is only recorded; nobody is called. One that was closed, cleared or
handed to a person meanwhile waits no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from selfheal.exceptions import NotFound
from selfheal.incidents import model, registry
from selfheal.incidents.dispatch import dispatch
from selfheal.store import Store, checkpoints

if TYPE_CHECKING:
    from selfheal.context import Context

_PREFIX = "again:"
_KEPT_S = 86400.0


def until(store: Store, incident_id: str, at: float) -> None:
    """Take the incident up again at time `at` (epoch seconds)."""
    checkpoints.write(store, _PREFIX + incident_id, {"until": at})


def take_up(ctx: Context) -> Dict[str, Any]:
    """Start responses to incidents whose wait is over. Returns {"taken_up", "error"}. Raises
    StoreError.
    """
    store, now = ctx.store, ctx.store.now()
    due, over = [], []
    for row in checkpoints.under(store, _PREFIX):
        at = checkpoints.number(row["value"], "until")
        # A time that is none, or from before the clock was set back, is as good as past.
        if at is not None and now < at <= now + _KEPT_S:
            continue
        incident_id = str(row["name"])
        try:
            incident = registry.get(store, incident_id)
        except NotFound:
            over.append(incident_id)
            continue
        if incident.status in (model.OBSERVED, model.OPEN) and not incident.is_cleared:
            due.append(incident_id)
        elif incident.status not in model.RESPONDING:  # those are about to be recorded, or at work
            over.append(incident_id)
    if not due:
        _forget(store, over)
        return {"taken_up": 0, "error": ""}
    done = dispatch(ctx, force=due)
    started: List[str] = [one for one in due if one in set(done["dispatched"])]
    _forget(store, over + started)
    return {"taken_up": len(started), "error": done["error"]}


def _forget(store: Store, incidents: List[str]) -> None:
    checkpoints.forget(store, [_PREFIX + one for one in incidents])

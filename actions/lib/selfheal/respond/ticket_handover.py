"""Leaves an incident to people as a ticket in each of the configured trackers.

The incident's new state and the letters that make the tickets are one transaction. They are carried
at once where that works, else by housekeeping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from selfheal.incidents import model, registry
from selfheal.respond import telling, ticketing
from selfheal.tickets import links, trackers

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

_HOLD_S = 180.0
_DRY = "a dry run: no ticket is made"


def hand_over(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """One ticket per tracker and opening of the incident; see finish.create_incident_ticket.

    Raises NotFound, ConfigError, and Conflict when our run lost the incident to another.
    """
    store, note = ctx.store, ""
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        if incident.status == model.RESOLVED:
            note = "the incident is closed; no ticket was made"
        elif incident.dry_run and run_id:
            note = _DRY
            registry.hold(store, incident, run_id, _HOLD_S)
            registry.hand_over(store, incident_id, model.OBSERVED, note, run_id=run_id)
        else:
            registry.hold(store, incident, run_id, _HOLD_S)
            _hand_over(ctx, incident, run_id)
        registry.release(store, incident_id, run_id)
        ticketing.follow_or_fail(ctx, incident_id)
    ids = ticketing.letters_of(ctx, incident_id)
    delivered = [telling.delivered_now(ctx, one) for one in ids]
    known = links.of_incident(store, incident_id)
    present = [links.current(known, name) for name in trackers.names(ctx.config)]
    return {
        "incident_id": incident_id,
        "status": registry.get(store, incident_id).status,
        "outbox_id": ids[0] if ids else "",
        "delivered": bool(delivered) and all(delivered),
        "note": note,
        "tickets": ticketing.shown([one for one in present if one]),
    }


def _hand_over(ctx: Context, incident: Incident, run_id: str) -> None:
    lacking = _lacking(ctx, incident)
    if not lacking and incident.status not in model.ACTIVE:
        return
    words = "handed over as a ticket" + ("" if lacking else ", the one made before")
    data = {"trackers": lacking}
    registry.hand_over(ctx.store, incident.id, model.TICKETED, words, data, run_id)


def _lacking(ctx: Context, incident: Incident) -> List[str]:
    """The trackers that have no ticket of this opening of the incident."""
    known = links.of_incident(ctx.store, incident.id)
    found = {one.tracker for one in known if one.opening == incident.reopened}
    return [name for name in trackers.names(ctx.config) if name not in found]

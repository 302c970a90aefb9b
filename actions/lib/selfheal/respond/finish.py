"""The last step of a response: close the incident, record it, or make a ticket of it. Waking a
person is `escalate`'s.

Each may be called twice: the second call changes nothing and names the same message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from selfheal.exceptions import Conflict, InvalidInput
from selfheal.guard import locks
from selfheal.incidents import model, registry
from selfheal.outbox import letters
from selfheal.remedy import journal
from selfheal.respond import ladder, silencing, ticketing
from selfheal.respond.approval import record as approval
from selfheal.store import Store
from selfheal.text import one_line
from selfheal.tickets import record as tickets
from selfheal.tickets import trackers

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

REMEDIATED = "remediated"
SELF_RESOLVED = "self_resolved"
MANUAL = "manual"
RESOLUTIONS = (REMEDIATED, SELF_RESOLVED, MANUAL)
HOLD_S = 180.0

_CLOSING_WORDS = {
    REMEDIATED: "closed: the remediation worked and the signal is healthy again",
    SELF_RESOLVED: "closed: the signal went away by itself",
    MANUAL: "closed by hand",
}


def close_incident(
    ctx: Context, incident_id: str, run_id: str = "", resolution: str = MANUAL
) -> Dict[str, Any]:
    """Close the incident, also under a running response, which then stops at its next step.

    Returns {"incident_id", "status", "closed", "resolution", "note"}; `closed` is False when it was
    closed already or, for self_resolved without a run, when its signal is back. Raises
    InvalidInput, NotFound, Conflict (our run lost it).
    """
    if resolution not in RESOLUTIONS:
        raise InvalidInput(
            "resolution must be one of %s, not %r" % (", ".join(RESOLUTIONS), resolution[:40])
        )
    store, note, closed = ctx.store, "", False
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        if incident.status == model.RESOLVED:
            note = "it was closed before"
        elif resolution == SELF_RESOLVED and not run_id and not incident.is_cleared:
            note = "its signal is firing again, so it stays open"
        else:
            registry.hold(store, incident, run_id, HOLD_S)
            if not run_id and registry.is_held(store, incident_id):
                note = "the running response stops at its next step"
            if resolution == SELF_RESOLVED and _was_remediated(store, incident_id):
                resolution = REMEDIATED
            message = _CLOSING_WORDS[resolution] + ("; %s" % note if note else "")
            closed = registry.resolve(store, incident_id, resolution, message, run_id)
            silencing.end(store, incident_id)
    after = registry.get(store, incident_id)
    if after.status == model.RESOLVED:
        approval.withdraw(ctx, incident_id, "the incident was closed")
        ladder.settle_quietly(ctx)
    ticketing.follow_quietly(ctx, incident_id)
    return {
        "incident_id": incident_id,
        "status": after.status,
        "closed": closed,
        "resolution": after.resolution or "",
        "note": note,
    }


def observe_incident(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Leave the incident recorded, with nothing done. Returns {"incident_id", "status"}.

    Raises NotFound, and Conflict while another response holds it.
    """
    store = ctx.store
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        if incident.status in (model.RESOLVED, model.OBSERVED):
            registry.release(store, incident_id, run_id)
        else:
            _hold_or_refuse(store, incident, run_id)
            registry.hand_over(
                store, incident_id, model.OBSERVED, _observed_words(incident), run_id=run_id
            )
    ticketing.follow_quietly(ctx, incident_id)
    return {"incident_id": incident_id, "status": registry.get(store, incident_id).status}


def create_incident_ticket(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Make a ticket of the incident in each configured tracker; without one, one message of kind
    ticket to the webhook. Once per incident and reopening.

    Returns {"incident_id", "status", "outbox_id", "delivered", "note", "tickets": [{"tracker",
    "number", "url", "status", "opening"}]}; a closed incident gets no new ticket. Raises NotFound,
    and Conflict when our run lost the incident to another.
    """
    if trackers.names(ctx.config):
        from selfheal.respond import ticket_handover

        return ticket_handover.hand_over(ctx, incident_id, run_id)
    from selfheal.notify import messages  # closing needs none of them
    from selfheal.respond import telling

    store, note = ctx.store, ""
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        key = tickets.key(incident)
        outbox_id = letters.find(store, key)
        if incident.status == model.RESOLVED:
            note = "the incident is closed; no ticket was made"
            registry.release(store, incident_id, run_id)
        else:
            registry.hold(store, incident, run_id, HOLD_S)
            is_new = not outbox_id
            if is_new:
                payload = dict(
                    messages.ticket(telling.account_of(store, incident)),
                    ticket=tickets.fields(incident),
                )
                outbox_id = letters.post(store, tickets.KIND, incident_id, key, payload)
            if is_new or incident.status in model.ACTIVE:
                words = "handed over as a ticket" + ("" if is_new else ", the one made before")
                registry.hand_over(
                    store, incident_id, model.TICKETED, words, {"outbox_id": outbox_id}, run_id
                )
            registry.release(store, incident_id, run_id)
    return {
        "incident_id": incident_id,
        "status": registry.get(store, incident_id).status,
        "outbox_id": outbox_id,
        "delivered": telling.delivered_now(ctx, outbox_id),
        "note": note,
        "tickets": [],
    }


def _hold_or_refuse(store: Store, incident: Incident, run_id: str) -> None:
    registry.hold(store, incident, run_id, HOLD_S)
    if not run_id and registry.is_held(store, incident.id):
        raise Conflict(
            "incident %s is held by a running response (%s); wait for its end, or close or "
            "escalate it" % (incident.id, locks.holder(store, registry.lock_name(incident.id)))
        )


def _observed_words(incident: Incident) -> str:
    if incident.dry_run:
        return "recorded only: a dry run; the plan is kept and nothing was touched"
    reasons = "; ".join(one_line(str(item)) for item in incident.reasons or [])
    return "recorded only, nothing was done%s" % (": %s" % reasons if reasons else "")


def _was_remediated(store: Store, incident_id: str) -> bool:
    """Whether a remediation finished since the incident was opened, or opened again."""
    began_at = registry.began_at(store, registry.get(store, incident_id))
    return journal.was_done(store, incident_id, began_at)

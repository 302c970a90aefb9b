"""Telling people: what is known of an incident, sending it, and what became of it on the timeline.

The rooms below know messages and the outbox; this joins them to incidents. When the store is down,
a message can still go straight to the webhook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

from selfheal.exceptions import SelfhealError, StoreError
from selfheal.incidents import timeline
from selfheal.notify import messages, outbox
from selfheal.remedy import journal
from selfheal.store import Store, load

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

_TOLD_EXECUTIONS = 10


def account_of(store: Store, incident: Incident) -> messages.Account:
    """What messages tell about the incident: its executions, what was not undone, the end of its
    timeline.
    """
    executions = store.query(
        "SELECT * FROM execution_history WHERE incident_id = ? ORDER BY started_at DESC LIMIT ?",
        (incident.id, _TOLD_EXECUTIONS),
    )
    not_undone = journal.owed_undos(store, incident.id)
    for row in executions:
        row.update(plan=load(row["plan"]), outcome=load(row["outcome"]))
    for row in not_undone:
        row["outcome"] = load(row["outcome"])
    return messages.Account(
        incident,
        executions[::-1],
        not_undone,
        timeline.entries(store, incident.id, messages.TIMELINE_TAIL),
    )


def deliver(ctx: Context, outbox_id: Optional[str] = None) -> List[outbox.Delivery]:
    """Send what is due in the outbox and write on the incidents' timelines what became of it.
    Raises StoreError.
    """
    deliveries = outbox.deliver(ctx, outbox_id)
    for delivery in deliveries:
        if delivery.incident_id:
            _note_delivery(ctx.store, delivery)
    return deliveries


def delivered_now(ctx: Context, outbox_id: str) -> bool:
    """Send the message if it is due; whether it has arrived. A failure is no error: housekeeping
    sends it later.
    """
    if not outbox_id:
        return False
    try:
        deliver(ctx, outbox_id)
        return outbox.is_delivered(ctx.store, outbox_id)
    except StoreError as error:
        ctx.log.warning("message %s stays in the outbox: %s", outbox_id, error)
        return False


def past_the_store(
    ctx: Context,
    kind: str,
    key: str,
    payload: Dict[str, Any],
    problem: SelfhealError,
    incident_id: str,
) -> Dict[str, Any]:
    """Post a message straight to the webhook because the store failed with `problem`.

    Returns a result that says so. Raises StoreError when the webhook does not take it either.
    """
    try:
        # The key is the message's id: whoever repeats this call repeats the same message.
        outbox.send(ctx, key, kind, payload, ctx.clock.now())
    except SelfhealError as error:
        raise StoreError(
            "nobody could be told about %s: the store failed (%s) and notify.webhook too (%s); "
            "mend database.url and notify.webhook.url"
            % (incident_id or payload["title"], problem, error),
            retryable=True,
        ) from problem
    ctx.log.error(
        "told the webhook about %s, but recorded nothing: %s", incident_id or kind, problem
    )
    return {
        "incident_id": incident_id,
        "status": "unknown",
        "escalated": kind == "escalation",
        "outbox_id": "",
        "delivered": True,
        "recorded": False,
        "note": "the store failed: %s" % problem,
    }


def _note_delivery(store: Store, delivery: outbox.Delivery) -> None:
    what = "the %s %s" % (delivery.kind, delivery.id)
    if delivery.status == outbox.SENT:
        kind, message = "notified", "%s was delivered" % what
    elif delivery.status == outbox.NO_DESTINATION:
        kind, message = (
            "no_destination",
            ("%s waits in the outbox: no destination is configured; set notify.webhook.url" % what),
        )
    elif delivery.is_overdue:
        kind, message = (
            "not_delivered",
            "%s failed %d times and is tried once an hour now: %s"
            % (what, delivery.attempts, delivery.error),
        )
    else:
        kind, message = (
            "delivery_failed",
            "%s was not delivered yet and is tried again: %s" % (what, delivery.error),
        )
    timeline.record(store, delivery.incident_id, kind, message, once="%s:%s" % (kind, delivery.id))

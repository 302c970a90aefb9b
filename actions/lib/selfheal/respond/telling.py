"""Telling people: what is known of an incident, sending it, and what became of it on the timeline.

The rooms below know messages and the outbox; this joins them to incidents. Telling when the store
is down is `past_the_store`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

from selfheal.exceptions import StoreError
from selfheal.incidents import timeline
from selfheal.outbox import carrying, letters
from selfheal.remedy import journal
from selfheal.respond.carriers import CARRIERS
from selfheal.store import Store, load

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.notify import messages

_TOLD_EXECUTIONS = 10
_TO_PEOPLE = ("webhook", "slack", "pagerduty", "email")


def account_of(store: Store, incident: Incident, web_url: str = "") -> messages.Account:
    """What messages tell about the incident: its executions, what was not undone, the end of its
    timeline, what the last close look at it found.
    """
    from selfheal.notify import messages  # carrying a letter needs none of it

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
        _looked(store, incident),
        web_url,
    )


def account(ctx: Context, incident: Incident) -> messages.Account:
    """The same with links to StackStorm's web interface, where that is known."""
    return account_of(ctx.store, incident, web_url(ctx.config))


def web_url(config: Config) -> str:
    """Where StackStorm's web interface is, for links; empty when nobody said."""
    return str(config.optional("notify.links.st2_web_url") or "")


def _looked(store: Store, incident: Incident) -> Dict[str, Any]:
    from selfheal.diagnose import record

    found = record.latest(store, incident.id)
    return {} if found is None else dict(record.shown(found), at=found.at)


def deliver(
    ctx: Context, outbox_id: Optional[str] = None, limit: int = carrying.BATCH
) -> List[carrying.Delivery]:
    """Carry what is due in the outbox and write on the incidents' timelines what became of it.
    Raises StoreError.
    """
    deliveries = carrying.deliver(ctx, CARRIERS, outbox_id, limit)
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
        return letters.is_delivered(ctx.store, outbox_id)
    except StoreError as error:
        ctx.log.warning("message %s stays in the outbox: %s", outbox_id, error)
        return False


def _but_not_to(store: Store, delivery: carrying.Delivery) -> str:
    """Whom of its recipients a mail did not reach, as the server said."""
    is_mail = delivery.channel.partition(":")[0] == "email"
    refused = letters.answer_of(store, delivery.id).get("refused") if is_mail else None
    return ", but the server refused %s" % ", ".join(map(str, refused)) if refused else ""


def _note_delivery(store: Store, delivery: carrying.Delivery) -> None:
    what = "the %s %s" % (delivery.kind, delivery.id)
    if delivery.channel != letters.WEBHOOK:
        what += " to %s" % delivery.channel
    if delivery.status == letters.SENT:
        if delivery.channel.partition(":")[0] not in _TO_PEOPLE:
            return  # the carrier's own entry says more
        kind, message = "notified", "%s was delivered%s" % (what, _but_not_to(store, delivery))
    elif delivery.status == carrying.NO_DESTINATION:
        kind, message = "no_destination", "%s waits in the outbox: %s" % (what, delivery.error)
    elif delivery.status == letters.DEAD:
        kind, message = (
            "given_up",
            "%s was not delivered and is given up: %s; see outbox_list and outbox_retry"
            % (what, delivery.error),
        )
    elif delivery.cause == carrying.LATER:
        return
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

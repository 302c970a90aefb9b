"""Which message covers an incident, so that people are not told of one thing many times.

Three do: that of a storm, for incidents handed over because of it; that of a remedy, for incidents
that inherited how it ended; and that of a cause that keeps going away and coming back. A step that
could not be undone, and what a person hands over, is always told in a message of its own.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from selfheal.exceptions import NotFound
from selfheal.guard import storm
from selfheal.incidents import flapping, registry
from selfheal.notify import messages, storms
from selfheal.notify.reasons import BY_HAND, REASONS
from selfheal.outbox import letters
from selfheal.records import dataclass
from selfheal.remedy import journal
from selfheal.respond import calls, ladder, telling

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.store import Store

STORM = "storm"
REMEDY = "remedy"
FLAPPING = "flapping"
_AFTER_A_REMEDY = ("refused", "remediation_failed", "not_resolved")
_OWN = ("undo_failed", "keeps_coming", BY_HAND)


@dataclass(frozen=True)
class Fold:
    """The message that covers an incident, and how, for the timeline."""

    kind: str
    outbox_id: str
    words: str
    data: Dict[str, Any] = field(default_factory=dict)


def own_key(incident: Incident) -> str:
    """The key of the message that tells of this incident alone, as it was opened last."""
    return "escalation:%s:%d" % (incident.id, incident.reopened)


def find(ctx: Context, incident: Incident, reason: str) -> Optional[Fold]:
    """The message that covers `incident`, posted now where it is the first of its kind; None when
    the incident needs one of its own. Belongs into the transaction that hands over. Raises
    StoreError, ConfigError.
    """
    if reason in _OWN or reason not in REASONS:
        return None
    return (
        _of_storm(ctx, incident, reason) or
        _of_remedy(ctx, incident, reason) or
        _of_flapping(ctx.store, incident)
    )


def _of_storm(ctx: Context, incident: Incident, reason: str) -> Optional[Fold]:
    said = _stormy(ctx.store, incident, reason) if reason in ("strategy", "refused") else None
    if said is None:
        return None
    data = said["data"]
    storm_id = str(data["storm_id"])
    first = "storm:%s" % storm_id
    key, outbox_id = _living(ctx.store, first)
    if not outbox_id:
        began_at = float(data.get("began_at") or incident.opened_at)
        if key != first:  # what it brought before is over and was told
            began_at = max(began_at, incident.opened_at)
        known = storm.Storm(storm_id, began_at, int(data.get("count") or 1), began_at)
        listing = storm.incidents_of(ctx, known)
        words = str(said.get("reason"))
        payload = storms.payload(storm_id, began_at, words, listing, incident.id)
        outbox_id = ladder.call(ctx, incident, key, payload)
    words = "with all incidents of the storm %s in the one message %s" % (storm_id, outbox_id)
    return Fold(STORM, outbox_id, words, {"storm_id": storm_id})


def _stormy(store: Store, incident: Incident, reason: str) -> Optional[Mapping[str, Any]]:
    """What the guard of storms said when it forbade this incident's remedy: as it was decided, or
    just before the first step.
    """
    said = list((incident.analysis or {}).get("objections") or [])
    if reason == "refused":
        last = journal.last(store, incident.id)
        said = [last["outcome"].get("objection")] if last else []
    for one in said:
        if isinstance(one, Mapping) and one.get("rule") == STORM:
            data = one.get("data")
            if isinstance(data, Mapping) and data.get("storm_id"):
                return one
    return None


def _of_remedy(ctx: Context, incident: Incident, reason: str) -> Optional[Fold]:
    """One message for all that one execution was for. The incident it was carried out for tells
    most, so its own message is taken where it came first.
    """
    store = ctx.store
    last = journal.last(store, incident.id)
    if last is None or reason not in _AFTER_A_REMEDY:
        return None
    if last["started_at"] < registry.began_at(store, incident):
        return None  # of an opening that is over; people were told of that one
    inherited = last["outcome"].get("inherited_from")
    key, outbox_id = _living(store, "escalation:execution:%s" % (inherited or last["id"]))
    if inherited and not outbox_id:
        outbox_id = _message_of(store, str(last["outcome"].get("incident_id")))
    if inherited and not outbox_id:
        payload = messages.escalation(telling.account(ctx, incident), reason)
        outbox_id = ladder.call(ctx, incident, key, payload)
    if not outbox_id:
        return None
    execution_id = str(inherited or last["id"])
    words = "with all that waited for the remedy %s in the one message %s" % (
        execution_id,
        outbox_id,
    )
    return Fold(REMEDY, outbox_id, words, {"execution_id": execution_id})


def _message_of(store: Store, incident_id: str) -> str:
    try:
        found = letters.find(store, own_key(registry.get(store, incident_id)))
    except NotFound:
        return ""
    return "" if calls.is_over(store, found) else found


def _living(store: Store, first: str) -> Tuple[str, str]:
    """(the key, the letter's id or nothing) of the message that tells what `first` is the key of.
    One that was told to be over wakes nobody: after it comes another, with a number.
    """
    key, number = first, 1
    while True:
        found = letters.find(store, key)
        if not found or not calls.is_over(store, found):
            return key, found
        number += 1
        key = "%s:%d" % (first, number)


def _of_flapping(store: Store, incident: Incident) -> Optional[Fold]:
    told = flapping.of(store, incident.group_key)
    if told is None or told.closed_at is not None or told.back_at is None:
        return None
    if not told.covers(incident.severity):
        return None
    words = "who know of this cause by message %s; it keeps going away and coming back" % (
        told.outbox_id
    )
    return Fold(FLAPPING, told.outbox_id, words, {"returns": told.returns})

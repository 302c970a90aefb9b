"""Somebody says that they have an incident: the ladder stops, and all who were told learn who it
is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.incidents import model, registry, timeline
from selfheal.respond import calls, ladder
from selfheal.store import load_map
from selfheal.text import counted, iso, one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

_NOBODY = "somebody"
_MAX_NOTE = 500


def acknowledge(ctx: Context, incident_id: str, note: str = "", who: str = "") -> Dict[str, Any]:
    """`who` has the incident: nobody further up the ladder is called, and the channels that were
    told learn it. A message that covers several incidents is acknowledged for all of them.

    Returns {"incident_id", "status", "acknowledged", "is_new", "by", "at", "covers", "note"}; doing
    it twice names the first. Nothing is acknowledged where nobody was called, and `note` says so.
    Raises NotFound, StoreError.
    """
    store = ctx.store
    by = one_line(who, 100) or _NOBODY
    words = str(scrub(one_line(note, _MAX_NOTE), ctx.config.secrets()))
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        found = calls.of_incident(store, incident)
        firsts = [_is_first(ctx, call, by, words) for call in found]
        is_new = any(firsts)
        if not found and incident.status == model.ESCALATED:
            is_new = _note(ctx, incident_id, _key_of(incident), by, words)
    after = [one for call in found for one in [calls.get(store, call.id)] if one is not None]
    if is_new:
        from selfheal.respond.ticketing import follow_quietly  # seldom needed

        follow_quietly(ctx, incident_id)
        _carry(ctx, [call.id for call in after])
    return _answer(ctx, incident, after, is_new)


def _is_first(ctx: Context, call: calls.Call, by: str, note: str) -> bool:
    """Acknowledge the call; whether nobody had before."""
    if not calls.set_acknowledged(ctx.store, call, by):
        return False
    ladder.acknowledged(ctx, call, by, note)
    once = "acknowledged:%s:%.3f" % (call.id, call.began_at)  # anew when it has come back
    for incident_id in calls.members(ctx.store, call.id):
        _note(ctx, incident_id, once, by, note)
    return True


def _note(ctx: Context, incident_id: str, once: str, by: str, note: str) -> bool:
    message = "acknowledged by %s%s" % (by, ": %s" % note if note else "")
    data = {"by": by, "note": note, "actor": by}
    return timeline.record(ctx.store, incident_id, "acknowledged", message, data, once=once)


def _key_of(incident: Incident) -> str:
    """Of an escalation whose message covers others that are over, or that is older than ladders."""
    return "acknowledged:%s:%d" % (incident.id, incident.reopened)


def _carry(ctx: Context, call_ids: List[str]) -> None:
    for call_id in call_ids:
        rows = calls.letters_of(ctx.store, call_id)
        last = {str(row["channel"]): str(row["outbox_id"]) for row in rows}
        ladder.delivered_now(ctx, list(last.values()))


def _answer(
    ctx: Context, incident: Incident, found: List[calls.Call], is_new: bool
) -> Dict[str, Any]:
    first = found[0] if found else None
    by, at = _who_has_it(ctx, incident, first)
    covers = sorted({one for call in found for one in calls.members(ctx.store, call.id)})
    note = ""
    if not by:
        closed = incident.status == model.RESOLVED
        note = "the incident is closed" if closed else "nobody was called about it"
    elif not is_new:
        note = "it was acknowledged before, by %s" % by
    elif len(covers) > 1:
        note = "the message is about %s, all of them acknowledged" % counted(
            len(covers), "incident"
        )
    return {
        "incident_id": incident.id,
        "status": incident.status,
        "acknowledged": bool(by),
        "is_new": is_new,
        "by": by,
        "at": iso(at) if at is not None else "",
        "covers": covers or ([incident.id] if by else []),
        "note": note,
    }


def _who_has_it(
    ctx: Context, incident: Incident, first: Optional[calls.Call]
) -> Tuple[str, Optional[float]]:
    if first is not None:
        return first.acknowledged_by, first.acknowledged_at
    row = ctx.store.one(
        "SELECT at, data FROM incident_events "
        "WHERE incident_id = ? AND kind = ? AND dedupe_key = ?",
        (incident.id, "acknowledged", _key_of(incident)),
    )
    return ("", None) if row is None else (str(load_map(row["data"]).get("by")), float(row["at"]))

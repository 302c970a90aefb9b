"""Calls for somebody as they are kept: which message, which incidents it covers, which letters
told which channel, who acknowledged.

Only rows and letters; when to tell whom is `ladder`'s. All of it belongs into the transaction of
what it tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.incidents import model
from selfheal.notify import channels
from selfheal.notify.threads import ESCALATION
from selfheal.outbox import letters
from selfheal.records import dataclass
from selfheal.store import Store, checkpoints, dump, load_map
from selfheal.store.engine import placeholders

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident
    from selfheal.store import Row

RETURNING = "returning:"  # names of checkpoints
_LIVING = "e.ended_at IS NULL"
# Whose cause keeps coming back: `returning` says what there is to say of them, and when they end.
_FOLLOWED = "NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.name = '%s' || e.id)" % RETURNING
_NOT_OVER = (
    "SELECT 1 FROM escalation_members m JOIN incidents i ON i.id = m.incident_id "
    "WHERE m.escalation_id = e.id AND i.status <> ? AND i.reopened = m.opening"
)


@dataclass(frozen=True)
class Call:
    """One message that calls somebody, and what became of it. `told` are numbers of rungs."""

    id: str
    incident_id: str
    about: str
    payload: Mapping[str, Any]
    began_at: float
    told: Tuple[int, ...]
    acknowledged_at: Optional[float]
    acknowledged_by: str
    ended_at: Optional[float]

    @property
    def is_acknowledged(self) -> bool:
        return self.acknowledged_at is not None


def begin(
    store: Store,
    incident: Incident,
    about: str,
    payload: Mapping[str, Any],
    posted: Sequence[Tuple[str, str]],
) -> str:
    """A call began, for `incident`, with these letters by channel; the first one's id names it."""
    first = posted[0][1]
    row = {
        "id": first,
        "incident_id": incident.id,
        "about": about,
        "payload": dump(dict(payload)),
        "began_at": store.now(),
        "told": dump([0]),
    }
    store.insert("escalations", row, "ON CONFLICT (id) DO NOTHING")
    join(store, incident, first)
    found = get(store, first)
    if found is not None:
        for channel, outbox_id in posted:
            note_letter(store, found, channel, outbox_id, 0)
    return first


def join(store: Store, incident: Incident, call_id: str) -> None:
    """The call covers `incident` as well; nothing happens when there is no such call, or when it is
    over.
    """
    row = store.one("SELECT id FROM escalations WHERE id = ? AND ended_at IS NULL", (call_id,))
    if row is None:
        return
    member = {"escalation_id": call_id, "incident_id": incident.id, "opening": incident.reopened}
    store.insert(
        "escalation_members",
        member,
        "ON CONFLICT (escalation_id, incident_id, opening) DO NOTHING",
    )


def living(store: Store) -> List[Call]:
    """The calls that nobody has acknowledged and that are not over, the oldest first; without those
    whose cause keeps going away and coming back.
    """
    return _read(store, "%s AND e.acknowledged_at IS NULL AND %s" % (_LIVING, _FOLLOWED), ())


def over(store: Store) -> List[Call]:
    """The calls all of whose incidents are over: resolved, or opened anew since; without those
    whose cause keeps going away and coming back.
    """
    where = "%s AND %s AND NOT EXISTS (%s)" % (_LIVING, _FOLLOWED, _NOT_OVER)
    return _read(store, where, (model.RESOLVED,))


def of_incident(store: Store, incident: Incident) -> List[Call]:
    """The calls that are not over and cover the incident as it was opened last."""
    where = (
        "%s AND EXISTS (SELECT 1 FROM escalation_members m WHERE m.escalation_id = e.id AND "
        "m.incident_id = ? AND m.opening = ?)" % _LIVING
    )
    return _read(store, where, (incident.id, incident.reopened))


def get(store: Store, call_id: str) -> Optional[Call]:
    """The call, or None."""
    return next(iter(_read(store, "e.id = ?", (call_id,))), None)


def is_over(store: Store, call_id: str) -> bool:
    """Whether all who were told know that the call is over."""
    row = store.one("SELECT ended_at FROM escalations WHERE id = ?", (call_id,))
    return row is not None and row["ended_at"] is not None


def members(store: Store, call_id: str) -> List[str]:
    """The incidents that the call covers and that are not over."""
    rows = store.query(
        "SELECT m.incident_id FROM escalation_members m JOIN incidents i ON i.id = m.incident_id "
        "WHERE m.escalation_id = ? AND i.status <> ? AND i.reopened = m.opening ORDER BY 1",
        (call_id, model.RESOLVED),
    )
    return [str(row["incident_id"]) for row in rows]


def is_firing(store: Store, call_id: str) -> bool:
    """Whether the signal of any incident that it covers is still there."""
    found = members(store, call_id)
    count = store.value(
        "SELECT COUNT(*) FROM incidents WHERE cleared_at IS NULL AND id IN (%s)"
        % placeholders(found),
        found,
    ) if found else 0
    return bool(count)


def set_told(store: Store, call: Call, numbers: Sequence[int]) -> None:
    """These rungs were told."""
    told = sorted({*call.told, *numbers})
    store.execute("UPDATE escalations SET told = ? WHERE id = ?", (dump(told), call.id))


def set_acknowledged(store: Store, call: Call, by: str) -> bool:
    """Whether nobody had acknowledged it before, or not since it came back."""
    changed = store.execute(
        "UPDATE escalations SET acknowledged_at = ?, acknowledged_by = ? "
        "WHERE id = ? AND (acknowledged_at IS NULL OR acknowledged_at < began_at)",
        (store.now(), by, call.id),
    )
    return changed == 1


def set_ended(store: Store, call: Call) -> bool:
    """Whether it was not over before."""
    changed = store.execute(
        "UPDATE escalations SET ended_at = ? WHERE id = ? AND ended_at IS NULL",
        (store.now(), call.id),
    )
    return changed == 1


def revive(store: Store, call: Call) -> bool:
    """What the call was about is back: its ladder begins anew above the first rung. False when it
    was not over.
    """
    changed = store.execute(
        "UPDATE escalations SET ended_at = NULL, began_at = ?, told = ? "
        "WHERE id = ? AND ended_at IS NOT NULL",
        (store.now(), dump([0]), call.id),
    )
    return changed == 1


def returning(store: Store) -> List[str]:
    """The calls whose cause keeps going away and coming back, so that `returning` follows them."""
    return [str(row["name"]) for row in checkpoints.under(store, RETURNING)]


def said_of_returns(store: Store, call_id: str) -> Any:
    """{"returns", "at" (epoch seconds)} of what was said last; None when nothing was."""
    row = checkpoints.row_of(store, RETURNING + call_id)
    return None if row is None else row["value"] or {}


def note_returns(store: Store, call_id: str, returns: int) -> None:
    """So many returns were told now; the call is followed from here on."""
    checkpoints.write(store, RETURNING + call_id, {"returns": returns, "at": store.now()})


def forget_returns(store: Store, call_id: str) -> None:
    """The call is followed no more."""
    checkpoints.forget(store, [RETURNING + call_id])


def queue_of(about: str, channel: str) -> str:
    """Letters about one thing to one channel go one after the other."""
    return "call:%s:%s" % (about, channel)


def note_letter(
    store: Store,
    call: Call,
    channel: str,
    outbox_id: str,
    rung: Optional[int] = None,
) -> None:
    """The channel gets this letter of the call, of a rung or following what was told."""
    row = {
        "escalation_id": call.id,
        "incident_id": call.incident_id,
        "channel": channel,
        "number": len(letters_of(store, call.id, channel)),
        "rung": rung,
        "outbox_id": outbox_id,
    }
    store.insert(
        "escalation_letters", row, "ON CONFLICT (escalation_id, channel, number) DO NOTHING"
    )


def letters_of(store: Store, call_id: str, channel: str = "") -> List[Row]:
    """{"channel", "number", "rung", "outbox_id", "status", "in_doubt"} of the call's letters, by
    channel and order.
    """
    return store.query(
        "SELECT l.channel, l.number, l.rung, l.outbox_id, o.status, o.in_doubt "
        "FROM escalation_letters l JOIN outbox o ON o.id = l.outbox_id "
        "WHERE l.escalation_id = ? %s ORDER BY l.channel, l.number"
        % ("AND l.channel = ?" if channel else ""),
        (call_id, channel) if channel else (call_id,),
    )


def follow(
    store: Store,
    call: Call,
    channel: str,
    kind: str,
    payload: Mapping[str, Any],
    rung: Optional[int] = None,
) -> str:
    """Post a letter that follows the first to `channel`, in its order. Returns its id."""
    number = len(letters_of(store, call.id, channel))
    outbox_id = letters.post(
        store,
        kind,
        call.incident_id,
        "%s:%s:%s:%d" % (call.about, kind, channel, number),
        for_channel(channel, payload),
        channel=channel,
        queue=queue_of(call.about, channel),
        is_urgent=kind == ESCALATION,
    )
    note_letter(store, call, channel, outbox_id, rung)
    return outbox_id


def for_channel(channel: str, payload: Mapping[str, Any]) -> Dict[str, Any]:
    """The payload as the channel's letter holds it: a webhook gets the text, the others the
    document that it was made of.
    """
    is_plain = channel == channels.WEBHOOK or not payload.get("document")
    left_out = ("document",) if is_plain else ("text",)
    return {name: value for name, value in payload.items() if name not in left_out}


def _read(store: Store, where: str, parameters: Sequence[Any]) -> List[Call]:
    rows = store.query(
        "SELECT e.* FROM escalations e WHERE %s ORDER BY e.began_at, e.id" % where, parameters
    )
    return [
        Call(
            id=str(row["id"]),
            incident_id=str(row["incident_id"]),
            about=str(row["about"]),
            payload=load_map(row["payload"]),
            began_at=float(row["began_at"]),
            told=tuple(_numbers(row["told"])),
            acknowledged_at=row["acknowledged_at"],
            acknowledged_by=str(row["acknowledged_by"] or ""),
            ended_at=row["ended_at"],
        )
        for row in rows
    ]


def _numbers(text: Any) -> List[int]:
    found = load_map('{"told": %s}' % text).get("told")
    return [one for one in found if isinstance(one, int)] if isinstance(found, list) else []

"""The tickets of incidents in the store: which incident has which ticket in which tracker, how far
it was told, and what people made of it.

A ticket is `asked` until its tracker has named it, then `open`, and `resolved` once we did that;
`left` when a person took it out of our hands, `gone` when it is not there any more.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, List, Optional, Sequence

from selfheal.records import dataclass
from selfheal.store import Row, Store
from selfheal.store.engine import begins_with, in_chunks, placeholders

ASKED = "asked"
OPEN = "open"
RESOLVED = "resolved"
LEFT = "left"
GONE = "gone"
STATUSES = (ASKED, OPEN, RESOLVED, LEFT, GONE)
OURS = (ASKED, OPEN, RESOLVED)  # to these we still write
# Of incidents, all of them: the index of their states is also that of their last change.
_STATES = (
    "open", "analyzing", "awaiting_approval", "remediating", "verifying", "escalated", "ticketed",
    "observed", "resolved",
)
WATCHED_S = 8 * 86400.0  # for so long those that are not open are looked at


@dataclass(frozen=True)
class Link:
    """One ticket. `told` is the number of the last event of the incident that was told, `wanted`
    what our last letter asks for (open, resolved), `previous` the ticket (its id) before this one.
    """

    id: str
    incident_id: str
    opening: int
    tracker: str
    correlation: str
    severity: str
    told: int
    created_at: float
    changed_at: float
    status: str = ASKED
    wanted: str = OPEN
    previous: Optional[str] = None
    ref: str = ""
    number: str = ""
    url: str = ""
    raw_state: str = ""
    assignee: str = ""
    kind: str = ""
    note: str = ""
    resolved_at: Optional[float] = None
    synced_at: Optional[float] = None

    @property
    def queue(self) -> str:
        """The outbox's queue of its letters: strictly one after the other."""
        return "ticket:%s" % self.id

    @property
    def is_ours(self) -> bool:
        """Whether we still write to it."""
        return self.status in OURS


_COLUMNS = tuple(one.name for one in fields(Link))
_ALL = "SELECT %s FROM tickets" % ", ".join(_COLUMNS)


def correlation_of(incident_id: str, opening: int) -> str:
    """By what a ticket is found again in its tracker: the same for whoever asks, never empty."""
    return "selfheal-%s-%d" % (incident_id, opening)


def find(store: Store, link_id: str) -> Optional[Link]:
    """The ticket of that id of ours, or None."""
    found = _links(store.query("%s WHERE id = ?" % _ALL, (link_id,)))
    return found[0] if found else None


def of_incident(store: Store, incident_id: str) -> List[Link]:
    """All tickets of the incident, the last opening's last."""
    rows = store.query("%s WHERE incident_id = ? ORDER BY opening, id" % _ALL, (incident_id,))
    return _links(rows)


def current(links: Sequence[Link], tracker: str) -> Optional[Link]:
    """The one of the last opening in that tracker, of `links` in order."""
    return next((one for one in reversed(links) if one.tracker == tracker), None)


def of_cause(store: Store, incident_id: str, tracker: str) -> Optional[Link]:
    """The newest ticket that an earlier incident of the same cause had in that tracker."""
    rows = store.query(
        "%s WHERE tracker = ? AND ref <> '' AND status <> ? AND incident_id IN (SELECT id FROM "
        "incidents WHERE id <> ? AND group_key = (SELECT group_key FROM incidents WHERE id = ?)) "
        "ORDER BY created_at DESC, id DESC LIMIT 1" % _ALL,
        (tracker, GONE, incident_id, incident_id),
    )
    found = _links(rows)
    return found[0] if found else None


def watched(
    store: Store, since: float, synced_before: float, limit: int, tracker: str = ""
) -> List[Link]:
    """Tickets to be looked at, of one tracker or of all: those that are open, and others that
    changed after `since`; none that was looked at after `synced_before`. The longest unseen first.
    """
    return _links(
        store.query(
            "%s WHERE ref <> '' AND (status = ? OR (status IN (?, ?, ?) AND changed_at >= ?)) AND "
            "(synced_at IS NULL OR synced_at <= ? OR synced_at > ?) AND (? = '' OR tracker = ?) "
            "ORDER BY COALESCE(synced_at, 0), id LIMIT ?" % _ALL,
            (
                OPEN, RESOLVED, LEFT, GONE, since, synced_before, store.now(), tracker, tracker,
                limit,
            ),
        )
    )


def has_news(store: Store, incident_id: str, openers: Sequence[str]) -> bool:
    """Whether the incident may have something that its tickets do not know, or a ticket to be made;
    one cheap look, that is wrong only on the safe side.
    """
    if store.value("SELECT COUNT(*) FROM tickets WHERE incident_id = ?", (incident_id,)):
        return True
    if not openers:
        return False
    found = store.value(
        "SELECT COUNT(*) FROM incident_events WHERE incident_id = ? AND kind IN (%s)"
        % placeholders(openers),
        (incident_id, *openers),
    )
    return bool(found)


def listing(
    store: Store, *, incident_id: str = "", status: str = "", tracker: str = "", limit: int = 50
) -> List[Link]:
    """Those that match what is given, the newest first. A `tracker` without a target is all of its
    targets.
    """
    where, values = ["1 = 1"], []  # type: List[str], List[Any]
    for column, value in (("incident_id", incident_id), ("status", status)):
        if value:
            where.append("%s = ?" % column)
            values.append(value)
    if tracker:
        begins, given = begins_with("tracker", tracker + ".")
        where.append("(tracker = ? OR %s)" % begins)
        values += [tracker, *given]
    sql = "%s WHERE %s ORDER BY created_at DESC, id DESC LIMIT ?"
    return _links(store.query(sql % (_ALL, " AND ".join(where)), (*values, limit)))


def in_doubt(store: Store, link: Link) -> bool:
    """Whether a letter of ours is under way to it, or may have arrived without our knowing."""
    return bool(
        store.value(
            "SELECT COUNT(*) FROM outbox WHERE queue = ? AND status = 'pending' AND "
            "(in_doubt = 1 OR claimed_by IS NOT NULL)",
            (link.queue,),
        )
    )


def add(store: Store, link: Link) -> None:
    """Store a new one. Raises Conflict when the opening has one in that tracker."""
    store.insert("tickets", {name: getattr(link, name) for name in _COLUMNS})


def change(store: Store, link: Link, **columns: Any) -> Link:
    """Set `columns` of the stored ticket; as it is then."""
    assignments = ", ".join("%s = ?" % name for name in columns)
    store.execute(
        "UPDATE tickets SET %s WHERE id = ?" % assignments, (*columns.values(), link.id)
    )
    return replace(link, **columns)


def seen(store: Store, ids: Sequence[str]) -> None:
    """These were looked at now."""
    for chunk in in_chunks(ids):
        store.execute(
            "UPDATE tickets SET synced_at = ? WHERE id IN (%s)" % placeholders(chunk),
            (store.now(), *chunk),
        )


def untold(
    store: Store,
    kinds: Sequence[str],
    is_folded_told: bool,
    since: float,
    began: float,
    limit: int,
) -> List[str]:
    """Incidents that something happened to which their tickets do not know, and incidents to which
    one of `kinds` happened after `since` (of those that are over: after `began`) and that have no
    ticket in this opening; ids, in order. What people were told of with another incident's message
    is left out unless it `is_folded_told`.
    """
    behind = store.query(
        "SELECT DISTINCT t.incident_id AS id FROM tickets t JOIN audit_heads h "
        "ON h.incident_id = t.incident_id JOIN incidents i ON i.id = t.incident_id WHERE "
        "(t.status IN (?, ?) OR (t.status IN (?, ?, ?) AND t.changed_at >= ?)) AND "
        "(h.links > t.told OR (t.opening < i.reopened AND t.status IN (?, ?))) AND NOT EXISTS "
        "(SELECT 1 FROM tickets n WHERE n.incident_id = t.incident_id AND n.tracker = t.tracker "
        "AND n.opening > t.opening) ORDER BY t.incident_id LIMIT ?",
        (ASKED, OPEN, RESOLVED, LEFT, GONE, store.now() - WATCHED_S, LEFT, GONE, limit),
    )
    without = [] if not kinds else store.query(
        "SELECT i.id FROM incidents i WHERE i.status IN (%s) AND i.updated_at >= ? AND "
        "i.dry_run = 0 AND NOT EXISTS "
        "(SELECT 1 FROM tickets t WHERE t.incident_id = i.id AND t.opening = i.reopened) AND "
        "EXISTS (SELECT 1 FROM incident_events e WHERE e.incident_id = i.id AND e.kind IN (%s) AND "
        "(? = 1 OR e.data IS NULL OR e.data NOT LIKE ?) AND "
        "e.at >= CASE i.status WHEN 'resolved' THEN ? ELSE ? END) ORDER BY i.id LIMIT ?"
        % (placeholders(_STATES), placeholders(kinds)),
        (
            *_STATES, since, *kinds, int(is_folded_told), '%"folded":"%', max(since, began), since,
            limit,
        ),
    )
    return sorted({str(row["id"]) for row in [*behind, *without]})


def _links(rows: Sequence[Row]) -> List[Link]:
    return [Link(**row) for row in rows]

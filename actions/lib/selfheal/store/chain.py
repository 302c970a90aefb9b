"""The chain of an incident's events: each carries its number and a hash over the one before and
itself, so that whoever changes, removes, adds or moves one breaks it.

Appending is the only way to write one. Racing writers take turns at the incident's head and never
fork its chain. What was written is checked by `incidents.audit`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from selfheal.exceptions import StoreError
from selfheal.ids import new_id
from selfheal.store.engine import Row, Store, dump, in_chunks, placeholders
from selfheal.text import printable, truncate

EXECUTION = "execution"  # events of this kind carry the digest of a row of execution_history
HASHED = ("id", "incident_id", "at", "kind", "message", "data", "run_id", "dedupe_key")
NEVER_SEALED = -1
_HEAD_COLUMNS = ("incident_id", "links", "hash", "sealed", "old_events", "old_executions")
_NOTHING = "ON CONFLICT (incident_id) DO NOTHING"
_MAX_MESSAGE = 2000
MOST_LINKS = 2**62
_CHUNK = 400
_ROUNDS = 20

# Whatever a database hands back has a spelling: the bytes that a hand wrote there as well.
_encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=repr)


def digest(*values: Any) -> str:
    """SHA-256, in hex, over the canonical JSON of `values`: an array without spaces, in ASCII."""
    return hashlib.sha256(_encoder.encode(values).encode("ascii")).hexdigest()


def event_hash(previous: Any, link: Any, row: Mapping[str, Any]) -> str:
    """The hash of event `row` as number `link`, after the event whose hash is `previous`."""
    return digest("event", previous, link, [row[name] for name in HASHED])


def genesis(old_events: Any, old_executions: Any) -> str:
    """What the first link of an incident follows: how much there was before the chain began."""
    if not old_events and not old_executions:
        return ""
    return "before:%s:%s" % (old_events, old_executions)


def entry(
    store: Store,
    incident_id: str,
    kind: str,
    message: str,
    data: Optional[Dict[str, Any]] = None,
    run_id: Optional[str] = None,
    once: Optional[str] = None,
) -> Row:
    """An event that happens now, for `append`."""
    now = float(store.now())
    return {
        "id": new_id("evt", now),
        "incident_id": incident_id,
        "at": now,
        "kind": kind,
        "message": truncate(printable(message), _MAX_MESSAGE),
        "data": None if data is None else dump(data),
        "run_id": run_id,
        "dedupe_key": once,
    }


def append(store: Store, entries: Sequence[Row]) -> int:
    """Write `entries`, in order, as the next links of their incidents; how many were written.

    One whose dedupe_key its incident has already is left out. All or none. Raises StoreError.
    """
    waiting: Dict[str, List[Row]] = {}
    for row in entries:
        waiting.setdefault(row["incident_id"], []).append(row)
    if not waiting:
        return 0
    with store.transaction():
        for number in range(_ROUNDS):
            rows = _attempt(store, waiting, is_contended=number > 0)
            if rows is not None:
                _insert(store, rows)
                return len(rows)
    raise StoreError(
        "the chain of %s was moved by others %d times over; try again"
        % (", ".join(sorted(waiting)[:3]), _ROUNDS),
        retryable=True,
    )


def _attempt(
    store: Store, waiting: Mapping[str, List[Row]], is_contended: bool
) -> Optional[List[Row]]:
    """Move the heads of all that wait, or, when somebody was faster, of none; the linked rows."""
    if len(waiting) > 1:  # what was moved and held for nothing is let go of, or two may wait for
        store.execute("SAVEPOINT moving")  # each other
    if is_contended:
        _wait_for(store, sorted(waiting))
    moves = _linked(store, waiting)
    has_moved = _advanced(store, moves)
    if len(waiting) > 1:
        if not has_moved:
            store.execute("ROLLBACK TO SAVEPOINT moving")
        store.execute("RELEASE SAVEPOINT moving")
    return [row for one in moves for row in one.rows] if has_moved else None


def _wait_for(store: Store, incident_ids: Sequence[str]) -> None:
    """Hold the heads once who was faster has committed. As in `_advanced`, those that are missing
    come first, and each kind in order: nobody waits in a circle.
    """
    known = _heads(store, incident_ids)
    missing = [(name, 0, genesis(0, 0), NEVER_SEALED, 0, 0) for name in incident_ids]
    store.insert_many(
        "audit_heads", _HEAD_COLUMNS, [row for row in missing if row[0] not in known], _NOTHING
    )
    store.execute_many(
        "UPDATE audit_heads SET links = links WHERE incident_id = ?",
        [(incident_id,) for incident_id in incident_ids],
    )


class _Move:
    """New links of one incident, and the head that they follow (None: there is none)."""

    __slots__ = ("incident_id", "head", "rows")

    def __init__(self, incident_id: str, head: Optional[Row], rows: List[Row]) -> None:
        self.incident_id = incident_id
        self.head = head
        self.rows = rows

    @property
    def place(self) -> Tuple[int, str]:
        return self.rows[-1]["link"], self.rows[-1]["hash"]


def _linked(store: Store, waiting: Mapping[str, List[Row]]) -> List[_Move]:
    """What is to be written where, by incident. Heads are read before keys: whoever writes a key
    after this moves the head, and then ours does not move.
    """
    heads = _heads(store, sorted(waiting))
    known = _known_keys(store, waiting)
    moves = []
    for incident_id in sorted(waiting):
        head = heads.get(incident_id)
        links, last = _place(head)
        rows = []
        for row in waiting[incident_id]:
            key = row["dedupe_key"]
            if key is not None:
                if (incident_id, key) in known:
                    continue
                known.add((incident_id, key))
            links += 1
            last = event_hash(last, links, row)
            rows.append(dict(row, link=links, hash=last))
        if rows:
            moves.append(_Move(incident_id, head, rows))
    return moves


def _place(head: Optional[Row]) -> Tuple[int, str]:
    """The links and the hash to go on from. A head that makes no sense does not stop what happens
    from being written; that it makes none is found by who verifies.
    """
    if head is None:
        return 0, genesis(0, 0)
    links = head["links"]
    if not isinstance(links, int) or not 0 <= links < MOST_LINKS:
        links = 0
    return links, str(head["hash"])


def _heads(store: Store, incident_ids: Sequence[str]) -> Dict[str, Row]:
    found: Dict[str, Row] = {}
    for chunk in in_chunks(incident_ids, _CHUNK):
        for row in store.query(
            "SELECT incident_id, links, hash FROM audit_heads WHERE incident_id IN (%s)"
            % placeholders(chunk),
            chunk,
        ):
            found[row["incident_id"]] = row
    return found


def _known_keys(store: Store, waiting: Mapping[str, List[Row]]) -> Set[Tuple[str, str]]:
    """(incident, dedupe_key) of what is stored already."""
    keyed = sorted(
        {
            (incident_id, row["dedupe_key"])
            for incident_id, rows in waiting.items()
            for row in rows
            if row["dedupe_key"] is not None
        }
    )
    known: Set[Tuple[str, str]] = set()
    for chunk in in_chunks(keyed, _CHUNK):
        incidents, keys = ({pair[side] for pair in chunk} for side in (0, 1))
        for row in store.query(
            "SELECT incident_id, dedupe_key FROM incident_events "
            "WHERE incident_id IN (%s) AND dedupe_key IN (%s)"
            % (placeholders(list(incidents)), placeholders(list(keys))),
            (*incidents, *keys),
        ):
            known.add((row["incident_id"], row["dedupe_key"]))
    return known


def _advanced(store: Store, moves: Sequence[_Move]) -> bool:
    """Move heads; False when one was no longer where it was read. Moved, they are ours until the
    transaction ends.
    """
    created = [(one.incident_id, *one.place, NEVER_SEALED, 0, 0) for one in moves if not one.head]
    moved = [
        (*one.place, one.incident_id, one.head["links"], one.head["hash"])
        for one in moves
        if one.head
    ]
    swap = (
        "UPDATE audit_heads SET links = ?, hash = ? "
        "WHERE incident_id = ? AND links = ? AND hash = ?"
    )
    if len(moves) == 1:
        if created:
            return store.insert("audit_heads", dict(zip(_HEAD_COLUMNS, created[0])), _NOTHING) == 1
        return store.execute(swap, moved[0]) == 1
    store.insert_many("audit_heads", _HEAD_COLUMNS, created, _NOTHING)
    store.execute_many(swap, moved)
    heads = _heads(store, [one.incident_id for one in moves])
    return all(
        one.incident_id in heads and heads[one.incident_id]["hash"] == one.place[1]
        for one in moves
    )


def _insert(store: Store, rows: Sequence[Row]) -> None:
    if len(rows) == 1:
        store.insert("incident_events", rows[0])
    elif rows:
        store.insert_many("incident_events", list(rows[0]), [tuple(row.values()) for row in rows])

"""Breakers in SQL: one row each, shared by all processes, and a record of every change of state.

A row is changed by reading it, letting the state machine act, and writing it if nobody else wrote
meanwhile (else once more). So no permit is given twice, inside a transaction or not, on either
database. A row that cannot be read is an error, never a closed breaker.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

from selfheal.breakers import saved
from selfheal.breakers.machine import Breaker, Change
from selfheal.breakers.settings import Name, Settings, Stored
from selfheal.exceptions import Conflict, StoreError
from selfheal.ids import new_id
from selfheal.store import Row, Store, dump, load
from selfheal.text import one_line

T = TypeVar("T")
Which = Union[Name, Stored]
_TRIES = 200  # each time somebody got through, so nobody waits for nothing
_MAX_WHO = 200
_MAX_REASON = 500


def read(store: Store, name: Which, settings: Settings) -> Breaker:
    """The breaker as it is; a new, closed one where there is no row. Raises StoreError."""
    return _found(store, name, settings)[0]


def change(
    store: Store,
    name: Which,
    settings: Settings,
    act: Callable[[Breaker], T],
    by: str = "",
    *,
    anew: bool = False,
) -> Tuple[T, List[Change]]:
    """What `act` answers, and the changes of state that it made; both are in the store then.

    `act` may be called again on a fresh breaker when somebody else was quicker. With `anew` a row
    that cannot be read counts as a closed breaker. Nothing is written when nothing changed. Raises
    StoreError, Conflict.
    """
    for _ in range(_TRIES):
        breaker, version, before = _found(store, name, settings, anew)
        answer = act(breaker)
        after = saved.dumped(breaker)
        if after == before:
            return answer, []
        with _together(store, breaker.changes):
            if _write(store, name, breaker, version, after):
                _note(store, name, breaker.changes, by)
                return answer, breaker.changes
    raise Conflict("the circuit breaker %s is written by too many at once" % name.key)


def last_changes(store: Store, keys: Sequence[str]) -> Dict[str, Row]:
    """The latest change of each of these breakers, numbers parsed; none for who never changed."""
    found = {}
    for key in keys:
        row = store.one(
            "SELECT at, from_state, to_state, reason, numbers, changed_by FROM breaker_changes "
            "WHERE key = ? ORDER BY id DESC LIMIT 1",
            (key,),
        )
        if row:
            found[key] = dict(row, numbers=load(row["numbers"]))
    return found


def _found(
    store: Store, name: Which, settings: Settings, anew: bool = False
) -> Tuple[Breaker, Optional[int], str]:
    """(the breaker, the version of its row or None, its state as it would be written)."""
    row = store.one("SELECT data, version FROM circuit_breakers WHERE key = ?", (name.key,))
    now = store.now()
    if row is None:
        breaker = Breaker(settings, now)
        return breaker, None, saved.dumped(breaker)
    try:
        breaker = saved.loaded(row["data"], settings, now)
        return breaker, int(row["version"]), saved.dumped(breaker)
    except (ValueError, RecursionError) as error:
        if anew:
            return Breaker(settings, now), int(row["version"]), ""
        raise StoreError(
            "the row of the circuit breaker %s (%s) cannot be read (%s); reset it with "
            "`st2 run selfheal.breaker_reset name=%s`"
            % (name.key, name.shown, one_line(str(error), 120), name.key)
        ) from error


def _together(store: Store, changes: Sequence[Change]) -> Any:
    """A change of state and its record are written together; counting needs no transaction."""
    return store.transaction() if changes else nullcontext()


def _write(store: Store, name: Which, breaker: Breaker, version: Optional[int], data: str) -> bool:
    now = store.now()
    if version is None:
        row = {
            "key": name.key,
            "kind": name.kind,
            "name": name.shown,
            "state": breaker.state,
            "data": data,
            "version": 1,
            "updated_at": now,
        }
        return store.insert("circuit_breakers", row, "ON CONFLICT (key) DO NOTHING") == 1
    written = store.execute(
        "UPDATE circuit_breakers SET state = ?, data = ?, version = ?, updated_at = ? "
        "WHERE key = ? AND version = ?",
        (breaker.state, data, version + 1, now, name.key, version),
    )
    return written == 1


def _note(store: Store, name: Which, changes: Sequence[Change], by: str) -> None:
    for one in changes:
        store.insert(
            "breaker_changes",
            {
                "id": new_id("brk", store.now()),
                "key": name.key,
                "name": name.shown,
                "at": one.at,
                "from_state": one.from_state,
                "to_state": one.to_state,
                "reason": one_line(one.reason, _MAX_REASON),
                "numbers": dump(one.numbers),
                "changed_by": one_line(by, _MAX_WHO),
            },
        )

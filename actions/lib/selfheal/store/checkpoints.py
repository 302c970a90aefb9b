"""How far something has come, by name: JSON values in table checkpoints that outlive a process."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Sequence

from selfheal.store.engine import (
    Row,
    Store,
    begins_with,
    dump,
    in_chunks,
    load,
    placeholders,
)

_AT_ONCE = 400
_MOST_S = 1e12  # no time is beyond it: a hand, or a disk, wrote such a value


def read(store: Store, name: str) -> Any:
    """The value kept under `name`, or None. Raises StoreError."""
    row = row_of(store, name)
    return row["value"] if row else None


def row_of(store: Store, name: str) -> Optional[Row]:
    """{"value", "updated_at"} of `name`, or None."""
    row = store.one("SELECT value, updated_at FROM checkpoints WHERE name = ?", (name,))
    return None if row is None else _parsed(row)


def of(store: Store, names: Sequence[str]) -> List[Row]:
    """{"name", "value", "updated_at"} of those of `names` that there are."""
    return [
        _parsed(row)
        for chunk in in_chunks(names, _AT_ONCE)
        for row in store.query(
            "SELECT * FROM checkpoints WHERE name IN (%s)" % placeholders(chunk), chunk
        )
    ]


def under(store: Store, beginning: str) -> List[Row]:
    """{"name", "value", "updated_at"} of all whose name begins so, by name; each `name` without the
    beginning.
    """
    begins, given = begins_with("name", beginning)
    rows = store.query("SELECT * FROM checkpoints WHERE %s ORDER BY name" % begins, given)
    return [dict(_parsed(row), name=str(row["name"])[len(beginning):]) for row in rows]


def write(store: Store, name: str, value: Any) -> None:
    """Keep JSON `value` under `name`."""
    store.execute(
        "INSERT INTO checkpoints (name, value, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (name, dump(value), store.now()),
    )


def forget(store: Store, names: Iterable[str]) -> None:
    """Keep nothing under `names` any more."""
    store.execute_many("DELETE FROM checkpoints WHERE name = ?", [(name,) for name in names])


def forget_old(store: Store, beginning: str, before: float) -> None:
    """Forget what was written before the time `before` under names that begin so."""
    begins, given = begins_with("name", beginning)
    store.execute(
        "DELETE FROM checkpoints WHERE %s AND updated_at < ?" % begins, (*given, before)
    )


def number(value: Any, key: str) -> Optional[float]:
    """The time or count at `key` of a checkpoint's `value`; None where there is none, or nonsense.
    """
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return None
    return float(found) if abs(found) < _MOST_S else None


def looked_until(value: Any) -> Optional[float]:
    """Until when (epoch s) somebody has looked. Nobody has at what was still to come: `until` from
    beyond the last look is that of a clock that was set back since.
    """
    until, looked_at = number(value, "until"), number(value, "looked_at")
    return until if until is None or looked_at is None else min(until, looked_at)


def _parsed(row: Row) -> Row:
    try:
        return dict(row, value=load(row["value"]))
    except ValueError:  # written by a hand: as if there were none
        return dict(row, value=None)

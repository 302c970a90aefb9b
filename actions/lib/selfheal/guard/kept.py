"""A record in table checkpoints that several processes keep up to date without waiting for each
other: read it, then write only over what was read.
"""

from __future__ import annotations

from typing import Any, Optional

from selfheal.records import dataclass
from selfheal.store import Store, dump, load


@dataclass(frozen=True)
class Kept:
    """What is kept under a name: its text, None when there is no record; `value` is None as well
    when the text is no JSON.
    """

    text: Optional[str]
    value: Any

    @property
    def is_garbage(self) -> bool:
        """Whether there is a record that nothing can be made of."""
        return self.text is not None and not isinstance(self.value, dict)


def read(store: Store, name: str) -> Kept:
    """The record under `name`. Raises StoreError."""
    row = store.one("SELECT value FROM checkpoints WHERE name = ?", (name,))
    return Kept(None, None) if row is None else parsed(row["value"])


def parsed(text: Any) -> Kept:
    """A column `value` of table checkpoints as a record."""
    try:
        return Kept(text, load(text))
    except (ValueError, TypeError, RecursionError):
        return Kept(text, None)


def swap(store: Store, name: str, before: Kept, value: Any) -> bool:
    """Write `value` under `name` if what is there is still `before`; whether it was."""
    if before.text is None:
        row = {"name": name, "value": dump(value), "updated_at": store.now()}
        return store.insert("checkpoints", row, "ON CONFLICT (name) DO NOTHING") == 1
    changed = store.execute(
        "UPDATE checkpoints SET value = ?, updated_at = ? WHERE name = ? AND value = ?",
        (dump(value), store.now(), name, before.text),
    )
    return changed == 1

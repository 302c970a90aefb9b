"""How many documents were taken in, per origin and minute of seeing them: what figures are made of.

Written in the transaction that stores the documents, so it counts each of them once as well.
"""

from __future__ import annotations

from typing import Dict, Tuple

from selfheal.store import Store

_ADD = (
    "INSERT INTO error_intake (origin, minute, documents, unreadable, new_patterns) "
    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin, minute) DO UPDATE SET "
    "documents = error_intake.documents + excluded.documents, "
    "unreadable = error_intake.unreadable + excluded.unreadable, "
    "new_patterns = error_intake.new_patterns + excluded.new_patterns"
)


def add(store: Store, taken: Dict[str, Tuple[int, int, int]]) -> None:
    """Add {origin: (documents, how many of them unreadable, patterns never seen before)} to the
    current minute. `documents` may be negative: a storm was counted again, and more exactly.
    """
    minute = int(store.now() // 60)
    for origin in sorted(taken):
        if any(taken[origin]):
            store.execute(_ADD, (origin, minute, *taken[origin]))

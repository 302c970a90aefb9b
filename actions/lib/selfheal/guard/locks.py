"""Locks with an owner and an expiry, in SQL, so that a dead run frees what it held.

Taking a lock that one holds already renews it. The database's clock is not asked: callers pass the
time, and an expiry that has passed by their clock is free to take.
"""

from __future__ import annotations

from typing import Optional

from selfheal.store import Store


def acquire(store: Store, name: str, owner: str, ttl_s: float) -> bool:
    """Take or renew lock `name` for `owner` until `ttl_s` seconds from now; False when another
    holds it.
    """
    now = store.now()
    store.insert(
        "locks",
        {"name": name, "owner": owner, "acquired_at": now, "expires_at": now + ttl_s},
        "ON CONFLICT (name) DO NOTHING",
    )
    # One statement decides, so two takers cannot both win; our own fresh row matches by its owner.
    changed = store.execute(
        "UPDATE locks SET owner = ?, expires_at = ?, "
        "acquired_at = CASE WHEN owner = ? THEN acquired_at ELSE ? END "
        "WHERE name = ? AND (owner = ? OR expires_at <= ?)",
        (owner, now + ttl_s, owner, now, name, owner, now),
    )
    return changed == 1


def release(store: Store, name: str, owner: str) -> bool:
    """Free lock `name` if `owner` holds it; whether it did."""
    return store.execute("DELETE FROM locks WHERE name = ? AND owner = ?", (name, owner)) == 1


def holder(store: Store, name: str) -> Optional[str]:
    """Who holds `name` now, or None."""
    row = store.one(
        "SELECT owner FROM locks WHERE name = ? AND expires_at > ?", (name, store.now())
    )
    return str(row["owner"]) if row else None

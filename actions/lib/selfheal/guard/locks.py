"""Locks with an owner and an expiry, in SQL, so that a dead run frees what it held.

Taking a lock that one holds already renews it. The database's clock is not asked: callers pass the
time, and an expiry that has passed by their clock is free to take.
"""

from __future__ import annotations

import math
from typing import Optional

from selfheal.exceptions import InvalidInput
from selfheal.store import Store

SKEW_S = 60.0  # what the clocks of two hosts may differ
# One statement decides, so two takers cannot both win.
_TAKE = (
    "INSERT INTO locks (name, owner, acquired_at, expires_at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at, "
    "acquired_at = CASE WHEN locks.owner = excluded.owner THEN locks.acquired_at "
    "ELSE excluded.acquired_at END "
    "WHERE locks.owner = excluded.owner OR locks.expires_at <= excluded.acquired_at"
)


def acquire(store: Store, name: str, owner: str, ttl_s: float) -> bool:
    """Take or renew lock `name` for `owner` until `ttl_s` seconds from now; False when another
    holds it. Raises InvalidInput for a lock or an owner without a name, which any other could be
    taken for, and for a time that would hold nothing or for ever.
    """
    if not name or not owner:
        raise InvalidInput("the lock %r cannot be taken by %r: both need a name" % (name, owner))
    if not (math.isfinite(ttl_s) and ttl_s > 0):
        raise InvalidInput("the lock %s cannot be held for %r seconds" % (name, ttl_s))
    now = store.now()
    return store.execute(_TAKE, (name, owner, now, now + ttl_s)) == 1


def redate(store: Store) -> int:
    """Locks taken at a time that is yet to come, by a clock that was set back since, hold from now
    on for as long as they were taken for; how many. Else a dead run's would hold for longer by all
    that the clock was ahead.
    """
    now = store.now()
    return store.execute(
        "UPDATE locks SET expires_at = expires_at - acquired_at + ?, acquired_at = ? "
        "WHERE acquired_at > ?",
        (now, now, now + SKEW_S),
    )


def release(store: Store, name: str, owner: str) -> bool:
    """Free lock `name` if `owner` holds it; whether it did."""
    return store.execute("DELETE FROM locks WHERE name = ? AND owner = ?", (name, owner)) == 1


def holder(store: Store, name: str) -> Optional[str]:
    """Who holds `name` now, or None."""
    row = store.one(
        "SELECT owner FROM locks WHERE name = ? AND expires_at > ?", (name, store.now())
    )
    return str(row["owner"]) if row else None

"""What could not be used, kept for a person to look at: the reason, and a sample of it."""

from __future__ import annotations

import hashlib
from typing import Any, Sequence, Tuple

from selfheal.ids import new_id
from selfheal.store import Store, dump
from selfheal.text import cap, one_line, truncate

# One bad sender must not fill the database: of one batch so many are kept, the others only counted.
MAX_KEPT = 50
_MAX_SAMPLE = 4000


def record(store: Store, source: str, rejected: Sequence[Tuple[str, Any]]) -> None:
    """Store `rejected`: (reason, what came) each. Raises StoreError."""
    if not rejected:
        return
    entries = [(reason, sample_of(what)) for reason, what in rejected[:MAX_KEPT]]
    if len(rejected) > MAX_KEPT:
        entries.append(("%d more were rejected with these" % (len(rejected) - MAX_KEPT), "null"))
    now = store.now()
    store.execute_many(
        "INSERT INTO rejected_signals (id, at, source, reason, sample) VALUES (?, ?, ?, ?, ?)",
        [
            (new_id("rej", now), now, source, one_line(reason, 500), sample)
            for reason, sample in entries
        ],
    )


def record_once(store: Store, source: str, rejected: Sequence[Tuple[str, str, Any]]) -> None:
    """Store `rejected`: (identity, reason, what came) each; what was stored before under the same
    identity is left as it is. Raises StoreError.
    """
    now = store.now()
    store.execute_many(
        "INSERT INTO rejected_signals (id, at, source, reason, sample) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING",
        [
            (_id_of(source, identity), now, source, one_line(reason, 500), sample_of(what))
            for identity, reason, what in rejected[:MAX_KEPT]
        ],
    )


def _id_of(source: str, identity: str) -> str:
    digest = hashlib.sha256(("%s\n%s" % (source, identity)).encode("utf-8", "surrogatepass"))
    return "rej-%s" % digest.hexdigest()[:24]


def sample_of(what: Any) -> str:
    """The start of `what` as ASCII JSON, at most 4,000 characters; whatever it is, this does not
    fail.
    """
    try:
        return (
            truncate(dump(cap(what, 500, 20)), _MAX_SAMPLE)
            .encode("ascii", "replace")
            .decode("ascii")
        )
    except (TypeError, ValueError, RecursionError) as error:
        return dump("cannot be shown: %s" % type(error).__name__)

"""Minutes that were counted by the search: what is new in a count, and what was stored before.

The search's total of a minute is exact, and so is the sum of what is added for it; how it divides
among patterns is an estimate, in proportion to the shares that the caller found in samples. The
caller holds the transaction "errors".
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from selfheal.errors.ledger import Entry
from selfheal.errors.record import Document, Judgement
from selfheal.errors.storable import storable_id
from selfheal.store import Store
from selfheal.store.engine import in_chunks, placeholders

MINUTE_S = 60
Share = Tuple[Document, Judgement, int]
Bucket = Tuple[str, int, Sequence[Share]]
_COLUMNS = ("origin", "minute", "bucket", "documents", "updated_at")


class Growth(NamedTuple):
    """What a minute has more than was known of it: `shares`, whose counts add up to exactly that,
    and whether it is counted for the first time.
    """

    shares: List[Share]
    is_first: bool


def known_minutes(store: Store, origin: str, minutes: Iterable[int]) -> Set[int]:
    """Which of `minutes` of `origin` were counted by the search before."""
    found: Set[int] = set()
    for chunk in in_chunks(sorted(set(minutes))):
        rows = store.query(
            "SELECT DISTINCT minute FROM storm_minutes WHERE origin = ? AND minute IN (%s)"
            % placeholders(chunk),
            (origin, *chunk),
        )
        found.update(int(row["minute"]) for row in rows)
    return found


def take_in(store: Store, origin: str, minute: int, buckets: Sequence[Bucket]) -> Growth:
    """Remember what the search says of `minute`, and say what is new in that.

    Documents are only ever added to a log, so of two counts the greater one is the later one: a
    smaller one changes nothing, in whatever order two sensors come. Buckets are compared one by one
    only to guess where the new ones are, since what a bucket holds may shift between two looks.
    """
    now_there: Dict[str, int] = {}
    buckets = [(storable_id(name), documents, shares) for name, documents, shares in buckets]
    for name, documents, _ in buckets:
        now_there[name] = now_there.get(name, 0) + documents
    rows = store.query(
        "SELECT bucket, documents FROM storm_minutes WHERE origin = ? AND minute = ?",
        (origin, minute),
    )
    before = {row["bucket"]: int(row["documents"]) for row in rows}
    grown = sum(now_there.values()) - sum(before.values())
    if before and grown > 0:  # a first count below what was stored before left nothing to add
        stored = _stored(store, origin, minute)
        grown = sum(now_there.values()) - max(sum(before.values()), sum(stored.values()))
    sampled = [bucket for bucket in buckets if any(share[2] > 0 for share in bucket[2])]
    if grown <= 0 or not sampled:
        return Growth([], not before)
    gains = [max(0, documents - before.get(name, 0)) for name, documents, _ in sampled]
    parts = apportion(grown, gains if any(gains) else [1] * len(sampled))
    shares: List[Share] = []
    for part, (_, _, of_bucket) in zip(parts, sampled):
        counts = apportion(part, [max(0, share[2]) for share in of_bucket])
        shares += [
            (document, judgement, count)
            for count, (document, judgement, _) in zip(counts, of_bucket)
            if count
        ]
    _remember(store, origin, minute, now_there)
    return Growth(shares, not before)


def without_stored(store: Store, origin: str, minute: int, entries: Sequence[Entry]) -> List[Entry]:
    """`entries` less the documents of `minute` that were stored one by one before: from their own
    groups first, the rest from the largest, so that the total is right in any case.
    """
    stored = _stored(store, origin, minute)
    for entry in entries:
        owed = stored.get(entry.group_key, 0)
        stored[entry.group_key] = owed - entry.take_off(owed)
    left = sum(stored.values())
    for entry in sorted(entries, key=lambda entry: (-entry.count, entry.group_key)):
        left -= entry.take_off(left)
    return [entry for entry in entries if entry.count]


def apportion(total: int, weights: Sequence[int]) -> List[int]:
    """`total` in whole numbers in proportion to `weights`, by largest remainder; the first wins a
    tie. At least one weight must be positive.
    """
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda place: -(total * weights[place] % whole)
    )
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def _stored(store: Store, origin: str, minute: int) -> Dict[str, int]:
    """How many documents of `minute` were stored one by one, by group."""
    rows = store.query(
        "SELECT group_key, COUNT(*) AS documents FROM error_logs WHERE logged_at >= ? AND "
        "logged_at < ? AND origin = ? GROUP BY group_key",
        (minute * MINUTE_S, (minute + 1) * MINUTE_S, origin),
    )
    return {row["group_key"]: int(row["documents"]) for row in rows}


def _remember(store: Store, origin: str, minute: int, buckets: Dict[str, int]) -> None:
    store.execute(
        "DELETE FROM storm_minutes WHERE origin = ? AND minute = ?", (origin, minute)
    )
    now = store.now()
    store.insert_many(
        "storm_minutes",
        _COLUMNS,
        [(origin, minute, name, documents, now) for name, documents in buckets.items()],
    )

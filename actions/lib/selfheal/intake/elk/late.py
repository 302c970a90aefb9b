"""Documents that came so late that no look searches their time any more: found by counting.

Now and then the count of the search for the last hour is compared with ours, first as a whole, then
by halves; a minute that differs is read again. Where reading did not explain a difference (expired
indices, times that cannot be read), it is remembered and not asked about again until it changes.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Callable, Dict

from selfheal.errors.storms import known_minutes
from selfheal.intake.elk import storm
from selfheal.records import dataclass

if TYPE_CHECKING:
    from selfheal.apis.elasticsearch.search import Search
    from selfheal.store import Store

EVERY_S = 600.0


@dataclass
class Comparison:
    """What one sensor remembers of its comparisons: when the last was (monotonic s), and by how
    many documents the search has more than we (or less) in a minute (epoch s) although it was read
    again.
    """

    compared_at: float = float("-inf")
    unexplained: Dict[int, int] = field(default_factory=dict)


def is_due(comparison: Comparison, monotonic: float) -> bool:
    """Whether the last comparison is long enough ago."""
    return monotonic - comparison.compared_at >= EVERY_S


def compare(
    store: Store,
    search: Search,
    origin: str,
    over: storm.Range,
    comparison: Comparison,
    read_again: Callable[[float, float], None],
) -> int:
    """Compare the whole minutes of `over`, halving what differs, and have each minute that does
    read again by `read_again(start, end)`; how many were. Raises ExternalError, StoreError.
    """
    first, last = _minute_from(over[0]), _minute_from(over[1])
    unexplained = comparison.unexplained
    for minute in [minute for minute in unexplained if not first <= minute < last]:
        del unexplained[minute]
    again = 0
    parts = [(first, last)] if first < last else []
    while parts:
        start, end = parts.pop()
        theirs, ours = search.count(start, end), stored(store, origin, start, end)
        known = sum(unexplained[minute] for minute in unexplained if start <= minute < end)
        if theirs - ours == known:
            continue
        if end - start > storm.MINUTE_S:
            middle = start + (end - start) // storm.MINUTE_S // 2 * storm.MINUTE_S
            parts += [(start, middle), (middle, end)]
            continue
        read_again(start, end)
        again += 1
        unexplained[start] = theirs - stored(store, origin, start, end)
    return again


def stored(store: Store, origin: str, start: float, end: float) -> int:
    """How many errors of `origin` with a time in [start, end) (whole minutes) we have, those that
    were counted by aggregation included.
    """
    minutes = known_minutes(store, origin, storm.minutes_of(start, end))
    outside, _ = storm.split(start, end, minutes)
    one_by_one = sum(
        int(
            store.value(
                "SELECT COUNT(*) FROM error_logs WHERE logged_at >= ? AND logged_at < ? AND "
                "origin = ?",
                (*part, origin),
            )
        )
        for part in outside
    )
    by_aggregation = store.value(
        "SELECT SUM(documents) FROM storm_minutes WHERE origin = ? AND minute >= ? AND minute < ?",
        (origin, start // storm.MINUTE_S, end // storm.MINUTE_S),
    )
    return one_by_one + int(by_aggregation or 0)


def _minute_from(at: float) -> int:
    """The first whole minute that begins at `at` or later."""
    return -int(-at // storm.MINUTE_S) * storm.MINUTE_S

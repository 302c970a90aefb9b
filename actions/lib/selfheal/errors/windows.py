"""The threshold: does a group have so many errors within a window, and when did the first of them
come.

Exact on the documents' own times, wherever batches were cut. It reads no more of a group than it
takes to find the first such window: few rows where errors are rare, few where they are dense.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Deque, Iterable, Iterator, Optional, Tuple

from selfheal.store import Store

MINUTE_S = 60
_LEAST_READ = 100
Point = Tuple[float, int]  # (time, errors at that time)

# A group's documents, or minutes, from one moment up to another. Compared as pairs, since then only
# the index by group can serve: PostgreSQL has no statistics of the latest minutes yet, would take
# the index by time for them, and read those of all groups.
OF_GROUP = "(group_key, logged_at) >= (?, ?) AND (group_key, logged_at) < (?, ?)"
MINUTES_OF_GROUP = "(group_key, minute) >= (?, ?) AND (group_key, minute) < (?, ?)"
_FOR_EVER = 10**15


def span(group_key: str, since: float, until: float = _FOR_EVER) -> Tuple[str, float, str, float]:
    """The values for OF_GROUP (seconds) and MINUTES_OF_GROUP (minutes)."""
    return group_key, max(since, -_FOR_EVER), group_key, until


def first_window(points: Iterable[Point], threshold: int, window_s: float) -> Optional[float]:
    """When the earliest window begins that holds `threshold` errors, None when there is none.

    `points` rise in time. A window is open at its end: errors `window_s` apart are not in one.
    """
    held: Deque[Point] = deque()
    many = 0
    for at, count in points:
        held.append((at, count))
        many += count
        while at - held[0][0] >= window_s:
            many -= held.popleft()[1]
        if many >= threshold:
            return held[0][0]
    return None


def window_of(
    store: Store, group_key: str, since: float, threshold: int, window_s: float, has_storms: bool
) -> Optional[float]:
    """`first_window` of the group's errors from `since` on. With `has_storms` those that were
    counted by the minute are included, as if they came at its start.
    """
    points: Iterator[Point] = _stored(store, group_key, since, max(2 * threshold, _LEAST_READ))
    if has_storms:
        points = heapq.merge(points, _counted(store, group_key, since))
    return first_window(points, threshold, window_s)


def _stored(store: Store, group_key: str, since: float, size: int) -> Iterator[Point]:
    seen = 0  # of those at exactly `since`
    while True:
        rows = store.query(
            "SELECT logged_at FROM error_logs WHERE %s ORDER BY group_key, logged_at LIMIT ?"
            % OF_GROUP,
            (*span(group_key, since), size),
        )
        times = [float(row["logged_at"]) for row in rows]
        for at in times[seen:]:
            yield at, 1
        if len(times) < size:
            return
        # Fewer than a threshold of errors share one time, else the reader has stopped by now.
        since = times[-1]
        seen = times.count(since)


def _counted(store: Store, group_key: str, since: float) -> Iterator[Point]:
    rows = store.query(
        "SELECT minute, counted FROM error_counts WHERE %s AND counted > 0 ORDER BY minute"
        % MINUTES_OF_GROUP,
        span(group_key, -int(-since // MINUTE_S)),
    )
    for row in rows:
        yield float(row["minute"] * MINUTE_S), int(row["counted"])

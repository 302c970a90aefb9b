"""Looking until all is well and stays well, or time is up. The clock comes in, so this is pure
waiting logic.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.verify.model import Look


@dataclass(frozen=True)
class Watched:
    """How it ended: `looks` are the last ones, `history` each change of any answer as (seconds
    since start, look).
    """

    resolved: bool
    reason: str
    looks: Tuple[Look, ...]
    history: Tuple[Tuple[float, Look], ...]
    rounds: int
    waited_s: float


def watch(
    clock: Any,
    look: Callable[[], Sequence[Look]],
    *,
    timeout_s: float,
    hold_s: float,
    interval_s: float,
    ended: Callable[[], Optional[bool]] = lambda: None,
    healthy_since: Callable[[], Optional[float]] = lambda: None,
) -> Watched:
    """Look every `interval_s` until all looks were healthy for `hold_s` seconds without a break,
    within `timeout_s`.

    `ended()` may end it early with a result. `healthy_since()` may say that the signal is known to
    be well since that many seconds before now, so that the hold need not start at the first look.
    """
    start = clock.monotonic()
    history: List[Tuple[float, Look]] = []
    before: Tuple[Look, ...] = ()
    since: Optional[float] = None
    rounds = 0
    while True:
        early = ended()
        if early is not None:
            return Watched(
                early, "ended", before, tuple(history), rounds, clock.monotonic() - start
            )
        looks = tuple(look())
        now = clock.monotonic()
        rounds += 1
        history += [
            (now - start, one)
            for position, one in enumerate(looks)
            if position >= len(before) or before[position] != one
        ]
        before = looks
        if looks and all(one.healthy for one in looks):
            since = _earlier(now if since is None else since, now, healthy_since())
            if now - since >= hold_s:
                return Watched(True, "held", looks, tuple(history), rounds, now - start)
        else:
            since = None
        left = start + timeout_s - now
        if left <= 0:
            reason = "unhealthy" if since is None else "not long enough"
            return Watched(False, reason, looks, tuple(history), rounds, now - start)
        pause = interval_s if since is None else min(interval_s, since + hold_s - now)
        clock.sleep(max(0.0, min(pause, left)))


def _earlier(since: float, now: float, known_for_s: Optional[float]) -> float:
    return since if known_for_s is None else min(since, now - known_for_s)

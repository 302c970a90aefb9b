"""A breaker as the JSON of its row, and back. What makes no sense there raises ValueError: a state
that cannot be read is never taken for closed.
"""

from __future__ import annotations

import math
from typing import Any, List

from selfheal.breakers.learned import MEMORY, Learned
from selfheal.breakers.machine import OPEN, STATES, Breaker
from selfheal.breakers.settings import Settings
from selfheal.store import dump, load

_VERSION = 1
_FIGURES = 6  # of one part of the window
_LAST_TIME = 2e11  # in the year 8307; later ones have no date
_MOST = 10**15
_FARTHEST = 40.0  # a logarithm of seconds beyond the age of the world


def dumped(breaker: Breaker) -> str:
    """The state as JSON; equal states give equal text."""
    return dump(
        {
            "v": _VERSION,
            "state": breaker.state,
            "since": breaker.since,
            "until": breaker.until,
            "reason": breaker.reason,
            "level": breaker.level,
            "passed": breaker.passed,
            "slow_probes": breaker.slow_probes,
            "probes": breaker.probes,
            "window_s": breaker.settings.window_s,
            "parts": breaker.parts,
            "learned": breaker.learned.as_list(),
            "settled": breaker.settled,
        }
    )


def loaded(text: str, settings: Settings, now: float) -> Breaker:
    """The breaker that `dumped` wrote. Raises ValueError saying what is wrong."""
    found = load(text)
    if not isinstance(found, dict) or found.get("v") != _VERSION:
        raise ValueError("it is not a breaker of version %d" % _VERSION)
    try:
        breaker = Breaker(settings, now)
        if found["state"] not in STATES:
            raise ValueError("the state is %r" % found["state"])
        breaker.state = found["state"]
        breaker.since = _time(found["since"])
        breaker.until = None if found["until"] is None else _time(found["until"])
        if breaker.state == OPEN:  # no longer than would be waited now, whatever stands there
            until = _time(found["until"])
            breaker.until = min(until, breaker.since + settings.max_open_s)
        breaker.reason = str(found["reason"])
        breaker.level = _count(found["level"])
        breaker.passed = _count(found["passed"])
        breaker.slow_probes = _count(found["slow_probes"])
        breaker.probes = {str(who): _time(at) for who, at in found["probes"].items()}
        breaker.settled = [str(owner) for owner in found["settled"]]
        samples, mean, variance = found["learned"]
        if not abs(_figure(mean)) <= _FARTHEST or not 0 <= _figure(variance) <= _FARTHEST**2:
            raise ValueError("what was learned is out of this world")
        breaker.learned = Learned(min(_count(samples), MEMORY), mean, variance)
        if _figure(found["window_s"]) == settings.window_s:  # else its parts mean other times
            breaker.parts = [_part(part) for part in found["parts"]]
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("%s: %s" % (type(error).__name__, error)) from error
    breaker.refresh(now)
    return breaker


def _part(part: Any) -> List[float]:
    if len(part) != _FIGURES:
        raise ValueError("a part of the window has %d figures" % len(part))
    return [_count(figure) for figure in part[:-1]] + [_figure(part[-1])]


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError("%r is no count" % (value,))
    return value


def _time(value: Any) -> float:
    at = _figure(value)
    if not 0 <= at <= _LAST_TIME:
        raise ValueError("%r is no time" % (value,))
    return at


def _figure(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("%r is no figure" % (value,))
    return float(value)

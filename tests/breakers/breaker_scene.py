"""A breaker for a remedy, new or already open, and what it went through."""

from __future__ import annotations

import dataclasses

from selfheal.breakers.machine import (
    OPEN,
    Breaker,
)
from selfheal.breakers.settings import Settings
from tests import scene

NOW = scene.START
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
REMEDY = Settings(
    window_s=6 * HOUR,
    min_calls=3,
    failure_rate=0.5,
    slow_rate=0.0,
    slow_s=0.0,
    open_s=30 * MINUTE,
    max_open_s=DAY,
    probes=1,
    adaptive=True,
    probe_s=HOUR,
)


def settings(**changed):
    return dataclasses.replace(REMEDY, **changed)


def breaker(**changed):
    return Breaker(settings(**changed), NOW)


def opened(at=NOW, **changed):
    one = breaker(**changed)
    for _ in range(one.settings.min_calls):
        one.record(at, False)
    assert one.state == OPEN
    return one


def moves(one):
    return [(change.from_state, change.to_state) for change in one.changes]


# ---------------------------------------------------------------------------------- adaptive


def learned(typical=2.0, calls=40, **changed):
    """A breaker that has seen so many calls around `typical` seconds, its window then empty."""
    one = breaker(**changed)
    for number in range(calls):
        one.record(NOW + number, True, typical * (0.9 + 0.2 * (number % 3) / 2))
    return one, NOW + calls + 7 * HOUR

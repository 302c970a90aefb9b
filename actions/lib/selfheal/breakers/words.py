"""What a refusal says to people: since when, why, until when, and how to force it."""

from __future__ import annotations

from selfheal.breakers.machine import FORCED_OPEN, HALF_OPEN, Refusal
from selfheal.breakers.settings import Name
from selfheal.text import iso

_STATES = {FORCED_OPEN: "was opened by a person", HALF_OPEN: "is half open"}


def reason(name: Name, refusal: Refusal) -> str:
    """Why, in one sentence without its end."""
    until = ", until %s" % iso(refusal.until) if refusal.until is not None else ""
    why = " (%s)" % refusal.reason if refusal.reason else ""
    return "the circuit breaker of %s %s since %s%s%s" % (
        name.shown,
        _STATES.get(refusal.state, "is open"),
        iso(refusal.since),
        until,
        why,
    )


def advice(name: Name, refusal: Refusal) -> str:
    """What to do about it."""
    if refusal.state == FORCED_OPEN:
        return (
            "let it be judged by itself again with `st2 run selfheal.breaker_force name=%s "
            "state=auto reason=...`" % name.key
        )
    return (
        "once the cause is gone, close it with `st2 run selfheal.breaker_reset name=%s`, or keep "
        "it closed whatever happens with `st2 run selfheal.breaker_force name=%s state=closed "
        "minutes=60 reason=...`" % (name.key, name.key)
    )

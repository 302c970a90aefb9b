"""How long a letter waits for its next attempt. Pure."""

from __future__ import annotations

from zlib import crc32

from selfheal.outbox.letters import LONGEST_WAIT_S

FIRST_RETRY_S = 30.0
LONGEST_RETRY_S = 900.0
MANY_ATTEMPTS = 10  # after these the timeline says so, and one attempt an hour remains
_JITTER = 0.2


def backoff_s(attempts: int) -> float:
    """Seconds until the next attempt after `attempts` failures: doubling from 30 s to 15 min, after
    ten hourly.
    """
    if attempts >= MANY_ATTEMPTS:
        return LONGEST_WAIT_S
    return float(min(FIRST_RETRY_S * 2 ** max(0, attempts - 1), LONGEST_RETRY_S))


def jittered(wait_s: float, seed: str) -> float:
    """`wait_s` made up to a fifth shorter, by `seed`: what failed together is not tried together
    again.
    """
    return wait_s * (1.0 - _JITTER * (crc32(seed.encode("utf-8")) % 1000) / 1000.0)


def wait_s(attempts: int, asked_s: float, seed: str) -> float:
    """Seconds until the next attempt, when the other system asked for `asked_s` of rest (0: it did
    not ask). Never more than an hour.
    """
    return min(max(jittered(backoff_s(attempts), seed), asked_s), LONGEST_WAIT_S)

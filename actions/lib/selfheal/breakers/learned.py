"""What is slow, learned from a breaker's own past: pure arithmetic on the logarithms of seconds.

The mean and the variance of log seconds, each call weighing 1/200 at least, give what is typical
(exp of the mean) and what is slow: three standard deviations above it, yet never less than 3 nor
more than 10 times what is typical, and never less than half a second. Nothing is said before 10
successful calls. Failures are never learned from, nor is a call that was slow itself; so the past
cannot be taught that being slow is normal, except by being forgotten.
"""

from __future__ import annotations

import math
from typing import List, Optional

LEARN_AFTER = 10
MEMORY = 200
DEVIATIONS = 3.0
LEAST_FACTOR = 3.0
MOST_FACTOR = 10.0
LEAST_SLOW_S = 0.5
_WARM = 5  # from so many on, what lies beyond MOST_FACTOR is an outlier
_LEAST_S = 0.001
_FAR = math.log(MOST_FACTOR)


class Learned:
    """How long successful calls take. Its three figures are all of its state."""

    __slots__ = ("mean", "samples", "variance")

    def __init__(self, samples: int = 0, mean: float = 0.0, variance: float = 0.0) -> None:
        self.samples, self.mean, self.variance = samples, mean, variance

    def add(self, seconds: float) -> None:
        """Learn from a successful call that was not slow."""
        value = math.log(seconds if seconds > _LEAST_S else _LEAST_S)
        off = value - self.mean
        if self.samples >= _WARM and not -_FAR < off < _FAR:
            if off > 0:
                return
            off = -_FAR  # a suspiciously quick one counts, but does not throw the scale over
        if self.samples < MEMORY:
            self.samples += 1
        weight = 1.0 / self.samples
        self.mean += weight * off
        self.variance = (1.0 - weight) * (self.variance + weight * off * off)

    @property
    def typical_s(self) -> Optional[float]:
        """What a call usually takes; None while too few are known."""
        return math.exp(self.mean) if self.samples >= LEARN_AFTER else None

    @property
    def slow_s(self) -> Optional[float]:
        """Longer than this is slow; None while too few are known."""
        if self.samples < LEARN_AFTER:
            return None
        factor = math.exp(min(DEVIATIONS * math.sqrt(self.variance), _FAR))
        return max(LEAST_SLOW_S, math.exp(self.mean) * max(LEAST_FACTOR, factor))

    def forget(self) -> None:
        """Begin anew."""
        self.samples, self.mean, self.variance = 0, 0.0, 0.0

    def as_list(self) -> List[float]:
        """The state as plain JSON; the arguments of the constructor."""
        return [self.samples, self.mean, self.variance]

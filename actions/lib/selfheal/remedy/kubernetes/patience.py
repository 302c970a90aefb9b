"""How long a change may still take, and who may call it off meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfheal.exceptions import SelfhealError

if TYPE_CHECKING:
    from selfheal.remedy.steps import Surroundings

LOOK_S = 0.5
RETRY_S = 1.0
_SLICE_S = 1.0


class CalledOff(SelfhealError):
    """Somebody called the change off, or this process is to end: `reason` as a stopper says it."""

    def __init__(self, reason: str) -> None:
        super().__init__("stopped: %s" % reason)
        self.reason = reason


class OutOfTime(SelfhealError):
    """The time is over; the message says what was waited for."""


class Patience:
    """The time that a change has: what is left of the step's, and at most `limit_s`."""

    def __init__(self, around: Surroundings, limit_s: float) -> None:
        self._around = around
        self._clock = around.ctx.clock
        self._end = min(around.deadline, self._clock.monotonic() + limit_s)

    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - float(self._clock.monotonic()))

    def check(self) -> None:
        """Raises CalledOff when it is to stop."""
        reason = self._around.is_ending() or self._around.should_stop()
        if reason:
            raise CalledOff(reason)

    def outlast(self, trouble: SelfhealError) -> None:
        """Wait before asking again a server that had `trouble`, as long as it says itself. Raises
        the trouble when waiting does not help, and as `pause` does.
        """
        if not trouble.retryable:
            raise trouble
        self.pause(max(getattr(trouble, "retry_after_s", 0.0), RETRY_S), str(trouble))

    def pause(self, seconds: float, what: str) -> None:
        """Wait so long, as far as there is time, asking meanwhile whether to go on. Raises
        CalledOff, and OutOfTime with `what` was waited for when there is no time left.
        """
        self.check()
        if self.left() <= 0:
            raise OutOfTime(what)
        end = self._clock.monotonic() + min(seconds, self.left())
        while True:
            rest = end - self._clock.monotonic()
            if rest <= 0:
                return
            self._clock.sleep(min(rest, _SLICE_S))
            self.check()

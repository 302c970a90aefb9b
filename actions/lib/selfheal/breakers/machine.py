"""The state machine of one breaker. Time and outcomes come in as arguments; no clock, no chance.

closed: calls go through, their outcomes count within a window of time (in twenty parts, so that
memory is bounded). With `min_calls` of them in it, it opens when the share of failures reaches
`failure_rate`, or that of slow calls `slow_rate`, or - adaptive - when the mean time of successful
calls exceeds what is slow (`slow_s`, or learned: see `learned`). One call counts for at most twice
that time, so that one outlier opens nothing; of each part of the window ten calls are learned from.

open: no call goes through for `open_s`, twice as long after each failed probe, at most
`max_open_s`. One successful probe takes one doubling back; a window spent closed takes all.

half_open: at most `probes` calls at a time go through, each by a permit that belongs to an owner
and ends by itself. So many successes close it. A failed one opens it again, and so does one whose
owner never came back, from the moment it was given up. A success that is slow counts as failed, but
after three in a row slow is the new normal: the past is forgotten and it closes.

forced_open, forced_closed: as a person said, until a time or for good. Outcomes are learned from
while forced closed, and ignored while forced open.

A clock that was set back by more than a wait ends the wait: no state lasts for ever.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from selfheal.breakers.learned import Learned
from selfheal.breakers.settings import Settings
from selfheal.records import dataclass

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half_open"
FORCED_OPEN = "forced_open"
FORCED_CLOSED = "forced_closed"
STATES = (CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, FORCED_CLOSED)

PARTS = 20
NEW_NORMAL_AFTER = 3
_MOST = 2.0  # times the slow threshold that one call may add to the mean
_LONGEST_CALL_S = 1e7
_TEACHING = 10  # calls of each part of the window that are learned from: a burst is not the past
_SETTLED = 32  # owners whose outcome is remembered, so that none counts twice
_AT, _CALLS, _FAILURES, _SLOW, _TIMED, _SECONDS = range(6)


@dataclass(frozen=True)
class Change:
    """One change of state with the numbers that it was made by."""

    at: float
    from_state: str
    to_state: str
    reason: str
    numbers: Dict[str, Any]


class Refusal(NamedTuple):
    """Why no call may be made now. `until` is when it lapses by itself, None when nobody knows."""

    state: str
    since: float
    until: Optional[float]
    reason: str


class Breaker:
    """The state of one breaker. `changes` collects what happened since it was made or loaded."""

    __slots__ = (
        "_calm_from",
        "_calm_until",
        "_part",
        "_quick_s",
        "changes",
        "is_tainted",
        "learned",
        "level",
        "part_s",
        "parts",
        "passed",
        "probes",
        "reason",
        "settings",
        "settled",
        "since",
        "slow_probes",
        "slow_s",
        "state",
        "until",
    )

    def __init__(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.state = CLOSED
        self.since = now
        self.until: Optional[float] = None  # the end of an open wait or of a person's word
        self.reason = ""
        self.level = 0  # doublings of the wait
        self.passed = 0  # successful probes of this half-open time
        self.slow_probes = 0  # successful but slow ones in a row
        self.probes: Dict[str, float] = {}  # owner -> since when
        self.parts: List[List[float]] = []  # of the window, oldest first, empty ones left out
        self.learned = Learned()
        self.settled: List[str] = []
        self.changes: List[Change] = []
        self.part_s = settings.window_s / PARTS
        self.slow_s = self._threshold()
        self.is_tainted = False  # whether the window may hold a failure or a slow call
        # While all is well within one part of the window, a quick success is only counted.
        self._calm_from = self._calm_until = self._quick_s = 0.0
        self._part: List[float] = []

    # ------------------------------------------------------------------ may a call be made?

    def refusal(self, now: float, owner: str = "") -> Optional[Refusal]:
        """Why `owner` may make no call at `now`, or None. Takes nothing."""
        if self.state == CLOSED:
            return None
        self._pass_time(now)
        if self.state in (CLOSED, FORCED_CLOSED):
            return None
        until, reason = self.until, self.reason
        if self.state == HALF_OPEN or self._is_over(now):
            if owner in self.probes or len(self.probes) < self.settings.probes:
                return None
            until = min(self.probes.values()) + self.settings.probe_s
            reason = "it is being tried whether it works again (%d at a time)" % len(self.probes)
        return Refusal(self.state, self.since, until, reason)

    def permit(self, now: float, owner: str) -> Optional[Refusal]:
        """As `refusal`, but when it is None and a probe is needed, `owner` has taken it."""
        if self.state == CLOSED:
            return None
        refused = self.refusal(now, owner)
        if refused is None and self.state in (OPEN, HALF_OPEN):
            if self.state == OPEN:
                self.passed = 0
                self._move(HALF_OPEN, now, "the wait is over")
            self.probes[owner] = now
        return refused

    # ------------------------------------------------------------------ what became of it

    def record(
        self, now: float, is_ok: bool, seconds: Optional[float] = None, owner: str = ""
    ) -> None:
        """The outcome of a call that ended at `now` after `seconds` (None: not known).

        Half-open, only the outcome of an owner of a probe counts; open, none does.
        """
        if is_ok and self._calm_from <= now < self._calm_until and seconds is not None:
            if 0.0 <= seconds <= self._quick_s:
                part = self._part
                part[_CALLS] += 1
                part[_TIMED] += 1
                part[_SECONDS] += seconds
                return
        self._calm_until = 0.0
        if self.state != CLOSED:
            self._pass_time(now)
        was_probe = self.probes.pop(owner, None) is not None if self.probes else False
        if seconds is not None and not 0.0 <= seconds <= _LONGEST_CALL_S:
            seconds = None
        if self.state == CLOSED:
            if self._count(now, is_ok, seconds):
                self._judge(now)
            elif self._part[_CALLS] >= _TEACHING:
                self._be_calm()
        elif self.state == FORCED_CLOSED:
            self._count(now, is_ok, seconds)
        elif self.state == HALF_OPEN and was_probe:
            self._judge_probe(now, is_ok, seconds)

    def settle(self, now: float, is_ok: bool, seconds: Optional[float], owner: str) -> bool:
        """`record`, once for each owner; False when its outcome was known already."""
        if owner in self.settled:
            return False
        self.settled = [*self.settled[1 - _SETTLED:], owner]
        self.record(now, is_ok, seconds, owner)
        return True

    def release(self, owner: str) -> None:
        """Give a probe back of which nothing was learned."""
        self.probes.pop(owner, None)

    def prove(self, now: float) -> None:
        """A call that went past the breaker succeeded: it works, whatever was thought."""
        self._pass_time(now)
        if self.state in (OPEN, HALF_OPEN):
            self._close(now, "a call that could not wait succeeded")

    # ------------------------------------------------------------------ what a person says

    def force(self, state: str, now: float, until: Optional[float], reason: str) -> None:
        """FORCED_OPEN or FORCED_CLOSED until a time (None: for good)."""
        self.reason = reason
        self._move(state, now, reason, until)

    def reset(self, now: float, reason: str, forget: bool = False) -> None:
        """Closed, with an empty window and no doublings; `forget` drops what was learned too."""
        if forget:
            self.learned.forget()
            self.slow_s = self._threshold()
        self.level, self.slow_probes, self.probes = 0, 0, {}
        self._close(now, reason)

    # ------------------------------------------------------------------ numbers

    def numbers(self, now: float) -> Dict[str, Any]:
        """What it goes by at `now`: counts and rates of the window, what is typical, what slow."""
        self._forget_old(now)
        calls, failures, slow, timed, seconds = self._sums()
        return {
            "calls": int(calls),
            "failures": int(failures),
            "failure_rate": round(failures / calls, 4) if calls else 0.0,
            "slow": int(slow),
            "slow_rate": round(slow / calls, 4) if calls else 0.0,
            "mean_s": _rounded(seconds / timed) if timed else None,
            "typical_s": _rounded(self.learned.typical_s),
            "slow_over_s": _rounded(self.slow_s),
            "samples": self.learned.samples,
            "wait_s": self.settings.wait_s(self.level),
        }

    @property
    def counted_at(self) -> float:
        """The beginning of the part of the window that the last outcome counts in; 0 for none."""
        return self.parts[-1][_AT] * self.part_s if self.parts else 0.0

    def refresh(self, now: float) -> None:
        """Work out anew what follows from the state, after it was set from outside."""
        self.slow_s = self._threshold()
        self._forget_old(now)

    # ------------------------------------------------------------------ inside

    def _threshold(self) -> Optional[float]:
        if self.settings.slow_s > 0:
            return self.settings.slow_s
        return self.learned.slow_s if self.settings.adaptive or self.settings.slow_rate else None

    def _is_over(self, now: float) -> bool:
        """Whether an open wait has passed, or the clock was set back by more than it."""
        if self.state != OPEN or self.until is None:
            return False
        return not abs(now - self.since) < self.until - self.since

    def _pass_time(self, now: float) -> None:
        """What the passing of time alone brings about."""
        if self.state in (FORCED_OPEN, FORCED_CLOSED):
            if self.until is not None and now >= self.until:
                self._close(now, "the time that was set is over")
        elif self.probes:
            ends = self.settings.probe_s
            dead = [who for who, at in self.probes.items() if not abs(now - at) < ends]
            given_up = max([min(now, self.probes.pop(who) + ends) for who in dead], default=now)
            if dead and self.state == HALF_OPEN:
                self._try_later()
                self._open(given_up, "%d tried it and never came back" % len(dead))

    def _count(self, now: float, is_ok: bool, seconds: Optional[float]) -> bool:
        """Put an outcome into the window; whether there is anything to judge."""
        at = int(now / self.part_s)
        parts = self.parts
        if not parts or parts[-1][_AT] != at:
            # What comes a little late, or from a clock that goes a little slow, is not lost.
            if not parts or not 0 < parts[-1][_AT] - at < PARTS:
                self._begin_part(at)
        part = self._part = self.parts[-1]
        part[_CALLS] += 1
        if not is_ok:
            part[_FAILURES] += 1
            self.is_tainted = True
        if seconds is None:
            return self.is_tainted
        slow_s = self.slow_s
        is_slow = slow_s is not None and seconds > slow_s
        if is_slow:
            part[_SLOW] += 1
            self.is_tainted = True
        if is_ok:
            if slow_s is not None:
                part[_TIMED] += 1
                part[_SECONDS] += min(seconds, _MOST * slow_s)
            if not is_slow and (slow_s is None or part[_CALLS] <= _TEACHING):
                self.learned.add(seconds)
                if slow_s is None:
                    self.slow_s = self._threshold()
        return self.is_tainted

    def _be_calm(self) -> None:
        if self.slow_s is None or self.probes:
            return
        at = self._part[_AT]
        self._calm_from, self._calm_until = at * self.part_s, (at + 1) * self.part_s
        self._quick_s = self.slow_s

    def _begin_part(self, at: int) -> None:
        self.slow_s = self._threshold()  # learned anew for each part of the window
        self._forget_old(at * self.part_s)
        self.parts.append([at, 0, 0, 0, 0, 0.0])

    def _forget_old(self, now: float) -> None:
        at = int(now / self.part_s)
        self.parts = [part for part in self.parts if -PARTS < part[_AT] - at < PARTS]
        self.is_tainted = any(part[_FAILURES] or part[_SLOW] for part in self.parts)

    def _sums(self) -> List[float]:
        return [sum(part[n] for part in self.parts) for n in range(_CALLS, _SECONDS + 1)]

    def _judge(self, now: float) -> None:
        """Open when the window says so."""
        settings = self.settings
        calls, failures, slow, timed, seconds = self._sums()
        if calls < settings.min_calls:
            return
        reason = ""
        if failures / calls >= settings.failure_rate:
            reason = "%d of %d calls failed, from %g %% on it opens" % (
                failures,
                calls,
                100 * settings.failure_rate,
            )
        elif settings.slow_rate and slow / calls >= settings.slow_rate:
            reason = "%d of %d calls were slow, from %g %% on it opens" % (
                slow,
                calls,
                100 * settings.slow_rate,
            )
        elif settings.adaptive and timed >= settings.min_calls and self.slow_s is not None:
            if seconds / timed > self.slow_s:
                reason = "calls took %.3g s on average, over %.3g s it opens" % (
                    seconds / timed,
                    self.slow_s,
                )
        if reason:
            if now - self.since >= settings.window_s:
                self.level = 0
            self._open(now, reason)

    def _judge_probe(self, now: float, is_ok: bool, seconds: Optional[float]) -> None:
        slow_s = self.slow_s
        is_slow = is_ok and seconds is not None and slow_s is not None and seconds > slow_s
        if is_ok and not is_slow:
            self.passed += 1
            if self.passed >= self.settings.probes:
                self._close(now, "it works again")
            return
        self.slow_probes = self.slow_probes + 1 if is_slow else 0
        if self.slow_probes >= NEW_NORMAL_AFTER and self.settings.slow_s == 0:
            self.learned.forget()
            self.slow_s = self._threshold()
            self._close(now, "it works, and to be as slow as now is the new normal")
            return
        self._try_later()
        if is_slow:
            took = "tried again, it took %.3g s, over %.3g s" % (seconds or 0, slow_s or 0)
            self._open(now, took)
        else:
            self._open(now, "tried again, it failed")

    def _try_later(self) -> None:
        if self.settings.wait_s(self.level) < self.settings.max_open_s:
            self.level += 1

    def _open(self, at: float, reason: str) -> None:
        self.reason = reason
        self._move(OPEN, at, reason, at + self.settings.wait_s(self.level))

    def _close(self, now: float, reason: str) -> None:
        numbers = self.numbers(now)
        self.level = max(0, self.level - 1)
        self.slow_probes = self.passed = 0
        self.parts, self.is_tainted, self.reason = [], False, ""
        self._move(CLOSED, now, reason, numbers=numbers)

    def _move(
        self,
        state: str,
        now: float,
        reason: str,
        until: Optional[float] = None,
        numbers: Optional[Dict[str, Any]] = None,
    ) -> None:
        found = self.numbers(now) if numbers is None else numbers
        self.changes.append(Change(now, self.state, state, reason, found))
        self.state, self.since, self.until = state, now, until
        self._calm_until = 0.0


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else float("%.4g" % value)

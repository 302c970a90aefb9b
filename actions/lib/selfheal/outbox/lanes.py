"""One channel's letters within one call of `carrying.deliver`: which comes next, what its carrier
made of it, and whether the channel is left alone for the rest of the call.
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from selfheal.breakers import service
from selfheal.context import Context
from selfheal.exceptions import (
    ConfigError,
    DeadlineExceeded,
    ExternalError,
    InvalidInput,
    NotFound,
    Refused,
    SelfhealError,
)
from selfheal.outbox import claims, pace, waits
from selfheal.outbox.carrying import (
    LATER,
    NO_DESTINATION,
    REFUSED,
    SETTINGS,
    UNKNOWN,
    Delivery,
    Later,
    Letter,
    letter_of,
)
from selfheal.outbox.letters import DEAD, LONGEST_WAIT_S, PENDING, SENT
from selfheal.store import Row, load_map
from selfheal.text import cap, one_line, scrub

if TYPE_CHECKING:
    from selfheal.http import Response
    from selfheal.store import Store

SETTINGS_WAIT_S = 300.0  # after so long somebody may have mended them
_SHORTEST_S = 1.0
_LEAD_S = 5.0
_AT_ONCE = 50
_MOST_MISSES = 3
_FEW_ATTEMPTS = 3  # a letter that failed more often may be the trouble itself
_SPARE_S = 30.0  # of the lease, for what a carrier does besides HTTP
_MOST_ERROR = 500
_NEVER = (InvalidInput, NotFound, Refused)  # trying again would change nothing


class Lane:
    """The letters of one channel that are carried now, one by one. `used` is what it cost so far:
    (seconds, letters), by which the channels take turns.
    """

    def __init__(
        self,
        ctx: Context,
        outside: Hurried,
        channel: str,
        carriers: Mapping[str, str],
        which: claims.Wanted,
    ) -> None:
        self._ctx, self._outside, self._channel, self._which = ctx, outside, channel, which
        self._carrier, self._problem = loaded(ctx, channel, carriers)
        self._limit = pace.limit_of(ctx.config, channel)
        self._is_resting = claims.is_resting(ctx.store, channel)
        self._service: Optional[str] = None
        # What failed before may cost its whole patience again: the others have a lead.
        self.used = (_LEAD_S if claims.has_failed(ctx.store, channel) else 0.0, 0)
        self._rows: List[Row] = []
        self._is_over, self._is_fruitful, self._misses = bool(self._problem), True, 0

    def kept(self, limit: int) -> List[Delivery]:
        """What stays because there is nowhere to carry it."""
        if not self._problem:
            return []
        rows = claims.due(self._ctx.store, self._channel, self._which, limit)
        return [_delivery(row, NO_DESTINATION, False, error=self._problem) for row in rows]

    def carry_next(self) -> Optional[Delivery]:
        """Carry one letter; None when there is no more to carry now."""
        while not self._is_over:
            if not self._rows and not self._fetch():
                break
            row = self._rows.pop(0)
            if not row["urgent"] and self._is_left_alone(row):
                continue  # not an attempt: it stays due
            outcome, claim, taken = claims.take(self._ctx.store, str(row["id"]), self._limit)
            if outcome == claims.OVER_LIMIT:
                break  # all that follow are no more urgent than this one
            if outcome == claims.TAKEN:
                self._is_fruitful, began = True, self._ctx.clock.monotonic()
                delivery = self._carry(taken, claim)
                seconds, count = self.used
                self.used = seconds + self._ctx.clock.monotonic() - began, count + 1
                return delivery
        self._is_over = True
        return None

    def _fetch(self) -> bool:
        if not self._is_fruitful:
            return False  # others carry these, or they are held
        self._is_fruitful = False
        self._rows = claims.due(
            self._ctx.store, self._channel, self._which, _AT_ONCE, self._is_resting
        )
        return bool(self._rows)

    def _is_left_alone(self, row: Row) -> bool:
        name = self._service_of(letter_of(row, load_map(row["payload"])))
        return bool(name) and service.refusal(self._ctx, name) is not None

    def _service_of(self, letter: Letter) -> str:
        if self._service is None:
            named = getattr(self._carrier, "SERVICE", "")
            try:
                self._service = str(named(letter) if callable(named) else named)
            except Exception:  # a defect of one carrier must not stop the others
                self._ctx.log.error("no breaker for %s", letter.channel, exc_info=True)
                self._service = ""
        return self._service

    def _carry(self, row: Row, claim: str) -> Delivery:
        store, letter = self._ctx.store, letter_of(row, load_map(row["payload"]))
        begun: List[bool] = []

        def carried() -> Any:
            begun.append(True)
            self._outside.hurry(claims.LEASE_S - _SPARE_S)
            return self._carrier.carry(self._outside, letter)

        try:
            name = self._service_of(letter)
            if name:
                answer = service.call(self._ctx, name, carried, is_urgent=letter.is_urgent)
            else:
                answer = carried()
        except Exception as error:  # a defect of one carrier must not stop the others
            if not isinstance(error, SelfhealError):
                self._ctx.log.error("carrying %s failed", letter.id, exc_info=True)
            return self._failed(row, claim, letter, error, bool(begun))
        claims.arrived(store, letter.id, self._plain(answer))
        return _delivery(row, SENT, True, letter.attempts)

    def _failed(
        self, row: Row, claim: str, letter: Letter, error: Exception, has_begun: bool
    ) -> Delivery:
        cause, wait_s, is_in_doubt = self._judged(letter, error, has_begun)
        is_attempt = cause in (REFUSED, UNKNOWN)
        is_final = (
            isinstance(error, _NEVER) or
            bool(getattr(error, "is_final", False)) or
            (cause != SETTINGS and self._is_hopeless(row, letter))
        )
        failure = claims.Failure(
            self._words(error, cause),
            wait_s,
            is_in_doubt,
            is_attempt=is_attempt,
            is_failing=cause != SETTINGS,
            is_final=is_final,
        )
        claims.failed(self._ctx.store, row, claim, failure)
        attempts = letter.attempts if is_attempt else letter.attempts - 1
        status = DEAD if is_final else PENDING
        return _delivery(row, status, True, attempts, failure.error, cause, error)

    def _judged(
        self, letter: Letter, error: Exception, has_begun: bool
    ) -> Tuple[str, float, bool]:
        """(the cause; seconds to wait; whether the letter may have arrived). Decides as well
        whether the channel is left alone for the rest of the call.
        """
        before = letter.may_have_arrived
        if isinstance(error, Later):
            return LATER, _bounded(error.wait_s), before
        if isinstance(error, service.LeftAlone):
            self._is_over = True
            until = error.until or 0.0
            wait = _bounded(max(until - self._ctx.clock.now(), waits.FIRST_RETRY_S))
            return LATER, wait, before or has_begun
        if isinstance(error, ConfigError):
            self._misses += 1
            self._is_over = self._misses >= _MOST_MISSES
            return SETTINGS, SETTINGS_WAIT_S, before or has_begun
        if _concerns_all(error):
            self._is_over = True
        asked_s = getattr(error, "retry_after_s", None)
        rest_s = float(asked_s or getattr(error, "rest_s", 0.0) or 0.0)
        is_kept = asked_s is not None or not letter.is_urgent  # after a 5xx
        seed = "%s%d" % (letter.id, letter.attempts)
        wait = waits.wait_s(letter.attempts, rest_s if is_kept else 0.0, seed)
        if rest_s > 0:
            self._is_over = True
            claims.rest(self._ctx.store, self._channel, rest_s)
        if asked_s is not None or isinstance(error, _NEVER):
            return REFUSED, wait, before
        self._misses += 1
        if isinstance(error, (ExternalError, DeadlineExceeded)):
            is_new = letter.attempts <= _FEW_ATTEMPTS
            self._is_over = self._is_over or is_new or self._misses >= _MOST_MISSES
        return UNKNOWN, wait, True

    def _is_hopeless(self, row: Row, letter: Letter) -> bool:
        """Whether it has failed for so long that it is given up; what calls somebody never is."""
        if letter.is_urgent or row["failing_since"] is None:
            return False
        try:
            hours = self._ctx.config.number("outbox.give_up_hours")
        except ConfigError:
            return False
        return bool(self._ctx.store.now() - float(row["failing_since"]) >= hours * 3600.0)

    def _words(self, error: Exception, cause: str) -> str:
        words = str(error)
        if not isinstance(error, SelfhealError):
            words = "%s: %s" % (type(error).__name__, error)
        if cause in (UNKNOWN, SETTINGS):
            words = "%s: %s" % (self._service or self._channel, words)
        return one_line(str(scrub(words, self._ctx.config.secrets())), _MOST_ERROR)

    def _plain(self, answer: Any) -> Dict[str, Any]:
        """What is kept of an answer: plain JSON, bounded, without our secrets. It has arrived
        whatever it looks like.
        """
        if not isinstance(answer, Mapping):
            return {}
        plain = json.loads(json.dumps(dict(answer), default=str))
        found: Dict[str, Any] = scrub(cap(plain, 4000, 200), self._ctx.config.secrets())
        return found


class Hurried(Context):
    """The context for carriers: what they ask of other systems ends before their lease does, so
    that no second worker carries the same letter meanwhile.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx.config, log=ctx.log, clock=ctx.clock)
        self._of = ctx
        self._end = 0.0

    def hurry(self, seconds: float) -> None:
        """From now on there are so many seconds."""
        self._end = self.clock.monotonic() + seconds

    @property
    def store(self) -> Store:
        return self._of.store

    @property
    def http(self) -> Any:
        return self

    @property
    def platform(self) -> Any:
        return self._of.platform

    def request(
        self, method: str, url: str, *, timeout_s: float = 10.0, **more: Any
    ) -> Response:
        """As HttpClient's. Raises DeadlineExceeded when the time is up."""
        left_s = self._end - self.clock.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(
                "there was no time left to ask %s: a letter has to be carried within %d s"
                % (url.partition("?")[0], claims.LEASE_S - _SPARE_S)
            )
        return self._of.http.request(method, url, timeout_s=min(timeout_s, left_s), **more)

    def close(self) -> None:
        """Nothing here is ours to close."""


def _concerns_all(error: Exception) -> bool:
    """Whether the next letter of the channel would fail just as well, however long that takes."""
    return any(getattr(one, "concerns_all", False) for one in (error, error.__cause__))


def _bounded(wait_s: float) -> float:
    return min(max(wait_s, _SHORTEST_S), LONGEST_WAIT_S)


def loaded(ctx: Context, channel: str, carriers: Mapping[str, str]) -> Tuple[Any, str]:
    """(the channel's carrier, why there is nowhere to carry its letters or nothing)."""
    name, _, target = channel.partition(":")
    if name not in carriers:
        return None, "no carrier goes to %s; discard its letters" % one_line(channel, 80)
    try:
        carrier = importlib.import_module(carriers[name])
        problem = getattr(carrier, "problem", None)
        return carrier, str(problem(ctx, target)) if problem else ""
    except ConfigError as error:
        return None, str(error)
    except Exception as error:  # a defect of one carrier must not stop the others
        ctx.log.error("the carrier of %s cannot be used", channel, exc_info=True)
        return None, "its carrier cannot be used: %s: %s" % (type(error).__name__, error)


def _delivery(
    row: Row,
    status: str,
    tried: bool,
    attempts: Optional[int] = None,
    error: str = "",
    cause: str = "",
    problem: Optional[Exception] = None,
) -> Delivery:
    return Delivery(
        id=str(row["id"]),
        kind=str(row["kind"]),
        incident_id=str(row["incident_id"] or ""),
        status=status,
        attempts=int(row["attempts"]) if attempts is None else attempts,
        tried=tried,
        error=error or ("" if status == SENT else str(row["last_error"] or "")),
        channel=str(row["channel"]),
        cause=cause,
        problem=problem,
    )

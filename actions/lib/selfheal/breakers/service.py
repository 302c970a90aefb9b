"""A breaker before calls of an external service: one that keeps failing is left alone for a while.

This is politeness, not safety: when the store is the trouble, the call goes ahead. A failure is
what the same call may survive later (no connection, no answer in time, 5xx, 429: an ExternalError
that is retryable); a refusal such as 401 or 400 shows that the service answers.

A healthy service costs a read every five seconds and a write every thirty, per process: successes
are kept in memory until then, or until something fails, is slow, or failed lately elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar
from weakref import WeakKeyDictionary

from selfheal.breakers import rows, words
from selfheal.breakers.machine import CLOSED, Breaker, Refusal
from selfheal.breakers.settings import SERVICE, Name, Settings, settings_of
from selfheal.config import DEFAULT_TARGET, Config
from selfheal.exceptions import ConfigError, DeadlineExceeded, ExternalError, SelfhealError
from selfheal.ids import new_id

if TYPE_CHECKING:
    from selfheal.context import Context

T = TypeVar("T")
FRESH_S = 5.0  # for so long a closed breaker is believed to be closed without being read again
RECORD_EVERY_S = 30.0
_MOST_KEPT = 500
_STORE_REST_S = 30.0  # for so long the store is not asked again after it failed


class LeftAlone(ExternalError):
    """The breaker of the service is open: nothing was sent. `until` is when it may be tried."""

    def __init__(self, message: str, until: Optional[float]) -> None:
        super().__init__(message)
        self.until = until


def name_of(config: Config, section: str, target: Mapping[str, Any]) -> str:
    """What the service at `target` (an entry of `section`) is called: `prometheus`, or
    `prometheus.edge` for the target named edge.
    """
    for name, settings in config.targets(section).items():
        if settings.get("url") == target.get("url") and name != DEFAULT_TARGET:
            return "%s.%s" % (section, name)
    return section


def call(
    ctx: Context, service: str, function: Callable[[], T], *, is_urgent: bool = False
) -> T:
    """`function()`, unless the breaker of `service` is open; its outcome is recorded.

    An urgent call is made whatever the breaker says, and closes it when it succeeds. Raises
    LeftAlone, and whatever `function` raises.
    """
    watched = _watched(ctx, service)
    owner, refused = watched.enter()
    if refused is not None and not is_urgent:
        raise _left_alone(service, refused)
    start = ctx.clock.monotonic()
    try:
        answer = function()
    except (ConfigError, DeadlineExceeded, ExternalError) as error:
        is_failure = not isinstance(error, ConfigError) and (
            error.retryable or isinstance(error, DeadlineExceeded)
        )
        watched.leave(owner, refused, not is_failure, None)
        raise
    except BaseException:
        watched.give_back(owner)
        raise
    watched.leave(owner, refused, True, ctx.clock.monotonic() - start)
    return answer


def refusal(ctx: Context, service: str) -> Optional[LeftAlone]:
    """The error that `call` would raise now, or None; takes nothing."""
    refused = _watched(ctx, service).look()
    return None if refused is None else _left_alone(service, refused)


def _left_alone(service: str, refused: Refusal) -> LeftAlone:
    name = Name(SERVICE, service)
    return LeftAlone(
        "%s was not asked: %s; %s"
        % (name.shown, words.reason(name, refused), words.advice(name, refused)),
        refused.until,
    )


class _Watched:
    """What this process knows of one service's breaker, and successes it has not written yet."""

    def __init__(self, ctx: Context, service: str) -> None:
        # No reference to the context: it is the key under which this is kept.
        self._clock, self._log = ctx.clock, ctx.log
        self._store: Callable[[], Any] = _store_of(ctx)
        self._name = Name(SERVICE, service)
        self._config = ctx.config
        self._breaker: Optional[Breaker] = None
        self._read_at = 0.0
        self._kept: List[Tuple[float, Optional[float]]] = []
        self._resting_until: Optional[float] = None

    def look(self) -> Optional[Refusal]:
        """Why no call may be made now, or None."""
        return self._guarded(lambda: self._current().refusal(self._clock.now()))

    def enter(self) -> Tuple[str, Optional[Refusal]]:
        """(who we are to the breaker, "" when nobody need be; why no call may be made)."""

        def entered() -> Tuple[str, Optional[Refusal]]:
            if self._current().state == CLOSED:
                return "", None
            owner = new_id("call", self._clock.now())
            refused = self._change(lambda breaker: breaker.permit(self._clock.now(), owner))
            return owner, refused

        return self._guarded(entered) or ("", None)

    def leave(
        self, owner: str, refused: Optional[Refusal], is_ok: bool, seconds: Optional[float]
    ) -> None:
        """What became of the call. Counted now, or kept when that can wait."""
        now = self._clock.now()
        if refused is not None:
            if is_ok:
                self._guarded(lambda: self._change(lambda breaker: breaker.prove(now)))
            return
        if is_ok and not owner and not self._is_worth(now, seconds):
            self._kept.append((now, seconds))
            del self._kept[:-_MOST_KEPT]
            return

        def act(breaker: Breaker) -> None:
            for at, took in kept:
                breaker.record(at, True, took)
            breaker.record(now, is_ok, seconds, owner)

        kept, self._kept = self._kept, []
        self._guarded(lambda: self._change(act))

    def give_back(self, owner: str) -> None:
        """Nothing was learned from the call."""
        if owner:
            self._guarded(lambda: self._change(lambda breaker: breaker.release(owner)))

    def _is_worth(self, now: float, seconds: Optional[float]) -> bool:
        """Whether a success must be written now: it may change what others conclude."""
        breaker = self._breaker
        if breaker is None:
            return False  # the store is resting
        is_slow = seconds is not None and breaker.slow_s is not None and seconds > breaker.slow_s
        if is_slow or breaker.is_tainted or len(self._kept) >= _MOST_KEPT:
            return True
        return not 0 <= now - breaker.counted_at < max(RECORD_EVERY_S, breaker.part_s)

    def _current(self) -> Breaker:
        now = self._clock.monotonic()
        breaker = self._breaker
        if breaker is None or breaker.state != CLOSED or not 0 <= now - self._read_at < FRESH_S:
            breaker = self._breaker = rows.read(self._store(), self._name, self._settings())
            self._read_at = now
        return breaker

    def _change(self, act: Callable[[Breaker], T]) -> T:
        def acted(breaker: Breaker) -> Tuple[T, Breaker]:
            return act(breaker), breaker

        (answer, self._breaker), changes = rows.change(
            self._store(), self._name, self._settings(), acted, _BY
        )
        self._read_at = self._clock.monotonic()
        for one in changes:
            self._log.warning(
                "circuit breaker of %s: %s -> %s: %s",
                self._name.shown,
                one.from_state,
                one.to_state,
                one.reason,
            )
        return answer

    def _settings(self) -> Settings:
        return settings_of(self._config, SERVICE)

    def _guarded(self, work: Callable[[], Optional[T]]) -> Optional[T]:
        """What `work` answers; None when the store (or safety.service_breaker) is unusable, which
        is not asked for a while then.
        """
        now = self._clock.monotonic()
        if self._resting_until is not None and 0 <= self._resting_until - now <= _STORE_REST_S:
            return None
        try:
            return work()
        except SelfhealError as error:
            self._resting_until = now + _STORE_REST_S
            self._breaker = None
            self._log.warning("the circuit breaker of %s is not asked: %s", self._name.shown, error)
            return None


_BY = "selfheal"
_known: WeakKeyDictionary[Any, Dict[str, _Watched]] = WeakKeyDictionary()


def _watched(ctx: Context, service: str) -> _Watched:
    mine = _known.setdefault(ctx, {})
    if service not in mine:
        mine[service] = _Watched(ctx, service)
    return mine[service]


def _store_of(ctx: Context) -> Callable[[], Any]:
    from weakref import ref

    context = ref(ctx)

    def store() -> Any:
        found = context()
        return found.store if found is not None else None

    return store

"""StackStorm's timer triggers: core.st2.IntervalTimer, core.st2.DateTimer, core.st2.CronTimer.

One thread sleeps until the next timer is due and injects its trigger with {executed_at, schedule}.
When a timer is due is a pure function of its parameters and the time. An interval begins when the
engine does; what was missed is not made up.
"""

from __future__ import annotations

import datetime
import heapq
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Set, Tuple

INTERVAL = "core.st2.IntervalTimer"
DATE = "core.st2.DateTimer"
CRON = "core.st2.CronTimer"
TIMERS = (INTERVAL, DATE, CRON)

_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Field, lowest, highest; from the largest unit to the smallest.
_FIELDS: Tuple[Tuple[str, int, int], ...] = (
    ("year", 1970, 9999),
    ("month", 1, 12),
    ("day", 1, 31),
    ("week", 1, 53),
    ("day_of_week", 0, 6),
    ("hour", 0, 23),
    ("minute", 0, 59),
    ("second", 0, 59),
)
_YEARS_AHEAD = 20


class TimerError(ValueError):
    """The parameters of a timer cannot be understood; the message names the field."""


@dataclass(frozen=True)
class Timer:
    """A timer trigger as rules ask for it; several rules with the same parameters share one."""

    trigger: str
    parameters: Mapping[str, Any]


def next_due(timer: Timer, after: float) -> Optional[float]:
    """The first time (epoch seconds) later than `after` at which the timer is due, None for never.
    Raises TimerError.
    """
    zone = _zone(timer.parameters.get("timezone"))
    if timer.trigger == INTERVAL:
        return after + _interval_s(timer.parameters)
    if timer.trigger == DATE:
        due = _date(timer.parameters.get("date"), zone).timestamp()
        return due if due > after else None
    return _next_cron(_cron_fields(timer.parameters), after, zone)


class Timers:
    """The timers that rules ask for. `inject(trigger, payload, parameters)` takes what is due."""

    def __init__(
        self,
        rules: Iterable[Any],
        inject: Callable[[str, Any, Mapping[str, Any]], Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._inject = inject
        self._clock = clock
        self._stopping = threading.Event()
        found: List[Timer] = []
        for rule in rules:
            timer = Timer(rule.trigger_type, rule.trigger_parameters)
            if rule.trigger_type in TIMERS and timer not in found:
                found.append(timer)
        now = clock()
        due = [(next_due(timer, now), index) for index, timer in enumerate(found)]
        self._timers = found
        self._queue = [(at, index) for at, index in due if at is not None]
        heapq.heapify(self._queue)
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        """Begins to watch the clock, if there is any timer."""
        if self._queue:
            self._thread.start()

    def stop(self) -> None:
        """No timer is due any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def fire_due(self) -> None:
        """Injects every timer that is due now, once each."""
        now = self._clock()
        while self._queue and self._queue[0][0] <= now:
            at, index = heapq.heappop(self._queue)
            timer = self._timers[index]
            executed_at = str(datetime.datetime.fromtimestamp(now, datetime.timezone.utc))
            self._inject(
                timer.trigger, {"executed_at": executed_at, "schedule": None}, timer.parameters
            )
            following = next_due(timer, at)
            if following is not None and following <= now:
                following = next_due(timer, now)
            if following is not None:
                heapq.heappush(self._queue, (following, index))

    def _run(self) -> None:
        while self._queue and not self._stopping.is_set():
            wait_s = self._queue[0][0] - self._clock()
            if wait_s > 0 and self._stopping.wait(min(wait_s, 60)):
                return
            self.fire_due()


def _interval_s(parameters: Mapping[str, Any]) -> float:
    unit, delta = parameters.get("unit"), parameters.get("delta")
    if unit not in _SECONDS:
        raise TimerError("unit must be one of %s, not %r" % (", ".join(_SECONDS), unit))
    if isinstance(delta, bool) or not isinstance(delta, int) or delta <= 0:
        raise TimerError("delta must be a whole number above 0, not %r" % (delta,))
    return float(_SECONDS[unit] * delta)


def _zone(name: Any) -> datetime.tzinfo:
    if name in (None, "", "UTC", "utc"):
        return datetime.timezone.utc
    from dateutil import tz

    zone: Optional[datetime.tzinfo] = tz.gettz(str(name))
    if zone is None:
        raise TimerError("timezone %r is not known on this machine" % (name,))
    return zone


def _date(text: Any, zone: datetime.tzinfo) -> datetime.datetime:
    from dateutil import parser

    try:
        found: datetime.datetime = parser.parse(str(text))
    except (ValueError, OverflowError) as error:
        raise TimerError("date %r cannot be read: %s" % (text, error)) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def _cron_fields(parameters: Mapping[str, Any]) -> Dict[str, Optional[FrozenSet[int]]]:
    given = [name for name, _, _ in _FIELDS if parameters.get(name) is not None]
    if not given:
        raise TimerError("a cron timer needs at least one of %s" % ", ".join(f[0] for f in _FIELDS))
    finest = max(index for index, field in enumerate(_FIELDS) if field[0] in given)
    fields: Dict[str, Optional[FrozenSet[int]]] = {}
    for index, (name, low, high) in enumerate(_FIELDS):
        value = parameters.get(name)
        if value is not None:
            fields[name] = _values(name, str(value), low, high)
        elif index > finest and name not in ("week", "day_of_week"):
            # What is finer than the finest field given is at its lowest: `hour: 3` means 03:00:00.
            fields[name] = frozenset([low])
        else:
            fields[name] = None
    return fields


def _values(name: str, text: str, low: int, high: int) -> Optional[FrozenSet[int]]:
    values: Set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        body, _, step_text = part.partition("/")
        if step_text and not step_text.isdigit() or step_text == "0":
            raise TimerError("%s: %r has a step that is no number" % (name, part))
        step = int(step_text) if step_text else 1
        if body == "*":
            if step == 1:
                return None
            start, end = low, high
        else:
            first, dash, last = body.partition("-")
            start = _number(name, first)
            end = _number(name, last) if dash else (high if step_text else start)
        if not low <= start <= end <= high:
            raise TimerError("%s: %r is not within %d-%d" % (name, part, low, high))
        values.update(range(start, end + 1, step))
    return frozenset(values)


def _number(name: str, text: str) -> int:
    if name == "day_of_week" and text in _DAYS:
        return _DAYS.index(text)
    if name == "month" and text in _MONTHS:
        return _MONTHS.index(text) + 1
    if not text.isdigit():
        raise TimerError("%s: %r is no number" % (name, text))
    return int(text)


def _next_cron(
    fields: Mapping[str, Optional[FrozenSet[int]]], after: float, zone: datetime.tzinfo
) -> Optional[float]:
    start = datetime.datetime.fromtimestamp(int(after) + 1, datetime.timezone.utc).astimezone(zone)
    moment = start.replace(tzinfo=None, microsecond=0)
    last_year = moment.year + _YEARS_AHEAD
    while moment.year <= last_year:
        if not _fits(fields, "year", moment.year):
            moment = _midnight(moment).replace(year=moment.year + 1, month=1, day=1)
        elif not _fits(fields, "month", moment.month):
            moment = (moment.replace(day=1) + datetime.timedelta(days=32)).replace(
                day=1, hour=0, minute=0, second=0
            )
        elif not _is_day(fields, moment):
            moment = _midnight(moment) + datetime.timedelta(days=1)
        elif not _fits(fields, "hour", moment.hour):
            moment = moment.replace(minute=0, second=0) + datetime.timedelta(hours=1)
        elif not _fits(fields, "minute", moment.minute):
            moment = moment.replace(second=0) + datetime.timedelta(minutes=1)
        elif not _fits(fields, "second", moment.second):
            moment = moment + datetime.timedelta(seconds=1)
        else:
            due = moment.replace(tzinfo=zone).timestamp()
            if due > after:
                return due
            moment = moment + datetime.timedelta(seconds=1)
    return None


def _is_day(fields: Mapping[str, Optional[FrozenSet[int]]], moment: datetime.datetime) -> bool:
    return (
        _fits(fields, "day", moment.day) and
        _fits(fields, "week", moment.isocalendar()[1]) and
        _fits(fields, "day_of_week", moment.weekday())
    )


def _fits(fields: Mapping[str, Optional[FrozenSet[int]]], name: str, value: int) -> bool:
    allowed = fields[name]
    return allowed is None or value in allowed


def _midnight(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(hour=0, minute=0, second=0)

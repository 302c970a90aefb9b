"""When something is: from each time of a cron line for so many minutes, or once from then to then.

Calendar and clock of a time zone, its daylight saving included. What begins in an hour that the
clock skips begins as the clock jumps; what begins at a fixed time in an hour that comes twice
begins the first time; a line with a * in its minute or hour begins each time. Lengths are real
minutes. The cron library and the time zones are imported when one is read, no sooner.
"""

from __future__ import annotations

import math
import re
import sys
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, Optional, Tuple, Union

from selfheal.exceptions import ConfigError
from selfheal.records import dataclass
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.config import Config

MINUTE_S = 60.0
LONGEST_MINUTES = 366 * 24 * 60
KEYS = ("cron", "minutes", "start", "end", "timezone")  # of an entry, those that `read` looks at
# To the minute: YAML makes a time of its own from one with seconds, and StackStorm's store drops
# the offset of that.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d) ?(Z|[+-]\d\d:\d\d)?\Z")
_CLOCK_CHANGE = timedelta(hours=25)  # longer than any change of any clock
_MAX_JOINED = 100  # how many occurrences that overlap are followed to tell an end


@dataclass(frozen=True)
class Recurring:
    """From each time of `cron` in `zone`, for `minutes` real minutes."""

    cron: str
    minutes: float
    zone: tzinfo
    zone_name: str

    def __str__(self) -> str:
        return "%s for %g minutes (%s)" % (self.cron, self.minutes, self.zone_name)


@dataclass(frozen=True)
class Once:
    """From `start` to `end`, seconds since the epoch; the end no longer belongs to it."""

    start: float
    end: float

    def __str__(self) -> str:
        return "%s to %s" % (iso(self.start), iso(self.end))


Schedule = Union[Recurring, Once]
Span = Tuple[float, float]


def entries(config: Config, key: str) -> Tuple[List[Any], str]:
    """What stands in the list at `key`, unread, and why it cannot be read."""
    try:
        value = config.get(key)
    except ConfigError as error:
        return [], str(error)
    if value is None or isinstance(value, (list, tuple)):
        return list(value or ()), ""
    return [], "%s must be a list, not %s" % (key, _shown(value))


def read(entry: Mapping[str, Any], where: str) -> Schedule:
    """The schedule in `entry` (keys cron, minutes, timezone, or start, end, timezone). Raises
    ConfigError that begins with `where` and the key.
    """
    is_recurring = "cron" in entry or "minutes" in entry
    if is_recurring and ("start" in entry or "end" in entry):
        raise ConfigError("%s must have either cron and minutes, or start and end" % where)
    if is_recurring:
        return _recurring(entry, where)
    if "start" in entry or "end" in entry:
        return _once(entry, where)
    raise ConfigError(
        '%s says no time: give it cron and minutes, as in cron: "0 22 * * 5" with minutes: 120, '
        "or start and end" % where
    )


def span_at(schedule: Schedule, now: float) -> Optional[Span]:
    """The occurrence that `now` lies in: (start, end) in seconds since the epoch, or None."""
    if isinstance(schedule, Once):
        inside = schedule.start <= now < schedule.end
        return (schedule.start, schedule.end) if inside else None
    start = _latest(schedule, now)
    if start is None or now >= start + schedule.minutes * MINUTE_S:
        return None
    return start, start + schedule.minutes * MINUTE_S


def end_at(schedule: Schedule, now: float) -> Optional[float]:
    """When what `now` lies in is over, occurrences that overlap joined; None when `now` lies in
    none. Without an end in sight, a time until which it lasts at least.
    """
    span = span_at(schedule, now)
    if span is None:
        return None
    end = span[1]
    if isinstance(schedule, Recurring):
        for _ in range(_MAX_JOINED):
            following = span_at(schedule, end)
            if following is None:
                break
            end = following[1]
    return end


def next_start(schedule: Schedule, now: float) -> Optional[float]:
    """The first start after `now`, or None when there is none (within fifty years)."""
    if isinstance(schedule, Once):
        return schedule.start if schedule.start > now else None
    found = [
        next((at for at in _starts(schedule, now, is_later, is_back=False) if at > now), None)
        for is_later in _readings(schedule)
    ]
    return min((at for at in found if at is not None), default=None)


def _latest(schedule: Recurring, now: float) -> Optional[float]:
    found = [
        next((at for at in _starts(schedule, now, is_later, is_back=True) if at <= now), None)
        for is_later in _readings(schedule)
    ]
    return max((at for at in found if at is not None), default=None)


def _is_fixed(cron: str) -> bool:
    """Whether the line names times of day, as cron tells them from rhythms: no * in front."""
    minute, hour = cron.split()[:2]
    return not (minute.startswith("*") or hour.startswith("*"))


def _readings(schedule: Recurring) -> Tuple[bool, ...]:
    """How an hour that comes twice is read: only as the earlier one, or as each."""
    return (False,) if _is_fixed(schedule.cron) else (False, True)


def _starts(schedule: Recurring, now: float, is_later: bool, is_back: bool) -> Iterator[float]:
    """Starts from around `now` on, or back. Their order is that of the wall clock, which for one
    reading of it is that of time: so the calendar can be walked without any zone.
    """
    from cronsim import CronSim

    moment = datetime.fromtimestamp(now, timezone.utc)
    around = moment - _CLOCK_CHANGE if is_back else moment + _CLOCK_CHANGE
    walls = [
        moment.replace(tzinfo=None) + _offset(one, schedule.zone) for one in (moment, around)
    ]
    # The walk begins beside the minute that it is given, so that minute itself is not left out.
    wall = max(walls) if is_back else min(walls)
    wall = wall.replace(second=0, microsecond=0) + timedelta(minutes=1 if is_back else -1)
    for local in CronSim(schedule.cron, wall, reverse=is_back):
        at, is_skipped = _instant(local, schedule.zone, is_later)
        if _is_fixed(schedule.cron) or not is_skipped:
            yield at


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _instant(local: datetime, zone: tzinfo, is_later: bool) -> Tuple[float, bool]:
    """Wall-clock time `local` in `zone` as seconds since the epoch, and whether the clock skips it:
    then it is when the clock jumps. Of a time that comes twice the earlier or the later.
    """
    before = local.replace(tzinfo=zone, fold=0).timestamp()
    after = local.replace(tzinfo=zone, fold=1).timestamp()
    if before <= after:
        return (after if is_later else before), False
    return _jump(after, before, zone), True


def _jump(early: float, late: float, zone: tzinfo) -> float:
    """The instant between two at which the clock of `zone` changes, to the second."""
    low, high = math.floor(early), math.ceil(late)
    changed = _offset(datetime.fromtimestamp(high, timezone.utc), zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, timezone.utc), zone) == changed:
            high = middle
        else:
            low = middle
    return float(high)


def _recurring(entry: Mapping[str, Any], where: str) -> Recurring:
    cron, minutes = entry.get("cron"), entry.get("minutes")
    if not isinstance(cron, str) or len(cron.split()) != 5:
        raise ConfigError(
            "%s.cron must be five fields (minute, hour, day of month, month, day of week), as in "
            '"0 22 * * 5", not %s' % (where, _shown(cron))
        )
    is_figure = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if not is_figure or not 0 < float(minutes or 0) <= LONGEST_MINUTES:
        raise ConfigError(
            "%s.minutes must be how long it lasts, more than 0 and at most %d, not %s"
            % (where, LONGEST_MINUTES, _shown(minutes))
        )
    name = _zone_name(entry, where)
    schedule = Recurring(" ".join(cron.split()), float(minutes or 0), zone_of(name, where), name)
    _try_cron(schedule, where)
    return schedule


def _try_cron(schedule: Recurring, where: str) -> None:
    try:
        from cronsim import CronSim
    except ImportError as error:
        raise ConfigError(
            "%s.cron cannot be read, because the package cronsim is not installed here (%s): run "
            "`st2 pack install` again, or pip install 'cronsim>=2.6,<3'" % (where, error)
        ) from error
    try:
        CronSim(schedule.cron, datetime.fromtimestamp(0, timezone.utc))
    except Exception as error:  # whatever a line that is none makes of the library
        raise ConfigError(
            "%s.cron %s cannot be read (%s: %s); write minute, hour, day of month, month and day "
            'of week, as in "0 22 * * 5"'
            % (where, _shown(schedule.cron), type(error).__name__, error)
        ) from error


def _once(entry: Mapping[str, Any], where: str) -> Once:
    start = _moment(entry, "start", where, is_later=False)
    end = _moment(entry, "end", where, is_later=True)
    if end <= start:
        raise ConfigError("%s.end (%s) must be after %s.start" % (where, iso(end), where))
    return Once(start, end)


def _moment(entry: Mapping[str, Any], key: str, where: str, is_later: bool) -> float:
    value = entry.get(key)
    found = _MOMENT.match(value) if isinstance(value, str) else None
    if found is None:
        raise ConfigError(
            '%s.%s must be a time to the minute, as in "2026-12-24 18:00" or '
            '"2026-12-24T18:00+01:00", in quotes and without seconds, not %s'
            % (where, key, _shown(value))
        )
    day, clock, offset = found.groups()
    zone = timezone.utc if offset else zone_of(_zone_name(entry, where), where)
    offset = (offset or "").replace("Z", "+00:00")
    try:
        local = datetime.fromisoformat("%sT%s%s" % (day, clock, offset))
        return local.timestamp() if offset else _instant(local, zone, is_later)[0]
    except (ValueError, OverflowError) as error:
        raise ConfigError("%s.%s %s is no time: %s" % (where, key, _shown(value), error)) from error


def _zone_name(entry: Mapping[str, Any], where: str) -> str:
    name = entry.get("timezone")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(
            "%s.timezone must name the time zone that its times are meant in, as in Europe/Berlin "
            "or UTC, not %s" % (where, _shown(name))
        )
    return name.strip()


def zone_of(name: str, where: str) -> tzinfo:
    """The time zone `name` of the IANA database. Raises ConfigError that begins with `where`."""
    if name.upper() == "UTC":
        return timezone.utc
    try:
        if sys.version_info >= (3, 9):
            import zoneinfo
        else:
            from backports import zoneinfo
    except ImportError as error:
        raise ConfigError(
            "%s.timezone %s cannot be read, because backports.zoneinfo is not installed here (%s): "
            "run `st2 pack install` again" % (where, _shown(name), error)
        ) from error
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            "%s.timezone %s is not a time zone of this machine (%s); write one such as "
            "Europe/Berlin or UTC, or install the package tzdata"
            % (where, _shown(name), one_line(str(error), 120))
        ) from error


def _shown(value: Any) -> str:
    return one_line(repr(value), 80)

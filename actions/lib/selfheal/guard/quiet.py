"""Quiet hours: when nobody is to be woken for incidents of certain severities; they become tickets
instead of questions and calls.

They stand in `safety.quiet_hours`. An entry that cannot be read is none: rather somebody is woken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import ConfigError
from selfheal.guard import schedule as schedules
from selfheal.guard import windows
from selfheal.guard.schedule import Schedule
from selfheal.records import dataclass
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.context import Context

KEY = "safety.quiet_hours"
_KEYS = ("name", "severities", *schedules.KEYS)


@dataclass(frozen=True)
class QuietHours:
    """One entry of `safety.quiet_hours`; only incidents of `severities` are quiet."""

    name: str
    severities: Tuple[str, ...]
    schedule: Schedule


def is_quiet(ctx: Context, severity: str, now: Optional[float] = None) -> Optional[str]:
    """The quiet hours that an incident of `severity` falls into at `now` (epoch seconds; else the
    clock's), in words, or None. Never for a severity that no entry lists.
    """
    at = ctx.clock.now() if now is None else now
    entries, _ = schedules.entries(ctx.config, KEY)
    for position, entry in enumerate(entries):
        try:
            hours = read(entry, "%s[%d]" % (KEY, position))
            is_meant = severity.lower() in hours.severities
            until = schedules.end_at(hours.schedule, at) if is_meant else None
        except (ConfigError, ValueError, OverflowError, OSError) as error:
            ctx.log.warning("quiet hours that cannot be read are none: %s", error)
            continue
        if until is not None:
            return "the quiet hours %s, until %s" % (hours.name, iso(until))
    return None


def problems(config: Config, now: float, severities: Sequence[str]) -> List[str]:
    """What is wrong with `safety.quiet_hours`, each problem naming the entry and its key;
    `severities` are those that incidents have.
    """
    entries, trouble = schedules.entries(config, KEY)
    found = [trouble] if trouble else []
    for position, entry in enumerate(entries):
        where = "%s[%d]" % (KEY, position)
        try:
            hours = read(entry, where)
            unknown = [one for one in hours.severities if one not in severities]
            if unknown:
                raise ConfigError(
                    "%s.severities must be of %s, not %s"
                    % (where, ", ".join(severities), ", ".join(unknown))
                )
            if windows.is_never(hours.schedule, now):
                raise ConfigError("%s.cron %s never comes" % (where, hours.schedule))
        except ConfigError as error:
            found.append(str(error))
    return found


def describe(config: Config, now: float) -> List[Dict[str, Any]]:
    """The quiet hours as people are told of them: {"name", "severities", "when", "is_quiet",
    "until", "next_start", "trouble"}, times as text.
    """
    entries, trouble = schedules.entries(config, KEY)
    lines = [_line(KEY, trouble=trouble)] if trouble else []
    for position, entry in enumerate(entries):
        where = "%s[%d]" % (KEY, position)
        try:
            hours = read(entry, where)
            until, following = windows.times(hours.schedule, now)
        except (ConfigError, ValueError, OverflowError, OSError) as error:
            lines.append(_line(where, trouble=one_line(str(error), 400)))
            continue
        lines.append(_line(hours.name, hours.severities, str(hours.schedule), until, following))
    return lines


def read(entry: Any, where: str) -> QuietHours:
    """The quiet hours in one entry of the configuration. Raises ConfigError that begins with
    `where`.
    """
    if not isinstance(entry, Mapping):
        raise ConfigError("%s must be a map, not %s" % (where, one_line(repr(entry), 80)))
    windows.refuse_unknown(entry, _KEYS, where)
    severities = entry.get("severities")
    is_list = isinstance(severities, (list, tuple)) and bool(severities)
    if not is_list or not all(isinstance(one, str) and one for one in severities or ()):
        raise ConfigError(
            "%s.severities must list the severities for which nobody is woken, as in [info, "
            "warning], not %s" % (where, one_line(repr(severities), 80))
        )
    schedule = schedules.read(entry, where)
    name = entry.get("name")
    if name is not None and not (isinstance(name, str) and name.strip()):
        raise ConfigError("%s.name must be a text, not %s" % (where, one_line(repr(name), 80)))
    words = tuple(str(one).lower() for one in severities or ())
    return QuietHours(one_line(name or str(schedule), 100), words, schedule)


def _line(
    name: str,
    severities: Sequence[str] = (),
    when: str = "",
    until: Optional[str] = None,
    next_start: Optional[str] = None,
    trouble: str = "",
) -> Dict[str, Any]:
    return {
        "name": name,
        "severities": list(severities),
        "when": when,
        "is_quiet": until is not None,
        "until": until,
        "next_start": next_start,
        "trouble": trouble,
    }

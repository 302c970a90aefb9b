"""Maintenance and freeze windows: while one is open, incidents that it matches are only recorded
(maintenance), or nothing changes without a person's yes (freeze).

They stand in `safety.windows`. One that cannot be read freezes everything until it is mended: what
it was to protect is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Set, Tuple

from selfheal.exceptions import ConfigError
from selfheal.guard import labels
from selfheal.guard import schedule as schedules
from selfheal.guard.schedule import Schedule
from selfheal.guard.verdict import Objection
from selfheal.records import dataclass
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.context import Context
    from selfheal.guard.verdict import Deed

KEY = "safety.windows"
MAINTENANCE = "maintenance"
FREEZE = "freeze"
KINDS = (MAINTENANCE, FREEZE)
_KEYS = ("name", "kind", "match", *schedules.KEYS)


@dataclass(frozen=True)
class Window:
    """One entry of `safety.windows`. `match` maps labels to patterns; all must match."""

    name: str
    kind: str
    schedule: Schedule
    match: Mapping[str, str]


@dataclass(frozen=True)
class Open:
    """A window that is open now and matches. `until` is when it closes (epoch seconds), None when
    it cannot be read: then `trouble` says why.
    """

    name: str
    kind: str
    until: Optional[float] = None
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            return "a window that cannot be read counts as a freeze: %s" % self.trouble
        words = "it is the %s window %s" % (self.kind, self.name)
        return words if self.until is None else "%s, until %s" % (words, iso(self.until))


def is_maintenance(ctx: Context, subject: Any) -> Optional[Open]:
    """The maintenance window that `subject` (a deed or an incident) is in now, or None."""
    return _first(opened(ctx.config, subject, ctx.clock.now()), MAINTENANCE)


def is_frozen(ctx: Context, subject: Any) -> Optional[Open]:
    """The freeze that `subject` (a deed or an incident) is in now, or None. A window that cannot be
    read is one.
    """
    return _first(opened(ctx.config, subject, ctx.clock.now()), FREEZE)


def objection(ctx: Context, deed: Deed) -> Optional[Objection]:
    """Why a window forbids the deed, or None.

    A person's own hand is a yes to both kinds, their yes to this very plan one to a freeze. What
    only reads a freeze lets pass as well.
    """
    if deed.is_by_hand:
        return None
    found = opened(ctx.config, deed, ctx.clock.now())
    window = _first(found, MAINTENANCE)
    if window is None and deed.changes_something and not deed.is_approved:
        window = _first(found, FREEZE)
    return None if window is None else _objection(window, deed)


def opened(config: Config, subject: Any, now: float) -> List[Open]:
    """The windows open at `now` that match `subject`, and those that cannot be read."""
    found: List[Open] = []
    entries, trouble = schedules.entries(config, KEY)
    if trouble:
        found.append(Open(KEY, FREEZE, trouble=trouble))
    for position, entry in enumerate(entries):
        try:
            window = read(entry, "%s[%d]" % (KEY, position))
            if not labels.match(window.match, subject):
                continue
            until = schedules.end_at(window.schedule, now)
        except (ConfigError, ValueError, OverflowError, OSError) as error:
            name = "%s[%d]" % (KEY, position)
            found.append(Open(name, FREEZE, trouble=one_line(str(error), 400)))
            continue
        if until is not None:
            found.append(Open(window.name, window.kind, until))
    return found


def problems(config: Config, now: float) -> List[str]:
    """What is wrong with `safety.windows`, each problem naming the entry and its key."""
    entries, trouble = schedules.entries(config, KEY)
    found = [trouble] if trouble else []
    names: Set[str] = set()
    for position, entry in enumerate(entries):
        where = "%s[%d]" % (KEY, position)
        try:
            window = read(entry, where)
            if is_never(window.schedule, now):
                raise ConfigError("%s.cron %s never comes" % (where, window.schedule))
            if window.name in names:
                raise ConfigError(
                    "%s.name %r is another window's already" % (where, window.name)
                )
            names.add(window.name)
        except ConfigError as error:
            found.append(str(error))
    return found


def describe(config: Config, now: float) -> List[Dict[str, Any]]:
    """The windows as people are told of them: {"name", "kind", "when", "match", "is_open", "until",
    "next_start", "trouble"}, times as text.
    """
    entries, trouble = schedules.entries(config, KEY)
    lines = [_line(KEY, FREEZE, trouble=trouble)] if trouble else []
    for position, entry in enumerate(entries):
        where = "%s[%d]" % (KEY, position)
        try:
            window = read(entry, where)
            until, following = times(window.schedule, now)
        except (ConfigError, ValueError, OverflowError, OSError) as error:
            lines.append(_line(where, FREEZE, trouble=one_line(str(error), 400)))
            continue
        when = str(window.schedule)
        line = _line(window.name, window.kind, when=when, until=until, next_start=following)
        lines.append(dict(line, match=dict(window.match)))
    return lines


def times(schedule: Schedule, now: float) -> Tuple[Optional[str], Optional[str]]:
    """When what `now` lies in is over, and the next start, as text; None for what there is not."""
    until, following = schedules.end_at(schedule, now), schedules.next_start(schedule, now)
    return (
        None if until is None else iso(until),
        None if following is None else iso(following),
    )


def is_never(schedule: Schedule, now: float) -> bool:
    """Whether a cron line names a day that no calendar has."""
    return (
        isinstance(schedule, schedules.Recurring) and
        schedules.next_start(schedule, now) is None
    )


def read(entry: Any, where: str) -> Window:
    """The window in one entry of the configuration. Raises ConfigError that begins with `where`."""
    if not isinstance(entry, Mapping):
        raise ConfigError("%s must be a map, not %s" % (where, one_line(repr(entry), 80)))
    refuse_unknown(entry, _KEYS, where)
    name, kind = entry.get("name"), entry.get("kind")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError("%s.name must be how people call the window, in words" % where)
    if kind not in KINDS:
        raise ConfigError(
            "%s.kind must be maintenance (incidents are only recorded) or freeze (nothing changes "
            "without a yes), not %s" % (where, one_line(repr(kind), 80))
        )
    match = labels.parse(entry.get("match"), where)
    return Window(one_line(name, 100), str(kind), schedules.read(entry, where), match)


def refuse_unknown(entry: Mapping[str, Any], known: Tuple[str, ...], where: str) -> None:
    """Raise ConfigError when an entry has a key that means nothing."""
    unknown = sorted(str(key) for key in entry if key not in known)
    if unknown:
        raise ConfigError(
            "%s.%s is not a setting; those there are: %s"
            % (where, one_line(unknown[0], 60), ", ".join(known))
        )


def _first(found: List[Open], kind: str) -> Optional[Open]:
    return next((window for window in found if window.kind == kind), None)


def _objection(window: Open, deed: Deed) -> Objection:
    data = {"window": window.name, "kind": window.kind}
    if window.trouble:
        advice = "mend it (`st2 run selfheal.check_config` shows what is wrong)"
    elif window.kind == MAINTENANCE:
        advice = (
            "the incident is only recorded; if you mean it all the same, run `st2 run "
            "selfheal.remediate incident_id=%s`, or change %s" % (deed.incident_id, KEY)
        )
    else:
        advice = "approve the plan when you are asked, or change %s" % KEY
    return Objection("window", str(window), advice, window.until, data)


def _line(
    name: str,
    kind: str,
    when: str = "",
    until: Optional[str] = None,
    next_start: Optional[str] = None,
    trouble: str = "",
) -> Dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "when": when,
        "match": {},
        "is_open": bool(until or trouble),
        "until": until,
        "next_start": next_start,
        "trouble": trouble,
    }

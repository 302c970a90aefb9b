"""Whether this machine's clock can be believed: budgets, waits and storms count by it, and a step
would empty them.

The wall clock is compared with the time since boot, which counts suspension and is slewed with it,
so that only steps show. Each host keeps an anchor of both; a step is distrusted until the settle
time has really passed, or a person says that the clock is right (`trust`).
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from selfheal.context import SystemClock
from selfheal.exceptions import InvalidInput
from selfheal.guard import kept
from selfheal.guard.doubt import amount, no_when_unreadable
from selfheal.guard.verdict import Deed, Objection
from selfheal.records import dataclass
from selfheal.store import Row, Store, status
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

COMPONENT = "guard_clock"
_PREFIX = "guard_clock:"
_OTHERS = "SELECT name, value FROM checkpoints WHERE substr(name, 1, 12) = ?"
_MOVED_AFTER_S = 60.0  # how often the anchor follows; small corrections must not add up
_FORGOTTEN_AFTER_S = 30 * 86400.0  # hosts that are gone
_TRIES = 5
_MOST_S = 1e11  # the year 5138


@dataclass(frozen=True)
class Machine:
    """Where we are: `boottime_s` are seconds since `boot` began, suspension included; `server_s` is
    the time of the database's server, None where it has none of its own.
    """

    host: str
    boot: str
    boottime_s: float
    server_s: Optional[float] = None


@dataclass(frozen=True)
class Anchor:
    """What the clock showed at one moment of a boot. `stepped_at` is the boottime at which it was
    found `stepped_by` seconds off; None while it is believed.
    """

    boot: str
    boottime_s: float
    wall: float
    stepped_at: Optional[float] = None
    stepped_by: float = 0.0
    trusted_by: str = ""
    trusted_at: float = 0.0


def machine_of(ctx: Context) -> Machine:
    """This machine, now. A simulated clock is compared with nothing outside. Raises StoreError."""
    server_s = None
    if not isinstance(ctx.clock, SystemClock):
        return Machine(os.uname().nodename, "simulated", ctx.clock.monotonic())
    if ctx.store.dialect.name == "postgresql":
        server_s = float(ctx.store.value("SELECT EXTRACT(EPOCH FROM clock_timestamp())"))
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
    passed_s = time.monotonic() if boottime is None else time.clock_gettime(boottime)
    return Machine(os.uname().nodename, _boot(), passed_s, server_s)


def objection(ctx: Context, deed: Deed, machine: Optional[Machine] = None) -> Optional[Objection]:
    """Why the clock forbids the deed, or None."""
    return problem(ctx, machine) if deed.changes_something else None


@no_when_unreadable("the clock's anchor", "clock")
def problem(ctx: Context, machine: Optional[Machine] = None) -> Optional[Objection]:
    """Why this machine's clock is not believed, or None. Keeps the anchor of this host up to date;
    the sooner a step is seen, the sooner it has settled.
    """
    step_s = amount(ctx, "safety.clock_step_seconds")
    settle_s = 60.0 * amount(ctx, "safety.clock_settle_minutes")
    here = machine or machine_of(ctx)
    wall = ctx.clock.now()
    if not (math.isfinite(wall) and 0 < wall < _MOST_S):
        return _no("the clock of %s shows no time (%r)" % (here.host, wall))
    return (
        _by_server(here, wall, step_s) or
        _by_anchor(ctx.store, here, wall, step_s, settle_s) or
        _by_others(ctx.store, here, wall, step_s)
    )


def is_ahead(ctx: Context) -> bool:
    """Whether this machine's clock seems to have jumped ahead: then whose lock has run out by it
    may well be alive. Raises StoreError.
    """
    found = problem(ctx)
    by = (found.data.get("stepped_by_s") or found.data.get("off_s") or 0.0) if found else 0.0
    return float(by) > 0


def trust(ctx: Context, who: str) -> Dict[str, Any]:
    """A person says that the clocks are right now: distrust ends on every host, anchors and budgets
    of the future are dated now.

    Returns {"hosts": [those that were distrusted], "budgets": how many were dated anew}. Raises
    InvalidInput without a name, StoreError.
    """
    name = one_line(who, 100)
    if not name:
        raise InvalidInput("who says that the clock is right? Give a name")
    here, now = machine_of(ctx), ctx.clock.now()
    late = now + amount(ctx, "safety.clock_step_seconds")
    freed = []
    with ctx.store.transaction("guard"):
        for host, record in _records(ctx.store):
            anchor = _anchor_of(record.value)
            if anchor is None or anchor.wall > late or host == here.host:
                ctx.store.execute("DELETE FROM checkpoints WHERE name = ?", (_PREFIX + host,))
            elif anchor.stepped_at is not None:
                kept.swap(ctx.store, _PREFIX + host, record, _as_dict(_believed(anchor, name, now)))
            if anchor is None or anchor.wall > late or anchor.stepped_at is not None:
                freed.append(host)
        fresh = Anchor(here.boot, here.boottime_s, now, None, 0.0, name, now)
        kept.swap(ctx.store, _PREFIX + here.host, kept.Kept(None, None), _as_dict(fresh))
        dated = ctx.store.execute("UPDATE budgets SET at = ? WHERE at > ?", (now, now))
        status.note(ctx.store, COMPONENT, status.OK, {"trusted_by": name})
    return {"hosts": sorted(freed), "budgets": dated}


def judge(anchor: Optional[Anchor], here: Machine, wall: float, step_s: float) -> Anchor:
    """The anchor that follows `anchor` when the wall clock of `here` shows `wall`. Pure."""
    fresh = Anchor(here.boot, here.boottime_s, wall)
    if anchor is None:
        return fresh
    fresh = replace(fresh, trusted_by=anchor.trusted_by, trusted_at=anchor.trusted_at)
    passed_s = here.boottime_s - anchor.boottime_s
    if anchor.boot == here.boot and passed_s > -_MOVED_AFTER_S:  # another may have looked since
        off_s = (wall - anchor.wall) - passed_s
        is_stepped = abs(off_s) > step_s
        since = anchor.stepped_at
    else:
        # How long the machine was off nobody knows; but time does not run backwards.
        off_s = wall - anchor.wall
        is_stepped = off_s < -step_s
        since = None if anchor.stepped_at is None else 0.0
    if is_stepped:
        return replace(fresh, stepped_at=here.boottime_s, stepped_by=off_s)
    if since is None:
        return fresh
    return replace(fresh, stepped_at=since, stepped_by=anchor.stepped_by)


def _by_anchor(
    store: Store, here: Machine, wall: float, step_s: float, settle_s: float
) -> Optional[Objection]:
    for _ in range(_TRIES):
        record = kept.read(store, _PREFIX + here.host)
        before = _anchor_of(record.value)
        if before is None and record.text is not None:
            return _no("what is kept of the clock of %s is no anchor" % here.host)
        after = judge(before or _of_this_boot(store, here), here, wall, step_s)
        rest_s = 0.0
        if after.stepped_at is not None:
            rest_s = settle_s - (here.boottime_s - after.stepped_at)
            if rest_s <= 0:
                after = replace(after, stepped_at=None, stepped_by=0.0)
        if not _is_worth_writing(before, after):
            break
        if kept.swap(store, _PREFIX + here.host, record, _as_dict(after)):
            _tell(store, here, before, after)
            break
    else:
        return _no("the anchor of the clock of %s could not be kept up to date" % here.host)
    if after.stepped_at is None:
        return None
    return _no(
        "the clock of %s was found %.0f s %s of the time that had really passed, and "
        "safety.clock_step_seconds allows %g"
        % (here.host, abs(after.stepped_by), "ahead" if after.stepped_by > 0 else "short", step_s),
        wall + rest_s,
        {"stepped_by_s": after.stepped_by, "settles_in_s": rest_s},
    )


def _by_server(here: Machine, wall: float, step_s: float) -> Optional[Objection]:
    if here.server_s is None or abs(wall - here.server_s) <= step_s:
        return None
    return Objection(
        "clock",
        "the clock of %s shows %s, that of the database's server %s"
        % (here.host, iso(wall), iso(here.server_s)),
        "set the clocks right on both (NTP); more than safety.clock_step_seconds (%g) is not "
        "believed" % step_s,
        None,
        {"off_s": wall - here.server_s},
    )


def _by_others(store: Store, here: Machine, wall: float, step_s: float) -> Optional[Objection]:
    """Hosts that share a database share its past: what one has written is not in our future."""
    for host, record in _records(store):
        anchor = _anchor_of(record.value)
        if anchor is None or host == here.host or anchor.stepped_at is not None:
            continue
        if wall < anchor.wall - step_s:
            return _no(
                "the clock of %s shows %s, but host %s was at %s already"
                % (here.host, iso(wall), one_line(host, 100), iso(anchor.wall)),
                anchor.wall - step_s,
                {"off_s": wall - anchor.wall},
            )
    return None


def _no(
    reason: str, until: Optional[float] = None, data: Optional[Dict[str, Any]] = None
) -> Objection:
    return Objection(
        "clock",
        reason,
        "%sset the clock right and say so with `st2 run selfheal.resume scope=clock`"
        % ("wait until %s, or " % iso(until) if until else ""),
        until,
        dict(data or {}),
    )


def _is_worth_writing(before: Optional[Anchor], after: Anchor) -> bool:
    if before is None or before.boot != after.boot or before.stepped_at != after.stepped_at:
        return True
    return abs(after.boottime_s - before.boottime_s) >= _MOVED_AFTER_S


def _tell(store: Store, here: Machine, before: Optional[Anchor], after: Anchor) -> None:
    if before is None:
        store.execute(
            "DELETE FROM checkpoints WHERE substr(name, 1, 12) = ? AND updated_at < ? AND "
            "name <> ?",
            (_PREFIX, after.wall - _FORGOTTEN_AFTER_S, _PREFIX + here.host),
        )
    if after.stepped_at is not None:
        detail = {"host": here.host, "stepped_by_s": round(after.stepped_by, 3)}
        status.note(store, COMPONENT, status.DEGRADED, detail)
    elif before is not None and before.stepped_at is not None and not _is_any_stepped(store):
        status.note(store, COMPONENT, status.OK, {"host": here.host, "settled": True})


def _is_any_stepped(store: Store) -> bool:
    anchors = [_anchor_of(record.value) for _, record in _records(store)]
    return any(anchor is not None and anchor.stepped_at is not None for anchor in anchors)


def _of_this_boot(store: Store, here: Machine) -> Optional[Anchor]:
    """The latest anchor that another name of this machine left in this boot: a container's host
    name goes with it, the machine's clock stays.
    """
    anchors = [_anchor_of(record.value) for _, record in _records(store)]
    ours = [one for one in anchors if one is not None and one.boot == here.boot]
    return max(ours, key=lambda one: one.boottime_s) if here.boot and ours else None


def _records(store: Store) -> List[Tuple[str, kept.Kept]]:
    rows: List[Row] = store.query(_OTHERS, (_PREFIX,))
    return [(str(row["name"])[len(_PREFIX):], kept.parsed(row["value"])) for row in rows]


def _believed(anchor: Anchor, who: str, now: float) -> Anchor:
    return replace(anchor, stepped_at=None, stepped_by=0.0, trusted_by=who, trusted_at=now)


def _as_dict(anchor: Anchor) -> Dict[str, Any]:
    return {name: getattr(anchor, name) for name in Anchor.__dataclass_fields__}


def _anchor_of(value: Any) -> Optional[Anchor]:
    """The anchor that a record holds; None when it holds none."""
    if not isinstance(value, Mapping) or not isinstance(value.get("boot"), str):
        return None
    numbers = [value.get(name) for name in ("boottime_s", "wall", "stepped_by", "trusted_at")]
    since = value.get("stepped_at")
    if not all(map(_is_time, numbers)) or not (since is None or _is_time(since)):
        return None
    boottime_s, wall, stepped_by, trusted_at = map(float, numbers)  # type: ignore[arg-type]
    by = str(value.get("trusted_by") or "")
    since_s = None if since is None else float(since)
    return Anchor(value["boot"], boottime_s, wall, since_s, stepped_by, by, trusted_at)


def _is_time(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) < _MOST_S


def _boot() -> str:
    from selfheal.remedy import journal

    return str(journal.this_process()["boot"])

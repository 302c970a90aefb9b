"""Remedies stop in a storm: when very many incidents come within a short time, something larger is
wrong than any of them says, and fixing one by one would make it worse.

Whether there is a storm follows from the times at which incidents opened, so none is missed when
nobody looked while it began. Its name is kept, so that people are told of it once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import StoreError
from selfheal.guard import kept
from selfheal.guard.budgets import checked_time
from selfheal.guard.doubt import amount, no_when_unreadable
from selfheal.guard.verdict import Deed, Objection
from selfheal.ids import new_id
from selfheal.records import dataclass
from selfheal.store import status
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

COMPONENT = "remedy_storm"
LISTED = 50
_COUNTED = 10000  # so many are counted exactly
_TRIES = 5
_TOLD_AGAIN_S = 10.0  # how exactly the record, which only names the storm, follows it
_WORST_FIRST = (
    "CASE severity WHEN 'critical' THEN 0 WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END"
)
_LISTED = "id, severity, title, alert_type, cluster, namespace, opened_at"
# A reopened incident is as much news as a new one; the literal lets the partial index answer.
_COMING = (
    "SELECT at, incident_id FROM (SELECT opened_at AS at, id AS incident_id FROM incidents "
    "WHERE opened_at > ? AND opened_at <= ? ORDER BY opened_at DESC LIMIT ?) opened "
    "UNION ALL SELECT at, incident_id FROM (SELECT at, incident_id FROM incident_events "
    "WHERE kind = 'reopened' AND at > ? AND at <= ? ORDER BY at DESC LIMIT ?) reopened"
)
Coming = Tuple[float, str]


@dataclass(frozen=True)
class Storm:
    """Since when, how many incidents it brought at least, and when they last were too many."""

    id: str
    began_at: float
    count: int
    last_over_at: float


@dataclass(frozen=True)
class _Rule:
    limit: int
    window_s: float
    cooldown_s: float


@no_when_unreadable("how many incidents opened", "storm")
def objection(ctx: Context, deed: Deed) -> Optional[Objection]:
    """Why no remedy may begin in a storm, or None while there is none."""
    if not deed.changes_something:
        return None
    storm = current(ctx)
    if storm is None:
        return None
    rule = _rule(ctx)
    until = storm.last_over_at + rule.cooldown_s
    return Objection(
        "storm",
        "a storm of %d incidents goes on since %s (safety.storm_incidents: %d within %g minutes)"
        % (storm.count, iso(storm.began_at), rule.limit, rule.window_s / 60.0),
        "look for what they have in common; remedies begin again by themselves %g minutes after it "
        "(%s if it is over now), or at once with a higher safety.storm_incidents"
        % (rule.cooldown_s / 60.0, iso(until)),
        until,
        {"storm_id": storm.id, "count": storm.count, "began_at": storm.began_at},
    )


def current(ctx: Context) -> Optional[Storm]:
    """The storm that goes on or has not cooled down yet, or None; its record is kept up to date.

    Raises StoreError, ConfigError.
    """
    rule = _rule(ctx)
    now = ctx.clock.now()
    for _ in range(_TRIES):
        record = kept.read(ctx.store, COMPONENT)
        known = _storm_of(record.value)
        found = _found(ctx, rule, now) if rule.limit else None
        after = _named(known, found, rule, now)
        if _is_told(known, after) and not record.is_garbage:
            return after
        if kept.swap(ctx.store, COMPONENT, record, _as_dict(after)):
            _tell(ctx, known, after)
            return after
    raise StoreError("the record of the storm could not be kept up to date", retryable=True)


def incidents_of(ctx: Context, storm: Storm) -> Dict[str, Any]:
    """The incidents opened since shortly before `storm` began, worst first: {"incidents": [{"id",
    "severity", "title", "alert_type", "cluster", "namespace", "opened_at"}], "count", "more"}, at
    most 50 of them. Titles are as they came: text from outside.
    """
    since = storm.began_at - _rule(ctx).window_s
    rows = ctx.store.query(
        "SELECT %s FROM (SELECT %s FROM incidents WHERE opened_at > ? ORDER BY opened_at LIMIT ?) "
        "coming ORDER BY %s, opened_at, id LIMIT ?" % (_LISTED, _LISTED, _WORST_FIRST),
        (since, _COUNTED, LISTED),
    )
    count = _count_since(ctx, since)
    return {"incidents": rows, "count": count, "more": max(0, count - len(rows))}


def overs(coming: Sequence[Coming], limit: int, window_s: float) -> List[Tuple[float, float]]:
    """When `limit` different incidents of `coming` (the latest first) lay within `window_s`: as
    (from, until) of each such moment, the latest first. Pure.
    """
    found: List[Tuple[float, float]] = []
    within: Dict[str, int] = {}
    oldest = -1
    for newest, (at, _) in enumerate(coming):
        while len(within) < limit and oldest + 1 < len(coming):
            if at - coming[oldest + 1][0] >= window_s:
                break
            oldest += 1
            within[coming[oldest][1]] = within.get(coming[oldest][1], 0) + 1
        if len(within) >= limit:
            found.append((at, coming[oldest][0] + window_s))
        _leave(within, coming[newest][1])
    return found


def _leave(within: Dict[str, int], incident_id: str) -> None:
    left = within.get(incident_id, 0) - 1
    if left > 0:
        within[incident_id] = left
    else:
        within.pop(incident_id, None)


def _found(ctx: Context, rule: _Rule, now: float) -> Optional[Storm]:
    """The storm that the incidents themselves tell of, without a name; None when none does."""
    since = now - rule.cooldown_s - rule.window_s
    most = int((rule.cooldown_s / max(rule.window_s, 1.0) + 2) * rule.limit)  # more cannot hide one
    bounds = (since, now + rule.window_s, most)  # a clock that was set back hides none at once
    rows = ctx.store.query(_COMING, bounds + bounds)
    coming = sorted(
        ((checked_time(row["at"], "an incident"), str(row["incident_id"])) for row in rows),
        reverse=True,
    )
    found = overs(coming, rule.limit, rule.window_s)
    if not found or min(found[0][1], now) + rule.cooldown_s <= now:
        return None
    began_at = found[-1][0]
    count = _count_since(ctx, began_at - rule.window_s)
    return Storm("", began_at, max(count, rule.limit), min(found[0][1], now))


def _named(
    known: Optional[Storm], found: Optional[Storm], rule: _Rule, now: float
) -> Optional[Storm]:
    """`found` with the name and beginning of `known` where it is the same storm."""
    if found is None:
        return None
    if known is None or known.last_over_at + rule.cooldown_s <= found.began_at:
        return replace(found, id=new_id("storm", now))
    return Storm(
        known.id,
        min(known.began_at, found.began_at),
        max(known.count, found.count),
        max(known.last_over_at, found.last_over_at),
    )


def _is_told(known: Optional[Storm], after: Optional[Storm]) -> bool:
    if known is None or after is None:
        return known is after
    return known.id == after.id and after.last_over_at - known.last_over_at < _TOLD_AGAIN_S


def _count_since(ctx: Context, since: float) -> int:
    return int(
        ctx.store.value(
            "SELECT COUNT(*) FROM (SELECT 1 FROM incidents WHERE opened_at > ? LIMIT ?) counted",
            (since, _COUNTED),
        )
    )


def _rule(ctx: Context) -> _Rule:
    return _Rule(
        int(amount(ctx, "safety.storm_incidents")),
        60.0 * amount(ctx, "safety.storm_minutes"),
        60.0 * amount(ctx, "safety.storm_cooldown_minutes"),
    )


def _tell(ctx: Context, before: Optional[Storm], after: Optional[Storm]) -> None:
    if after is not None:
        status.note(ctx.store, COMPONENT, status.DEGRADED, _as_dict(after))
    elif before is not None:
        status.note(ctx.store, COMPONENT, status.OK, {"ended": before.id})


def _as_dict(storm: Optional[Storm]) -> Dict[str, Any]:
    if storm is None:
        return {}
    return {name: getattr(storm, name) for name in Storm.__dataclass_fields__}


def _storm_of(value: Any) -> Optional[Storm]:
    """The storm that a record holds; None for none, or for what a hand wrote."""
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
        return None
    try:
        began_at = checked_time(value.get("began_at"), "the storm")
        last_over_at = checked_time(value.get("last_over_at"), "the storm")
        count = int(checked_time(value.get("count"), "the storm"))
    except StoreError:
        return None
    return Storm(one_line(value["id"], 60), began_at, count, last_over_at)

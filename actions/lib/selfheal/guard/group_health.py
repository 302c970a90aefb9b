"""min_healthy: a deed on a member of a group waits while too few of the group would stay healthy.

How many are healthy is measured before the transaction in which the deed is permitted (`measure`),
and judged inside it (`objection`) together with the deeds on the same group that are in flight.
What cannot be measured is a no. The settings are read by guard.groups; what a change in Kubernetes
takes away of its workload is measured by guard.tolls, always.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import ConfigError, ExternalError, InvalidInput
from selfheal.guard import budgets, groups, tolls
from selfheal.guard.doubt import no_when_unreadable
from selfheal.guard.groups import Group
from selfheal.guard.verdict import Deed, Objection
from selfheal.records import dataclass
from selfheal.remedy import journal
from selfheal.store import Row, Store, load
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

Ask = Callable[["Context", str, str], Sequence[float]]
_STALE_S = 60.0  # an older measurement says nothing of now
_LAG_S = 60.0  # what ended less than so long before it may not show in it yet
_FLYING = (
    "SELECT b.execution_id, e.status, e.outcome FROM budgets b "
    "LEFT JOIN execution_history e ON e.id = b.execution_id "
    "WHERE b.name = ? AND b.at > ? AND b.execution_id <> ? "
    "AND (e.id IS NULL OR e.status = ? OR e.finished_at > ?)"
)


@dataclass(frozen=True)
class Reading:
    """One group as it was measured: `healthy` of `total`, or the `problem` why that is unknown."""

    name: str
    keep: str
    where: str
    healthy: float = 0.0
    total: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Measured:
    """All groups of a deed, at one time."""

    at: float
    readings: Tuple[Reading, ...] = ()
    taken: Tuple[tolls.Taken, ...] = ()


def ask_prometheus(ctx: Context, cluster: str, expression: str) -> Sequence[float]:
    """The values that PromQL `expression` gives now at the Prometheus of `cluster`. Raises
    ConfigError, ExternalError.
    """
    from selfheal.apis import prometheus

    target = ctx.config.target_for("prometheus", cluster)
    if target is None:
        raise ConfigError(
            "no Prometheus is configured for cluster %s: set prometheus.url"
            % (one_line(cluster, 100) or "(without a name)")
        )
    return [sample.value for sample in prometheus.query(ctx.http, target, expression)]


def measure(ctx: Context, deed: Deed, ask: Ask = ask_prometheus) -> Measured:
    """Measure the groups that the deed belongs to; outside of any transaction, for it asks another
    system. `ask` is who else may be asked. Raises nothing that is foreseen: see Reading.problem.
    """
    now = ctx.clock.now()
    if not deed.changes_something:
        return Measured(now)
    try:
        entries = groups.parse(ctx.config.get("safety.min_healthy"))
    except ConfigError as error:
        return Measured(now, (Reading("", "", "safety.min_healthy", problem=str(error)),))
    mine = [group for group in entries if group.is_of(deed)]
    readings = tuple(_reading(ctx, deed, group, ask) for group in mine)
    return Measured(ctx.clock.now(), readings, tolls.measure(ctx, deed))


@no_when_unreadable("which remedies are at work", "min_healthy")
def objection(
    ctx: Context, deed: Deed, measured: Optional[Measured] = None
) -> Optional[Objection]:
    """Why the groups of the deed forbid it, or None. Belongs into the transaction that charges,
    with what was measured before it; who only looks may leave the measuring to this.
    """
    if not deed.changes_something:
        return None
    measured = measure(ctx, deed) if measured is None else measured
    now = ctx.clock.now()
    is_used = measured.readings or measured.taken
    if is_used and not 0 <= now - measured.at <= _STALE_S:
        age_s = now - measured.at
        return _unknown(
            "the group was measured %.0f s ago, and more than %g s is too long" % (age_s, _STALE_S),
            "start the remedy again: it is measured anew then",
        )
    for reading in measured.readings:
        if reading.problem:
            return _unknown(
                "it cannot be told how many stay healthy (%s): %s"
                % (reading.where, one_line(reading.problem, 300)),
                "mend what is asked, or the entry of safety.min_healthy; unknown counts as too few",
            )
        flying = in_flight(ctx.store, reading.name, deed.execution_id, now, measured.at)
        if not would_keep(reading.healthy, reading.total, flying, reading.keep):
            return _too_few(reading, flying)
    for taken in measured.taken:
        refused = tolls.refusal(taken) or _toll_objection(ctx, deed, taken, now, measured.at)
        if refused is not None:
            return refused
    return None


def charge(ctx: Context, deed: Deed, measured: Measured) -> None:
    """Record that the deed is at work in its groups. Raises StoreError, then it must not begin."""
    names = {reading.name for reading in measured.readings if reading.name}
    names.update(name for taken in measured.taken for name in tolls.charged(taken))
    budgets.record(ctx, sorted(names), deed.execution_id)


def would_keep(healthy: float, total: float, in_flight: int, keep: str, takes: int = 1) -> bool:
    """Whether `keep` ("3" or "50%", rounded up) of `total` stay healthy while the deed takes
    `takes` away and others take `in_flight`. Numbers that make no sense are a no. Pure.
    """
    is_sensible = math.isfinite(total) and 0 <= healthy <= total and total > 0
    if not is_sensible or takes < 0 or in_flight < 0:
        return False
    return healthy - takes - in_flight >= groups.kept_of(keep, total)


def _toll_objection(
    ctx: Context, deed: Deed, taken: tolls.Taken, now: float, measured_at: float
) -> Optional[Objection]:
    if taken.takes == 0:
        return None  # what takes no healthy member away can only help
    flying = _taken_by_others(ctx.store, taken, deed.execution_id, now, measured_at)
    if would_keep(taken.healthy, taken.total, flying, taken.keep, taken.takes):
        return None
    return tolls.too_few(taken, flying)


def _taken_by_others(
    store: Store, taken: tolls.Taken, execution_id: str, now: float, measured_at: float
) -> int:
    """How many members of the group other deeds at work take away. A deed that takes three is
    charged to the first, the second and the third; the cluster itself shows what has ended.
    """
    sum_of, number = 0, 0
    while sum_of <= taken.healthy:  # beyond that nothing would stay anyway
        number += 1
        name = tolls.member_name(taken.group, number)
        one = in_flight(store, name, execution_id, now, measured_at, lag_s=0.0)
        if not one:
            break
        sum_of += one
    return sum_of


def in_flight(
    store: Store,
    name: str,
    execution_id: str,
    now: float,
    measured_at: float,
    lag_s: float = _LAG_S,
) -> int:
    """How many other deeds on the group `name` are at work, or ended less than `lag_s` before the
    measurement, too shortly to show in it. A run that died is not at work.
    """
    rows = store.query(
        _FLYING,
        (name, now - budgets.DAY_S, execution_id, journal.RUNNING, measured_at - lag_s),
    )
    return sum(1 for row in rows if _is_flying(store, row, now))


def _is_flying(store: Store, row: Row, now: float) -> bool:
    if row["status"] not in (None, journal.RUNNING):
        return True  # it ended, but only just
    is_dead = journal.is_dead(_owner_of(row["outcome"]))
    if is_dead is not None:
        return not is_dead
    held = store.value(
        "SELECT 1 FROM locks WHERE owner = ? AND expires_at > ?", (row["execution_id"], now)
    )
    return held is not None


def _owner_of(outcome: Any) -> Mapping[str, Any]:
    try:
        owner = (load(outcome) or {}).get("owner")
    except (ValueError, TypeError, AttributeError):
        return {}
    return owner if isinstance(owner, Mapping) and isinstance(owner.get("pid"), int) else {}


def _reading(ctx: Context, deed: Deed, group: Group, ask: Ask) -> Reading:
    name = ""
    try:
        healthy_by = groups.filled(group.healthy, deed.labels)
        total_by = groups.filled(group.total, deed.labels)
        name = budgets.key("group", deed.cluster, healthy_by, total_by)
        healthy = _one(ask(ctx, deed.cluster, healthy_by), group.healthy)
        total = _one(ask(ctx, deed.cluster, total_by), group.total)
        if not healthy <= total or total == 0:
            raise InvalidInput("%g healthy of %g in all makes no sense" % (healthy, total))
    except (ConfigError, ExternalError, InvalidInput) as error:
        return Reading(name, group.keep, group.where, problem=str(error))
    return Reading(name, group.keep, group.where, healthy, total)


def _one(values: Sequence[float], template: str) -> float:
    """The single value of an answer that can be a number of members."""
    if len(values) != 1:
        raise InvalidInput(
            "%s gave %d results; it must give one, as sum(...) or count(...) do"
            % (one_line(template, 100), len(values))
        )
    value = values[0]
    if not math.isfinite(value) or value < 0:
        raise InvalidInput("%s gave %s" % (one_line(template, 100), value))
    return value


def _unknown(reason: str, advice: str) -> Objection:
    return Objection("min_healthy", reason, advice)


def _too_few(reading: Reading, flying: int) -> Objection:
    others = " and %d more at work there" % flying if flying else ""
    return Objection(
        "min_healthy",
        "%g of %g members are healthy; with one taken away%s fewer than %s would stay (%s)"
        % (reading.healthy, reading.total, others, reading.keep, reading.where),
        "wait until more are healthy, or lower its `keep` in safety.min_healthy",
        None,
        {
            "healthy": reading.healthy,
            "total": reading.total,
            "in_flight": flying,
            "keep": reading.keep,
        },
    )

"""One remedy per target at a time, and one act for many incidents of it.

Who finds the target at work by the same remedy (the same runbook and the same values, to the
letter) waits for its end and takes over how it ended, instead of doing it again: five pods that
crash together cost one restart. Another remedy waits for its turn. A dead run frees its target.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import ConfigError, Conflict
from selfheal.guard import locks
from selfheal.ids import new_id
from selfheal.incidents import registry
from selfheal.records import dataclass
from selfheal.remedy import journal, values

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.guard.verdict import Deed
    from selfheal.incidents.model import Incident

TARGET_WAIT_S = 60.0
# One that ended so recently, begun when our signal was raised already, was for us as well.
RECENT_S = 60.0
_LOOK_S = 1.0
_INHERITED = (journal.DONE, journal.FAILED, journal.REFUSED)


@dataclass(frozen=True)
class Turn:
    """What waiting for a target came to: it is held, or `outcome` says how it ends without an act
    of our own, by which `execution_id` and why.
    """

    outcome: str = ""
    reason: str = ""
    execution_id: str = ""
    incident_id: str = ""
    data: Optional[Dict[str, Any]] = None

    @property
    def is_held(self) -> bool:
        return not self.outcome


def lock_name(scope: str) -> str:
    """The name of the lock of a target, the same in any letter case, as hosts' names are."""
    return "target:%s" % scope.casefold()


def lock_names(ctx: Context, deed: Deed) -> Tuple[str, ...]:
    """The locks that the deed takes: its scope, and where it changes something in Kubernetes the
    object itself, whatever alerts call its cluster.
    """
    names = [lock_name(deed.scope)]
    if deed.operations:
        try:
            cluster = ctx.config.target_name("kubernetes", deed.cluster)
        except ConfigError:
            cluster = None  # nothing is done there then
        place = values.workload_of(deed)
        own = [place["namespace"], place["name"]]
        if place["kind"] == "Node":
            own[0] = "node"
        names.append(lock_name("/".join(["kubernetes:%s" % (cluster or ""), *own])))
    return tuple(names)


def release(ctx: Context, names: Sequence[str], owner: str) -> None:
    """Free those of the locks that `owner` holds. Raises StoreError."""
    for name in names:
        locks.release(ctx.store, name, owner)


def take(
    ctx: Context,
    incident: Incident,
    names: Sequence[str],
    owner: str,
    ttl_s: float,
    longest_s: float,
    is_ending: Callable[[], str],
    is_by_hand: bool,
) -> Turn:
    """Take the target (all locks of `names`) for the incident's plan as execution `owner` for
    `ttl_s` seconds, waiting for the same remedy at most `longest_s` seconds and for another
    TARGET_WAIT_S. Raises StoreError.
    """
    plan = incident.plan or {}
    started = ctx.clock.monotonic()
    followed = ""
    while True:
        turn = _ended(ctx, followed) if followed else None
        if turn is not None:
            if not turn.is_held:
                return turn
            followed = ""  # it ended without saying anything for us
        taken_by = _acquire(ctx, names, owner, ttl_s)
        if taken_by is None:
            turn = None if is_by_hand else _recent(ctx, incident, plan)
            if turn is None:
                return Turn()
            release(ctx, names, owner)
            return turn
        holder = locks.holder(ctx.store, taken_by)
        followed = followed or (holder if holder and _is_same(ctx, holder, plan) else "")
        if is_ending():
            return Turn(journal.REFUSED, "this process was told to end")
        limit_s = longest_s if followed else TARGET_WAIT_S
        if ctx.clock.monotonic() - started >= limit_s:
            return Turn(
                journal.REFUSED,
                "another remedy (%s) is at work on %s and did not end within %g s; wait for its "
                "end and run automated_remediation, or see what keeps it"
                % (holder, taken_by, limit_s),
            )
        ctx.clock.sleep(_LOOK_S)


@contextmanager
def alone(
    ctx: Context, names: Sequence[str], ttl_s: float, wait_s: float, is_ending: Callable[[], str]
) -> Iterator[None]:
    """Hold targets (all locks of `names`) for `ttl_s` seconds while something is taken back there.
    Raises Conflict when a remedy is at work on one and does not end within `wait_s` seconds.
    """
    owner, started = new_id("und", ctx.clock.now()), ctx.clock.monotonic()
    while True:
        taken_by = _acquire(ctx, names, owner, ttl_s)
        if taken_by is None:
            break
        if is_ending() or ctx.clock.monotonic() - started >= wait_s:
            raise Conflict(
                "another remedy (%s) is at work on %s, so nothing was taken back there yet; wait "
                "for its end, then run st2 run selfheal.undo_remediation, or see what keeps it"
                % (locks.holder(ctx.store, taken_by), taken_by)
            )
        ctx.clock.sleep(_LOOK_S)
    try:
        yield
    finally:
        release(ctx, names, owner)


def _acquire(ctx: Context, names: Sequence[str], owner: str, ttl_s: float) -> Optional[str]:
    """Take all locks of `names`, or none and say which one another holds."""
    for number, name in enumerate(names):
        if not locks.acquire(ctx.store, name, owner, ttl_s):
            release(ctx, names[:number], owner)
            return name
    return None


def _is_same(ctx: Context, execution_id: str, plan: Mapping[str, Any]) -> bool:
    """Whether execution `execution_id` carries out what `plan` would, where it would."""
    theirs = journal.plan_of(ctx.store, execution_id)
    return theirs is not None and _are_same(theirs, plan)


def _are_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = ("remedy", "runbook", "scope", "digest", "values")
    return bool(one.get("digest")) and all(one.get(name) == other.get(name) for name in names)


def _ended(ctx: Context, execution_id: str) -> Optional[Turn]:
    """How the execution ended, for one that waits for it; None while it runs."""
    row = journal.ending(ctx.store, execution_id)
    if row is None:
        return Turn()  # swept, or a dead one's: whoever holds the lock next decides
    acted = row["outcome"].get("inherited_from")  # it held the target only to see that
    row = (journal.ending(ctx.store, str(acted)) if acted else None) or row
    return None if row["status"] == journal.RUNNING else _turn(row)


def _turn(row: Mapping[str, Any]) -> Turn:
    if row["status"] not in _INHERITED:
        return Turn()
    outcome = row["outcome"]
    reason = str(outcome.get("reason") or "it says no reason")
    return Turn(
        str(row["status"]),
        "the same remedy was at work on this target for incident %s (%s), and how it ended counts "
        "here too: %s" % (row["incident_id"], row["id"], reason),
        str(row["id"]),
        str(row["incident_id"]),
        outcome,
    )


def _recent(ctx: Context, incident: Incident, plan: Mapping[str, Any]) -> Optional[Turn]:
    """What the same remedy came to on this target since our signal was raised, if that was just
    now: then it was done for us as well.
    """
    since = registry.began_at(ctx.store, incident)
    for row in journal.ended_since(
        ctx.store, "%s:%s" % (plan.get("remedy"), plan.get("runbook")), since, RECENT_S
    ):
        is_another = row["incident_id"] != incident.id and not row["outcome"].get("inherited_from")
        if is_another and _are_same(row["plan"], plan):
            return _turn(row)
    return None

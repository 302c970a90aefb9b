"""One remedy per target at a time, and one act for many incidents of it.

Who finds the target at work by the same remedy (the same runbook and the same values, to the
letter) waits for its end and takes over how it ended, instead of doing it again: five pods that
crash together cost one restart. Another remedy waits for its turn. A dead run frees its target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional

from selfheal.guard import locks
from selfheal.incidents import registry
from selfheal.remedy import journal

if TYPE_CHECKING:
    from selfheal.context import Context
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


def take(
    ctx: Context,
    incident: Incident,
    scope: str,
    owner: str,
    ttl_s: float,
    longest_s: float,
    is_ending: Callable[[], str],
    is_by_hand: bool,
) -> Turn:
    """Take the target `scope` for the incident's plan as execution `owner` for `ttl_s` seconds,
    waiting for the same remedy at most `longest_s` seconds and for another TARGET_WAIT_S. Raises
    StoreError.
    """
    plan = incident.plan or {}
    target, started = lock_name(scope), ctx.clock.monotonic()
    followed = ""
    while True:
        turn = _ended(ctx, followed) if followed else None
        if turn is not None:
            if not turn.is_held:
                return turn
            followed = ""  # it ended without saying anything for us
        if locks.acquire(ctx.store, target, owner, ttl_s):
            turn = None if is_by_hand else _recent(ctx, incident, plan)
            if turn is None:
                return Turn()
            locks.release(ctx.store, target, owner)
            return turn
        holder = locks.holder(ctx.store, target)
        followed = followed or (holder if holder and _is_same(ctx, holder, plan) else "")
        if is_ending():
            return Turn(journal.REFUSED, "this process was told to end")
        limit_s = longest_s if followed else TARGET_WAIT_S
        if ctx.clock.monotonic() - started >= limit_s:
            return Turn(
                journal.REFUSED,
                "another remedy (%s) is at work on %s and did not end within %g s; wait for its "
                "end and run automated_remediation, or see what keeps it"
                % (holder, target, limit_s),
            )
        ctx.clock.sleep(_LOOK_S)


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

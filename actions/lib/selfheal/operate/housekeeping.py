"""What must happen even when nothing arrives: expire, take over from the dead, start what waits,
send, count, sweep.

Each part is guarded, so one that fails does not keep the others from their work. One housekeeper
runs at a time. All of it may be cut off anywhere and run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

from selfheal.guard import clock, locks
from selfheal.guard import storm as storms
from selfheal.ids import new_id
from selfheal.incidents import flapping, registry
from selfheal.incidents.dispatch import dispatch
from selfheal.operate.audit import seal_audit
from selfheal.operate.stats import record_statistics
from selfheal.outbox import letters
from selfheal.remedy import journal
from selfheal.respond import ladder, left_by_hand, silencing, telling, waiting
from selfheal.respond.approval.record import expire_and_tell
from selfheal.store import checkpoints, retention
from selfheal.store import status as states

if TYPE_CHECKING:
    from selfheal.context import Context

LOCK = "housekeeping"
LOCK_S = 300.0
SWEEP_EVERY_S = 3600.0
REJECTED_WINDOW_S = 3600.0
_LOCKS_KEPT_S = 86400.0
_UNDONE_WITHIN_S = 86400.0  # what was left for longer, somebody may have mended meanwhile
_COMPONENT = "housekeeping"
_LETTERS = 500  # in one turn, which the outbox ends after a minute


def housekeeping(ctx: Context) -> Dict[str, Any]:
    """Do all parts once. Returns {"ran", "parts": {part: counts}, "problems": [{"part", "error"}]}.

    `ran` is False while another housekeeper is at work. Raises StoreError when the store cannot be
    reached.
    """
    owner = ctx.run_id or new_id("hk", ctx.clock.now())
    store = ctx.store
    # Held for longer than anybody takes it: left by a dead one before the clock was set back.
    store.execute(
        "DELETE FROM locks WHERE name = ? AND expires_at > ?", (LOCK, store.now() + 2 * LOCK_S)
    )
    if not locks.acquire(store, LOCK, owner, LOCK_S):
        return {"ran": False, "parts": {}, "problems": []}
    parts: Dict[str, Any] = {}
    problems: List[Dict[str, str]] = []
    try:
        for name, part in _PARTS:
            locks.acquire(store, LOCK, owner, LOCK_S)  # a slow part must not cost us the lock
            try:
                parts[name] = part(ctx)
                if parts[name].get("error"):
                    problems.append({"part": name, "error": str(parts[name]["error"])})
            except Exception as error:  # a defect in one part must not stop the others
                ctx.log.error("housekeeping: %s failed", name, exc_info=True)
                problems.append({"part": name, "error": "%s: %s" % (type(error).__name__, error)})
        status = states.DEGRADED if problems else states.OK
        states.note(store, _COMPONENT, status, problems or None)
    finally:
        locks.release(store, LOCK, owner)
    return {"ran": True, "parts": parts, "problems": problems}


def expire_approvals(ctx: Context) -> Dict[str, int]:
    """Questions that nobody answered in time count as no; workflows that do not know yet what came
    of their question are told.

    A question whose workflow could not be told stays to be told at the next turn.
    """
    return expire_and_tell(ctx)


def take_over_dead(ctx: Context) -> Dict[str, Any]:
    """Incidents whose response died: see `dead.take_over`. By a clock that is ahead nobody is dead;
    who seems to be is told as a problem.
    """
    stale = registry.stale(ctx.store)
    counts: Dict[str, Any] = {"closed": 0, "reopened": 0, "escalated": 0}
    if not stale:
        return counts
    if clock.is_ahead(ctx):
        return dict(counts, error=(
            "the responses of %s seem dead, but by a clock that is ahead, so nobody takes them "
            "over; set it right and say so with st2 run selfheal.resume scope=clock"
            % ", ".join(incident.id for incident in stale[:5])
        ))
    from selfheal.operate import dead  # dear to import, and seldom needed

    return dead.take_over(ctx, stale)


def end_dead_executions(ctx: Context) -> Dict[str, int]:
    """Executions whose process died: see `dead.end_executions`. Nobody is dead by a clock that is
    ahead.
    """
    since = ctx.store.now() - _UNDONE_WITHIN_S
    is_any = journal.at_work(ctx.store) or journal.left_by_the_dead(ctx.store, since)
    if not is_any or clock.is_ahead(ctx):
        return {"interrupted": 0, "unreadable": 0, "undone": 0}
    from selfheal.operate import dead

    return dead.end_executions(ctx, since)


def close_left_by_hand(ctx: Context) -> Dict[str, int]:
    """Incidents of hands that died, or that nobody said yes to; none by a clock that is ahead."""
    if clock.is_ahead(ctx):
        return {"closed": 0, "escalated": 0}
    return left_by_hand.close_left(ctx)


def start_waiting(ctx: Context) -> Dict[str, Any]:
    """Responses for open incidents that wait for one, as far as there is room."""
    return dispatch(ctx)


def take_up_waiting(ctx: Context) -> Dict[str, Any]:
    """Incidents whose remedy had to wait for its next turn."""
    return waiting.take_up(ctx)


def tell_of_lasting(ctx: Context) -> Dict[str, Any]:
    """Causes that were flapping, and are back and stay."""
    quiet_s = 60.0 * ctx.config.number("safety.flap_quiet_minutes")
    if not flapping.lasting(ctx.store, quiet_s):
        return {"told": 0}
    from selfheal.respond import escalate  # dear to import, and seldom needed

    return escalate.tell_of_lasting(ctx)


def end_silences(ctx: Context) -> Dict[str, int]:
    """Silences whose reason is over, whoever died meanwhile."""
    return silencing.settle(ctx)


def follow_tickets(ctx: Context) -> Dict[str, Any]:
    """Tickets are told what happened to their incidents, and what people did to them is read; where
    a tracker takes none, somebody hears of it.
    """
    from selfheal.respond import ticket_sync, ticketing, tickets_untaken

    told = {**ticketing.follow_all(ctx), **ticket_sync.sync_due(ctx)}
    untaken = tickets_untaken.tell(ctx)
    return {**told, "untaken": untaken} if untaken else told


def climb_ladder(ctx: Context) -> Dict[str, Any]:
    """Who is called next while nobody acknowledges, and that it is over."""
    return ladder.climb(ctx)


def send_messages(ctx: Context) -> Dict[str, int]:
    """Letters that are due."""
    deliveries = telling.deliver(ctx, limit=_LETTERS)
    sent = sum(1 for delivery in deliveries if delivery.status == letters.SENT)
    return {
        "sent": sent,
        "failed": sum(1 for delivery in deliveries if delivery.tried) - sent,
        "pending": letters.pending_count(ctx.store),
        "dead": letters.dead_count(ctx.store),
    }


def sweep_old(ctx: Context) -> Dict[str, int]:
    """Old records, once an hour; none by a clock that is not believed, for what it deletes is gone
    when the clock is right again.
    """
    store = ctx.store
    last = checkpoints.read(store, "retention")
    is_early = last is not None and 0 <= store.now() - float(last) < SWEEP_EVERY_S
    if is_early or clock.problem(ctx) is not None:
        return {}
    gone = retention.sweep(store, ctx.config.number("database.retention_days"))
    store.execute("DELETE FROM locks WHERE expires_at < ?", (store.now() - _LOCKS_KEPT_S,))
    checkpoints.write(store, "retention", store.now())
    return gone


def watch_guard(ctx: Context) -> Dict[str, Any]:
    """Whether the clock stepped, and whether a storm of incidents goes on: noticed when it happens
    instead of with the next remedy, and over when it is over. No lock outlives a clock set back.
    """
    locks.redate(ctx.store)
    doubt, storm = clock.problem(ctx), storms.current(ctx)
    return {"clock": "" if doubt is None else doubt.reason, "storm": storm.id if storm else ""}


def count_rejected(ctx: Context) -> Dict[str, int]:
    """How many signals of the last hour could not be used, by source."""
    rows = ctx.store.query(
        "SELECT source, COUNT(*) AS many FROM rejected_signals WHERE at >= ? GROUP BY source",
        (ctx.store.now() - REJECTED_WINDOW_S,),
    )
    return {str(row["source"]): int(row["many"]) for row in rows}


_PARTS: Tuple[Tuple[str, Callable[[Any], Dict[str, Any]]], ...] = (
    ("approvals", expire_approvals),
    ("dead_responses", take_over_dead),
    ("dead_executions", end_dead_executions),
    ("left_by_hand", close_left_by_hand),
    ("waits", take_up_waiting),
    ("dispatch", start_waiting),
    ("lasting", tell_of_lasting),
    ("silences", end_silences),
    ("ladder", climb_ladder),
    ("messages", send_messages),
    ("tickets", follow_tickets),  # asks trackers: who is to be called does not wait for them
    ("statistics", record_statistics),
    ("retention", sweep_old),
    ("rejected_signals", count_rejected),
    ("guard", watch_guard),
    ("audit", seal_audit),
)

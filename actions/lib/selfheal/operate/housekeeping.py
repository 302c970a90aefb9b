"""What must happen even when nothing arrives: expire, take over from the dead, start what waits,
send, count, sweep.

Each part is guarded, so one that fails does not keep the others from their work. One housekeeper
runs at a time. All of it may be cut off anywhere and run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

from selfheal.exceptions import Conflict, StoreError
from selfheal.guard import clock, locks
from selfheal.guard import storm as storms
from selfheal.ids import new_id
from selfheal.incidents import model, registry, timeline
from selfheal.incidents.dispatch import dispatch
from selfheal.notify import outbox
from selfheal.operate.audit import seal_audit
from selfheal.operate.stats import record_statistics
from selfheal.remedy import journal, undo
from selfheal.remedy.recovery import interrupted
from selfheal.respond import deeds, escalate, finish, telling, waiting
from selfheal.respond.approval.record import expire_and_tell
from selfheal.store import checkpoints, retention
from selfheal.store import status as states

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

LOCK = "housekeeping"
LOCK_S = 300.0
SWEEP_EVERY_S = 3600.0
REJECTED_WINDOW_S = 3600.0
_LOCKS_KEPT_S = 86400.0
_UNDONE_WITHIN_S = 86400.0  # what was left for longer, somebody may have mended meanwhile
_COMPONENT = "housekeeping"


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
    """Incidents whose response died: back to open for another, or to a person when their attempts
    are used up or what they left cannot be understood.
    """
    counts: Dict[str, Any] = {"closed": 0, "reopened": 0, "escalated": 0}
    problems = []
    for incident in registry.stale(ctx.store):
        try:
            counts[_take_over(ctx, incident)] += 1
        except Conflict:
            continue  # taken up again since we looked
        except StoreError:
            raise
        except Exception as error:  # what a dead run left may be anything; a person must see it
            problems.append("%s: %s: %s" % (incident.id, type(error).__name__, error))
            escalate.escalate_to_oncall(ctx, incident.id, reason="workflow_failed")
            counts["escalated"] += 1
    if problems:
        text = "; ".join(problems[:5])
        return dict(counts, error="%d dead responses left confusion: %s" % (len(problems), text))
    return counts


def end_dead_executions(ctx: Context) -> Dict[str, int]:
    """Executions whose process died and whose response could not say so any more: those of
    incidents that were handed over or closed since, and those that a person's hand began. What they
    left half done is undone.
    """
    rows = ctx.store.query(
        "SELECT DISTINCT incident_id FROM execution_history WHERE status = ?", ("running",)
    )
    counts = {"interrupted": 0, "unreadable": 0, "undone": 0}
    for row in rows:
        try:
            counts["interrupted"] += len(deeds.interrupted(ctx, str(row["incident_id"])))
        except (AttributeError, KeyError, TypeError, ValueError):  # a row that is not ours to mend
            ctx.log.error("executions of %s cannot be read", row["incident_id"], exc_info=True)
            counts["unreadable"] += 1
    for incident_id in journal.left_by_the_dead(ctx.store, ctx.store.now() - _UNDONE_WITHIN_S):
        outcome = _undo_what_is_left(ctx, incident_id)
        counts["undone"] += int(outcome == undo.UNDONE)
        if outcome == undo.PARTLY:
            escalate.escalate_to_oncall(ctx, incident_id, reason="undo_failed")
    return counts


def start_waiting(ctx: Context) -> Dict[str, Any]:
    """Responses for open incidents that wait for one, as far as there is room."""
    return dispatch(ctx)


def take_up_waiting(ctx: Context) -> Dict[str, Any]:
    """Incidents whose remedy had to wait for its next turn."""
    return waiting.take_up(ctx)


def tell_of_lasting(ctx: Context) -> Dict[str, Any]:
    """Causes that were flapping, and are back and stay."""
    return escalate.tell_of_lasting(ctx)


def send_messages(ctx: Context) -> Dict[str, int]:
    """Messages that are due."""
    deliveries = telling.deliver(ctx)
    sent = sum(1 for delivery in deliveries if delivery.status == outbox.SENT)
    failed = sum(1 for delivery in deliveries if delivery.tried) - sent
    return {"sent": sent, "failed": failed, "pending": outbox.pending_count(ctx.store)}


def sweep_old(ctx: Context) -> Dict[str, int]:
    """Old records, once an hour."""
    store = ctx.store
    last = checkpoints.read(store, "retention")
    if last is not None and 0 <= store.now() - float(last) < SWEEP_EVERY_S:
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
    ("waits", take_up_waiting),
    ("dispatch", start_waiting),
    ("lasting", tell_of_lasting),
    ("messages", send_messages),
    ("statistics", record_statistics),
    ("retention", sweep_old),
    ("rejected_signals", count_rejected),
    ("guard", watch_guard),
    ("audit", seal_audit),
)


def _take_over(ctx: Context, incident: Incident) -> str:
    """Undo what the dead response left half done, then close, open again or escalate; which of
    these.
    """
    store = ctx.store
    allowed = int(ctx.config.number("resolver.max_retries"))
    undone = _undo_what_is_left(ctx, incident.id)
    with store.transaction("incidents"):
        now = registry.get(store, incident.id)
        if registry.is_held(store, incident.id) or now.status not in model.RESPONDING:
            raise Conflict("incident %s was taken up again" % incident.id)
        dead = interrupted(store, now.id)
        may_try_again = now.attempts < allowed and not now.is_cleared and undone != undo.PARTLY
        message = "the response %s died while the incident was %s" % (now.run_id or "", now.status)
        if may_try_again:
            registry.move(store, incident.id, model.OPEN, dispatched_at=None)
            message += "; another one follows (%d of %d used)" % (now.attempts, allowed)
        once = "died:%s:%d" % (now.run_id, now.attempts)
        timeline.record(store, incident.id, "response_died", message, once=once)
    deeds.settle_dead(ctx, incident.id, dead)
    if may_try_again:
        return "reopened"
    if now.is_cleared and undone != undo.PARTLY:
        finish.close_incident(ctx, incident.id, resolution=finish.SELF_RESOLVED)
        return "closed"
    reason = "undo_failed" if undone == undo.PARTLY else "attempts_used"
    escalate.escalate_to_oncall(ctx, incident.id, reason=reason)
    return "escalated"


def _undo_what_is_left(ctx: Context, incident_id: str) -> str:
    """How undoing ended what dead remediations left half done: see `undo_half_done`, or empty when
    somebody else has the incident and it is theirs to do.
    """
    from selfheal.respond.remediate import undo_half_done  # dear to import, and seldom needed

    try:
        return undo_half_done(ctx, incident_id)
    except Conflict as error:
        ctx.log.info("nothing of %s was undone: %s", incident_id, error)
        return ""

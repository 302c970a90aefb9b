"""What must happen even when nothing arrives: expire, take over from the dead, start what waits,
send, count, sweep.

Each part is guarded, so one that fails does not keep the others from their work. One housekeeper
runs at a time. All of it may be cut off anywhere and run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

from selfheal.exceptions import Conflict, ExternalError, SelfhealError, StoreError
from selfheal.guard import locks
from selfheal.ids import new_id
from selfheal.incidents import model, registry, timeline
from selfheal.incidents.dispatch import dispatch
from selfheal.notify import outbox
from selfheal.operate.stats import record_statistics
from selfheal.remedy import journal
from selfheal.remedy.recovery import interrupted
from selfheal.respond import finish, telling
from selfheal.respond.remediate import undo_remediation
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
_NOBODY = "nobody: expired"
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
    """Questions that nobody answered in time count as no; their workflows are told so.

    A question whose workflow could not be told stays to be told at the next turn.
    """
    store = ctx.store
    expired = store.execute(
        "UPDATE approvals SET status = ?, decided_at = ? WHERE status = ? AND expires_at <= ?",
        ("expired", store.now(), "pending", store.now()),
    )
    rows = store.query(
        "SELECT id, incident_id, inquiry_id FROM approvals "
        "WHERE status = ? AND decided_by IS NULL AND inquiry_id IS NOT NULL",
        ("expired",),
    )
    answered = sum(1 for row in rows if _tell_workflow(ctx, row))
    return {"expired": expired, "answered": answered}


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
            finish.escalate_to_oncall(ctx, incident.id, reason="workflow_failed")
            counts["escalated"] += 1
    if problems:
        text = "; ".join(problems[:5])
        return dict(counts, error="%d dead responses left confusion: %s" % (len(problems), text))
    return counts


def end_dead_executions(ctx: Context) -> Dict[str, int]:
    """Executions whose process died and whose response could not say so any more: those of
    incidents that were handed over or closed since.
    """
    rows = ctx.store.query(
        "SELECT DISTINCT incident_id FROM execution_history WHERE status = ?", ("running",)
    )
    counts = {"interrupted": 0, "unreadable": 0}
    for row in rows:
        try:
            counts["interrupted"] += len(interrupted(ctx.store, str(row["incident_id"])))
        except (AttributeError, KeyError, TypeError, ValueError):  # a row that is not ours to mend
            ctx.log.error("executions of %s cannot be read", row["incident_id"], exc_info=True)
            counts["unreadable"] += 1
    return counts


def start_waiting(ctx: Context) -> Dict[str, Any]:
    """Responses for open incidents that wait for one, as far as there is room."""
    return dispatch(ctx)


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
    ("dispatch", start_waiting),
    ("messages", send_messages),
    ("statistics", record_statistics),
    ("retention", sweep_old),
    ("rejected_signals", count_rejected),
)


def _tell_workflow(ctx: Context, row: Dict[str, Any]) -> bool:
    is_told, is_over = True, True
    try:
        ctx.platform.answer_inquiry(str(row["inquiry_id"]), {"approved": False})
    except SelfhealError as error:
        is_told = False
        # Gone or answered already: nobody waits for it any more.
        is_over = isinstance(error, ExternalError) and not error.retryable
        ctx.log.warning("expired question %s: %s", row["id"], error)
    if is_over:
        ctx.store.execute("UPDATE approvals SET decided_by = ? WHERE id = ?", (_NOBODY, row["id"]))
        timeline.record(
            ctx.store,
            str(row["incident_id"]),
            "approval_expired",
            "nobody answered the question in time; the plan is not carried out",
            once="expired:%s" % row["id"],
        )
    return is_told


def _take_over(ctx: Context, incident: Incident) -> str:
    """Mark what the dead response left, then close, open again or escalate; which of these."""
    store = ctx.store
    allowed = int(ctx.config.number("resolver.max_retries"))
    with store.transaction("incidents"):
        now = registry.get(store, incident.id)
        if registry.is_held(store, incident.id) or now.status not in model.RESPONDING:
            raise Conflict("incident %s was taken up again" % incident.id)
        interrupted(store, now.id)
        may_try_again = now.attempts < allowed and not now.is_cleared
        message = "the response %s died while the incident was %s" % (now.run_id or "", now.status)
        if may_try_again:
            registry.move(store, incident.id, model.OPEN, dispatched_at=None)
            message += "; another one follows (%d of %d used)" % (now.attempts, allowed)
        once = "died:%s:%d" % (now.run_id, now.attempts)
        timeline.record(store, incident.id, "response_died", message, once=once)
    if may_try_again:
        return "reopened"
    if now.is_cleared:
        finish.close_incident(ctx, incident.id, resolution=finish.SELF_RESOLVED)
        return "closed"
    _undo_what_is_left(ctx, incident.id)
    finish.escalate_to_oncall(ctx, incident.id, reason="attempts_used")
    return "escalated"


def _undo_what_is_left(ctx: Context, incident_id: str) -> None:
    """No response follows that would take back what the dead one left half done. What cannot be
    undone here is named in the escalation.
    """
    if not journal.half_done(ctx.store, incident_id):
        return
    try:
        undo_remediation(ctx, incident_id)
    except SelfhealError as error:
        timeline.record(ctx.store, incident_id, "undo_finished", "nothing was undone: %s" % error)

"""What the dead left: incidents whose response died, executions whose process did. Done by
`housekeeping` when there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable

from selfheal.exceptions import Conflict, StoreError
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import journal, undo
from selfheal.remedy.recovery import interrupted
from selfheal.respond import deeds, escalate, finish
from selfheal.respond.remediate import undo_half_done
from selfheal.respond.targets import TARGET_WAIT_S

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident


def take_over(ctx: Context, stale: Iterable[Incident]) -> Dict[str, Any]:
    """Incidents whose response died: back to open for another, or to a person when their attempts
    are used up or what they left cannot be understood.
    """
    counts: Dict[str, Any] = {"closed": 0, "reopened": 0, "escalated": 0}
    problems = []
    for incident in stale:
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


def end_executions(ctx: Context, since: float) -> Dict[str, int]:
    """Executions whose process died and whose response could not say so any more: those of
    incidents that were handed over or closed since, and those that a person's hand began. What they
    left half done since that time is undone.
    """
    counts = {"interrupted": 0, "unreadable": 0, "undone": 0}
    for incident_id in journal.at_work(ctx.store):
        try:
            counts["interrupted"] += len(deeds.interrupted(ctx, incident_id))
        except (AttributeError, KeyError, TypeError, ValueError):  # a row that is not ours to mend
            ctx.log.error("executions of %s cannot be read", incident_id, exc_info=True)
            counts["unreadable"] += 1
    for incident_id in journal.left_by_the_dead(ctx.store, since):
        outcome = _undo_what_is_left(ctx, incident_id)
        counts["undone"] += int(outcome == undo.UNDONE)
        if outcome == undo.PARTLY:
            escalate.escalate_to_oncall(ctx, incident_id, reason="undo_failed")
    return counts


def _take_over(ctx: Context, incident: Incident) -> str:
    """Undo what the dead response left half done, then close, open again or escalate; which of
    these.
    """
    store = ctx.store
    allowed = int(ctx.config.number("resolver.max_retries"))
    undone = _undo_what_is_left(ctx, incident.id)
    if not undone and journal.half_done(store, incident.id):
        if not _has_waited_long(ctx, incident):
            raise Conflict("what incident %s is left with must be undone first" % incident.id)
        undone = undo.PARTLY  # a person is told, and has it from now on
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


def _has_waited_long(ctx: Context, incident: Incident) -> bool:
    """Whether what the dead response left has waited for its turn on the target for as long as a
    remedy may be at work there; written down when the wait begins.
    """
    store, once = ctx.store, "left:%s:%d" % (incident.run_id, incident.attempts)
    message = "the response %s died; what it left half done waits to be taken back" % (
        incident.run_id or ""
    )
    if timeline.record(store, incident.id, "response_died", message, once=once):
        return False
    since = store.value(
        "SELECT at FROM incident_events WHERE incident_id = ? AND dedupe_key = ?",
        (incident.id, once),
    )
    return store.now() - float(since) >= max(TARGET_WAIT_S, ctx.config.number("resolver.timeout"))


def _undo_what_is_left(ctx: Context, incident_id: str) -> str:
    """How undoing ended what dead remediations left half done: see `undo_half_done`, or empty when
    somebody else has the incident and it is theirs to do.
    """
    try:
        return undo_half_done(ctx, incident_id)
    except Conflict as error:
        ctx.log.info("nothing of %s was undone: %s", incident_id, error)
        return ""

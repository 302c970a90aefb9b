"""One remedy on its target, from taking the target to writing the outcome.

In this order: the journal row, the target, the gate, the steps, the outcome, the breaker. The
outcome is written whatever happens; what a killed process could not write, the next one that comes
does. Nothing is done that the gate has not let in.
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

from selfheal.diagnose import solutions
from selfheal.guard import clock, command_check, locks, pause
from selfheal.guard.verdict import Deed, Objection
from selfheal.incidents import model, registry, timeline
from selfheal.records import dataclass
from selfheal.remedy import execute, journal
from selfheal.remedy import undo as undoing
from selfheal.remedy.execute import Execution, Job, Note
from selfheal.remedy.model import Runbook
from selfheal.respond import deeds, silencing, targets
from selfheal.respond.holding import claim_s, enter

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident


@dataclass(frozen=True)
class Task:
    """What is to be carried out: `runbook` holds the words that may be run, `objections` are the
    command policy's. `use_yes` takes the approval it stands on, when there is one; it says why that
    does not count any more, or nothing.
    """

    incident: Incident
    run_id: str
    runbook: Runbook
    timeout_s: float
    is_ending: Callable[[], str]
    objections: Tuple[Objection, ...] = ()
    is_approved: bool = False
    use_yes: Callable[[str], str] = lambda execution_id: ""


@dataclass
class _Course:
    """What is known of a run while it goes on."""

    ended: Optional[Execution] = None
    extra: Optional[Dict[str, Any]] = None
    is_entered: bool = False
    is_called_off: bool = False
    silence: Optional[Thread] = None


def carry_out(ctx: Context, task: Task) -> Dict[str, Any]:
    """Carry out `task`; the answer of the action `remediate`. Raises Conflict, StoreError."""
    incident, plan = task.incident, task.incident.plan or {}
    note = note_for(ctx, incident.id, task.run_id)
    enter(ctx, incident, task.run_id, model.REMEDIATING)
    execution_id = journal.begin(ctx.store, incident.id, task.run_id, plan)
    deed = deeds.deed_of(
        incident,
        plan,
        execution_id,
        is_by_hand=not task.run_id,
        is_approved=task.is_approved,
        runbook=task.runbook,
    )
    course, started = _Course(), ctx.clock.monotonic()
    try:
        _go(ctx, task, deed, note, course)
    finally:
        seconds = ctx.clock.monotonic() - started
        ended = course.ended or Execution(
            journal.FAILED, "it broke off by an error of its own", ()
        )
        with ctx.store.transaction():  # a kill leaves the execution running, or all of it done
            _write_outcome(ctx, incident, execution_id, ended, note, course.extra)
            targets.release(ctx, targets.lock_names(ctx, deed), execution_id)
            if ended.outcome != journal.DONE:  # what worked is verified first
                silencing.end(ctx.store, incident.id, fix_only=True)
        if course.is_entered:
            is_good = _is_good(ended.outcome, course)
            # A response is proven by its next step, which tells the breaker then.
            if is_good is not None or ended.outcome != journal.DONE or deed.is_by_hand:
                deeds.leave(ctx, deed, is_good, seconds, note)
        silencing.wait_for(course.silence)
    outcome = journal.FAILED if ended.outcome == journal.INTERRUPTED else ended.outcome
    return answer(incident, outcome, ended.reason, execution_id, _steps(ended))


def _go(ctx: Context, task: Task, deed: Deed, note: Note, course: _Course) -> None:
    incident = task.incident
    # By a clock that is ahead, the lock of who is at work there seems to have run out.
    objection = clock.objection(ctx, deed)
    if objection is not None:
        words = "%s: %s" % (objection.rule, objection)
        note(deeds.REFUSED, words, deeds.in_data(deed, [objection]))
        _refuse(course, objection)
        return
    if not _has_turn(ctx, task, deed, note, course):
        return
    objection = deeds.enter(ctx, deed, task.objections, note)
    if objection is not None:
        _refuse(course, objection)
        return
    course.is_entered = True
    no_yes = task.use_yes(deed.execution_id)
    if no_yes:
        course.ended, course.is_called_off = Execution(journal.REFUSED, no_yes, ()), True
        return
    note(
        "remediation_started",
        "runbook %s begins on %s (%s)" % (task.runbook.name, deed.scope, deed.risk),
        {"execution_id": deed.execution_id, "timeout_s": task.timeout_s},
    )
    course.silence = silencing.while_fixing(ctx, incident, task.timeout_s)
    stopper = _stopper(ctx, task, deed, course)
    job = Job(
        task.runbook,
        incident,
        deed.execution_id,
        task.timeout_s,
        stopper,
        task.is_ending,
        note,
    )
    course.ended = execute.carry_out(ctx, job)
    # While the target is still ours.
    if course.ended.undo_now and not _lost(ctx, deed, targets.lock_names(ctx, deed)):
        executions, permit = [deed.execution_id], undo_permit(ctx)
        undoing.undo(ctx, incident.id, note, executions, task.is_ending, permit)


def _has_turn(ctx: Context, task: Task, deed: Deed, note: Note, course: _Course) -> bool:
    """Take the target, or write into `course` how it ends without an act of our own."""
    turn = targets.take(
        ctx,
        task.incident,
        targets.lock_names(ctx, deed),
        deed.execution_id,
        claim_s(ctx, task.timeout_s),
        ctx.config.number("resolver.timeout"),
        task.is_ending,
        deed.is_by_hand,
    )
    if turn.is_held:
        return True
    course.ended = Execution(turn.outcome, turn.reason, ())
    if turn.execution_id:
        inherited = {"inherited_from": turn.execution_id, "incident_id": turn.incident_id}
        refusal = (turn.data or {}).get("objection")
        course.extra = dict(inherited, **({"objection": refusal} if refusal else {}))
        note("remediation_inherited", "%s: %s" % (turn.outcome, turn.reason), inherited)
    return False


def _refuse(course: _Course, objection: Objection) -> None:
    course.ended = Execution(journal.REFUSED, str(objection), ())
    course.extra = {"objection": deeds.as_dict(objection)}


def undo_permit(ctx: Context) -> undoing.Permit:
    """Who is asked about each undo record: the command policy."""
    return lambda action: command_check.permitted_undo(ctx.config, action)


def _lost(ctx: Context, deed: Deed, names: Sequence[str]) -> str:
    """Why the deed is not ours to go on with, after this process stood still for too long; or
    empty.
    """
    own = journal.ending(ctx.store, deed.execution_id)
    if own is None or own["status"] != journal.RUNNING:
        return "this execution was taken for dead meanwhile; who did so takes back what it did"
    holders = [locks.holder(ctx.store, name) for name in names]
    others = [one for one in holders if one not in (deed.execution_id, None)]
    return "its time on the target ran out, and %s is at work there" % others[0] if others else ""


def _stopper(ctx: Context, task: Task, deed: Deed, course: _Course) -> Callable[[], str]:
    names = targets.lock_names(ctx, deed)

    def should_stop() -> str:
        if task.is_ending():
            return journal.INTERRUPTED
        now = registry.get(ctx.store, task.incident.id)
        if over(now):
            return journal.CLEARED
        holder = locks.holder(ctx.store, registry.lock_name(task.incident.id))
        reason = pause.stops_running(ctx.store, deed) or _lost(ctx, deed, names)
        if task.run_id and holder not in (task.run_id, None):
            reason = "another response has taken over"
        course.is_called_off = course.is_called_off or bool(reason)
        return reason

    return should_stop


def _is_good(outcome: str, course: _Course) -> Optional[bool]:
    """What the end says of the remedy itself; nothing, when somebody called it off."""
    if course.is_called_off or outcome not in (journal.FAILED, journal.INTERRUPTED):
        return None
    return False


def over(incident: Incident) -> str:
    """Why nothing is to be done for the incident any more, or empty."""
    if incident.status == model.RESOLVED:
        return "the incident is closed"
    return "the alert went away" if incident.is_cleared else ""


def refused(
    ctx: Context,
    incident: Incident,
    run_id: str,
    reason: str,
    objection: Optional[Dict[str, Any]] = None,
) -> Dict[str, Any]:
    """Record that the plan is not carried out, and why; the answer of the action."""
    outcome: Dict[str, Any] = {"outcome": journal.REFUSED, "reason": reason}
    if objection:
        outcome["objection"] = objection
    execution_id = journal.begin(
        ctx.store,
        incident.id,
        run_id,
        incident.plan or {},
        journal.REFUSED,
        outcome=outcome,
    )
    note_for(ctx, incident.id, run_id)(
        "remediation_refused", "the plan is not carried out: %s" % reason, {}
    )
    return answer(incident, journal.REFUSED, reason, execution_id)


def _write_outcome(
    ctx: Context,
    incident: Incident,
    execution_id: str,
    ended: Execution,
    note: Note,
    extra: Optional[Dict[str, Any]],
) -> None:
    secrets = tuple(ctx.config.secrets())
    outcome = {
        "outcome": ended.outcome,
        "reason": ended.reason,
        "steps": [step.as_dict(secrets) for step in ended.steps],
        **(extra or {}),
    }
    is_news = journal.finish(ctx.store, execution_id, ended.outcome, outcome)
    is_own = not (extra and extra.get("inherited_from"))
    if is_news and is_own and ended.outcome == journal.FAILED:
        solutions.record(ctx.store, incident, incident.plan or {}, helped=False, before=None)
    if ended.outcome == journal.CLEARED:
        journal.keep(ctx.store, "execution_id", execution_id)  # all is well as things are now
    if ended.outcome == journal.REFUSED:
        note("remediation_refused", "the plan is not carried out: %s" % ended.reason, {})
    note(
        "remediation_finished",
        "%s: %s" % (ended.outcome, ended.reason),
        {
            "execution_id": execution_id,
            "outcome": ended.outcome,
            "steps": _steps(ended),
        },
    )
    ctx.log.info("remediation of %s ended: %s", incident.id, ended.outcome)


def _steps(ended: Execution) -> List[Dict[str, Any]]:
    return [
        {"name": step.name, "status": step.status, "seconds": round(step.seconds, 3)}
        for step in ended.steps
    ]


def answer(
    incident: Incident,
    outcome: str,
    reason: str,
    execution_id: str = "",
    steps: Optional[List[Dict[str, Any]]] = None,
) -> Dict[str, Any]:
    """The result of the action `remediate`."""
    return {
        "outcome": outcome,
        "remedy": str((incident.plan or {}).get("runbook", "")),
        "steps": steps or [],
        "execution_id": execution_id,
        "reason": reason,
    }


def note_for(ctx: Context, incident_id: str, run_id: str) -> Note:
    """Who writes the incident's timeline for this run."""

    def note(kind: str, message: str, data: Dict[str, Any]) -> None:
        timeline.record(ctx.store, incident_id, kind, message, data or None, run_id or None)

    return note

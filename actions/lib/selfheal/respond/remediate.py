"""Carry out the plan, or take back what was carried out.

Only the plan that was decided or approved is carried out, on a target that no other remedy works
on. The outcome is written whatever happens; what a killed process could not write, the next one
that comes here does.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional

from selfheal.decide import strategy
from selfheal.diagnose import solutions
from selfheal.exceptions import Refused
from selfheal.guard import locks
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import execute, journal, recovery, values
from selfheal.remedy import plan as plans
from selfheal.remedy import undo as undoing
from selfheal.remedy.execute import Execution, Job, Note
from selfheal.remedy.model import Runbook
from selfheal.respond import approval
from selfheal.respond.decide import DECIDED_PLAN
from selfheal.respond.holding import claim_s, enter, held
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

TARGET_WAIT_S = 60.0
_LOOK_S = 1.0


def remediate(
    ctx: Context, incident_id: str, run_id: str = "", dry_run: bool = False
) -> Dict[str, Any]:
    """Carry out the incident's plan; with `dry_run` (or on an incident of that kind) only write
    down what would be done.

    Returns {"outcome": done|cleared|refused|planned|failed, "remedy", "steps": [{"name", "status",
    "seconds"}], "execution_id", "reason"}. Raises NotFound, Conflict (another response, or a
    remediation that still runs), StoreError.
    """
    incident = registry.get(ctx.store, incident_id)
    limit_s = ctx.config.number("resolver.timeout")
    longest_s = TARGET_WAIT_S + limit_s + undoing.longest_s(ctx.store, incident_id)
    with held(ctx, incident, run_id, longest_s), _told_to_end() as is_ending:
        note = _note(ctx, incident_id, run_id)
        is_dry = dry_run or incident.dry_run
        trouble = "" if is_dry else _recover(ctx, incident, run_id, note, is_ending)
        incident = registry.get(ctx.store, incident_id)
        reason = _over(incident)
        if reason:
            note("remediation_cleared", "nothing was done: %s" % reason, {})
            return _answer(incident, journal.CLEARED, reason)
        try:
            if trouble:
                raise Refused(trouble)
            runbook = _permitted(ctx, incident, run_id)
        except Refused as error:
            return _refused(ctx, incident, run_id, str(error), note)
        if is_dry:
            return _planned(ctx, incident, run_id, runbook, note)
        return _on_target(
            ctx, incident, run_id, runbook, min(runbook.timeout_s or limit_s, limit_s), is_ending
        )


def undo_remediation(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Take back what the incident's remedies did and the signal did not prove, the last step first.

    Returns {"outcome": undone|nothing|partly, "undone", "failed"}. Raises NotFound, StoreError, and
    Conflict while another response holds the incident or a remediation of it still runs.
    """
    incident = registry.get(ctx.store, incident_id)
    longest_s = TARGET_WAIT_S + undoing.longest_s(ctx.store, incident_id)
    with held(ctx, incident, run_id, longest_s), _told_to_end() as is_ending:
        note = _note(ctx, incident_id, run_id)
        recovery.interrupted(ctx.store, incident_id, run_id)
        recovery.refuse_beside_living(ctx.store, incident_id)
        result = undoing.undo(ctx, incident_id, note, is_ending=is_ending)
        words = {
            undoing.NOTHING: "there was nothing to undo",
            undoing.UNDONE: "undone: %s" % counted(result.undone, "step"),
            undoing.PARTLY: "undone: %s; could NOT be undone: %s"
            % (counted(result.undone, "step"), counted(result.failed, "step")),
        }[result.outcome]
        note("undo_finished", words, {"undone": result.undone, "failed": result.failed})
    return {"outcome": result.outcome, "undone": result.undone, "failed": result.failed}


def _recover(
    ctx: Context, incident: Incident, run_id: str, note: Note, is_ending: Callable[[], str]
) -> str:
    """Take back what earlier remediations left half done; why that did not work, or empty."""
    recovery.interrupted(ctx.store, incident.id, run_id)
    recovery.refuse_beside_living(ctx.store, incident.id)
    left = journal.half_done(ctx.store, incident.id)
    if left:
        note(
            "remediation_interrupted",
            "an earlier remediation was left half done; it is undone first",
            {"executions": left},
        )
        result = undoing.undo(ctx, incident.id, note, left, is_ending)
        if result.failed:
            return (
                "%s of an earlier remediation could not be undone; a person must look "
                "before anything else is done" % counted(result.failed, "step")
            )
    journal.keep(ctx.store, "incident_id", incident.id)  # done then, and never disproven
    return ""


def _over(incident: Incident) -> str:
    if incident.status == model.RESOLVED:
        return "the incident is closed"
    return "the alert went away" if incident.is_cleared else ""


def _permitted(ctx: Context, incident: Incident, run_id: str) -> Runbook:
    """The planned runbook, if it may be carried out now; a hand is its own decision. Or Refused."""
    if not incident.plan:
        raise Refused("incident %s has no plan; analyze it first" % incident.id)
    runbook = plans.reload(incident.plan)
    if run_id:
        plan_hash = plans.hash_of(incident.plan)
        was_decided = (
            incident.strategy == strategy.AUTOMATED and
            (incident.analysis or {}).get(DECIDED_PLAN) == plan_hash
        )
        if not was_decided and not approval.is_approved(ctx.store, incident, plan_hash):
            raise Refused("this plan was neither decided to be automated nor approved by a person")
    lacking = values.missing(runbook, incident)
    if lacking:
        raise Refused(
            "runbook %s needs %s, which this incident does not have"
            % (runbook.name, ", ".join(lacking))
        )
    return runbook


def _refused(
    ctx: Context, incident: Incident, run_id: str, reason: str, note: Note
) -> Dict[str, Any]:
    execution_id = journal.begin(
        ctx.store,
        incident.id,
        run_id,
        incident.plan or {},
        journal.REFUSED,
        outcome={"outcome": journal.REFUSED, "reason": reason},
    )
    note("remediation_refused", "the plan is not carried out: %s" % reason, {})
    return _answer(incident, journal.REFUSED, reason, execution_id)


def _planned(
    ctx: Context, incident: Incident, run_id: str, runbook: Runbook, note: Note
) -> Dict[str, Any]:
    steps = [
        {
            "name": step.name,
            "kind": step.kind,
            "what": execute.in_words(step),
            "undo": step.undo is not None,
        }
        for step in runbook.steps
    ]
    variables = values.variables(runbook, incident, {})
    data = {
        "plan": incident.plan,
        "steps": steps,
        "values": variables,
        "verify": list(runbook.verify),
    }
    execution_id = journal.begin(
        ctx.store,
        incident.id,
        run_id,
        incident.plan or {},
        journal.PLANNED,
        is_dry=True,
        outcome=dict(data, outcome=journal.PLANNED),
    )
    note(
        "remediation_planned",
        "dry run: runbook %s would do %s on %s; nothing was touched"
        % (runbook.name, counted(len(steps), "step"), plans.scope_of(incident)),
        data,
    )
    answer = _answer(incident, journal.PLANNED, "dry run", execution_id)
    return dict(
        answer,
        steps=[{"name": step["name"], "status": "planned", "seconds": 0.0} for step in steps],
    )


def _on_target(
    ctx: Context,
    incident: Incident,
    run_id: str,
    runbook: Runbook,
    timeout_s: float,
    is_ending: Callable[[], str],
) -> Dict[str, Any]:
    plan = incident.plan or {}
    note = _note(ctx, incident.id, run_id)
    enter(ctx, incident, run_id, model.REMEDIATING)
    target = "target:%s" % plan.get("scope")
    execution_id = journal.begin(ctx.store, incident.id, run_id, plan)
    ended: Optional[Execution] = None
    try:
        reason = _wait_for_target(ctx, target, execution_id, claim_s(ctx, timeout_s), is_ending)
        if reason:
            ended = Execution(journal.REFUSED, reason, ())
        else:
            note(
                "remediation_started",
                "runbook %s begins on %s (%s)" % (runbook.name, plan.get("scope"), runbook.risk),
                {"execution_id": execution_id, "timeout_s": timeout_s},
            )
            stopper = _stopper(ctx, incident, run_id, is_ending)
            job = Job(runbook, incident, execution_id, timeout_s, stopper, is_ending, note)
            ended = execute.carry_out(ctx, job)
    finally:
        if ended is None:
            ended = Execution(journal.FAILED, "it broke off by an error of its own", ())
        with ctx.store.transaction():  # a kill leaves the execution running, or all of it done
            _write_outcome(ctx, incident, execution_id, ended, note)
            locks.release(ctx.store, target, execution_id)
    outcome = journal.FAILED if ended.outcome == journal.INTERRUPTED else ended.outcome
    answer = _answer(incident, outcome, ended.reason, execution_id)
    return dict(
        answer,
        steps=[
            {"name": step.name, "status": step.status, "seconds": round(step.seconds, 3)}
            for step in ended.steps
        ],
    )


def _wait_for_target(
    ctx: Context, target: str, owner: str, ttl_s: float, is_ending: Callable[[], str]
) -> str:
    """Take the lock of the target; why not, or empty."""
    give_up = ctx.clock.monotonic() + TARGET_WAIT_S
    while not locks.acquire(ctx.store, target, owner, ttl_s):
        if is_ending():
            return "this process was told to end"
        if ctx.clock.monotonic() >= give_up:
            return "another remedy (%s) is at work on %s" % (
                locks.holder(ctx.store, target),
                target,
            )
        ctx.clock.sleep(_LOOK_S)
    return ""


def _stopper(
    ctx: Context, incident: Incident, run_id: str, is_ending: Callable[[], str]
) -> Callable[[], str]:
    def should_stop() -> str:
        if is_ending():
            return journal.INTERRUPTED
        now = registry.get(ctx.store, incident.id)
        if _over(now):
            return journal.CLEARED
        holder = locks.holder(ctx.store, registry.lock_name(incident.id))
        if run_id and holder not in (run_id, None):
            return "another response has taken over"
        return ""

    return should_stop


def _write_outcome(
    ctx: Context, incident: Incident, execution_id: str, ended: Execution, note: Note
) -> None:
    secrets = tuple(ctx.config.secrets())
    outcome = {
        "outcome": ended.outcome,
        "reason": ended.reason,
        "steps": [step.as_dict(secrets) for step in ended.steps],
    }
    is_news = journal.finish(ctx.store, execution_id, ended.outcome, outcome)
    if is_news and ended.outcome == journal.FAILED:
        solutions.record(ctx.store, incident, incident.plan or {}, helped=False, before=None)
    if ended.outcome == journal.CLEARED:
        journal.keep(ctx.store, "execution_id", execution_id)  # all is well as things are now
    note(
        "remediation_finished",
        "%s: %s" % (ended.outcome, ended.reason),
        {
            "execution_id": execution_id,
            "outcome": ended.outcome,
            "steps": [
                {"name": step.name, "status": step.status, "seconds": round(step.seconds, 3)}
                for step in ended.steps
            ],
        },
    )
    ctx.log.info("remediation of %s ended: %s", incident.id, ended.outcome)


def _answer(
    incident: Incident, outcome: str, reason: str, execution_id: str = ""
) -> Dict[str, Any]:
    steps: List[Dict[str, Any]] = []
    return {
        "outcome": outcome,
        "remedy": str((incident.plan or {}).get("runbook", "")),
        "steps": steps,
        "execution_id": execution_id,
        "reason": reason,
    }


def _note(ctx: Context, incident_id: str, run_id: str) -> Note:
    def note(kind: str, message: str, data: Dict[str, Any]) -> None:
        timeline.record(ctx.store, incident_id, kind, message, data or None, run_id or None)

    return note


@contextmanager
def _told_to_end() -> Iterator[Callable[[], str]]:
    """While inside, SIGTERM only asks for the end: the answer turns to `interrupted`."""
    asked: List[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.append(journal.INTERRUPTED))
    try:
        yield lambda: asked[0] if asked else ""
    finally:
        signal.signal(signal.SIGTERM, before)

"""Carry out the plan, or take back what was carried out.

Only the plan that was decided or approved is carried out, on a target that no other remedy works
on. The outcome is written whatever happens; what a killed process could not write, the next one
that comes here does.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from selfheal.decide import strategy
from selfheal.exceptions import Conflict, Refused
from selfheal.guard import command_check
from selfheal.incidents import registry
from selfheal.remedy import catalogue, journal, recovery, values
from selfheal.remedy import plan as plans
from selfheal.remedy import undo as undoing
from selfheal.remedy.execute import Note
from selfheal.remedy.model import Runbook
from selfheal.respond import approval, carrying, deeds, rehearsal, targets
from selfheal.respond.approval import people
from selfheal.respond.decided import DECIDED_PLAN
from selfheal.respond.holding import held
from selfheal.respond.targets import TARGET_WAIT_S
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident


def remediate(
    ctx: Context, incident_id: str, run_id: str = "", dry_run: bool = False
) -> Dict[str, Any]:
    """Carry out the incident's plan; with `dry_run` (or on an incident of that kind) only write
    down what would be done.

    Returns {"outcome": done|cleared|refused|planned|failed, "remedy", "steps": [{"name", "status",
    "seconds"}], "execution_id", "reason"}. Raises NotFound, Conflict (another response, or a
    remediation that still runs), StoreError.
    """
    return _carried_out(ctx, incident_id, run_id, dry_run)


def remediate_by(
    ctx: Context, incident_id: str, choose: Callable[[Incident], None]
) -> Dict[str, Any]:
    """As `remediate` by hand, with the plan that `choose` writes into the incident's row while the
    incident is held: no other plan can come between.
    """
    return _carried_out(ctx, incident_id, "", False, choose)


def _carried_out(
    ctx: Context,
    incident_id: str,
    run_id: str,
    dry_run: bool,
    choose: Callable[[Incident], None] = lambda incident: None,
) -> Dict[str, Any]:
    incident = registry.get(ctx.store, incident_id)
    limit_s = ctx.config.number("resolver.timeout")
    # The same remedy of another incident is waited for as long as it may take.
    waits_s = max(TARGET_WAIT_S, limit_s)
    longest_s = waits_s + limit_s + undoing.longest_s(ctx.store, incident_id) + TARGET_WAIT_S
    with held(ctx, incident, run_id, longest_s), _told_to_end() as is_ending:
        note = carrying.note_for(ctx, incident_id, run_id)
        is_dry = dry_run or incident.dry_run
        trouble = "" if is_dry else _recover(ctx, incident, run_id, note, is_ending)
        incident = registry.get(ctx.store, incident_id)
        reason = carrying.over(incident)
        if reason and not trouble:  # a failed undo is told although the signal is gone
            note("remediation_cleared", "nothing was done: %s" % reason, {})
            return carrying.answer(incident, journal.CLEARED, reason)
        if not trouble:
            choose(incident)
            incident = registry.get(ctx.store, incident_id)
        try:
            if trouble:
                raise Refused(trouble)
            runbook, is_approved = _permitted(ctx, incident, run_id, is_dry)
            judged = command_check.judge(ctx.config, runbook)
            if is_dry:
                return rehearsal.planned(ctx, incident, run_id, runbook, judged)
            task = _task(ctx, incident, run_id, runbook, judged, is_approved, is_ending)
        except Refused as error:
            refused = rehearsal.refused if is_dry else carrying.refused
            return refused(ctx, incident, run_id, str(error))
        return carrying.carry_out(ctx, task)


def _task(
    ctx: Context,
    incident: Incident,
    run_id: str,
    runbook: Runbook,
    judged: command_check.Judged,
    is_approved: bool,
    is_ending: Callable[[], str],
) -> carrying.Task:
    """What is to be carried out: the runbook with the words that the command policy gave back."""
    limit_s = ctx.config.number("resolver.timeout")
    changed = command_check.changed_since(incident.plan or {}, judged)
    objections = (*judged.objections, *((changed,) if changed else ()))
    return carrying.Task(
        incident,
        run_id,
        # With an objection the gate refuses it; should it ever not, there is nothing to run.
        replace(runbook, steps=()) if objections else command_check.rebuilt(runbook, judged),
        min(runbook.timeout_s or limit_s, limit_s),
        is_ending,
        objections,
        is_approved,
        _use_yes(ctx, incident) if is_approved else lambda execution_id: "",
    )


def undo_remediation(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Take back what the incident's remedies did and the signal did not prove, the last step first.

    Returns {"outcome": undone|nothing|partly, "undone", "failed"}. Raises NotFound, StoreError, and
    Conflict while another response holds the incident, a remediation of it still runs, or another
    remedy is at work on its target and does not end.
    """
    return _taken_back(ctx, incident_id, run_id)


def undo_half_done(ctx: Context, incident_id: str) -> str:
    """Take back what remediations of the incident left half done and no living response will; how
    that ended, see `undo_remediation`. Raises NotFound, Conflict, StoreError as that does.
    """
    deeds.interrupted(ctx, incident_id)
    if not journal.half_done(ctx.store, incident_id):
        return undoing.NOTHING
    return str(_taken_back(ctx, incident_id, "", is_half_done=True)["outcome"])


def _taken_back(
    ctx: Context, incident_id: str, run_id: str, is_half_done: bool = False
) -> Dict[str, Any]:
    incident = registry.get(ctx.store, incident_id)
    waits_s = 0.0 if is_half_done else TARGET_WAIT_S  # housekeeping comes again
    if run_id:
        waits_s = max(TARGET_WAIT_S, ctx.config.number("resolver.timeout"))
    longest_s = waits_s + undoing.longest_s(ctx.store, incident_id)
    with held(ctx, incident, run_id, longest_s), _told_to_end() as is_ending:
        note = carrying.note_for(ctx, incident_id, run_id)
        deeds.interrupted(ctx, incident_id, run_id)
        recovery.refuse_beside_living(ctx.store, incident_id)
        left = journal.half_done(ctx.store, incident_id) if is_half_done else []
        result = undoing.Undoing(0, 0)
        if left or not is_half_done:
            result = _undone(ctx, incident, note, left, is_ending, waits_s)
        words = {
            undoing.NOTHING: "there was nothing to undo",
            undoing.UNDONE: "undone: %s" % counted(result.undone, "step"),
            undoing.PARTLY: "undone: %s; could NOT be undone: %s"
            % (counted(result.undone, "step"), counted(result.failed, "step")),
        }[result.outcome]
        note("undo_finished", words, {"undone": result.undone, "failed": result.failed})
    return {"outcome": result.outcome, "undone": result.undone, "failed": result.failed}


def _undone(
    ctx: Context,
    incident: Incident,
    note: Note,
    executions: Sequence[str],
    is_ending: Callable[[], str],
    waits_s: float,
) -> undoing.Undoing:
    """Undo what is owed (only by `executions`, if given) while no remedy is at work on its targets.
    Raises Conflict when one is, for longer than `waits_s` seconds.
    """
    owed = journal.owed_undos(ctx.store, incident.id, executions)
    names = {
        name
        for execution_id in {str(row["execution_id"]) for row in owed}
        for name in targets.lock_names(ctx, deeds.done_as(ctx.store, incident, execution_id))
    }
    ttl_s = TARGET_WAIT_S + undoing.longest_s(ctx.store, incident.id)
    with targets.alone(ctx, sorted(names), ttl_s, waits_s, is_ending):
        return undoing.undo(
            ctx, incident.id, note, executions, is_ending, carrying.undo_permit(ctx)
        )


def _recover(
    ctx: Context, incident: Incident, run_id: str, note: Note, is_ending: Callable[[], str]
) -> str:
    """Take back what earlier remediations left half done; why that did not work, or empty."""
    deeds.interrupted(ctx, incident.id, run_id)
    recovery.refuse_beside_living(ctx.store, incident.id)
    left = journal.half_done(ctx.store, incident.id)
    if left:
        note(
            "remediation_interrupted",
            "an earlier remediation was left half done; it is undone first",
            {"executions": left},
        )
        try:
            result = _undone(ctx, incident, note, left, is_ending, TARGET_WAIT_S)
        except Conflict as error:
            return str(error)
        if result.failed:
            return (
                "%s of an earlier remediation could not be undone, and nothing else is done before "
                "that is; mend what stood in its way (heal timeline %s) and run st2 run "
                "selfheal.undo_remediation incident_id=%s" %
                (counted(result.failed, "step"), incident.id, incident.id)
            )
    journal.keep(ctx.store, "incident_id", incident.id)  # done then, and never disproven
    return ""


def _permitted(
    ctx: Context, incident: Incident, run_id: str, is_dry: bool
) -> Tuple[Runbook, bool]:
    """The planned runbook, if it may be carried out now, and whether it stands on a person's yes; a
    hand is its own decision, except where only named people may decide. Or Refused.
    """
    if not incident.plan:
        raise Refused(
            "incident %s has no plan; analyze it first: st2 run "
            "selfheal.analyze_incident incident_id=%s"
            % (incident.id, incident.id)
        )
    runbook = plans.reload(incident.plan)
    is_own = incident.plan.get("remedy") == plans.KUBERNETES  # no file stands behind it
    if not is_own and not catalogue.is_searched(ctx.config, os.path.dirname(runbook.path)):
        raise Refused(
            "the planned runbook %s lies in none of the directories of resolver.runbook_paths; "
            "analyze the incident again" % runbook.path
        )
    needs_yes = not _was_decided(incident) if run_id else is_for_approvers(ctx, incident.plan)
    if needs_yes and (run_id or not is_dry):
        refusal = approval.refusal(ctx.store, incident, plans.hash_of(incident.plan))
        if refusal and run_id:
            raise Refused(
                "this plan was neither decided to be automated nor approved by a person: %s"
                % refusal
            )
        if refusal:
            raise Refused(
                "a plan that is %s, or that a person must see, is carried out by hand only after "
                "one of safety.approvers said yes: %s; or ask with st2 run "
                "selfheal.request_approval incident_id=%s"
                % (incident.plan.get("risk"), refusal, incident.id)
            )
    lacking = values.missing(runbook, incident)
    if lacking:
        raise Refused(values.lacks(runbook, lacking))
    if values.digest(runbook, incident) != incident.plan.get("values"):
        raise Refused(
            "the values that runbook %s is given have changed since it was decided on; analyze the "
            "incident again" % runbook.name
        )
    return runbook, needs_yes


def is_for_approvers(ctx: Context, plan: Mapping[str, Any]) -> bool:
    """Whether not even a hand carries out `plan` without a yes: some are named whose yes counts,
    and by its words, not by doubts about the diagnosis, it is one to be asked about.
    """
    free = strategy.HARMLESS if ctx.config.get("resolver.safe_mode") else strategy.RISKS[:3]
    is_free = plan.get("risk") in free and not plan.get("asks")
    return not is_free and bool(people.approvers(ctx.config))


def _was_decided(incident: Incident) -> bool:
    """Whether this very plan was decided to be carried out without asking."""
    return (
        incident.strategy == strategy.AUTOMATED and
        (incident.analysis or {}).get(DECIDED_PLAN) == plans.hash_of(incident.plan or {})
    )


def _use_yes(ctx: Context, incident: Incident) -> Callable[[str], str]:
    """What takes the yes that the plan stands on; it is good for one execution."""

    def use(execution_id: str) -> str:
        plan_hash = plans.hash_of(incident.plan or {})
        if approval.use(ctx.store, incident, plan_hash, execution_id):
            return ""
        return approval.refusal(ctx.store, incident, plan_hash) or "its approval is used up"

    return use


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

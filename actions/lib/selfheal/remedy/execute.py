"""Carrying out a runbook, step by step, so that whatever happens it is known what was done and how
to take it back.

The record that a step could be undone is committed before the step begins. Between steps and in
waits it is asked whether to go on; the runbook's time ends all of it. Writing the outcome is the
caller's: see `carry_out`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple

from selfheal.exceptions import Refused
from selfheal.records import dataclass
from selfheal.remedy import journal, steps, values
from selfheal.remedy.model import ApiCall, Command, KubernetesAct, Runbook, Step
from selfheal.remedy.steps import StepResult, Surroundings
from selfheal.text import scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

Note = Callable[[str, str, Dict[str, Any]], None]
_DEFAULT_UNDO_S = 60.0


@dataclass(frozen=True)
class Execution:
    """How it went: done, failed, refused (its first step is not for this one, and nothing was
    changed), cleared (the signal went away), interrupted; why; and each step that was begun.
    """

    outcome: str
    reason: str
    steps: Tuple[StepResult, ...]

    @property
    def undo_now(self) -> bool:
        """Whether things are worse than before, or half done, so that waiting would not help."""
        return any(step.fields.get("undo") == "now" for step in self.steps)


@dataclass(frozen=True)
class Job:
    """One runbook for one incident. `note(kind, message, data)` writes the timeline; see
    Surroundings for the others.
    """

    runbook: Runbook
    incident: Incident
    execution_id: str
    timeout_s: float
    should_stop: Callable[[], str]
    is_ending: Callable[[], str]
    note: Note


def carry_out(ctx: Context, job: Job) -> Execution:
    """Do the steps of `job` in order. Raises only for what makes going on pointless (the store is
    gone).
    """
    deadline = ctx.clock.monotonic() + job.timeout_s
    results: List[StepResult] = []
    fields: Dict[str, Dict[str, str]] = {}
    for step in job.runbook.steps:
        reason = job.should_stop()
        if reason:
            return Execution(
                _outcome_of(reason),
                "%s before the step %s" % (_words_of(reason), step.name),
                tuple(results),
            )
        if ctx.clock.monotonic() >= deadline:
            return Execution(
                journal.FAILED,
                "its time of %g s was over before the step %s" % (job.timeout_s, step.name),
                tuple(results),
            )
        result = _one(ctx, job, step, deadline, fields)
        results.append(result)
        fields[step.name] = result.fields
        job.note(
            "remediation_step",
            "step %s: %s (%s)" % (step.name, result.status, result.detail),
            result.as_dict(tuple(ctx.config.secrets())),
        )
        if result.stops:
            return Execution(
                _outcome_of(result.stops),
                "step %s: %s" % (step.name, result.detail),
                tuple(results),
            )
        if result.status in (steps.FAILED, steps.REFUSED):
            is_first = result.status == steps.REFUSED and not _has_changed(job, results[:-1])
            return Execution(
                journal.REFUSED if is_first else journal.FAILED,
                "step %s: %s" % (step.name, result.detail),
                tuple(results),
            )
    return Execution(journal.DONE, "all steps are done", tuple(results))


def _has_changed(job: Job, results: List[StepResult]) -> bool:
    """Whether one of the steps that were done may have changed anything."""
    done = {result.name for result in results}
    acts = [step.act for step in job.runbook.steps if step.name in done]
    return any(isinstance(act, (Command, ApiCall, KubernetesAct)) for act in acts)


def _one(
    ctx: Context, job: Job, step: Step, deadline: float, fields: Dict[str, Dict[str, str]]
) -> StepResult:
    started = ctx.clock.monotonic()
    try:
        variables = values.variables(job.runbook, job.incident, fields)
    except Refused as error:
        return StepResult(step.name, step.kind, steps.FAILED, 0.0, str(error))
    variables = dict(
        variables, SELFHEAL_INCIDENT_ID=job.incident.id, SELFHEAL_EXECUTION_ID=job.execution_id
    )
    record = _Record(ctx, job, step.name, scrub(fields, ctx.config.secrets()))
    around = Surroundings(
        ctx,
        variables,
        os.path.dirname(job.runbook.path) or None,
        deadline,
        job.should_stop,
        job.is_ending,
        job.incident,
        record.write,
    )
    if step.undo is not None:
        action = describe(step.undo.act, step.undo.timeout_s or step.timeout_s or _DEFAULT_UNDO_S)
        action.update(variables=variables, cwd=os.path.dirname(job.runbook.path))
        record.write(action)
    result = steps.carry_out(
        step, around, dict(fields, **{"": _referred(step, job.incident, fields)})
    )
    record.close()
    ctx.log.info(
        "step %s: %s after %.2f s", step.name, result.status, ctx.clock.monotonic() - started
    )
    return result


def _referred(step: Step, incident: Incident, fields: Dict[str, Dict[str, str]]) -> Dict[str, str]:
    reference = getattr(step.act, "value", None)
    found = None if reference is None else values.resolve(reference, incident, fields)
    return {} if found is None else {str(reference): found}


class _Record:
    """How one step is taken back, as it is written before the step is done."""

    def __init__(self, ctx: Context, job: Job, step: str, before: Dict[str, Any]) -> None:
        self._ctx, self._job, self._step, self._before = ctx, job, step, before
        self._undo_id = ""
        self._is_owed = False

    def write(self, action: Optional[Mapping[str, Any]]) -> None:
        """Commit that the step is taken back by `action`; None when nothing is owed after all."""
        store = self._ctx.store
        if action is None:
            if self._undo_id:
                journal.mark_undo(store, self._undo_id, journal.KEPT)
        elif self._undo_id:
            journal.rewrite_undo(store, self._undo_id, action)
        else:
            incident_id, execution_id = self._job.incident.id, self._job.execution_id
            self._undo_id = journal.record_undo(
                store, incident_id, execution_id, self._step, action, self._before
            )
        self._is_owed = action is not None

    def close(self) -> None:
        """The step is over."""
        if self._is_owed:
            journal.mark_undo(self._ctx.store, self._undo_id, journal.PENDING)


def describe(act: Any, timeout_s: float) -> Dict[str, Any]:
    """A command or API call as plain JSON, complete: an undo needs no runbook file. What takes a
    change in Kubernetes back is worked out by `remedy.kubernetes.acting`.
    """
    if isinstance(act, Command):
        return {
            "kind": "command",
            "argv": list(act.argv),
            "script": act.script,
            "interpreter": list(act.interpreter),
            "files": [list(pair) for pair in act.files],
            "timeout_s": timeout_s,
        }
    assert isinstance(act, ApiCall)
    return {
        "kind": "api_call",
        "method": act.method,
        "url": act.url,
        "json": act.json,
        "headers": [list(pair) for pair in act.headers],
        "expect_status": list(act.expect_status),
        "timeout_s": timeout_s,
    }


def _outcome_of(reason: str) -> str:
    return (
        reason if reason in (journal.DONE, journal.CLEARED, journal.INTERRUPTED) else journal.FAILED
    )


def _words_of(reason: str) -> str:
    return {
        journal.CLEARED: "the alert went away",
        journal.INTERRUPTED: "this process was told to end",
    }.get(reason, reason)

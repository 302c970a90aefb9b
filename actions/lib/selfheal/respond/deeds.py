"""What the guards are asked about: the incident's plan as a deed, and what came of asking on the
incident's timeline.

The gate knows nothing of incidents; this puts the two together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import NotFound, Refused, SelfhealError
from selfheal.guard import gate
from selfheal.guard.verdict import Deed, Objection
from selfheal.incidents import registry, timeline
from selfheal.remedy import journal, recovery
from selfheal.remedy import plan as plans
from selfheal.remedy.model import KubernetesAct

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.remedy.execute import Note
    from selfheal.remedy.model import Runbook
    from selfheal.store import Store

ALLOWED = "guard_allowed"
REFUSED = "guard_refused"


def deed_of(
    incident: Incident,
    plan: Mapping[str, Any],
    execution_id: str,
    *,
    is_by_hand: bool = False,
    is_approved: bool = False,
    runbook: Optional[Runbook] = None,
) -> Deed:
    """The deed of carrying out `plan` for `incident` as `execution_id`. A risk that is none counts
    as destructive. `runbook` is what the plan names, where it is about to be done.
    """
    return Deed(
        execution_id=execution_id,
        incident_id=incident.id,
        group_key=incident.group_key,
        remedy="%s:%s" % (plan.get("remedy"), plan.get("runbook")),
        risk=str(plan.get("risk") or "destructive"),
        scope=str(plan.get("scope") or plans.scope_of(incident)),
        cluster=incident.cluster or "",
        namespace=incident.namespace or "",
        alert_type=incident.alert_type,
        severity=incident.severity,
        labels=incident.labels,
        is_by_hand=is_by_hand,
        is_approved=is_approved,
        workload=incident.workload or "",
        operations=_operations(runbook),
    )


def _operations(runbook: Optional[Runbook]) -> Tuple[KubernetesAct, ...]:
    """What is changed in Kubernetes: by the steps themselves, not by what a plan says of them."""
    acts = [step.act for step in runbook.steps] if runbook else []
    return tuple(act for act in acts if isinstance(act, KubernetesAct))


def done_as(store: Store, incident: Incident, execution_id: str) -> Deed:
    """The deed that was done as `execution_id`, by what was recorded of it."""
    plan = journal.plan_of(store, execution_id) or {}
    try:
        operations = plans.operations_of(plan)
    except Refused:
        operations = ()
    return replace(deed_of(incident, plan, execution_id), operations=operations)


def imagined(incident: Incident, plan: Mapping[str, Any], runbook: Runbook) -> Deed:
    """The deed that the plan would be if it began now; it is never done under this name."""
    return deed_of(incident, plan, "plan:%s" % incident.id, runbook=runbook)


def enter(
    ctx: Context, deed: Deed, commands: Sequence[Objection], note: Note
) -> Optional[Objection]:
    """Ask the gate for `deed` and write its answer on the timeline. Raises StoreError when that
    cannot be written: then nothing may be done either.
    """
    objection = gate.enter(ctx, deed, commands)
    if objection is not None:
        note(REFUSED, "%s: %s" % (objection.rule, objection), in_data(deed, [objection]))
        return objection
    asked = [name for name, _ in gate.GUARDS] + ["command"]
    note(ALLOWED, "no guard objects to %s on %s" % (deed.remedy, deed.scope), {
        "execution_id": deed.execution_id,
        "remedy": deed.remedy,
        "scope": deed.scope,
        "risk": deed.risk,
        "asked": asked,
        "by_hand": deed.is_by_hand,
        "approved": deed.is_approved,
    })
    return None


def leave(
    ctx: Context,
    deed: Deed,
    is_good: Optional[bool],
    seconds: Optional[float],
    note: Note,
) -> None:
    """Tell the breaker how the deed ended. What it cannot take is logged: the deed is over either
    way, and a probe that nobody settles expires.
    """
    try:
        for words in gate.leave(ctx, deed, is_good, seconds):
            note("breaker_changed", words, {"execution_id": deed.execution_id})
    except SelfhealError as error:
        ctx.log.error("the breaker of %s was not told its end: %s", deed.remedy, error)


def interrupted(ctx: Context, incident_id: str, run_id: str = "") -> List[str]:
    """Give the incident's executions whose process died their outcome, and count them as failures
    of their remedy; their ids. Raises StoreError.
    """
    marked = recovery.interrupted(ctx.store, incident_id, run_id)
    settle_dead(ctx, incident_id, marked)
    return marked


def settle_dead(ctx: Context, incident_id: str, executions: Sequence[str]) -> None:
    """Count dead executions as failures of their remedy, where they had begun."""
    if not executions:
        return
    try:
        incident = registry.get(ctx.store, incident_id)
    except NotFound:
        return  # its incident was swept; the probe expires

    def note(kind: str, message: str, data: Dict[str, Any]) -> None:
        timeline.record(ctx.store, incident_id, kind, message, data)

    for execution_id in executions:
        plan = journal.plan_of(ctx.store, execution_id)
        deed = None if plan is None else deed_of(incident, plan, execution_id)
        if deed is not None and gate.was_entered(ctx, deed):
            leave(ctx, deed, False, None, note)


def in_data(deed: Deed, objections: Sequence[Objection]) -> Dict[str, Any]:
    """Objections as timeline, plan and outcome hold them, with all their numbers."""
    return {
        "execution_id": deed.execution_id,
        "remedy": deed.remedy,
        "scope": deed.scope,
        "risk": deed.risk,
        "objections": [as_dict(objection) for objection in objections],
    }


def as_dict(objection: Objection) -> Dict[str, Any]:
    """{"rule", "reason", "advice", "until", "data"}."""
    return {
        "rule": objection.rule,
        "reason": objection.reason,
        "advice": objection.advice,
        "until": objection.until,
        "data": dict(objection.data),
    }

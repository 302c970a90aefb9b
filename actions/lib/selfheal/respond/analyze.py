"""First step of a response: claim the incident, find out what is wrong and what could help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Optional

from selfheal.diagnose import analyze as diagnosis
from selfheal.exceptions import NotFound, Refused
from selfheal.guard import command_check
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import plan as plans
from selfheal.respond.holding import claim_s, held
from selfheal.respond.looking import look_closely

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

LONGEST_S = 120.0


def analyze_incident(
    ctx: Context, incident_id: str, run_id: str = "", dispatch: int = 0
) -> Dict[str, Any]:
    """Claim the incident for `run_id` and write its analysis and plan; by hand it is analyzed
    without a claim.

    `dispatch` is the number in the trigger that started the run, so that a trigger delivered late
    or twice starts nothing (see registry.claim).

    Returns {"incident_id", "state": claimed|taken|cleared|closed|unknown, "severity", "alert_type",
    "has_plan", "runbook", "risk", "confidence"}. A response that a person starts for an id
    that is not there learns so and ends: nobody is called for a mistyped word. Raises NotFound
    otherwise (a dispatched incident is missing: two nodes with a SQLite file each?), StoreError,
    and Conflict by hand while a response is at work.
    """
    try:
        incident = registry.get(ctx.store, incident_id)
    except NotFound:
        if dispatch or not run_id:
            raise
        return {"incident_id": incident_id, "state": registry.UNKNOWN, "has_plan": False}
    if not run_id:
        if incident.status == model.RESOLVED:
            return _answer(incident, registry.CLOSED, None)
        with held(ctx, incident, "", LONGEST_S):
            return _analyzed(ctx, incident, "")
    state = registry.claim(ctx.store, incident_id, run_id, claim_s(ctx, LONGEST_S), dispatch)
    incident = registry.get(ctx.store, incident_id)
    if state == registry.CLAIMED:
        return _analyzed(ctx, incident, run_id)
    if state == registry.CLEARED:
        timeline.record(
            ctx.store,
            incident_id,
            "cleared",
            "the alert went away before anything was done",
            None,
            run_id,
            once="cleared:%s" % run_id,
        )
    return _answer(incident, state, incident.plan if state == registry.TAKEN else None)


def _analyzed(ctx: Context, incident: Incident, run_id: str) -> Dict[str, Any]:
    looked = look_closely(ctx, incident, run_id)
    if looked is not None:
        incident = registry.get(ctx.store, incident.id)  # its cause may be known better now
    analysis = diagnosis.analyze(ctx, incident, looked)
    if analysis.plan:
        analysis = replace(analysis, plan=_judged(ctx, analysis.plan))
    with ctx.store.transaction("incidents"):
        if registry.get(ctx.store, incident.id).status == model.RESOLVED:
            return _answer(incident, registry.CLOSED, None)
        registry.update(ctx.store, incident.id, analysis=analysis.as_dict(), plan=analysis.plan)
        timeline.record(
            ctx.store, incident.id, "analyzed", analysis.summary, analysis.as_dict(), run_id or None
        )
    if not analysis.is_gone:
        return _answer(incident, registry.CLAIMED, analysis.plan)
    timeline.record(
        ctx.store,
        incident.id,
        "cleared",
        "the alert is gone at its source; nothing is done",
        None,
        run_id or None,
    )
    return _answer(incident, registry.CLEARED, analysis.plan)


def _judged(ctx: Context, plan: Dict[str, Any]) -> Dict[str, Any]:
    """The plan with what the command policy says of it: its risk is the greater of the two."""
    try:
        runbook = plans.reload(plan)
    except Refused:
        return plan  # gone or changed since it was read a moment ago; remediate will not take it
    return command_check.in_plan(plan, command_check.judge(ctx.config, runbook))


def _answer(incident: Incident, state: str, plan: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    chosen = plan or {}
    return {
        "incident_id": incident.id,
        "state": state,
        "severity": incident.severity,
        "alert_type": incident.alert_type,
        "has_plan": bool(plan),
        "runbook": str(chosen.get("runbook", "")),
        "risk": str(chosen.get("risk", "")),
        "confidence": float(chosen.get("confidence", 0.0)),
    }

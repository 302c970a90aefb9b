"""What a plan would do, shown in full and not done: every step with the words that would be run,
how it would be undone, what would prove it, and what the guards say of it now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from selfheal.exceptions import Refused
from selfheal.guard import command_check, gate
from selfheal.guard.command_check import Judged
from selfheal.remedy import journal, values
from selfheal.remedy import plan as plans
from selfheal.remedy.model import Runbook
from selfheal.remedy.words import step_in_words
from selfheal.respond import carrying, deeds
from selfheal.respond.previews import in_words, previews
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

KIND = "remediation_planned"


def planned(
    ctx: Context, incident: Incident, run_id: str, runbook: Runbook, judged: Judged
) -> Dict[str, Any]:
    """Write down what would be done, as an execution and on the timeline; the answer of the action
    `remediate`.
    """
    data = shown(ctx, incident, runbook, judged, is_by_hand=not run_id)
    execution_id = journal.begin(
        ctx.store,
        incident.id,
        run_id,
        incident.plan or {},
        journal.PLANNED,
        is_dry=True,
        outcome=dict(data, outcome=journal.PLANNED),
    )
    carrying.note_for(ctx, incident.id, run_id)(KIND, _in_words(incident, runbook, data), data)
    steps = [
        {"name": step["name"], "status": "planned", "seconds": 0.0} for step in data["steps"]
    ]
    refusals = [_against(step["preview"]) for step in data["steps"] if "preview" in step]
    return dict(
        carrying.answer(incident, journal.PLANNED, "dry run", execution_id, steps),
        objections=[one["reason"] for one in data["objections"]] + list(filter(None, refusals)),
    )


def refused(ctx: Context, incident: Incident, run_id: str, reason: str) -> Dict[str, Any]:
    """Write down that the plan would be refused; the answer of the action. Nobody is called."""
    words = "dry run: the plan would be refused, and nothing was touched: %s" % reason
    carrying.note_for(ctx, incident.id, run_id)(KIND, words, {"refused": reason})
    return dict(carrying.answer(incident, journal.PLANNED, words), objections=[reason])


def note_plan(ctx: Context, incident: Incident, run_id: str) -> None:
    """Write on the timeline what the incident's plan would do, where a dry run goes no further."""
    try:
        runbook = plans.reload(incident.plan or {})
        judged = command_check.judge(ctx.config, runbook)
        data = shown(ctx, incident, runbook, judged, is_by_hand=not run_id)
    except Refused as error:
        note = carrying.note_for(ctx, incident.id, run_id)
        note(KIND, "dry run: the plan cannot be shown: %s; nothing was touched" % error, {})
        return
    carrying.note_for(ctx, incident.id, run_id)(KIND, _in_words(incident, runbook, data), data)


def shown(
    ctx: Context, incident: Incident, runbook: Runbook, judged: Judged, is_by_hand: bool = False
) -> Dict[str, Any]:
    """{"plan", "steps": [{"name", "kind", "what", "undo", "argv"..., "preview"}], "values",
    "verify", "objections"}. Raises Refused when a value lacks.
    """
    plan = incident.plan or {}
    deed = deeds.deed_of(
        incident, plan, "plan:%s" % incident.id, is_by_hand=is_by_hand, runbook=runbook
    )
    steps = [_step(step, judged, plan.get("undoable") or ()) for step in runbook.steps]
    seen = previews(ctx, incident, runbook)
    return {
        "plan": plan,
        "steps": [
            dict(step, preview=seen[step["name"]]) if step["name"] in seen else step
            for step in steps
        ],
        "values": values.variables(runbook, incident, {}),
        "verify": list(runbook.verify),
        "risk": judged.risk,
        "asks": list(judged.asks),
        "notes": list(judged.notes),
        "objections": [
            deeds.as_dict(one) for one in gate.look(ctx, deed, list(judged.objections))
        ],
    }


def _against(preview: Dict[str, str]) -> str:
    """What stands against a step in Kubernetes, or that its rehearsal failed; empty for nothing."""
    return preview.get("refused") or ("" if "now" in preview else in_words(preview))


def _step(step: Any, judged: Judged, undoable: Sequence[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "name": step.name,
        "kind": step.kind,
        "what": step_in_words(step),
        "undo": step.name in undoable,
    }
    for is_undo, prefix in ((False, ""), (True, "undo_")):
        one = _judged_of(judged, step.name, is_undo)
        if one is not None:
            found[prefix + "argv"] = one["argv"]
            found[prefix + "decision"] = one["decision"]
            found[prefix + "risk"] = one["risk"]
            if is_undo:
                found["undo_what"] = one["what"]
    return found


def _judged_of(judged: Judged, name: str, is_undo: bool) -> Optional[Dict[str, Any]]:
    for one in judged.steps:
        if one.step == name and one.is_undo == is_undo:
            return one.as_dict()
    return None


def _in_words(incident: Incident, runbook: Runbook, data: Dict[str, Any]) -> str:
    objections: List[Dict[str, Any]] = data["objections"]
    against = "".join(
        "; %s: %s" % (step["name"], in_words(step["preview"]))
        for step in data["steps"]
        if "preview" in step
    )
    against += "".join(
        "; the guard %s objects: %s; %s" % (one["rule"], one["reason"], one["advice"])
        for one in objections
    )
    return "dry run: runbook %s would do %s on %s; nothing was touched%s" % (
        runbook.name,
        counted(len(data["steps"]), "step"),
        plans.scope_of(incident),
        against,
    )

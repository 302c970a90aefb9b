"""Runbooks by hand: which there are, which fit an incident, and carrying out the one that a person
names.

A runbook that is named becomes the incident's plan, and from there it goes the road of every
remedy: policy, guards, locks, approvals, record. What went wrong is taken back at once; whether the
alert went away is left to the alert.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import catalogue, journal, match, values
from selfheal.remedy import plan as plans
from selfheal.remedy.words import step_in_words
from selfheal.respond.approval import people, refusal
from selfheal.respond.holding import held
from selfheal.text import one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.remedy.model import Runbook

LONGEST_S = 120.0  # some guards ask other systems
_MOST_STEPS = 6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


def runbook_list(ctx: Context, incident_id: str = "") -> Dict[str, Any]:
    """All runbooks in order of search, and with an incident whether each fits it.

    Returns {"incident_id", "runbooks": [{"name", "description", "risk", "confidence",
    "alert_types", "steps", "path", "fits" (None without an incident), "objection"}],
    "count", "broken": [{"path", "error"}]}; those that fit come first. Raises NotFound,
    ConfigError.
    """
    incident = None if incident_id in ("", None) else registry.get(ctx.store, incident_id)
    known = catalogue.load(catalogue.search_paths(ctx.config))
    rows = [_line(ctx, one, incident) for one in known.runbooks]
    if incident is not None:
        rows.sort(key=lambda row: not row["fits"])
    return {
        "incident_id": incident_id,
        "runbooks": rows,
        "count": len(rows),
        "broken": [
            {"path": one.path, "error": one_line(one.error, 300)} for one in known.broken
        ],
    }


def run_runbook(
    ctx: Context,
    name: str,
    incident_id: str,
    dry_run: bool = False,
    anyway: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Carry out the runbook `name` for an incident, or with `dry_run` only write down what it would
    do. One that is for other alerts, severities or labels is refused unless `anyway`.

    Returns {"incident_id", "runbook", "on", "risk", "outcome": done|failed|refused|cleared|planned|
    awaiting_approval, "reason", "what" (its steps in words), "steps", "execution_id", "objections",
    "undone": ""|undone|partly, "undo_with", "approval_id", "summary"}. Raises NotFound (naming the
    nearest runbook), Refused (not for this incident, closed), and Conflict, StoreError as
    `remediate` does.
    """
    incident = _not_closed(ctx, incident_id)
    runbook = _named(ctx, name)
    note = _objection(ctx, runbook, incident, anyway)
    # From here on with all that acts: dear to import, and no list needs it.
    from selfheal.guard import command_check
    from selfheal.respond import by_hand, rehearsal
    from selfheal.respond.remediate import is_for_approvers, remediate_by

    judged = command_check.judge(ctx.config, runbook)
    plan = command_check.in_plan(plans.build(runbook, incident, runbook.confidence), judged)
    answer = _begun(ctx, incident_id, runbook, plan)

    def choose(present: Incident) -> None:
        _choose(ctx, present, plan, who, note)

    if dry_run:
        planned = replace(incident, plan=plan)
        with held(ctx, incident, "", LONGEST_S):
            answer.update(rehearsal.planned(ctx, planned, "", runbook, judged))
        return _summed(answer)
    if is_for_approvers(ctx, plan):
        with held(ctx, incident, "", LONGEST_S):
            if refusal(ctx.store, incident, plans.hash_of(plan)):
                choose(registry.get(ctx.store, incident_id))
        waits = by_hand.asked(ctx, replace(incident, plan=plan))
        if waits is not None:
            return _summed(dict(answer, **waits))
    answer.update(remediate_by(ctx, incident_id, choose))
    return _summed(_settled(ctx, answer))


def _not_closed(ctx: Context, incident_id: str) -> Incident:
    incident = registry.get(ctx.store, incident_id)
    if incident.status == model.RESOLVED:
        raise Refused(
            "incident %s is closed, so nothing is done for it; heal timeline %s tells how it ended"
            % (incident_id, incident_id)
        )
    return incident


def _begun(
    ctx: Context, incident_id: str, runbook: Runbook, plan: Mapping[str, Any]
) -> Dict[str, Any]:
    """The answer as far as it is known before anything is done."""
    return {
        "incident_id": incident_id,
        "runbook": runbook.name,
        "on": str(plan["scope"]),
        "risk": str(plan["risk"]),
        "what": [_step(ctx, step) for step in runbook.steps],
        "objections": [],
        "undone": "",
        "undo_with": "",
        "approval_id": "",
    }


def _named(ctx: Context, name: str) -> Runbook:
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidInput(
            "name must be that of one runbook, such as start_failed_unit, not %s; heal runbooks "
            "lists those there are" % one_line(repr(name)[:200], 80)
        )
    known = catalogue.load(catalogue.search_paths(ctx.config)).runbooks
    for one in known:
        if one.name == name:
            return one
    import difflib

    near = difflib.get_close_matches(name, [one.name for one in known], 1, 0.6)
    raise NotFound(
        "there is no runbook %r%s; heal runbooks lists those there are"
        % (name, ", did you mean %s?" % near[0] if near else "")
    )


def _objection(ctx: Context, runbook: Runbook, incident: Incident, anyway: bool) -> str:
    """Why the runbook is not meant for the incident, when a person wants it all the same. Raises
    Refused when it cannot be carried out for it, or was not asked for so.
    """
    lacking = values.missing(runbook, incident)
    if lacking:
        raise Refused(values.lacks(runbook, lacking))
    if runbook.acts_in_kubernetes:
        if ctx.config.target_name("kubernetes", incident.cluster) is None:
            raise Refused(
                "runbook %s acts in Kubernetes, and kubernetes.url names no API for the cluster of "
                "%s; set it, or choose another: heal runbooks for %s"
                % (runbook.name, incident.id, incident.id)
            )
        if not values.workload_of(incident)["name"]:
            raise Refused(
                "runbook %s acts on a workload in Kubernetes, and %s names none; choose another: "
                "heal runbooks for %s" % (runbook.name, incident.id, incident.id)
            )
    found = match.objection_to(runbook, incident)
    if found and not anyway:
        raise Refused(
            "runbook %s is not meant for %s: %s; if it is right all the same: heal run %s for %s "
            "anyway=true" % (runbook.name, incident.id, found, runbook.name, incident.id)
        )
    return found


def _choose(
    ctx: Context, incident: Incident, plan: Dict[str, Any], who: str, note: str
) -> None:
    """Make `plan` the incident's, and write down whose choice it was."""
    if incident.plan and plans.hash_of(incident.plan) == plans.hash_of(plan):
        return
    words = "%s chose runbook %s by hand" % (people.shown(who), plan["runbook"])
    if note:
        words += ", although %s" % note
    with ctx.store.transaction("incidents"):
        registry.update(ctx.store, incident.id, plan=plan)
        timeline.record(
            ctx.store,
            incident.id,
            "runbook_chosen",
            words,
            {"who": people.shown(who), "plan": plan, "plan_before": incident.plan},
        )


def _settled(ctx: Context, answer: Dict[str, Any]) -> Dict[str, Any]:
    """Take back what went wrong; whatever could not be is told to on-call."""
    from selfheal.respond import by_hand, escalate

    incident_id, execution_id = answer["incident_id"], str(answer["execution_id"])
    if answer["outcome"] == journal.FAILED:
        answer["undone"] = by_hand.taken_back(ctx, incident_id, execution_id)
    if answer["undone"] == "partly":
        escalate.escalate_to_oncall(ctx, incident_id, reason="undo_failed")
    if answer["outcome"] == journal.DONE and by_hand.owes(ctx, execution_id):
        answer["undo_with"] = "heal undo %s" % incident_id
    return answer


def _line(ctx: Context, runbook: Runbook, incident: Any) -> Dict[str, Any]:
    objection = ""
    if incident is not None:
        try:
            objection = _objection(ctx, runbook, incident, anyway=True)
        except Refused as error:
            objection = str(error)
    return {
        "name": runbook.name,
        "description": one_line(runbook.description, 300),
        "risk": runbook.risk,
        "confidence": runbook.confidence,
        "alert_types": list(runbook.alert_types),
        "steps": [_step(ctx, step) for step in runbook.steps],
        "path": runbook.path,
        "fits": None if incident is None else not objection,
        "objection": one_line(objection, 300),
    }


def _step(ctx: Context, step: Any) -> str:
    return one_line(str(scrub(step_in_words(step), ctx.config.secrets())), 200)


def _summed(answer: Dict[str, Any]) -> Dict[str, Any]:
    """The answer with one line for chat."""
    from selfheal.respond import by_hand

    words = {
        journal.DONE: "done: runbook %(runbook)s on %(on)s",
        journal.PLANNED: "dry run, nothing was touched; runbook %(runbook)s (%(risk)s) on %(on)s "
        "would %(told)s",
        model.AWAITING_APPROVAL: "not yet: %(reason)s",
        journal.CLEARED: "nothing was done: %(reason)s",
    }.get(str(answer["outcome"]), "%(outcome)s, runbook %(runbook)s on %(on)s: %(reason)s")
    steps: List[str] = list(answer["what"])
    told = "; then ".join(steps[:_MOST_STEPS])
    if len(steps) > _MOST_STEPS:
        told += "; and %d more" % (len(steps) - _MOST_STEPS)
    words %= dict(answer, told=told)
    words += by_hand.objections_and_undo(answer)
    answer.pop("remedy", None)
    return dict(answer, summary="%s (%s)" % (one_line(words, 1500), answer["incident_id"]))

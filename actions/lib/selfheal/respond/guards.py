"""What the guards say of an incident before it is decided: the facts that the strategy asks for.

Read only, and nothing is taken: the gate is asked again just before the first step.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.exceptions import ConfigError, Refused, StoreError
from selfheal.guard import command_check, gate, quiet, storm, tolls, windows
from selfheal.guard.verdict import Objection
from selfheal.records import dataclass
from selfheal.remedy import plan as plans
from selfheal.respond import deeds
from selfheal.respond.previews import previews
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.remedy.model import Runbook


@dataclass(frozen=True)
class Says:
    """What the guards say: `facts` for the strategy by the names of its fields, the objections in
    their own words, and why a person must see the plan.
    """

    facts: Dict[str, Any] = field(default_factory=dict)
    objections: Tuple[Objection, ...] = ()
    asks: Tuple[str, ...] = ()


def ask(ctx: Context, incident: Incident) -> Says:
    """Ask all guards about the incident, and about its plan where it has one. Raises StoreError
    only where the incident itself could not be read either.
    """
    facts: Dict[str, Any] = {
        "is_maintenance": windows.is_maintenance(ctx, incident) is not None,
        "is_frozen": windows.is_frozen(ctx, incident) is not None,
        "is_quiet": bool(quiet.is_quiet(ctx, incident.severity)),
    }
    if not incident.plan:
        found = _storm(ctx)
        facts["is_storm"] = found is not None
        return Says(facts, (found,) if found else ())
    objections, asks = _of_plan(ctx, incident)
    rules = {one.rule for one in objections}
    facts.update(
        is_paused="pause" in rules,
        is_denied=bool(rules & _DENYING),
        is_storm="storm" in rules,
        budget_ok="budget" not in rules,
        breaker_ok="breaker" not in rules,
        is_barred=bool(rules - _KNOWN),
        wait_s=_wait_s(ctx, objections),
    )
    return Says(facts, tuple(objections), asks)


# Rules that have a fact of their own; any other bars the deed.
_DENYING = {"command", tolls.TARGET}
_KNOWN = {"pause", "storm", "budget", "breaker", "wait", "window"} | _DENYING


def _of_plan(ctx: Context, incident: Incident) -> Tuple[List[Objection], Tuple[str, ...]]:
    plan = incident.plan or {}
    try:
        runbook = plans.reload(plan)
        judged = command_check.judge(ctx.config, runbook)
    except Refused as error:
        advice = "analyze the incident again; until then a person acts"
        return [Objection("plan", one_line(str(error), 500), advice)], ()
    objections = gate.look(ctx, deeds.imagined(incident, plan, runbook), judged.objections)
    return objections or _unfit(ctx, incident, runbook), judged.asks


def _unfit(ctx: Context, incident: Incident, runbook: Runbook) -> List[Objection]:
    """Why the first step, one in Kubernetes, is not for this target as it is now: better known at
    the decision than when a remedy is refused.
    """
    seen = previews(ctx, incident, replace(runbook, steps=runbook.steps[:1]))
    return [
        Objection(tolls.TARGET, one["refused"], tolls.ADVICE)
        for one in seen.values()
        if "refused" in one
    ]


def _storm(ctx: Context) -> Optional[Objection]:
    """The storm that goes on, for an incident without a plan: it is told with the others."""
    try:
        found = storm.current(ctx)
    except (StoreError, ConfigError) as error:
        ctx.log.warning("whether there is a storm is not known: %s", error)
        return None  # nothing is done without a plan; a person is told as ever
    if found is None:
        return None
    return Objection(
        "storm",
        "a storm of %d incidents goes on since %s" % (found.count, iso(found.began_at)),
        "look for what they have in common; safety.storm_incidents sets what counts as a storm",
        data={"storm_id": found.id, "count": found.count, "began_at": found.began_at},
    )


def _wait_s(ctx: Context, objections: List[Objection]) -> float:
    """Seconds until the remedy's next turn; 0 when it need not wait."""
    now = ctx.clock.now()
    ends = [
        float("inf") if one.until is None else one.until - now
        for one in objections
        if one.rule == "wait"
    ]
    return max(ends, default=0.0)

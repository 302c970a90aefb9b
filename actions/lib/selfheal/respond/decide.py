"""Second step of a response: decide what to do, and record why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Mapping

from selfheal.decide import strategy
from selfheal.exceptions import ConfigError, InvalidInput
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import plan as plans
from selfheal.respond import deeds, guards, rehearsal, waiting
from selfheal.respond.decided import DECIDED_PLAN, OBJECTIONS
from selfheal.respond.holding import held

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

LONGEST_S = 120.0  # some guards ask other systems


def determine_response_strategy(
    ctx: Context, incident_id: str, run_id: str = "", response_level: str = ""
) -> Dict[str, Any]:
    """Decide for the incident; `response_level` (info, auto, manual) overrides its own.

    Returns {"incident_id", "strategy": automated|approve|manual|escalate|ignore, "reasons", "risk",
    "confidence"}. Raises NotFound, ConfigError, InvalidInput, and Conflict when another response
    holds the incident.
    """
    if response_level and response_level not in model.RESPONSE_LEVELS:
        raise InvalidInput(
            "response_level must be one of %s, not %r"
            % (", ".join(model.RESPONSE_LEVELS), response_level[:40])
        )
    incident = registry.get(ctx.store, incident_id)
    with held(ctx, incident, run_id, LONGEST_S):
        says = guards.ask(ctx, incident)
        facts = facts_of(ctx.config, incident, says, response_level)
        decision = strategy.decide(facts)
        _record(ctx, incident, run_id, facts, decision, says)
        if incident.dry_run and incident.plan and decision.strategy != strategy.AUTOMATED:
            rehearsal.note_plan(ctx, incident, run_id)
    return {
        "incident_id": incident_id,
        "strategy": decision.strategy,
        "reasons": list(decision.reasons),
        "risk": facts.risk,
        "confidence": facts.confidence,
    }


def _record(
    ctx: Context,
    incident: Incident,
    run_id: str,
    facts: strategy.Facts,
    decision: strategy.Decision,
    says: guards.Says,
) -> None:
    """The decision, what it was decided for, and until when the incident waits, if it does."""
    reasons, objections = list(decision.reasons), [deeds.as_dict(one) for one in says.objections]
    analysis = dict(incident.analysis or {})
    analysis[DECIDED_PLAN] = plans.hash_of(incident.plan) if incident.plan else ""
    analysis[OBJECTIONS] = objections
    told = {
        "strategy": decision.strategy,
        "reasons": reasons,
        "risk": facts.risk,
        "confidence": facts.confidence,
        "autonomy": facts.autonomy,
        "objections": objections,
    }
    with ctx.store.transaction("incidents"):
        registry.update(
            ctx.store,
            incident.id,
            strategy=decision.strategy,
            reasons=reasons,
            analysis=analysis,
        )
        words = "%s: %s" % (decision.strategy, "; ".join(reasons))
        timeline.record(ctx.store, incident.id, "decided", words, told, run_id or None)
        if run_id and _is_to_wait(decision, facts):
            waiting.until(ctx.store, incident.id, ctx.store.now() + facts.wait_s)


def _is_to_wait(decision: strategy.Decision, facts: strategy.Facts) -> bool:
    return (
        decision.strategy == strategy.IGNORE and
        facts.wait_s > 0 and
        not facts.dry_run and
        strategy.decide(replace(facts, wait_s=0.0)).strategy != strategy.IGNORE
    )


def facts_of(
    config: Config, incident: Incident, says: guards.Says, response_level: str = ""
) -> strategy.Facts:
    """What the decision depends on, from the incident, the configuration and the guards. Raises
    ConfigError naming the key.
    """
    plan: Mapping[str, Any] = incident.plan or {}
    safe_mode = config.get("resolver.safe_mode")
    if not isinstance(safe_mode, bool):
        raise ConfigError("resolver.safe_mode must be true or false, not %r" % (safe_mode,))
    return strategy.Facts(
        severity=incident.severity,
        response_level=response_level or incident.response_level,
        autonomy=autonomy_of(config, incident.alert_type),
        safe_mode=safe_mode,
        dry_run=incident.dry_run,
        has_plan=bool(plan),
        risk=str(plan.get("risk", "")),
        confidence=_confidence(plan),
        min_confidence=config.number("resolver.min_confidence"),
        attempts=incident.attempts,
        max_retries=int(config.number("resolver.max_retries")),
        is_cleared=incident.is_cleared,
        asks=says.asks,
        objections=tuple("the guard %s: %s" % (one.rule, one) for one in says.objections),
        **says.facts,
    )


def _confidence(plan: Mapping[str, Any]) -> float:
    try:
        return float(plan.get("confidence", 0.0))
    except (TypeError, ValueError):
        return 0.0  # a plan that nobody here wrote


def autonomy_of(config: Config, alert_type: str) -> str:
    """The autonomy for alerts of that name. Raises ConfigError when it is none of the four."""
    by_type = config.get("safety.autonomy_by_type") or {}
    if not isinstance(by_type, Mapping):
        raise ConfigError(
            "safety.autonomy_by_type must be a map of alert name to autonomy, not %r" % (by_type,)
        )
    is_named = alert_type in by_type
    found = by_type[alert_type] if is_named else config.get("safety.autonomy")
    if found not in strategy.AUTONOMIES:
        raise ConfigError(
            "%s must be one of %s, not %r"
            % (
                "safety.autonomy_by_type.%s" % alert_type if is_named else "safety.autonomy",
                ", ".join(strategy.AUTONOMIES),
                found,
            )
        )
    return str(found)

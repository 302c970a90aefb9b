"""What to do about an incident, as a pure function: facts in, a strategy and the reasons for it
out.

The rules stand in order; the first that settles the matter ends it. Acting without asking is what
is left when no rule objects, and more risk never gives more of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Tuple

AUTOMATED = "automated"
APPROVE = "approve"
MANUAL = "manual"
ESCALATE = "escalate"
IGNORE = "ignore"
STRATEGIES = (AUTOMATED, APPROVE, MANUAL, ESCALATE, IGNORE)

AUTONOMIES = ("observe", "suggest", "approve", "auto")
RESPONSE_LEVELS = ("info", "auto", "manual")
HARMLESS = ("read-only", "reversible")
RISKS = (*HARMLESS, "disruptive", "destructive")

Verdict = Tuple[str, str]


@dataclass(frozen=True)
class Facts:
    """All that the decision depends on. `attempts` counts the response that is being decided.

    An unknown `risk` counts as destructive. The last four are for guards; their defaults object to
    nothing.
    """

    severity: str
    response_level: str
    autonomy: str
    safe_mode: bool
    dry_run: bool
    has_plan: bool
    risk: str
    confidence: float
    min_confidence: float
    attempts: int
    max_retries: int
    is_cleared: bool = False
    budget_ok: bool = True
    breaker_ok: bool = True
    is_frozen: bool = False
    environment: str = ""


@dataclass(frozen=True)
class Decision:
    """What to do, and why in plain words, in the order in which it was found."""

    strategy: str
    reasons: Tuple[str, ...]


def decide(facts: Facts) -> Decision:
    """The strategy for `facts`."""
    for rule in _SETTLING:
        verdict = rule(facts)
        if verdict is not None:
            return Decision(verdict[0], (verdict[1],))
    objections = [objection for objection in (rule(facts) for rule in _CAUTIONS) if objection]
    if not objections:
        return Decision(AUTOMATED, _why_automated(facts))
    if facts.dry_run:
        objections.append("it is a dry run, so nobody is asked and nothing is done")
        return Decision(IGNORE, tuple(objections))
    return Decision(APPROVE, (*objections, "so a person is asked first"))


def _cleared(facts: Facts) -> Optional[Verdict]:
    return (IGNORE, "the signal is gone already") if facts.is_cleared else None


def _level(facts: Facts) -> Optional[Verdict]:
    if facts.response_level == "info":
        return IGNORE, "the response level is info: record only"
    if facts.response_level == "manual":
        return MANUAL, "the response level is manual: a person does it, by a ticket"
    if facts.response_level != "auto":
        return MANUAL, "the response level is not one of %s: a person decides" % ", ".join(
            RESPONSE_LEVELS
        )
    return None


def _observing(facts: Facts) -> Optional[Verdict]:
    return (
        (IGNORE, "the autonomy for this alert is observe: record only")
        if facts.autonomy == "observe"
        else None
    )


def _worn_out(facts: Facts) -> Optional[Verdict]:
    if facts.attempts <= facts.max_retries:
        return None
    return (
        ESCALATE,
        "this is response %d and resolver.max_retries allows %d: a person must look"
        % (facts.attempts, facts.max_retries),
    )


def _planless(facts: Facts) -> Optional[Verdict]:
    if facts.has_plan:
        return None
    if facts.severity == "info":
        return IGNORE, "no runbook fits and the severity is info"
    if facts.severity == "warning":
        return MANUAL, "no runbook fits and the severity is warning: a ticket is enough"
    return ESCALATE, "no runbook fits and the severity is %s: a person must look now" % (
        facts.severity if facts.severity in ("critical", "error") else "unknown"
    )


def _suggesting(facts: Facts) -> Optional[Verdict]:
    if facts.autonomy == "suggest":
        return MANUAL, "the autonomy for this alert is suggest: a ticket carries the plan"
    return None


def _guarded(facts: Facts) -> Optional[Verdict]:
    if not facts.breaker_ok:
        return ESCALATE, "this remedy has failed too often lately and is switched off for now"
    if not facts.budget_ok:
        return ESCALATE, "the budget of automatic changes is used up"
    return None


def _unsafe(facts: Facts) -> str:
    if facts.risk == "destructive" or facts.risk not in RISKS:
        return "the plan is destructive"
    if facts.risk not in HARMLESS and facts.safe_mode:
        return "the plan is %s and resolver.safe_mode is on" % facts.risk
    return ""


def _unsure(facts: Facts) -> str:
    if facts.confidence >= facts.min_confidence:  # also false for NaN
        return ""
    return "the confidence of %.2f is below resolver.min_confidence %.2f" % (
        facts.confidence,
        facts.min_confidence,
    )


def _bound(facts: Facts) -> str:
    return "" if facts.autonomy == "auto" else "the autonomy for this alert is approve"


def _frozen(facts: Facts) -> str:
    return "changes are frozen now" if facts.is_frozen else ""


def _why_automated(facts: Facts) -> Tuple[str, ...]:
    reasons: List[str] = [
        "the plan is %s%s"
        % (facts.risk, "" if facts.risk in HARMLESS else " and resolver.safe_mode is off"),
        "the confidence of %.2f reaches resolver.min_confidence %.2f"
        % (facts.confidence, facts.min_confidence),
        "the autonomy for this alert is auto",
    ]
    if facts.dry_run:
        reasons.append("it is a dry run: the plan is shown and nothing is touched")
    return tuple(reasons)


_SETTLING: Tuple[Callable[[Facts], Optional[Verdict]], ...] = (
    _cleared,
    _level,
    _observing,
    _worn_out,
    _planless,
    _suggesting,
    _guarded,
)
_CAUTIONS: Tuple[Callable[[Facts], str], ...] = (_unsafe, _unsure, _bound, _frozen)

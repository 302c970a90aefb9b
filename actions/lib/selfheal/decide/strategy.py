"""What to do about an incident, as a pure function: facts in, a strategy and the reasons for it
out.

The rules stand in order; the first that settles the matter ends it. Acting without asking is what
is left when no rule objects, and neither more risk nor an objection more ever gives more of it. In
a dry run nobody is asked, called, or given a ticket: what would have been decided is a reason.
"""

from __future__ import annotations

import math
from typing import Callable, List, Optional, Tuple

from selfheal.records import dataclass

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
# A remedy that may begin again within so many seconds is waited for; longer, and a person is told.
PATIENCE_S = 900.0

Verdict = Tuple[str, str]


@dataclass(frozen=True)
class Facts:
    """All that the decision depends on. `attempts` counts the response that is being decided.

    An unknown `risk` counts as destructive. What follows `is_cleared` is for guards; the defaults
    object to nothing. `objections` are guards' own words, for each of: `is_paused`, `is_denied` (a
    command or a target that policy forbids), `is_storm`, `budget_ok`, `breaker_ok`, `is_barred`
    (any other guard). `wait_s` is how long the remedy must wait for its next turn, 0 for not at
    all. `asks` says why a person must see the plan although its risk alone would not ask.
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
    is_maintenance: bool = False
    is_paused: bool = False
    is_denied: bool = False
    is_storm: bool = False
    is_barred: bool = False
    is_quiet: bool = False
    wait_s: float = 0.0
    asks: Tuple[str, ...] = ()
    objections: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What to do, and why in plain words, in the order in which it was found."""

    strategy: str
    reasons: Tuple[str, ...]


def decide(facts: Facts) -> Decision:
    """The strategy for `facts`."""
    decision = _decided(facts)
    if decision.strategy in (AUTOMATED, IGNORE):
        return decision
    if facts.dry_run:
        note = "it is a dry run, so nobody is asked or called and nothing is done (else: %s)"
        return Decision(IGNORE, (*decision.reasons, note % decision.strategy))
    # A storm is told once for all of it, at any hour.
    if facts.is_quiet and decision.strategy in (APPROVE, ESCALATE) and not facts.is_storm:
        note = "these are quiet hours for the severity %s: a ticket instead of a call"
        return Decision(MANUAL, (*decision.reasons, note % facts.severity))
    return decision


def _decided(facts: Facts) -> Decision:
    for rule in _SETTLING:
        verdict = rule(facts)
        if verdict is not None:
            return Decision(verdict[0], (verdict[1],))
    for barrier in _BARRIERS:
        verdict = barrier(facts)
        if verdict is not None:
            return Decision(verdict[0], (verdict[1], *facts.objections))
    doubts = [doubt for doubt in (rule(facts) for rule in _CAUTIONS) if doubt]
    if not doubts:
        return Decision(AUTOMATED, _why_automated(facts))
    return Decision(APPROVE, (*doubts, *facts.asks, "so a person is asked first"))


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


def _maintenance(facts: Facts) -> Optional[Verdict]:
    return (IGNORE, "this is a maintenance window: record only") if facts.is_maintenance else None


def _stormy(facts: Facts) -> Optional[Verdict]:
    if not facts.is_storm:
        return None
    return ESCALATE, "too many incidents at once: nothing is remedied, one message tells of all"


def _barred(facts: Facts) -> Optional[Verdict]:
    if facts.is_barred:
        return ESCALATE, "a guard forbids it, or could not find out whether it may be done"
    if not facts.breaker_ok:
        return ESCALATE, "this remedy has failed too often lately and is switched off for now"
    if not facts.budget_ok:
        return ESCALATE, "the budget of automatic changes is used up"
    return None


def _for_people(facts: Facts) -> Optional[Verdict]:
    if facts.is_paused:
        what = "somebody has paused this remedy: people do it meanwhile"
    elif facts.is_denied:
        what = "policy forbids what the plan would do: people must find another way"
    else:
        return None
    return (ESCALATE if _is_urgent(facts) else MANUAL), what


def _waiting(facts: Facts) -> Optional[Verdict]:
    if facts.wait_s <= 0:
        return None
    if facts.wait_s <= PATIENCE_S:  # false for NaN
        return IGNORE, (
            "the same remedy began here not long ago: its next turn is in %d s, and it is looked "
            "at again then" % math.ceil(facts.wait_s)
        )
    return ESCALATE, "the same remedy began here too often: its next turn is too far away"


def _is_urgent(facts: Facts) -> bool:
    return facts.severity not in ("warning", "info")


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


def _asking(facts: Facts) -> str:
    return "the plan holds what a person must see first" if facts.asks else ""


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
    _maintenance,
    _level,
    _observing,
    _stormy,
    _worn_out,
    _planless,
    _suggesting,
)
# What guards say of a plan; their own words follow the rule's.
_BARRIERS: Tuple[Callable[[Facts], Optional[Verdict]], ...] = (
    _for_people,
    _barred,
    _waiting,
)
_CAUTIONS: Tuple[Callable[[Facts], str], ...] = (_unsafe, _unsure, _bound, _frozen, _asking)

"""The strategy: what every rule forbids holds whatever else is true, and more risk never gives more
autonomy.
"""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.decide.strategy import (
    APPROVE,
    AUTOMATED,
    ESCALATE,
    IGNORE,
    MANUAL,
    RISKS,
    STRATEGIES,
    Facts,
    decide,
)

GOOD = Facts(
    severity="critical",
    response_level="auto",
    autonomy="auto",
    safe_mode=True,
    dry_run=False,
    has_plan=True,
    risk="reversible",
    confidence=0.9,
    min_confidence=0.7,
    attempts=1,
    max_retries=3,
)
# How much each strategy lets us do by ourselves.
FREEDOM = {AUTOMATED: 2, APPROVE: 1, MANUAL: 0, ESCALATE: 0, IGNORE: 0}

facts = st.builds(
    Facts,
    severity=st.sampled_from(["critical", "error", "warning", "info", "odd"]),
    response_level=st.sampled_from(["info", "auto", "manual", "odd", ""]),
    autonomy=st.sampled_from(["observe", "suggest", "approve", "auto", "odd"]),
    safe_mode=st.booleans(),
    dry_run=st.booleans(),
    has_plan=st.booleans(),
    risk=st.sampled_from([*RISKS, "", "odd"]),
    confidence=st.floats(0, 1) | st.just(math.nan),
    min_confidence=st.floats(0, 1),
    attempts=st.integers(0, 6),
    max_retries=st.integers(0, 5),
    is_cleared=st.booleans(),
    budget_ok=st.booleans(),
    breaker_ok=st.booleans(),
    is_frozen=st.booleans(),
    is_maintenance=st.booleans(),
    is_paused=st.booleans(),
    is_denied=st.booleans(),
    is_storm=st.booleans(),
    is_barred=st.booleans(),
    is_quiet=st.booleans(),
    wait_s=st.sampled_from([0.0, 1.0, 900.0, 901.0, math.inf, math.nan]),
    asks=st.sampled_from([(), ("look at the script",)]),
    objections=st.sampled_from([(), ("the guard says no",)]),
)
mostly_good = st.builds(
    dataclasses.replace,
    st.just(GOOD),
    risk=st.sampled_from([*RISKS, "", "odd"]),
    safe_mode=st.booleans(),
    confidence=st.floats(0, 1) | st.just(math.nan),
    dry_run=st.booleans(),
    is_frozen=st.booleans(),
    autonomy=st.sampled_from(["approve", "auto"]),
    asks=st.sampled_from([(), ("look at the script",)]),
    is_quiet=st.booleans(),
)
# Each withdraws a permission that the defaults give.
WITHDRAWN = [
    {"budget_ok": False},
    {"breaker_ok": False},
    {"is_frozen": True},
    {"is_maintenance": True},
    {"is_paused": True},
    {"is_denied": True},
    {"is_storm": True},
    {"is_barred": True},
    {"is_quiet": True},
    {"wait_s": 60.0},
    {"wait_s": 1e9},
    {"wait_s": math.nan},
    {"asks": ("look at the script",)},
    {"is_cleared": True},
    {"dry_run": True},
    {"autonomy": "approve"},
    {"autonomy": "suggest"},
    {"autonomy": "observe"},
    {"response_level": "manual"},
    {"response_level": "info"},
    {"has_plan": False},
]
any_facts = facts | mostly_good


@given(any_facts)
def test_there_is_always_a_strategy_and_a_reason(found):
    decision = decide(found)
    assert decision.strategy in STRATEGIES
    assert decision.reasons and all(reason and "%" not in reason for reason in decision.reasons)
    assert decide(found) == decision


@given(any_facts)
def test_acting_without_asking_needs_everything_to_be_in_order(found):
    if decide(found).strategy != AUTOMATED:
        return
    assert found.has_plan and not found.is_cleared and not found.is_frozen
    assert found.risk in ("read-only", "reversible", "disruptive")
    assert found.risk != "disruptive" or not found.safe_mode
    assert found.confidence >= found.min_confidence
    assert found.autonomy == "auto" and found.response_level == "auto"
    assert found.attempts <= found.max_retries
    assert found.budget_ok and found.breaker_ok
    assert not (found.is_maintenance or found.is_paused or found.is_denied or found.is_storm)
    assert not (found.is_barred or found.asks) and found.wait_s <= 0


@given(any_facts, st.sampled_from(WITHDRAWN))
def test_less_permission_never_gives_more_autonomy(found, less):
    if less == {"dry_run": True}:
        return  # a dry run does nothing, whatever it is called
    assert _freedom(dataclasses.replace(found, **less)) <= _freedom(found)


@given(any_facts)
def test_in_a_dry_run_nobody_is_asked_called_or_given_a_ticket(found):
    strategy = decide(dataclasses.replace(found, dry_run=True)).strategy
    assert strategy in (AUTOMATED, IGNORE)


@given(any_facts)
def test_in_quiet_hours_nobody_is_asked_or_called_but_for_a_storm(found):
    quiet = dataclasses.replace(found, is_quiet=True, is_storm=False)
    assert decide(quiet).strategy in (AUTOMATED, MANUAL, IGNORE)


@given(any_facts)
def test_nobody_is_asked_about_a_plan_that_is_not_there_or_a_dry_run(found):
    if decide(found).strategy == APPROVE:
        assert found.has_plan and not found.dry_run


def _freedom(found: Facts) -> int:
    return FREEDOM[decide(found).strategy]


@given(any_facts, st.sampled_from(RISKS), st.sampled_from(RISKS))
def test_more_risk_never_gives_more_autonomy(found, one, other):
    lower, higher = sorted((one, other), key=RISKS.index)
    assert _freedom(dataclasses.replace(found, risk=higher)) <= _freedom(
        dataclasses.replace(found, risk=lower)
    )


@given(any_facts, st.floats(0, 1), st.floats(0, 1))
def test_less_confidence_never_gives_more_autonomy(found, one, other):
    low, high = sorted((one, other))
    assert _freedom(dataclasses.replace(found, confidence=low)) <= _freedom(
        dataclasses.replace(found, confidence=high)
    )


@given(any_facts)
def test_safe_mode_and_more_attempts_never_give_more_autonomy(found):
    assert _freedom(dataclasses.replace(found, safe_mode=True)) <= _freedom(
        dataclasses.replace(found, safe_mode=False)
    )
    assert _freedom(dataclasses.replace(found, attempts=found.attempts + 1)) <= _freedom(found)


@pytest.mark.parametrize(
    "changes, strategy, words",
    [
        ({}, AUTOMATED, "reversible"),
        ({"risk": "read-only"}, AUTOMATED, "read-only"),
        ({"risk": "disruptive"}, APPROVE, "resolver.safe_mode is on"),
        ({"risk": "disruptive", "safe_mode": False}, AUTOMATED, "resolver.safe_mode is off"),
        ({"risk": "destructive", "safe_mode": False}, APPROVE, "destructive"),
        ({"risk": "odd", "safe_mode": False}, APPROVE, "destructive"),
        ({"confidence": 0.69}, APPROVE, "0.69 is below resolver.min_confidence 0.70"),
        ({"autonomy": "approve"}, APPROVE, "autonomy for this alert is approve"),
        ({"autonomy": "approve", "dry_run": True}, IGNORE, "dry run"),
        ({"dry_run": True}, AUTOMATED, "nothing is touched"),
        ({"autonomy": "suggest"}, MANUAL, "suggest"),
        ({"autonomy": "observe"}, IGNORE, "observe"),
        ({"response_level": "info"}, IGNORE, "response level is info"),
        ({"response_level": "manual"}, MANUAL, "response level is manual"),
        ({"is_cleared": True}, IGNORE, "gone"),
        ({"attempts": 4}, ESCALATE, "response 4 and resolver.max_retries allows 3"),
        ({"attempts": 3}, AUTOMATED, "reversible"),
        ({"has_plan": False}, ESCALATE, "no runbook fits"),
        ({"has_plan": False, "severity": "error"}, ESCALATE, "severity is error"),
        ({"has_plan": False, "severity": "warning"}, MANUAL, "ticket"),
        ({"has_plan": False, "severity": "info"}, IGNORE, "info"),
        ({"breaker_ok": False}, ESCALATE, "switched off"),
        ({"budget_ok": False}, ESCALATE, "budget"),
        ({"is_frozen": True}, APPROVE, "frozen"),
        ({"is_maintenance": True}, IGNORE, "maintenance window"),
        ({"is_paused": True}, ESCALATE, "paused"),
        ({"is_paused": True, "severity": "warning"}, MANUAL, "paused"),
        ({"is_denied": True}, ESCALATE, "policy forbids what"),
        ({"is_denied": True, "severity": "info"}, MANUAL, "policy forbids what"),
        ({"is_storm": True}, ESCALATE, "one message tells of all"),
        ({"is_storm": True, "has_plan": False, "severity": "info"}, ESCALATE, "one message"),
        ({"is_storm": True, "is_quiet": True}, ESCALATE, "one message"),
        ({"is_storm": True, "response_level": "info"}, IGNORE, "response level is info"),
        ({"is_barred": True}, ESCALATE, "a guard forbids it"),
        ({"wait_s": 120.0}, IGNORE, "its next turn is in 120 s"),
        ({"wait_s": 901.0}, ESCALATE, "too far away"),
        ({"wait_s": math.nan}, ESCALATE, "too far away"),
        ({"asks": ("a script",)}, APPROVE, "a script"),
        ({"is_quiet": True}, AUTOMATED, "reversible"),
        ({"is_quiet": True, "is_frozen": True}, MANUAL, "quiet hours"),
        ({"is_quiet": True, "has_plan": False}, MANUAL, "a ticket instead of a call"),
        ({"dry_run": True, "has_plan": False}, IGNORE, "else: escalate"),
    ],
)
def test_each_rule_decides_as_written(changes, strategy, words):
    decision = decide(dataclasses.replace(GOOD, **changes))
    assert decision.strategy == strategy
    assert words in "; ".join(decision.reasons)


def test_every_objection_is_named_not_only_the_first():
    decision = decide(
        dataclasses.replace(
            GOOD, risk="destructive", confidence=0.1, autonomy="approve", is_frozen=True
        )
    )
    assert len(decision.reasons) == 5

"""The second step: the facts come from the incident and the configuration, the decision is
recorded.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, Conflict, InvalidInput
from selfheal.incidents import registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


def strategy_of(ctx, level="", run_id="run-1", **fields):
    incident_id = scenes.add_incident(ctx.store, **fields)
    analyze_incident(ctx, incident_id, run_id)
    return determine_response_strategy(ctx, incident_id, run_id, level)["strategy"]


def test_the_decision_and_its_reasons_are_recorded(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    answer = determine_response_strategy(ctx, incident_id, "run-1")
    assert (answer["strategy"], answer["risk"], answer["confidence"]) == (
        "automated",
        "reversible",
        0.9,
    )
    incident = registry.get(ctx.store, incident_id)
    assert (incident.strategy, incident.reasons) == ("automated", answer["reasons"])
    entry = scenes.timeline_of(ctx.store, incident_id, "decided")[0]
    assert entry["message"].startswith("automated: the plan is reversible; ")
    assert entry["data"]["strategy"] == "automated"


def test_the_incidents_own_facts_count(ctx, tmp_path):
    assert strategy_of(ctx) == "escalate"
    assert strategy_of(ctx, severity="warning") == "manual"
    assert strategy_of(ctx, severity="info") == "ignore"
    scenes.write_runbook(tmp_path)
    assert strategy_of(ctx, response_level="manual") == "manual"
    assert strategy_of(ctx, response_level="info") == "ignore"
    assert strategy_of(ctx, response_level="info", level="auto") == "automated"
    assert strategy_of(ctx, attempts=3) == "escalate"
    assert strategy_of(ctx, attempts=2) == "automated"


def test_the_configuration_counts_and_an_alerts_own_autonomy_comes_first(ctx, tmp_path):
    scenes.write_runbook(tmp_path, risk="disruptive")
    assert strategy_of(ctx) == "approve"
    ctx.config.values["resolver"]["safe_mode"] = False
    assert strategy_of(ctx) == "automated"
    ctx.config.values["safety"] = {
        "autonomy": "observe",
        "autonomy_by_type": {"ServiceDown": "suggest"},
    }
    assert strategy_of(ctx) == "manual"
    ctx.config.values["safety"] = {"autonomy": "observe"}
    assert strategy_of(ctx) == "ignore"
    ctx.config.values["safety"] = {}
    ctx.config.values["resolver"]["min_confidence"] = 0.95
    assert strategy_of(ctx) == "approve"


@pytest.mark.parametrize(
    "values, key",
    [
        ({"safety": {"autonomy": "yolo"}}, "safety.autonomy must be one of"),
        (
            {"safety": {"autonomy_by_type": {"ServiceDown": "yolo"}}},
            "safety.autonomy_by_type.ServiceDown must be",
        ),
        ({"safety": {"autonomy_by_type": ["x"]}}, "safety.autonomy_by_type must be a map"),
        ({"resolver": {"safe_mode": "off"}}, "resolver.safe_mode must be true or false"),
        ({"resolver": {"min_confidence": "high"}}, "resolver.min_confidence must be a number"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_nothing_is_decided(ctx, tmp_path, values, key):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    ctx.config.values.update(values)
    with pytest.raises(ConfigError, match=key):
        determine_response_strategy(ctx, incident_id, "run-1")
    assert registry.get(ctx.store, incident_id).strategy is None


def test_an_unknown_level_is_refused(ctx):
    with pytest.raises(InvalidInput, match="response_level must be one of"):
        determine_response_strategy(ctx, scenes.add_incident(ctx.store), "", "loud")


def test_a_response_that_lost_the_incident_stops(ctx):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    with pytest.raises(Conflict):
        determine_response_strategy(ctx, incident_id, "run-2")

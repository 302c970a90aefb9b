"""The first step: who gets the incident, and what is written about it."""

from __future__ import annotations

import pytest

from selfheal.exceptions import Conflict, NotFound
from selfheal.incidents import model, registry
from selfheal.respond.analyze import analyze_incident
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, url):
    context = scenes.context_for(tmp_path, url=url)
    yield context
    context.close()


def test_the_first_response_claims_and_a_second_is_told_that_it_is_taken(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store)
    assert analyze_incident(ctx, incident_id, "run-1") == {
        "incident_id": incident_id,
        "state": "claimed",
        "severity": "critical",
        "alert_type": "ServiceDown",
        "has_plan": True,
        "runbook": "restart_shop",
        "risk": "reversible",
        "confidence": 0.9,
    }
    assert analyze_incident(ctx, incident_id, "run-2")["state"] == "taken"
    incident = registry.get(ctx.store, incident_id)
    assert (incident.status, incident.run_id, incident.attempts) == (model.ANALYZING, "run-1", 1)
    assert incident.plan["runbook"] == "restart_shop"
    assert incident.analysis["summary"].startswith("runbook restart_shop fits: 1 step, reversible")
    assert len(scenes.timeline_of(ctx.store, incident_id, "analyzed")) == 1


def test_the_same_run_may_come_twice(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store)
    for _ in range(2):
        assert analyze_incident(ctx, incident_id, "run-1")["state"] == "claimed"
    assert registry.get(ctx.store, incident_id).attempts == 1


def test_a_new_analysis_without_a_plan_takes_the_old_plan_away(ctx, tmp_path):
    path = scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    path.unlink()
    assert analyze_incident(ctx, incident_id, "run-1")["has_plan"] is False
    assert registry.get(ctx.store, incident_id).plan is None


def test_what_went_away_or_is_closed_is_not_analyzed(ctx):
    cleared = scenes.add_incident(ctx.store)
    scenes.clear(ctx.store, cleared)
    assert analyze_incident(ctx, cleared, "run-1")["state"] == "cleared"
    closed = scenes.add_incident(ctx.store, status="resolved")
    assert analyze_incident(ctx, closed, "run-1")["state"] == "closed"
    assert analyze_incident(ctx, closed)["state"] == "closed"
    assert scenes.timeline_of(ctx.store, closed) == []


def test_by_hand_nothing_is_claimed(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store)
    assert analyze_incident(ctx, incident_id)["has_plan"] is True
    incident = registry.get(ctx.store, incident_id)
    assert (incident.status, incident.attempts, registry.is_held(ctx.store, incident_id)) == (
        "open",
        0,
        False,
    )
    analyze_incident(ctx, incident_id, "run-1")
    with pytest.raises(Conflict):
        analyze_incident(ctx, incident_id)


def test_an_unknown_incident_is_not_found(ctx):
    with pytest.raises(NotFound):
        analyze_incident(ctx, "inc-none")
    with pytest.raises(NotFound):
        analyze_incident(ctx, "inc-none", "run-1", dispatch=1)


def test_a_response_that_a_person_starts_for_no_incident_ends_quietly(ctx):
    assert analyze_incident(ctx, "inc-none", "run-1")["state"] == "unknown"

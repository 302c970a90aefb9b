"""Plans that are not carried out: changed, gone, from elsewhere, or never decided on."""

from __future__ import annotations

import pytest

from selfheal.incidents import registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from selfheal.store import dump
from tests.remedy import scenes
from tests.respond.test_remediate import decided


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


def test_a_changed_runbook_is_refused(ctx, tmp_path):
    path = scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    path.write_text(path.read_text().replace('"true"', '"false"'))
    answer = remediate(ctx, incident_id, "run-1")
    assert (answer["outcome"], answer["steps"]) == ("refused", [])
    assert "has changed since it was decided on" in answer["reason"]
    assert scenes.timeline_of(ctx.store, incident_id, "remediation_refused")


def test_a_runbook_that_is_gone_is_refused(ctx, tmp_path):
    path = scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    path.unlink()
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_runbook_from_where_none_are_looked_for_is_refused(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    ctx.config.values["resolver"]["runbook_paths"] = []
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "resolver.runbook_paths" in answer["reason"]


def test_a_plan_that_nobody_decided_on_is_refused_to_a_response_and_done_by_hand(ctx, tmp_path):
    scenes.write_runbook(tmp_path, risk="destructive")
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    assert determine_response_strategy(ctx, incident_id, "run-1")["strategy"] == "approve"
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "neither decided" in answer["reason"]
    registry.release(ctx.store, incident_id, "run-1")
    assert remediate(ctx, incident_id)["outcome"] == "done"


def test_without_a_plan_it_is_refused(ctx):
    assert "has no plan" in remediate(ctx, scenes.add_incident(ctx.store))["reason"]


def test_values_that_changed_since_the_decision_are_refused(tmp_path):
    ctx = scenes.context_for(tmp_path)
    scenes.write_runbook(
        tmp_path,
        values={"UNIT": "labels.name"},
        steps=[{"name": "act", "command": scenes.shell("touch %s/acted" % tmp_path)}],
    )
    incident_id = scenes.add_incident(ctx.store, labels={"name": "web"})
    analyze_incident(ctx, incident_id, "run-1")
    assert determine_response_strategy(ctx, incident_id, "run-1")["strategy"] == "automated"
    signal = dump({"labels": {"alertname": "ServiceDown", "name": "db"}, "annotations": {}})
    ctx.store.execute("UPDATE incidents SET signal = ? WHERE id = ?", (signal, incident_id))
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "values" in answer["reason"]
    assert not (tmp_path / "acted").exists()
    ctx.close()

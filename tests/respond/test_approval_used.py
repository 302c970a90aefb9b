"""What a yes is good for: one plan, one execution, for a while."""

from __future__ import annotations

import pytest

from selfheal.exceptions import Refused
from selfheal.incidents import registry
from selfheal.remedy import plan as plans
from selfheal.respond import approval
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.answering import approve
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.approval.settling import settle_approval
from tests.remedy import scenes
from tests.respond.approval_scene import BOTH, asked, context, refusal, row_of, told_of, use


@pytest.fixture(params=BOTH)
def ctx(tmp_path, request):
    made = context(tmp_path, request.param, approvers=["alice", "Bob", "Jürgen"])
    yield made
    made.close()


def test_a_yes_is_used_up_by_one_execution(ctx):
    incident_id, approval_id = asked(ctx)
    assert not use(ctx, incident_id)
    approve(ctx, approval_id, "", "alice")
    assert use(ctx, incident_id, "exe-1")
    assert use(ctx, incident_id, "exe-1"), "the same execution may ask again"
    assert not use(ctx, incident_id, "exe-2")
    row = row_of(ctx, approval_id)
    assert (row["status"], row["used_by"]) == ("used", "exe-1")
    assert "used up by execution exe-1, and each is good for one" in refusal(ctx, incident_id)
    assert len(told_of(ctx, incident_id, "approval_used")) == 1
    # The response that waited is told the same verdict, and still cannot act a second time.
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "approved"
    assert not approval.is_approved(
        ctx.store,
        registry.get(ctx.store, incident_id),
        plans.hash_of(registry.get(ctx.store, incident_id).plan),
    )


def test_a_yes_is_for_the_plan_that_was_shown(ctx, tmp_path):
    incident_id, approval_id = asked(ctx)
    scenes.write_runbook(tmp_path, risk="destructive", description="changed")
    with pytest.raises(Refused, match="has changed since it was decided on"):
        approve(ctx, approval_id, "", "alice")
    analyze_incident(ctx, incident_id, "run-1")
    with pytest.raises(Refused, match="the plan of .* has changed since it was shown"):
        approve(ctx, approval_id, "", "alice")
    asked_again = request_approval(ctx, incident_id, "run-1")["approval_id"]
    assert asked_again != approval_id
    assert row_of(ctx, approval_id)["status"] == "withdrawn"
    assert approve(ctx, incident_id, "", "alice")["approval_id"] == asked_again


def test_a_plan_that_changes_after_the_yes_is_refused_with_the_reason(ctx, tmp_path):
    incident_id, approval_id = asked(ctx)
    approve(ctx, approval_id, "", "alice")
    scenes.write_runbook(tmp_path, risk="destructive", description="changed")
    analyze_incident(ctx, incident_id, "run-1")
    assert "the plan has changed since %s was shown" % approval_id in refusal(ctx, incident_id)
    assert not use(ctx, incident_id)
    settled = settle_approval(ctx, incident_id, approval_id, "yes", "run-1")
    assert settled["verdict"] == "rejected" and "the plan has changed" in settled["reason"]
    assert row_of(ctx, approval_id)["status"] == "rejected"


def test_a_yes_too_late_is_refused_even_before_housekeeping_came(ctx):
    _incident, approval_id = asked(ctx)
    ctx.clock.advance(30 * 60 + 1)
    with pytest.raises(Refused, match="the time to answer .* was over"):
        approve(ctx, approval_id, "", "alice")


def test_a_clock_that_was_set_back_before_the_question_allows_nothing(ctx):
    incident_id, approval_id = asked(ctx)
    ctx.clock.advance(-3600)
    with pytest.raises(Refused, match="the time to answer"):
        approve(ctx, approval_id, "", "alice")
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "expired"


@pytest.mark.parametrize("step_s", [-7200, 1801, 10 * 365 * 86400])
def test_a_yes_does_not_outlive_the_time_its_question_had(ctx, step_s):
    incident_id, approval_id = asked(ctx)
    approve(ctx, approval_id, "", "alice")
    ctx.clock.advance(step_s)
    assert "holds no longer" in refusal(ctx, incident_id)
    assert not use(ctx, incident_id)
    ctx.clock.advance(-step_s)
    assert use(ctx, incident_id)


def test_after_the_alert_went_away_there_is_nothing_to_approve(ctx):
    incident_id, approval_id = asked(ctx)
    scenes.clear(ctx.store, incident_id)
    with pytest.raises(Refused, match="went away"):
        approve(ctx, approval_id, "", "alice")

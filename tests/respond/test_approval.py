"""Asking a person: a yes counts for the plan that was shown, in time, and for nothing else."""

from __future__ import annotations

import pytest

from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.incidents import model, registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.asking import approval_asked, request_approval
from selfheal.respond.approval.settling import settle_approval
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from tests import stores
from tests.remedy import scenes


@pytest.fixture(params=["sqlite", "postgresql"])
def ctx(tmp_path, request):
    context = scenes.context_for(
        tmp_path,
        clock=scenes.StillClock(),
        url="" if request.param == "sqlite" else stores.postgresql_url(),
    )
    scenes.write_runbook(tmp_path, risk="destructive")
    yield context
    context.close()


def asked(ctx, run_id="run-1"):
    incident_id = scenes.add_incident(ctx.store)
    assert analyze_incident(ctx, incident_id, run_id)["has_plan"]
    assert determine_response_strategy(ctx, incident_id, run_id)["strategy"] == "approve"
    return incident_id, request_approval(ctx, incident_id, run_id)["approval_id"]


def row_of(ctx, approval_id):
    return ctx.store.one("SELECT * FROM approvals WHERE id = ?", (approval_id,))


def test_a_yes_in_time_lets_exactly_this_plan_through(ctx):
    incident_id, approval_id = asked(ctx)
    assert registry.get(ctx.store, incident_id).status == model.AWAITING_APPROVAL
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"
    settled = settle_approval(ctx, incident_id, approval_id, "yes", "run-1")
    assert settled["verdict"] == "approved"
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    assert [
        entry["message"] for entry in scenes.timeline_of(ctx.store, incident_id, "approval_settled")
    ] == ["approved: a person said yes to the plan"]


def test_the_claim_lasts_as_long_as_the_question(ctx):
    incident_id, _approval = asked(ctx)
    ctx.clock.advance(30 * 60 + 60)
    assert registry.is_held(ctx.store, incident_id)
    assert registry.stale(ctx.store) == []


@pytest.mark.parametrize("answer, verdict", [("no", "rejected"), ("none", "expired")])
def test_anything_but_yes_is_no(ctx, answer, verdict):
    incident_id, approval_id = asked(ctx)
    assert settle_approval(ctx, incident_id, approval_id, answer, "run-1")["verdict"] == verdict
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_yes_too_late_is_no(ctx):
    incident_id, approval_id = asked(ctx)
    ctx.clock.advance(30 * 60 + 1)
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "expired"
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_yes_to_another_plan_is_no(ctx, tmp_path):
    incident_id, approval_id = asked(ctx)
    scenes.write_runbook(tmp_path, risk="destructive", description="changed")
    analyze_incident(ctx, incident_id, "run-1")
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "rejected"
    assert (
        "the plan has changed"
        in scenes.timeline_of(ctx.store, incident_id, "approval_settled")[0]["message"]
    )


def test_a_plan_that_changes_after_the_yes_is_not_carried_out(ctx, tmp_path):
    incident_id, approval_id = asked(ctx)
    settle_approval(ctx, incident_id, approval_id, "yes", "run-1")
    scenes.write_runbook(tmp_path, risk="destructive", description="changed")
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"
    analyze_incident(ctx, incident_id, "run-1")
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_yes_does_not_hold_for_a_later_response(ctx):
    incident_id, approval_id = asked(ctx)
    settle_approval(ctx, incident_id, approval_id, "yes", "run-1")
    registry.release(ctx.store, incident_id, "run-1")
    ctx.clock.advance(5)
    analyze_incident(ctx, incident_id, "run-2")
    assert remediate(ctx, incident_id, "run-2")["outcome"] == "refused"


def test_what_was_never_asked_is_never_approved(ctx):
    incident_id, approval_id = asked(ctx)
    other_id, other_approval = asked(ctx, "run-9")
    for wrong in ("apr-none", "", other_approval):
        with pytest.raises(NotFound, match="nothing counts as approved"):
            settle_approval(ctx, incident_id, wrong, "yes", "run-1")
    assert row_of(ctx, approval_id)["status"] == row_of(ctx, other_approval)["status"] == "pending"
    with pytest.raises(InvalidInput, match="answer must be one of"):
        settle_approval(ctx, incident_id, approval_id, "true", "run-1")


def test_the_verdict_stands_whatever_is_said_later(ctx):
    incident_id, approval_id = asked(ctx)
    assert settle_approval(ctx, incident_id, approval_id, "no", "run-1")["verdict"] == "rejected"
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "rejected"
    assert len(scenes.timeline_of(ctx.store, incident_id, "approval_settled")) == 1


def test_an_alert_that_went_away_needs_no_answer(ctx):
    incident_id, approval_id = asked(ctx)
    scenes.clear(ctx.store, incident_id)
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "cleared"


@pytest.mark.parametrize("status, verdict", [("expired", "expired"), ("withdrawn", "rejected")])
def test_a_question_that_housekeeping_or_closing_ended_is_no(ctx, status, verdict):
    incident_id, approval_id = asked(ctx)
    ctx.store.execute("UPDATE approvals SET status = ? WHERE id = ?", (status, approval_id))
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == verdict


def test_asking_twice_in_one_response_is_one_question(ctx):
    incident_id, approval_id = asked(ctx)
    assert request_approval(ctx, incident_id, "run-1")["approval_id"] == approval_id
    assert len(scenes.rows_of(ctx.store, "approvals")) == 1
    assert len(scenes.timeline_of(ctx.store, incident_id, "approval_requested")) == 1


def test_there_is_nothing_to_ask_without_a_plan(ctx):
    with pytest.raises(Refused, match="has no plan to approve"):
        request_approval(ctx, scenes.add_incident(ctx.store), "run-1")


def test_the_inquiry_that_asks_is_remembered(ctx):
    _incident, approval_id = asked(ctx)
    assert approval_asked(ctx, "inq1", "selfheal." + approval_id) == {
        "approval_id": approval_id,
        "known": True,
    }
    assert row_of(ctx, approval_id)["inquiry_id"] == "inq1"
    assert ctx.platform.answered == []


@pytest.mark.parametrize("route", ["selfheal.apr-none", "other.x", "", "selfheal."])
def test_an_inquiry_of_somebody_else_is_left_alone(ctx, route):
    assert approval_asked(ctx, "inq1", route)["known"] is False


def test_an_inquiry_that_comes_too_late_is_answered_no(ctx):
    incident_id, approval_id = asked(ctx)
    settle_approval(ctx, incident_id, approval_id, "no", "run-1")
    approval_asked(ctx, "inq1", "selfheal." + approval_id)
    assert ctx.platform.answered == [("inq1", {"approved": False})]


def test_by_hand_a_question_can_be_asked_and_settled_too(ctx):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    approval_id = request_approval(ctx, incident_id)["approval_id"]
    assert registry.get(ctx.store, incident_id).status == "open"
    assert settle_approval(ctx, incident_id, approval_id, "yes")["verdict"] == "approved"

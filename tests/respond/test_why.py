"""Why an incident is treated as it is, told in sentences."""

from __future__ import annotations

import pytest

from selfheal.exceptions import NotFound
from selfheal.guard import pause as pauses
from selfheal.incidents import registry
from selfheal.respond.acknowledge import acknowledge
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.answering import approve, reject
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.respond.remediate import remediate
from selfheal.respond.why import why
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path):
    made = scenes.context_for(tmp_path, values=scenes.UNBOUNDED, clock=scenes.StillClock())
    yield made
    made.close()


def decided(ctx, run_id="run-1", **fields):
    incident_id = scenes.add_incident(ctx.store, **fields)
    analyze_incident(ctx, incident_id, run_id)
    determine_response_strategy(ctx, incident_id, run_id)
    return incident_id


def test_an_automated_one_tells_each_reason(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    told = why(ctx, decided(ctx))
    assert told["strategy"] == "automated"
    assert told["headline"] == "Its plan is carried out without asking, because"
    assert "the plan is reversible" in told["reasons"]
    assert told["considered"] == ["restart_shop: it fits"]
    assert told["summary"].startswith("Its plan is carried out without asking, because the plan")


def test_a_question_is_told_with_what_people_said(ctx, tmp_path):
    scenes.write_runbook(tmp_path, risk="destructive")
    incident_id = decided(ctx)
    request_approval(ctx, incident_id, "run-1")
    told = why(ctx, incident_id)
    assert told["strategy"] == "approve" and "the plan is destructive" in told["reasons"]
    assert "waits for a yes or no until" in told["since"][0]
    assert told["next"] == "heal approvals " + incident_id
    reject(ctx, incident_id, "the sale is on", "bob")
    assert why(ctx, incident_id)["since"][0] == "bob said no: the sale is on"


def test_what_was_tried_is_told_with_how_it_ended(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[{"name": "no", "command": {"argv": ["false"]}}])
    incident_id = decided(ctx)
    remediate(ctx, incident_id, "run-1")
    (tried,) = why(ctx, incident_id)["since"]
    assert tried.startswith("tried, last first: runbook:restart_shop failed (")


def test_what_a_guard_said_is_told_with_its_advice(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    pauses.begin(ctx.store, pauses.scope_of("global"), "bob", "we move", None, False)
    told = why(ctx, decided(ctx))
    assert told["strategy"] == "escalate"
    (said,) = told["objections"]
    assert said.startswith("the guard pause: ") and "paused by bob" in said and "resume" in said


def test_a_plan_that_changed_since_is_named(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    plan = dict(registry.get(ctx.store, incident_id).plan, runbook="other")
    registry.update(ctx.store, incident_id, plan=plan)
    assert why(ctx, incident_id)["since"][0].endswith("decided on: runbook other now")


@pytest.mark.parametrize(
    ("fields", "said", "after"),
    [
        ({"status": "open"}, "its response has not begun", "heal timeline"),
        ({"status": "analyzing"}, "it is being looked at", "heal timeline"),
        ({"status": "resolved"}, "closed before anything was decided", "heal report"),
        ({"status": "escalated"}, "No decision is recorded", "heal ack"),
        ({"status": "observed", "alert_type": "ByHand"}, "asked for this by hand", "heal respond"),
    ],
)
def test_where_nothing_was_decided_it_says_so(ctx, fields, said, after):
    incident_id = scenes.add_incident(ctx.store, **fields)
    told = why(ctx, incident_id)
    assert told["strategy"] == "" and said in told["headline"] and told["reasons"] == []
    assert told["summary"] == told["headline"]
    assert told["next"] == "%s %s" % (after, incident_id)


def test_secrets_and_broken_rows_do_no_harm(tmp_path):
    ctx = scenes.context_for(tmp_path, values={"notify": {"webhook": {"token": "tok-sekrit-1"}}})
    incident_id = scenes.add_incident(
        ctx.store, strategy="manual", title="leaked tok-sekrit-1",
        reasons='["because of tok-sekrit-1"]', analysis='{"considered": [1, {}], "objections": 7}',
    )
    told = why(ctx, incident_id)
    assert "sekrit" not in repr(told) and told["reasons"]
    ctx.close()


def test_an_incident_that_is_not_there_is_said_to_be_so(ctx):
    with pytest.raises(NotFound):
        why(ctx, "inc-none")


def test_a_yes_that_was_used_is_told(ctx, tmp_path):
    scenes.write_runbook(tmp_path, risk="destructive")
    incident_id = decided(ctx)
    request_approval(ctx, incident_id, "run-1")
    approve(ctx, incident_id, "go", "alice")
    assert why(ctx, incident_id)["since"][0] == "alice said yes: go"
    remediate(ctx, incident_id, "run-1")
    since = why(ctx, incident_id)["since"]
    assert since[0] == "alice said yes, and that was used: go"
    assert "runbook:restart_shop done" in since[1]


def test_who_took_an_incident_is_not_asked_to_take_it_again(ctx, tmp_path):
    incident_id = scenes.add_incident(ctx.store)
    escalate_to_oncall(ctx, incident_id)
    assert why(ctx, incident_id)["next"] == "heal ack " + incident_id
    acknowledge(ctx, incident_id, who="ann")
    assert why(ctx, incident_id)["next"] == "heal runbooks for " + incident_id

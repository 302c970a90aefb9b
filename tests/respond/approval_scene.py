"""The scene of the tests of approvals: a destructive plan that a person is asked about."""

from __future__ import annotations

from selfheal.exceptions import ExternalError
from selfheal.incidents import registry
from selfheal.remedy import plan as plans
from selfheal.respond import approval
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval import record
from selfheal.respond.approval.asking import approval_asked, request_approval
from selfheal.respond.decide import determine_response_strategy
from tests import stores
from tests.remedy import scenes

BOTH = ("sqlite", "postgresql")
STEPS = [{"name": "say", "command": {"argv": ["true"]}}]


def context(tmp_path, kind, approvers=None, **runbook):
    """A context on a store of `kind` with a clock that stands, and one destructive runbook."""
    made = scenes.context_for(
        tmp_path,
        clock=scenes.StillClock(),
        url="" if kind == "sqlite" else stores.postgresql_url(),
        values={"safety": {"approvers": approvers}} if approvers is not None else None,
    )
    scenes.write_runbook(tmp_path, risk="destructive", **runbook)
    return made


def asked(ctx, run_id="run-1", inquiry_id="inq-1", **incident):
    """(incident, question) about whose plan a person is asked, by an inquiry."""
    incident_id = scenes.add_incident(ctx.store, **incident)
    assert analyze_incident(ctx, incident_id, run_id)["has_plan"]
    determine_response_strategy(ctx, incident_id, run_id)
    approval_id = request_approval(ctx, incident_id, run_id)["approval_id"]
    if inquiry_id:
        assert approval_asked(ctx, inquiry_id, "selfheal." + approval_id)["known"]
    return incident_id, approval_id


def use(ctx, incident_id, execution_id="exe-1"):
    """Whether the yes to the incident's plan counts for that execution."""
    incident = registry.get(ctx.store, incident_id)
    return approval.use(ctx.store, incident, plans.hash_of(incident.plan), execution_id)


def refusal(ctx, incident_id):
    """Why no yes to the incident's plan counts; empty when one does."""
    incident = registry.get(ctx.store, incident_id)
    return approval.refusal(ctx.store, incident, plans.hash_of(incident.plan))


def row_of(ctx, approval_id):
    return record.find(ctx.store, approval_id)


def told_of(ctx, incident_id, kind):
    """The messages of the incident's timeline entries of that kind."""
    return [entry["message"] for entry in scenes.timeline_of(ctx.store, incident_id, kind)]


class Deaf:
    """StackStorm that answers no request, or says that the inquiry is gone."""

    execution_id = None

    def __init__(self, retryable=True):
        self.asked = []
        self.retryable = retryable

    def answer_inquiry(self, inquiry_id, response):
        self.asked.append((inquiry_id, response))
        raise ExternalError("StackStorm did not take it", retryable=self.retryable)

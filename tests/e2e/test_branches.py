"""Every branch of an incident's life, from the webhook to its end, through the real pack."""

from __future__ import annotations

import pytest

from tests.e2e.world import WAIT_S, World, alert


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        yield made


def test_fixable_alert_is_fixed_proven_and_closed(world):
    incident = world.respond_to(alert("Fixable"))
    assert (incident.status, incident.resolution) == ("resolved", "remediated")
    assert incident.strategy == "automated"
    assert (world.directory / "well").exists()
    assert world.outcomes() == [{"outcome": "resolved", "strategy": "automated"}]
    kinds = world.kinds(incident.id)
    assert kinds.index("analyzed") < kinds.index("decided") < kinds.index("remediation_started")
    assert kinds.index("remediation_finished") < kinds.index("verified") < kinds.index("resolved")
    assert world.outside.messages == []
    assert world.rows("SELECT * FROM locks WHERE name LIKE 'incident:%'") == []


def test_fix_that_does_not_help_is_undone_and_escalated(world):
    incident = world.respond_to(alert("Unfixable"))
    assert incident.status == "escalated"
    assert not (world.directory / "tried").exists()
    assert [row["status"] for row in world.rows("SELECT status FROM undo_log")] == ["undone"]
    [message] = world.told("escalation")
    assert message["reason"] == "not_resolved"
    assert message["incident"]["id"] == incident.id
    assert "Unfixable" in message["title"] and message["why"] in message["text"]
    assert world.outcomes() == [{"outcome": "escalated", "strategy": "automated"}]


def test_remedy_that_fails_halfway_is_undone_and_escalated(world):
    incident = world.respond_to(alert("Broken"))
    assert incident.status == "escalated"
    assert not (world.directory / "half").exists()
    assert [message["reason"] for message in world.told("escalation")] == ["remediation_failed"]
    assert world.runs("verify_resolution") == []


def test_failed_undo_is_said_plainly(world):
    incident = world.respond_to(alert("NoWayBack"))
    assert incident.status == "escalated"
    assert [message["reason"] for message in world.told("escalation")] == ["undo_failed"]


def asked(world, **labels):
    """Raise an alert whose plan needs approval; (incident, inquiry) once the question is put."""
    world.post(alert("Asked", **labels))
    inquiry = world.wait_for(lambda: world.engine.pending_inquiries())[0]
    world.settle()
    known = world.rows("SELECT inquiry_id FROM approvals")
    assert [row["inquiry_id"] for row in known] == [inquiry.id]
    return world.incidents()[-1], inquiry


def test_approved_plan_is_carried_out(world):
    incident, inquiry = asked(world)
    assert incident.status == "awaiting_approval"
    assert not (world.directory / "well").exists()
    assert inquiry.result["route"].startswith("selfheal.apr-")
    world.engine.answer_inquiry(inquiry.id, {"approved": True})
    world.settle()
    incident = world.incident(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "remediated")
    assert world.outcomes() == [{"outcome": "resolved", "strategy": "approve"}]


def test_no_means_no(world):
    incident, inquiry = asked(world)
    world.engine.answer_inquiry(inquiry.id, {"approved": False})
    world.settle()
    assert world.incident(incident.id).status == "escalated"
    assert not (world.directory / "well").exists()
    assert world.runs("remediate") == []
    assert [message["reason"] for message in world.told("escalation")] == ["rejected"]


def test_question_nobody_answers_expires_and_escalates(world):
    incident, inquiry = asked(world)
    world.housekeeping()
    assert world.incident(incident.id).status == "awaiting_approval"
    world.pass_time(31 * 60)
    world.housekeeping()
    assert world.incident(incident.id).status == "escalated"
    assert world.engine.pending_inquiries() == []
    assert not (world.directory / "well").exists()
    assert [message["reason"] for message in world.told("escalation")] == ["expired"]


def test_yes_to_a_plan_that_changed_meanwhile_does_not_count(world):
    incident, inquiry = asked(world)
    runbook = world.directory / "runbooks" / "Asked.yaml"
    runbook.write_text(
        runbook.read_text(encoding="utf-8") + "description: another\n", encoding="utf-8"
    )
    world.engine.answer_inquiry(inquiry.id, {"approved": True})
    world.settle()
    assert world.incident(incident.id).status == "escalated"
    assert not (world.directory / "well").exists()
    assert [message["reason"] for message in world.told("escalation")] == ["refused"]


def test_disruptive_plan_is_asked_about_in_safe_mode(world):
    world.post(alert("Disruptive"))
    world.wait_for(lambda: world.engine.pending_inquiries())
    world.settle()
    assert world.incidents()[-1].strategy == "approve"


def test_warning_without_a_plan_becomes_a_ticket(world):
    incident = world.respond_to(alert("Unknown", severity="warning"))
    assert (incident.status, incident.strategy) == ("ticketed", "manual")
    [message] = world.told("ticket")
    assert message["incident"]["id"] == incident.id
    assert world.outcomes() == [{"outcome": "ticketed", "strategy": "manual"}]


def test_critical_without_a_plan_is_escalated(world):
    incident = world.respond_to(alert("Unknown"))
    assert (incident.status, incident.strategy) == ("escalated", "escalate")
    assert [message["reason"] for message in world.told("escalation")] == ["strategy"]


def test_info_without_a_plan_is_only_recorded(world):
    incident = world.respond_to(alert("Unknown", severity="info"))
    assert (incident.status, incident.strategy) == ("observed", "ignore")
    assert world.outside.messages == []


def test_handler_respects_the_response_level(world):
    data = {"alertname": "Fixable", "severity": "critical", "instance": "web-1"}
    world.act("prometheus_alert_handler", alert_data=data, response_level="manual")
    world.settle()
    [incident] = world.incidents()
    assert (incident.status, incident.strategy) == ("ticketed", "manual")
    assert not (world.directory / "well").exists()


def test_dry_run_shows_the_plan_and_touches_nothing(world):
    data = {"alertname": "Fixable", "severity": "critical", "instance": "web-1"}
    given = world.act("prometheus_alert_handler", alert_data=data, dry_run=True)
    world.settle()
    incident = world.incident(given["incident_id"])
    assert incident.status == "observed"
    assert not (world.directory / "well").exists()
    assert "remediation_planned" in world.kinds(incident.id)
    assert world.outcomes() == [{"outcome": "observed", "strategy": "automated"}]


def test_alert_that_ends_before_the_response_closes_it(world):
    world.configure({"safety": {"max_responses_per_batch": 0}})
    incident = world.respond_to(alert("Unfixable"))
    assert incident.status == "open" and world.runs("incident_response") == []
    payload = {"incident_id": incident.id, "status": "firing", "severity": "critical"}
    # The alert ends while the trigger is under way.
    world.sql("UPDATE incidents SET cleared_at = 1")
    world.engine.inject("selfheal.alert", payload)
    world.settle()
    incident = world.incident(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "self_resolved")
    assert world.outcomes() == [{"outcome": "self_resolved", "strategy": "none"}]


def test_alert_that_ends_while_a_person_is_asked_withdraws_the_question(world):
    incident, _ = asked(world)
    world.post(alert("Asked", status="resolved"))
    world.settle()
    incident = world.incident(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "self_resolved")
    assert world.engine.pending_inquiries() == []
    assert world.outcomes() == [{"outcome": "self_resolved", "strategy": "approve"}]
    assert world.told("escalation") == []


def test_alert_that_ends_during_the_remediation_stops_it(world):
    world.post(alert("Slow"))
    world.wait_for(lambda: (world.directory / "begun").exists())
    world.post(alert("Slow", status="resolved"))
    world.settle()
    [incident] = world.incidents()
    assert incident.status == "resolved"
    [execution] = world.runs("remediate")
    assert execution.result["result"]["outcome"] == "cleared"
    assert execution.seconds < WAIT_S, "it was stopped, and did not end by itself"
    assert world.outside.messages == []


def test_person_may_close_under_a_running_response(world):
    world.post(alert("Slow"))
    world.wait_for(lambda: (world.directory / "begun").exists())
    [incident] = world.incidents()
    world.act("close_incident", incident_id=incident.id)
    world.settle()
    incident = world.incident(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "manual")
    assert world.outside.messages == []


def test_second_trigger_for_the_same_incident_starts_no_second_response(world):
    incident, inquiry = asked(world)
    payload = {"incident_id": incident.id, "status": "firing", "severity": "critical"}
    world.engine.inject("selfheal.alert", payload)
    world.engine.inject("selfheal.alert", payload)
    world.settle()
    assert len(world.engine.pending_inquiries()) == 1
    world.engine.answer_inquiry(inquiry.id, {"approved": True})
    world.settle()
    assert sorted(output["outcome"] for output in world.outcomes()) == [
        "duplicate",
        "duplicate",
        "resolved",
    ]
    assert len(world.runs("remediate")) == 1


def test_trigger_for_a_closed_incident_does_nothing(world):
    incident = world.respond_to(alert("Fixable"))
    world.engine.inject("selfheal.alert", {"incident_id": incident.id, "status": "firing"})
    world.settle()
    assert [output["outcome"] for output in world.outcomes()] == ["resolved", "closed"]


def test_remediation_by_hand_needs_no_response(world):
    world.configure({"safety": {"autonomy": "suggest"}})
    incident = world.respond_to(alert("Fixable"))
    assert incident.status == "ticketed"
    output = world.act("automated_remediation", incident_id=incident.id)
    assert output == {"outcome": "resolved"}
    assert (world.directory / "well").exists()
    world.act("close_incident", incident_id=incident.id)
    assert world.incident(incident.id).status == "resolved"


def test_messages_wait_for_a_receiver_that_is_down(world):
    world.outside.refuses = True
    incident = world.respond_to(alert("Unknown"))
    assert incident.status == "escalated" and world.outside.messages == []
    world.outside.refuses = False
    world.pass_time(3600)
    world.housekeeping()
    world.housekeeping()
    assert len(world.told("escalation")) == 1


# What each task records last, and how its failure must come out. The disk fails at that moment.
FAILURES = [
    ("analyze", "Fixable", "analyzed", "analysis_failed"),
    ("decide", "Fixable", "decided", "analysis_failed"),
    ("request_approval", "Asked", "approval_requested", "approval_failed"),
    ("remediate", "Fixable", "remediation_started", "remediation_failed"),
    ("verify", "Fixable", "verified", "not_resolved"),
    ("undo", "Unfixable", "undo_finished", "undo_failed"),
    ("ticket", "UnknownWarning", "ticketed", "ticket_failed"),
    ("observe", "UnknownInfo", "observed", "observe_failed"),
    ("close", "Fixable", "resolved", "close_failed"),
]


@pytest.mark.parametrize(("task", "name", "kind", "reason"), FAILURES, ids=[f[0] for f in FAILURES])
def test_failure_of_a_task_reaches_the_engineer(world, task, name, kind, reason):
    world.open_store().close()
    world.break_when(kind)
    severity = {"UnknownWarning": "warning", "UnknownInfo": "info"}.get(name, "critical")
    incident = world.respond_to(alert(name, severity=severity))
    assert incident.status == "escalated", world.kinds(incident.id)
    assert [message["reason"] for message in world.told("escalation")] == [reason]
    assert world.outcomes()[0]["outcome"] == "escalated"


def test_failure_to_settle_an_answer_reaches_the_engineer(world):
    incident, inquiry = asked(world)
    world.break_when("approval_settled")
    world.engine.answer_inquiry(inquiry.id, {"approved": True})
    world.settle()
    assert world.incident(incident.id).status == "escalated"
    assert not (world.directory / "well").exists()
    assert [message["reason"] for message in world.told("escalation")] == ["approval_failed"]


def test_store_that_fails_the_escalation_cannot_silence_it(world):
    world.open_store().close()
    world.break_when("escalated")
    incident = world.respond_to(alert("Unknown"))
    assert incident.status != "escalated"
    [message] = world.told("escalation")
    assert message["incident"]["id"] == incident.id and message["recorded"] is False
    world.mend("escalated")
    world.pass_time(3600)
    world.housekeeping()
    assert world.incident(incident.id).status == "escalated"


def test_store_and_receiver_down_at_once_is_made_good_when_they_are_back(world):
    world.open_store().close()
    world.break_when("escalated")
    world.outside.refuses = True
    incident = world.respond_to(alert("Unknown"))
    [response] = world.runs("incident_response")
    assert response.status == "failed"
    assert response.result["output"]["outcome"] == "failed"
    assert len(world.runs("escalate_to_oncall")) == 3
    # The safety net was asked as well, and could not help either; nothing ran in circles.
    assert [one.status for one in world.runs("report_failure")] == ["failed"]
    world.mend("escalated")
    world.outside.refuses = False
    world.pass_time(3600)
    world.housekeeping()
    assert world.incident(incident.id).status == "escalated"
    assert len(world.told("escalation")) == 1


def test_intake_that_fails_is_told(world):
    world.engine.post_webhook("prometheus_alert", {"version": "4", "alerts": "none"})
    world.settle()
    assert [message["subject"] for message in world.told("failure")] == [
        "selfheal.ingest_alertmanager"
    ]


def test_dead_sensor_is_told(world):
    world.engine.inject(
        "core.st2.sensor.process_exit",
        {"id": "AlertmanagerSensor", "timestamp": 1.0, "exit_code": 3},
    )
    world.settle()
    assert [message["subject"] for message in world.told("failure")] == ["AlertmanagerSensor"]


def test_storm_is_told_once_and_all_are_answered_in_turn(world):
    world.configure({"safety": {"max_responses_per_batch": 2}})
    world.post(*[alert("Unknown", severity="info", instance="web-%d" % n) for n in range(5)])
    world.settle()
    assert [message["subject"] for message in world.told("failure")] == ["alert_storm"]
    assert "5 incidents at once" in world.told("failure")[0]["text"]
    for _ in range(3):
        world.housekeeping()
    assert {incident.status for incident in world.incidents()} == {"observed"}
    assert len(world.told("failure")) == 1

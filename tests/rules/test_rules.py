"""What starts what: each rule on the triggers that occur, and on those it must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from standalone.matching import rule_matches
from standalone.packs import load_pack
from standalone.rendering import render_rule_parameters

PACK = load_pack(Path(__file__).resolve().parents[2])
INCIDENT = "inc-01jd5k3x9q-8f2k1z"
EXECUTION = "6740a1b2c3d4e5f601234567"
HOSTILE = "{{ config_context.jira_password }} <% 6*7 %> {{ 6*7 }}"

ALERT = {
    "incident_id": INCIDENT,
    "severity": "critical",
    "alert_type": HOSTILE,
    "status": "firing",
    "source": "alertmanager",
    "alert_count": 3,
    "response_level": "auto",
}
ELK_ERROR = {
    "incident_id": INCIDENT,
    "type": "database",
    "alert_type": "DatabaseErrors",
    "severity": "error",
    "status": "firing",
    "source": "elk",
    "sample": HOSTILE,
    "host": HOSTILE,
    "program": HOSTILE,
    "namespace": HOSTILE,
    "count": 5,
    "dispatch": 7,
}
POD_UNHEALTHY = {
    "incident_id": INCIDENT,
    "alert_type": "PodCrashLooping",
    "severity": "error",
    "status": "firing",
    "source": "kubernetes",
    "cluster": HOSTILE,
    "namespace": HOSTILE,
    "workload": HOSTILE,
    "pod": HOSTILE,
    "reason": HOSTILE,
    "exit_code": 1,
    "dispatch": 7,
}
ENDED = {
    "execution_id": EXECUTION,
    "status": "failed",
    "start_timestamp": "2026-01-01T00:00:00Z",
    "action_name": "selfheal.incident_response",
    "action_ref": "selfheal.incident_response",
    "runner_ref": "orquesta",
    "parameters": {"incident_id": INCIDENT},
    "result": {"x": HOSTILE},
}


def started(name, payload):
    """The parameters with which the rule starts its action; None when it does not match."""
    rule = PACK.rules["selfheal." + name]
    matches, _ = rule_matches(rule, payload, None)
    if not matches:
        return None
    action = PACK.actions[rule.action_ref]
    return dict(
        render_rule_parameters(
            action, rule.action_parameters, payload, None, {"jira_password": "s3cret"}
        ).live
    )


@pytest.mark.parametrize(
    ("name", "payload", "parameters"),
    [
        ("intelligent_incident_response", ALERT, {"incident_id": INCIDENT}),
        ("elk_error_response", ELK_ERROR, {"incident_id": INCIDENT, "dispatch": 7}),
        ("pod_unhealthy_response", POD_UNHEALTHY, {"incident_id": INCIDENT, "dispatch": 7}),
        (
            "incident_resolved",
            {"incident_id": INCIDENT, "severity": "info", "source": "x"},
            {"incident_id": INCIDENT, "resolution": "self_resolved"},
        ),
        (
            "alert_storm",
            {"count": 90, "dispatched": 20, "waiting": 70, "worst_severity": "critical"},
            {
                "subject": "alert_storm",
                "status": "90 incidents at once, 20 being answered, 70 waiting, "
                "the worst is critical",
            },
        ),
        (
            "workflow_failed",
            ENDED,
            {
                "subject": "selfheal.incident_response",
                "status": "failed",
                "execution_id": EXECUTION,
                "incident_id": INCIDENT,
            },
        ),
        (
            "workflow_failed",
            dict(
                ENDED,
                action_ref="selfheal.ingest_alertmanager",
                status="timeout",
                parameters={"payload": {"alerts": [HOSTILE]}},
            ),
            {
                "subject": "selfheal.ingest_alertmanager",
                "status": "timeout",
                "execution_id": EXECUTION,
                "incident_id": "",
            },
        ),
        (
            "sensor_died",
            {"id": "AlertmanagerSensor", "timestamp": 1.0, "exit_code": 3, "object": {}},
            {"subject": "AlertmanagerSensor", "status": "ended with exit code 3"},
        ),
        (
            "sensor_died",
            {"id": "ElkErrorSensor", "timestamp": 1.0, "exit_code": 1, "object": {}},
            {"subject": "ElkErrorSensor", "status": "ended with exit code 1"},
        ),
        (
            "blind_spot",
            {
                "component": "database",
                "since": "2026-01-01T00:00:00.000Z",
                "minutes": 6,
                "error": HOSTILE,
            },
            {
                "subject": "blind_spot database",
                "status": "errors are not seen since 2026-01-01T00:00:00.000Z",
            },
        ),
        (
            "approval_asked",
            {"id": EXECUTION, "route": "selfheal.apr-01jd5k3x9q-8f2k1z"},
            {"inquiry_id": EXECUTION, "route": "selfheal.apr-01jd5k3x9q-8f2k1z"},
        ),
        ("housekeeping", {"executed_at": "2026-01-01T00:00:00Z", "schedule": None}, {}),
    ],
)
def test_rule_starts_its_action_with(name, payload, parameters):
    given = started(name, payload)
    assert {key: given[key] for key in parameters} == parameters


def test_nothing_of_a_log_reaches_the_response():
    given = started("elk_error_response", ELK_ERROR)
    assert {key: value for key, value in given.items() if value not in (None, "", False)} == {
        "incident_id": INCIDENT,
        "dispatch": 7,
    }


def test_webhook_body_reaches_the_intake_untouched():
    body = {
        "version": "4",
        "alerts": [{"labels": {HOSTILE: HOSTILE}, "annotations": {"a": "$(id)"}}],
        "truncatedAlerts": 0,
        "n": None,
        "yes": True,
    }
    given = started("alertmanager_webhook", {"body": body, "headers": {}, "headers_lower": {}})
    assert given["payload"] == body


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("intelligent_incident_response", dict(ALERT, status="resolved")),
        ("intelligent_incident_response", {"status": "firing"}),
        ("intelligent_incident_response", {}),
        ("elk_error_response", dict(ELK_ERROR, status="resolved")),
        ("pod_unhealthy_response", dict(POD_UNHEALTHY, status="resolved")),
        ("pod_unhealthy_response", {"status": "firing", "reason": HOSTILE}),
        ("elk_error_response", {"status": "firing", "sample": HOSTILE}),
        ("incident_resolved", {"severity": "info"}),
        ("workflow_failed", dict(ENDED, status="succeeded")),
        ("workflow_failed", dict(ENDED, action_ref="selfheal.automated_remediation")),
        ("workflow_failed", dict(ENDED, action_ref="other.incident_response")),
        ("workflow_failed", {"status": "failed"}),
        ("sensor_died", {"id": "SomebodyElsesSensor", "exit_code": 1}),
        ("sensor_died", {"exit_code": 1}),
        ("approval_asked", {"id": EXECUTION, "route": "somebody.else"}),
        ("approval_asked", {"id": EXECUTION, "route": ""}),
        ("approval_asked", {"id": EXECUTION}),
        ("alert_storm", {"waiting": 3}),
        ("alertmanager_webhook", {"headers": {}}),
    ],
)
def test_rule_leaves_alone(name, payload):
    assert started(name, payload) is None


@pytest.mark.parametrize("status", ["failed", "timeout", "canceled", "abandoned"])
@pytest.mark.parametrize("action", sorted(PACK.actions))
def test_safety_net_never_catches_itself(action, status):
    caught = started("workflow_failed", dict(ENDED, action_ref=action, status=status)) is not None
    net = {PACK.rules["selfheal.workflow_failed"].action_ref}
    assert caught == (action in ("selfheal.incident_response", "selfheal.ingest_alertmanager"))
    assert not (caught and action in net | {"selfheal.escalate_to_oncall", "selfheal.housekeeping"})


def test_sensors_of_the_pack_are_all_watched():
    watched = PACK.rules["selfheal.sensor_died"].criteria["trigger.id#2"]["pattern"]
    assert set(watched) == {sensor.class_name for sensor in PACK.sensors.values()}


def test_rules_give_templates_only_at_the_top_and_always_with_a_default():
    for rule in PACK.rules.values():
        for name, value in rule.action_parameters.items():
            if "{{" in str(value):
                assert isinstance(value, str), (rule.name, name)
                whole_body = (rule.name, name) == ("alertmanager_webhook", "payload")
                assert value.count("{{") == value.count("| default(") + whole_body


def test_first_criterion_of_every_rule_asks_whether_the_key_is_there():
    for rule in PACK.rules.values():
        if rule.criteria:
            first = next(iter(rule.criteria.values()))
            assert first == {"type": "exists", "pattern": True}, rule.name


def test_every_rule_is_on_and_says_what_happens_without_it():
    for rule in PACK.rules.values():
        assert rule.enabled, rule.name
        assert "Disabled, " in rule.description, rule.name

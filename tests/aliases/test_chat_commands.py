"""Chat commands: which action a line of chat means, with which parameters, how the answer reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from standalone import aliases
from standalone.packs import load_pack
from standalone.rendering import ParamError, render_task_input
from standalone.templates import render

PACK = load_pack(Path(__file__).resolve().parents[2])
INCIDENT = "inc-01jd5k3x9q-8f2k1z"
QUESTION = "apr-01jd5k3x9q-8f2k1z"
ALERT = '{"alertname": "ServiceDown", "severity": "critical", "instance": "web-1:9100"}'


def understood(text):
    """(alias, parameters before freezing) of the only alias that takes the line."""
    found = []
    for alias in PACK.aliases.values():
        matched = aliases.match(alias, text)
        if matched is not None:
            found.append((alias, matched[1]))
    assert len(found) == 1, "%r is taken by %s" % (text, [alias.name for alias, _ in found])
    return found[0]


def meant(text):
    """(action, parameters) that a line of chat starts."""
    alias, parameters = understood(text)
    return alias.action_ref, aliases.freeze(alias, parameters)


@pytest.mark.parametrize(
    ("text", "action", "parameters"),
    [
        ("heal list", "incident_list", {"status": "unresolved"}),
        ("heal list escalated", "incident_list", {"status": "escalated"}),
        (
            "heal list severity=critical",
            "incident_list",
            {"status": "unresolved", "severity": "critical"},
        ),
        ("heal show " + INCIDENT, "incident_get", {"incident_id": INCIDENT}),
        ("heal timeline " + INCIDENT, "incident_timeline", {"incident_id": INCIDENT}),
        (
            "heal close " + INCIDENT,
            "close_incident",
            {"incident_id": INCIDENT, "resolution": "manual", "run_id": ""},
        ),
        (
            "heal escalate " + INCIDENT,
            "escalate_to_oncall",
            {"incident_id": INCIDENT, "reason": "", "run_id": ""},
        ),
        ("heal undo " + INCIDENT, "undo_remediation", {"incident_id": INCIDENT, "run_id": ""}),
        ("heal respond " + INCIDENT, "incident_response", {"incident_id": INCIDENT}),
        ("heal approvals", "approval_list", {}),
        ("heal approve " + QUESTION, "approve", {"question": QUESTION, "comment": ""}),
        ("heal approve " + INCIDENT, "approve", {"question": INCIDENT, "comment": ""}),
        (
            "heal reject %s not before the sale is over" % QUESTION,
            "reject",
            {"question": QUESTION, "comment": "not before the sale is over"},
        ),
        ("heal check", "check_config", {}),
        ("heal stats", "stats", {"hours": "24"}),
        ("heal stats 168", "stats", {"hours": "168"}),
        ("heal audit all", "audit_verify", {"scope": "all"}),
        ("heal audit " + INCIDENT, "audit_verify", {"scope": INCIDENT}),
    ],
)
def test_line_starts_the_action(text, action, parameters):
    assert meant(text) == ("selfheal." + action, parameters)


@pytest.mark.parametrize(("word", "dry_run"), [("alert", "false"), ("try", "true")])
def test_alert_typed_in_chat_arrives_as_an_object(word, dry_run):
    action, parameters = meant("heal %s %s" % (word, ALERT))
    assert action == "selfheal.prometheus_alert_handler"
    assert json.loads(parameters.pop("alert_data")) == json.loads(ALERT)
    assert parameters == {"dry_run": dry_run}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("heal try %s dry_run=false" % ALERT, "dry_run"),
        ("heal alert %s dry_run=true" % ALERT, "dry_run"),
        ("heal close %s resolution=remediated" % INCIDENT, "resolution"),
        ("heal close %s run_id=6740a1b2c3d4e5f601234567" % INCIDENT, "run_id"),
        ("heal escalate %s reason=storm" % INCIDENT, "reason"),
        ("heal undo %s run_id=6740a1b2c3d4e5f601234567" % INCIDENT, "run_id"),
    ],
)
def test_dangerous_extra_word_is_refused(text, name):
    alias, parameters = understood(text)
    with pytest.raises(ValueError, match=name):
        aliases.freeze(alias, parameters)


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_nobody_says_in_chat_who_they_are(word):
    action, parameters = meant("heal %s %s who=alice" % (word, QUESTION))
    who = PACK.actions[action].parameters["who"]
    assert parameters["who"] == "alice" and who["immutable"] is True
    with pytest.raises(ParamError, match="who"):
        render_task_input(PACK.actions[action], parameters, {}, None, None, {"user": "bot"})


def test_library_function_cannot_be_named_from_chat():
    for alias in PACK.aliases.values():
        declared = PACK.actions[alias.action_ref].parameters
        if "function" in declared:
            assert declared["function"]["immutable"] is True


def test_every_parameter_that_an_alias_names_is_one_of_its_action():
    for alias in PACK.aliases.values():
        declared = set(PACK.actions[alias.action_ref].parameters)
        named = set(alias.immutable_parameters)
        for text in aliases.format_strings(alias):
            sample = text.replace("{{ incident_id }}", INCIDENT).replace("{{ alert_data }}", ALERT)
            sample = sample.replace("{{ question }}", QUESTION)
            named |= set(aliases.extract(text, sample.replace("{{ status=unresolved }}", "open")))
        assert named <= declared, alias.name


def answered(alias_name, status, result, parameters=None):
    """What chat shows for an execution that ended so."""
    alias = PACK.aliases["selfheal." + alias_name]
    execution = {"status": status, "result": result, "parameters": parameters or {}, "id": "1"}
    return render(alias.result["format"], {"execution": execution})


def python(**result):
    return {"result": result, "exit_code": 0, "stdout": "", "stderr": ""}


LISTED = {
    "incident_id": INCIDENT,
    "severity": "critical",
    "status": "escalated",
    "title": "web is down",
}
SHOWN = dict(
    LISTED,
    resolution=None,
    opened_at="2026-01-01T00:00:00Z",
    strategy="escalate",
    reasons=["the plan is destructive", "safe mode"],
    plan={"runbook": "restart", "risk": "reversible", "confidence": 0.9},
    executions=[{"started_at": "2026-01-01T00:00:01Z", "remedy": "runbook", "status": "done"}],
)
WAITING = {
    "approval_id": QUESTION,
    "incident_id": INCIDENT,
    "expires_at": "2026-01-01T00:30:00Z",
    "shown": {
        "title": "web is down",
        "severity": "critical",
        "what": {
            "runbook": "restart",
            "steps": [
                {
                    "number": 1,
                    "name": "stop",
                    "what": "run systemctl stop web",
                    "undo": "run systemctl start web",
                }
            ],
        },
        "where": {"scope": "prod/shop/web"},
        "risk": "disruptive",
        "confidence": 0.9,
        "why_asked": ["the plan is disruptive"],
        "guard": [],
    },
}
BARE = dict(SHOWN, strategy=None, reasons=None, plan=None, executions=[], resolution="manual")


@pytest.mark.parametrize(
    ("alias", "result", "lines"),
    [
        (
            "heal_list",
            python(incidents=[LISTED, LISTED], count=2),
            ["%s  critical  escalated  web is down" % INCIDENT] * 2,
        ),
        ("heal_list", python(incidents=[], count=0), ["No such incidents."]),
        (
            "heal_show",
            python(**SHOWN),
            [
                INCIDENT + ": web is down",
                "critical, escalated, opened 2026-01-01T00:00:00Z",
                "decided: escalate",
                "- the plan is destructive",
                "- safe mode",
                "plan: restart (reversible, confidence 0.9)",
                "2026-01-01T00:00:01Z runbook: done",
            ],
        ),
        (
            "heal_show",
            python(**BARE),
            [
                INCIDENT + ": web is down",
                "critical, escalated (manual), opened 2026-01-01T00:00:00Z",
            ],
        ),
        (
            "heal_timeline",
            python(
                incident_id=INCIDENT,
                status="resolved",
                entries=[
                    {
                        "at": "2026-01-01T00:00:00Z",
                        "kind": "opened",
                        "message": "it began",
                        "data": None,
                    },
                    {
                        "at": "2026-01-01T00:00:09Z",
                        "kind": "resolved",
                        "message": "it ended",
                        "data": {},
                    },
                ],
            ),
            [
                INCIDENT + " is resolved",
                "2026-01-01T00:00:00Z  it began",
                "2026-01-01T00:00:09Z  it ended",
            ],
        ),
        (
            "heal_close",
            python(incident_id=INCIDENT, status="resolved", closed=True, note=""),
            [INCIDENT + " is resolved"],
        ),
        (
            "heal_close",
            python(
                incident_id=INCIDENT, status="resolved", closed=False, note="it was closed before"
            ),
            [INCIDENT + " is resolved: it was closed before"],
        ),
        (
            "heal_escalate",
            python(incident_id=INCIDENT, status="escalated", escalated=True, note=""),
            [INCIDENT + " is escalated"],
        ),
        (
            "heal_approvals",
            python(approvals=[WAITING], count=1),
            [
                "%s about %s: critical, web is down" % (QUESTION, INCIDENT),
                "plan: restart on prod/shop/web (disruptive, confidence 0.9)",
                "1. stop: run systemctl stop web (undo: run systemctl start web)",
                "- the plan is disruptive",
                "until 2026-01-01T00:30:00Z: heal approve %s or heal reject %s"
                % (QUESTION, QUESTION),
            ],
        ),
        ("heal_approvals", python(approvals=[], count=0), ["Nothing waits for an answer."]),
        (
            "heal_approve",
            python(
                approval_id=QUESTION,
                incident_id=INCIDENT,
                status="approved",
                decided_by="alice",
                told=True,
                note="the response goes on",
            ),
            ["%s is approved by alice: the response goes on" % QUESTION],
        ),
        (
            "heal_undo",
            python(outcome="nothing", undone=0, failed=0),
            ["There was nothing to undo."],
        ),
        ("heal_undo", python(outcome="partly", undone=2, failed=1), ["2 undone, 1 failed."]),
        ("heal_alert", python(incident_id=INCIDENT, status="open"), [INCIDENT + " is open"]),
        (
            "heal_check",
            python(
                ok=False,
                table=[
                    {"what": "store", "state": "on", "detail": "sqlite", "do": ""},
                    {
                        "what": "notify",
                        "state": "off",
                        "detail": "",
                        "do": "set notify.webhook.url",
                    },
                ],
                problems=[],
            ),
            [
                "The configuration has problems.",
                "store: on, sqlite",
                "notify: off -> set notify.webhook.url",
            ],
        ),
    ],
)
def test_answer_reads_well(alias, result, lines):
    shown = answered(alias, "succeeded", result)
    assert [line for line in shown.splitlines() if line.strip()] == lines


def test_answer_of_a_response_names_its_outcome():
    shown = answered(
        "heal_respond",
        "succeeded",
        {"output": {"outcome": "resolved", "strategy": "automated"}},
        {"incident_id": INCIDENT},
    )
    assert shown.strip() == INCIDENT + ": resolved"


@pytest.mark.parametrize("alias", sorted(alias.name for alias in PACK.aliases.values()))
@pytest.mark.parametrize(
    "result",
    [
        python(error_type="NotFound", error="there is no incident 'x'", retryable=False),
        {"result": "None", "error": "Action failed to complete in 5 seconds", "exit_code": -9},
        {"error": "Parameter validation failed", "traceback": "..."},
        {"output": None, "errors": []},
    ],
)
def test_failure_is_told_and_never_breaks_the_answer(alias, result):
    shown = answered(alias, "failed", result, {"incident_id": INCIDENT})
    inner = result.get("result")
    wanted = (inner if isinstance(inner, dict) else result).get("error", "failed")
    if alias == "heal_respond":
        wanted = "failed"
    assert "did not" in shown and wanted in shown


def test_text_from_outside_is_shown_and_not_evaluated():
    hostile = "{{ 6*7 }} <% 6*7 %> {% raw %}"
    shown = answered(
        "heal_list", "succeeded", python(incidents=[dict(LISTED, title=hostile)], count=1)
    )
    assert hostile in shown and "42" not in shown


def test_a_question_from_before_plans_were_shown_is_listed_all_the_same():
    old = dict(WAITING, shown={})
    shown = answered("heal_approvals", "succeeded", python(approvals=[old], count=1))
    assert [line for line in shown.splitlines() if line.strip()] == [
        "%s about %s" % (QUESTION, INCIDENT),
        "until 2026-01-01T00:30:00Z: heal approve %s or heal reject %s" % (QUESTION, QUESTION),
    ]

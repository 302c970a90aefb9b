"""Messages say what is wrong, why a person is needed, what was done, and where to look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selfheal.incidents import model
from selfheal.notify import messages

ROOT = Path(__file__).resolve().parents[2]


def make(**fields):
    values = {
        "id": "inc-1",
        "group_key": "k",
        "source": "alertmanager",
        "alert_type": "ServiceDown",
        "title": "web is down",
        "severity": "critical",
        "status": "escalated",
        "response_level": "auto",
        "dry_run": False,
        "cluster": "prod",
        "namespace": "shop",
        "workload": "web",
        "instance": None,
        "service": None,
        "signal": {
            "labels": {"team": "shop"},
            "annotations": {"summary": "no answer", "runbook_url": "http://wiki.example/web"},
            "generator_url": "http://prometheus.example/graph",
        },
        "analysis": {
            "evidence": ["alert is active", {"asked": "alertmanager", "answer": "firing"}]
        },
        "plan": {
            "remedy": "runbook",
            "runbook": "restart-web",
            "risk": "reversible",
            "confidence": 0.8,
            "steps": [{"name": "restart", "kind": "command"}],
        },
        "strategy": "escalate",
        "reasons": ["confidence 0.5 is below 0.7"],
        "resolution": None,
        "run_id": "run-1",
        "attempts": 2,
        "reopened": 1,
        "alert_count": 3,
        "opened_at": 1_700_000_000.0,
        "updated_at": 1_700_000_000.0,
        "last_seen_at": 1_700_000_060.0,
        "dispatched_at": None,
        "cleared_at": None,
        "resolved_at": None,
    }
    values.update(fields)
    return model.Incident(**values)


ACCOUNT = messages.Account(
    make(),
    executions=[
        {
            "remedy": "runbook:restart-web",
            "risk": "reversible",
            "status": "failed",
            "dry_run": 0,
            "started_at": 1_700_000_010.0,
            "outcome": {"steps": [{"name": "restart", "status": "failed"}]},
        }
    ],
    not_undone=[{"step": "drain", "status": "failed", "outcome": None}],
    timeline=[{"at": 1_700_000_005.0, "kind": "opened", "message": "opened by 3 alerts"}],
)


def reasons_of_the_action():
    with open(str(ROOT / "actions" / "escalate_to_oncall.yaml"), encoding="utf-8") as source:
        return yaml.safe_load(source)["parameters"]["reason"]["enum"]


def test_every_reason_of_the_action_has_words_of_its_own():
    assert set(reasons_of_the_action()) == set(messages.REASONS)
    assert len({messages.why(reason) for reason in messages.REASONS}) == len(messages.REASONS)


@pytest.mark.parametrize("reason", sorted(messages.REASONS))
def test_escalation_tells_the_whole_story(reason):
    payload = messages.escalation(ACCOUNT, reason)
    text = payload["text"]
    lines = text.split("\n")
    assert lines[0] == "[critical] web is down"
    assert lines[1] == messages.why(reason)
    assert lines[2] == "Do first: %s" % payload["first"]
    for expected in (
        "inc-1",
        "cluster prod, namespace shop, workload web",
        "reopened 1 time.",
        "confidence 0.5 is below 0.7",
        "runbook:restart-web (reversible) at 22:13:30: failed; steps: restart failed",
        "drain (failed)",
        "runbook restart-web (risk reversible, confidence 0.8)",
        "step 1: restart (command)",
        "summary: no answer",
        "alert is active",
        "asked: alertmanager; answer: firing",
        "22:13:25 opened: opened by 3 alerts",
        "alert: http://prometheus.example/graph",
        "runbook: http://wiki.example/web",
        "st2 run selfheal.incident_timeline incident_id=inc-1",
    ):
        assert expected in text
    assert payload["severity"] == "critical" and payload["reason"] == (reason or "manual")
    assert payload["incident"]["opened_at"] == "2023-11-14T22:13:20.000Z"


def test_what_was_not_undone_comes_before_the_plan():
    text = messages.escalation(ACCOUNT, "undo_failed")["text"]
    assert text.index("NOT UNDONE") < text.index("Plan:") < text.index("Timeline")


def test_reasons_stand_under_the_decision_they_led_to():
    incident = make(strategy="automated", reasons=["the plan is reversible"])
    text = messages.escalation(messages.Account(incident), "not_resolved")["text"]
    assert "Decided was automated, because:\n  - the plan is reversible\n" in text


def test_a_finding_is_one_plain_line():
    evidence = [{"found": "0 other incidents", "what": "history"}]
    assert messages.evidence(make(analysis={"evidence": evidence})) == [
        "history: 0 other incidents"
    ]


def test_a_ticket_without_a_plan_does_not_ask_to_carry_one_out():
    assert "plan below" in messages.ticket(ACCOUNT)["first"]
    assert "plan" not in messages.ticket(messages.Account(make(plan=None)))["first"]


def test_bare_incident_makes_a_message_too():
    bare = make(
        signal={},
        analysis=None,
        plan=None,
        reasons=None,
        cluster=None,
        namespace=None,
        workload=None,
        reopened=0,
    )
    text = messages.escalation(messages.Account(bare), "analysis_failed")["text"]
    assert "Tried so far:\n  - nothing" in text
    assert "none: no runbook matches this alert" in text
    assert "NOT UNDONE" not in text and "Links:" not in text


def test_unknown_reason_is_told_as_it_was_given():
    assert messages.why("the\nmoon") == "Reason given: the moon"


def test_ticket_and_failures_are_told_apart():
    assert "office hours" in messages.ticket(ACCOUNT)["text"]
    failure = messages.failure("AlertmanagerSensor", "ended with exit code 3", "5f1")
    assert failure["title"] == "selfheal: AlertmanagerSensor: ended with exit code 3"
    assert "st2 execution get 5f1" in failure["text"]
    assert messages.why("storm") in messages.failure("alert_storm", "too many")["text"]
    lost = messages.unrecorded("inc-1", "not_resolved", "disk full")
    assert "inc-1" in lost["title"] and "disk full" in lost["text"] and lost["recorded"] is False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    title=st.text(),
    summary=st.text(max_size=3000),
    evidence=st.lists(JSON, max_size=30),
    message=st.text(max_size=3000),
    labels=st.dictionaries(st.text(max_size=20), st.text(max_size=2000), max_size=80),
)
def test_text_from_outside_never_breaks_the_form(title, summary, evidence, message, labels):
    incident = make(
        title=title,
        analysis={"evidence": evidence},
        signal={"labels": labels, "annotations": {"summary": summary}, "generator_url": summary},
    )
    account = messages.Account(
        incident, timeline=[{"at": 0.0, "kind": "note", "message": message}] * 50
    )
    payload = messages.escalation(account, "strategy")
    assert len(payload["text"]) <= messages.MAX_TEXT
    assert payload["text"].split("\n")[1] == messages.why("strategy")
    assert len(json.dumps(payload)) < 800_000


def test_huge_incident_is_cut_and_the_cut_is_marked():
    incident = make(
        signal={"labels": {}, "annotations": {"description": "x" * 1_000_000}, "generator_url": ""}
    )
    payload = messages.escalation(messages.Account(incident), "strategy")
    assert len(json.dumps(payload)) < 50_000
    assert "characters]" in payload["text"]

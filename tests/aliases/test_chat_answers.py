"""Chat commands: how the answer of what a line of chat has started reads, for results that need a
cluster or a workflow, for failures, and for what is missing. Real results are in
test_chat_conversations.
"""

from __future__ import annotations

import pytest

from tests.aliases.chat_lines import INCIDENT, QUESTION
from tests.aliases.chat_scene import PACK, answer, takers

ALIASES = sorted(alias.name for alias in PACK.aliases.values())


def answered(alias_name, status, result, parameters=None):
    """The lines that chat shows for an execution that ended so."""
    execution = {"status": status, "result": result, "parameters": parameters or {}, "id": "1"}
    shown = answer(PACK.aliases["selfheal." + alias_name], execution)
    return [line for line in shown.splitlines() if line.strip()]


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
    taken_by="",
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
    "code": "bcdfgh",
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
DONE = {
    "incident_id": INCIDENT,
    "outcome": "done",
    "undo_with": "heal undo " + INCIDENT,
    "summary": "done, on Deployment shop/cart: 3 pods restarted",
}
ASKED = "until 2026-01-01T00:30:00Z: heal approve %s%s or heal reject %s"


@pytest.mark.parametrize(
    ("alias", "result", "lines"),
    [
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
                "Next: heal ack " + INCIDENT,
            ],
        ),
        (
            "heal_show",
            python(
                **dict(
                    SHOWN, strategy=None, reasons=None, plan=None, executions=[],
                    resolution="manual", status="resolved",
                )
            ),
            [
                INCIDENT + ": web is down",
                "critical, resolved (manual), opened 2026-01-01T00:00:00Z",
                "Next: heal report " + INCIDENT,
            ],
        ),
        (
            "heal_close",
            python(
                incident_id=INCIDENT, status="resolved", closed=False, note="it was closed before"
            ),
            [INCIDENT + " is resolved: it was closed before", "Next: heal timeline " + INCIDENT],
        ),
        (
            "heal_approvals",
            python(approvals=[WAITING], count=1, whole=[]),
            [
                "%s about %s: critical, web is down" % (QUESTION, INCIDENT),
                "plan: restart on prod/shop/web (disruptive, confidence 0.9)",
                "1. stop: run systemctl stop web (undo: run systemctl start web)",
                "- the plan is disruptive",
                "all of it: heal approvals " + QUESTION,
                ASKED % (QUESTION, " bcdfgh", QUESTION),
            ],
        ),
        (
            # From before plans were shown, on a site without codes.
            "heal_approvals",
            python(approvals=[dict(WAITING, shown={}, code="")], count=1, whole=[]),
            [
                "%s about %s" % (QUESTION, INCIDENT),
                "all of it: heal approvals " + QUESTION,
                ASKED % (QUESTION, "", QUESTION),
            ],
        ),
        (
            "heal_approvals",
            python(
                approvals=[dict(WAITING, status="pending", is_too_late=False)], count=1,
                whole=["[critical] web is down", "   undo: run systemctl start web"],
            ),
            [
                "[critical] web is down", "   undo: run systemctl start web",
                ASKED % (QUESTION, " bcdfgh", QUESTION),
            ],
        ),
        (
            "heal_approvals",
            python(
                approvals=[dict(WAITING, status="rejected", is_too_late=False, code="")], count=1,
                whole=["%s about %s: rejected by ann" % (QUESTION, INCIDENT)],
            ),
            [
                "%s about %s: rejected by ann" % (QUESTION, INCIDENT),
                "Next: heal why " + INCIDENT,
            ],
        ),
        (
            "heal_show",
            python(**dict(SHOWN, strategy=None, reasons=[], plan=None, taken_by="ann")),
            [
                INCIDENT + ": web is down",
                "critical, escalated, opened 2026-01-01T00:00:00Z",
                "ann has it",
                "2026-01-01T00:00:01Z runbook: done",
                "When it is mended: heal close %s. What happened: heal report %s"
                % (INCIDENT, INCIDENT),
                "Next: heal runbooks for " + INCIDENT,
            ],
        ),
        ("heal_undo", python(outcome="partly", undone=2, failed=1), ["2 undone, 1 failed."]),
        ("heal_alert", python(incident_id=INCIDENT, status="open"), [INCIDENT + " is open"]),
        (
            "heal_try",
            python(incident_id=INCIDENT, status="open"),
            [INCIDENT + " is open, as a dry run."],
        ),
        ("heal_restart", python(**DONE), [DONE["summary"], "Next: heal undo " + INCIDENT]),
        (
            "heal_scale",
            python(**dict(DONE, outcome="awaiting_approval", undo_with="", summary="not yet: x")),
            ["not yet: x", "Next: heal approvals"],
        ),
        (
            "heal_cordon",
            python(**dict(DONE, outcome="refused", undo_with="", summary="refused, on Node n: x")),
            ["refused, on Node n: x", "Next: heal timeline " + INCIDENT],
        ),
        (
            "heal_ack",
            python(
                incident_id=INCIDENT, acknowledged=True, by="ann", at="2026-01-01T00:00:00Z",
                note="", is_new=True,
            ),
            [
                INCIDENT + " is with ann since 2026-01-01T00:00:00Z",
                "Next: heal runbooks for " + INCIDENT,
            ],
        ),
        (
            "heal_tickets",
            python(
                tickets=[
                    {
                        "tracker": "jira.default", "number": "OPS-7", "status": "open",
                        "state": "In Progress", "assignee": "Ann", "waiting": 2,
                        "incident_id": INCIDENT, "url": "https://jira/browse/OPS-7",
                    }
                ],
                count=1,
            ),
            [
                "jira.default OPS-7  open, In Progress, with Ann, 2 letters wait  %s  "
                "https://jira/browse/OPS-7" % INCIDENT,
                "Next: heal ticket sync",
            ],
        ),
    ],
)
def test_answer_reads_well(alias, result, lines):
    shown = answered(alias, "succeeded", result, {"incident_id": INCIDENT})
    assert shown[:len(lines)] == lines
    last = shown[-1]
    assert alias == "heal_approvals" or last.startswith("Next: heal ")
    assert alias == "heal_approvals" or len(takers(last[len("Next: "):])) == 1


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        ("resolved", []),
        ("duplicate", ["Nothing was done, another response has it."]),
        ("unknown", ["There is no such incident; heal incidents shows those there are."]),
    ],
)
def test_answer_of_a_response_names_its_outcome(outcome, more):
    result = {"output": {"outcome": outcome, "strategy": "automated"}}
    shown = answered("heal_respond", "succeeded", result, {"incident_id": INCIDENT})
    assert shown == ["%s: %s" % (INCIDENT, outcome), *more, "Next: heal why " + INCIDENT]


@pytest.mark.parametrize("alias", ALIASES)
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
    shown = "\n".join(answered(alias, "failed", result, {"incident_id": INCIDENT}))
    inner = result.get("result")
    wanted = (inner if isinstance(inner, dict) else result).get("error", "failed")
    if alias == "heal_respond":
        wanted = "failed"
    assert "did not" in shown and wanted in shown


@pytest.mark.parametrize("alias", ALIASES)
def test_an_error_with_text_from_outside_mentions_nobody(alias):
    hostile = "<!channel> @here <@U1> {{ 6*7 }} {% raw %}"
    result = python(error_type="Refused", error=hostile, retryable=False)
    shown = "\n".join(answered(alias, "failed", result, {"incident_id": INCIDENT}))
    for mention in ("<!", "<@", "@here", "42"):
        assert mention not in shown


def test_what_takes_long_is_acknowledged_in_words_of_its_own():
    """And names what was begun."""
    slow = {name for name in ALIASES if PACK.aliases["selfheal." + name].ack.get("enabled")}
    for name in slow:
        alias = PACK.aliases["selfheal." + name]
        assert "execution.parameters" in alias.ack["format"] and not alias.ack["append_url"]
    assert {"heal_respond", "heal_run", "heal_undo", "heal_restart"} <= slow

"""Every road through the two workflows: what each task answers, and how the workflow must end.

`PATHS` leads to each task, so that a test can try any answer of it; `CASES` are whole roads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from tests.workflows.plays import APPROVAL, did, ended, healed, said

RESPONSE = "incident_response"
REMEDIATION = "automated_remediation"
ABENDED = ("failed", "timeout", "abandoned")

_OK = did(incident_id="x", status="x", escalated=True)
_ANALYZED = {"analyze": did(state="claimed")}
_AUTOMATED = dict(_ANALYZED, decide=did(strategy="automated"))
_APPROVE = dict(_ANALYZED, decide=did(strategy="approve"))
_ASKED = dict(_APPROVE, request_approval=did(approval_id=APPROVAL))
_ANSWERED = dict(_ASKED, ask=said({"approved": True}))

# What must be answered before a task runs, by workflow and task.
PATHS: Dict[str, Dict[str, Mapping[str, Any]]] = {
    RESPONSE: {
        "analyze": {},
        "decide": _ANALYZED,
        "request_approval": _APPROVE,
        "ask": _ASKED,
        "settle_approval": _ANSWERED,
        "heal": _AUTOMATED,
        "ticket": dict(_ANALYZED, decide=did(strategy="manual")),
        "observe": dict(_ANALYZED, decide=did(strategy="ignore")),
        "close": dict(_AUTOMATED, heal=healed("resolved")),
        "escalate": dict(_ANALYZED, decide=did(strategy="escalate")),
    },
    REMEDIATION: {
        "remediate": {},
        "verify": {"remediate": did(outcome="done")},
        "undo": {"remediate": did(outcome="done"), "verify": did(resolved=False)},
    },
}
# The reason with which the failure of a task reaches the on-call engineer; for the remediation, its
# outcome.
FAILURES: Dict[str, Dict[str, str]] = {
    RESPONSE: {
        "analyze": "analysis_failed",
        "decide": "analysis_failed",
        "request_approval": "approval_failed",
        "settle_approval": "approval_failed",
        "heal": "remediation_failed",
        "ticket": "ticket_failed",
        "observe": "observe_failed",
        "close": "close_failed",
    },
    REMEDIATION: {
        "remediate": "remediation_failed",
        "verify": "not_resolved",
        "undo": "undo_failed",
    },
}


@dataclass(frozen=True)
class Case:
    """One road: the answers, the outcome, the task it ends with (and the reason, if `escalate`)."""

    name: str
    workflow: str
    answers: Mapping[str, Any]
    outcome: str
    last: str
    reason: Optional[str] = None
    strategy: str = "none"
    status: str = "succeeded"


def _response(
    name: str, path: str, answers: Mapping[str, Any], outcome: str, last: str, **more: Any
) -> Case:
    return Case(name, RESPONSE, dict(PATHS[RESPONSE][path], **answers), outcome, last, **more)


def _remediation(name: str, answers: Mapping[str, Any], outcome: str, last: str) -> Case:
    return Case(name, REMEDIATION, answers, outcome, last)


def _escalated(
    name: str, path: str, answers: Mapping[str, Any], reason: str, strategy: str = "none"
) -> Case:
    return _response(
        name,
        path,
        dict(answers, escalate=_OK),
        "escalated",
        "escalate",
        reason=reason,
        strategy=strategy,
    )


def _failures() -> List[Case]:
    cases = []
    for task, reason in FAILURES[RESPONSE].items():
        strategy = {
            "analyze": "none",
            "decide": "none",
            "ticket": "manual",
            "observe": "ignore",
        }.get(task, "approve" if "approval" in task else "automated")
        for status in ABENDED:
            cases.append(
                _escalated(
                    "%s %s" % (task, status), task, {task: ended(status, task)}, reason, strategy
                )
            )
    for status in ABENDED:
        cases.append(
            _escalated(
                "question %s" % status,
                "ask",
                {"ask": ended(status, "ask"), "settle_approval": did(verdict="expired")},
                "expired",
                "approve",
            )
        )
        cases.append(
            _response(
                "escalation %s" % status,
                "escalate",
                {"escalate": ended(status, "escalate")},
                "failed",
                "escalate",
                reason="strategy",
                strategy="escalate",
                status="failed",
            )
        )
        cases.append(
            _remediation(
                "remedy %s" % status,
                {"remediate": ended(status, "remediate"), "undo": did(outcome="nothing")},
                "remediation_failed",
                "undo",
            )
        )
        cases.append(
            _remediation(
                "verification %s" % status,
                {
                    "remediate": did(outcome="done"),
                    "verify": ended(status, "verify"),
                    "undo": did(outcome="undone"),
                },
                "not_resolved",
                "undo",
            )
        )
        cases.append(
            _remediation(
                "undo %s" % status,
                {
                    "remediate": did(outcome="done"),
                    "verify": did(resolved=False),
                    "undo": ended(status, "undo"),
                },
                "undo_failed",
                "undo",
            )
        )
    return cases


CASES = [
    _response(
        "automated and resolved",
        "heal",
        {"heal": healed("resolved"), "close": _OK},
        "resolved",
        "close",
        strategy="automated",
    ),
    _response(
        "cleared under the remediation",
        "heal",
        {"heal": healed("cleared"), "close": _OK},
        "self_resolved",
        "close",
        strategy="automated",
    ),
    _response(
        "dry run",
        "heal",
        {"heal": healed("planned"), "observe": _OK},
        "observed",
        "observe",
        strategy="automated",
    ),
    _escalated("refused by policy", "heal", {"heal": healed("refused")}, "refused", "automated"),
    _escalated(
        "not resolved", "heal", {"heal": healed("not_resolved")}, "not_resolved", "automated"
    ),
    _escalated("undo failed", "heal", {"heal": healed("undo_failed")}, "undo_failed", "automated"),
    _escalated(
        "remedy failed",
        "heal",
        {"heal": healed("remediation_failed")},
        "remediation_failed",
        "automated",
    ),
    _response(
        "approved and resolved",
        "settle_approval",
        {"settle_approval": did(verdict="approved"), "heal": healed("resolved"), "close": _OK},
        "resolved",
        "close",
        strategy="approve",
    ),
    _escalated(
        "approved and not resolved",
        "settle_approval",
        {"settle_approval": did(verdict="approved"), "heal": healed("not_resolved")},
        "not_resolved",
        "approve",
    ),
    _escalated(
        "answered no",
        "ask",
        {"ask": said({"approved": False}), "settle_approval": did(verdict="rejected")},
        "rejected",
        "approve",
    ),
    _escalated(
        "answered with nothing",
        "ask",
        {"ask": said(None), "settle_approval": did(verdict="rejected")},
        "rejected",
        "approve",
    ),
    _escalated(
        "answered too late",
        "ask",
        {"ask": said({"approved": True}), "settle_approval": did(verdict="expired")},
        "expired",
        "approve",
    ),
    _response(
        "cleared while asked",
        "ask",
        {"ask": said({"approved": False}), "settle_approval": did(verdict="cleared"), "close": _OK},
        "self_resolved",
        "close",
        strategy="approve",
    ),
    _response("manual", "ticket", {"ticket": _OK}, "ticketed", "ticket", strategy="manual"),
    _response("ignored", "observe", {"observe": _OK}, "observed", "observe", strategy="ignore"),
    _escalated("decided to escalate", "escalate", {}, "strategy", "escalate"),
    _response(
        "closed before it could be escalated",
        "escalate",
        {"escalate": did(escalated=False, status="resolved")},
        "closed",
        "escalate",
        strategy="escalate",
    ),
    _response(
        "nobody is called in a dry run",
        "escalate",
        {"escalate": did(escalated=False, status="observed")},
        "observed",
        "escalate",
        strategy="escalate",
    ),
    _response(
        "another response has it at the escalation",
        "escalate",
        {"escalate": did(escalated=False, status="analyzing")},
        "duplicate",
        "escalate",
        strategy="escalate",
    ),
    _response(
        "another response has it",
        "analyze",
        {"analyze": did(state="taken")},
        "duplicate",
        "analyze",
    ),
    _response("closed already", "analyze", {"analyze": did(state="closed")}, "closed", "analyze"),
    _response("not there", "analyze", {"analyze": did(state="unknown")}, "unknown", "analyze"),
    _response(
        "cleared before",
        "analyze",
        {"analyze": did(state="cleared"), "close": _OK},
        "self_resolved",
        "close",
    ),
    _response(
        "escalated at the third try",
        "escalate",
        {"escalate": [ended("failed", "escalate"), ended("timeout", "escalate"), _OK]},
        "escalated",
        "escalate",
        reason="strategy",
        strategy="escalate",
    ),
    _escalated(
        "no id for the question",
        "request_approval",
        {"request_approval": did()},
        "approval_failed",
        "approve",
    ),
    _remediation(
        "proven",
        {"remediate": did(outcome="done"), "verify": did(resolved=True)},
        "resolved",
        "verify",
    ),
    _remediation(
        "not proven, undone",
        {
            "remediate": did(outcome="done"),
            "verify": did(resolved=False),
            "undo": did(outcome="undone"),
        },
        "not_resolved",
        "undo",
    ),
    _remediation(
        "not proven, nothing to undo",
        {
            "remediate": did(outcome="done"),
            "verify": did(resolved=False),
            "undo": did(outcome="nothing"),
        },
        "not_resolved",
        "undo",
    ),
    _remediation(
        "not proven, undone in part",
        {
            "remediate": did(outcome="done"),
            "verify": did(resolved=False),
            "undo": did(outcome="partly"),
        },
        "undo_failed",
        "undo",
    ),
    _remediation(
        "remedy failed, undone",
        {"remediate": did(outcome="failed"), "undo": did(outcome="undone")},
        "remediation_failed",
        "undo",
    ),
    _remediation(
        "cleared meanwhile", {"remediate": did(outcome="cleared")}, "cleared", "remediate"
    ),
    _remediation("refused", {"remediate": did(outcome="refused")}, "refused", "remediate"),
    _remediation("planned only", {"remediate": did(outcome="planned")}, "planned", "remediate"),
] + _failures()

"""Which events of a timeline a ticket tells, and what it says of each."""

from __future__ import annotations

import pytest

from selfheal.document import plain
from selfheal.tickets import stages
from selfheal.tickets.stages import Event
from tests import scene


def event(kind, link=1, message="words of the event", **data):
    return Event(link, scene.START, kind, message, data)


def told(kind, **data):
    return plain(stages.comment(event(kind, **data)))


@pytest.mark.parametrize("kind", stages.told_kinds())
def test_each_stage_begins_with_what_it_is_and_when(kind):
    data = {"outcome": "done", "undone": 1}
    assert stages.is_told(event(kind, **data))
    first = told(kind, **data).splitlines()[0]
    assert first.endswith("(2023-11-14 22:13:20 UTC)") and len(first) > 30


@pytest.mark.parametrize(
    "kind",
    [
        "opened", "dispatched", "alert_attached", "alert_resolved", "notified", "undo_step",
        "remediation_step", "breaker_changed", "guard_allowed", "ticket_created",
        "ticket_closed_by_hand", "execution", "resolved", "approval_used",
    ],
)
def test_what_is_no_news_to_people_is_not_told(kind):
    assert not stages.is_told(event(kind))


@pytest.mark.parametrize(
    ("kind", "data"),
    [("remediation_finished", {"outcome": "refused"}), ("undo_finished", {"undone": 0})],
)
def test_what_was_told_otherwise_or_did_not_happen_is_not_told(kind, data):
    assert not stages.is_told(event(kind, **data))


def test_diagnostics_list_what_was_found():
    words = told("analyzed", evidence=[{"what": "pod cart-1", "found": "OOMKilled 4 times"}])
    assert "- pod cart-1: OOMKilled 4 times" in words


def test_decision_tells_reasons_risk_and_what_forbade_it():
    words = told(
        "decided", strategy="approve", reasons=["the plan is disruptive"], risk="disruptive",
        confidence=0.8, objections=[{"rule": "budget", "reason": "used up"}],
    )
    assert "Decision: approve" in words and "- the plan is disruptive" in words
    assert "- forbidden by budget: used up" in words
    assert "Risk of the plan: disruptive, confidence 0.8" in words


def test_remedy_tells_its_steps_and_verification_its_checks():
    steps = [{"name": "restart", "status": "ok"}]
    words = told("remediation_finished", outcome="done", steps=steps)
    assert "- step restart: ok" in words
    words = told("verified", checks=[{"asked": "GET /well", "answer": "200", "healthy": True}])
    assert "- GET /well: 200 (healthy)" in words
    words = told("not_verified", checks=[{"asked": "GET /well", "answer": "503", "healthy": False}])
    assert "- GET /well: 503 (NOT healthy)" in words


def test_what_happened_before_the_ticket_is_one_comment_without_the_diagnostics():
    found = stages.before(
        [event("opened"), event("analyzed"), event("decided", 2, "escalate: no runbook"),
         event("remediation_started", 3, "runbook restart begins")]
    )
    assert plain(found) == (
        "What was done before this ticket\n\n"
        "- Decision: escalate: no runbook\n- Remediation started: runbook restart begins"
    )
    assert stages.before([event("opened"), event("analyzed")]) == ()


def test_resolution_carries_what_was_done_and_its_proof():
    end = event("resolved", 9, "closed: the remediation worked", resolution="remediated")
    opening = [
        event("remediation_finished", 5, "done: all steps", outcome="done",
              steps=[{"name": "restart", "status": "ok"}]),
        event("verified", 6, "all 1 checks stayed healthy for 60 s",
              checks=[{"asked": "alert", "answer": "resolved", "healthy": True}]),
    ]
    words = plain(stages.resolution(end, opening))
    for part in ("Resolution: remediated", "Done: done: all steps", "- step restart: ok",
                 "Proof: all 1 checks stayed healthy", "- alert: resolved (healthy)"):
        assert part in words
    short = plain(stages.closing(end, opening))
    assert "Done: all steps." in short and "stayed healthy" in short


def test_resolution_without_a_remedy_says_that_nothing_was_done():
    end = event("resolved", message="closed: the signal went away by itself")
    assert "Nothing was done by selfheal." in plain(stages.resolution(end, []))


@pytest.mark.parametrize("kind", stages.told_kinds())
@pytest.mark.parametrize("junk", [None, 7, "text", [1, None, "x"], {"a": 1}, [[1]]])
def test_data_that_nobody_here_wrote_is_told_as_far_as_it_goes(kind, junk):
    keys = ("evidence", "reasons", "objections", "steps", "checks", "outcome", "strategy")
    assert plain(stages.comment(event(kind, **dict.fromkeys(keys, junk))))


def test_long_lists_are_cut_with_a_mark():
    evidence = [{"what": "fact %d" % n, "found": "x" * 3000} for n in range(200)]
    words = told("analyzed", evidence=evidence)
    assert "- and 170 more" in words and len(words) < 20000

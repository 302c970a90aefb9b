"""Who did what to a ticket, as far as each tracker tells."""

from __future__ import annotations

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import ExternalError
from selfheal.tickets.model import ASSIGNEE, STATE
from selfheal.tickets.servicenow import tracker as servicenow_tracker
from tests.stub_jira import Stub as Jira
from tests.tickets import jira_scene, servicenow_scene

START = 1_700_000_000.0


def test_jira_history_tells_who_changed_the_status_last(jira_stub):
    tracker = jira_scene.opened(jira_stub)
    ref = tracker.create(jira_scene.draft()).ref
    assert tracker.author(ref, STATE) is None and tracker.author(ref, ASSIGNEE) is None
    tracker.resolve(ref, (), START)
    assert tracker.author(ref, STATE).is_us
    jira_stub.assign_by_hand(ref, "bob")
    found = tracker.author(ref, STATE)
    assert found.is_us and not found.is_machine
    jira_stub.close_by_hand(ref)
    found = tracker.author(ref, STATE)
    assert not found.is_us and found.names[0] == "Ann" and "ann@example.net" in found.names
    assert tracker.author(ref, ASSIGNEE).names == found.names


def test_jira_history_that_begins_with_hundreds_of_others_is_read_from_the_right_end(jira_stub):
    tracker = jira_scene.opened(jira_stub)
    ref = tracker.create(jira_scene.draft()).ref
    for number in range(150):
        jira_stub.assign_by_hand(ref, ("ann", "bob")[number % 2])
    tracker.resolve(ref, (), START)
    jira_stub.close_by_hand(ref)
    tracker.reopen(ref, ())
    assert tracker.author(ref, STATE).is_us
    jira_stub.reopen_by_hand(ref)
    jira_stub.close_by_hand(ref)
    assert not tracker.author(ref, STATE).is_us


def test_jira_calls_its_apps_no_people():
    with Jira("cloud") as stub:
        tracker = jira_scene.opened(stub)
        ref = tracker.create(jira_scene.draft()).ref
        stub.assign_by_hand(ref, "bob", by="automation")
        found = tracker.author(ref, ASSIGNEE)
        assert found.is_machine and not found.is_us


@pytest.mark.parametrize("grant", ["basic", "client_credentials"])
@pytest.mark.parametrize("hidden", ["", "audit", "closers"])
def test_servicenow_tells_who_ended_a_ticket(servicenow_stub, grant, hidden):
    given = servicenow_stub.settings() if grant == "basic" else servicenow_stub.oauth(grant)
    tracker = servicenow_tracker(Context(Config({"servicenow": given})))
    if hidden:
        servicenow_stub.forbidden.add(("GET", "sys_audit"))
    if hidden == "closers":
        servicenow_stub.tables.tells_who = False
    ours = tracker.create(servicenow_scene.draft("a")).ref
    theirs = tracker.create(servicenow_scene.draft("b")).ref
    tracker.resolve(ours, servicenow_scene.TEXT, START)
    servicenow_stub.close_by_hand(theirs)
    assert tracker.author(ours, STATE).is_us
    if hidden != "closers":
        servicenow_stub.comment_by_hand(ours, "thanks")
        servicenow_stub.row(ours)["sys_updated_by"] = "ann"
        assert tracker.author(ours, STATE).is_us
        found = tracker.author(theirs, STATE)
        assert not found.is_us and found.names == ("ann",)
    else:  # who changed it last may have done something else
        assert tracker.author(theirs, STATE) is None


def test_servicenow_whose_audit_takes_too_long_tells_by_the_record_who_ended_it(servicenow_stub):
    tracker = servicenow_scene.tracker(servicenow_stub)
    ours = tracker.create(servicenow_scene.draft("a")).ref
    tracker.resolve(ours, servicenow_scene.TEXT, START)
    servicenow_stub.forbidden.add(("slow", "sys_audit"))
    assert tracker.author(ours, STATE).is_us
    with pytest.raises(ExternalError, match="maximum execution time"):
        tracker.author(ours, ASSIGNEE)  # of that the record says too little


@pytest.mark.parametrize("is_shown", [True, False])
def test_servicenow_tells_who_assigned_a_ticket_as_far_as_it_is_allowed(servicenow_stub, is_shown):
    tracker = servicenow_scene.tracker(servicenow_stub)
    if not is_shown:
        servicenow_stub.forbidden.add(("GET", "sys_audit"))
    ref = tracker.create(servicenow_scene.draft()).ref
    servicenow_stub.assign_by_hand(ref, "bob", by="system")
    found = tracker.author(ref, ASSIGNEE)
    assert found.is_machine and not found.is_us
    tracker.comment(ref, servicenow_scene.TEXT, "msg-1")
    found = tracker.author(ref, ASSIGNEE)
    assert found.is_machine if is_shown else found is None

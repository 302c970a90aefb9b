"""Where tickets stand in ServiceNow: resolved and reopened once, followed wherever people take
them, and refused where it is final.
"""

from __future__ import annotations

import pytest

from selfheal import document
from selfheal.apis.servicenow.text import moment
from selfheal.exceptions import ConfigError, NotFound, Refused
from selfheal.tickets.model import CANCELLED, CLOSED, IN_PROGRESS, OPEN, RESOLVED
from tests.scene import START
from tests.tickets.servicenow_scene import TEXT, draft, tracker


def test_a_ticket_is_resolved_once(servicenow_stub):
    mine = tracker(servicenow_stub, close_code="Workaround provided")
    ref = mine.create(draft()).ref
    for _ in range(2):
        mine.resolve(ref, (document.text("restarted"),), START - 60)
    row = servicenow_stub.row(ref)
    assert (row["state"], row["close_code"]) == ("6", "Workaround provided")
    assert (row["close_notes"], row["resolved_at"]) == ("restarted", moment(START - 60))
    assert row["sys_mod_count"] == "1"
    assert mine.read([ref])[ref].state == RESOLVED


def test_a_state_that_was_not_kept_is_said(servicenow_stub):
    mine = tracker(servicenow_stub, states={"resolved": "60"})
    ref = mine.create(draft()).ref
    with pytest.raises(Refused, match=r"did not take the state 60.*servicenow\.states"):
        mine.resolve(ref, TEXT, START)


def test_a_close_code_that_is_none_is_said(servicenow_stub):
    mine = tracker(servicenow_stub, close_code="Solved (Permanently)")
    ref = mine.create(draft()).ref
    with pytest.raises(Refused, match=r"close_code.*servicenow\.close_code"):
        mine.resolve(ref, TEXT, START)
    assert mine.read([ref])[ref].state == OPEN


def test_a_resolved_ticket_is_reopened_and_a_closed_one_is_not(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref = mine.create(draft()).ref
    mine.reopen(ref, TEXT)
    assert mine.read([ref])[ref].state == OPEN
    mine.resolve(ref, TEXT, START)
    for _ in range(2):
        mine.reopen(ref, TEXT)
        assert mine.read([ref])[ref].state == IN_PROGRESS
    assert servicenow_stub.row(ref)["reopen_count"] == "1"
    servicenow_stub.close_by_hand(ref)
    mine.resolve(ref, TEXT, START)
    with pytest.raises(Refused, match="make a new ticket"):
        mine.reopen(ref, TEXT)
    assert mine.read([ref])[ref].state == CLOSED
    assert servicenow_stub.ticket("inc-1")["comments"] == []


def test_a_missing_right_waits_and_a_closed_ticket_does_not(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref = mine.create(draft()).ref
    servicenow_stub.tables.is_read_only = True
    with pytest.raises(ConfigError, match="ACL Exception.*a right is missing"):
        mine.comment(ref, TEXT, "m")
    with pytest.raises(ConfigError):
        mine.resolve(ref, TEXT, START)
    servicenow_stub.close_by_hand(ref)
    with pytest.raises(Refused, match="ACL Exception"):
        mine.comment(ref, TEXT, "m")


def test_what_people_did_is_read(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref = mine.create(draft()).ref
    servicenow_stub.assign_by_hand(ref, "bob")
    found = mine.read([ref])[ref]
    assert (found.assignee, found.state, found.updated_by) == ("Bob Ray", IN_PROGRESS, "ann")
    servicenow_stub.row(ref)["state"] = "8"
    assert mine.read([ref])[ref].state == CANCELLED
    servicenow_stub.row(ref)["state"] = "17"
    assert mine.read([ref])[ref].state == IN_PROGRESS
    servicenow_stub.row(ref)["active"] = "false"
    assert mine.read([ref])[ref].state == CLOSED


def test_a_ticket_that_moved_is_followed_with_comments_only(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref = mine.create(draft()).ref
    servicenow_stub.move_by_hand(ref)
    found = mine.read([ref])[ref]
    assert (found.kind, found.state) == ("problem", IN_PROGRESS)
    assert "uri=problem.do" in found.url
    mine.comment(ref, TEXT, "msg-1")
    assert mine.has_comment(ref, "msg-1")
    mine.attach(ref, "a.txt", b"x", "text/plain")
    for act in (lambda: mine.resolve(ref, TEXT, START), lambda: mine.to_state(found, "new", {})):
        with pytest.raises(Refused, match="kind problem"):
            act()
    servicenow_stub.forbidden.add(("GET", "task"))
    assert mine.read([ref]) == {}


def test_a_deleted_ticket_is_gone(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref, other = mine.create(draft()).ref, mine.create(draft("inc-2")).ref
    servicenow_stub.delete_by_hand(ref)
    assert list(mine.read([ref, other])) == [other]
    for act in (
        lambda: mine.comment(ref, TEXT, "m"),
        lambda: mine.has_comment(ref, "m"),
        lambda: mine.set_severity(ref, "info"),
        lambda: mine.resolve(ref, TEXT, START),
        lambda: mine.reopen(ref, TEXT),
        lambda: mine.attach(ref, "a", b"x", "text/plain"),
    ):
        with pytest.raises(NotFound):
            act()


def test_many_tickets_are_read_at_once(servicenow_stub):
    mine = tracker(servicenow_stub)
    refs = [servicenow_stub.tables.create({}, "ann")["sys_id"] for _ in range(120)]
    assert sorted(mine.read(refs)) == sorted(refs)
    assert len(servicenow_stub.requests) == 3

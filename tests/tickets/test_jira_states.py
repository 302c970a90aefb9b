"""Where issues stand in Jira, Cloud and Data Center alike: resolved and reopened once through their
workflow, and read back as people left them.
"""

import pytest

from selfheal.exceptions import NotFound, Refused
from selfheal.tickets import model
from tests.tickets.jira_scene import BODY, draft, opened


@pytest.fixture
def jira(jira_stub):
    return opened(jira_stub)


def test_the_priority_follows_once(jira_stub, jira):
    ref = jira.create(draft()).ref
    for _ in range(2):
        jira.set_severity(ref, "warning")
    assert jira_stub.tickets()[0]["severity"] == "Medium"
    assert sum(one["method"] == "PUT" for one in jira_stub.requests) == 1
    jira.set_severity(ref, "no such severity")
    jira_stub.screen.discard("priority")
    with pytest.raises(Refused, match=r"jira\.priorities\.info"):
        jira.set_severity(ref, "info")


def test_a_ticket_is_resolved_through_its_workflow_and_once(jira_stub, jira):
    ref = jira.create(draft()).ref
    for _ in range(2):
        jira.resolve(ref, BODY, 0.0)
    one = jira_stub.tickets()[0]
    assert (one["raw_state"], one["resolution"], one["comments"]) == ("Done", "Done", [])
    sent = [one["path"] for one in jira_stub.requests if one["method"] == "POST"]
    assert sum(path.endswith("/transitions") for path in sent) == 3
    assert jira.read([ref])[ref].state == model.RESOLVED


def test_a_ticket_that_a_person_gave_up_is_not_resolved_anew(jira_stub, jira):
    ref = jira.create(draft()).ref
    jira_stub._by_hand(ref, status="Won't Do", resolution="Duplicate")
    jira.resolve(ref, BODY, 0.0)
    assert jira_stub.tickets()[0]["raw_state"] == "Won't Do"


def test_a_ticket_is_reopened_once_and_an_open_one_is_left(jira_stub, jira):
    ref = jira.create(draft()).ref
    jira.reopen(ref, BODY)
    assert sum(one["method"] == "POST" for one in jira_stub.requests) == 1
    jira.resolve(ref, BODY, 0.0)
    for _ in range(2):
        jira.reopen(ref, BODY)
    assert jira_stub.tickets()[0]["raw_state"] == "To Do"
    jira_stub.close_by_hand(ref)
    assert jira.read([ref])[ref].state == model.CANCELLED  # closed as Won't Do
    jira.reopen(ref, BODY)
    assert jira.read([ref])[ref].state == model.OPEN


def test_a_reopened_ticket_goes_where_the_settings_say(jira_stub):
    jira = opened(jira_stub, reopen_status=["In Progress"])
    ref = jira.create(draft()).ref
    jira.resolve(ref, BODY, 0.0)
    jira.reopen(ref, BODY)
    assert jira_stub.tickets()[0]["raw_state"] == "In Progress"


def test_a_type_without_an_end_refuses_to_be_resolved(jira_stub, jira):
    ref = jira.create(draft()).ref
    jira_stub.change_kind_by_hand(ref)
    with pytest.raises(Refused, match="has no way to a status of category done.*Considered"):
        jira.resolve(ref, BODY, 0.0)
    assert jira_stub.tickets()[0]["raw_state"] == "Draft"
    assert jira.read([ref])[ref].kind == "Idea"


def test_what_people_did_is_read_back(jira_stub, jira):
    refs = [jira.create(draft(number)).ref for number in range(4)]
    jira_stub.assign_by_hand(refs[0])
    jira_stub.move_by_hand(refs[1])
    jira_stub.delete_by_hand(refs[2])
    jira_stub.resolve_by_hand(refs[3])
    found = jira.read(refs)
    assert found[refs[0]].assignee == "Ann"
    assert found[refs[1]].number == "NET-1" and found[refs[1]].url.endswith("/browse/NET-1")
    assert refs[2] not in found
    assert found[refs[3]].state == model.RESOLVED and found[refs[3]].raw_state == "Done"
    assert jira.read([]) == {}


def test_a_ticket_that_is_gone_is_not_found_by_anything(jira_stub, jira):
    ref = jira.create(draft()).ref
    jira_stub.delete_by_hand(ref)
    for write in (
        lambda: jira.comment(ref, BODY, "msg-1"),
        lambda: jira.has_comment(ref, "msg-1"),
        lambda: jira.set_severity(ref, "info"),
        lambda: jira.resolve(ref, BODY, 0.0),
        lambda: jira.reopen(ref, BODY),
        lambda: jira.attach(ref, "a.txt", b"x", "text/plain"),
    ):
        with pytest.raises(NotFound):
            write()

"""Issues on their way through workflows: by name or by status, required fields filled or named."""

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import Refused
from selfheal.tickets.jira import tracker
from selfheal.tickets.jira_moves import move_by_name
from selfheal.tickets.model import Draft
from tests.stub_jira import Stub
from tests.stub_jira_rules import OPEN, WITH_REVIEW

LONG = {
    "To Do": [("1", "a", "In Progress", {})],
    "In Progress": [("2", "b", "To Do", {}), ("3", "c", "In Review", {})],
    "In Review": [("4", "d", "Draft", {})],
    "Draft": [("5", "e", "Considered", {})],
    "Considered": [("6", "f", "Done", {"resolution": True})],
    "Done": [],
}


@pytest.fixture
def opened():
    """(stub, tracker, the id of a fresh issue) for a workflow and settings."""
    stubs = []

    def made(workflow=None, flavour="cloud", **settings):
        stub = Stub(flavour, workflow=workflow)
        stubs.append(stub)
        jira = tracker(Context(Config({"jira": stub.settings(**settings)})))
        ticket = jira.create(Draft("selfheal-inc-1-0", "inc-1", "x", "info", ()))
        return stub, jira, ticket.ref

    yield made
    for stub in stubs:
        stub.__exit__()


def moved(jira, ref, name, resolution=""):
    return move_by_name(jira.site, jira.settings, ref, name, resolution)


def row(stub):
    return stub.tickets()[0]["row"]


@pytest.mark.parametrize("workflow", [WITH_REVIEW, OPEN, LONG], ids=["review", "open", "long"])
@pytest.mark.parametrize("flavour", ["cloud", "datacenter"])
def test_a_resolved_issue_is_done_whatever_lies_between(opened, workflow, flavour):
    stub, jira, ref = opened(workflow, flavour)
    jira.resolve(ref, (), 0.0)
    assert row(stub)["status"] == "Done"
    assert row(stub)["resolution"] == "Done"


def test_the_shortest_way_that_is_known_is_taken(opened):
    stub, jira, ref = opened()
    assert moved(jira, ref, "Done") == ["Start work", "To review", "Finish"]
    assert moved(jira, ref, "Done") == []


@pytest.mark.parametrize("name, ends", [
    ("Start work", "In Progress"), ("START WORK", "In Progress"), ("in review", "In Review"),
    ("Give up", "Won't Do"), ("Won't do", "Won't Do"), ("closed", "Closed"),
    ("in progress", "In Progress"), ("To Do", "To Do"),
])
def test_a_transition_or_a_status_is_meant_by_its_name(opened, name, ends):
    stub, jira, ref = opened()
    moved(jira, ref, name)
    assert row(stub)["status"] == ends


def test_a_category_is_meant_where_no_status_is_called_so(opened):
    workflow = {
        "To Do": [("1", "Go", "In Review", {}), ("2", "Drop", "Won't Do", {})],
        "In Review": [("3", "Ship", "Closed", {})], "Won't Do": [], "Closed": [],
    }
    stub, jira, ref = opened(workflow)
    assert moved(jira, ref, "in progress") == ["Go"]
    assert moved(jira, ref, "done") == ["Ship"]
    assert row(stub)["status"] == "Closed"


@pytest.mark.parametrize("workflow", [OPEN, WITH_REVIEW, LONG], ids=["open", "review", "long"])
def test_a_name_that_leads_nowhere_changes_nothing(opened, workflow):
    stub, jira, ref = opened(workflow)
    with pytest.raises(Refused, match="has no way to Banana; its statuses are: To Do, In Progress"):
        moved(jira, ref, "Banana")
    assert row(stub)["status"] == "To Do"


def test_a_dead_end_says_what_is_offered(opened):
    stub, jira, ref = opened({"To Do": [("1", "Give up", "Won't Do", {})], "Won't Do": []})
    with pytest.raises(Refused, match=r"is in To Do .*Give up \(to Won't Do\)"):
        jira.resolve(ref, (), 0.0)
    assert row(stub)["status"] == "To Do"


def test_an_end_that_gives_up_counts_when_the_settings_name_it(opened):
    stub, jira, ref = opened(done_status=["Won't Do"])
    jira.resolve(ref, (), 0.0)
    assert row(stub)["status"] == "Won't Do"


def test_without_the_right_there_is_no_way(opened):
    stub, jira, ref = opened()
    stub.forbidden.add("transition")
    with pytest.raises(Refused, match="it offers us nothing"):
        jira.resolve(ref, (), 0.0)


@pytest.mark.parametrize("wanted, expected", [
    ("Fixed", "Fixed"), ("fixed", "Fixed"), ("No such", "Done"), ("", "Done"),
])
def test_the_resolution_is_the_one_of_the_settings_or_one_that_says_done(
    opened, wanted, expected
):
    stub, jira, ref = opened(resolution=wanted)
    jira.resolve(ref, (), 0.0)
    assert row(stub)["resolution"] == expected


def test_a_resolution_by_hand_comes_before_that_of_the_settings(opened):
    stub, jira, ref = opened()
    moved(jira, ref, "Done", "Duplicate")
    assert row(stub)["resolution"] == "Duplicate"


REQUIRED = {
    "To Do": [("1", "Finish", "Done", {"resolution": True, "customfield_1": True, "comment": True}),
              ("2", "Start", "In Progress", {})],
    "In Progress": [("3", "Finish", "Done", {"resolution": True, "customfield_1": True,
                                             "comment": True})],
    "Done": [],
}


def test_required_fields_are_filled_from_the_settings(opened):
    given = {"customfield_1": {"value": "none"}, "Comment": {"body": "closed by selfheal"}}
    stub, jira, ref = opened(REQUIRED, transition_fields=given)
    jira.resolve(ref, (), 0.0)
    assert row(stub)["status"] == "Done"
    sent = [one["body"] for one in stub.requests
            if one["method"] == "POST" and one["path"].endswith("/transitions")]
    assert b'"fields": {"resolution": {"name": "Done"}, "customfield_1"' in sent[-1]
    assert b'"update": {"comment": [{"add": {"body": "closed by selfheal"}}]}' in sent[-1]


def test_required_fields_that_nobody_fills_are_named(opened):
    stub, jira, ref = opened(REQUIRED)
    with pytest.raises(Refused, match=r"Finish asks for Customfield_1 \(customfield_1\), Comment"):
        jira.resolve(ref, (), 0.0)
    with pytest.raises(Refused, match="cannot take Finish: Finish asks for"):
        moved(jira, ref, "Finish")


def test_a_way_around_a_screen_that_nobody_can_fill_is_taken(opened):
    workflow = {
        "To Do": [("1", "Finish", "Done", {"customfield_1": True}),
                  ("2", "Start", "In Progress", {})],
        "In Progress": [("3", "Finish", "Done", {})], "Done": [],
    }
    stub, jira, ref = opened(workflow)
    jira.resolve(ref, (), 0.0)
    assert row(stub)["status"] == "Done"


def test_a_condition_that_the_screen_does_not_show_is_told_in_jiras_words(opened):
    stub, jira, ref = opened(transition_fields={"resolution": {"name": "Nonsense"}})
    with pytest.raises(Refused, match=r"Resolution name 'Nonsense' is not valid.*jira\.transition"):
        jira.resolve(ref, (), 0.0)


def test_a_workflow_that_goes_in_circles_is_left(opened):
    names = list(LONG)
    circle = {name: [("1", "on", names[(at + 1) % 5], {})] for at, name in enumerate(names[:5])}
    stub, jira, ref = opened({**circle, "Done": []})
    with pytest.raises(Refused, match="shows no way"):
        jira.resolve(ref, (), 0.0)
    assert len(stub.requests) < 60


def test_who_moves_it_meanwhile_does_no_harm(opened):
    stub, jira, ref = opened()
    asked = []

    def chance(request):
        asked.append(request)
        if request["method"] == "POST" and len(asked) > 3:
            stub.chance = lambda _request: ""
            stub.resolve_by_hand(ref)
        return ""

    stub.chance = chance
    jira.resolve(ref, (), 0.0)
    assert row(stub)["status"] == "Done"
    assert row(stub)["resolution"] == "Fixed"  # theirs

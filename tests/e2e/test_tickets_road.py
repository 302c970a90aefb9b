"""From the webhook to tickets in ServiceNow and in Jira, through the real pack and its actions."""

from __future__ import annotations

import pytest

from tests import stub_jira, stub_servicenow
from tests.e2e.world import SECRET, World, alert
from tests.tickets.desk import heading_of


@pytest.fixture
def trackers():
    with stub_servicenow.Stub() as servicenow, stub_jira.Stub() as jira:
        yield servicenow, jira
        assert servicenow.violations == jira.violations == []


@pytest.fixture
def world(tmp_path, trackers):
    sections = {one.section: one.settings() for one in trackers}
    with World(tmp_path, sections) as made:
        yield made


def headings(ticket):
    return [heading_of(text) for text in ticket["comments"]]


def later(world):
    """Time passes until all letters have arrived."""
    for _ in range(6):  # an answer may be late on a busy machine
        turn(world)
        waiting = world.rows("SELECT id FROM outbox WHERE status = 'pending'")
        if not waiting:
            return
    raise AssertionError(world.rows("SELECT * FROM outbox WHERE status = 'pending'"))


def turn(world):
    world.pass_time(400)
    world.housekeeping()


def test_warning_without_a_plan_becomes_a_ticket_in_each_tracker(world, trackers):
    incident = world.respond_to(alert("Unknown", severity="warning"))
    assert (incident.status, incident.strategy) == ("ticketed", "manual")
    later(world)
    for stub in trackers:
        (ticket,) = stub.tickets()
        assert ticket["correlation"] == "selfheal-%s-0" % incident.id
        assert "office hours" in ticket["body"] and incident.id in ticket["body"]
        assert headings(ticket) == ["Diagnostics", "What was done before this ticket"]
    listed = world.act("ticket_list")
    assert sorted(one["tracker"] for one in listed["tickets"]) == [
        "jira.default", "servicenow.default",
    ]
    world.post(alert("Unknown", severity="warning", status="resolved"))
    world.settle()
    later(world)
    for stub in trackers:
        (ticket,) = stub.tickets()
        assert ticket["state"] == "resolved" and headings(ticket)[-1] == "Resolved"
        assert list(ticket["attachments"]) == ["incident-%s.md" % incident.id]
    assert world.told("ticket") == []
    assert SECRET not in repr([stub.requests for stub in trackers])


def test_fix_that_does_not_help_is_told_with_what_was_done(world, trackers):
    incident = world.respond_to(alert("Unfixable"))
    assert incident.status == "escalated"
    later(world)
    for stub in trackers:
        (ticket,) = stub.tickets()
        assert "did not become healthy" in ticket["body"]
        assert "Remediation finished" in ticket["comments"][1]
        assert "Not verified" in ticket["comments"][1]


def test_what_is_healed_needs_no_ticket(world, trackers):
    assert world.respond_to(alert("Fixable")).resolution == "remediated"
    later(world)
    assert [stub.tickets() for stub in trackers] == [[], []]


def test_trackers_that_are_down_keep_nobody_from_healing(world, trackers):
    world.configure({"tickets": {"open_for": ["all"]}, **sections_of(trackers)})
    for stub in trackers:
        stub.chance = lambda request: "500"
    incident = world.respond_to(alert("Fixable"))
    assert (incident.status, incident.resolution) == ("resolved", "remediated")
    assert [stub.requests for stub in trackers] == [[], []]  # nobody waited for an answer
    turn(world)
    assert [stub.tickets() for stub in trackers] == [[], []]
    for stub in trackers:
        stub.chance = lambda request: ""
    later(world)
    for stub in trackers:
        (ticket,) = stub.tickets()
        assert ticket["state"] == "resolved"
        assert headings(ticket) == [
            "Diagnostics", "Decision", "Remediation started", "Remediation finished", "Verified",
            "Resolved",
        ]


def test_ticket_that_is_closed_by_hand_is_read_back(world, trackers):
    incident = world.respond_to(alert("Unknown", severity="warning"))
    later(world)
    for stub in trackers:
        (ticket,) = stub.tickets()
        stub.close_by_hand(ticket["ref"])
    found = world.act("ticket_sync", incident_id=incident.id)
    assert [one["what"] for one in found["changes"]] == ["ticket_closed_by_hand"] * 2
    assert world.incident(incident.id).status == "ticketed"
    assert world.kinds(incident.id).count("ticket_closed_by_hand") == 2


def sections_of(trackers):
    return {one.section: one.settings() for one in trackers}

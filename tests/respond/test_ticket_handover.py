"""create_incident_ticket where trackers are configured, and tickets that follow each step."""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import ConfigError, Conflict, NotFound, StoreError
from selfheal.incidents import registry
from selfheal.operate import housekeeping
from selfheal.outbox.carrying import NotTaken
from selfheal.respond import finish, holding, ticketing
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.store import open_store, retention
from tests import scene
from tests.tickets import desk as desks


@pytest.fixture
def desk(url, monkeypatch):
    with desks.desk("memory", url, monkeypatch) as found:
        yield found


def everything(desk):
    """All rows that a step may write."""
    tables = ("incidents", "incident_events", "outbox", "tickets", "locks")
    return {table: desk.store.query("SELECT * FROM %s ORDER BY 1" % table) for table in tables}


@pytest.mark.parametrize("run_id", ["", "run-1"])
def test_second_call_changes_nothing_and_names_the_same_ticket(desk, run_id):
    desk.incident(status="analyzing", run_id="run-1")
    first = finish.create_incident_ticket(desk.ctx, "inc-1", run_id)
    assert desk.follow() == 0  # there is nothing to tell of the ticket itself
    before = everything(desk)
    desk.clock.at += 1000
    second = finish.create_incident_ticket(desk.ctx, "inc-1", run_id)
    assert second == first and everything(desk) == before
    assert first["status"] == "ticketed" and first["delivered"] and first["outbox_id"]
    assert first["tickets"] == [
        {"tracker": "memory.default", "number": "MEM-1", "url": "http://memory/MEM-1",
         "status": "open", "opening": 0}
    ]
    assert scene.kinds(desk.store) == ["ticketed", "ticket_created"]


def test_tracker_that_is_down_does_not_fail_the_step(desk):
    def down(when, what):
        raise ConnectionError("nobody is there")

    desk.stub.fail = down
    desk.incident()
    result = finish.create_incident_ticket(desk.ctx, "inc-1")
    assert (result["status"], result["delivered"]) == ("ticketed", False)
    assert result["tickets"][0]["status"] == "asked"
    desk.stub.fail = lambda when, what: None
    desk.clock.at += 1000
    housekeeping.housekeeping(desk.ctx)
    assert desk.ticket()["title"] == "web is down"


def test_settings_that_make_no_ticket_fail_the_step(desk):
    """Then the response calls somebody; else the incident would be left to nobody."""
    desk.settings["reopen_minutes"] = "soon"
    ctx = desk.open()
    desk.incident(status="analyzing", run_id="run-1")
    with pytest.raises(ConfigError, match="reopen_minutes"):
        finish.create_incident_ticket(ctx, "inc-1", "run-1")
    assert registry.get(desk.store, "inc-1").status == "analyzing"


def failures(desk):
    return desk.store.query("SELECT payload FROM outbox WHERE kind = 'failure'")


def test_somebody_hears_once_a_day_of_a_tracker_that_takes_no_tickets(desk):
    def down(when, what):
        raise ConfigError("answered 401")

    desk.stub.fail = down
    for number in range(3):
        desk.incident("inc-%d" % number)
        finish.create_incident_ticket(desk.ctx, "inc-%d" % number)
    housekeeping.housekeeping(desk.ctx)
    assert failures(desk) == []  # it may pass
    for _ in range(5):
        desk.clock.at += 4 * 3600
        assert housekeeping.housekeeping(desk.ctx)["parts"]["tickets"]["untaken"] == 3
    told = [one["payload"] for one in failures(desk)]
    assert 1 <= len(told) <= 2 and "no tickets in memory.default" in told[0]
    assert "3 incidents without a ticket" in told[0] and "answered 401" in told[0]
    desk.stub.fail = lambda when, what: None
    desk.clock.at += 3600
    housekeeping.housekeeping(desk.ctx)
    assert "untaken" not in housekeeping.housekeeping(desk.ctx)["parts"]["tickets"]
    assert len(desk.stub.tickets()) == 3


def test_somebody_hears_of_an_incident_whose_ticket_is_missing_when_its_cause_is_back(desk):
    names = ["inc-%d" % number for number in range(3)]
    for name in names:
        desk.incident(name)
        finish.create_incident_ticket(desk.ctx, name)
        desk.resolved(name)
    desk.work()
    desk.stub.hidden = set(desk.stub.by_ref)
    desk.sync()
    desk.reopened("inc-0")
    finish.create_incident_ticket(desk.ctx, "inc-0")
    housekeeping.housekeeping(desk.ctx)
    assert failures(desk) == []
    desk.clock.at += 4 * 3600 + 60
    assert housekeeping.housekeeping(desk.ctx)["parts"]["tickets"]["untaken"] == 1
    assert "1 incident without a ticket" in failures(desk)[0]["payload"]
    desk.clock.at += 86400  # then it counts as deleted, and a new one is made
    desk.work()
    assert len(desk.stub.by_ref) == 4
    assert "untaken" not in housekeeping.housekeeping(desk.ctx)["parts"]["tickets"]


def test_somebody_hears_at_once_of_a_ticket_that_is_refused_for_good(desk):
    def never(when, what):
        raise NotTaken("no such project", is_final=True)

    desk.stub.fail = never
    desk.incident()
    finish.create_incident_ticket(desk.ctx, "inc-1")
    housekeeping.housekeeping(desk.ctx)
    assert len(failures(desk)) == 1 and "no such project" in failures(desk)[0]["payload"]


def test_who_was_called_is_not_told_of_the_ticket(desk):
    def never(when, what):
        raise NotTaken("no such project", is_final=True)

    desk.stub.fail = never
    desk.incident()
    escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
    housekeeping.housekeeping(desk.ctx)
    assert failures(desk) == []


def test_ticket_says_that_it_is_for_office_hours_and_has_the_plan(desk):
    desk.incident(
        plan={"remedy": "runbook", "runbook": "clean-disk", "risk": "disruptive",
              "confidence": 0.9, "steps": [{"name": "delete old logs", "kind": "command"}]},
    )
    finish.create_incident_ticket(desk.ctx, "inc-1")
    body = desk.ticket()["body"]
    assert "office hours" in body and "clean-disk (risk disruptive" in body
    assert "step 1: delete old logs (command)" in body


def test_closed_incident_gets_no_ticket(desk):
    desk.incident(status="resolved")
    result = finish.create_incident_ticket(desk.ctx, "inc-1", "run-1")
    assert (result["status"], result["tickets"]) == ("resolved", [])
    assert "closed" in result["note"] and desk.stub.tickets() == []


def test_dry_run_of_a_response_makes_none_but_a_hand_does(desk):
    desk.incident(dry_run=1, status="analyzing", run_id="run-1")
    result = finish.create_incident_ticket(desk.ctx, "inc-1", "run-1")
    assert result["status"] == "observed" and "dry run" in result["note"]
    assert desk.stub.tickets() == []
    finish.create_incident_ticket(desk.ctx, "inc-1")
    assert desk.ticket()


def test_unknown_incident_is_not_found_and_a_lost_one_a_conflict(desk):
    with pytest.raises(NotFound):
        finish.create_incident_ticket(desk.ctx, "inc-1")
    desk.incident()
    registry.claim(desk.store, "inc-1", "run-2", 600)
    with pytest.raises(Conflict, match="run-2"):
        finish.create_incident_ticket(desk.ctx, "inc-1", "run-1")
    assert desk.links() == []


def test_ticket_after_the_escalations_is_the_same_one(desk):
    desk.incident()
    escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
    desk.work()
    result = finish.create_incident_ticket(desk.ctx, "inc-1")
    assert result["status"] == "escalated"  # it has its ticket, and somebody was called
    assert [one["number"] for one in result["tickets"]] == ["MEM-1"]
    assert len(desk.stub.tickets()) == 1


def test_ticket_says_why_it_was_escalated(desk):
    desk.incident()
    escalate_to_oncall(desk.ctx, "inc-1", reason="not_resolved")
    desk.work()
    assert "did not become healthy" in desk.ticket()["body"]
    assert "Look deeper" in desk.ticket()["body"]


def test_steps_of_a_response_are_told_as_they_go(desk):
    desk.incident()
    escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
    desk.work()
    analyze_incident(desk.ctx, "inc-1")
    determine_response_strategy(desk.ctx, "inc-1")
    finish.close_incident(desk.ctx, "inc-1")
    posted = desk.store.query(
        "SELECT kind FROM outbox WHERE channel = 'ticket:memory.default' ORDER BY queue_number"
    )
    assert [one["kind"] for one in posted] == [
        "ticket_create", "ticket_comment", "ticket_comment", "ticket_comment", "ticket_resolve",
    ]
    desk.work()
    assert desk.headings() == ["Diagnostics", "Decision", "Resolved"]


def test_step_is_done_although_its_ticket_could_not_follow(desk, monkeypatch):
    def broken(ctx, incident_id):
        raise StoreError("the disk is full")

    monkeypatch.setattr(ticketing, "follow", broken)
    desk.incident()
    with holding.held(desk.ctx, registry.get(desk.store, "inc-1"), "run-1"):
        pass
    assert finish.close_incident(desk.ctx, "inc-1")["closed"]


def test_two_who_follow_at_once_post_each_letter_once(desk, url):
    desk.incident()
    desk.escalated()
    for kind in ("decided", "remediation_started", "verified"):
        desk.happens(kind)
    start, counts = threading.Barrier(4), []

    def work():
        ctx = desk.open()
        start.wait(180)
        counts.append(ticketing.follow(ctx, "inc-1"))
        ctx.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(180)
    assert sorted(counts) == [0, 0, 0, 4]
    desk.work()
    assert desk.headings() == ["Decision", "Remediation started", "Verified"]


def test_old_tickets_go_with_their_incident(desk):
    desk.incident()
    desk.escalated()
    desk.resolved()
    desk.work()
    desk.clock.at += 100 * 86400
    gone = retention.sweep(open_store(desk.url, now=desk.clock.now), 90)
    assert gone["tickets"] == 1 and desk.links() == []

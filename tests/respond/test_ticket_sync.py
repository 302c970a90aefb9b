"""What people did to tickets is read back, and tickets can be listed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selfheal.exceptions import ExternalError, InvalidInput, NotFound
from selfheal.incidents import registry
from selfheal.operate import housekeeping
from selfheal.outbox import letters
from selfheal.respond import ticket_sync
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.tickets import findings, links, trackers
from tests import scene
from tests.tickets import desk as desks


@pytest.fixture
def desk(url, monkeypatch):
    with desks.desk("memory", url, monkeypatch) as found:
        yield found


def opened(desk, incident_id="inc-1"):
    desk.incident(incident_id)
    desk.escalated(incident_id)
    desk.work()


def test_change_is_told_with_its_ticket(desk):
    opened(desk)
    desk.stub.close_by_hand("1")
    found = ticket_sync.ticket_sync(desk.ctx)
    assert found["looked_at"] == 1 and found["problems"] == []
    (change,) = found["changes"]
    assert change == {
        "incident_id": "inc-1", "ticket": "MEM-1", "tracker": "memory.default",
        "what": "ticket_closed_by_hand",
        "words": "ticket MEM-1 of memory.default was closed by ann (Closed): nothing more is "
        "written to it",
    }
    assert "inc-1: ticket MEM-1" in found["summary"]


def test_one_incident_only_and_never_an_unknown_one(desk):
    opened(desk)
    opened(desk, "inc-2")
    assert ticket_sync.ticket_sync(desk.ctx, "inc-2")["looked_at"] == 1
    with pytest.raises(NotFound):
        ticket_sync.ticket_sync(desk.ctx, "inc-3")


def test_tracker_that_cannot_be_asked_is_a_problem_and_no_failure(desk):
    opened(desk)
    desk.sections = {"memory": {"other": {"url": "http://other"}}}
    found = ticket_sync.ticket_sync(desk.open())
    assert found["looked_at"] == 0 and "memory.default" in found["problems"][0]


def test_housekeeping_looks_every_few_minutes(desk):
    opened(desk)
    desk.sync()
    reads = []
    read = desk.stub.read
    desk.stub.read = lambda refs: (reads.append(list(refs)), read(refs))[1]
    for _ in range(4):
        desk.clock.at += 60
        assert housekeeping.housekeeping(desk.ctx)["problems"] == []
    assert reads == []
    desk.clock.at += 120
    parts = housekeeping.housekeeping(desk.ctx)["parts"]
    assert reads == [["1"]] and parts["tickets"]["looked_at"] == 1


def test_tracker_that_is_gone_hides_no_other_ones_tickets(desk, monkeypatch):
    monkeypatch.setattr(ticket_sync, "_MOST_AT_A_TURN", 2)
    opened(desk)
    for number in range(3):
        link = replace(
            desk.links()[0], id="tkt-%d" % number, incident_id="inc-%d" % (number + 5),
            tracker="memory.gone", synced_at=None,
        )
        links.add(desk.store, link)
    desk.stub.close_by_hand("1")
    desk.clock.at += 600
    found = ticket_sync.sync_due(desk.ctx)
    assert (found["looked_at"], found["changes"]) == (1, 1) and "error" not in found


def test_slow_tracker_does_not_keep_housekeeping(desk, monkeypatch):
    monkeypatch.setattr(ticket_sync, "_AT_ONCE", 1)
    for number in range(4):
        opened(desk, "inc-%d" % number)
    read = desk.stub.read
    desk.stub.read = lambda refs: (setattr(desk.clock, "at", desk.clock.at + 20), read(refs))[1]
    desk.clock.at += 600
    assert ticket_sync.sync_due(desk.ctx)["looked_at"] == 2
    assert ticket_sync.sync_due(desk.ctx)["looked_at"] == 2


def test_slow_tracker_whose_tickets_are_missing_gets_them_judged_all_the_same(desk):
    for number in range(3):
        opened(desk, "inc-%d" % number)
    desk.stub.hidden = {"1", "2", "3"}
    read = desk.stub.read
    desk.stub.read = lambda refs: (setattr(desk.clock, "at", desk.clock.at + 40), read(refs))[1]
    desk.clock.at += 600
    assert ticket_sync.sync_due(desk.ctx)["changes"] == 3
    assert "ticket_missing" in desk.kinds("inc-0")


def test_two_looks_at_once_tell_once_what_is_missing(desk):
    for number in range(3):
        opened(desk, "inc-%d" % number)
    desk.stub.hidden = {"1", "2", "3"}
    others = [desk.open()]

    def sees(_refs):
        while others:
            ticket_sync.ticket_sync(others.pop())
            desk.clock.at += 5
        return True

    desk.stub.sees = sees
    assert ticket_sync.ticket_sync(desk.ctx)["changes"] == []
    for number in range(3):
        assert desk.kinds("inc-%d" % number) == ["ticket_created", "ticket_missing"]


def test_looks_at_once_take_no_more_as_deleted_than_one_look_would(desk):
    for number in range(3):
        opened(desk, "inc-%d" % number)
    desk.stub.hidden = {"1", "2", "3"}
    others = ["inc-1", "inc-2"]

    def sees(_refs):
        if others:
            ticket_sync.ticket_sync(desk.open(), others.pop())
        return True

    desk.stub.sees = sees
    ticket_sync.ticket_sync(desk.ctx, "inc-0")
    statuses = sorted(desk.links("inc-%d" % number)[0].status for number in range(3))
    assert statuses == ["gone", "gone", "open"]


def test_history_that_cannot_be_read_keeps_nobody_from_the_rest(desk):
    for number in range(3):
        opened(desk, "inc-%d" % number)
    desk.stub.assign_by_hand("1", by="ann")
    desk.stub.close_by_hand("3")
    author = desk.stub.author

    def fails(_ref, _what):
        raise ExternalError("Jira answered 500")

    desk.stub.author = fails
    found = ticket_sync.ticket_sync(desk.ctx)
    assert found["looked_at"] == 3 and found["problems"] == ["memory.default: Jira answered 500"]
    assert [one["what"] for one in found["changes"]] == ["ticket_closed_by_hand"]
    desk.stub.author = author
    assert desk.sync() == ["ticket_assigned"]


def test_what_we_resolved_is_no_hands_when_it_is_shown_again(desk):
    opened(desk)
    desk.resolved()
    desk.work()
    desk.stub.hidden = {"1"}
    assert desk.sync() == ["ticket_gone"]
    desk.stub.hidden = set()
    assert desk.sync() == ["ticket_back"] and desk.links()[0].status == "resolved"


def test_what_somebody_closed_is_theirs_when_it_is_shown_again(desk):
    opened(desk)
    desk.resolved()
    desk.follow()
    desk.stub.close_by_hand("1")
    desk.work()  # our letter that resolves it found it closed
    desk.stub.hidden = {"1"}
    assert desk.sync() == ["ticket_gone"]
    desk.stub.hidden = set()
    assert desk.sync()[0] == "ticket_back" and desk.links()[0].status == "left"


def test_somebody_is_called_before_trackers_are_asked(url, monkeypatch, receiver):
    with desks.desk("memory", url, monkeypatch) as desk:
        desk.sections.update(notify=scene.webhook(receiver))
        desk.ctx = desk.open()
        opened(desk)
        letters.post(desk.store, "escalation", None, "help", {"text": "help"})
        seen = []
        read = desk.stub.read
        desk.stub.read = lambda refs: (seen.append(len(receiver.messages)), read(refs))[1]
        desk.clock.at += 600
        before = len(receiver.messages)
        assert housekeeping.housekeeping(desk.ctx)["problems"] == []
        assert seen == [before + 1]


def test_housekeeping_does_nothing_without_a_tracker(url):
    ctx = scene.context(url)
    scene.incident(ctx.store, status="escalated")
    parts = housekeeping.housekeeping(ctx)["parts"]
    assert parts["tickets"] == {"incidents": 0, "letters": 0, "looked_at": 0, "changes": 0}


def test_open_tickets_are_watched_for_good_and_others_for_some_days(desk):
    opened(desk)
    opened(desk, "inc-2")
    desk.resolved("inc-2")
    desk.work()
    desk.clock.at += 20 * 86400
    assert ticket_sync.ticket_sync(desk.ctx)["looked_at"] == 1


@pytest.mark.parametrize("is_on", [True, False])
def test_who_takes_the_ticket_has_the_incident(url, monkeypatch, receiver, is_on):
    with desks.desk("memory", url, monkeypatch) as desk:
        desk.sections.update(
            notify=scene.webhook(receiver),
            escalation={"acknowledge_by_assignment": is_on},
        )
        desk.ctx = desk.open()
        desk.incident()
        escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
        desk.work()
        desk.stub.assign_by_hand("1", "ann")
        assert desk.sync() == ["ticket_assigned"]
        assert ("acknowledged" in scene.kinds(desk.store)) == is_on
        desk.work()
        assert desk.headings() == (["Acknowledged"] if is_on else [])
        assert not is_on or "ann" in desk.ticket()["comments"][0]


def acknowledged(store):
    return scene.kinds(store).count("acknowledged")


@pytest.mark.parametrize("kind, machine, listed", [
    ("memory", "selfheal", []), ("memory", "robo", ["Robo "]),
    ("jira", "automation", []), ("jira", "selfheal", []), ("jira", "bob", ["bob@example.net"]),
    ("jira datacenter", "selfheal", []), ("jira datacenter", "bob", ["Bob"]),
    ("servicenow", "system", []), ("servicenow", "selfheal.bot", []),
    ("servicenow", "bob", ["bob"]),
])
def test_who_is_given_the_ticket_by_a_machine_has_not_taken_it(
    url, monkeypatch, receiver, kind, machine, listed
):
    with desks.desk(kind, url, monkeypatch, automation_users=listed) as desk:
        desk.sections.update(notify=scene.webhook(receiver))
        desk.ctx = desk.open()
        desk.incident()
        escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
        desk.work()
        ref = desk.ticket()["ref"]
        desk.stub.assign_by_hand(ref, "bob", by=machine)
        assert desk.sync() == ["ticket_assigned"] and desk.sync() == []
        assert acknowledged(desk.store) == 0
        told = desk.store.value(
            "SELECT message FROM incident_events WHERE kind = 'ticket_assigned'"
        )
        assert "nobody has taken it yet" in told
        desk.stub.assign_by_hand(ref, "ann", by="ann")
        assert desk.sync() == ["ticket_assigned"]
        assert acknowledged(desk.store) == 1


@pytest.mark.parametrize("is_shown", [True, False])
def test_our_own_note_after_somebody_took_the_ticket_hides_nobody(
    url, monkeypatch, receiver, is_shown
):
    """ServiceNow's record only tells who changed it last; its audit tells more."""
    with desks.desk("servicenow", url, monkeypatch) as desk:
        if not is_shown:
            desk.stub.forbidden.add(("GET", "sys_audit"))
        desk.sections.update(notify=scene.webhook(receiver))
        desk.ctx = desk.open()
        desk.incident()
        escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
        desk.work()
        desk.stub.assign_by_hand(desk.ticket()["ref"], "ann", by="ann")
        desk.happens("decided")
        desk.work()
        assert desk.stub.row(desk.ticket()["ref"])["sys_updated_by"] == "selfheal.bot"
        desk.sync()
        assert acknowledged(desk.store) == 1


@pytest.mark.parametrize("seen_by", ["a letter's carrier", "one that died"])
def test_who_takes_it_has_it_whoever_saw_that_first(url, monkeypatch, receiver, seen_by):
    with desks.desk("memory", url, monkeypatch) as desk:
        desk.sections.update(notify=scene.webhook(receiver))
        desk.ctx = desk.open()
        desk.incident()
        escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
        desk.work()
        desk.clock.at += 1
        desk.stub.assign_by_hand("1", "ann")
        if seen_by == "one that died":
            (link,) = desk.links()
            findings.keep(desk.store, link, trackers.open_tracker(desk.ctx, link.tracker).read(
                [link.ref])[link.ref])
        else:
            desk.stub.close_by_hand("1")  # else a letter's carrier heeds no assignment
            desk.happens("verified", "it is not well")
            desk.work()
        assert "ticket_assigned" in desk.kinds()
        assert "acknowledged" not in scene.kinds(desk.store)
        desk.sync()
        assert scene.kinds(desk.store).count("acknowledged") == 1
        desk.sync()
        assert scene.kinds(desk.store).count("acknowledged") == 1


def test_who_had_the_ticket_before_the_call_is_called(url, monkeypatch, receiver):
    with desks.desk("memory", url, monkeypatch, open_for=["all"]) as desk:
        desk.sections.update(notify=scene.webhook(receiver))
        desk.ctx = desk.open()
        desk.incident()
        desk.happens("analyzed", "what is known")
        desk.work()
        desk.stub.assign_by_hand("1", "ann")
        assert desk.sync() == ["ticket_assigned"]
        desk.clock.at += 60
        escalate_to_oncall(desk.ctx, "inc-1", reason="strategy")
        desk.sync()
        assert "acknowledged" not in scene.kinds(desk.store)


def test_assigning_the_ticket_of_what_is_over_acknowledges_nothing(desk):
    opened(desk)
    desk.resolved()
    desk.work()
    desk.stub.assign_by_hand("1")
    desk.sync()
    assert registry.get(desk.store, "inc-1").status == "resolved"
    assert "acknowledged" not in scene.kinds(desk.store)


# The list


def test_list_shows_tickets_newest_first_with_what_waits(desk):
    opened(desk)
    desk.clock.at += 10
    desk.incident("inc-2")
    desk.escalated("inc-2")
    desk.follow("inc-2")
    found = ticket_sync.ticket_list(desk.ctx)
    assert [one["incident_id"] for one in found["tickets"]] == ["inc-2", "inc-1"]
    assert [one["waiting"] for one in found["tickets"]] == [1, 0]
    assert [one["status"] for one in found["tickets"]] == ["asked", "open"]
    assert "not made yet" in found["summary"] and "MEM-1 (open, New): inc-1" in found["summary"]


def test_list_can_be_narrowed(desk):
    opened(desk)
    opened(desk, "inc-2")
    for given, many in (
        ({"incident_id": "inc-2"}, 1), ({"status": "gone"}, 0), ({"tracker": "memory"}, 2),
        ({"tracker": "memory.default"}, 2), ({"tracker": "mem"}, 0), ({"limit": 1}, 1),
    ):
        assert ticket_sync.ticket_list(desk.ctx, **given)["count"] == many, given
    with pytest.raises(InvalidInput, match="asked, open"):
        ticket_sync.ticket_list(desk.ctx, status="closed")
    with pytest.raises(InvalidInput, match="such as servicenow"):
        ticket_sync.ticket_list(desk.ctx, tracker="jira; *")
    assert ticket_sync.ticket_list(desk.ctx, status="gone")["summary"] == "no tickets"

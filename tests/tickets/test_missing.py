"""A ticket that its tracker does not show: deleted, or hidden from us. What counts when, what is
told, and that the others are looked at all the same.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError
from selfheal.operate import housekeeping
from selfheal.respond import telling, ticket_sync
from selfheal.tickets import findings, links, missing, trackers
from tests import scene
from tests.tickets import desk as desks

DAY = missing.WAIT_S


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A desk whose tracker can hide its tickets."""
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("memory", url, monkeypatch) as found:
        yield found


def opened(desk, many):
    """So many incidents with a ticket each."""
    for number in range(many):
        desk.incident("inc-%d" % number)
        desk.escalated("inc-%d" % number)
    desk.work(rounds=20)


def look(desk):
    desk.clock.at += 1
    return ticket_sync.ticket_sync(desk.ctx)


def statuses(desk):
    return [row["status"] for row in desk.store.query("SELECT status FROM tickets ORDER BY id")]


def told(desk, kind):
    sql = "SELECT COUNT(*) FROM incident_events WHERE kind = ?"
    return desk.store.value(sql, (kind,))


def test_many_that_are_missing_are_told_once_each_and_not_taken_as_deleted(desk):
    opened(desk, 4)
    for one in list(desk.stub.tickets()):
        desk.stub.delete_by_hand(one["ref"])
    found = look(desk)
    assert found["looked_at"] == 4 and found["problems"] == []
    assert [one["what"] for one in found["changes"]] == [findings.MISSING] * 4
    assert "as are 3 others" in found["changes"][0]["words"]
    for _ in range(3):
        again = look(desk)
        assert (again["looked_at"], again["changes"], again["problems"]) == (4, [], [])
    assert statuses(desk) == ["open"] * 4 and told(desk, findings.MISSING) == 4


def test_many_that_are_missing_for_a_day_count_as_deleted(desk):
    opened(desk, 4)
    for one in list(desk.stub.tickets()):
        desk.stub.delete_by_hand(one["ref"])
    look(desk)
    desk.clock.at += DAY - 60
    assert look(desk)["changes"] == []
    desk.clock.at += 120
    found = look(desk)
    assert [one["what"] for one in found["changes"]] == [findings.IS_GONE] * 4
    assert statuses(desk) == ["gone"] * 4 and look(desk)["changes"] == []


def test_those_that_are_shown_again_are_ours_as_before(memory):
    opened(memory, 5)
    memory.stub.hidden = {"1", "2", "3"}
    look(memory)
    memory.stub.hidden = set()
    found = look(memory)
    assert [one["what"] for one in found["changes"]] == [findings.IS_BACK] * 3
    assert look(memory)["changes"] == [] and statuses(memory) == ["open"] * 5
    memory.clock.at += DAY
    memory.stub.hidden = {"1", "2", "3"}
    found = look(memory)  # their day begins anew
    assert [one["what"] for one in found["changes"]] == [findings.MISSING] * 3


def test_the_rest_of_many_waits_for_the_time_that_was_told(memory):
    """Rights that come back one by one."""
    opened(memory, 5)
    memory.stub.hidden = {"1", "2", "3"}
    look(memory)
    memory.stub.hidden = {"1", "2"}
    for _ in range(2):
        look(memory)
    assert statuses(memory) == ["open"] * 5 and told(memory, findings.IS_GONE) == 0
    memory.clock.at += DAY
    look(memory)
    assert sorted(statuses(memory)) == ["gone"] * 2 + ["open"] * 3


def test_batch_that_is_missing_keeps_nobody_from_the_rest(memory, monkeypatch):
    monkeypatch.setattr(ticket_sync, "_AT_ONCE", 3)
    monkeypatch.setattr(ticket_sync, "_MOST_AT_A_TURN", 4)
    opened(memory, 8)
    memory.stub.hidden = {"1", "2", "3", "4"}
    seen = []
    read = memory.stub.read
    memory.stub.read = lambda refs: (seen.extend(refs), read(refs))[1]
    for _ in range(2):
        memory.clock.at += 600
        assert housekeeping.housekeeping(memory.ctx)["parts"]["tickets"]["looked_at"] == 4
    assert sorted(seen) == [str(number + 1) for number in range(8)]
    memory.stub.close_by_hand("8")
    for _ in range(2):  # and again, in the same order
        memory.clock.at += 600
        housekeeping.housekeeping(memory.ctx)
    assert seen[8:] == seen[:8] and told(memory, findings.CLOSED_BY_HAND) == 1


def test_two_a_day_count_at_once_and_the_third_does_not(memory):
    opened(memory, 6)
    for ref in ("1", "2", "3"):
        memory.stub.hidden.add(ref)
        look(memory)
    assert sorted(statuses(memory)) == ["gone"] * 2 + ["open"] * 4
    assert told(memory, findings.MISSING) == 1


def test_letters_do_not_believe_one_by_one_what_a_look_would_not(memory):
    """A tracker that hides all of them, and a letter to each."""
    opened(memory, 6)
    memory.stub.hidden = set(memory.stub.by_ref)
    for number in range(6):
        memory.happens("decided", incident_id="inc-%d" % number)
        memory.follow("inc-%d" % number)
    for _ in range(4):
        telling.deliver(memory.ctx, limit=100)
        memory.clock.at += 4000
    assert statuses(memory).count("gone") == missing.FEW
    assert [one["status"] for one in memory.waiting()] == ["pending"] * 4
    memory.stub.hidden = set()
    memory.sync()
    memory.work()
    assert [memory.headings(ref) for ref in "3456"] == [["Decision"]] * 4


def test_letter_to_a_ticket_that_is_missing_for_good_ends_after_a_day(memory):
    opened(memory, 6)
    memory.stub.hidden = set(memory.stub.by_ref)
    memory.sync()
    memory.happens("decided", incident_id="inc-5")
    memory.follow("inc-5")
    for _ in range(30):
        telling.deliver(memory.ctx, limit=100)
        memory.clock.at += 3600
    assert memory.waiting() == [] and memory.links("inc-5")[0].status == "gone"


def test_who_may_be_asked_wrongly_decides_nothing_and_says_so(memory):
    opened(memory, 1)
    memory.stub.hidden = {"1"}
    memory.stub.is_proven = ConfigError("set jira.flavour to cloud")
    memory.happens("decided", incident_id="inc-0")
    memory.follow("inc-0")
    for _ in range(3):
        found = look(memory)
        assert found["changes"] == []
        assert found["problems"] == ["memory.default: set jira.flavour to cloud"]
        telling.deliver(memory.ctx)
        memory.clock.at += DAY
    (row,) = memory.waiting()
    assert row["status"] == "pending" and "jira.flavour" in row["last_error"]
    assert statuses(memory) == ["open"]
    memory.stub.is_proven = True
    assert [one["what"] for one in look(memory)["changes"]] == [findings.IS_GONE]


def test_where_nothing_proves_it_even_one_waits_a_day(memory):
    opened(memory, 1)
    memory.stub.hidden, memory.stub.is_proven = {"1"}, False
    assert [one["what"] for one in look(memory)["changes"]] == [findings.MISSING]
    assert look(memory)["changes"] == []
    memory.clock.at += DAY
    assert [one["what"] for one in look(memory)["changes"]] == [findings.IS_GONE]


def test_batch_that_is_refused_keeps_nobody_from_the_rest(memory, monkeypatch):
    monkeypatch.setattr(ticket_sync, "_AT_ONCE", 2)
    opened(memory, 4)
    read = memory.stub.read

    def refuse(refs):
        if "1" in refs:
            raise ConfigError("no right to read 1")
        return read(refs)

    memory.stub.read = refuse
    memory.stub.close_by_hand("4")
    found = look(memory)
    assert found["problems"] == ["memory.default: no right to read 1"] and found["looked_at"] == 2
    assert [one["what"] for one in found["changes"]] == [findings.CLOSED_BY_HAND]


def test_what_nobody_has_looked_at_for_long_is_forgotten(memory):
    opened(memory, 3)
    memory.stub.hidden = set(memory.stub.by_ref)
    look(memory)
    assert len(missing.since(memory.store, "memory.default")) == 3
    memory.clock.at += links.WATCHED_S + 10
    assert missing.since(memory.store, "memory.default") == {}


# What trackers prove.


@pytest.mark.parametrize("asked_as, is_really", [("cloud", "datacenter"), ("datacenter", "cloud")])
def test_jira_of_the_wrong_flavour_names_the_setting_and_no_ticket_is_gone(
    tmp_path, monkeypatch, asked_as, is_really
):
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("jira %s" % is_really, url, monkeypatch) as desk:
        opened(desk, 2)
        desk.sections["jira"]["flavour"] = asked_as
        desk.ctx = desk.open()
        desk.happens("decided", incident_id="inc-0")
        desk.follow("inc-0")
        found = look(desk)
        assert found["changes"] == [] and "jira.flavour" in found["problems"][0]
        telling.deliver(desk.ctx)
        (row,) = desk.waiting()
        assert row["status"] == "pending" and "jira.flavour" in row["last_error"]
        assert statuses(desk) == ["open"] * 2
        desk.sections["jira"]["flavour"] = is_really
        desk.ctx = desk.open()
        desk.clock.at += 4000
        desk.work()
        assert look(desk)["problems"] == [] and statuses(desk) == ["open"] * 2


@pytest.mark.parametrize("flavour", ["cloud", "datacenter"])
def test_jira_project_that_we_may_not_browse_hides_its_issues(tmp_path, monkeypatch, flavour):
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("jira %s" % flavour, url, monkeypatch) as desk:
        opened(desk, 1)
        desk.stub.forbidden.add("browse")
        found = look(desk)
        assert found["changes"] == [] and "BROWSE_PROJECTS" in found["problems"][0]
        desk.stub.forbidden.clear()
        assert look(desk)["problems"] == []


def test_servicenow_that_counts_a_record_which_it_does_not_show_hides_it(tmp_path, monkeypatch):
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("servicenow", url, monkeypatch) as desk:
        opened(desk, 1)
        ref = desk.ticket()["ref"]
        desk.stub.unreadable = {ref}
        with pytest.raises(ConfigError, match="right to read"):
            trackers.open_tracker(desk.ctx, desk.tracker_name).sees([ref])
        found = look(desk)
        assert found["changes"] == [] and "right to read" in found["problems"][0]
        desk.stub.unreadable = set()
        assert look(desk)["changes"] == [] and statuses(desk) == ["open"]


def test_servicenow_whose_table_is_empty_proves_nothing(tmp_path, monkeypatch):
    url = scene.store_url("sqlite", tmp_path)
    with desks.desk("servicenow", url, monkeypatch) as desk:
        opened(desk, 1)
        desk.stub.tables.others.clear()
        desk.stub.delete_by_hand(desk.ticket()["ref"])
        assert [one["what"] for one in look(desk)["changes"]] == [findings.MISSING]
        desk.clock.at += DAY
        assert [one["what"] for one in look(desk)["changes"]] == [findings.IS_GONE]

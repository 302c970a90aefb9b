"""What people do to a ticket in its tracker: told once on the incident's timeline, never fought
over, and with a defined outcome for the incident and for its next opening.
"""

from __future__ import annotations

import pytest

from selfheal.document import text
from selfheal.respond import telling
from selfheal.tickets import trackers

BODY = (text("The remediation worked."),)


@pytest.fixture
def open_ticket(desk):
    """The ref of the ticket of an escalated incident."""
    desk.incident()
    desk.escalated()
    desk.work()
    return desk.ticket()["ref"]


def closed(ticket):
    return ticket["state"] in ("resolved", "closed", "cancelled")


def test_looking_at_what_nobody_touched_changes_nothing(desk, open_ticket):
    assert desk.sync() == [] and desk.sync("inc-1") == []
    assert desk.kinds() == ["ticket_created"]


# Closed


def test_closed_by_hand_gets_nothing_more_and_the_incident_goes_on(desk, open_ticket):
    desk.stub.close_by_hand(open_ticket)
    assert desk.sync() == ["ticket_closed_by_hand"]
    assert desk.sync() == [] and desk.kinds()[-1] == "ticket_closed_by_hand"
    desk.happens("decided")
    desk.resolved()
    desk.work()
    assert closed(desk.ticket()) and desk.headings() == []
    assert desk.links()[0].status == "left" and desk.waiting() == []


def test_closed_by_hand_is_noticed_by_the_next_letter_too(desk, open_ticket):
    desk.stub.close_by_hand(open_ticket)
    desk.happens("decided")
    desk.work()
    assert desk.headings() == [] and desk.kinds()[-1] == "ticket_closed_by_hand"
    assert desk.sync() == []


def test_closed_by_hand_and_back_makes_a_new_ticket(desk, open_ticket):
    desk.stub.close_by_hand(open_ticket)
    desk.sync()
    desk.resolved()
    desk.reopened()
    desk.work()
    assert len(desk.stub.tickets()) == 1  # nobody was given it yet
    desk.escalated()
    desk.work()
    first, second = desk.stub.tickets()
    assert closed(first) and not closed(second)
    assert desk.links()[1].previous == desk.links()[0].id


def test_closed_by_hand_while_our_letters_wait_and_back_makes_a_new_ticket(desk, open_ticket):
    desk.happens("decided")
    desk.resolved()
    desk.follow()
    desk.reopened()
    desk.escalated()
    desk.happens("verified")
    desk.follow()
    desk.stub.close_by_hand(open_ticket)
    desk.work()
    desk.work()
    first, second = desk.stub.tickets()
    assert closed(first) and first["comments"] == []
    assert not closed(second) and second["correlation"] == "selfheal-inc-1-1"
    assert [one.opening for one in desk.links()] == [0, 1]


def test_closed_by_hand_and_opened_again_by_hand_is_ours_again(desk, open_ticket):
    desk.stub.close_by_hand(open_ticket)
    desk.sync()
    desk.stub.reopen_by_hand(open_ticket)
    assert desk.sync() == ["ticket_reopened_by_hand"]
    desk.happens("decided")
    desk.resolved()
    desk.work()
    assert desk.headings() == ["Decision", "Resolved"] and closed(desk.ticket())


# Resolved by us, and then


def test_resolved_by_us_and_opened_again_by_hand_stays_open(desk, open_ticket):
    desk.resolved()
    desk.work()
    desk.stub.reopen_by_hand(open_ticket)
    assert desk.sync() == ["ticket_reopened_by_hand"]
    desk.work()
    assert not closed(desk.ticket())
    desk.reopened()
    desk.resolved()
    desk.work()
    assert closed(desk.ticket()) and len(desk.stub.tickets()) == 1


def test_resolved_by_us_and_gone_over_by_hand_makes_a_new_ticket_when_back(desk, open_ticket):
    """Where resolving and closing are two states; where they are one, it is reopened."""
    desk.resolved()
    desk.work()
    ours = desk.ticket()["raw_state"]
    desk.stub.close_by_hand(open_ticket)
    desk.sync()
    is_beyond_us = desk.ticket()["raw_state"] != ours
    desk.reopened()
    desk.escalated()
    desk.work()
    assert len(desk.stub.tickets()) == (2 if is_beyond_us else 1)
    assert not closed(desk.stub.tickets()[-1]) and desk.waiting() == []


# Assigned


def test_assigned_by_hand_is_told_and_never_changed(desk, open_ticket):
    desk.stub.assign_by_hand(open_ticket, "ann")
    assert desk.sync() == ["ticket_assigned"] and desk.sync() == []
    who = desk.ticket()["assignee"]
    desk.happens("decided")
    desk.resolved()
    desk.work()
    assert desk.ticket()["assignee"] == who and closed(desk.ticket())


# Gone


def test_deleted_is_told_and_not_made_again_in_this_opening(desk, open_ticket):
    desk.stub.delete_by_hand(open_ticket)
    assert desk.sync() == ["ticket_gone"] and desk.sync() == []
    desk.happens("decided")
    desk.escalated()
    desk.resolved()
    desk.work()
    assert desk.stub.tickets() == [] and desk.waiting() == []
    assert desk.kinds() == ["ticket_created", "ticket_gone"]


def test_deleted_is_noticed_by_the_next_letter_too(desk, open_ticket):
    desk.stub.delete_by_hand(open_ticket)
    desk.happens("decided")
    desk.work()
    assert desk.kinds()[-1] == "ticket_gone" and desk.waiting() == []


def test_deleted_and_back_makes_a_new_one(desk, open_ticket):
    desk.resolved()
    desk.work()
    desk.stub.delete_by_hand(open_ticket)
    desk.reopened()
    desk.escalated()
    desk.work()
    desk.work()
    assert desk.ticket()["correlation"] == "selfheal-inc-1-1"
    assert not closed(desk.ticket()) and desk.waiting() == []


# Moved, or made something else


def test_moved_is_followed(desk, open_ticket):
    before = desk.ticket()["number"], desk.ticket()["kind"]
    desk.stub.move_by_hand(open_ticket)
    seen = desk.sync()
    assert seen and set(seen) <= {"ticket_moved", "ticket_changed_kind"} and desk.sync() == []
    after = desk.ticket()["number"], desk.ticket()["kind"]
    assert after != before
    assert (desk.links()[0].number, desk.links()[0].kind) == after
    desk.happens("decided")
    desk.work()
    assert desk.headings() == ["Decision"]


def test_of_another_kind_without_our_states_gets_comments_only(desk, open_ticket):
    desk.stub.change_kind_by_hand(open_ticket)
    assert "ticket_changed_kind" in desk.sync()
    desk.happens("decided")
    desk.resolved()
    desk.work()
    assert desk.headings() == ["Decision", "Resolved"]
    assert not closed(desk.ticket()) and desk.waiting() == []
    assert desk.kinds()[-1] == "ticket_only_comments"
    assert desk.links()[0].note


# Several things at once, and what must not be mistaken for a hand


def test_two_with_the_same_id_the_oldest_is_ours_and_the_others_are_named(desk, open_ticket):
    desk.store.execute("DELETE FROM tickets")
    desk.store.execute("DELETE FROM outbox")
    from selfheal.tickets.model import Draft

    tracker = trackers.open_tracker(desk.ctx, desk.tracker_name)
    again = tracker.create(Draft("selfheal-inc-1-0", "inc-1", "again", "error", ()))
    desk.clock.at += 5
    desk.work()
    assert desk.links()[0].ref == open_ticket
    words = desk.store.value(
        "SELECT message FROM incident_events WHERE kind = 'ticket_duplicates'"
    )
    assert again.number in words


def test_our_own_resolving_is_no_hand(desk, open_ticket):
    desk.resolved()
    desk.work()
    assert desk.sync() == [] and "ticket_closed_by_hand" not in desk.kinds()


def doubtful(desk, ref, close):
    """The letter that resolves may have arrived; `close(tracker)` is what happened to the ticket.
    """
    desk.resolved()
    desk.follow()
    telling.deliver(desk.ctx, limit=1)  # the comment before it
    (letter,) = desk.waiting()
    assert letter["kind"] == "ticket_resolve"
    desk.store.execute("UPDATE outbox SET in_doubt = 1 WHERE kind = 'ticket_resolve'")
    close(trackers.open_tracker(desk.ctx, desk.tracker_name))


def test_our_own_resolving_whose_answer_was_lost_is_no_hand(desk, open_ticket):
    doubtful(desk, open_ticket, lambda tracker: tracker.resolve(open_ticket, BODY, desk.clock.at))
    assert desk.sync() == []  # nothing is concluded while nobody knows
    desk.work()
    assert desk.links()[0].status == "resolved" and desk.kinds() == ["ticket_created"]
    desk.reopened()
    desk.escalated()
    desk.work()
    assert not closed(desk.ticket()) and len(desk.stub.tickets()) == 1


def test_closed_by_hand_while_our_resolving_was_in_doubt_is_theirs(desk, open_ticket):
    doubtful(desk, open_ticket, lambda _: desk.stub.close_by_hand(open_ticket))
    desk.work()
    assert desk.links()[0].status == "left"
    assert desk.kinds() == ["ticket_created", "ticket_closed_by_hand"]
    told = desk.store.value(
        "SELECT message FROM incident_events WHERE kind = 'ticket_closed_by_hand'"
    )
    assert "by ann" in told.casefold()
    desk.reopened()
    desk.escalated()
    desk.work()
    first, second = desk.stub.tickets()
    assert closed(first) and not closed(second)


def test_closed_by_nobody_knows_whom_is_said_and_not_fought_over(desk, open_ticket):
    def close(_):
        desk.stub.close_by_hand(open_ticket)
        if desk.tracker_name.startswith("memory"):
            desk.stub.authors.clear()
        elif desk.tracker_name.startswith("jira"):
            desk.stub.keeps_history = False
        else:
            desk.stub.forbidden.add(("GET", "sys_audit"))
            desk.stub.hidden |= {"closed_by", "resolved_by"}

    doubtful(desk, open_ticket, close)
    desk.work()
    assert desk.kinds() == ["ticket_created", "ticket_closed_by_unknown"]
    assert desk.links()[0].status == "left" and desk.sync() == []
    desk.reopened()
    desk.escalated()
    desk.work()
    first, second = desk.stub.tickets()
    assert closed(first) and not closed(second)

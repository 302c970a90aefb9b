"""Tickets in ServiceNow: found again, made as the settings say, followed wherever people take them,
and never written to the wrong record.
"""

from __future__ import annotations

import logging
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from selfheal import document
from selfheal.apis.declined import Declined
from selfheal.apis.servicenow.text import harmless, moment, seconds
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput
from selfheal.tickets.model import OPEN
from tests.scene import START
from tests.tickets.servicenow_scene import TEXT, draft, tracker


def test_a_new_ticket_has_what_people_need(servicenow_stub):
    values = {"u_alert_fingerprint": "x", "contact_type": "event"}
    mine = tracker(servicenow_stub, caller="ann", values=values)
    ticket = mine.create(draft(fingerprint="0123456789abcdef", links={"Run": "https://st2/1"}))
    row = servicenow_stub.row(ticket.ref)
    assert (row["short_description"], row["correlation_id"]) == ("web is down", "inc-1")
    assert row["description"] == "The cart does not answer\n\nRun: https://st2/1"
    assert row["u_alert_fingerprint"] == "0123456789abcdef"
    assert (row["u_monitoring_source"], row["correlation_display"]) == ("selfheal", "selfheal")
    assert servicenow_stub.tables.shown(row, "caller_id") == "Ann Lee"
    assert (row["category"], row["priority"]) == ("software", "1")
    assert (ticket.number, ticket.state, ticket.kind) == (row["number"], OPEN, "incident")
    page = "%s/nav_to.do?uri=incident.do%%3Fsys_id%%3D%s"
    assert ticket.url == page % (servicenow_stub.url, ticket.ref)
    assert ticket.updated_at == START
    assert servicenow_stub.tickets()[0]["comments"] == []


def test_a_ticket_is_found_by_exactly_its_id(servicenow_stub):
    mine = tracker(servicenow_stub)
    made = [mine.create(draft("inc-A")), mine.create(draft("inc-A"))]
    mine.create(draft("inc-a"))
    mine.create(draft("inc-A2"))
    assert [one.ref for one in mine.find("inc-A")] == [one.ref for one in made]
    assert mine.find("inc-B") == []


@pytest.mark.parametrize("correlation", ["", " ", "\n", "a\nb"])
def test_a_ticket_without_id_is_neither_looked_for_nor_made(servicenow_stub, correlation):
    mine = tracker(servicenow_stub)
    with pytest.raises(InvalidInput):
        mine.find(correlation)
    with pytest.raises(InvalidInput):
        mine.create(draft(correlation))
    with pytest.raises(InvalidInput):
        mine.insert({"short_description": "x", "correlation_id": ""})
    assert servicenow_stub.requests == []


def test_long_ids_stay_apart(servicenow_stub):
    mine = tracker(servicenow_stub)
    first, second = mine.create(draft("x" * 150 + "1")), mine.create(draft("x" * 150 + "2"))
    assert len(servicenow_stub.row(first.ref)["correlation_id"]) == 100
    assert [one.ref for one in mine.find("x" * 150 + "1")] == [first.ref]
    assert [one.ref for one in mine.find("x" * 150 + "2")] == [second.ref]


@pytest.mark.parametrize("way", ["missing", "hidden"])
def test_an_instance_that_cannot_look_for_ids_gets_no_ticket(servicenow_stub, way):
    """It ignores the condition and answers with other people's tickets."""
    servicenow_stub.tables.create({"short_description": "printer"}, "ann")
    if way == "missing":
        servicenow_stub.tables.missing.add("correlation_id")
        servicenow_stub.tables.incidents[0].pop("correlation_id")
    else:
        servicenow_stub.hidden.add("correlation_id")
    with pytest.raises(ConfigError, match=r"fields\.correlation_id"):
        tracker(servicenow_stub).find("inc-1")


def test_a_field_that_may_not_be_searched_is_named(servicenow_stub):
    servicenow_stub.hidden.add("correlation_id")
    servicenow_stub.is_query_checked = True
    with pytest.raises(ConfigError, match="Insufficient rights to query records.*permission"):
        tracker(servicenow_stub).find("inc-1")


def test_a_ticket_that_may_not_be_read_is_not_made_again(servicenow_stub):
    mine = tracker(servicenow_stub)
    servicenow_stub.unreadable.add(mine.create(draft()).ref)
    with pytest.raises(ConfigError, match="right to read all"):
        mine.find("inc-1")


def test_an_id_that_was_not_kept_is_told(servicenow_stub, caplog):
    servicenow_stub.tables.missing.add("correlation_id")
    with caplog.at_level(logging.ERROR):
        assert tracker(servicenow_stub).create(draft()).number
    assert "did not keep the correlation id inc-1" in caplog.text


@pytest.mark.parametrize(
    ("severity", "priority"),
    [("critical", "1"), ("error", "2"), ("warning", "3"), ("info", "5"), ("odd", "3")],
)
def test_priority_follows_severity(servicenow_stub, severity, priority):
    mine = tracker(servicenow_stub)
    ticket = mine.create(draft(severity=severity))
    assert servicenow_stub.row(ticket.ref)["priority"] == priority
    other = mine.create(draft("inc-2", severity="info"))
    mine.set_severity(other.ref, severity)
    assert servicenow_stub.row(other.ref)["priority"] == priority
    count = servicenow_stub.row(other.ref)["sys_mod_count"]
    mine.set_severity(other.ref, severity)
    assert servicenow_stub.row(other.ref)["sys_mod_count"] == count
    if severity != "odd":
        assert mine.read([other.ref])[other.ref].severity == severity


ROUTES = [
    {"match": {"team": "shop", "severity": "critical"}, "assignment_group": "Shop",
     "category": "database", "caller": "bob@acme.example"},
    {"match": {"team": "*"}, "assignment_group": "Service Desk"},
    {"match": {"alert_type": "Net*"}, "assignment_group": "Network^NQ"},
]


@pytest.mark.parametrize(
    ("labels", "more", "group", "category"),
    [
        ({"team": "shop"}, {}, "Shop", "database"),
        ({"team": "shop"}, {"severity": "info"}, "Service Desk", "software"),
        ({}, {"category": "NetworkDown"}, "Network^NQ", "software"),
        ({}, {}, "", "software"),
    ],
)
def test_labels_choose_the_group(servicenow_stub, labels, more, group, category):
    ticket = tracker(servicenow_stub, routes=ROUTES).create(draft(labels=labels, **more))
    row = servicenow_stub.row(ticket.ref)
    assert servicenow_stub.tables.shown(row, "assignment_group") == group
    assert row["category"] == category
    assert (servicenow_stub.tables.shown(row, "caller_id") == "Bob Ray") == (group == "Shop")


@pytest.mark.parametrize("way", ["not there", "twice", "forbidden"])
def test_a_group_that_cannot_be_found_is_told_in_the_ticket(servicenow_stub, way):
    name = "Nobody" if way == "not there" else "Shop"
    if way == "twice":
        groups = servicenow_stub.tables.groups
        groups.append(dict(groups[1], sys_id="0" * 32))
    if way == "forbidden":
        servicenow_stub.forbidden.add(("GET", "sys_user_group"))
    ticket = tracker(servicenow_stub, assignment_group=name).create(draft())
    assert servicenow_stub.row(ticket.ref)["assignment_group"] == ""
    assert "assignment group %s" % name in servicenow_stub.tickets()[0]["comments"][0]


def test_a_ticket_that_the_rules_forbid_waits_for_the_settings(servicenow_stub):
    def refuse(given, by):
        raise stub_refusal()

    servicenow_stub.tables.create = refuse
    with pytest.raises(ConfigError, match=r"Data Policy.*servicenow\.values"):
        tracker(servicenow_stub).create(draft())


def stub_refusal():
    from tests.stub_servicenow_tables import Refusal

    return Refusal(403, "Operation Failed", "Data Policy Exception: Location is mandatory")


def test_what_is_too_long_is_cut_with_a_mark_and_attached_whole(servicenow_stub):
    mine = tracker(servicenow_stub)
    whole = "\n".join("line %d" % number for number in range(2000))
    given = draft(title="t" * 500, body=(document.code(whole),))
    ticket = mine.create(given)
    for _ in range(2):  # again when the ticket is found again
        mine.complete(ticket.ref, given)
    mine.comment(ticket.ref, (document.code(whole),), "msg-1")
    mine.resolve(ticket.ref, (document.code(whole),), START)
    there = servicenow_stub.ticket("inc-1")
    assert len(there["title"]) == 160
    assert there["title"].endswith("characters]")
    assert len(there["body"]) == len(there["resolution"]) == 4000
    assert len(there["comments"][0]) == 4000
    assert there["comments"][0].endswith("(msg-1)")
    assert {name: content.count(b"line ") for name, content in there["attachments"].items()} == {
        "incident-inc-1.txt": 2000, "msg-1.txt": 2000, "resolution-20231114221320.txt": 2000,
    }


def test_a_ticket_stands_though_its_file_was_refused(servicenow_stub, caplog):
    servicenow_stub.forbidden.add(("POST", "sys_attachment"))
    given = draft(body=(document.code("x\n" * 9000),))
    ref = tracker(servicenow_stub).create(given).ref
    tracker(servicenow_stub).complete_if_possible(ref, given)
    assert "was not attached" in caplog.text


def test_a_comment_is_found_by_its_whole_mark(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref = mine.create(draft()).ref
    other = mine.create(draft("inc-2")).ref
    mine.comment(ref, TEXT, "msg-10")
    for _ in range(2):
        assert mine.has_comment(ref, "msg-10")
        for mark in ("msg-1", "msg-100", "sg-10", "msg"):
            assert not mine.has_comment(ref, mark)
        assert not mine.has_comment(other, "msg-10")
        # The second time by the ticket itself.
        servicenow_stub.forbidden.add(("GET", "sys_journal_field"))


@pytest.mark.parametrize("ref", ["", " ", "INC0010001", "*", "a" * 31])
def test_what_is_no_ref_reaches_nothing(servicenow_stub, ref):
    mine = tracker(servicenow_stub)
    for act in (
        lambda: mine.read([ref]),
        lambda: mine.comment(ref, TEXT, "m"),
        lambda: mine.resolve(ref, TEXT, START),
        lambda: mine.set_severity(ref, "info"),
        lambda: mine.change(ref, {"state": "7"}),
    ):
        with pytest.raises(InvalidInput):
            act()
    assert servicenow_stub.requests == []


def test_a_link_and_a_file_are_written_once(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref, other = mine.create(draft()).ref, mine.create(draft("inc-2"))
    for _ in range(2):
        mine.link(ref, other, "The ticket before")
        mine.attach(ref, "report.md", b"# Report", "text/markdown")
    there = servicenow_stub.ticket("inc-1")
    assert len(there["comments"]) == 1
    assert "The ticket before: %s" % other.number in there["comments"][0]
    assert there["attachments"] == {"report.md": b"# Report"}


def test_a_refusal_that_passes_goes_through(servicenow_stub):
    mine = tracker(servicenow_stub)
    ref = mine.create(draft()).ref
    servicenow_stub.fail_next("429", retry_after=5)
    with pytest.raises(Declined):
        mine.comment(ref, TEXT, "m")
    servicenow_stub.fail_next("500")
    with pytest.raises(ExternalError):
        mine.comment(ref, TEXT, "m")


def test_numbers_are_found(servicenow_stub):
    mine = tracker(servicenow_stub)
    ticket = mine.create(draft())
    assert mine.by_number(ticket.number) == ticket
    assert mine.by_number("INC9999999") is None
    servicenow_stub.row(mine.create(draft("inc-2")).ref)["number"] = ticket.number
    with pytest.raises(ConfigError, match="2 records are called"):
        mine.by_number(ticket.number)


HOSTILE = st.text(
    st.one_of(
        st.characters(), st.sampled_from("[]/coCODde<>&^=\0\x1b\u202e\ud800{}%"),
    ),
    max_size=300,
)


@given(text=HOSTILE, title=HOSTILE, fingerprint=HOSTILE)
@how(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_text_from_outside_is_only_text(servicenow_stub, text, title, fingerprint):
    mine = tracker(servicenow_stub)
    body = (document.text(text), document.code(text + "[code]<script>[/code]"))
    ticket = mine.create(draft(title=title, body=body, fingerprint=fingerprint, category=text))
    mine.comment(ticket.ref, body, "msg-1")
    mine.resolve(ticket.ref, body, START)
    row = servicenow_stub.row(ticket.ref)
    for value in (*servicenow_stub.tickets()[-1]["comments"], *row.values()):
        assert not re.search(r"\[\s*/?\s*code\s*\]", value, re.IGNORECASE)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800]", value)
    assert servicenow_stub.row(ticket.ref)["correlation_id"] == "inc-1"


def test_code_is_harmless_and_nothing_else_is_changed():
    assert harmless("[Code]a[/ CODE ] [coder] [cod", 100).replace("\u2060", "") == (
        "[Code]a[/ CODE ] [coder] [cod"
    )
    assert harmless("[coder] [cod\r\nx", 100) == "[coder] [cod\nx"
    assert "[code]" not in harmless("[code]", 100)


def test_times_are_utc():
    assert moment(START) == "2023-11-14 22:13:20"
    assert seconds("2023-11-14 22:13:20") == START
    assert seconds("") is seconds("14.11.2023") is None

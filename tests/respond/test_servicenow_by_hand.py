"""ServiceNow by hand: each action against the stand-in, with the connection lost at every point,
and with what it must refuse.
"""

from __future__ import annotations

import json

import pytest

from selfheal import door
from selfheal.context import Context
from selfheal.outbox import letters
from selfheal.respond import telling
from tests import scene
from tests.stub_servicenow import CLIENT_SECRET, PASSWORD, REFRESH_TOKEN

ROOM = "selfheal.respond.servicenow.servicenow_"


class Desk:
    """A store, the stand-in, and a person who runs actions."""

    def __init__(self, servicenow_stub, tmp_path, **more):
        self.servicenow_stub, self.clock = servicenow_stub, scene.Clock()
        section = more.pop("section", None) or servicenow_stub.settings()
        url = scene.store_url("sqlite", tmp_path)
        self.ctx = scene.context(url, self.clock, servicenow=section, **more)
        self.ctx.close = lambda: None  # the door closes what it is given

    def run(self, name, /, **given):
        return door.call(ROOM + name, given, context=self.ctx)

    def ok(self, name, /, **given):
        succeeded, result = self.run(name, **given)
        assert succeeded, result
        return result

    def refused(self, name, /, **given):
        succeeded, result = self.run(name, **given)
        assert not succeeded, result
        return result

    def later(self, seconds=3600):
        self.clock.at += seconds
        return telling.deliver(self.ctx)

    def ticket(self, **more):
        return self.ok("create_incident", title="web is down", correlation_id="job-1", **more)


@pytest.fixture
def desk(servicenow_stub, tmp_path):
    made = Desk(servicenow_stub, tmp_path)
    yield made
    Context.close(made.ctx)


def test_a_ticket_is_made_once(desk, servicenow_stub):
    first = desk.ticket(severity="critical", work_notes="seen by ann", assignment_group="Shop",
                        fields={"u_monitoring_source": "cron"})
    assert (first["created"], first["delivered"], first["waits"]) == (True, True, False)
    assert first["summary"].startswith("%s (open): made; http" % first["number"])
    again = desk.ticket()
    assert (again["sys_id"], again["created"]) == (first["sys_id"], False)
    assert "was there already" in again["summary"]
    there = servicenow_stub.ticket("job-1")
    assert there["comments"] == ["seen by ann"]
    assert there["severity"] == "1/1"
    assert there["row"]["u_monitoring_source"] == "cron"


def test_without_an_id_each_call_makes_its_own(desk, servicenow_stub):
    ids = {desk.ok("create_incident", title="x")["correlation_id"] for _ in range(2)}
    assert len(ids) == len(servicenow_stub.tickets()) == 2
    assert "" not in ids


def test_fields_are_changed(desk, servicenow_stub):
    number = desk.ticket()["number"]
    found = desk.ok("update_incident", ticket=number, severity="info", title="better",
                    assignment_group="Shop", fields={"category": "network"})
    assert found["changed"] == ["assignment_group", "category", "impact", "severity",
                                "short_description", "urgency"]
    row = servicenow_stub.ticket("job-1")["row"]
    assert [row[one] for one in ("priority", "short_description", "category")] == [
        "5", "better", "network",
    ]
    assert servicenow_stub.tables.shown(row, "assignment_group") == "Shop"


def test_a_ticket_is_noted_resolved_reopened_and_read(desk, servicenow_stub):
    made = desk.ticket(description="no answer")
    desk.ok("add_work_note", ticket=made["number"], text="restarted it")
    for notes in ("it works", "again"):
        found = desk.ok("resolve_incident", ticket=made["number"], notes=notes)
        assert found["state"] == "resolved"
    found = desk.ok("reopen_incident", ticket=made["sys_id"], reason="broken again")
    assert found["state"] == "in_progress"
    assert found["summary"].startswith("%s (in_progress): reopened" % made["number"])
    comments = servicenow_stub.ticket("job-1")["comments"]
    assert [one.partition("\n")[0] for one in comments] == ["restarted it", "broken again"]
    shown = desk.ok("get_incident", ticket=made["number"])
    assert (shown["title"], shown["description"]) == ("web is down", "no answer")
    assert "restarted it" in shown["notes"]
    assert shown["updated_by"] == "selfheal.bot"


def test_a_close_code_may_be_given(desk, servicenow_stub):
    number = desk.ticket()["number"]
    desk.ok("resolve_incident", ticket=number, notes="it was you", close_code="User error")
    assert servicenow_stub.ticket("job-1")["row"]["close_code"] == "User error"


def test_tickets_are_found(desk, servicenow_stub):
    made = desk.ticket(assignment_group="Shop")
    desk.ok("create_incident", title="disk full", correlation_id="job-2")
    for given in ({"correlation_id": "job-1"}, {"title": "WEB"}, {"assignment_group": "Shop"},
                  {"state": "new", "title": "web"}):
        found = desk.ok("find_incidents", **given)
        assert [one["number"] for one in found["tickets"]] == [made["number"]], given
    assert desk.ok("find_incidents", state="new", limit=1)["count"] == 1
    assert desk.ok("find_incidents", state="closed") == {
        "count": 0, "tickets": [], "summary": "0 found",
    }
    desk.refused("find_incidents", assignment_group="Nobody")
    assert desk.refused("find_incidents")["error_type"] == "InvalidInput"
    assert desk.refused("find_incidents", title=" ", state="gone")["error_type"] == "InvalidInput"


def test_of_many_tickets_the_newest_are_found_the_newest_last(desk):
    made = [
        desk.ok("create_incident", title="web is down", correlation_id="job-%d" % number)["number"]
        for number in range(5)
    ]
    found = desk.ok("find_incidents", title="web", limit=2)
    assert [one["number"] for one in found["tickets"]] == made[-2:]


def test_a_text_is_attached_once(desk, servicenow_stub):
    number = desk.ticket()["number"]
    for _ in range(2):
        assert desk.ok("attach", ticket=number, name="log.txt", content="grüße")["size"] == 7
    assert servicenow_stub.ticket("job-1")["attachments"] == {"log.txt": "grüße".encode()}
    assert desk.refused("attach", ticket=number, name="log.txt")["error_type"] == "InvalidInput"
    assert desk.refused("attach", ticket=number, content="x")["error_type"] == "InvalidInput"
    both = desk.refused("attach", ticket=number, name="x", content="x", incident_id="inc-1")
    assert "either content or incident_id" in both["error"]
    big = desk.refused("attach", ticket=number, name="x", content="x" * (5 * 1024 * 1024 + 1))
    assert big["error_type"] == "InvalidInput"


def test_a_report_is_attached(desk, servicenow_stub):
    incident = scene.incident(desk.ctx.store)
    number = desk.ticket()["number"]
    desk.ok("attach", ticket=number, incident_id=incident)
    (name, content), = servicenow_stub.ticket("job-1")["attachments"].items()
    assert incident in name
    assert b"web is down" in content


WISHES = {
    "create_incident": {"title": "new", "correlation_id": "job-2", "work_notes": "first"},
    "update_incident": {"ticket": "INC0010001", "title": "better"},
    "add_work_note": {"ticket": "INC0010001", "text": "a note"},
    "resolve_incident": {"ticket": "INC0010001", "notes": "it works"},
    "reopen_incident": {"ticket": "INC0010001", "reason": "broken again"},
    "attach": {"ticket": "INC0010001", "name": "log.txt", "content": "a line"},
}


@pytest.mark.parametrize("kind", ["429", "500", "drop_before", "drop_after"])
@pytest.mark.parametrize("wish", sorted(WISHES))
def test_what_got_lost_is_written_later_and_once(desk, servicenow_stub, wish, kind):
    desk.ticket()
    if wish == "reopen_incident":
        desk.ok("resolve_incident", ticket="INC0010001", notes="it works")
    servicenow_stub.fail_next(kind, times=2, retry_after=60, only="write")
    found = desk.ok(wish, **WISHES[wish])
    assert (found["delivered"], found["waits"]) == (False, True)
    assert "not written yet" in found["summary"]
    for _ in range(4):
        desk.later()
    assert letters.status_of(desk.ctx.store, found["outbox_id"]) == letters.SENT
    there = servicenow_stub.ticket("job-1")
    assert there["title"] == ("better" if wish == "update_incident" else "web is down")
    assert there["state"] == {"resolve_incident": "resolved", "reopen_incident": "in_progress"}.get(
        wish, "open"
    )
    assert len(there["comments"]) == (1 if wish in ("add_work_note", "reopen_incident") else 0)
    assert list(there["attachments"]) == (["log.txt"] if wish == "attach" else [])
    if wish == "create_incident":
        assert servicenow_stub.ticket("job-2")["comments"] == ["first"]
    assert len(servicenow_stub.tickets()) == (2 if wish == "create_incident" else 1)


@pytest.mark.parametrize("is_lost", [True, False])
def test_description_that_is_too_long_follows_our_own_ticket_only(desk, servicenow_stub, is_lost):
    long = "\n".join("line %d" % number for number in range(2000))
    if is_lost:
        servicenow_stub.fail_next("drop_after", only="write")
    else:
        desk.ticket()  # somebody has made one of that id before
    desk.ok("create_incident", title="new", correlation_id="job-1", description=long)
    for _ in range(3):
        desk.later()
    names = [one["file_name"] for one in servicenow_stub.tables.attachments]
    assert names == (["incident-job-1.txt"] if is_lost else [])
    assert len(servicenow_stub.tickets()) == 1


def test_a_ticket_that_is_not_there_is_the_persons_error(desk):
    for name, given in (
        ("get_incident", {}),
        ("add_work_note", {"text": "x"}),
        ("resolve_incident", {"notes": "x"}),
    ):
        for ticket in ("INC9999999", "0" * 32):
            assert "has no ticket" in desk.refused(name, ticket=ticket, **given)["error"]
    assert letters.pending_count(desk.ctx.store) == letters.dead_count(desk.ctx.store) == 0


def test_what_the_instance_forbids_is_the_persons_error(desk, servicenow_stub):
    made = desk.ticket()
    servicenow_stub.close_by_hand(made["sys_id"])
    assert "ACL" in desk.refused("add_work_note", ticket=made["number"], text="x")["error"]
    assert "make a new ticket" in desk.refused("reopen_incident", ticket=made["number"])["error"]
    assert letters.pending_count(desk.ctx.store) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"correlation_id": ""}, {"sys_id": "x"}, {"sys_class_name": "problem"}, {"Work": "x"},
        {"work_notes": "[code]x[/code]"}, {"comments": "x"}, {"a^b": "x"}, {"x": None},
        {"x": ["y"]}, {"": "x"}, ["x"], "x",
    ],
)
def test_a_field_that_is_none_is_refused(desk, servicenow_stub, fields):
    made = desk.ticket()
    count = len(servicenow_stub.requests)
    for name, given in (("update_incident", {"ticket": made["number"]}),
                        ("create_incident", {"title": "x", "correlation_id": "job-9"})):
        assert desk.refused(name, fields=fields, **given)["error_type"] == "InvalidInput"
    assert len(servicenow_stub.requests) == count


def test_nothing_to_do_is_refused(desk):
    assert desk.refused("update_incident", ticket="INC0010001")["error_type"] == "InvalidInput"
    assert desk.refused("create_incident", title=" ")["error_type"] == "InvalidInput"
    assert desk.refused("add_work_note", ticket="INC0010001", text="")["error_type"] == (
        "InvalidInput"
    )


def test_a_group_that_is_not_there_is_the_persons_error(desk):
    made = desk.ticket()
    told = desk.refused("update_incident", ticket=made["number"], assignment_group="Nobody")
    assert "Nobody" in told["error"]


def test_without_settings_it_says_what_to_set(servicenow_stub, tmp_path):
    desk = Desk(servicenow_stub, tmp_path, section={"username": "x"})
    told = desk.refused("create_incident", title="x")
    assert (told["error_type"], letters.pending_count(desk.ctx.store)) == ("ConfigError", 0)
    assert "servicenow.instance" in told["error"]


@pytest.mark.parametrize("grant", ["basic", "client_credentials", "refresh_token", "password"])
def test_no_secret_is_kept_or_shown(servicenow_stub, tmp_path, grant, caplog):
    section = servicenow_stub.settings() if grant == "basic" else servicenow_stub.oauth(grant)
    desk = Desk(servicenow_stub, tmp_path, section=section)
    results = [desk.ticket()]
    for kind in ("500", "drop_after", "429"):
        servicenow_stub.fail_next(kind, only="write")
        results.append(desk.run("add_work_note", ticket="INC0010001", text=kind))
    servicenow_stub.tokens.clear()
    desk.ctx.config.values["servicenow"]["client_secret"] = "sn-wrong-client-secret"
    desk.ctx.config.values["servicenow"]["password"] = "sn-wrong-password"
    results.append(desk.run("get_incident", ticket="INC0010001"))
    store = desk.ctx.store
    tables = store.query("SELECT name FROM sqlite_master WHERE type = 'table'")
    rows = [store.query('SELECT * FROM "%s"' % one["name"]) for one in tables]
    everything = "\n".join([json.dumps(results), repr(rows), caplog.text])
    assert "INC0010001" in everything
    for secret in (PASSWORD, CLIENT_SECRET, REFRESH_TOKEN, "sn-wrong", "sn-access-token"):
        assert secret not in everything

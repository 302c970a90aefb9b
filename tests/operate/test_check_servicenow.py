"""What check_config says of ServiceNow: reachable, permitted, and whether the settings fit."""

from __future__ import annotations

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.operate import check_servicenow
from tests.stub_servicenow import PASSWORD, Stub

FITTING = {
    "close_code": "Solution provided",
    "caller": "ann",
    "assignment_group": "Shop",
    "routes": [{"match": {"a": "b"}, "assignment_group": "Service Desk", "category": "network"}],
}


@pytest.fixture
def stub():
    with Stub() as server:
        yield server
        assert server.violations == []
        assert {one["method"] for one in server.requests} <= {"GET"}


def rows(section):
    found = check_servicenow.lines(Context(Config({"servicenow": section})), 60.0)
    return {what: (state, detail, do) for what, state, detail, do in found}


def states(found):
    return {what: state for what, (state, _, _) in found.items()}


def test_off_without_an_instance():
    assert states(rows({})) == {"servicenow": "off"}


def test_settings_that_fit(stub):
    found = rows(stub.settings(**FITTING))
    assert states(found) == dict.fromkeys(
        ["servicenow", "servicenow: fields", "servicenow: choices", "servicenow: people"], "on"
    )


def test_named_targets_are_each_checked(stub):
    found = rows({"edge": stub.settings(), "west": {"instance": "a b"}})
    assert found["servicenow.edge"][0] == "on"
    assert found["servicenow.west"][0] == "error"


def test_wrong_credentials(stub):
    state, detail, _ = rows(stub.settings(password="wrong-password-1"))["servicenow"]
    assert state == "error"
    assert "401" in detail
    assert "wrong-password-1" not in detail
    assert PASSWORD not in detail


def test_no_connection():
    state, detail, do = rows(
        {"instance": "http://127.0.0.1:9", "username": "u", "password": "p"}
    )["servicenow"]
    assert (state, "wait in the outbox" in do) == ("error", True)
    assert "127.0.0.1:9" in detail


def test_fields_that_are_not_there(stub):
    stub.tables.missing.add("close_notes")
    stub.tables.has_custom = False
    state, detail, do = rows(stub.settings(**FITTING))["servicenow: fields"]
    assert state == "error"
    assert "close_notes (close_notes)" in detail
    assert "u_alert_fingerprint" not in detail
    assert "servicenow.fields" in do


def test_custom_fields_may_be_missing(stub):
    stub.tables.has_custom = False
    state, detail, _ = rows(stub.settings(**FITTING))["servicenow: fields"]
    assert state == "on"
    assert "u_alert_fingerprint, u_monitoring_source" in detail


def test_limits_beyond_the_dictionary(stub):
    state, detail, _ = rows(stub.settings(limits={"short_description": 255}))["servicenow: fields"]
    assert state == "warning"
    assert "short_description holds 160, servicenow.limits.short_description is 255" in detail


def test_without_the_dictionary_a_record_is_looked_at(stub):
    stub.forbidden.add(("GET", "sys_dictionary"))
    state, detail, _ = rows(stub.settings())["servicenow: fields"]
    assert (state, "table is empty" in detail) == ("warning", True)
    stub.tables.create({}, "ann")
    assert rows(stub.settings())["servicenow: fields"][0] == "on"
    stub.hidden.add("correlation_id")
    state, detail, _ = rows(stub.settings())["servicenow: fields"]
    assert (state, "correlation_id" in detail) == ("error", True)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"close_code": "Solved (Permanently)"}, "servicenow.close_code"),
        ({"states": {"resolved": "60"}}, "servicenow.states.resolved is '60'"),
        ({"levels": {"info": {"urgency": "4"}}}, "servicenow.levels.info.urgency is '4'"),
        ({"category": "Software"}, "which is not in category (database, hardware"),
        ({"routes": [{"match": {"a": "b"}, "subcategory": "x"}]}, "routes[0].subcategory"),
    ],
)
def test_values_that_are_in_no_list(stub, more, words):
    state, detail, _ = rows(stub.settings(**more))["servicenow: choices"]
    assert state == "error"
    assert words in detail


def test_lists_that_may_not_be_read(stub):
    stub.forbidden.add(("GET", "sys_choice"))
    state, _, do = rows(stub.settings())["servicenow: choices"]
    assert (state, "sys_choice" in do) == ("warning", True)


def test_people_that_are_not_there(stub):
    state, detail, _ = rows(stub.settings(caller="carl", assignment_group="Nobody"))[
        "servicenow: people"
    ]
    assert state == "error"
    assert "carl" in detail
    assert "Nobody" in detail


def test_journals_that_may_not_be_read(stub):
    stub.forbidden.add(("GET", "sys_journal_field"))
    assert rows(stub.settings())["servicenow: comments"][0] == "on"

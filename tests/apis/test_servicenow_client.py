"""ServiceNow's APIs as the client meets them: credentials, pages, refusals, lost answers."""

from __future__ import annotations

import time

import pytest

from selfheal.apis.declined import Declined
from selfheal.apis.servicenow import client as client_module
from selfheal.apis.servicenow.client import PAGE, Client
from selfheal.config import Config
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, NotFound, Refused
from selfheal.http import HttpClient
from selfheal.tickets import servicenow_settings
from tests.scene import Clock
from tests.stub_servicenow import CLIENT_SECRET, PASSWORD, REFRESH_TOKEN, Stub

GRANTS = ("client_credentials", "refresh_token", "password")
NOBODY = "f" * 32
FIELDS = ("sys_id", "number", "short_description", "correlation_id")


@pytest.fixture
def stub():
    with Stub() as server:
        yield server
        assert server.violations == []


def client(section, clock=time, hidden=None):
    complete = servicenow_settings.named(Config({"servicenow": section}), "default")
    now = clock.time if clock is time else clock.now
    return Client(HttpClient(), complete, now, (hidden if hidden is not None else []).append)


def make(stub, count=1):
    return [
        stub.tables.create({"short_description": "t%d" % n, "correlation_id": "c%d" % n}, "ann")
        for n in range(count)
    ]


def test_basic_credentials(stub):
    row = make(stub)[0]
    found = client(stub.settings()).get("incident", row["sys_id"], FIELDS)
    assert found["short_description"] == "t0"


@pytest.mark.parametrize("grant", GRANTS)
def test_an_access_token_is_asked_for_once_and_hidden(stub, grant):
    make(stub)
    hidden = []
    asked = client(stub.oauth(grant), hidden=hidden)
    for _ in range(3):
        assert len(asked.select("incident", [("number", "STARTSWITH", "INC")], FIELDS)) == 1
    tokens = [one for one in stub.requests if one["path"] == "/oauth_token.do"]
    assert len(tokens) == 1
    assert set(hidden) == set(stub.tokens)
    assert client(stub.oauth(grant)).newest("incident", FIELDS) is not None
    assert len([one for one in stub.requests if one["path"] == "/oauth_token.do"]) == 1


@pytest.mark.parametrize("grant", GRANTS)
def test_a_token_that_was_withdrawn_is_renewed(stub, grant):
    asked = client(stub.oauth(grant))
    asked.newest("incident", FIELDS)
    stub.tokens.clear()
    asked.newest("incident", FIELDS)
    assert len(stub.tokens) == 1


def test_a_token_is_renewed_before_it_ends(stub):
    clock = Clock(time.time())
    asked = client(stub.oauth(), clock)
    asked.newest("incident", FIELDS)
    clock.at += stub.token_life_s - 10
    asked.newest("incident", FIELDS)
    assert len(stub.tokens) == 2
    paths = [one["path"] for one in stub.requests]
    assert paths.count("/oauth_token.do") == 2
    assert len(paths) == 4, "no request was sent in vain"


@pytest.mark.parametrize(
    "more",
    [
        {"password": "wrong-4711-secret"},
        {"client_id": "c", "client_secret": "wrong-4711-secret"},
        {"client_id": "c", "client_secret": CLIENT_SECRET, "refresh_token": "wrong-4711-secret"},
    ],
)
def test_wrong_credentials_are_named_and_not_shown(stub, more):
    asked = client({**stub.settings(), **more})
    with pytest.raises(ConfigError) as caught:
        asked.newest("incident", FIELDS)
    words = str(caught.value)
    assert "401" in words
    assert "servicenow" in words
    for secret in ("wrong-4711-secret", PASSWORD, CLIENT_SECRET, REFRESH_TOKEN):
        assert secret not in words


@pytest.mark.parametrize("kind", ["500", "429", "drop_before"])
def test_without_a_token_nothing_was_written(stub, kind):
    stub.fail_next(kind, retry_after=9)
    asked = client(stub.oauth())
    with pytest.raises(Declined, match="no access token"):
        asked.insert("incident", {"correlation_id": "c"}, FIELDS, display="false")
    assert stub.tables.incidents == []


def test_all_pages_are_read_and_none_twice(stub, monkeypatch):
    monkeypatch.setattr(client_module, "PAGE", 7)
    make(stub, 20)
    asked = client(stub.settings())
    rows = asked.select("incident", [("number", "STARTSWITH", "INC")], FIELDS)
    assert sorted(row["number"] for row in rows) == sorted(
        row["number"] for row in stub.tables.incidents
    )
    assert [one["query"]["sysparm_offset"] for one in stub.requests] == ["0", "7", "14"]
    assert len(asked.select("incident", [("number", "STARTSWITH", "INC")], FIELDS, limit=9)) == 9
    assert PAGE == 200


def test_records_that_may_not_be_read_leave_gaps_and_end_nothing(stub, monkeypatch):
    monkeypatch.setattr(client_module, "PAGE", 5)
    rows = make(stub, 20)
    stub.unreadable |= {row["sys_id"] for row in sorted(rows, key=lambda one: one["sys_id"])[3:15]}
    asked = client(stub.settings())
    found = asked.select("incident", [("number", "STARTSWITH", "INC")], FIELDS)
    assert {row["sys_id"] for row in found} == {row["sys_id"] for row in rows} - stub.unreadable
    with pytest.raises(ConfigError, match="there are 20 records, and the user may read 8"):
        asked.select("incident", [("number", "STARTSWITH", "INC")], FIELDS, is_whole=True)


def test_nothing_found_is_an_empty_list_however_it_is_said(stub):
    asked = client(stub.settings())
    assert asked.select("incident", [("number", "=", "INC1")], FIELDS) == []
    make(stub)
    stub.answer = lambda request: (404, {}, {"error": {"message": "No Record found"}})
    assert asked.select("incident", [("number", "=", "INC1")], FIELDS) == []
    assert asked.newest("incident", FIELDS) is None
    assert asked.attachments("incident", NOBODY) == []


@pytest.mark.parametrize("sys_id", ["", " ", "INC1", "../incident", "a" * 31, "a" * 33, "/" * 32])
def test_a_record_is_named_by_a_whole_sys_id(stub, sys_id):
    asked = client(stub.settings())
    for ask in (
        lambda: asked.get("incident", sys_id, FIELDS),
        lambda: asked.update("incident", sys_id, {"state": "7"}, FIELDS),
        lambda: asked.attach("incident", sys_id, "a.txt", b"x", "text/plain"),
        lambda: asked.attachments("incident", sys_id),
    ):
        with pytest.raises(InvalidInput, match="sys_id"):
            ask()
    assert stub.requests == []


@pytest.mark.parametrize("table", ["", "incident/x", "incident?a=b", "Incident", "../x"])
def test_a_table_is_a_name(stub, table):
    with pytest.raises(InvalidInput, match="no name of a table"):
        client(stub.settings()).newest(table, FIELDS)
    assert stub.requests == []


def test_too_many_requests_say_for_how_long(stub):
    stub.fail_next("429", retry_after=17)
    with pytest.raises(Declined, match="429") as caught:
        client(stub.settings()).newest("incident", FIELDS)
    assert caught.value.retry_after_s == 17.0


@pytest.mark.parametrize("kind", ["500", "drop_before", "drop_after"])
def test_a_lost_answer_is_not_asked_for_again(stub, kind):
    stub.fail_next(kind)
    with pytest.raises(ExternalError) as caught:
        client(stub.settings()).insert(
            "incident", {"correlation_id": "c", "short_description": "s"}, FIELDS, display="false"
        )
    assert caught.value.retryable
    assert not isinstance(caught.value, Declined)
    assert len(stub.requests) == 1
    assert len(stub.tables.incidents) == (1 if kind == "drop_after" else 0)


def test_a_sleeping_instance_is_no_answer(stub):
    stub.is_hibernating = True
    with pytest.raises(ExternalError, match="Hibernating"):
        client(stub.settings()).newest("incident", FIELDS)


def test_refusals_say_what_must_be_mended(stub):
    asked = client(stub.settings())
    row = make(stub)[0]
    with pytest.raises(NotFound, match="404"):
        asked.get("incident", NOBODY, FIELDS)
    with pytest.raises(ConfigError, match=r"Invalid table.*servicenow\.table"):
        asked.newest("u_nothing", FIELDS)
    stub.forbidden.add(("GET", "sys_choice"))
    with pytest.raises(ConfigError, match=r"User Not Authorized.*docs/integrations"):
        asked.newest("sys_choice", ("sys_id",))
    with pytest.raises(Refused, match="Data Policy"):
        asked.update("incident", row["sys_id"], {"state": "6"}, FIELDS)
    stub.close_by_hand(row["sys_id"])
    with pytest.raises(Refused, match="ACL Exception"):
        asked.update("incident", row["sys_id"], {"work_notes": "x"}, FIELDS)


@pytest.mark.parametrize(
    ("status", "error"),
    [(302, ConfigError), (400, InvalidInput), (405, InvalidInput), (409, Declined),
     (413, InvalidInput), (503, ExternalError)],
)
def test_each_status_has_a_meaning(stub, status, error):
    stub.answer = lambda request: (status, {}, {"error": {"message": "m", "detail": "d"}})
    with pytest.raises(error, match="%d m: d" % status):
        client(stub.settings()).newest("incident", FIELDS)


@pytest.mark.parametrize("status", [400, 404, 405])
def test_page_of_a_proxy_says_nothing_of_a_record(stub, status):
    stub.answer = lambda request: (status, {}, "<html>no such page</html>")
    asked = client(stub.settings())
    for ask in (
        lambda: asked.get("incident", NOBODY, FIELDS),
        lambda: asked.select("incident", [("number", "=", "1")], FIELDS),
        lambda: asked.insert("incident", {"correlation_id": "c"}, FIELDS, display="all"),
    ):
        with pytest.raises(ExternalError, match="before ServiceNow") as caught:
            ask()
        assert caught.value.retryable and not isinstance(caught.value, Declined)


def test_an_answer_of_another_shape_is_an_error(stub):
    asked = client(stub.settings())
    for body in ([], {"x": 1}, {"result": "x"}, {"result": ["x"]}):
        stub.answer = lambda request, body=body: (200, {}, body)
        with pytest.raises(ExternalError):
            asked.select("incident", [("number", "=", "1")], FIELDS)

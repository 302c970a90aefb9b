"""How Jira is asked, and what its answers mean."""

import time
from email.utils import formatdate

import pytest

from selfheal.apis.declined import Declined
from selfheal.apis.jira import issues
from selfheal.apis.jira.connection import Refusal, connect, issue_path
from selfheal.apis.jira.search import search
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, NotFound
from selfheal.http import HttpClient
from tests import scene
from tests.stub_jira import API_TOKEN, PASSWORD, TOKEN, USER, Stub

FLAVOURS = ("cloud", "datacenter")


def site_of(stub, **more):
    return connect(HttpClient(), stub.settings(**more), "jira")


def new(stub, **fields):
    given = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "x", **fields}
    return issues.create(site_of(stub), given, {})


@pytest.mark.parametrize("url, flavour, is_cloud", [
    ("https://acme.atlassian.net", "auto", True),
    ("https://acme.atlassian.net/", None, True),
    ("https://api.atlassian.com/ex/jira/1-2-3", "auto", True),
    ("https://jira.example.net/jira", "auto", False),
    ("https://notatlassian.net.example.org", "auto", False),
    ("https://jira.example.net", "cloud", True),
    ("https://acme.atlassian.net", "datacenter", False),
])
def test_the_flavour_is_told_by_the_address_or_the_setting(url, flavour, is_cloud):
    site = connect(HttpClient(), {"url": url, "flavour": flavour}, "jira")
    assert site.is_cloud is is_cloud
    assert site.address("/myself") == url.rstrip("/") + (
        "/rest/api/3/myself" if is_cloud else "/rest/api/2/myself")


@pytest.mark.parametrize("settings", [{}, {"url": ""}, {"url": "https://x", "flavour": "server"}])
def test_what_names_no_jira_is_an_error_that_names_the_setting(settings):
    with pytest.raises(ConfigError, match="jira.edge.(url|flavour)"):
        connect(HttpClient(), settings, "jira.edge")


def test_an_api_token_with_its_email_is_who_we_are_in_the_cloud():
    with Stub("cloud") as stub:
        assert site_of(stub).ask("GET", "/myself")["displayName"] == "Selfheal"
        with pytest.raises(ConfigError, match=r"401.*jira.username.*jira.password") as told:
            site_of(stub, password="wrong-4711").ask("GET", "/myself")
        assert "wrong-4711" not in str(told.value)
        with pytest.raises(ConfigError, match="401"):
            site_of(stub, username="", password="").ask("GET", "/myself")


def test_a_token_or_a_password_is_who_we_are_in_data_center():
    with Stub("datacenter") as stub:
        assert site_of(stub).ask("GET", "/myself")["name"] == "selfheal"
        by_name = {"token": "", "username": "selfheal", "password": PASSWORD}
        assert site_of(stub, **by_name).ask("GET", "/myself")["name"] == "selfheal"
        with pytest.raises(ConfigError, match=r"401.*jira.token"):
            site_of(stub, token="wrong").ask("GET", "/myself")
        stub.captcha = True
        with pytest.raises(ConfigError, match="captcha"):
            site_of(stub).ask("GET", "/myself")


def test_what_is_refused_says_why_in_jiras_own_words():
    with Stub("cloud") as stub:
        with pytest.raises(Refusal) as told:
            new(stub, priority={"name": "Urgent"}, customfield_1=1)
        assert told.value.status == 400 and not told.value.retryable
        assert told.value.errors == {
            "priority": "The priority selected is invalid.",
            "customfield_1": "Field 'customfield_1' cannot be set. It is not on the appropriate "
                             "screen, or unknown.",
        }
        assert "The priority selected is invalid" in str(told.value)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_issue_that_is_gone_is_not_found(flavour):
    with Stub(flavour) as stub:
        with pytest.raises(NotFound, match="(?i)issue does not exist"):
            issues.read(site_of(stub), "OPS-99")


def test_a_page_of_something_else_does_not_mean_that_an_issue_is_gone():
    page = b"<html>404 - nothing here</html>"
    with scene.Receiver((404, {}, page)) as receiver:
        site = connect(HttpClient(), {"url": receiver.url}, "jira")
        with pytest.raises(ConfigError, match="check jira.url"):
            issues.read(site, "OPS-1")


@pytest.mark.parametrize("status, body", [
    (404, b'{"message": "null for uri: http://jira/rest/api/3/issue/1", "status-code": 404}'),
    (404, b'{"timestamp": "x", "status": 404, "error": "Not Found", "message": "none"}'),
    (404, b'{"errorMessages": [], "errors": {}}'),
    (404, b'[]'),
    (410, b'{"errorMessages": ["The requested API has been removed."], "errors": {}}'),
])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_api_that_is_not_there_does_not_mean_that_an_issue_is_gone(flavour, status, body):
    with scene.Receiver((status, {"Content-Type": "application/json"}, body)) as receiver:
        site = connect(HttpClient(), {"url": receiver.url, "flavour": flavour}, "jira.edge")
        with pytest.raises(ConfigError, match=r"jira.edge.flavour \(it is asked as %s" % flavour):
            issues.read(site, "OPS-1")


@pytest.mark.parametrize("status, kind, words", [
    (301, ConfigError, "jira.url is not Jira's own"),
    (403, ConfigError, "permission scheme"),
    (400, ExternalError, "something before Jira"),
    (500, Refusal, "500"),
    (503, Refusal, "503"),
])
def test_other_answers_are_judged_by_who_gave_them(status, kind, words):
    with scene.Receiver((status, {"Location": "https://sso.example/"}, b"<html>no</html>")) as one:
        site = connect(HttpClient(), {"url": one.url}, "jira")
        with pytest.raises(kind, match=words) as told:
            site.ask("GET", "/myself")
        assert told.value.retryable is (status in (400, 500, 503))


@pytest.mark.parametrize("value, least, most", [
    ("7", 7, 7), ("", 0, 0), ("soon", 0, 0), ("date", 60, 101),
])
def test_too_many_requests_say_when_to_come_back(value, least, most):
    value = formatdate(time.time() + 100, usegmt=True) if value == "date" else value
    body = b'{"errorMessages": ["Rate limit exceeded."]}'
    with scene.Receiver((429, {"Retry-After": value} if value else {}, body)) as receiver:
        site = connect(HttpClient(), {"url": receiver.url}, "jira")
        with pytest.raises(Declined, match="Rate limit exceeded") as told:
            site.ask("GET", "/myself")
        assert least <= told.value.retry_after_s <= most


@pytest.mark.parametrize("name", [
    "", " ", "OPS", "OPS-", "-1", "OPS-1/comment", "../x", "OPS-1?x=1", "OPS-1,OPS-2", "*",
    "OPS-1\n", None, 7, ["OPS-1"], "OPS-\u0661", "O PS-1", "1" * 40,
])
def test_what_names_no_single_issue_never_becomes_an_address(name):
    with pytest.raises(InvalidInput, match="give one key"):
        issue_path(name)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_request_goes_out_without_a_name(flavour):
    with Stub(flavour) as stub:
        site = site_of(stub)
        for ask in (
            lambda: issues.read(site, ""),
            lambda: issues.edit(site, "", {}),
            lambda: issues.comment(site, "", "x", {}),
            lambda: list(issues.comments(site, "")),
            lambda: issues.transitions(site, ""),
            lambda: issues.transition(site, "", "1", {}, {}),
            lambda: issues.assign(site, "", None),
            lambda: issues.link(site, "Relates", "OPS-1", ""),
            lambda: issues.attach(site, "", "a", b"", "text/plain"),
            lambda: issues.read_many(site, ["1", ""]),
            lambda: search(site, "  ", ("summary",)),
        ):
            with pytest.raises(InvalidInput):
                ask()
        assert stub.requests == []


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_search_reads_page_after_page(flavour, page):
    with Stub(flavour) as stub:
        for number in range(5):
            new(stub, summary=str(number), labels=["x"])
        new(stub, labels=["y"])
        stub.page = page
        found = search(site_of(stub), "labels = x ORDER BY created ASC", ("summary",))
        assert sorted(one["fields"]["summary"] for one in found) == list("01234")
        assert len(search(site_of(stub), "labels = x", ("summary",), 3)) == 3
        assert stub.violations == []


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("query, words", [
    ("nonsense = 1", "Field 'nonsense' does not exist"),
    ("labels = 'x", "has not been completed"),
    ("labels ? x", "valid operators"),
    ("project = NOPE", "does not exist for the field 'project'"),
    ("labels = x AND", "Unexpected end"),
    ("labels = \"\\q\"", "illegal JQL escape"),
    ("labels in (a, b", "Expecting '\\)'"),
])
def test_a_query_that_jira_does_not_understand_is_refused_with_its_words(flavour, query, words):
    with Stub(flavour) as stub:
        with pytest.raises(Refusal, match=words) as told:
            search(site_of(stub), query, ("summary",))
        assert told.value.status == 400


def test_the_cloud_takes_no_query_without_a_condition():
    with Stub("cloud") as stub:
        with pytest.raises(Refusal, match="Unbounded JQL"):
            search(site_of(stub), "ORDER BY created", ("summary",))


@pytest.mark.parametrize("answer", [b"[]", b'{"issues": 5}', b'{"issues": [5]}', b"<html>"])
def test_what_is_no_answer_to_a_search_is_an_error_not_an_empty_list(answer):
    with scene.Receiver((200, {}, answer)) as receiver:
        site = connect(HttpClient(), {"url": receiver.url}, "jira")
        with pytest.raises(ExternalError):
            search(site, "labels = x", ("summary",))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_many_issues_are_read_at_once_and_the_missing_told_apart(flavour):
    with Stub(flavour) as stub:
        made = [str(new(stub)["id"]) for _ in range(3)]
        stub.delete_by_hand(made[1])
        stub.move_by_hand(made[2])
        found = issues.read_many(site_of(stub), [*made, "999"])
        assert set(found) == {made[0], made[2]}
        assert found[made[2]]["key"] == "NET-1"


def test_an_issue_that_the_index_does_not_show_yet_is_not_taken_for_gone():
    clock = scene.Clock()
    with Stub("datacenter", now=clock.now, lag_s=60) as stub:
        made = [str(new(stub)["id"]) for _ in range(2)]
        assert set(issues.read_many(site_of(stub), made)) == set(made)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name, kept", [
    ("a.txt", "a.txt"), ('x"; y=\r\nz', "x-- y---z"), ("../../etc/passwd", "-..-etc-passwd"),
    ("", "attachment"), ("ü.log", "ü.log"),
])
def test_a_file_is_attached_whole_under_a_plain_name(flavour, name, kept):
    content = bytes(range(256)) * 10 + b"\r\n--x\r\n\r\n"
    with Stub(flavour) as stub:
        key = new(stub)["key"]
        issues.attach(site_of(stub), key, name, content, "text/plain")
        assert stub.tickets()[0]["attachments"] == {kept: content}
        assert stub.violations == []


def test_credentials_stand_in_no_error():
    secrets = (API_TOKEN, TOKEN, PASSWORD)
    for flavour in FLAVOURS:
        with Stub(flavour) as stub:
            site = site_of(stub)
            told = []
            for kind in ("429", "500", "drop_before", "drop_after"):
                stub.fail_next(kind)
                with pytest.raises(ExternalError) as error:
                    site.ask("GET", "/myself")
                told.append(str(error.value))
            assert not any(secret in one for one in told for secret in secrets)
            assert stub.settings().get("username", USER) == USER

"""What people do in Jira by hand: at once, exactly once, and later when Jira is out of reach."""

import json

import pytest

from selfheal import door
from selfheal.exceptions import ExternalError, InvalidInput, NotFound, Refused
from selfheal.outbox import letters
from selfheal.respond import jira, telling
from tests import scene
from tests.stub_jira import API_TOKEN, TOKEN, Stub


@pytest.fixture
def ctx(jira_stub, tmp_path):
    return scene.context(scene.store_url("sqlite", tmp_path), jira=jira_stub.settings())


@pytest.fixture
def issue(ctx):
    return jira.create_issue(ctx, "web is down", "first\n\nsecond {code}", "error")["issue"]


def only(jira_stub):
    assert len(jira_stub.tickets()) == 1
    return jira_stub.tickets()[0]


def later(ctx):
    """Housekeeping carries what waits, when it is due."""
    for _ in range(6):
        ctx.clock.at += 1000
        telling.deliver(ctx)


def test_an_issue_is_made_at_once(ctx, jira_stub):
    told = jira.create_issue(ctx, "web is down", "first\n\n{code}", "error", labels=["shop"])
    assert told["delivered"] is True and told["waits"] is False
    assert (told["issue"], told["url"]) == ("OPS-1", jira_stub.url + "/browse/OPS-1")
    one = only(jira_stub)
    assert one["title"] == "web is down" and one["severity"] == "High"
    assert {"shop", "selfheal"} < set(one["labels"])
    assert "first" in one["body"] and "{code}" in one["body"]


def test_description_that_is_too_long_is_attached_whole(ctx, jira_stub):
    words = "\n".join("line %d %s" % (number, "x" * 90) for number in range(500))
    jira.create_issue(ctx, "much to say", words)
    one = only(jira_stub)
    assert "the whole is in the attachment" in one["body"]
    assert one["attachments"]["description.txt"].decode().split("\n") == words.split("\n")


def test_project_and_type_may_be_named(ctx, jira_stub):
    told = jira.create_issue(ctx, "x", project="NET", issue_type="Bug")
    assert told["issue"] == "NET-1"
    assert only(jira_stub)["kind"] == "Bug"


def test_an_issue_whose_answer_was_lost_is_made_once(ctx, jira_stub):
    jira_stub.fail_next("drop_after", only="write")
    told = jira.create_issue(ctx, "web is down")
    assert told["delivered"] is False and told["waits"] is True and told["error"]
    later(ctx)
    only(jira_stub)
    assert letters.is_delivered(ctx.store, told["outbox_id"])
    assert letters.answer_of(ctx.store, told["outbox_id"])["issue"] == "OPS-1"


def test_an_issue_whose_answer_was_lost_gets_its_whole_description_once(ctx, jira_stub):
    words = "\n".join("line %d %s" % (number, "x" * 90) for number in range(500))
    jira_stub.fail_next("drop_after", only="write")
    jira.create_issue(ctx, "much to say", words)
    later(ctx)
    (issue,) = jira_stub.issues
    assert [name for name, _, _ in issue["attachments"]] == ["description.txt"]


def test_an_issue_waits_while_jira_is_out_of_reach(ctx, jira_stub):
    jira_stub.fail_next("drop_before", times=2)
    told = jira.create_issue(ctx, "web is down")
    assert told["waits"] is True and jira_stub.tickets() == []
    later(ctx)
    only(jira_stub)


@pytest.mark.parametrize("outage_s", [0, 600])
def test_a_cloud_that_is_behind_makes_no_second_issue(tmp_path, outage_s):
    clock = scene.Clock()
    with Stub("cloud", now=clock.now, lag_s=50) as jira_stub:
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, clock, jira=jira_stub.settings())
        url, ctx.config.values["jira"]["url"] = jira_stub.url, "http://127.0.0.1:9"
        if not outage_s:
            ctx.config.values["jira"]["url"] = url
            jira_stub.fail_next("drop_after", only="write")
        jira.create_issue(ctx, "web is down")
        clock.at += outage_s
        if outage_s:  # nobody was there; then the first that is there loses the answer
            ctx.config.values["jira"]["url"] = url
            jira_stub.fail_next("drop_after", only="write")
        for _ in range(40):
            clock.at += 10
            telling.deliver(ctx)
        only(jira_stub)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "500", "429"])
def test_a_comment_is_there_once_whatever_happens(ctx, jira_stub, issue, kind):
    jira_stub.fail_next(kind, only="write")
    told = jira.comment(ctx, issue, "looking at it {noformat}")
    assert told["waits"] is True
    later(ctx)
    comments = only(jira_stub)["comments"]
    assert len(comments) == 1 and "looking at it {noformat}" in comments[0]


def test_an_issue_is_taken_to_a_status(ctx, jira_stub, issue):
    told = jira.transition(ctx, issue, "Done", "Fixed")
    assert told["transitions"] == ["Start work", "To review", "Finish"]
    assert told["status"] == "Done"
    assert (only(jira_stub)["raw_state"], only(jira_stub)["resolution"]) == ("Done", "Fixed")


@pytest.mark.parametrize("who", ["ann", "Ann", "ann@example.net"])
def test_one_person_gets_an_issue(ctx, jira_stub, issue, who):
    assert jira.assign(ctx, issue, who)["assignee"] == "Ann"
    assert only(jira_stub)["assignee"] == "ann"
    assert jira.assign(ctx, issue, "nobody")["assignee"] == ""
    assert only(jira_stub)["assignee"] == ""


@pytest.mark.parametrize("who", ["an", "eve", "example.net", "*"])
def test_who_is_no_one_person_gets_nothing(ctx, jira_stub, issue, who):
    with pytest.raises(NotFound, match="nobody who may be assigned"):
        jira.assign(ctx, issue, who)
    assert only(jira_stub)["assignee"] == ""


def test_two_issues_are_linked_once(ctx, jira_stub, issue):
    other = jira.create_issue(ctx, "db is down")["issue"]
    for _ in range(2):
        assert jira.link(ctx, issue, other)["other"] == other
    assert jira_stub.tickets()[0]["links"] == [other]
    with pytest.raises(ExternalError, match="No issue link type"):
        jira.link(ctx, issue, other, "Nonsense")


def test_a_text_is_attached_once(ctx, jira_stub, issue):
    for _ in range(2):
        jira.attach(ctx, issue, "notes.txt", "hello \U0001f4a5")
    assert only(jira_stub)["attachments"] == {"notes.txt": "hello \U0001f4a5".encode()}


def test_the_report_of_an_incident_is_attached(ctx, jira_stub, issue):
    incident = scene.incident(ctx.store)
    told = jira.attach(ctx, issue, "", incident_id=incident)
    content = only(jira_stub)["attachments"][told["name"]]
    assert b"web is down" in content and len(content) == told["bytes"]


@pytest.mark.parametrize("given", [{}, {"content": "x", "incident_id": "inc-1"}])
def test_what_is_attached_must_be_one_thing(ctx, issue, given):
    with pytest.raises(InvalidInput, match="give either"):
        jira.attach(ctx, issue, "x", **given)


def test_an_issue_is_shown_with_its_newest_comments(ctx, jira_stub, issue):
    for number in range(4):
        jira.comment(ctx, issue, "number %d" % number)
    jira.attach(ctx, issue, "a.txt", "x")
    shown = jira.get_issue(ctx, issue, comments=2)
    assert (shown["issue"], shown["status"], shown["state"]) == (issue, "To Do", "open")
    assert shown["priority"] == "High" and shown["attachments"] == ["a.txt"]
    assert "first" in shown["description"]
    assert [one["text"].splitlines()[0] for one in shown["comments"]] == ["number 3", "number 2"]
    assert shown["comments"][0]["by"] == "Selfheal"
    assert jira.get_issue(ctx, issue, comments=0)["comments"] == []


def test_issues_are_found_by_a_query(ctx, jira_stub, issue):
    jira.create_issue(ctx, "db is down")
    told = jira.search(ctx, 'summary ~ "db" ORDER BY created')
    assert (told["count"], told["issues"][0]["summary"]) == (1, "db is down")
    assert jira.search(ctx, "labels = selfheal", limit=1)["count"] == 1


def test_what_jira_refuses_for_good_is_an_error_and_leaves_nothing_behind(ctx, jira_stub, issue):
    jira_stub.forbidden.add("comment")
    for write, kind, words in (
        (lambda: jira.comment(ctx, "OPS-99", "x"), NotFound, "(?i)does not exist"),
        (lambda: jira.comment(ctx, issue, "x"), ExternalError, "permission to comment"),
        (lambda: jira.transition(ctx, issue, "Banana"), Refused, "no way to Banana"),
        (lambda: jira.link(ctx, issue, "OPS-99"), NotFound, "(?i)does not exist"),
    ):
        with pytest.raises(kind, match=words) as told:
            write()
        assert told.value.retryable is False
    later(ctx)
    assert letters.pending_count(ctx.store) == 0
    with pytest.raises(NotFound):
        jira.get_issue(ctx, "OPS-99")


def test_a_transition_of_unknown_outcome_says_that_it_may_have_been_taken(ctx, jira_stub, issue):
    jira.transition(ctx, issue, "Start work")
    jira_stub.fail_next("drop_after", only="write")
    told = jira.transition(ctx, issue, "Stop")
    assert told["waits"] is True
    later(ctx)
    row = letters.get(ctx.store, told["outbox_id"])
    assert row["status"] == letters.DEAD and "may have done it" in row["last_error"]
    assert only(jira_stub)["raw_state"] == "To Do"


def test_settings_that_are_wrong_are_an_error_at_once(jira_stub, tmp_path):
    settings = jira_stub.settings(project="NOPE")
    ctx = scene.context(scene.store_url("sqlite", tmp_path), jira=settings)
    ok, told = door.call(
        "selfheal.respond.jira.create_issue", {"summary": "x"}, context=ctx)
    assert (ok, told["error_type"]) == (False, "ConfigError")
    assert "jira.project" in told["error"]


@pytest.mark.parametrize("write", [
    lambda ctx: jira.create_issue(ctx, " "),
    lambda ctx: jira.create_issue(ctx, "x", severity="worst"),
    lambda ctx: jira.create_issue(ctx, "x", project="OPS-1"),
    lambda ctx: jira.create_issue(ctx, "x", labels=["a b"]),
    lambda ctx: jira.create_issue(ctx, "x", labels=[""]),
    lambda ctx: jira.comment(ctx, "OPS-1", " \n"),
    lambda ctx: jira.comment(ctx, "OPS", "x"),
    lambda ctx: jira.transition(ctx, "OPS-1", ""),
    lambda ctx: jira.assign(ctx, "OPS-1", " "),
    lambda ctx: jira.link(ctx, "OPS-1", "OPS-1"),
    lambda ctx: jira.link(ctx, "OPS-1", ""),
    lambda ctx: jira.get_issue(ctx, ""),
    lambda ctx: jira.search(ctx, " "),
    lambda ctx: jira.search(ctx, "x" * 20000),
])
def test_what_names_nothing_is_refused_before_anything_is_sent(ctx, jira_stub, write):
    with pytest.raises(InvalidInput):
        write(ctx)
    assert jira_stub.requests == [] and letters.pending_count(ctx.store) == 0


@pytest.mark.parametrize("target", ["", "edge", "*"])
def test_a_jira_that_is_not_there_is_refused(ctx, jira_stub, target):
    with pytest.raises(InvalidInput, match="those there are: default"):
        jira.comment(ctx, "OPS-1", "x", target)
    assert jira_stub.requests == []


def test_nothing_that_is_told_or_kept_holds_a_secret(ctx, jira_stub):
    jira_stub.fail_next("500")
    jira.create_issue(ctx, "the token is %s and %s" % (API_TOKEN, TOKEN))
    later(ctx)
    ok, told = door.call("selfheal.respond.jira.search", {"jql": "labels = x"}, context=ctx)
    assert ok
    kept = json.dumps(told)
    assert API_TOKEN not in kept and TOKEN not in kept

"""Jira as a tracker, Cloud and Data Center alike: what a ticket becomes there, and what comes of
everything that may be wrong.
"""

import json

import pytest

from selfheal.apis.declined import Declined
from selfheal.config import Config
from selfheal.context import Context
from selfheal.document import bullets, code, heading, links, text
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, Refused
from selfheal.outbox.carrying import NotTaken
from selfheal.tickets import model
from selfheal.tickets.jira import tracker
from tests import scene, stub_jira_rules
from tests.stub_jira import API_TOKEN, TOKEN, Stub
from tests.tickets.jira_scene import BODY, draft, opened


@pytest.fixture
def jira(jira_stub):
    return opened(jira_stub)


def test_a_ticket_is_made_where_the_settings_say(jira_stub, jira):
    made = jira.create(draft())
    one = jira_stub.ticket("selfheal-inc-1-0")
    assert (made.ref, made.number) == (one["ref"], "OPS-1")
    assert made.url == jira_stub.url + "/browse/OPS-1"
    assert (made.state, made.kind, made.severity) == (model.OPEN, "Task", "critical")
    assert made.updated_at and made.assignee == ""
    assert one["title"] == "web is down" and one["severity"] == "Highest"
    assert {"selfheal", "selfheal-inc-1-0"} < set(one["labels"])
    assert one["row"]["properties"]["selfheal"] == {
        "correlation": "selfheal-inc-1-0", "incident": "inc-1", "fingerprint": "v1:0123"}
    for words in ("What happened", "web is down *now* {code} [~ann]", "- b", "$ x", "Report"):
        assert words in one["body"]


def test_a_ticket_is_found_again_by_its_correlation_alone(jira_stub, jira):
    first, _ = jira.create(draft()), jira.create(draft(2))
    again = jira.create(draft())
    assert [one.ref for one in jira.find("selfheal-inc-1-0")] == [first.ref, again.ref]
    assert jira.find("selfheal-inc-1") == []
    assert jira.find("SELFHEAL-INC-1-0") == []
    jira_stub.move_by_hand(first.ref)
    assert [one.number for one in jira.find("selfheal-inc-1-0")] == ["NET-1", "OPS-3"]


@pytest.mark.parametrize("correlation", ["", " ", "\n"])
def test_nothing_is_made_or_looked_for_without_a_correlation(jira_stub, jira, correlation):
    with pytest.raises(InvalidInput):
        jira.find(correlation)
    with pytest.raises(InvalidInput):
        jira.create(draft(correlation=correlation))
    assert jira_stub.requests == []


@pytest.mark.parametrize("correlation", ['x" OR project = NET', "a b", "Ü", "x\\", "*", "-"])
def test_a_strange_correlation_finds_only_its_own(jira_stub, jira, correlation):
    jira.create(draft(7))
    made = jira.create(draft(correlation=correlation))
    assert [one.ref for one in jira.find(correlation)] == [made.ref]


def test_text_from_outside_is_text_in_every_field(jira_stub, jira):
    nasty = "{{x}} <% y %> [~ann] !z! \x1b[0m h1. \ud800 \u202e" + "\U0001f4a5" * 300 + "\nnext"
    body = (heading(nasty), text(nasty), bullets([nasty]), code(nasty), links({nasty: nasty}))
    made = jira.create(draft(title=nasty, body=body, fingerprint=nasty, labels={nasty: nasty}))
    one = jira_stub.ticket("selfheal-inc-1-0")
    assert stub_jira_rules.length(one["title"]) <= 255 and "characters]" in one["title"]
    assert "\x1b" not in json.dumps(one["row"], default=str, ensure_ascii=False)
    assert "next" in one["body"] and "[~ann]" in one["body"]
    jira.comment(made.ref, body, "msg-1")
    assert jira.has_comment(made.ref, "msg-1")


def test_an_empty_title_is_no_reason_to_make_no_ticket(jira_stub, jira):
    jira.create(draft(title=" \n", body=()))
    assert jira_stub.ticket("selfheal-inc-1-0")["title"] == "(no title)"


def test_routes_send_a_ticket_elsewhere(jira_stub):
    routes = [
        {"match": {"team": "net*"}, "project": "NET", "issue_type": "Bug", "labels": ["network"]},
        {"match": {"severity": "info"}, "components": ["web"]},
    ]
    jira = opened(jira_stub, routes=routes, components=["database"])
    jira.create(draft(1, labels={"team": "Networks"}))
    jira.create(draft(2, severity="info"))
    jira.create(draft(3))
    rows = [jira_stub.ticket("selfheal-inc-%d-0" % number)["row"] for number in (1, 2, 3)]
    assert [row["project"] for row in rows] == ["NET", "OPS", "OPS"]
    assert [row["type"] for row in rows] == ["Bug", "Task", "Task"]
    assert [row["components"] for row in rows] == [["database"], ["database", "web"], ["database"]]
    assert "network" in rows[0]["labels"]


def test_a_screen_without_a_priority_is_no_reason_to_make_no_ticket(jira_stub, jira):
    jira_stub.screen.discard("priority")
    jira.create(draft())
    assert jira_stub.ticket("selfheal-inc-1-0")["severity"] == "Medium"


def test_required_fields_come_from_the_settings_or_are_named(jira_stub):
    jira_stub.required["customfield_10010"] = "Team"
    with pytest.raises(ConfigError, match=r"Team is required.*jira\.fields"):
        opened(jira_stub).create(draft())
    jira = opened(jira_stub, fields={"customfield_10010": {"value": "sre"}})
    jira.create(draft())
    assert jira_stub.ticket("selfheal-inc-1-0")["row"]["more"] == {
        "customfield_10010": {"value": "sre"}}


def test_settings_cannot_take_away_the_label_by_which_it_is_found(jira_stub):
    jira = opened(jira_stub, fields={"labels": ["mine"]})
    made = jira.create(draft())
    assert [one.ref for one in jira.find("selfheal-inc-1-0")] == [made.ref]
    assert {"mine", "selfheal"} < set(jira_stub.tickets()[0]["labels"])


@pytest.mark.parametrize("is_internal", [True, False])
def test_comments_in_a_service_project_are_for_agents_unless_it_is_said(
    jira_stub, is_internal
):
    jira = opened(jira_stub, internal_comments=is_internal)
    ref = jira.create(draft()).ref
    jira.comment(ref, BODY, "msg-1")
    kept = jira_stub.tickets()[0]["row"]["comments"][0]["properties"]
    is_told = {"key": "sd.public.comment", "value": {"internal": True}} in kept
    assert is_told is is_internal


@pytest.mark.parametrize("settings, words", [
    ({"project": "NOPE"}, "project"), ({"project": ""}, "jira.project is not set"),
    ({"issue_type": "Epos"}, "issue.?type"), ({"components": ["nope"]}, None),
    ({"password": "x", "token": "x"}, "401"),
])
def test_settings_that_do_not_fit_are_named(jira_stub, settings, words):
    jira = opened(jira_stub, **settings)
    if words is None:  # left out, as the priority is
        jira.create(draft())
        return
    with pytest.raises(ConfigError, match=words):
        jira.create(draft())
    assert jira_stub.tickets() == []


def test_a_long_body_is_cut_and_attached_whole(jira_stub, jira):
    lines = ["line %05d %s" % (number, "x" * 50) for number in range(3000)]
    given = draft(body=(heading("Log"), code("\n".join(lines))))
    made = jira.create(given)
    for _ in range(2):  # again when the ticket is found again
        jira.complete(made.ref, given)
    one = jira_stub.ticket("selfheal-inc-1-0")
    assert "attachment" in one["body"] and lines[-1] not in one["body"]
    assert lines[-1].encode() in one["attachments"]["incident-inc-1.txt"]
    for _ in range(2):  # a comment's whole text is attached once, however often it is sent
        jira.comment(made.ref, (code("\n".join(lines)),), "msg-1")
    names = [name for name, _, _ in jira_stub.ticket("selfheal-inc-1-0")["row"]["attachments"]]
    assert names == ["incident-inc-1.txt", "msg-1.txt"]
    assert jira.has_comment(made.ref, "msg-1")


def test_what_fits_needs_no_attachment(jira_stub, jira):
    made = jira.create(draft())
    jira_stub.requests.clear()
    jira.complete(made.ref, draft())
    assert jira_stub.requests == []


@pytest.mark.parametrize("keeps_properties", [True, False])
def test_a_comment_is_found_by_its_own_mark_only(jira_stub, jira, keeps_properties):
    jira_stub.keeps_properties = keeps_properties
    jira_stub.page = 3
    ref = jira.create(draft()).ref
    jira_stub.comment_by_hand(ref, "selfheal: is a nice tool")
    for number in range(10):
        jira.comment(ref, (text("number %d" % number),), "msg-01ab-cd_%d" % number)
    assert all(jira.has_comment(ref, "msg-01ab-cd_%d" % number) for number in range(10))
    for other in ("msg-01ab-cd_", "msg-01ab-cd_10", "01ab-cd_1", "selfheal"):
        assert not jira.has_comment(ref, other)
    told = [one for one in jira_stub.tickets()[0]["comments"] if "number" in one]
    assert [one.splitlines()[0] for one in told] == ["number %d" % n for n in range(10)]


def test_a_mark_in_somebody_elses_output_is_no_comment_of_ours(jira_stub, jira):
    ref = jira.create(draft()).ref
    jira.comment(ref, (text("selfheal: msg-2"), code("selfheal: msg-2\n")), "msg-1")
    assert not jira.has_comment(ref, "msg-2")


def test_a_comment_needs_a_mark(jira_stub, jira):
    with pytest.raises(InvalidInput):
        jira.comment("10001", BODY, " ")
    assert jira_stub.requests == []


def test_two_tickets_are_linked_once(jira_stub, jira):
    one, other = jira.create(draft()), jira.create(draft(2))
    for _ in range(2):
        jira.link(one.ref, other, "came before")
    assert jira_stub.tickets()[0]["links"] == ["OPS-2"]
    assert sum(request["path"].endswith("/issueLink") for request in jira_stub.requests) == 1


def test_a_ticket_of_another_tracker_becomes_a_web_link(jira_stub, jira):
    ref = jira.create(draft()).ref
    other = model.Ticket("abc", "INC0010023", "https://acme.service-now.com/x", model.OPEN)
    for _ in range(2):
        jira.link(ref, other, "same incident")
    assert list(jira_stub.tickets()[0]["row"]["weblinks"].values()) == [other.url]
    with pytest.raises(Refused):
        jira.link(ref, model.Ticket("1", "X-1", "javascript:x", model.OPEN), "x")


def test_a_file_is_attached_once(jira_stub, jira):
    ref = jira.create(draft()).ref
    for _ in range(2):
        jira.attach(ref, "a b/c.txt", b"x", "text/plain")
    assert jira_stub.tickets()[0]["attachments"] == {"a b-c.txt": b"x"}


def test_a_definite_no_is_told_from_an_unknown_outcome(jira_stub, jira):
    ref = jira.create(draft()).ref
    jira_stub.fail_next("429", retry_after=7)
    with pytest.raises(Declined) as told:
        jira.comment(ref, BODY, "msg-1")
    assert told.value.retry_after_s == 7
    jira_stub.forbidden.add("comment")
    with pytest.raises(NotTaken, match="permission to comment") as told:
        jira.comment(ref, BODY, "msg-1")
    assert told.value.is_final
    jira_stub.forbidden.clear()
    for kind, arrives in (("500", False), ("drop_before", False), ("drop_after", True)):
        jira_stub.fail_next(kind)
        with pytest.raises(ExternalError) as told:
            jira.comment(ref, BODY, "msg-" + kind)
        assert not isinstance(told.value, (NotTaken, Declined)) and told.value.retryable
        assert jira.has_comment(ref, "msg-" + kind) is arrives


def test_an_answer_that_was_lost_is_found_again(jira_stub, jira):
    jira_stub.fail_next("drop_after")
    with pytest.raises(ExternalError):
        jira.create(draft())
    assert [one.number for one in jira.find("selfheal-inc-1-0")] == ["OPS-1"]
    jira_stub.fail_next("drop_after", only="write")
    with pytest.raises(ExternalError):
        jira.resolve("10001", BODY, 0.0)
    jira.resolve("10001", BODY, 0.0)
    assert jira_stub.tickets()[0]["raw_state"] == "Done"


def test_a_created_ticket_counts_though_it_could_not_be_read(jira_stub, jira):
    seen = []

    def chance(request):
        seen.append(request["method"])
        return "500" if request["method"] == "GET" else ""

    jira_stub.chance = chance
    made = jira.create(draft())
    assert (made.ref, made.number, seen) == ("10001", "OPS-1", ["POST", "GET"])


def test_the_search_of_the_cloud_may_be_behind():
    clock = scene.Clock()
    with Stub("cloud", now=clock.now, lag_s=30) as jira_stub:
        jira = opened(jira_stub)
        jira.create(draft())
        assert jira.find("selfheal-inc-1-0") == []
        assert 30 < jira.settles_s <= 120
        clock.at += jira.settles_s
        assert len(jira.find("selfheal-inc-1-0")) == 1


def test_named_targets_are_trackers_of_their_own():
    with Stub("cloud") as cloud, Stub("datacenter") as center:
        sections = {"edge": center.settings(project="NET"), "cloud": cloud.settings()}
        ctx = Context(Config({"jira": sections}))
        tracker(ctx, "edge").create(draft())
        assert tracker(ctx, "edge").name == "jira.edge"
        assert (len(cloud.tickets()), len(center.tickets())) == (0, 1)
        with pytest.raises(ConfigError, match="no Jira called x.*cloud, edge"):
            tracker(ctx, "x")


def test_no_secret_is_written_or_told(jira_stub, jira):
    told = []
    for kind in ("429", "500", "drop_before"):
        jira_stub.fail_next(kind)
        with pytest.raises(ExternalError) as error:
            jira.create(draft())
        told.append(str(error.value))
    jira.create(draft())
    whole = json.dumps([told, jira_stub.tickets(), repr(jira)], default=str)
    assert API_TOKEN not in whole and TOKEN not in whole
    assert not any(secret in request["path"] + str(request["query"]) + str(request["body"])
                   for request in jira_stub.requests for secret in (API_TOKEN, TOKEN))

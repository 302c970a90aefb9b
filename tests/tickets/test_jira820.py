"""The tracker against jira820, which somebody else wrote from a real Jira 8.20. It knows issues by
their keys only.
"""

import pytest

from selfheal.document import code, heading, text
from selfheal.exceptions import NotFound, Refused
from selfheal.respond import jira as by_hand
from selfheal.tickets import model
from selfheal.tickets.jira import tracker
from selfheal.tickets.model import Draft
from tests import scene
from tests.live_jira820 import Jira820

WORKFLOW = """
transition_scheme:
  Open: ["In Progress"]
  In Progress: ["In Review", "Open"]
  In Review: ["Done", "In Progress"]
  Done: ["Reopened"]
  Reopened: ["In Progress"]
transition_screens:
  Done: ["resolution", "worklog"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Jira820(tmp_path_factory.mktemp("jira820"), WORKFLOW) as running:
        yield running


@pytest.fixture
def jira(server, tmp_path):
    return opened(server, tmp_path)


def opened(server, tmp_path, **more):
    fields = {"worklog": {"timeSpent": "1m"}}
    settings = server.settings(**{"transition_fields": fields, **more})
    return tracker(scene.context(scene.store_url("sqlite", tmp_path), jira=settings))


def draft(correlation, **more):
    body = (heading("What"), text("web {code} is down [~ann]"), code("{noformat}"))
    return Draft(correlation, "inc-1", "web is down", "critical", body, **more)


def test_a_ticket_goes_its_whole_way(jira):
    made = jira.create(draft("selfheal-inc-1-0"))
    assert (made.state, made.severity, made.kind) == (model.OPEN, "critical", "Task")
    assert [one.ref for one in jira.find("selfheal-inc-1-0")] == [made.ref]
    ref = made.number
    assert jira.find("selfheal-inc-1") == []
    for number in range(3):
        jira.comment(ref, (text("number %d" % number),), "msg-%d" % number)
    assert [jira.has_comment(ref, "msg-%d" % n) for n in (0, 2, 3)] == [True, True, False]
    jira.set_severity(ref, "info")
    for _ in range(2):
        jira.resolve(ref, (), 0.0)
    now = jira.read([ref])[ref]
    assert (now.raw_state, now.state, now.severity) == ("Done", model.RESOLVED, "info")
    for _ in range(2):
        jira.reopen(ref, ())
    assert jira.read([ref])[ref].raw_state == "Reopened"
    jira.attach(ref, "report.md", b"# report", "text/markdown")
    other = jira.create(draft("selfheal-inc-2-0"))
    for _ in range(2):
        jira.link(ref, other, "came again")
    shown = by_hand.get_issue(jira.ctx, made.number)
    assert shown["attachments"] == ["report.md"]
    assert [one["issue"] for one in shown["links"]] == [other.number]


def test_what_is_not_there_is_gone(jira):
    ref = jira.create(draft("selfheal-inc-3-0")).number
    jira.site.ask("DELETE", "/issue/%s" % ref)
    assert jira.read([ref]) == {}
    with pytest.raises(NotFound):
        jira.comment(ref, (text("x"),), "msg-1")


def test_a_required_field_that_nobody_fills_is_named(server, tmp_path):
    jira = opened(server, tmp_path, transition_fields={})
    ref = jira.create(draft("selfheal-inc-4-0")).number
    with pytest.raises(Refused, match=r"Log Work \(worklog\)"):
        jira.resolve(ref, (), 0.0)


def test_by_hand_it_answers_at_once(jira):
    ctx = jira.ctx
    made = by_hand.create_issue(ctx, "web is down", "by hand", "warning")
    assert made["delivered"] is True
    assert by_hand.comment(ctx, made["issue"], "looking")["delivered"] is True
    assert by_hand.transition(ctx, made["issue"], "In Review")["status"] == "In Review"
    found = by_hand.search(ctx, "project = OPS AND labels = selfheal AND status = \"In Review\"")
    assert made["issue"] in [one["issue"] for one in found["issues"]]

"""What people call tickets, in whichever case, and an end that they ask for by a name that there is
not.
"""

from __future__ import annotations

import pytest

from selfheal import door
from selfheal.context import Context
from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.respond import jira
from tests import scene
from tests.stub_jira import Stub as JiraStub
from tests.stub_servicenow import Stub as ServiceNowStub


@pytest.fixture
def jira_ctx(tmp_path):
    with JiraStub() as stub:
        ctx = scene.context(scene.store_url("sqlite", tmp_path), jira=stub.settings())
        yield ctx
        assert stub.violations == []


def test_key_of_an_issue_and_of_a_project_may_be_in_small_letters(jira_ctx):
    assert jira.create_issue(jira_ctx, "web is down", project="ops")["issue"] == "OPS-1"
    for key in ("ops-1", "OPS-1"):
        jira.comment(jira_ctx, key, "a word")
    assert len(jira.get_issue(jira_ctx, "ops-1")["comments"]) == 2
    queues = jira_ctx.store.query("SELECT DISTINCT queue FROM outbox WHERE kind = 'jira_comment'")
    assert len(queues) == 1  # one after the other
    with pytest.raises(InvalidInput, match="linked to itself"):
        jira.link(jira_ctx, "OPS-1", "ops-1")
    with pytest.raises(NotFound):
        jira.get_issue(jira_ctx, "net-1")


def test_a_resolution_that_the_screen_does_not_have_is_no_other_one(jira_ctx):
    jira.create_issue(jira_ctx, "web is down")
    with pytest.raises(Refused, match="has no resolution Mended but Done, Fixed"):
        jira.transition(jira_ctx, "OPS-1", "done", resolution="Mended")
    assert jira.get_issue(jira_ctx, "OPS-1")["state"] == "in_progress"
    jira.transition(jira_ctx, "OPS-1", "done", resolution="fixed")
    assert jira.get_issue(jira_ctx, "OPS-1")["resolution"] == "Fixed"


def test_number_of_a_servicenow_ticket_may_be_in_small_letters(tmp_path):
    room = "selfheal.respond.servicenow.servicenow_"
    with ServiceNowStub() as stub:
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, servicenow=stub.settings())
        ctx.close = lambda: None  # the door closes what it is given

        def run(name, **given):
            succeeded, result = door.call(room + name, given, context=ctx)
            assert succeeded, result
            return result

        number = run("create_incident", title="web is down", correlation_id="c1")["number"]
        run("add_work_note", ticket=number.lower(), text="a word")
        assert run("get_incident", ticket=" %s " % number.lower())["number"] == number
        Context.close(ctx)
        assert stub.violations == []


def test_cloud_without_bulk_requests_is_read_one_by_one(tmp_path):
    with JiraStub() as stub:
        ctx = scene.context(scene.store_url("sqlite", tmp_path), jira=stub.settings())
        for words in ("a", "b"):
            jira.create_issue(ctx, words)
        plain = stub.answer

        def answer(request):
            if request["path"].endswith("/bulkfetch"):
                return 404, {}, {"errorMessages": ["Issue does not exist"], "errors": {}}
            return plain(request)

        stub.answer = answer
        refs = [one["ref"] for one in stub.tickets()]
        assert set(jira.tracker(ctx, "default").read([*refs, "999999"])) == set(refs)

"""The requests of each action, recorded for both flavours: what goes over the wire is what the
fixtures hold and what the documentation shows.

See tests.tickets.recording for how they are written anew.
"""

from __future__ import annotations

import json
import re

import pytest

from selfheal import document
from selfheal.apis.declined import Declined
from selfheal.respond import jira as by_hand
from selfheal.tickets import jira
from selfheal.tickets.model import STATE, Draft
from tests import scene
from tests.stub_jira import API_TOKEN, PASSWORD, TOKEN, Stub
from tests.tickets import recording
from tests.tickets.recording import MARK

HOSTS = {"cloud": "https://acme.atlassian.net", "datacenter": "https://jira.example.net"}


def draft(number):
    incident = "inc-01jd5k3x9q-8f2k1%d" % number
    return Draft(
        correlation="selfheal-%s-0" % incident, incident_id=incident, title="web is down",
        severity="critical", fingerprint="v1:0123456789abcdef",
        body=(
            document.heading("What happened"), document.text("web has not answered since 22:13."),
            document.bullets(["2 of 3 pods are not ready"]),
            document.code("connect: connection refused"),
            document.links({"Alert": "https://prometheus.example.net/graph"}),
        ),
    )


# What the actions do.

def create_issue(tracker, one, other):
    by_hand.create_issue(tracker.ctx, "web is down", "It has not answered since 22:13.", "error")


def comment(tracker, one, other):
    by_hand.comment(tracker.ctx, one.number, "Looking at it.")


def transition(tracker, one, other):
    by_hand.transition(tracker.ctx, one.number, "Done", "Fixed")


def assign(tracker, one, other):
    by_hand.assign(tracker.ctx, one.number, "ann@example.net")


def link(tracker, one, other):
    by_hand.link(tracker.ctx, one.number, other.number)


def attach(tracker, one, other):
    by_hand.attach(tracker.ctx, one.number, "notes.txt", "It was the disk.")


def get_issue(tracker, one, other):
    by_hand.get_issue(tracker.ctx, one.number, comments=1)


def search(tracker, one, other):
    by_hand.search(tracker.ctx, "labels = selfheal AND statusCategory != Done", limit=1)


# What the tickets of incidents do besides.

def ticket_is_made(tracker, one, other):
    tracker.create(draft(3))


def ticket_is_looked_for(tracker, one, other):
    tracker.find(draft(1).correlation)


def comment_is_looked_for(tracker, one, other):
    tracker.has_comment(one.ref, MARK)


def priority_follows(tracker, one, other):
    tracker.set_severity(one.ref, "warning")


def ticket_is_reopened(tracker, one, other):
    tracker.ctx.stub.resolve_by_hand(one.ref)
    tracker.reopen(one.ref, ())


def tickets_are_read_back(tracker, one, other):
    tracker.read([one.ref, other.ref])


def ticket_is_missing(tracker, one, other):
    tracker.ctx.stub.delete_by_hand(one.ref)
    tracker.read([one.ref])
    tracker.sees([one.ref])


def who_closed_it_is_asked(tracker, one, other):
    tracker.ctx.stub.close_by_hand(one.ref)
    tracker.author(one.ref, STATE)


def too_many_requests(tracker, one, other):
    tracker.ctx.stub.fail_next("429", retry_after=30)
    with pytest.raises(Declined):
        tracker.comment(one.ref, (document.text("Looking at it."),), MARK)


ACTIONS = (
    create_issue, comment, transition, assign, link, attach, get_issue, search, ticket_is_made,
    ticket_is_looked_for, comment_is_looked_for, priority_follows, ticket_is_reopened,
    tickets_are_read_back, ticket_is_missing, who_closed_it_is_asked, too_many_requests,
)


def body_of(request):
    """The body as JSON, or as text whose boundary is always the same."""
    text = request["body"].decode("utf-8")
    if "multipart" in request["headers"].get("content-type", ""):
        return re.sub(r"--[0-9a-f]{32}", "--boundary", text).replace("\r\n", "\n").strip()
    return json.loads(text) if text else ""


def recorded(request, url, flavour):
    text = recording.exchange(request, body_of(request)).replace(url, HOSTS[flavour])
    return json.loads(re.sub(r"msg-[0-9a-z]{10}-[0-9a-z]{6}", MARK, text))


@pytest.mark.parametrize("flavour", sorted(HOSTS))
@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.__name__)
def test_an_action_sends_what_was_recorded(action, flavour, tmp_path):
    with Stub(flavour, now=lambda: scene.START) as stub:
        ctx = scene.context(scene.store_url("sqlite", tmp_path), jira=stub.settings())
        ctx.stub = stub
        tracker = jira.tracker(ctx)
        one, other = tracker.create(draft(1)), tracker.create(draft(2))
        tracker.comment(one.ref, (document.text("Looking at it."),), MARK)
        stub.requests.clear()
        action(tracker, one, other)
        assert stub.violations == []
        found = [recorded(request, stub.url, flavour) for request in stub.requests]
        ctx.close()
    assert found
    path = recording.fixtures("jira") / ("%s_%s.json" % (flavour, action.__name__))
    recording.compare(found, path)


def test_every_fixture_is_of_an_action_and_every_action_has_one():
    assert recording.names("jira") == sorted(
        "%s_%s" % (flavour, action.__name__) for action in ACTIONS for flavour in HOSTS
    )
    names = {path.stem[len("jira_"):] for path in (recording.ROOT / "actions").glob("jira_*.yaml")}
    assert names <= {action.__name__ for action in ACTIONS}


def test_no_fixture_holds_a_secret():
    for path in recording.fixtures("jira").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not any(secret in text for secret in (API_TOKEN, TOKEN, PASSWORD, "127.0.0.1"))


def test_the_page_shows_every_request_and_names_what_exists():
    recording.check_page_shows_all("jira")
    recording.check_page_names_what_exists("jira", "cloud", "onprem")

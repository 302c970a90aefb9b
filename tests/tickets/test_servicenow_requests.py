"""The requests of each action, recorded: what goes over the wire is what the fixtures hold and what
the documentation shows.

See tests.tickets.recording for how they are written anew.
"""

from __future__ import annotations

import json
import re

import pytest

from selfheal import document
from selfheal.context import Context
from selfheal.tickets import servicenow
from selfheal.tickets.model import STATE, Draft
from selfheal.tickets.servicenow_carrier import carry
from tests import scene
from tests.stub_servicenow import Stub
from tests.tickets import recording
from tests.tickets.recording import MARK

SETTINGS = {
    "caller": "ann",
    "routes": [{"match": {"team": "shop"}, "assignment_group": "Shop"}],
}


def letter(op, **payload):
    from selfheal.outbox.carrying import Letter

    return Letter(
        id=MARK, kind="servicenow_%s" % op, incident_id="", channel="servicenow:default",
        target="default", queue="", payload={"op": op, **payload}, attempts=1,
        created_at=scene.START, may_have_arrived=False,
    )


def made(ctx):
    return servicenow.tracker(ctx).create(Draft(
        correlation="inc-01jd5k3x9q-8f2k1z", incident_id="inc-01jd5k3x9q-8f2k1z",
        title="web is down", severity="critical", fingerprint="0123456789abcdef",
        body=(document.text("The shop's web does not answer since 22:13."),),
        labels={"team": "shop"}, links={"Alert": "https://prometheus.example.net/graph"},
    ))


def create_incident(ctx, ticket):
    made(ctx)


def find_by_correlation_id(ctx, ticket):
    servicenow.tracker(ctx).find("inc-01jd5k3x9q-8f2k1z")


def update_incident(ctx, ticket):
    carry(ctx, letter("update", ticket=ticket.number, said={}, severity="warning", fields={
        "business_service": "shop",
    }))


def add_work_note(ctx, ticket):
    carry(ctx, letter("work_note", ticket=ticket.number, text="Restarted the deployment web."))


def look_for_a_work_note(ctx, ticket):
    servicenow.tracker(ctx).comment(ticket.ref, (document.text("Restarted."),), MARK)
    ctx.requests.clear()
    servicenow.tracker(ctx).has_comment(ticket.ref, MARK)


def resolve_incident(ctx, ticket):
    carry(ctx, letter("resolve", ticket=ticket.number, notes="Restarted; it answers again.",
                      close_code=""))


def reopen_incident(ctx, ticket):
    servicenow.tracker(ctx).resolve(ticket.ref, (document.text("done"),), scene.START)
    ctx.requests.clear()
    carry(ctx, letter("reopen", ticket=ticket.number, reason="It fires again."))


def get_incident(ctx, ticket):
    from selfheal.respond.servicenow import servicenow_get_incident

    servicenow_get_incident(ctx, ticket.number)


def find_incidents(ctx, ticket):
    from selfheal.respond.servicenow import servicenow_find_incidents

    servicenow_find_incidents(ctx, title="web", state="new", assignment_group="Shop")


def attach(ctx, ticket):
    carry(ctx, letter("attach", ticket=ticket.number, name="report.md", media_type="text/markdown",
                      content="IyBSZXBvcnQK"))


def read_several(ctx, ticket):
    servicenow.tracker(ctx).read([ticket.ref])


def ticket_is_missing(ctx, ticket):
    ctx.stub.made_by_others()
    ctx.stub.delete_by_hand(ticket.ref)
    servicenow.tracker(ctx).read([ticket.ref])
    servicenow.tracker(ctx).sees([ticket.ref])


def who_closed_it_is_asked(ctx, ticket):
    ctx.stub.close_by_hand(ticket.ref)
    servicenow.tracker(ctx).author(ticket.ref, STATE)


def access_token(ctx, ticket):
    ctx.config.values["servicenow"] = ctx.stub.oauth()
    servicenow.tracker(ctx).find("inc-01jd5k3x9q-8f2k1z")


def too_many_requests(ctx, ticket):
    ctx.stub.fail_next("429", retry_after=120)
    with pytest.raises(Exception, match="429"):
        servicenow.tracker(ctx).find("inc-01jd5k3x9q-8f2k1z")


def a_right_is_missing(ctx, ticket):
    ctx.stub.forbidden.add(("PATCH", "incident"))
    with pytest.raises(Exception, match="403"):
        servicenow.tracker(ctx).comment(ticket.ref, (document.text("x"),), MARK)


ACTIONS = (
    create_incident, find_by_correlation_id, update_incident, add_work_note, look_for_a_work_note,
    resolve_incident, reopen_incident, get_incident, find_incidents, attach, read_several,
    ticket_is_missing, who_closed_it_is_asked, access_token, too_many_requests, a_right_is_missing,
)


class Names:
    """sys_ids and tokens by their order, so that two runs read alike."""

    def __init__(self, url):
        self.url, self.known = url, {}

    def plain(self, text):
        text = text.replace(self.url, "https://acme.service-now.com")
        text = re.sub(r"sn-access-token-[0-9a-f]{32}", "ACCESS-TOKEN", text)
        text = re.sub(r"sn-[a-z-]*-471[0-9]", "SECRET", text)
        return re.sub(r"0abc[0-9a-f]{28}", self._number, text)

    def _number(self, found):
        return self.known.setdefault(found.group(), "%032x" % (0x9D38 + len(self.known)))


def recorded(request, names):
    body = request["body"].decode("utf-8")
    is_json = request["headers"].get("content-type") == "application/json"
    shown = recording.exchange(request, json.loads(body) if is_json else body)
    return json.loads(names.plain(shown))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.__name__)
def test_an_action_sends_what_was_recorded(action, tmp_path):
    with Stub(now=lambda: scene.START) as stub:
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, servicenow=stub.settings(**SETTINGS))
        ctx.stub, ctx.requests = stub, stub.requests
        names = Names(stub.url)
        ticket = None if action is create_incident else made(ctx)
        stub.requests.clear()
        action(ctx, ticket)
        Context.close(ctx)
        assert stub.violations == []
        found = [recorded(one, names) for one in stub.requests]
    recording.compare(found, recording.fixtures("servicenow") / ("%s.json" % action.__name__))


def test_every_fixture_is_of_an_action():
    assert recording.names("servicenow") == sorted(action.__name__ for action in ACTIONS)


def test_no_fixture_holds_a_secret():
    for path in recording.fixtures("servicenow").glob("*.json"):
        assert not re.search(r"sn-(pass|client|refresh|access)", path.read_text(encoding="utf-8"))


def test_the_page_shows_every_request_and_names_what_exists():
    recording.check_page_shows_all("servicenow")
    recording.check_page_names_what_exists("servicenow")

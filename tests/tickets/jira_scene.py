"""What tests of Jira begin with: the tracker on a stub, and a ticket to be made."""

from selfheal.config import Config
from selfheal.context import Context
from selfheal.document import bullets, code, heading, links, text
from selfheal.tickets.jira import tracker
from selfheal.tickets.model import Draft
from tests import scene

BODY = (
    heading("What happened"), text("web is down *now* {code} [~ann]"), bullets(["a", "- b"]),
    code("$ x\n{noformat}"), links({"Report": "https://st2.example/#/history/1"}),
)


def opened(stub, **more):
    return tracker(Context(Config({"jira": stub.settings(**more)}), clock=scene.Clock()))


def draft(number=1, **more):
    given = {
        "correlation": "selfheal-inc-%d-0" % number, "incident_id": "inc-%d" % number,
        "title": "web is down", "severity": "critical", "body": BODY, "fingerprint": "v1:0123",
        **more,
    }
    return Draft(**given)

"""What tests of ServiceNow begin with: the tracker on a stub, and a ticket to be made."""

from __future__ import annotations

from selfheal import document
from selfheal.config import Config
from selfheal.context import Context
from selfheal.tickets import servicenow
from selfheal.tickets.model import Draft

TEXT = (document.text("The cart does not answer"),)


def tracker(stub, **more):
    return servicenow.tracker(Context(Config({"servicenow": stub.settings(**more)})))


def draft(correlation="inc-1", **more):
    given = {
        "incident_id": "inc-1", "title": "web is down", "severity": "critical", "body": TEXT,
        **more,
    }
    return Draft(correlation=correlation, **given)

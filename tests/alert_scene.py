"""The scene of intake's tests: alert bodies, the triggers that got out, and contexts on a store."""

from __future__ import annotations

import json
from pathlib import Path

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import ExternalError
from selfheal.http import HttpClient
from selfheal.incidents.signal import epoch_of, time_text
from selfheal.intake.alertmanager import Reading, fingerprint_of, parse_alert
from selfheal.store import open_store
from tests import scene

NOW = epoch_of("2026-11-21T22:00:00.000Z")  # after everything in the fixtures
FIXTURES = Path(__file__).resolve().parent / "fixtures" / "alertmanager"


class Triggers:
    """A platform that keeps what it is given; while `down` it takes nothing."""

    execution_id = None

    def __init__(self):
        self.sent = []
        self.down = False

    def inject(self, trigger, payload):
        if self.down:
            raise ExternalError("StackStorm is down")
        self.sent.append((trigger, payload))

    def of(self, trigger):
        """The payloads of one trigger, in order."""
        return [payload for name, payload in self.sent if name == trigger]

    def ids(self, trigger):
        return [payload["incident_id"] for payload in self.of(trigger)]


def clock(at=NOW):
    return scene.Clock(at)


def context(url, at=None, triggers=None, **sections):
    """A context on the store at `url`, with real HTTP and a platform that only listens."""
    at = at or clock()
    return Context(
        Config({"database": {"url": url}, **sections}),
        clock=at,
        http=HttpClient(),
        store=open_store(url, now=at.now),
        platform=triggers or Triggers(),
    )


def real_bodies():
    """The 16 webhook bodies of real Alertmanagers, by version and file name."""
    return {
        "%s/%s" % (path.parent.name, path.name): json.loads(path.read_text())
        for path in sorted(FIXTURES.glob("*/*alerts.json"))
        if not path.name.startswith("api_")
    }


def alert(
    name="ServiceDown", starts=-60.0, ends=None, severity="critical", annotations=None, **labels
):
    """One alert as the webhook writes it; `starts` and `ends` are seconds from NOW."""
    labels = {"alertname": name, "severity": severity, **labels}
    return {
        "status": "firing" if ends is None else "resolved",
        "labels": labels,
        "annotations": annotations if annotations is not None else {"summary": "%s is bad" % name},
        "startsAt": time_text(NOW + starts),
        "endsAt": "0001-01-01T00:00:00Z" if ends is None else time_text(NOW + ends),
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": fingerprint_of(labels),
    }


def body(*alerts, truncated=0, receiver="selfheal", **more):
    """A webhook body, version 4."""
    status = (
        "firing"
        if any(a.get("status") == "firing" for a in alerts if isinstance(a, dict))
        else "resolved"
    )
    return {
        "receiver": receiver,
        "status": status,
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": truncated,
        **more,
    }


def signal(*args, at=NOW, confirmed_at=None, group_by=(), **labels):
    """`alert(...)` read as a Signal; `confirmed_at` (seconds from NOW) makes it an answer of the
    API.
    """
    raw = alert(*args, **labels)
    if confirmed_at is not None:
        raw["updatedAt"] = time_text(NOW + confirmed_at)
    return parse_alert(
        raw, Reading(now=at, group_by=tuple(group_by), is_answer=confirmed_at is not None)
    )


def incidents(store):
    """All incidents, oldest first."""
    return store.query("SELECT * FROM incidents ORDER BY opened_at, id")


def alert_states(store):
    """{(fingerprint, starts_at): status} of all alerts."""
    return {
        (row["fingerprint"], row["starts_at"]): row["status"]
        for row in store.query("SELECT * FROM alerts")
    }

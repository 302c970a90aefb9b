"""The stand-in for Prometheus and Alertmanager detects by itself and speaks as they do."""

import functools
import json
import queue
import threading

import pytest

from standalone.demo import alerting, loopback
from standalone.demo.alerting import Alert, fingerprint, is_selected, webhook_body
from standalone.demo.prober import PROBES, Prober
from standalone.demo.receiver import Receiver
from standalone.demo.shop import Health, wait_for

LABELS = {"alertname": "OrdersNotWorkedOff", "service": "orders", "severity": "critical"}
GOOD, BAD = Health(200, ""), Health(503, "the spool is locked")

ask = functools.partial(loopback.request, timeout_s=180)


class Scene:
    """A service whose health the test sets, and a webhook that refuses as often as it is told."""

    def __init__(self, refusals=0):
        self.health = GOOD
        self.refusals = refusals
        self.bodies = queue.Queue()
        self.told = []
        self.lock = threading.Lock()
        self.webhook = loopback.Listener(self.take)
        self.prober = Prober(
            lambda: self.health,
            LABELS,
            {"summary": "broken"},
            self.webhook.url + "/hook",
            self.tell,
        )

    def __enter__(self):
        self.webhook.start()
        self.prober.start()
        return self

    def __exit__(self, *_problem):
        self.prober.stop()
        self.webhook.stop()

    def take(self, _method, _path, body):
        with self.lock:
            self.refusals -= 1
            if self.refusals >= 0:
                return 500, {}
        self.bodies.put(body)
        return 202, body

    def tell(self, kind, **data):
        self.told.append((kind, data))

    def alerts(self, query=""):
        return ask("GET", self.prober.url + "/api/v2/alerts" + query)

    def told_of(self, status):
        """The first body that tells of this; one that was not answered in time is sent again."""
        while True:
            body = self.bodies.get(timeout=180)
            if body["status"] == status:
                return body


def test_an_alert_fires_after_failed_probes_and_resolves_after_good_ones():
    with Scene() as scene:
        assert scene.alerts() == (200, [])
        scene.health = BAD
        firing = scene.bodies.get(timeout=180)
        assert firing["status"] == firing["alerts"][0]["status"] == "firing"
        assert firing["alerts"][0]["endsAt"] == alerting.NEVER
        assert "503 the spool is locked" in firing["alerts"][0]["annotations"]["description"]
        scene.health = GOOD
        resolved = scene.told_of("resolved")
        assert resolved["status"] == resolved["alerts"][0]["status"] == "resolved"
        assert resolved["alerts"][0]["startsAt"] == firing["alerts"][0]["startsAt"]
        assert resolved["alerts"][0]["endsAt"] > firing["alerts"][0]["startsAt"]
        assert [kind for kind, _ in scene.told if kind != "webhook"] == [
            "alert_fires",
            "alert_ends",
        ]


def test_fewer_failures_than_it_takes_are_no_alert():
    scene = Scene()
    for health in [BAD] * (PROBES - 1) + [GOOD] + [BAD] * (PROBES - 1) + [GOOD]:
        scene.prober._consider(health, 1000.0)
    assert scene.told == []
    scene.prober.stop()
    scene.webhook.stop()


def test_a_refused_webhook_is_sent_again():
    with Scene(refusals=2) as scene:
        scene.health = BAD
        assert scene.bodies.get(timeout=180)["status"] == "firing"
        assert scene.refusals < 0


def test_the_api_answers_what_fires_now():
    with Scene() as scene:
        scene.health = BAD
        assert wait_for(lambda: scene.prober.is_firing, 180)
        status, found = scene.alerts(
            "?active=true&filter=service%3D%22orders%22&filter=severity!=info"
        )
        assert status == 200
        assert found[0]["fingerprint"] == fingerprint(LABELS)
        assert found[0]["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": []}
        assert scene.alerts("?filter=service%3D%22other%22") == (200, [])
        assert scene.alerts("?active=false") == (200, [])
        assert scene.alerts("?filter=nonsense")[0] == 400
        assert ask("GET", scene.prober.url + "/api/v2/status")[0] == 200
        assert ask("GET", scene.prober.url + "/nothing")[0] == 404
        scene.health = GOOD
        assert wait_for(lambda: scene.alerts() == (200, []), 180)


@pytest.mark.parametrize(
    "labels, expected",
    [  # as a real Alertmanager 0.25 computed them
        (
            {
                "alertname": "AlwaysFiring",
                "cluster": "scout",
                "replica": "a",
                "route": "single",
                "service": "api",
                "severity": "critical",
            },
            "83184ba2d6b977b9",
        ),
        (
            {
                "alertname": "Flapping",
                "cluster": "scout",
                "instance": "127.0.0.1:19099",
                "job": "fake",
                "replica": "a",
                "route": "resolve",
                "severity": "warning",
            },
            "7ed56e2c702205ca",
        ),
    ],
)
def test_fingerprints_are_alertmanagers(labels, expected):
    assert fingerprint(labels) == expected


def test_the_body_has_the_fields_of_version_4():
    body = json.loads(
        json.dumps(webhook_body(Alert(LABELS, {}, "http://g", 1700000000.5), "http://a"))
    )
    assert set(body) == {
        "receiver",
        "status",
        "alerts",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "version",
        "groupKey",
        "truncatedAlerts",
    }
    assert set(body["alerts"][0]) == {
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
    }
    assert body["version"] == "4"
    assert body["alerts"][0]["startsAt"] == "2023-11-14T22:13:20.500Z"


@pytest.mark.parametrize(
    "matcher, fits",
    [
        ('service="orders"', True),
        ("service=orders", True),
        ('service="x"', False),
        ('service!="x"', True),
        ('service=~"ord.*"', True),
        ('service=~"ord"', False),
        ('service!~"ord.*"', False),
        ('missing=""', True),
    ],
)
def test_matchers_select_as_alertmanagers_do(matcher, fits):
    assert is_selected(LABELS, [matcher]) is fits


def test_the_phone_keeps_what_it_is_sent():
    told = []
    receiver = Receiver(lambda kind, **data: told.append((kind, data)))
    receiver.start()
    try:
        assert ask("POST", receiver.url, {"title": "help"})[0] == 200
        assert ask("POST", receiver.url, ["help"])[0] == 400
        assert ask("GET", receiver.url)[0] == 400
    finally:
        receiver.stop()
    assert receiver.messages == [{"title": "help"}]
    assert told == [("message", {"body": {"title": "help"}})]

"""Questions to a real Alertmanager, and what credentials and URL are sent."""

from __future__ import annotations

import base64
import time

import pytest

from selfheal.apis import alertmanager
from selfheal.exceptions import ExternalError
from selfheal.http import HttpClient
from tests import scene
from tests.live_alertmanager import Alertmanager, rfc3339

AWKWARD = 'C:\\new "quoted" = {x,y} ~ ü'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        running.post_alerts(
            [
                {"labels": {"alertname": "A", "path": AWKWARD}},
                {"labels": {"alertname": "A", "path": "other"}},
                {"labels": {"alertname": "Muted"}},
            ]
        )
        running.silence("alertname", "Muted")
        deadline = time.monotonic() + 180
        while (
            not any(a["status"]["state"] == "suppressed" for a in running.alerts()) and
            time.monotonic() < deadline
        ):
            time.sleep(0.02)
        yield running


def names(alerts):
    return sorted(alert["labels"]["alertname"] for alert in alerts)


def test_silenced_alerts_fire_too_unless_left_out(server):
    assert names(alertmanager.active_alerts(HttpClient(), {"url": server.url})) == [
        "A",
        "A",
        "Muted",
    ]
    assert names(alertmanager.active_alerts(HttpClient(), {"url": server.url}, muted=False)) == [
        "A",
        "A",
    ]


def test_labels_narrow_the_answer_whatever_they_hold(server):
    found = alertmanager.active_alerts(HttpClient(), {"url": server.url + "/"}, {"path": AWKWARD})
    assert [alert["labels"]["path"] for alert in found] == [AWKWARD]


def test_alert_is_active_until_it_ends(server):
    http, target = HttpClient(), {"url": server.url}
    labels = {"alertname": "Short", "instance": "i"}
    assert not alertmanager.alert_is_active(http, target, labels)
    server.post_alerts([{"labels": labels}])
    fingerprint = alertmanager.active_alerts(http, target, labels)[0]["fingerprint"]
    assert alertmanager.alert_is_active(http, target, labels)
    assert alertmanager.alert_is_active(http, target, fingerprint=fingerprint)
    assert not alertmanager.alert_is_active(
        http, target, {"alertname": "Short"}
    )  # not its whole label set
    server.post_alerts([{"labels": labels, "endsAt": rfc3339(time.time() - 1)}])
    assert not alertmanager.alert_is_active(http, target, labels)


def test_muted_alert_counts_as_active(server):
    assert alertmanager.alert_is_active(HttpClient(), {"url": server.url}, {"alertname": "Muted"})


def test_question_without_an_alert_is_an_error(server):
    with pytest.raises(ValueError):
        alertmanager.alert_is_active(HttpClient(), {"url": server.url})


def test_uptime_grows_and_starts_anew(server):
    now = time.time()
    uptime = alertmanager.uptime_s(HttpClient(), {"url": server.url}, now)
    assert -2 < uptime < 600
    assert alertmanager.uptime_s(HttpClient(), {"url": server.url}, now + 100) == pytest.approx(
        uptime + 100
    )


@pytest.mark.parametrize(
    "target, header",
    [
        ({"token": "t0k"}, "Bearer t0k"),
        (
            {"username": "u", "password": "pä:s"},
            "Basic " + base64.b64encode("u:pä:s".encode()).decode(),
        ),
        ({}, None),
    ],
)
def test_credentials_are_sent_as_configured(target, header):
    with scene.Receiver((200, {}, b"[]")) as receiver:
        alertmanager.active_alerts(HttpClient(), {"url": receiver.url + "/am/", **target})
    assert receiver.requests[0]["headers"].get("authorization") == header
    assert receiver.requests[0]["path"].startswith("/am/api/v2/alerts?active=true")


@pytest.mark.parametrize("content", [b"{}", b'{"uptime": 5}', b"[]", b'{"uptime": "long"}'])
def test_status_that_tells_no_uptime_is_an_error(content):
    with scene.Receiver((200, {}, content)) as receiver:
        with pytest.raises(ExternalError, match="since when"):
            alertmanager.uptime_s(HttpClient(), {"url": receiver.url}, 0.0)

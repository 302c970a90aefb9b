"""The sensor lives through everything: no configuration, a dead API, a dead database, a dead
StackStorm.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from alertmanager_sensor import MAX_SKIPPED_POLLS, AlertmanagerSensor
from selfheal.store import load, open_store
from tests import scene, stores
from tests.alert_scene import alert, incidents
from tests.live_alertmanager import Alertmanager
from tests.sensor_service import Service

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(tmp_path):
    return stores.sqlite_url(tmp_path)


@pytest.fixture
def service():
    return Service()


def sensor(service, database, **alertmanager):
    config = {"database": {"url": database}, "alertmanager": alertmanager}
    made = AlertmanagerSensor(service, config=config, poll_interval=60)
    made.setup()
    return made


def api(*alerts):
    """A server that answers both questions of a look with one content: no list has an uptime, no
    status alerts.
    """

    def answer(request):
        content = (
            {"uptime": "2020-01-01T00:00:00.000Z"} if "status" in request["path"] else list(alerts)
        )
        server.answers = [(200, {}, json.dumps(content).encode("utf-8"))]

    server = scene.Receiver((200, {}, b""))
    server.on_request = answer
    return server


def state(url):
    row = open_store(url).one(
        "SELECT * FROM system_status WHERE component = 'alertmanager_sensor:default'"
    )
    return row and (row["status"], load(row["detail"]))


def test_off_until_a_url_is_set_and_touches_nothing(service, tmp_path):
    for config in (
        None,
        {},
        {"alertmanager": {}},
        {"alertmanager": None},
        {"alertmanager": {"timeout_s": 5}},
    ):
        made = AlertmanagerSensor(service, config=config)
        made.setup()
        made.poll()
        made.cleanup()
    assert service.dispatched == [] and list(tmp_path.iterdir()) == []


def test_alert_of_a_real_alertmanager_reaches_the_sensor_service(service, url, tmp_path):
    with Alertmanager(tmp_path / "alertmanager") as server:
        server.post_alerts([{"labels": {"alertname": "{{ evil }}", "severity": "critical"}}])
        sensor(service, url, url=server.url).poll()
    incident = incidents(open_store(url))[0]
    assert incident["alert_type"] == "{{ evil }}"
    ((trigger, payload),) = service.dispatched
    assert trigger == "selfheal.alert" and payload["incident_id"] == incident["id"]
    assert "{{" not in json.dumps(payload)
    assert state(url)[0] == "ok"


def test_api_that_is_down_is_asked_less_and_less_often_and_found_again(service, url, monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)  # the back-off's jitter
    with api() as server:
        server.on_request = lambda _request: None
        server.answers = [(503, {}, b"starting")]
        made = sensor(service, url, url=server.url)
        asked = []
        for _ in range(24):
            before = len(server.requests)
            made.poll()
            asked.append(len(server.requests) - before)
        assert [n for n, count in enumerate(asked) if count] == [0, 1, 3, 7, 15]
        status, detail = state(url)
        assert status == "failing" and detail["failures"] == 5 and "503" in detail["error"]
    with api() as server:
        made.config["alertmanager"]["url"] = server.url
        for _ in range(MAX_SKIPPED_POLLS + 1):
            made.poll()
    assert state(url)[0] == "ok"


def test_secrets_stay_out_of_the_stored_state(service, url):
    with scene.Receiver((401, {}, b"wrong: hunter22")) as server:
        sensor(service, url, url=server.url, username="u", password="hunter22").poll()
    assert "hunter22" not in str(state(url)) and "401" in str(state(url))


def test_database_that_is_down_ends_nothing_and_is_opened_again(service, url, tmp_path):
    with api(_listed("A")) as server:
        made = sensor(service, "sqlite:////proc/none/selfheal.db", url=server.url)
        made.poll()
        made.config["database"]["url"] = url
        made.poll()
    assert len(incidents(open_store(url))) == 1


def test_sensor_service_that_is_down_loses_no_incident(service, url):
    with api(_listed("A")) as server:
        made = sensor(service, url, url=server.url)
        service.down = True
        made.poll()
        service.down = False
        made.poll()
    assert [trigger for trigger, _ in service.dispatched] == ["selfheal.alert"]


@pytest.mark.parametrize(
    "alertmanager", [5, "http://x", ["a"], {"url": "ftp://x"}, {"url": "http://"}, {"url": 5}]
)
def test_unusable_configuration_ends_nothing(service, url, alertmanager):
    made = AlertmanagerSensor(
        service, config={"database": {"url": url}, "alertmanager": alertmanager}
    )
    made.setup()
    made.poll()
    made.cleanup()


@pytest.mark.parametrize(
    ("configured", "interval"), [(120, 120), (1, 10), ("often", 60), (None, 60), ([], 60)]
)
def test_interval_is_the_configured_one_within_reason(service, configured, interval):
    config = {"monitoring": {"check_interval": configured}}
    made = AlertmanagerSensor(service, config=config, poll_interval=60)
    made.setup()
    assert made.get_poll_interval() == interval


def test_loads_with_the_path_that_stackstorm_gives_a_sensor():
    script = (
        "import sys; sys.path[:0] = [%r]; sys.path.append(%r); import alertmanager_sensor; "
        "import selfheal.intake.reconcile"
        % (str(ROOT / "sensors"), str(ROOT / "standalone" / "stand_ins"))
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd="/", timeout=300)


def test_its_yaml_is_what_stackstorm_takes():
    described = yaml.safe_load((ROOT / "sensors" / "alertmanager_sensor.yaml").read_text())
    assert (
        described["class_name"] == AlertmanagerSensor.__name__ and
        described["entry_point"] == "alertmanager_sensor.py"
    )
    assert isinstance(described["poll_interval"], int) and described["trigger_types"] == []


def _listed(name):
    raw = alert(name)
    return {
        "labels": raw["labels"],
        "annotations": {},
        "startsAt": raw["startsAt"],
        "updatedAt": raw["startsAt"],
        "fingerprint": raw["fingerprint"],
        "receivers": [{"name": "selfheal"}],
        "status": {"state": "active"},
    }

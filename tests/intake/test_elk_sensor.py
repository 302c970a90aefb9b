"""The error monitor's sensor lives through everything, asks what fails less often, and when nobody
can look for a while somebody hears of it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from elk_error_sensor import ElkErrorSensor
from selfheal.apis.elasticsearch import search as elasticsearch
from selfheal.exceptions import ConfigError, ExternalError
from selfheal.store import open_store
from selfheal.store import status as states
from selfheal_polling import Backoff
from tests import alert_scene, stores
from tests.elk_scene import NOW, Shelf
from tests.sensor_service import Service

ROOT = Path(__file__).resolve().parents[2]
MINUTE = 60.0
NOWHERE = "sqlite:////proc/none/selfheal.db"


class Scene:
    """A sensor on shelves (by their url) instead of search servers, at a time set by hand."""

    def __init__(self, url, monkeypatch, names=("default",), **config):
        self.url = url
        self.service = Service()
        self.clock = alert_scene.clock(NOW)
        self.shelves = {"http://%s" % name: Shelf() for name in names}
        monkeypatch.setattr(
            elasticsearch, "Search", lambda settings: self.shelves[settings["url"]]
        )
        monkeypatch.setattr(random, "random", lambda: 0.0)  # the back-off's jitter
        targets = {name: {"url": "http://%s" % name} for name in names}
        config = {"database": {"url": url}, "elasticsearch": targets, **config}
        self.sensor = ElkErrorSensor(self.service, config=config, poll_interval=60)
        self.sensor._polling._clock = self.clock
        self.sensor.setup()

    @property
    def shelf(self):
        return self.shelves["http://default"]

    def poll(self, after_s=MINUTE, times=1):
        for _ in range(times):
            self.clock.at += after_s
            self.sensor.poll()

    def state(self, component="elk:default"):
        row = states.of(open_store(self.url), component)
        return row and (row["status"], row["detail"])

    def incidents(self):
        return open_store(self.url).query("SELECT * FROM incidents ORDER BY id")

    def stored(self):
        return int(open_store(self.url).value("SELECT COUNT(*) FROM error_logs"))


@pytest.fixture
def url(tmp_path):
    return stores.sqlite_url(tmp_path)


@pytest.fixture
def scene(url, monkeypatch):
    return Scene(url, monkeypatch)


def test_off_until_something_is_configured_and_touches_nothing(tmp_path):
    service = Service()
    for config in (
        None,
        {},
        {"elasticsearch": {}},
        {"elasticsearch": None, "log_files": None},
        {"elasticsearch": {"timeout_s": 5}, "log_files": {"paths": []}},
    ):
        made = ElkErrorSensor(service, config=config)
        made.setup()
        made.poll()
        made.cleanup()
    assert service.dispatched == [] and list(tmp_path.iterdir()) == []


def test_errors_become_an_incident_and_the_state_says_what_was_found(scene):
    scene.shelf.put_many(5, NOW - 30)
    scene.poll()
    assert len(scene.service.of("selfheal.elk_error")) == 1
    status, detail = scene.state()
    assert status == "ok" and detail["new"] == 5 and detail["checkpoint"] == scene.clock.at


def test_server_that_is_down_is_asked_less_often_and_found_again(scene):
    scene.shelf.fails = ExternalError("connection refused")
    asked = []
    for _ in range(12):
        before = len(scene.shelf.asked)
        scene.poll()
        asked.append(len(scene.shelf.asked) > before)
    assert [turn for turn, was_asked in enumerate(asked) if was_asked] == [0, 1, 3, 7, 11]
    scene.shelf.fails = None
    scene.poll(times=4)
    assert scene.state()[0] == "ok"


def test_target_that_fails_does_not_keep_the_others_from_being_looked_at(url, monkeypatch):
    scene = Scene(url, monkeypatch, names=("bad", "good"))
    scene.shelves["http://bad"].fails = ExternalError("connection refused")
    scene.shelves["http://good"].put_many(5, NOW - 30)
    scene.poll()
    assert scene.state("elk:bad")[0] == "failing" and scene.state("elk:good")[0] == "ok"
    assert scene.stored() == 5


def test_target_with_an_unusable_setting_names_it_and_others_go_on(url, monkeypatch):
    scene = Scene(url, monkeypatch, names=("bad", "good"))
    scene.sensor.config["elasticsearch"]["bad"]["page_size"] = 50_000
    scene.poll()
    assert "elasticsearch.bad.page_size" in scene.state("elk:bad")[1]["error"]
    assert scene.state("elk:good")[0] == "ok"


def test_source_that_stays_unseen_is_one_incident_and_its_end_when_seen_again(scene):
    scene.poll()
    scene.shelf.fails = ExternalError("503 from the server")
    scene.poll(times=4)
    assert scene.state()[0] == "failing" and scene.incidents() == []
    scene.poll(times=20)
    (incident,) = scene.incidents()
    assert incident["alert_type"] == "BlindSpot" and incident["severity"] == "critical"
    assert incident["alert_count"] == 1 and incident["status"] == "open"
    status, detail = scene.state()
    assert status == "blind" and "503 from the server" in detail["error"]
    assert scene.service.of("selfheal.alert")[0]["incident_id"] == incident["id"]
    ids = scene.shelf.put_many(5, NOW + 10 * MINUTE)
    scene.shelf.fails = None
    scene.poll(times=4)
    assert scene.state()[0] == "ok" and scene.stored() == len(ids)
    ended = [payload["incident_id"] for payload in scene.service.of("selfheal.incident_resolved")]
    assert ended.count(incident["id"]) == 1


def test_blindness_of_a_target_that_was_removed_ends(url, monkeypatch):
    scene = Scene(url, monkeypatch, names=("default", "gone"))
    scene.shelves["http://gone"].fails = ExternalError("no such host")
    scene.poll(times=20)
    (incident,) = scene.incidents()
    assert incident["status"] == "open" and incident["cleared_at"] is None
    after = Scene(url, monkeypatch)  # the sensor was restarted with another configuration
    after.clock.at = scene.clock.at
    after.poll()
    (incident,) = after.incidents()
    assert incident["cleared_at"] is not None
    ended = [payload["incident_id"] for payload in after.service.of("selfheal.incident_resolved")]
    assert ended == [incident["id"]]


def test_blindness_is_seen_after_the_clock_was_set_back(scene):
    scene.poll()
    scene.clock.at -= 60 * MINUTE
    scene.shelf.fails = ExternalError("503 from the server")
    scene.poll(times=12)
    assert [incident["alert_type"] for incident in scene.incidents()] == ["BlindSpot"]


def test_sensor_that_is_cut_off_raises_nothing_while_another_sees(url, monkeypatch):
    one = Scene(url, monkeypatch)
    other = Scene(url, monkeypatch)
    one.shelf.fails = ExternalError("no route to host")
    sees = Shelf()
    for _ in range(15):
        monkeypatch.setattr(elasticsearch, "Search", lambda settings: one.shelf)
        one.poll()
        monkeypatch.setattr(elasticsearch, "Search", lambda settings: sees)
        other.poll()
    assert one.incidents() == []


@pytest.mark.parametrize("is_looked_at_once", [True, False])
def test_database_that_is_down_for_long_is_told_past_it_and_recorded_afterwards(
    scene, is_looked_at_once
):
    scene.sensor.config["database"]["url"] = NOWHERE
    scene.poll(times=4)
    assert scene.service.dispatched == []
    scene.poll(times=20)
    (told,) = scene.service.of("selfheal.blind_spot")
    assert told["component"] == "database" and told["minutes"] >= 5
    scene.poll(times=60)
    assert len(scene.service.of("selfheal.blind_spot")) == 2  # once an hour
    scene.sensor.config["database"]["url"] = scene.url
    if is_looked_at_once:
        scene.sensor._backoff.succeeded("elk:default")
    scene.poll(times=4)
    (incident,) = scene.incidents()
    assert incident["alert_type"] == "BlindSpot" and incident["cleared_at"] is not None
    assert incident["status"] == ("resolved" if is_looked_at_once else "open")
    assert scene.state()[0] == "ok"


def test_short_failure_of_the_database_is_told_to_nobody(scene):
    scene.poll()
    scene.sensor.config["database"]["url"] = NOWHERE
    scene.sensor._polling.forget_store()
    scene.poll(times=2)
    scene.sensor.config["database"]["url"] = scene.url
    scene.poll(times=3)
    assert scene.service.dispatched == [] and scene.incidents() == []


def test_stackstorm_that_is_down_ends_nothing_and_is_told_later(scene):
    scene.shelf.put_many(5, NOW - 30)
    scene.service.down = True
    scene.poll()
    status, detail = scene.state()
    assert status == "degraded" and "StackStorm" in detail["because"][0]
    scene.service.down = False
    scene.poll()
    assert len(scene.service.of("selfheal.elk_error")) == 1


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a defect"), MemoryError(), RecursionError(), KeyError("x"), ConfigError("no")],
)
def test_no_exception_leaves_the_poll(scene, error):
    scene.shelf.fails = error
    scene.poll(times=10)
    assert scene.state()[0] in ("failing", "blind")


@pytest.mark.parametrize("section", ["elasticsearch", "log_files", "monitoring", "database"])
@pytest.mark.parametrize("value", [5, "http://x", ["a"], {"url": 5}, {"paths": 3}])
def test_unusable_configuration_ends_nothing(url, section, value):
    made = ElkErrorSensor(Service(), config={"database": {"url": url}, section: value})
    made.setup()
    made.poll()
    made.cleanup()


def test_secrets_stay_out_of_log_and_state(scene, caplog):
    scene.sensor.config["elasticsearch"]["default"]["password"] = "hunter22"
    scene.shelf.fails = ExternalError("401 for elastic:hunter22")
    scene.poll()
    assert "hunter22" not in str(scene.state()) and "hunter22" not in caplog.text
    assert "401" in str(scene.state())


def test_storms_rejects_and_late_errors_show_in_the_state(url, monkeypatch):
    scene = Scene(url, monkeypatch, monitoring={"max_documents_per_poll": 20})
    scene.poll()
    scene.shelf.put_many(100, NOW + MINUTE, step=0.1)
    scene.poll()
    status, detail = scene.state()
    assert status == "degraded" and "counted by aggregation" in json.dumps(detail["because"])


def test_log_files_are_looked_at_by_the_same_sensor_and_its_troubles_show(url, tmp_path):
    log = tmp_path / "app.log"
    log.write_text("".join("error: cannot write block %d\n" % number for number in range(6)))
    files = {"paths": [str(log), "/dev/null"], "from_start": True}
    service = Service()
    config = {"database": {"url": url}, "log_files": files}
    made = ElkErrorSensor(service, config=config, poll_interval=60)
    made.setup()
    made.poll()
    made.poll()
    made.cleanup()
    row = states.of(open_store(url), "log_files")
    # The last line may still become a longer event.
    assert open_store(url).value("SELECT COUNT(*) FROM error_logs") in (5, 6)
    assert len(service.of("selfheal.elk_error")) == 1
    assert row["status"] == "degraded" and "/dev/null" in json.dumps(row["detail"]["because"])


@pytest.mark.parametrize(
    ("configured", "interval"), [(120, 120), (1, 10), ("often", 60), (None, 60), ([], 60)]
)
def test_interval_is_the_configured_one_within_reason(configured, interval):
    config = {"monitoring": {"check_interval": configured}}
    made = ElkErrorSensor(Service(), config=config, poll_interval=60)
    made.setup()
    assert made.get_poll_interval() == interval


def test_jitter_only_ever_shortens_what_is_left_out():
    for _ in range(200):
        backoff = Backoff(most=15)
        waits = [backoff.failed("x")[1] for _ in range(6)]
        for wait, longest in zip(waits, (1, 2, 4, 8, 16, 16)):
            assert 1 <= wait <= longest and wait >= longest // 2
        assert backoff.succeeded("x") == 6 and backoff.is_due("x")


def test_loads_with_the_path_that_stackstorm_gives_a_sensor():
    script = (
        "import sys; sys.path[:0] = [%r]; sys.path.append(%r); import elk_error_sensor; "
        "import selfheal.intake.sources"
        % (str(ROOT / "sensors"), str(ROOT / "standalone" / "stand_ins"))
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd="/", timeout=300)


def test_library_that_is_not_there_for_a_moment_ends_nothing():
    script = (
        "import sys; sys.path[:0] = [%r]; sys.path.append(%r); import elk_error_sensor; "
        "import logging; sys.path[:] = [one for one in sys.path if 'actions' not in one]; "
        "service = type('Service', (), dict(get_logger=lambda self, name: "
        "logging.getLogger(name), dispatch=None)); "
        "made = elk_error_sensor.ElkErrorSensor(service(), config={}, poll_interval=60); "
        "made.setup(); made.poll(); made.cleanup(); print('alive')"
        % (str(ROOT / "sensors"), str(ROOT / "standalone" / "stand_ins"))
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, cwd="/", timeout=300, stdout=subprocess.PIPE
    )
    assert done.stdout.strip() == b"alive"


def test_its_yaml_is_what_stackstorm_takes():
    described = yaml.safe_load((ROOT / "sensors" / "elk_error_sensor.yaml").read_text())
    assert described["class_name"] == ElkErrorSensor.__name__
    assert described["entry_point"] == "elk_error_sensor.py"
    assert isinstance(described["poll_interval"], int) and described["trigger_types"] == []


def test_only_sensors_have_metadata():
    names = {path.stem for path in (ROOT / "sensors").glob("*.yaml")}
    assert names == {"alertmanager_sensor", "elk_error_sensor", "kubernetes_health_sensor"}

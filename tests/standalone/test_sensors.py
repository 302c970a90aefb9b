"""Sensors in processes of their own: what they reach, what they may import, and what happens when
they die.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from standalone import sensor_service
from standalone.sensor_service import SensorService, UnknownSensor
from tests.standalone.miniature import Heard, Miniature, eventually


@pytest.fixture()
def mini(tmp_path: Path) -> Miniature:
    pack = Miniature(tmp_path)
    pack.sensors()
    return pack


def test_polled_once_it_dispatches_and_remembers(mini: Miniature) -> None:
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        assert engine.run_sensor_once("CountingSensor") == 0
        assert engine.run_sensor_once("mini.CountingSensor") == 0
        assert engine.wait_idle(180)
        assert engine.store.get("mini.CountingSensor:count") == "2"
        workflows = [
            each.parameters for each in engine.executions() if each.action_ref == "mini.respond"
        ]
    assert workflows == [{"incident_id": "sensed-1"}, {"incident_id": "sensed-2"}]
    lines = [each["line"] for each in heard.of("sensor_output")]
    assert any("polled 1" in line for line in lines)
    assert any("cleaned up" in line for line in lines)


def test_payload_that_does_not_fit_is_dropped_with_a_warning(mini: Miniature) -> None:
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        assert engine.run_sensor_once("CountingSensor") == 0
        payloads = [
            each["payload"]
            for each in heard.of("trigger_injected")
            if each["trigger"] == "mini.alert"
        ]
    assert payloads == [{"incident_id": "sensed-1", "status": "firing"}]
    assert any("Failed to validate payload" in each["line"] for each in heard.of("sensor_output"))


def test_actions_lib_is_not_importable_from_a_sensor(mini: Miniature) -> None:
    path = mini.root / "sensors" / "counting_sensor.py"
    path.write_text("import minilib\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        assert engine.run_sensor_once("CountingSensor") == 1
    assert any("No module named 'minilib'" in each["line"] for each in heard.of("sensor_output"))


def test_sensor_that_dies_is_tried_twice_more_and_told_of_each_time(
    mini: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To begin alone may take longer than ten seconds, which would count as a good life.
    monkeypatch.setattr(sensor_service, "GOOD_START_S", 600.0)
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        service = SensorService(engine, respawn_delay_s=0.01)
        service.start(["DyingSensor"])
        exits = heard.wait_for("sensor_exited", 3)
        eventually(lambda: service.running() == [], "it is given up")
        service.stop()
    assert [each["exit_code"] for each in exits] == [1, 1, 1]
    assert len(heard.of("sensor_started")) == 3
    payloads = [
        each["payload"]
        for each in heard.of("trigger_injected")
        if each["trigger"] == "core.st2.sensor.process_exit"
    ]
    assert [(each["id"], each["exit_code"]) for each in payloads] == [("DyingSensor", 1)] * 3


def test_stopped_sensor_cleans_up_and_is_not_an_exit(
    mini: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor_service, "STOP_S", 180.0)  # it is killed after that
    heard = Heard()
    with mini.engine(on_event=heard, sensors=["CountingSensor"]):
        heard.wait_for("sensor_output", 2)
        eventually(
            lambda: any("polled 1" in e["line"] for e in heard.of("sensor_output")), "it polled"
        )
    assert heard.of("sensor_exited") == []
    assert any("cleaned up" in each["line"] for each in heard.of("sensor_output"))


def test_unknown_sensor_is_refused_with_those_there_are(mini: Miniature) -> None:
    with mini.engine() as engine:
        with pytest.raises(UnknownSensor, match="CountingSensor, DyingSensor"):
            engine.start_sensors(["Nobody"])

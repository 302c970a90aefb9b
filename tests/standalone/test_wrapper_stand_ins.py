"""The stand-ins for StackStorm's sensor and test classes behave as a pack relies on."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from standalone import stand_ins
from tests.standalone import minipack

stand_ins.append_to_path()

from st2common.runners.base_action import Action
from st2reactor.sensor.base import PollingSensor, Sensor
from st2tests.base import BaseActionTestCase, BaseSensorTestCase


class Echo(Action):
    """For the tests below."""

    def run(self, **kwargs):
        self.action_service.set_value("k", kwargs)
        return True, {"config": dict(self.config), "kept": self.action_service.get_value("k")}


class Beeper(PollingSensor):
    """For the tests below."""

    def setup(self):
        self.sensor_service.get_logger("beeper").info("set up")

    def poll(self):
        self.sensor_service.dispatch("mini.beep", {"n": 1}, trace_tag="t")
        self.sensor_service.set_value("seen", 1, local=False)
        raise RuntimeError("enough")

    def cleanup(self):
        """Nothing to do."""

    def add_trigger(self, trigger):
        """Nothing to do."""

    def update_trigger(self, trigger):
        """Nothing to do."""

    def remove_trigger(self, trigger):
        """Nothing to do."""


class EchoTest(BaseActionTestCase):
    action_cls = Echo

    def test_an_action_gets_configuration_and_a_datastore(self):
        action = self.get_action_instance({"a": 1})
        assert action.run(x=2) == (True, {"config": {"a": 1}, "kept": {"x": 2}})
        with pytest.raises(ValueError, match='is missing key "nope"'):
            action.config["nope"]
        assert [pair.name for pair in self.action_service.list_values()] == ["tests.Echo:k"]
        assert self.action_service.delete_value("k")
        assert not self.action_service.delete_value("k")


class BeeperTest(BaseSensorTestCase):
    sensor_cls = Beeper

    def test_what_a_sensor_dispatches_is_kept(self):
        sensor = self.get_sensor_instance({"a": 1}, poll_interval=7)
        sensor.setup()
        with pytest.raises(RuntimeError):
            sensor.run()
        assert (sensor.config, sensor.get_poll_interval()) == ({"a": 1}, 7)
        assert len(self.get_dispatched_triggers()) == 1
        assert self.get_last_dispatched_trigger()["payload"] == {"n": 1}
        assert self.assertTriggerDispatched("mini.beep")
        assert self.assertTriggerDispatched("mini.beep", {"n": 1})
        with pytest.raises(AssertionError):
            self.assertTriggerDispatched("mini.beep", {"n": 2})
        with pytest.raises(AssertionError):
            self.assertTriggerDispatched("mini.boop")
        assert self.sensor_service.get_value("seen", local=False) == 1
        sensor.set_poll_interval(9)
        assert sensor.get_poll_interval() == 9

    def test_without_interval_the_default_holds(self):
        assert self.get_sensor_instance().get_poll_interval() == 5


@pytest.mark.parametrize("base", [Sensor, PollingSensor, Action])
def test_a_class_that_leaves_out_methods_cannot_be_built(base):
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (base,), {})(None)


def test_the_stand_ins_are_last_and_there_once():
    stand_ins.append_to_path()
    assert sys.path.count(stand_ins.directory()) == 1


def test_test_classes_are_found_only_where_stackstorm_has_them():
    base = importlib.import_module("st2tests.base")
    assert hasattr(base, "BaseActionAliasTestCase")
    assert not hasattr(base, "BasePackResourceTestCase")


def test_a_fixture_is_read_from_beside_the_tests(tmp_path):
    minipack.write(
        tmp_path,
        {
            "tests/fixtures/a.json": "[1]",
            "tests/test_it.py": (
                "import sys; sys.path.append(%r)\n"
                "from st2tests.pack_resource import BasePackResourceTestCase\n"
                "class T(BasePackResourceTestCase):\n"
                "    def test_it(self):\n"
                "        self.assertEqual(self.get_fixture_content('a.json'), '[1]')\n"
                % str(Path(stand_ins.directory()))
            ),
        },
    )
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "-q", "test_it.py"],
        # Not from above: StackStorm's sources bring packages named `tests` of their own.
        cwd=str(tmp_path / "tests"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout

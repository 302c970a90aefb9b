"""Stand-in: the base class of tests of sensors."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from st2tests.mocks.sensor import MockSensorService, MockSensorWrapper
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseSensorTestCase"]


class BaseSensorTestCase(BasePackResourceTestCase):
    """Set `sensor_cls`, poll an instance, then look at what it dispatched."""

    sensor_cls: Any = None

    def setUp(self) -> None:
        super().setUp()
        wrapper = MockSensorWrapper(pack="tests", class_name=self.sensor_cls.__name__)
        self.sensor_service = MockSensorService(sensor_wrapper=wrapper)

    def get_sensor_instance(
        self, config: Optional[Dict[str, Any]] = None, poll_interval: Any = None
    ) -> Any:
        """A sensor as the container would build it."""
        more: Dict[str, Any] = {}
        if config:
            more["config"] = config
        if poll_interval is not None:
            more["poll_interval"] = poll_interval
        return self.sensor_cls(sensor_service=self.sensor_service, **more)

    def get_dispatched_triggers(self) -> List[Dict[str, Any]]:
        return self.sensor_service.dispatched_triggers

    def get_last_dispatched_trigger(self) -> Dict[str, Any]:
        return self.sensor_service.dispatched_triggers[-1]

    def assertTriggerDispatched(
        self, trigger: str, payload: Any = None, trace_context: Any = None
    ) -> bool:
        """True when such a trigger was dispatched; what is not given (or empty) is not compared."""
        for item in self.get_dispatched_triggers():
            if (
                item["trigger"] == trigger and
                (not payload or item["payload"] == payload) and
                (not trace_context or item["trace_context"] == trace_context)
            ):
                return True
        raise AssertionError('Trigger "%s" hasn\'t been dispatched' % trigger)

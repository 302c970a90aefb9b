"""Stand-in: the sensor service of tests, which keeps what was dispatched."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from st2tests.mocks.action import MockActionService

__all__ = ["MockSensorService", "MockSensorWrapper"]


class MockSensorWrapper:
    """What the service reads of its wrapper."""

    def __init__(self, pack: str, class_name: str) -> None:
        self._pack = pack
        self._class_name = class_name


class MockSensorService(MockActionService):
    """`self.sensor_service`: the datastore of the action service, and dispatching."""

    def __init__(self, sensor_wrapper: Any) -> None:
        super().__init__(sensor_wrapper)
        self._sensor_wrapper = sensor_wrapper
        self.dispatched_triggers: List[Dict[str, Any]] = []

    def get_logger(self, name: str) -> Any:
        """A mock, so that a test can ask what was logged."""
        return self._logger

    def dispatch(self, trigger: str, payload: Any = None, trace_tag: Optional[str] = None) -> Any:
        context = {"trace_tag": trace_tag} if trace_tag else None
        return self.dispatch_with_context(trigger, payload, context)

    def dispatch_with_context(
        self, trigger: str, payload: Any = None, trace_context: Any = None
    ) -> Dict[str, Any]:
        item = {"trigger": trigger, "payload": payload, "trace_context": trace_context}
        self.dispatched_triggers.append(item)
        return item

"""Stand-in for StackStorm's base classes of sensors.

Promises the same constructor, attributes and abstract methods; `PollingSensor.run` lets an
exception of `poll` end the process, as the real one does.
"""

from __future__ import annotations

import abc
import time
from typing import Any, Dict, Optional

__all__ = ["PollingSensor", "Sensor"]


class BaseSensor(abc.ABC):
    """What every sensor has; not to be used directly."""

    def __init__(self, sensor_service: Any, config: Optional[Dict[str, Any]] = None) -> None:
        self._sensor_service = sensor_service
        self.sensor_service = sensor_service
        self._config = config or {}
        self.config = self._config

    @abc.abstractmethod
    def setup(self) -> None:
        """Prepare; runs once before `run`."""

    @abc.abstractmethod
    def run(self) -> None:
        """Work until the process ends."""

    @abc.abstractmethod
    def cleanup(self) -> None:
        """Let go of what `setup` took."""

    @abc.abstractmethod
    def add_trigger(self, trigger: Any) -> None:
        """A trigger of this sensor was created."""

    @abc.abstractmethod
    def update_trigger(self, trigger: Any) -> None:
        """A trigger of this sensor was changed."""

    @abc.abstractmethod
    def remove_trigger(self, trigger: Any) -> None:
        """A trigger of this sensor was deleted."""


class Sensor(BaseSensor):
    """A sensor with a loop of its own."""

    @abc.abstractmethod
    def run(self) -> None:
        """Work until the process ends."""


class PollingSensor(BaseSensor):
    """A sensor that is asked again every `poll_interval` seconds."""

    def __init__(
        self, sensor_service: Any, config: Optional[Dict[str, Any]] = None, poll_interval: Any = 5
    ) -> None:
        super().__init__(sensor_service=sensor_service, config=config)
        self._poll_interval = poll_interval

    @abc.abstractmethod
    def poll(self) -> None:
        """Look once."""

    def run(self) -> None:
        while True:
            self.poll()
            time.sleep(self._poll_interval)

    def get_poll_interval(self) -> Any:
        return self._poll_interval

    def set_poll_interval(self, poll_interval: Any) -> None:
        self._poll_interval = poll_interval

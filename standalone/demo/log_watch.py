"""The pack's own eye on the shop's log: its sensor, looking every second instead of every minute.

Each look is the real sensor in a process of its own, as StackStorm's sensor container runs it, so
nothing is remembered from look to look but what is in the store.
"""

from __future__ import annotations

import threading
from typing import Any

SENSOR = "ElkErrorSensor"
PAUSE_S = 1.0
STOP_S = 10.0


class LogWatch:
    """Runs the sensor of `engine` for as long as it is started."""

    url = ""  # nobody has to be asked: the sensor reads the file itself

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)

    def start(self) -> None:
        """Begins to look; the log is followed when this returns. Raises RuntimeError."""
        code = self._engine.run_sensor_once(SENSOR)
        if code:
            raise RuntimeError("the sensor %s ended with exit code %d" % (SENSOR, code))
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._is_stopping.wait(PAUSE_S):
            self._engine.run_sensor_once(SENSOR)

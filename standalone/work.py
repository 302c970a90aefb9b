"""How much is going on: so that one can wait until nothing is, without asking again and again."""

from __future__ import annotations

import threading
from typing import Optional


class Work:
    """Counts what is under way. An inquiry that waits for a person is not work."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._units = 0

    def begin(self) -> None:
        """One thing more is under way."""
        with self._changed:
            self._units += 1

    def end(self) -> None:
        """One thing less is."""
        with self._changed:
            self._units -= 1
            if self._units <= 0:
                self._changed.notify_all()

    def wait(self, timeout: Optional[float]) -> bool:
        """True once nothing is under way, False when `timeout` seconds have passed before that."""
        with self._changed:
            return self._changed.wait_for(lambda: self._units <= 0, timeout)

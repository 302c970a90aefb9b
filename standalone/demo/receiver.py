"""The on-call engineer's phone: takes what the pack sends to `notify.webhook` and shows it."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Tuple

from standalone.demo import loopback


class Receiver:
    """A webhook that keeps every message; `tell(kind, **data)` hears of each as `message`."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._messages: List[Dict[str, Any]] = []
        self._listener = loopback.Listener(self._take)
        self.url = self._listener.url + "/on-call"

    @property
    def messages(self) -> List[Dict[str, Any]]:
        """What has arrived, oldest first."""
        with self._lock:
            return list(self._messages)

    def start(self) -> None:
        """Begins to take messages."""
        self._listener.start()

    def stop(self) -> None:
        """Closes the port."""
        self._listener.stop()

    def _take(self, method: str, _path: str, body: Any) -> Tuple[int, Any]:
        if method != "POST" or not isinstance(body, dict):
            return 400, {"error": "POST one JSON object"}
        with self._lock:
            self._messages.append(body)
        self._tell("message", body=body)
        return 200, {"taken": True}

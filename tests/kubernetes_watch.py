"""A list, then a watch from there, again and again: what changes under some paths of an API, put
into one queue as ("list", path, objects) and ("ADDED" | "MODIFIED" | "DELETED", path, object).
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading

from tests.kubernetes_access import ADMIN, Refused


class Watch:
    """Follows `paths` in threads of its own until it is stopped; outlives the API's absence."""

    def __init__(self, kubernetes, paths, changes: queue.Queue) -> None:
        self._kubernetes = kubernetes
        self._changes = changes
        self._connections = {}
        self._is_stopped = threading.Event()
        for path in paths:
            threading.Thread(target=self._repeat, args=(path,), daemon=True).start()

    def stop(self) -> None:
        """Follow no longer."""
        self._is_stopped.set()
        for connection in list(self._connections.values()):
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _repeat(self, path: str) -> None:
        while not self._is_stopped.is_set():
            # A broken connection may end a line early (ValueError) or a socket (AttributeError).
            with contextlib.suppress(Refused, OSError, ValueError, AttributeError):
                found = self._kubernetes.ask("GET", path)
                self._changes.put(("list", path, found["items"]))
                self._follow(path, found["metadata"]["resourceVersion"])
            self._is_stopped.wait(0.1)

    def _follow(self, path: str, version: str) -> None:
        connection = self._kubernetes.connection(timeout_s=600)
        self._connections[path] = connection
        try:
            query = "%swatch=1&resourceVersion=%s" % ("&" if "?" in path else "?", version)
            headers = {"Authorization": "Bearer " + ADMIN}
            connection.request("GET", path + query, headers=headers)
            answer = connection.getresponse()
            while not self._is_stopped.is_set():
                line = answer.readline()
                change = json.loads(line) if line else {"type": "ERROR"}
                if change["type"] == "ERROR":
                    return  # ended, or the version is too old: list again
                self._changes.put((change["type"], path, change["object"]))
        finally:
            connection.close()

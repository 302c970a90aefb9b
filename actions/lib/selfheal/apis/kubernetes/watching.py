"""What changes in a collection, as it happens.

A watch ends by itself after its time; whoever wants more begins another at `resource_version`, so
that nothing is missed and nothing told twice. A watch that broke off raises, with the same place to
go on from; one whose place the server has forgotten raises Gone: list anew.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from selfheal.apis.kubernetes import failures, paths
from selfheal.apis.kubernetes.connection import Raw, Wire
from selfheal.apis.kubernetes.credentials import Credentials
from selfheal.exceptions import ExternalError
from selfheal.wire import reason_of

# The server ends the watch; we do so this much later, should it have vanished without a word.
_GRACE_S = 10.0
_LONGEST_LINE = 16 * 1024 * 1024  # ten times what the server can store in one object
_TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
Event = Tuple[str, Dict[str, Any]]


class Watch:
    """An iterator of (type, object). `resource_version` is where the next watch goes on: it grows
    with every event, the bookmarks among them.
    """

    def __init__(
        self,
        wire: Wire,
        credentials: Credentials,
        cluster: str,
        path: str,
        query: Optional[Mapping[str, Any]],
        resource_version: str,
        timeout_s: float,
    ) -> None:
        self.resource_version = resource_version
        self._wire, self._credentials, self._cluster = wire, credentials, cluster
        asked = {
            "allowWatchBookmarks": True,
            **(query or {}),
            "watch": True,
            "resourceVersion": resource_version or None,
            "timeoutSeconds": max(1, int(timeout_s)),
        }
        self._path = paths.with_query(path, asked)
        self._end = time.monotonic() + max(1.0, timeout_s) + _GRACE_S
        self._pieces: Optional[Iterator[bytes]] = None
        self._events = self._read()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End it now. Safe to call twice."""
        self._events.close()  # type: ignore[attr-defined]
        if self._pieces is not None:
            self._pieces.close()  # type: ignore[attr-defined]

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_error: Any) -> None:
        self.close()

    def _read(self) -> Iterator[Event]:
        self._pieces = self._open()
        for line in self._lines(self._pieces):
            event = self._event(line)
            if event is not None:
                yield event

    def _open(self) -> Iterator[bytes]:
        may_renew = True
        while True:
            identity = self._credentials.current()
            head, pieces = self._wire.stream(
                self._path, identity, self._end, (("Accept", "application/json"),)
            )
            if head.status == 200:
                return pieces
            if head.status == 401 and may_renew and self._credentials.renew():
                may_renew = False
                continue
            raise failures.failure(failures.reply_of(head), "GET", self._path, self._cluster)

    def _lines(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        rest = b""
        try:
            for piece in pieces:
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                if len(rest) > _LONGEST_LINE:
                    raise self._broken("an event is longer than %d bytes" % _LONGEST_LINE)
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(reason_of(error)) from error
        if rest.strip():
            raise self._broken("the last event is not whole")

    def _event(self, line: bytes) -> Optional[Event]:
        if not line.strip():
            return None
        try:
            found = json.loads(line)
            kind, item = found["type"], found["object"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raw = Raw(200, {}, line[:200])
            raise failures.not_understood(
                failures.reply_of(raw), "GET", self._path, self._cluster, str(error)
            ) from None
        if kind == "ERROR":
            raise failures.of_status(item, "GET", self._path, self._cluster)
        if kind not in _TYPES or not isinstance(item, dict):
            return None  # of a later Kubernetes; what we need comes as what we know
        about = item.get("metadata")
        version = about.get("resourceVersion") if isinstance(about, dict) else None
        if isinstance(version, str) and version:
            self.resource_version = version
        return kind, item

    def _broken(self, why: str) -> ExternalError:
        return ExternalError(
            "cluster %s: the watch of %s broke off (%s); it goes on from where it was"
            % (self._cluster, self._path.partition("?")[0], why)
        )

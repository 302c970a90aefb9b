"""What the stand-ins for other systems have in common: a real HTTP server, and a tracker's faults.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Dropped(Exception):
    """The connection is closed instead of an answer."""


class Refusal(Exception):
    """Ends a request with an error."""

    def __init__(self, status, headers, body):
        super().__init__(status, body)
        self.status, self.headers, self.body = status, headers or {}, body


class Server:
    """Answers each request {"method", "path", "query", "headers", "body"} by `answer(request)`:
    (status, headers, body), where bytes are a page, None is nothing and all else is JSON.
    """

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_ignored):
        self.stop()

    def stop(self):
        """Answer no more; may be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class Receiver(Server):
    """Takes messages, and fails as told. `requests` holds what came.

    A kind of it has `_taken(request, fault)`: (status, headers, body), `fault` being empty or what
    fail_next was told.
    """

    def __init__(self):
        self.requests, self._faults, self._lock = [], [], threading.Lock()
        super().__init__()

    def fail_next(self, kind, times=1):
        """The next `times` messages fail: drop_before (nothing was done), drop_after (it was taken,
        then nothing is answered), else as the kind of receiver knows it.
        """
        self._faults += [kind] * times

    def answer(self, request):
        """See Server."""
        with self._lock:
            self.requests.append(request)
            fault = self._faults.pop(0) if self._faults else ""
            if fault == "drop_before":
                raise Dropped
            answer = self._taken(request, fault)
            if fault == "drop_after":
                raise Dropped
            return answer


class Tracker(Server):
    """A tracker that fails as told. `requests` holds what came with its status and answer; `chance`
    says of a request how it fails (empty: not at all).

    A kind of it has `tickets()`, `_served(request)` (status, headers, body), `_failed(kind, wait)`
    (the same for 429 and 500, else None) and `_is_write(request)`.
    """

    def __init__(self):
        self.requests = []
        self.chance = lambda _request: ""
        self._faults, self._lock = [], threading.RLock()
        super().__init__()

    def fail_next(self, kind, times=1, retry_after=1, only=""):
        """The next `times` requests fail: 429, 500, drop_before (nothing was done), drop_after (it
        was). `only` "write" leaves requests that change nothing alone.
        """
        self._faults += [(kind, retry_after, only)] * times

    def ticket(self, correlation):
        """The only ticket with this correlation id."""
        found = [one for one in self.tickets() if one["correlation"] == correlation]
        assert len(found) == 1, (correlation, found)
        return found[0]

    def answer(self, request):
        """See Server."""
        with self._lock:
            self.requests.append(request)
            kind, wait = self._fault(request)
            if kind == "drop_before":
                raise Dropped
            try:
                status, headers, body = self._failed(kind, wait) or self._served(request)
            except Refusal as refusal:
                status, headers, body = refusal.status, refusal.headers, refusal.body
            request.update(status=status, answer=body)
            if kind == "drop_after":
                raise Dropped
            return status, headers, body

    def _fault(self, request):
        is_write = self._is_write(request)
        for position, (kind, wait, only) in enumerate(self._faults):
            if only != "write" or is_write:
                del self._faults[position]
                return kind, wait
        return self.chance(request), 1


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # head and body in one piece: else each answer waits for an ACK

        def do_GET(self):
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            request = {
                "method": self.command,
                "path": parts.path,
                "query": {name: values[-1] for name, values in query.items()},
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": self.rfile.read(int(self.headers.get("content-length") or 0)),
            }
            try:
                status, headers, body = server.answer(request)
            except Dropped:
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
            kind = "text/html" if isinstance(body, bytes) else "application/json"
            content = b"" if body is None else content
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

        def log_message(self, *_ignored):
            pass

    return Handler

"""HTTP on this machine, for the demo's own parts: one small client, one small server.

Never uses a proxy, never leaves 127.0.0.1.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Mapping, Optional, Tuple

Answer = Callable[[str, str, Any], Tuple[int, Any]]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(
    method: str,
    url: str,
    body: Any = None,
    headers: Optional[Mapping[str, str]] = None,
    timeout_s: float = 5.0,
) -> Tuple[int, Any]:
    """(status, answer): the answer parsed where it is JSON, else as text. Raises OSError when none
    comes.
    """
    data = None if body is None else json.dumps(body).encode("ascii")
    message = urllib.request.Request(url, data=data, method=method)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        message.add_header(name, value)
    try:
        with _OPENER.open(message, timeout=timeout_s) as answer:
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, _parsed(answer.read())


def reason_of(error: OSError) -> str:
    """Why there was no answer, in few words."""
    inner = getattr(error, "reason", error)
    return str(getattr(inner, "strerror", None) or inner).lower()


def _parsed(content: bytes) -> Any:
    text = content.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


class Listener:
    """Serves on a free port until `stop`; `answer(method, path, body)` returns (status, what to
    send as JSON).
    """

    def __init__(self, answer: Answer) -> None:
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    answer: Answer

    def do_GET(self) -> None:
        self._respond("GET", None)

    def do_POST(self) -> None:
        self._respond(
            "POST", _parsed(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        )

    def log_message(self, *_words: Any) -> None:
        """Silent."""

    def _respond(self, method: str, body: Any) -> None:
        status, found = self.answer(method, self.path, body)
        content = json.dumps(found).encode("ascii")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

"""Logs of the test bed's containers: the HTTPS port of a kubelet that the API server asks for
`/containerLogs/NAMESPACE/POD/CONTAINER`.

A pod's annotations `test/log` and `test/previous-log` hold the text; without them each behaviour
has some lines of its own.
"""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests import kubelet_behaviour as behaviour

CRASH = """starting
Traceback (most recent call last):
  File "/app/main.py", line 12, in <module>
    connect(os.environ["DATABASE_URL"])
ConnectionRefusedError: [Errno 111] Connection refused
"""
TEXTS = {
    behaviour.CRASHES: CRASH,
    behaviour.FLAPS: CRASH,
    behaviour.OOM: "starting\nloading 4000000 rows\n",
    behaviour.UNREADY: "starting\nERROR cannot reach the database at db:5432, not ready\n",
    behaviour.FAILED: "starting\nERROR step 3 failed: exit status 1\n",
    behaviour.DONE: "starting\ndone\n",
}
WAITS = (behaviour.MISSING, behaviour.MISCONFIGURED)


def text_of(pod, container: str, kind: str, restarts: int, is_previous: bool):
    """(HTTP status, text) of one container's log."""
    name = pod["metadata"]["name"]
    notes = pod["metadata"].get("annotations") or {}
    if kind in WAITS:
        told = 'container "%s" in pod "%s" is waiting to start' % (container, name)
        return 400, told
    if is_previous and not restarts:
        told = 'previous terminated container "%s" in pod "%s" not found' % (container, name)
        return 400, told
    own = notes.get("test/previous-log") if is_previous else None
    return 200, own or notes.get("test/log") or TEXTS.get(kind, "starting\nserving\n")


class LogServer:
    """Serves logs on a loopback port; `look_up(namespace, pod, container)` gives (pod, kind,
    restarts) or None.
    """

    def __init__(self, certificate, look_up) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query).items()}
                status, text = _answer(address.path, query, look_up)
                content = text.encode("utf-8")
                self.send_response(status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, str(Path(certificate).parent / "key.pem"))
        # A client that stands still in its handshake holds up its own thread only.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


def _answer(path: str, query, look_up):
    parts = path.strip("/").split("/")
    if len(parts) != 4 or parts[0] != "containerLogs":
        return 404, "404 page not found\n"
    known = look_up(*parts[1:])
    if known is None:
        return 404, 'pod "%s" does not exist' % parts[2]
    pod, kind, restarts = known
    status, text = text_of(pod, parts[3], kind, restarts, query.get("previous") == "true")
    if status == 200 and "tailLines" in query:
        lines = text.splitlines(True)
        text = "".join(lines[max(0, len(lines) - int(query["tailLines"])):])
    if status == 200 and "limitBytes" in query:
        text = text.encode("utf-8")[: int(query["limitBytes"])].decode("utf-8", "ignore")
    return status, text

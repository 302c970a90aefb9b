"""A small real HTTP server for tests: answers what it is told, remembers what it was asked; and a
port at which there is none.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """`status` and `body` are the next answers, `answers` bodies by path; `asked` is [(method,
    path, body, headers)].
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.body = b"ok"
        self.answers = {}
        self.asked = []


@contextmanager
def serving():
    """A server on a free loopback port, stopped at the end."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            size = int(self.headers.get("Content-Length") or 0)
            web.asked.append((self.command, self.path, self.rfile.read(size), dict(self.headers)))
            body = web.answers.get(self.path.partition("?")[0], web.body)
            self.send_response(web.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web("http://127.0.0.1:%d" % server.server_address[1])
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def nobody(scheme: str = "http"):
    """The URL of a loopback port that refuses every connection: it is taken, so that nobody else
    can begin to listen there, and not listened on.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "%s://127.0.0.1:%d" % (scheme, taken.getsockname()[1])

"""What the tests of the Kubernetes client start from: clients, a server that answers as told, and
one that misbehaves on the wire.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import threading
import time
from urllib.parse import urlsplit

import yaml

from selfheal.apis.kubernetes import settings
from selfheal.apis.kubernetes.client import connect_target
from selfheal.config import Config
from tests import needs
from tests.scene import Receiver


class Waits:
    """A clock whose sleeps take no time and are kept."""

    def __init__(self):
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)


class Ahead:
    """The monotonic clock of this process: real, but for what a test lets pass at once."""

    def __init__(self, monkeypatch):
        self._real, self._passed_s = time.monotonic, 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self._real() + self._passed_s)

    def let_pass(self, seconds):
        self._passed_s += seconds


def client(target, name="default", clock=None, hide=None):
    """A client of one target, its settings completed as `connect` does. A request has longer than
    by default: on a slow machine this process or a server stands still at times.
    """
    target = {"timeout_s": 120, **target}
    return connect_target(name, settings.completed(Config(), name, target), clock, hide)


def stop_api(cluster):
    """Kill the API server of a cluster of the test's own. The controllers, which may end by
    themselves without it, are killed before.
    """
    cluster.kill_controllers()
    cluster.kill_api()


def status(code, reason="", message="", **details):
    """A Status object as the API sends it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


UNAUTHORIZED = (401, status(401, "Unauthorized", "Unauthorized"))
VERSION = {"gitVersion": "v1.20.2"}


class Canned(Receiver):
    """Answers by `routes`: "METHOD /path" -> object, or (status, object), or a list of them taken
    one after the other. What has no route is 404.
    """

    def __init__(self, routes=None):
        super().__init__()
        self.routes = dict(routes or {})
        self.headers = {}
        self.on_request = self._choose

    def _choose(self, request):
        route = self.routes.get(
            "%s %s" % (request["method"], urlsplit(request["path"]).path), (404, "404 not found")
        )
        if isinstance(route, list):
            route = route.pop(0) if len(route) > 1 else route[0]
        code, body = route if isinstance(route, tuple) else (200, route)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        self.answers = [(code, headers, content)]

    def asked(self):
        """["METHOD /path?query"] of all requests."""
        return ["%s %s" % (one["method"], one["path"]) for one in self.requests]


class Wire:
    """A TCP server: `serve(connection, number)` is called for each connection, counted from 1."""

    def __init__(self, serve, tls=None):
        self._serve, self._tls = serve, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = "%s://127.0.0.1:%d" % ("https" if tls else "http", self.port)
        self.connections = 0
        self.stopped = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(
                target=self._one, args=(connection, self.connections), daemon=True
            ).start()

    def _one(self, connection, number):
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._serve(connection, number)
        except OSError:
            pass  # the client has gone
        finally:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_ignored):
        self.stopped.set()
        self._listener.close()


def read_request(connection):
    """The bytes of one request, up to the end of its head; b"" when the client has gone."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(65536)
        if not piece:
            return b""
        found += piece
    return found


def answer(body, head="HTTP/1.1 200 OK"):
    """A whole answer as bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        "%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (head, len(content))
    ).encode() + content


def chunk(*events):
    """Events of a watch as one chunk of an answer."""
    content = "".join(json.dumps(event) + "\n" for event in events).encode()
    return b"%x\r\n%s\r\n" % (len(content), content)


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def event(kind, name, version):
    """One event of a watch."""
    about = {"name": name, "resourceVersion": str(version)}
    return {"type": kind, "object": {"kind": "ConfigMap", "metadata": about}}


def client_certificate(directory, authority):
    """(certificate, key) of a client, signed by the authority in `directory`."""
    key, request, certificate = (str(directory / n) for n in ("c.key", "c.csr", "c.crt"))
    openssl = needs.tool("openssl")
    for command in (
        ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=a"],
        ["x509", "-req", "-in", request, "-CA", authority, "-CAkey", str(directory / "key.pem"),
         "-set_serial", "7", "-days", "1", "-out", certificate],
    ):
        subprocess.run([openssl, *command], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


def write_kubeconfig(path, cluster=None, user=None, context=None, **more):
    """A kubeconfig with one cluster, user and context, all named "one"."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": cluster or {}}],
        "users": [{"name": "one", "user": user or {}}],
        "contexts": [{"name": "one", "context": context or {"cluster": "one", "user": "one"}}],
        "current-context": "one",
        **more,
    }
    path.write_text(yaml.safe_dump(content))
    return {"kubeconfig": str(path)}


def encoded(path):
    with open(str(path), "rb") as file:
        return base64.b64encode(file.read()).decode()

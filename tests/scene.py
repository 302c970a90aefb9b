"""The scene of a test: a clock that is set by hand, a receiver of HTTP requests, incidents in a
store.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from selfheal.config import Config
from selfheal.context import Context
from selfheal.http import HttpClient
from selfheal.platform import ApiPlatform
from selfheal.store import dump, open_store
from tests import stores

START = 1_700_000_000.0
BOTH = ("sqlite", "postgresql")


class Clock:
    """Time that only moves when told to."""

    def __init__(self, at=START):
        self.at = at

    def now(self):
        return self.at

    monotonic = now

    def sleep(self, seconds):
        self.at += seconds


class Receiver:
    """A real HTTP server that keeps what it was sent and answers as told.

    `answers` holds (status, headers, body) for the next requests, the last one for all that follow;
    `on_request` is called with each request before it is answered.
    """

    def __init__(self, *answers):
        self.answers = list(answers) or [(200, {}, b"")]
        self.requests = []
        self.on_request = lambda _request: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = {
                    "method": self.command,
                    "path": self.path,
                    "body": body,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                }
                receiver.requests.append(request)
                receiver.on_request(request)
                several = len(receiver.answers) > 1
                status, headers, content = (
                    receiver.answers.pop(0) if several else receiver.answers[0]
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

            def log_message(self, *_ignored):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket.settimeout(1)  # who connects and goes before it is taken blocks nobody
        self.port = self._server.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def messages(self):
        """The bodies received, as JSON."""
        return [json.loads(request["body"]) for request in self.requests]

    def wrap(self, tls):
        """Speak TLS from now on, by the server-side SSLContext `tls`."""
        self._server.socket = tls.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_ignored):
        self.stop()


def store_url(kind, tmp_path, is_empty=False):
    """A URL of a fresh database of `kind` (one of BOTH), as tests.stores makes them."""
    if kind == "sqlite":
        return stores.sqlite_url(tmp_path, is_empty)
    return stores.postgresql_url(is_empty)


def context(url, clock=None, api=None, **sections):
    """A context on the store at `url`, with real HTTP. `api` is a Receiver that plays StackStorm's
    API.
    """
    clock = clock or Clock()
    http = HttpClient()
    environment = {"ST2_ACTION_API_URL": api.url + "/v1"} if api else {}
    return Context(
        Config({"database": {"url": url}, **sections}),
        clock=clock,
        http=http,
        store=open_store(url, now=clock.now),
        platform=ApiPlatform(lambda: http, environment),
    )


def webhook(receiver, **more):
    """The `notify` section that names `receiver`."""
    return {"webhook": {"url": receiver.url + "/hook", "timeout_s": 60, **more}}


def incident(store, incident_id="inc-1", **columns):
    """Put one incident into the store; its id."""
    now = store.now()
    row = {
        "id": incident_id,
        "group_key": incident_id,
        "source": "alertmanager",
        "alert_type": "ServiceDown",
        "title": "web is down",
        "severity": "critical",
        "status": "open",
        "response_level": "auto",
        "dry_run": 0,
        "cluster": "prod",
        "namespace": "shop",
        "workload": "web",
        "signal": {
            "labels": {"alertname": "ServiceDown"},
            "annotations": {"summary": "no answer from web"},
            "generator_url": "http://prometheus.example/graph",
        },
        "attempts": 0,
        "reopened": 0,
        "alert_count": 1,
        "opened_at": now,
        "updated_at": now,
        "last_seen_at": now,
    }
    row.update(columns)
    for name in ("signal", "analysis", "plan", "reasons"):
        if row.get(name) is not None:
            row[name] = dump(row[name])
    store.insert("incidents", row)
    return incident_id


def execution(store, execution_id="exe-1", incident_id="inc-1", **columns):
    """Put one row into execution_history; its id."""
    row = {
        "id": execution_id,
        "incident_id": incident_id,
        "run_id": "run-1",
        "remedy": "runbook:restart",
        "risk": "reversible",
        "dry_run": 0,
        "status": "done",
        "plan": {"remedy": "runbook", "runbook": "restart"},
        "outcome": {"steps": [{"name": "restart", "status": "ok", "seconds": 1.0}]},
        "started_at": store.now(),
    }
    row.update(columns)
    store.insert(
        "execution_history", dict(row, plan=dump(row["plan"]), outcome=dump(row["outcome"]))
    )
    return execution_id


def approval(store, approval_id="apr-1", incident_id="inc-1", **columns):
    """Put one row into approvals; its id."""
    row = {
        "id": approval_id,
        "incident_id": incident_id,
        "run_id": "run-1",
        "inquiry_id": "inq-1",
        "plan_hash": "0",
        "status": "pending",
        "requested_at": store.now(),
        "expires_at": store.now() + 600,
    }
    row.update(columns)
    store.insert("approvals", row)
    return approval_id


def kinds(store, incident_id="inc-1"):
    """The kinds of the incident's timeline entries, in order."""
    rows = store.query(
        "SELECT kind FROM incident_events WHERE incident_id = ? ORDER BY id", (incident_id,)
    )
    return [row["kind"] for row in rows]


def strings(value):
    """Every string in plain JSON `value`, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []

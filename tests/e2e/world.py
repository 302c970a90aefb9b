"""A small world for end-to-end tests: the real pack in the standalone engine, a service that a
runbook can really mend, and a receiver for what people are told.

Everything is real but StackStorm: webhook bodies over HTTP, actions in processes of their own,
SQLite, runbooks that run commands. Nothing leaves the loopback address.
"""

from __future__ import annotations

import datetime
import json
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import yaml

from selfheal.incidents import registry, timeline
from selfheal.incidents.model import Incident
from selfheal.store import Row, Store, open_store
from standalone.engine import Engine, Execution
from tests.remedy import scenes

PACK = Path(__file__).resolve().parents[2]
SECRET = "s3cret-token-of-the-config"
# Like a secret, but nothing scrubs it from what is shown: whatever evaluates text shows it.
CANARY = "canary-of-the-config"
PATIENCE_S = 600.0
# How long the remedy of "Slow" waits: as long as resolver.timeout lets it, nearly.
WAIT_S = 280
# Columns that hold a point in time at which something falls due.
_DUE = {
    "locks": ("acquired_at", "expires_at"),
    "incidents": ("dispatched_at", "cleared_at", "opened_at"),
    "approvals": ("requested_at", "expires_at"),
    "outbox": ("next_attempt_at",),
    "tickets": ("changed_at", "synced_at", "resolved_at"),
}


class Outside:
    """What is outside of the pack: /well is 200 once the file `well` is there, POSTs are kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.messages: List[Dict[str, Any]] = []
        self.keys: List[str] = []
        self.refuses = False
        outside = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """The service: well or not."""
                is_well = (outside.directory / self.path.strip("/")).exists()
                self._answer(200 if is_well else 503)

            def do_POST(self) -> None:
                """The receiver of messages."""
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if not outside.refuses:
                    outside.messages.append(json.loads(body))
                    outside.keys.append(str(self.headers.get("Idempotency-Key")))
                self._answer(503 if outside.refuses else 200)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class World:
    """The pack at work in `directory`. `config` is laid over the test's own, key by key."""

    def __init__(
        self, directory: Path, config: Optional[Dict[str, Any]] = None, **options: Any
    ) -> None:
        self.directory = directory
        self.outside = Outside(directory)
        self.database = directory / "selfheal.db"
        self.config_path = directory / "selfheal.yaml"
        (directory / "runbooks").mkdir(exist_ok=True)
        self.configure(config or {})
        for name, runbook in runbooks(directory, self.outside.url).items():
            self.write_runbook(name, runbook)
        self.engine = Engine(PACK, config_path=self.config_path, home=directory / "home", **options)

    def __enter__(self) -> World:
        self.engine.start()
        return self

    def __exit__(self, *problem: Any) -> None:
        self.engine.stop()
        self.outside.close()

    # ---- before and around

    def configure(self, more: Dict[str, Any]) -> None:
        """Write the configuration; the next action is given it."""
        config = settings(self.directory, self.outside.url)
        for group, values in more.items():
            config.setdefault(group, {}).update(values)
        self.config_path.write_text(yaml.safe_dump(config), encoding="utf-8")

    def write_runbook(self, name: str, runbook: Dict[str, Any]) -> None:
        """Write or replace a runbook."""
        path = self.directory / "runbooks" / ("%s.yaml" % name)
        path.write_text(yaml.safe_dump(runbook, sort_keys=False), encoding="utf-8")

    def break_when(self, kind: str) -> None:
        """From now on the store fails to record an event of `kind`: whatever does so, fails."""
        # An overflow is an error of the database; RAISE(ABORT) would look like a conflict.
        self.sql(
            "CREATE TRIGGER broken_%s BEFORE INSERT ON incident_events WHEN NEW.kind = '%s' "
            "BEGIN SELECT abs(-9223372036854775807 - (NEW.at > 0)); END" % (kind, kind)
        )

    def mend(self, kind: str) -> None:
        """Undo `break_when`."""
        self.sql("DROP TRIGGER broken_%s" % kind)

    def pass_time(self, seconds: float) -> None:
        """Let `seconds` pass for everything in the store that falls due."""
        for table, columns in _DUE.items():
            for column in columns:
                self.sql("UPDATE %s SET %s = %s - ?" % (table, column, column), seconds)

    def sql(self, statement: str, *parameters: Any) -> None:
        """Change the database behind the library's back: as the disk would, or time itself."""
        connection = sqlite3.connect(str(self.database), timeout=30)
        with connection:
            connection.execute(statement, parameters)
        connection.close()

    # ---- what happens

    def post(self, *alerts: Dict[str, Any]) -> None:
        """Post a webhook body with these alerts, as Alertmanager does."""
        status, answer = self.engine.post_webhook("prometheus_alert", body_of(*alerts))
        assert status == 202, (status, answer)

    def respond_to(self, *alerts: Dict[str, Any]) -> Incident:
        """Post these alerts and wait until nothing is under way; the newest incident."""
        self.post(*alerts)
        self.settle()
        return self.incidents()[-1]

    def settle(self) -> None:
        """Wait until nothing is under way (a question that waits for a person is not)."""
        assert self.engine.wait_idle(PATIENCE_S), "it does not come to rest"

    def act(self, action: str, **parameters: Any) -> Any:
        """Run an action of the pack as a person would; its result, which must be a success."""
        execution = self.engine.run("selfheal." + action, parameters, timeout=PATIENCE_S)
        assert execution.status == "succeeded", execution.result
        return execution.result.get("result", execution.result.get("output"))

    def housekeeping(self) -> Any:
        """What the timer does every minute, and what follows from it."""
        result = self.act("housekeeping")
        self.settle()
        return result

    def wait_for(self, what: Callable[[], Any], within_s: float = 300.0) -> Any:
        """The first truthy answer of `what`."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = what()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError("it did not happen within %g s" % within_s)

    # ---- what there is to see

    def open_store(self) -> Store:
        """The pack's store; the caller closes it."""
        return open_store("sqlite:///%s" % self.database)

    def rows(self, statement: str, *parameters: Any) -> List[Row]:
        """Rows of the store."""
        store = self.open_store()
        try:
            return store.query(statement, parameters)
        finally:
            store.close()

    def incidents(self) -> List[Incident]:
        """All incidents, oldest first."""
        store = self.open_store()
        try:
            rows = store.query("SELECT id FROM incidents ORDER BY id")
            return [registry.get(store, row["id"]) for row in rows]
        finally:
            store.close()

    def incident(self, incident_id: str) -> Incident:
        """One incident as it is now."""
        return next(one for one in self.incidents() if one.id == incident_id)

    def kinds(self, incident_id: str) -> List[str]:
        """The kinds of the entries of an incident's timeline, in order."""
        store = self.open_store()
        try:
            return [entry["kind"] for entry in timeline.entries(store, incident_id, 500)]
        finally:
            store.close()

    def runs(self, action: str) -> List[Execution]:
        """The executions of an action of the pack, oldest first."""
        return [one for one in self.engine.executions() if one.action_ref == "selfheal." + action]

    def outcomes(self) -> List[Dict[str, Any]]:
        """What each response put out, oldest first."""
        return [(one.result or {}).get("output") for one in self.runs("incident_response")]

    def told(self, kind: str) -> List[Dict[str, Any]]:
        """The messages of a kind that the receiver was sent."""
        return [message for message in self.outside.messages if message["kind"] == kind]


def settings(directory: Path, url: str) -> Dict[str, Any]:
    """The configuration of a test: quick to verify, told to a local receiver."""
    return {
        "database": {"url": "sqlite:///%s" % (directory / "selfheal.db")},
        "resolver": {
            "runbook_paths": [str(directory / "runbooks")],
            "verify_timeout": 1,
            "verify_interval": 1,
            "healthy_hold": 0,
        },
        "notify": {
            "webhook": {
                "url": url + "/messages",
                "token": SECRET,
                "headers": {"canary": CANARY},
                "timeout_s": 120,  # who is sent a message again since it was slow has it twice
            }
        },
        "safety": {
            **scenes.UNBOUNDED["safety"],
            "autonomy_by_type": {"Asked": "approve"},
            "command_table": scenes.write_command_table(directory),
        },
    }


def runbooks(directory: Path, url: str) -> Dict[str, Any]:
    """Runbooks by name; the alert is the name's. Each touches real files under `directory`."""

    def book(
        name: str, steps: List[Dict[str, Any]], check: str, risk: str = "reversible"
    ) -> Dict[str, Any]:
        return {
            "name": name.lower(),
            "metadata": {"alert_type": name},
            "risk": risk,
            "confidence": 0.95,
            "steps": steps,
            "verify": [{"http": {"url": "%s/%s" % (url, check), "status": 200}}],
        }

    def touch(name: str) -> Dict[str, Any]:
        path = str(directory / name)
        return {
            "name": name,
            "command": {"argv": ["touch", path]},
            "undo": {"command": {"argv": ["rm", "-f", path]}},
        }

    fail = {"name": "fails", "command": {"argv": ["false"]}}
    wait = {"name": "waits", "wait": {"seconds": WAIT_S}}
    no_undo = dict(touch("half"), undo={"command": {"argv": ["false"]}})
    return {
        "Fixable": book("Fixable", [touch("well")], "well"),
        "Asked": book("Asked", [touch("well")], "well"),
        "Unfixable": book("Unfixable", [touch("tried")], "never"),
        "Broken": book("Broken", [touch("half"), fail], "never"),
        "NoWayBack": book("NoWayBack", [no_undo], "never"),
        "Slow": book("Slow", [touch("begun"), wait], "never"),
        "Disruptive": book("Disruptive", [touch("well")], "well", "disruptive"),
    }


def alert(name: str, severity: str = "critical", status: str = "firing", **labels: str) -> Any:
    """One alert as Alertmanager writes it; the same name and labels are the same alert."""
    started = "2026-01-01T00:00:00.000Z"
    every = dict({"alertname": name, "severity": severity, "instance": "web-1:9100"}, **labels)
    return {
        "status": status,
        "labels": every,
        "annotations": {"summary": "%s on web-1" % name},
        "startsAt": started,
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-01T00:05:00.000Z",
        "generatorURL": "http://prometheus.example/graph",
    }


def body_of(*alerts: Dict[str, Any]) -> Dict[str, Any]:
    """A webhook body of version 4 with these alerts."""
    firing = any(one["status"] == "firing" for one in alerts)
    return {
        "version": "4",
        "groupKey": "{}:{alertname=%s}" % datetime.date(2026, 1, 1),
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": "selfheal",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
    }

"""A small pack in the shapes of the real one, written where a test wants it, with an engine."""

from __future__ import annotations

import textwrap
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from standalone.engine import Engine
from standalone.executions import Event

RUN_PY = """
import importlib
from st2common.runners.base_action import Action

class Run(Action):
    def run(self, function, **parameters):
        module, name = function.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)(self.config, **parameters)
"""

LIBRARY = """
import json
import os
import subprocess
import sys
import time
import urllib.request

def echo(config, value=None):
    return True, {"value": value}

def resolved(config, incident_id):
    return True, {"resolved": True, "strategy": "automated"}

def fail(config, incident_id=""):
    raise RuntimeError("boom " + incident_id)

def refuse(config, incident_id=""):
    return False, {"error": "not now", "error_type": "Refused"}

def note(config, path, line):
    with open(path, "a") as target:
        target.write(line + "\\n")
    return True, {}

def flaky(config, path, good_at):
    with open(path, "a") as target:
        target.write("x")
    return os.path.getsize(path) >= good_at, {"tries": os.path.getsize(path)}

def slow(config, path, apart=False):
    child = subprocess.Popen(["sleep", "900"], start_new_session=bool(apart))
    with open(path, "w") as target:
        target.write("%d %d" % (os.getpid(), child.pid))
    time.sleep(900)

def ingest(config, payload):
    for number in payload["numbers"]:
        payload = {"incident_id": "inc-%d" % number, "status": "firing"}
        body = {"trigger": "mini.alert", "payload": payload}
        request = urllib.request.Request(
            os.environ["ST2_ACTION_API_URL"] + "/webhooks/st2", json.dumps(body).encode(),
            {"X-Auth-Token": os.environ["ST2_ACTION_AUTH_TOKEN"],
             "Content-Type": "application/json"})
        assert urllib.request.urlopen(request, timeout=60).status == 202
    return True, {"count": len(payload["numbers"])}

def surroundings(config):
    return True, {"env": dict(os.environ), "path": sys.path, "config": dict(config)}
"""

SENSOR = """
from st2reactor.sensor.base import PollingSensor

class CountingSensor(PollingSensor):
    def setup(self):
        self.log = self.sensor_service.get_logger("counting")
    def poll(self):
        count = int(self.sensor_service.get_value("count") or 0) + 1
        self.sensor_service.set_value("count", count)
        self.log.info("polled %d", count)
        payload = {"incident_id": "sensed-%d" % count, "status": "firing"}
        self.sensor_service.dispatch("mini.alert", payload)
        self.sensor_service.dispatch("mini.alert", {"incident_id": 5})
    def cleanup(self):
        self.log.info("cleaned up")
    def add_trigger(self, trigger): pass
    def update_trigger(self, trigger): pass
    def remove_trigger(self, trigger): pass

class DyingSensor(CountingSensor):
    def poll(self):
        import spiteful
"""

ACTION = """
name: %(name)s
runner_type: python-script
entry_point: run.py
enabled: true
parameters:
  function: {type: string, immutable: true, default: minilib.work.%(function)s}
%(parameters)s
"""

WORKFLOW_ACTION = """
name: %(name)s
runner_type: orquesta
entry_point: workflows/%(name)s.yaml
enabled: true
parameters: {%(parameters)s}
"""

ACTIONS: Dict[str, str] = {
    "echo": "  value: {type: string}",
    "resolved": "  incident_id: {type: string, required: true}",
    "fail": "  incident_id: {type: string, default: ''}",
    "refuse": "  incident_id: {type: string, default: ''}",
    "note": "  path: {type: string, required: true}\n  line: {type: string, required: true}",
    "flaky": "  path: {type: string, required: true}\n  good_at: {type: integer, required: true}",
    "slow": """\
  path: {type: string, required: true}
  apart: {type: boolean}
  timeout: {default: 600}""",
    "ingest": "  payload: {type: object, required: true}",
    "surroundings": "",
}

RULES: Dict[str, str] = {
    "hook": """
        trigger: {type: core.st2.webhook, parameters: {url: /alerts/}}
        action: {ref: mini.ingest, parameters: {payload: "{{ trigger.body }}"}}
        """,
    "respond": """
        trigger: {type: mini.alert}
        criteria:
          trigger.status: {type: equals, pattern: firing}
        action: {ref: mini.respond, parameters: {incident_id: "{{ trigger.incident_id }}"}}
        """,
}

CHAIN = """
version: 1.0
input: [incident_id]
vars: [resolved: false]
tasks:
  one:
    action: mini.resolved
    input: {incident_id: <% ctx().incident_id %>}
    next: [{when: <% succeeded() %>, do: two}]
  two:
    action: mini.resolved
    input: {incident_id: <% ctx().incident_id %>}
    next:
      - when: <% succeeded() and result().result.strategy = "automated" %>
        do: three
  three:
    action: mini.resolved
    input: {incident_id: <% ctx().incident_id %>}
    next: [{when: <% succeeded() %>, do: four}]
  four:
    action: mini.resolved
    input: {incident_id: <% ctx().incident_id %>}
    next:
      - when: <% succeeded() and result().result.resolved %>
        publish: [resolved: true]
        do: five
  five:
    action: mini.resolved
    input: {incident_id: <% ctx().incident_id %>}
output: [resolved: <% ctx().resolved %>]
"""


class Miniature:
    """The pack `mini`, extended by a test before it starts the engine."""

    def __init__(self, root: Path) -> None:
        self.root = root / "mini"
        self.home = root / "home"
        self.write(
            "pack.yaml", "name: mini\nref: mini\nversion: 1.0.0\nauthor: t\ndescription: d\n"
        )
        self.write(
            "config.schema.yaml", "password: {type: string, secret: true, default: s3cret}\n"
        )
        self.write("actions/run.py", RUN_PY)
        self.write("actions/lib/minilib/__init__.py", "")
        self.write("actions/lib/minilib/work.py", LIBRARY)
        for name, parameters in ACTIONS.items():
            self.write(
                "actions/%s.yaml" % name,
                ACTION % {"name": name, "function": name, "parameters": parameters},
            )
        self.write(
            "triggers/alert.yaml",
            """
            name: alert
            payload_schema:
              type: object
              properties: {incident_id: {type: string}, status: {type: string}}
            """,
        )
        for name, text in RULES.items():
            self.rule(name, text)
        self.workflow("respond", CHAIN, "incident_id: {type: string, required: true}")

    def write(self, path: str, text: str) -> None:
        """A file of the pack."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text), encoding="utf-8")

    def rule(self, name: str, text: str, enabled: bool = True) -> None:
        """A rule, given its trigger, criteria and action."""
        self.write(
            "rules/%s.yaml" % name,
            "name: %s\nenabled: %s\n%s" % (name, str(enabled).lower(), textwrap.dedent(text)),
        )

    def workflow(self, name: str, text: str, parameters: str = "") -> None:
        """An action that is a workflow."""
        self.write(
            "actions/%s.yaml" % name, WORKFLOW_ACTION % {"name": name, "parameters": parameters}
        )
        self.write("actions/workflows/%s.yaml" % name, text)

    def sensors(self) -> None:
        """Two polling sensors: one that counts, one that dies at its first poll."""
        self.write("sensors/counting_sensor.py", SENSOR)
        for name in ("CountingSensor", "DyingSensor"):
            self.write(
                "sensors/%s.yaml" % name.lower(),
                "class_name: %s\nentry_point: counting_sensor.py\nenabled: true\n"
                "poll_interval: 60\n" % name,
            )

    def engine(self, **options: Any) -> Engine:
        """An engine on the pack as it is now; not yet started."""
        return Engine(self.root, home=self.home, **options)


class Heard:
    """Collects events, and waits for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: List[Event] = []

    def __call__(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def of(self, kind: str) -> List[Dict[str, Any]]:
        """The data of every event of that kind, in order."""
        with self._changed:
            return [dict(event.data) for event in self._events if event.kind == kind]

    def kinds(self) -> List[str]:
        """The kinds of all events, in order."""
        with self._changed:
            return [event.kind for event in self._events]

    def wait_for(self, kind: str, count: int = 1, timeout_s: float = 180) -> List[Dict[str, Any]]:
        """The first `count` events of a kind, once there are that many."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: sum(event.kind == kind for event in self._events) >= count, timeout_s
            )
        assert arrived, "no %d events %s within %s s" % (count, kind, timeout_s)
        return self.of(kind)[:count]


def eventually(holds: Callable[[], bool], what: str, timeout_s: float = 180) -> None:
    """Looks again and again until something holds; fails saying what when it does not."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not within %s s: %s" % (timeout_s, what)
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        state = (
            Path("/proc/%d/stat" % pid).read_text(encoding="ascii").rpartition(")")[2].split()[0]
        )
    except OSError:
        return False
    return state != "Z"

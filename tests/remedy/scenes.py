"""Incidents, runbooks and contexts for tests: a store in a directory, rows as intake writes them,
files as people write them.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from selfheal.config import Config
from selfheal.context import Context
from selfheal.incidents import registry
from selfheal.store import dump, open_store
from tests import stores

_numbers = itertools.count(1)

# What the runbooks of tests run that the pack's command table has no row for, or refuses.
COMMAND_TABLE = """
programs:
  'false': {risk: read-only}
  no-such-program: {risk: read-only}
  sleep: {replaces: sleep, risk: read-only, args: 'int 0..600', count: '1'}
  echo: {replaces: echo, risk: read-only, args: any_word, count: 0..9}
  printf: {replaces: printf, risk: read-only, args: any_word, count: 1..9}
  cat: {replaces: cat, risk: read-only, args: any_word, count: 1..3}
  touch: {replaces: touch, risk: reversible, args: any_word, count: '1'}
  rm: {replaces: rm, risk: reversible, args: any_word, count: '1', flags: {-f: none}}
patterns:
  any_word: '[A-Za-z0-9/%][ -~]*'
"""


# For tests that carry out many remedies on one target in a moment, and are not about guards.
UNBOUNDED = {
    "safety": {
        "retry_wait_minutes": 0,
        "budgets": {
            "%s_%s" % (what, period): 1000000
            for what in ("target", "namespace", "cluster", "remedy", "global")
            for period in ("hour", "day")
        },
        "breaker": {"min_calls": 1000},
    }
}


class StillClock:
    """A clock that moves only when somebody sleeps, or by `advance`."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now
        self.slept = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def advance(self, seconds: float) -> None:
        self.time += seconds


class Platform:
    """StackStorm as far as our steps use it: remembers what it was told."""

    execution_id = None

    def __init__(self) -> None:
        self.answered = []

    def answer_inquiry(self, inquiry_id, response) -> None:
        self.answered.append((inquiry_id, response))


def write_command_table(directory: Path, text: str = COMMAND_TABLE) -> str:
    """A site's own command table in `directory`; its path, for safety.command_table."""
    path = directory / "commands.yaml"
    path.write_text(text)
    return str(path)


def config_for(directory: Path, **resolver) -> dict:
    """A configuration whose store and runbooks are in `directory`."""
    (directory / "runbooks").mkdir(exist_ok=True)
    settings = {
        "runbook_paths": [str(directory / "runbooks")],
        "timeout": 180,
        "verify_timeout": 5,
        "verify_interval": 1,
        "healthy_hold": 0,
    }
    settings.update(resolver)
    return {
        "database": {"url": stores.sqlite_url(directory)},
        "resolver": settings,
        "safety": {"command_table": write_command_table(directory)},
    }


def context_for(directory: Path, *, values=None, clock=None, url: str = "", **resolver) -> Context:
    """A context on a store in `directory` (or at `url`). `values` are merged over the
    configuration.
    """
    config = config_for(directory, **resolver)
    for section, settings in (values or {}).items():
        config[section] = {**config.get(section, {}), **settings}
    if url:
        config["database"] = {"url": url}
    store = open_store(
        config["database"]["url"], now=clock.now if clock else __import__("time").time
    )
    return Context(Config(config), store=store, clock=clock, platform=Platform())


def add_incident(store, *, labels=None, annotations=None, alerts=("firing",), **fields) -> str:
    """An open incident with as many alerts as statuses are given; its id."""
    number = next(_numbers)
    now = store.now()
    labels = {"alertname": "ServiceDown", "service": "shop", **(labels or {})}
    annotations = dict(annotations or {})
    row = {
        "id": "inc-test-%06d" % number,
        "group_key": "cause-%d" % number,
        "source": "manual",
        "alert_type": labels["alertname"],
        "title": "the shop is down",
        "severity": "critical",
        "status": "open",
        "response_level": "auto",
        "dry_run": 0,
        "cluster": None,
        "namespace": None,
        "workload": None,
        "instance": None,
        "service": labels.get("service"),
        "signal": dump({"labels": labels, "annotations": annotations}),
        "analysis": None,
        "plan": None,
        "strategy": None,
        "reasons": None,
        "resolution": None,
        "run_id": None,
        "attempts": 0,
        "reopened": 0,
        "alert_count": len(alerts),
        "opened_at": now,
        "updated_at": now,
        "last_seen_at": now,
        "dispatched_at": None,
        "cleared_at": None,
        "resolved_at": None,
    }
    row.update(fields)
    store.insert("incidents", row)
    for position, status in enumerate(alerts):
        add_alert(store, row["id"], "%08x%08x" % (number, position), status, labels, annotations)
    return row["id"]


def add_alert(
    store, incident_id, fingerprint, status="firing", labels=None, annotations=None
) -> None:
    """One alert of the incident."""
    now = store.now()
    store.insert(
        "alerts",
        {
            "fingerprint": fingerprint,
            "starts_at": "2025-01-01T00:00:00.000Z",
            "incident_id": incident_id,
            "status": status,
            "severity": "critical",
            "source": "manual",
            "labels": dump(labels or {}),
            "annotations": dump(annotations or {}),
            "generator_url": "",
            "ends_at": None,
            "first_seen_at": now,
            "last_seen_at": now,
        },
    )


def clear(store, incident_id) -> None:
    """The last alert of the incident resolves."""
    store.execute("UPDATE alerts SET status = 'resolved' WHERE incident_id = ?", (incident_id,))
    registry.update(store, incident_id, cleared_at=store.now())


def runbook(**changes) -> dict:
    """A valid runbook as a document: one command that touches nothing."""
    document = {
        "name": "restart_shop",
        "description": "Restarts the shop.",
        "metadata": {"alert_type": "ServiceDown"},
        "risk": "reversible",
        "confidence": 0.9,
        "steps": [{"name": "say", "command": {"argv": ["true"]}}],
    }
    document.update(changes)
    return {key: value for key, value in document.items() if value is not None}


def write_runbook(directory: Path, **changes) -> Path:
    """`runbook(**changes)` as a file in the runbooks of `directory`. JSON is YAML."""
    document = runbook(**changes)
    folder = directory / "runbooks"
    folder.mkdir(exist_ok=True)
    path = folder / ("%s.yaml" % document["name"])
    path.write_text(json.dumps(document, indent=1))
    return path


def shell(script: str) -> dict:
    """A command that runs `script` by the shell."""
    return {"script": script, "interpreter": ["/bin/sh"]}


def timeline_of(store, incident_id, kind=None) -> list:
    """The incident's timeline, oldest first; only entries of `kind` when given."""
    from selfheal.incidents import timeline

    return [
        entry
        for entry in timeline.entries(store, incident_id)
        if kind is None or entry["kind"] == kind
    ]


def rows_of(store, table) -> list:
    """All rows of a table, JSON columns still text."""
    return store.query("SELECT * FROM %s ORDER BY id" % table)

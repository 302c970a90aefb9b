"""What each action's start costs over a do-nothing action of the same run: CPU ms and megabytes.

    python bench/action_overhead.py [--rounds 7] [--only NAME ...] [--bare]

Every python action of the pack is started as the platform starts it (a fresh process through
standalone/wrapper.py) on a fresh copy of a SQLite store that holds one incident. Rounds are
interleaved and medians compared, so a slow moment of the machine falls on all alike. The table goes
to stderr; the last line on stdout is one JSON object. Exit 1 when an action dies of a defect: what
it cost then means nothing.

A do-nothing action of StackStorm is no bare interpreter: its wrapper has imported half the standard
library before our first line. What of that our code uses as well is loaded before all processes
alike; `--bare` leaves it out, and so charges us for what the platform pays anyway.
"""

import argparse
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from standalone import configuration, packs, runner, wrapper
from standalone.datastore import Datastore

BUDGET_CPU_MS = 60
BUDGET_RSS_MB = 15
RUNNER_PARAMETERS = ("timeout", "env", "log_level", "content_version")  # not for the function
NOOP = "noop"
NOOP_SOURCE = """
from st2common.runners.base_action import Action


class Noop(Action):
    def run(self):
        return True, {}
"""

# Found in sys.modules of a do-nothing action under StackStorm 3.9's own python_action_wrapper.py.
PLATFORM_LOADS = (
    "import argparse, base64, copy, csv, dataclasses, datetime, decimal, email.parser, fnmatch\n"
    "import glob, hashlib, inspect, json, logging.config, logging.handlers, pathlib, platform\n"
    "import random, selectors, shutil, socket, ssl, subprocess, tempfile, traceback, typing\n"
    "import urllib.parse, uuid, zipfile, yaml\n"
)

# The kernel counts a child's peak from the moment of the fork, this process' own size included.
# So a process smaller than any action starts them and reports what wait4 says.
SPAWN = """
import os, sys
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
err = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=[
    (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, err, 2)])
_, status, used = os.wait4(pid, 0)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

ALERT = {
    "status": "firing",
    "labels": {
        "alertname": "ServiceDown",
        "severity": "critical",
        "instance": "127.0.0.1:9",
        "job": "bench",
        "namespace": "shop",
        "pod": "cart-5d4f8c7b9-abcde",
    },
    "annotations": {"summary": "The cart does not answer"},
    "startsAt": "2024-05-01T10:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://127.0.0.1:9/graph",
    "fingerprint": "0123456789abcdef",
}
BODY = {
    "version": "4",
    "groupKey": '{}:{alertname="ServiceDown"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "selfheal",
    "groupLabels": {"alertname": "ServiceDown"},
    "commonLabels": ALERT["labels"],
    "commonAnnotations": ALERT["annotations"],
    "externalURL": "http://127.0.0.1:9",
    "alerts": [ALERT],
}
SAMPLES = {"body": BODY, "payload": BODY, "alert_data": BODY}
SEEDER = "selfheal.ingest_alertmanager"


class Platform(http.server.BaseHTTPRequestHandler):
    """Says yes to whatever an action asks of the platform."""

    def do_POST(self):
        """202, as StackStorm answers an injected trigger."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = b"{}"
        self.send_response(202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST

    def log_message(self, *_):
        """Nothing: stderr is for the table."""


class Bench:
    """A temporary home with a seeded store, and how to start one action in it."""

    def __init__(self, home, pack, api_url, is_bare=False):
        self.home = home
        self.startup = home / "startup"
        self.startup.mkdir()
        if not is_bare:
            (self.startup / "sitecustomize.py").write_text(PLATFORM_LOADS, encoding="utf-8")
        self.pack = pack
        self.api_url = api_url
        self.seed = home / "seed.db"
        self.database = home / "run.db"
        self.noop = home / "noop.py"
        self.noop.write_text(NOOP_SOURCE, encoding="utf-8")
        self.config = configuration.load_config(pack, None, Datastore(home / "datastore.json"))
        self.config.setdefault("database", {})["url"] = "sqlite:///%s" % self.database
        # Nothing to wait for: what is measured is the start, not the patience.
        self.config.setdefault("resolver", {}).update(
            {"verify_timeout": 0, "verify_interval": 1, "healthy_hold": 0}
        )
        self.incident_id = None

    def prepare(self):
        """One incident in the store, made by the action that makes them, if there is one."""
        if SEEDER in self.pack.actions:
            _, _, (_, result) = self.start(SEEDER)
            self.incident_id = first_value(result, "incident_id")
        for path in self.home.glob("run.db*"):
            shutil.move(str(path), str(path).replace("run.db", "seed.db"))
        self.incident_id = self.incident_id or "inc-none"

    def start(self, ref):
        """(CPU seconds, peak kilobytes, (succeeded or None, result)) of one execution."""
        for old in self.home.glob("run.db*"):
            old.unlink()
        for path in self.home.glob("seed.db*"):
            shutil.copy(str(path), str(path).replace("seed.db", "run.db"))
        entry, parameters = self.noop, {}
        if ref != NOOP:
            action = self.pack.actions[ref]
            entry, parameters = action.entry_point, self.parameters(action)
        printed = self.home / "printed"
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            SPAWN,
            str(printed),
            sys.executable,
            "-u",
            str(ROOT / "standalone" / "wrapper.py"),
            "--pack=%s" % self.pack.ref,
            "--file-path=%s" % entry,
            "--parameters=%s" % json.dumps(parameters),
            "--config=%s" % json.dumps(self.config),
        ]
        told = subprocess.run(
            command, env=self.environment(), stdout=subprocess.PIPE, timeout=120, check=True
        ).stdout
        _, cpu, peak = told.decode().split()
        text = printed.read_text(encoding="utf-8", errors="replace")
        _, result, succeeded = wrapper.split_output(text)
        return float(cpu), int(peak), (succeeded, result)

    def environment(self):
        """What the platform sets for an action."""
        path = os.pathsep.join((str(self.startup), runner.python_path(self.pack.root)))
        env = dict(os.environ, PYTHONPATH=path)
        # Compiled once, as in production, whatever the caller's environment says about bytecode.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env.update(
            {
                "PYTHONPYCACHEPREFIX": str(self.home / "bytecode"),
                "ST2_ACTION_PACK_NAME": self.pack.ref,
                "ST2_ACTION_EXECUTION_ID": "bench",
                "ST2_ACTION_API_URL": self.api_url,
                "ST2_ACTION_AUTH_TOKEN": "bench",
            }
        )
        return env

    def parameters(self, action):
        """The smallest sensible call: defaults, the seeded incident, an alert, else a zero."""
        zeros = {"integer": 1, "number": 1, "boolean": True, "object": {}, "array": []}
        given = {}
        for name, schema in action.parameters.items():
            if name in RUNNER_PARAMETERS:
                continue
            if name == "incident_id" and self.incident_id:
                given[name] = self.incident_id
            elif name in SAMPLES and schema.get("type") == "object":
                given[name] = SAMPLES[name]
            elif "default" in schema:
                given[name] = schema["default"]
            elif schema.get("required"):
                choices = schema.get("enum") or [zeros.get(schema.get("type"), "bench")]
                given[name] = choices[0]
        return given


def first_value(document, key):
    """The first text under `key`, or in a list under `key` + "s", anywhere in nested data."""
    if isinstance(document, dict):
        if isinstance(document.get(key), str):
            return document[key]
        several = document.get(key + "s")
        if isinstance(several, list) and several and isinstance(several[0], str):
            return several[0]
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            found = first_value(item, key)
            if found:
                return found
    return None


def outcome_of(succeeded, result):
    """How an execution ended, in one word: ok, or the type of its error."""
    if succeeded:
        return "ok"
    return result.get("error_type", "failed") if isinstance(result, dict) else "crashed"


def measure(bench, refs, rounds):
    """{ref: {"cpu_ms", "rss_mb", "outcome"}}: medians of `rounds` rounds, after one to warm up."""
    seen = {ref: [] for ref in refs}
    for number in range(rounds + 1):
        for ref in refs[number % len(refs):] + refs[: number % len(refs)]:
            sample = bench.start(ref)
            if number:
                seen[ref].append(sample)
    return {
        ref: {
            "cpu_ms": round(statistics.median(s[0] for s in samples) * 1000, 1),
            "rss_mb": round(statistics.median(s[1] for s in samples) / 1024, 1),
            "outcome": outcome_of(*samples[-1][2]),
        }
        for ref, samples in seen.items()
    }


def report(figures, rounds, is_bare):
    """Prints the table, then the JSON line. Returns the exit code."""
    noop = figures.pop(NOOP)
    for own in figures.values():
        own["cpu_ms_over"] = round(own["cpu_ms"] - noop["cpu_ms"], 1)
        own["rss_mb_over"] = round(own["rss_mb"] - noop["rss_mb"], 1)
    line = "%-44s %10s %10s  %s\n"
    sys.stderr.write(line % ("over a do-nothing action", "CPU ms", "MB", "outcome"))
    sys.stderr.write(line % ("(itself)", noop["cpu_ms"], noop["rss_mb"], noop["outcome"]))
    for ref, own in sorted(figures.items(), key=lambda pair: -pair[1]["cpu_ms_over"]):
        sys.stderr.write(line % (ref, own["cpu_ms_over"], own["rss_mb_over"], own["outcome"]))
    worst_cpu = max((own["cpu_ms_over"] for own in figures.values()), default=0.0)
    worst_rss = max((own["rss_mb_over"] for own in figures.values()), default=0.0)
    broken = sorted(
        ref for ref, own in figures.items() if own["outcome"] in ("crashed", "InternalError")
    )
    if broken:
        sys.stderr.write("died of a defect, figures without meaning: %s\n" % ", ".join(broken))
    print(
        json.dumps(
            {
                "bench": "action_overhead",
                "rounds": rounds,
                "bare": is_bare,
                "actions": {
                    ref: {key: own[key] for key in ("cpu_ms_over", "rss_mb_over", "outcome")}
                    for ref, own in sorted(figures.items())
                },
                "worst_cpu_ms": worst_cpu,
                "worst_rss_mb": worst_rss,
                "budget_cpu_ms": BUDGET_CPU_MS,
                "budget_rss_mb": BUDGET_RSS_MB,
                "within_budget": worst_cpu <= BUDGET_CPU_MS and worst_rss <= BUDGET_RSS_MB,
                "noop": {"cpu_ms": noop["cpu_ms"], "rss_mb": noop["rss_mb"]},
            }
        )
    )
    return 1 if broken else 0


def main():
    """Reads the options, measures, reports."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7, help="measured rounds (7)")
    options.add_argument("--only", nargs="+", default=[], metavar="NAME", help="just these actions")
    options.add_argument("--bare", action="store_true", help="without what StackStorm itself loads")
    given = options.parse_args()
    pack = packs.load_pack(ROOT)
    refs = [
        ref
        for ref, action in sorted(pack.actions.items())
        if action.runner_type == "python-script" and
        (not given.only or ref in given.only or action.name in given.only)
    ]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as home:
            bench = Bench(
                Path(home),
                pack,
                "http://127.0.0.1:%d/v1" % server.server_address[1],
                is_bare=given.bare,
            )
            bench.prepare()
            figures = measure(bench, [NOOP] + refs, max(1, given.rounds))
    finally:
        server.shutdown()
        server.server_close()
    return report(figures, max(1, given.rounds), given.bare)


if __name__ == "__main__":
    sys.exit(main())

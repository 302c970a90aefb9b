"""What each action's start costs over a do-nothing action of the same run: CPU ms and megabytes.

    python bench/action_overhead.py [--rounds 7] [--only NAME ...] [--bare]

Every python action of the pack is started as the platform starts it (a fresh process through
standalone/wrapper.py) on a fresh copy of a SQLite store that holds two incidents. What speaks to a
cluster has a stand-in for one, and is measured to its end: a change asked for, waited for and
recorded. Each start is compared with the do-nothing starts around it, so a slow moment of the
machine falls on both alike. The table goes to stderr; the last line on stdout is one JSON object.
Exit 1 when an action dies of a defect: what it cost then means nothing.

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
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import kubernetes_api
from action_cases import (
    BODY,
    NOOP,
    SAMPLES,
    WORKLOAD,
    WORKLOAD_BODY,
    cases_of,
    cluster_parameters,
    tracker_parameters,
)

from standalone import configuration, packs, runner, wrapper
from standalone.datastore import Datastore
from tests import stub_jira, stub_servicenow

BUDGET_CPU_MS = 60
BUDGET_CLUSTER_CPU_MS = 250  # of what speaks to a cluster
BUDGET_TRACKER_CPU_MS = 110  # of what speaks to ServiceNow or Jira, to its answer
BUDGETS = {
    "": BUDGET_CPU_MS, "cluster": BUDGET_CLUSTER_CPU_MS, "tracker": BUDGET_TRACKER_CPU_MS,
}
BUDGET_RSS_MB = 15
SEEDER = "selfheal.ingest_alertmanager"
RUNNER_PARAMETERS = ("timeout", "env", "log_level", "content_version")  # not for the function
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

    def __init__(self, home, pack, api_url, cluster, trackers, is_bare=False):
        self.home = home
        self.cluster = cluster
        servicenow, jira = trackers
        servicenow.tables.create({"short_description": "bench", "correlation_id": "bench-0"}, "ann")
        for _ in range(2):
            jira.make("OPS", "Task", {"summary": "bench"})
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
        self.configs = {
            "": self.config,
            "cluster": dict(
                self.config, kubernetes=dict(kubernetes_api.SETTINGS, url=cluster.url)
            ),
            # As the platform hands them over: the schema's defaults filled in.
            "tracker": dict(
                self.config,
                servicenow={**self.config.get("servicenow", {}), **servicenow.settings()},
                jira={**self.config.get("jira", {}), **jira.settings()},
            ),
        }
        self.incident_id = self.of_workload = None

    def prepare(self):
        """Two incidents in the store, made by the action that makes them, if there is one."""
        self.incident_id = self._seed(BODY) or "inc-none"
        self.of_workload = self._seed(WORKLOAD_BODY) or "inc-none"

    def _seed(self, body):
        """The incident that `body` opens, in the store that each start is given a copy of."""
        if SEEDER not in self.pack.actions:
            return None
        declared = self.pack.actions[SEEDER].parameters
        _, _, (_, result) = self.start(
            SEEDER, {name: body for name in ("body", "payload") if name in declared}
        )
        for path in self.home.glob("run.db*"):
            shutil.move(str(path), str(path).replace("run.db", "seed.db"))
        return first_value(result, "incident_id")

    def start(self, ref, given=None, speaks=""):
        """(CPU seconds, peak kilobytes, (succeeded or None, result)) of one execution with the
        parameters `given`; the cluster or the tracker is there when it `speaks` to one.
        """
        self.cluster.reset()
        for old in self.home.glob("run.db*"):
            old.unlink()
        for path in self.home.glob("seed.db*"):
            shutil.copy(str(path), str(path).replace("seed.db", "run.db"))
        entry, parameters = self.noop, {}
        if ref != NOOP:
            action = self.pack.actions[ref]
            entry, parameters = action.entry_point, self.parameters(action)
            parameters.update(given or {})
            if parameters.get("incident_id") == WORKLOAD:
                parameters["incident_id"] = self.of_workload
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
            "--config=%s" % json.dumps(self.configs[speaks]),
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
        known = {**cluster_parameters(action.name), **tracker_parameters(action.name)}
        for name, schema in action.parameters.items():
            if name in RUNNER_PARAMETERS:
                continue
            if name in known:
                given[name] = known[name]
            elif name == "incident_id" and self.incident_id:
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
    """How an execution ended, in one word: ok, what the answer calls it, or its error's type."""
    if succeeded:
        told = result.get("outcome") if isinstance(result, dict) else None
        return told if isinstance(told, str) else "ok"
    return result.get("error_type", "failed") if isinstance(result, dict) else "crashed"


def measure(bench, cases, rounds):
    """(figures of the do-nothing action, {case: its figures}): medians of `rounds` rounds, after
    one to warm up.

    A shared machine's clock changes within seconds. So each start is compared with the do-nothing
    starts right before and right after it, and the ratio told in ms at the run's usual speed.
    """
    names = [name for name in cases if name != NOOP]
    idle, seen = [], {name: [] for name in names}
    for number in range(rounds + 1):
        before = bench.start(*cases[NOOP])
        for name in names[number % len(names):] + names[: number % len(names)]:
            sample, after = bench.start(*cases[name]), bench.start(*cases[NOOP])
            if number:
                seen[name].append((sample[0] / (before[0] + after[0]) * 2, sample))
                idle.append(after)
            before = after
    noop = {
        "cpu_ms": round(statistics.median(s[0] for s in idle) * 1000, 1),
        "rss_mb": round(statistics.median(s[1] for s in idle) / 1024, 1),
        "outcome": outcome_of(*idle[-1][2]),
    }
    return noop, {
        name: {
            "cpu_ms_over": round((statistics.median(r for r, _ in own) - 1) * noop["cpu_ms"], 1),
            "rss_mb_over": round(
                statistics.median(s[1] for _, s in own) / 1024 - noop["rss_mb"], 1
            ),
            "outcome": outcome_of(*own[-1][1][2]),
            "budget_cpu_ms": BUDGETS[cases[name][2]],
        }
        for name, own in seen.items()
    }


def report(noop, figures, rounds, is_bare):
    """Prints the table, then the JSON line. Returns the exit code."""
    line = "%-52s %10s %10s  %s\n"
    sys.stderr.write(line % ("over a do-nothing action", "CPU ms", "MB", "outcome"))
    sys.stderr.write(line % ("(itself)", noop["cpu_ms"], noop["rss_mb"], noop["outcome"]))
    for ref, own in sorted(figures.items(), key=lambda pair: -pair[1]["cpu_ms_over"]):
        sys.stderr.write(line % (ref, own["cpu_ms_over"], own["rss_mb_over"], own["outcome"]))
    worst_cpu = max((own["cpu_ms_over"] for own in figures.values()), default=0.0)
    worst_rss = max((own["rss_mb_over"] for own in figures.values()), default=0.0)
    over = sorted(
        ref for ref, own in figures.items()
        if own["cpu_ms_over"] > own["budget_cpu_ms"] or own["rss_mb_over"] > BUDGET_RSS_MB
    )
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
                "budget_cluster_cpu_ms": BUDGET_CLUSTER_CPU_MS,
                "budget_tracker_cpu_ms": BUDGET_TRACKER_CPU_MS,
                "over_budget": over,
                "within_budget": not over,
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
    actions = [
        action
        for ref, action in sorted(pack.actions.items())
        if action.runner_type == "python-script" and
        (not given.only or ref in given.only or action.name in given.only)
    ]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with kubernetes_api.Cluster() as cluster, stub_servicenow.Stub() as servicenow, (
            stub_jira.Stub()
        ) as jira, tempfile.TemporaryDirectory(prefix="selfheal-bench-") as home:
            bench = Bench(
                Path(home),
                pack,
                "http://127.0.0.1:%d/v1" % server.server_address[1],
                cluster,
                (servicenow, jira),
                is_bare=given.bare,
            )
            bench.prepare()
            noop, figures = measure(bench, cases_of(actions), max(1, given.rounds))
    finally:
        server.shutdown()
        server.server_close()
    return report(noop, figures, max(1, given.rounds), given.bare)


if __name__ == "__main__":
    sys.exit(main())

"""How fast alerts become incidents: one body of 1,000, a stream of bodies, and single alerts, on
SQLite or PostgreSQL.

Run with the pack's own Python: `python bench/ingest.py [postgresql]`. Progress goes to stderr; the
last line on stdout is one JSON object. The yardstick is ansible-rulebook's webhook source: 707
posts a second (median of five runs).
"""

import atexit
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "actions" / "lib"), str(ROOT)]

from selfheal import door
from selfheal.config import Config
from selfheal.context import Context
from selfheal.incidents.signal import time_text
from selfheal.store import open_store

FUNCTION = "selfheal.intake.ingest.ingest_alertmanager"
STREAM_BODIES = 200
STREAM_SIZE = 100
SINGLES = 1000
RUNS = 3
CONFIG = Config()  # one for all: StackStorm hands it over merged, so no action parses the schema


class Silent:
    """A platform that takes every trigger at once: what StackStorm costs is measured elsewhere."""

    execution_id = None

    def inject(self, trigger, payload):
        """Take it."""


def alert(number, starts_at, name="KubePodCrashLooping"):
    """An alert of kube-prometheus' size, about pod `number` of a workload of its own."""
    return {
        "status": "firing",
        "startsAt": starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "labels": {
            "alertname": name,
            "severity": "warning",
            "cluster": "bench",
            "namespace": "prod",
            "container": "app",
            "pod": "app-%d-7d9c5b6f4-x2x9z" % number,
            "job": "kube-state-metrics",
            "instance": "10.0.0.1:8080",
            "reason": "CrashLoopBackOff",
            "prometheus": "monitoring/k8s",
            "uid": "%032x" % number,
        },
        "annotations": {
            "summary": "Pod is crash looping.",
            "description": "Pod prod/app-%d is in waiting state." % number,
            "runbook_url": "https://runbooks.example/kubepodcrashlooping",
        },
        "generatorURL": "http://prometheus.example/graph?g0.expr=x&g0.tab=1",
    }


def body(alerts):
    """A webhook body of `alerts`."""
    return {
        "version": "4",
        "receiver": "selfheal",
        "status": "firing",
        "groupKey": "{}",
        "truncatedAlerts": 0,
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": alerts,
    }


def ingest(store, payload):
    """Seconds that one body takes from the door to its result."""
    context = Context(CONFIG, store=store, platform=Silent())
    store.close, close = (
        (lambda: None),
        store.close,
    )  # the door closes what it opened; here one store serves all
    began = time.perf_counter()
    ok, result = door.call(FUNCTION, {"payload": payload}, context=context)
    seconds = time.perf_counter() - began
    store.close = close
    if not ok or result["error"]:
        raise SystemExit("ingest failed: %s" % result)
    return seconds


def new_store(kind):
    """An empty store."""
    if kind == "postgresql":
        from tests import stores

        return open_store(stores.postgresql_url())
    directory = tempfile.mkdtemp(prefix="selfheal-bench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return open_store("sqlite:///%s/bench.db" % directory)


def one_run(kind):
    """The figures of one run in a store of its own."""
    starts_at = time_text(time.time() - 60)
    store = new_store(kind)
    thousand = body([alert(number, starts_at) for number in range(1000)])
    first, again = ingest(store, thousand), ingest(store, thousand)
    # Bodies of one cause each, as Alertmanager sends them, half of it known already.
    stream = [
        body(
            [
                alert(STREAM_SIZE * (n // 2) + k, starts_at, "Stream%d" % (n % 2))
                for k in range(STREAM_SIZE)
            ]
        )
        for n in range(STREAM_BODIES)
    ]
    streamed = sum(ingest(store, each) for each in stream)
    singles = sum(
        ingest(store, body([alert(number, starts_at, "Single")])) for number in range(SINGLES)
    )
    store.close()
    return {
        "thousand_new_s": first,
        "thousand_known_s": again,
        "alerts_per_s": STREAM_BODIES * STREAM_SIZE / streamed,
        "single_bodies_per_s": SINGLES / singles,
    }


def main():
    """Print the medians."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    runs = []
    for number in range(RUNS):
        runs.append(one_run(kind))
        print("run %d: %s" % (number + 1, json.dumps(runs[-1])), file=sys.stderr)
    medians = {name: round(sorted(run[name] for run in runs)[RUNS // 2], 3) for name in runs[0]}
    print(
        json.dumps(
            {
                "bench": "ingest",
                "store": kind,
                **medians,
                "runs": RUNS,
                "budget": {"thousand_new_s": 2.0, "alerts_per_s": 707},
            }
        )
    )


if __name__ == "__main__":
    main()

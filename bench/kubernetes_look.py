"""What one look of the Kubernetes sensor at a cluster of 5,000 pods costs.

    python bench/kubernetes_look.py [--quick] [--pods N]

A process of its own plays the API server: it answers with pages of made objects, some 7 kB each
pod, over HTTP. Measured are CPU seconds and resident memory of a fresh process that looks three
times: at a cluster that is well (1 % sick), at one of which everything is sick, and at that one
while its pods are watched (so that only the first look lists them). Progress goes to stderr, the
last line on stdout is one JSON object.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "actions" / "lib"), str(ROOT), str(ROOT / "bench")]

from elk_scene import NOW, Silent, new_store, say

BUDGET = {"cpu_s": 5.0, "memory_mb": 150.0}
VERSIONS = {"autoscaling": "v2", "batch": "v1", "apps": "v1"}


class Answers(BaseHTTPRequestHandler):
    """Pages of `lists`, made before anybody asks."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one piece: else each answer waits for an ACK
    pages = {}

    def do_GET(self):
        """One page of a list, or the versions of a group."""
        path = urlsplit(self.path)
        query = parse_qs(path.query)
        last = path.path.rpartition("/")[2]
        if last in VERSIONS:
            body = json.dumps({"versions": [{"version": VERSIONS[last]}]}).encode()
        elif last in VERSIONS.values():
            body = json.dumps({"resources": [{"name": name} for name in self.pages]}).encode()
        elif "labelSelector" in query:
            body = b'{"metadata":{},"items":[]}'
        else:
            body = self.pages[last][int(query.get("continue", ["0"])[0])]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


def serve(pods, share):
    """Answer until stdin ends; the port and the size of a pod go to stdout."""
    from kubernetes_objects import lists

    for name, objects in lists(pods, share).items():
        made = [json.dumps(one) for one in objects]
        pages = [made[start:start + 500] for start in range(0, len(made), 500)] or [[]]
        for number, page in enumerate(pages):
            about = {"resourceVersion": "1000"}
            if number + 1 < len(pages):
                about["continue"] = str(number + 1)
            text = '{"metadata":%s,"items":[%s]}' % (json.dumps(about), ",".join(page))
            Answers.pages.setdefault(name, []).append(text.encode())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    size = sum(map(len, Answers.pages["pods"])) // max(1, pods)
    print(json.dumps({"port": server.server_port, "bytes_per_pod": size}), flush=True)
    import threading

    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


def resident_mb(which):
    """Megabytes of this program that are resident now (VmRSS), or were at most (VmHWM)."""
    with open("/proc/self/status", encoding="ascii") as file:
        found = next(line for line in file if line.startswith(which + ":"))
    return int(found.split()[1]) / 1024


class Clock:
    """The objects' own time; only waiting is real."""

    at = NOW
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def now(self):
        """Set by hand."""
        return self.at


def measure(port, watch):
    """Look three times, a minute apart."""
    started_mb = resident_mb("VmRSS")
    from selfheal.config import Config
    from selfheal.context import Context
    from selfheal.intake.kubernetes.clusters import Clusters

    clock = Clock()
    target = {"url": "http://127.0.0.1:%d" % port, "token": "none", "watch": watch}
    config = Config({"kubernetes": target})
    context = Context(config, clock=clock, store=new_store("sqlite"), platform=Silent())
    clusters = Clusters(config.hide)
    gc.collect()
    before_mb, looks = resident_mb("VmRSS"), []
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        state, found = clusters.look(context, "kubernetes:default")
        looks.append(
            {
                "cpu_s": round(time.process_time() - cpu, 3),
                "wall_s": round(time.perf_counter() - wall, 3),
                "state": state,
                **{name: found[name] for name in ("pods", "sick", "owners", "opened")},
            }
        )
        clock.at += 60
    print(
        json.dumps(
            {
                "looks": looks,
                "python_mb": round(started_mb, 1),
                "before_mb": round(before_mb, 1),
                "most_mb": round(resident_mb("VmHWM"), 1),
                "added_mb": round(resident_mb("VmHWM") - before_mb, 1),
                "left_mb": round(resident_mb("VmRSS") - before_mb, 1),
            }
        )
    )


def run(pods, share, watch):
    """Measure one cluster, in fresh processes."""
    me = [sys.executable, __file__, "--pods", str(pods)]
    server = subprocess.Popen(
        [*me, "--serve", "--share", str(share)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        told = json.loads(server.stdout.readline())
        command = [*me, "--port", str(told["port"])] + (["--watch"] if watch else [])
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600).stdout
    finally:
        server.stdin.close()
        server.wait(10)
    found = json.loads(out.decode().splitlines()[-1])
    found["bytes_per_pod"] = told["bytes_per_pod"]
    say("%d pods, %.0f %% sick%s: %s" % (
        pods, 100 * share, ", watched" if watch else "", json.dumps(found)))
    return found


def main():
    """Reads the options, measures, prints."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="few pods, to see that it runs")
    options.add_argument("--pods", type=int, default=5000)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--share", type=float, default=0.01, help=argparse.SUPPRESS)
    options.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options.add_argument("--watch", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        return serve(given.pods, given.share)
    if given.port:
        return measure(given.port, given.watch)
    pods = 300 if given.quick else given.pods
    result = {
        "pods": pods,
        "well": run(pods, 0.01, False),
        "sick": run(pods, 1.0, False),
        "sick_watched": run(pods, 1.0, True),
        "budget": BUDGET,
    }
    sides = [result[name] for name in ("well", "sick", "sick_watched")]
    result["within_budget"] = {
        "cpu": all(look["cpu_s"] <= BUDGET["cpu_s"] for side in sides for look in side["looks"]),
        "memory": all(side["most_mb"] <= BUDGET["memory_mb"] for side in sides),
    }
    print(json.dumps(result))
    return None


if __name__ == "__main__":
    main()

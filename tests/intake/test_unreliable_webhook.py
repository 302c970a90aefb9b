"""Fifty rounds of a real Alertmanager whose receiver is down, restarted, refusing or lying, at
random: in the end every alert is in exactly one incident and every end was seen. The poll runs
now and then, as the sensor does.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from selfheal import door
from selfheal.config import Config
from selfheal.context import Context
from selfheal.http import HttpClient
from selfheal.incidents import registry
from selfheal.incidents.signal import canonical_time
from selfheal.intake import reconcile as reconciling
from selfheal.intake.alertmanager import fingerprint_of
from selfheal.store import open_store
from tests import alert_scene, stores
from tests.live_alertmanager import Alertmanager, rfc3339
from tests.live_server import free_port

ROUNDS = 50
ROUND_S = 0.4
MODES = (
    "takes",
    "takes",
    "is down",
    "refuses",
    "hangs up",
    "accepts and drops",
    "stores and hangs up",
)


class Hook:
    """The webhook's receiver: takes bodies into the store as StackStorm would, or fails as told."""

    def __init__(self, url):
        self.url = url
        self.target = {}
        self.mode = "takes"
        self.port = free_port()
        self.results = []
        self.counts = dict.fromkeys(MODES, 0)
        self.triggers = alert_scene.Triggers()
        self._server = None

    def context(self):
        config = Config({"database": {"url": self.url}, "alertmanager": self.target})
        return Context(config, http=HttpClient(), platform=self.triggers)

    def set(self, mode):
        self.mode = mode
        if mode == "is down":
            self.stop()
        elif self._server is None:
            self.start()

    def start(self):
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                payload = json.loads(self.rfile.read(int(self.headers["content-length"])))
                mode = hook.mode
                hook.counts[mode] += 1
                if mode in ("takes", "stores and hangs up"):
                    hook.results.append(
                        door.call(
                            "selfheal.intake.ingest.ingest_alertmanager",
                            {"payload": payload},
                            context=hook.context(),
                        )
                    )
                if mode in ("hangs up", "stores and hangs up"):
                    self.close_connection = True
                    return
                self.send_response(500 if mode == "refuses" else 202)
                self.end_headers()

            def log_message(self, *_ignored):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class World:
    """The alerts that are true, told to Alertmanager again and again as Prometheus does."""

    def __init__(self, chance):
        self.chance = chance
        self.firing = {}
        self.ended = {}
        self.ever = set()
        self.born = {}

    def change(self, number):
        """A few alerts begin, and a few end that were there for some rounds."""
        for _ in range(self.chance.randint(0, 3)):
            key = (
                self.chance.choice("ABC"),
                self.chance.choice(("web", "db")),
                self.chance.randint(0, 4),
            )
            if key not in self.firing and number - self.born.get(key, -9) > 4:
                self.firing[key], self.born[key] = time.time(), number
                self.ended.pop(key, None)
                self.ever.add(
                    (fingerprint_of(labels(key)), canonical_time(rfc3339(self.firing[key])))
                )
        for key in [key for key in self.firing if number - self.born[key] > 6]:
            if self.chance.random() < 0.3:
                self.ended[key] = (self.firing.pop(key), time.time())
                self.born[key] = number

    def told(self):
        found = [
            {"labels": labels(key), "startsAt": rfc3339(start)}
            for key, start in self.firing.items()
        ]
        return found + [
            {"labels": labels(key), "startsAt": rfc3339(start), "endsAt": rfc3339(end)}
            for key, (start, end) in self.ended.items()
        ]


def labels(key):
    name, workload, number = key
    return {
        "alertname": name,
        "namespace": "prod",
        "pod": "%s-7d9c5b6f4-x2x%dz" % (workload, number + 4),
        "severity": "warning",
    }


def close_cleared(store):
    """What the rule on selfheal.incident_resolved does."""
    for row in store.query(
        "SELECT id FROM incidents WHERE status <> 'resolved' AND cleared_at IS NOT NULL"
    ):
        registry.resolve(store, row["id"], "self_resolved", "closed")


def test_every_alert_ends_in_one_incident_and_every_end_is_seen(tmp_path, monkeypatch):
    # A minute of the real thing is less than half a second here.
    monkeypatch.setattr(reconciling, "SETTLED_S", 2 * ROUND_S)
    monkeypatch.setattr(reconciling, "MISSED_TWICE_AFTER_S", ROUND_S / 2)
    seed = int(os.environ.get("SELFHEAL_TEST_SEED") or random.SystemRandom().randrange(10**6))
    sys.stderr.write("SELFHEAL_TEST_SEED=%d\n" % seed)  # shown when it fails, to play it again
    chance = random.Random(seed)
    url = stores.sqlite_url(tmp_path)
    store = open_store(url)
    hook, world = Hook(url), World(chance)
    hook.start()
    server = Alertmanager(
        tmp_path / "alertmanager",
        "http://127.0.0.1:%d/" % hook.port,
        group_by=chance.choice((["alertname"], ["..."], ["namespace"])),
    )
    with server:
        hook.target = {"url": server.url}
        try:
            for number in range(ROUNDS):
                hook.set(chance.choice(MODES))
                if chance.random() < 0.06:
                    server.restart()
                world.change(number)
                server.post_alerts(world.told())
                time.sleep(ROUND_S)  # the pace of the rounds; nothing is waited for
                if number % 3 == 2:
                    reconciling.reconcile(hook.context(), "default", hook.target)
                if chance.random() < 0.5:
                    close_cleared(store)
            deadline = time.monotonic() + 180
            hook.set("takes")
            while time.monotonic() < deadline and not settled(store, world):
                server.post_alerts(world.told())
                reconciling.reconcile(hook.context(), "default", hook.target)
                time.sleep(ROUND_S)
        finally:
            hook.stop()
    check(store, world, hook)


def true_state(world):
    return {
        (fingerprint_of(labels(key)), canonical_time(rfc3339(start)))
        for key, start in world.firing.items()
    }


def firing_here(store):
    return {key for key, status in alert_scene.alert_states(store).items() if status == "firing"}


def settled(store, world):
    return set(alert_scene.alert_states(store)) >= world.ever and firing_here(store) == true_state(
        world
    )


def check(store, world, hook):
    assert all(ok for ok, _ in hook.results), [result for ok, result in hook.results if not ok]
    assert set(alert_scene.alert_states(store)) == world.ever, "alerts lost or invented"
    assert firing_here(store) == true_state(world), "ends missed or invented"
    close_cleared(store)
    rows = store.query(
        "SELECT i.group_key, i.status, COUNT(DISTINCT i.id) AS many, "
        "SUM(CASE WHEN a.status = 'firing' THEN 1 ELSE 0 END) AS firing "
        "FROM incidents i LEFT JOIN alerts a ON a.incident_id = i.id GROUP BY i.group_key, i.status"
    )
    assert len(rows) == len({row["group_key"] for row in rows}) and all(
        row["many"] == 1 for row in rows
    )
    assert all((row["firing"] > 0) == (row["status"] != "resolved") for row in rows)
    assert len(world.ever) > 20

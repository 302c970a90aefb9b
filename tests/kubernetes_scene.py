"""The scene of the Kubernetes sensor's tests: one sensor on a real API server, at real time unless
told otherwise, with the thresholds of a cluster in which everything happens within seconds.

On a slow machine a look comes upon whatever passes: a pod without a node, a replica that starts.
So a test looks with CALM and sets to 0 what it is about; with QUICK it waits for its pods first.
"""

from __future__ import annotations

import json
import time

from kubernetes_health_sensor import KubernetesHealthSensor
from selfheal.incidents import registry
from selfheal.store import open_store
from selfheal.store import status as states
from tests.sensor_service import Service

# What is sick is so at once and well again at once; what only passes is not seen.
CALM = {"settle_s": 0}
# Every state counts from its first moment.
QUICK = {
    **CALM,
    "pending_minutes": 0,
    "terminating_minutes": 0,
    "unready_minutes": 0,
    "short_minutes": 0,
}


class Clock:
    """Real time, ahead by what the test says; sleeping is real."""

    def __init__(self):
        self.ahead_s = 0.0

    def now(self):
        return time.time() + self.ahead_s

    def monotonic(self):
        return time.monotonic() + self.ahead_s

    def sleep(self, seconds):
        time.sleep(min(seconds, 1.0))


class Scene:
    """A sensor with the targets that it is given, by name."""

    def __init__(self, url, targets, **config):
        self.url = url
        self.service = Service()
        self.clock = Clock()
        config = {"database": {"url": url}, "kubernetes": targets, **config}
        self.sensor = KubernetesHealthSensor(self.service, config=config, poll_interval=60)
        self.sensor._polling._clock = self.clock
        self.sensor.setup()
        self.store = open_store(url)

    def look(self, after_s=0.0):
        """One poll without the watching that follows it."""
        self.clock.ahead_s += after_s
        self.sensor._backoff._skip.clear()
        self.sensor._interval_s = 0
        self.sensor.poll()

    def watch(self, seconds=1.5):
        """Watch as a poll does after its look, for a while: one slice at least, however late it is
        begun, unless nothing can be watched.
        """
        before = self._turns()
        while True:
            self.sensor._watch(self.clock.monotonic() + seconds)
            if self._turns() != before or not self.sensor._watched():
                return

    def _turns(self):
        return [one.turn for one in self.sensor._sources._known.values()]

    @property
    def cluster(self):
        """What the sensor keeps of its only cluster."""
        (found,) = self.sensor._sources._known.values()
        return found

    def state(self, name="default"):
        """(status, detail) of the target in system_status."""
        row = states.of(self.store, "kubernetes:%s" % name)
        return row and (row["status"], row["detail"])

    def incidents(self, **columns):
        """All incidents with these values, oldest first."""
        rows = self.store.query("SELECT id FROM incidents ORDER BY id")
        found = [registry.get(self.store, row["id"]) for row in rows]
        return [
            one
            for one in found
            if all(getattr(one, name) == value for name, value in columns.items())
        ]

    def told(self):
        """The triggers of these incidents."""
        return self.service.of("selfheal.pod_unhealthy")

    def firing(self):
        """{(workload, alert type)} of what fires."""
        rows = self.store.query(
            "SELECT i.workload, a.labels FROM alerts a "
            "JOIN incidents i ON i.id = a.incident_id "
            "WHERE a.status = 'firing' AND a.source = 'kubernetes'"
        )
        return {
            (row["workload"], json.loads(row["labels"])["alertname"])
            for row in rows
        }

    def until(self, condition, within_s=300.0, after_s=0.0):
        """Look until `condition()` is true; what it returned."""
        deadline = time.monotonic() + within_s
        while True:
            self.look(after_s)
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, "state %s, firing %s" % (
                self.state(),
                self.firing(),
            )
            time.sleep(0.1)

    def close(self):
        """End the sensor."""
        self.sensor.cleanup()
        self.store.close()

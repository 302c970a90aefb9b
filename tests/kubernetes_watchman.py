"""The Kubernetes sensor on API servers that answer as told (stub_kubernetes.py), at a time set by
hand, and the pods that it is shown.
"""

from __future__ import annotations

import random

from kubernetes_health_sensor import KubernetesHealthSensor
from selfheal.incidents.signal import time_text
from selfheal.store import open_store
from selfheal.store import status as states
from tests import alert_scene, scene
from tests.sensor_service import Service

NOW = alert_scene.NOW
MINUTE = 60.0


def pod(name, reason="CrashLoopBackOff", restarts=9, namespace="shop", app="cart", **about):
    """A pod of the Deployment `app`, crashing unless `reason` is empty."""
    waiting = {"waiting": {"reason": reason}} if reason else {"running": {}}
    ended = {"exitCode": 1, "reason": "Error", "finishedAt": time_text(NOW - 30)[:19] + "Z"}
    ready = "False" if reason else "True"
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "uid-%s-%s" % (namespace, name),
            "creationTimestamp": "2026-11-01T00:00:00Z",
            "labels": {"app": app, "pod-template-hash": "abc12"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app + "-abc12",
                 "uid": "rs", "controller": True}
            ],
            **about,
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready,
                            "lastTransitionTime": "2026-11-21T21:00:00Z"}],
            "containerStatuses": [
                {"name": "main", "restartCount": restarts, "ready": not reason, "state": waiting,
                 "lastState": {"terminated": ended} if reason else {}}
            ],
        },
    }


class Watchman:
    """A sensor on stub API servers by the names of their targets, at a time set by hand."""

    def __init__(self, url, servers, monkeypatch, target=None, **config):
        self.url = url
        self.service = Service()
        self.clock = scene.Clock(NOW)
        monkeypatch.setattr(random, "random", lambda: 0.0)  # the back-off's jitter
        targets = {
            name: {"url": server.url, "token": "s3cret-token", "settle_s": 30,
                   "timeout_s": 120, **(target or {})}  # this process may stand still at times
            for name, server in servers.items()
        }
        self.config = {"database": {"url": url}, "kubernetes": targets, **config}
        self.sensor = KubernetesHealthSensor(self.service, config=self.config, poll_interval=60)
        self.sensor._polling._clock = self.clock
        self.sensor.setup()

    def poll(self, after_s=MINUTE, times=1):
        for _ in range(times):
            self.clock.at += after_s
            self.sensor.poll()

    def state(self, name="default"):
        row = states.of(open_store(self.url), "kubernetes:%s" % name)
        return row and (row["status"], row["detail"])

    def incidents(self):
        return open_store(self.url).query("SELECT * FROM incidents ORDER BY id")

    def firing(self):
        return open_store(self.url).value("SELECT COUNT(*) FROM alerts WHERE status = 'firing'")

"""A process that is killed in the middle of an operation: what is owed is known, and taking it back
is right whether the change was made or not.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy.kubernetes_scene import plain, scene_for

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import json, os, signal, sys
from selfheal.config import Config
from selfheal.context import Context
from selfheal.incidents import registry
from selfheal.remedy.kubernetes import changes
from tests.remedy.kubernetes_scene import Scene

settings, incident_id, do, options, point = json.loads(sys.argv[1])
ctx = Context(Config(settings))
real = changes.apply

def apply(client, change, live, dry_run=False):
    if dry_run:
        return real(client, change, live, dry_run)
    if point == "after":
        real(client, change, live, dry_run)
    os.kill(os.getpid(), signal.SIGKILL)

changes.apply = apply
Scene(ctx, None, "", []).do(do, registry.get(ctx.store, incident_id), **options)
"""
RIGHT = {"memory_percent": 0, "cpu_percent": 0, "queue_length": "3"}


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    with Kubelet(kubernetes, namespace) as kubelet:
        scene = scene_for(tmp_path, kubernetes, namespace)
        scene.kubelet = kubelet
        sizes = manifests.memory("good:1", "128Mi")
        scene.cluster.create(manifests.deployment(namespace, "web", replicas=2, pod=sizes))
        scene.ready(2)
        container = {"name": "main", "image": "good:2", "resources": {"limits": {"cpu": "1"}}}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        scene.cluster.patch("Deployment", "web", namespace, change)
        scene.ready(2)
        yield scene


def state(scene):
    """Everything that the operations change."""
    node = plain(scene.cluster.get("Node", scene.kubelet.name_of("node-a")))
    node["spec"].pop("taints", None)
    hpas = scene.cluster.find("HorizontalPodAutoscaler", scene.namespace)
    return scene.plain(), node["spec"], len(hpas)


def killed(scene, about, do, options, point):
    """A process that does the operation and is killed before or after the change is sent."""
    told = json.dumps([scene.ctx.config.values, about.id, do, options, point])
    return subprocess.run(
        [sys.executable, "-c", KILLED, told],
        cwd=str(ROOT),
        env={"PYTHONPATH": "%s:%s" % (ROOT, ROOT / "actions" / "lib"), "PATH": "/usr/bin:/bin"},
        stderr=subprocess.PIPE,
        timeout=300,
    )


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("do, options", [
    ("restart_workload", {}), ("rollback_workload", {}), ("scale_workload", {"by": 1}),
    ("set_resources", {"memory": "256Mi"}), ("cordon_node", {}), ("apply_hpa", RIGHT),
])
def test_killed_process_leaves_what_the_next_one_takes_back(scene, do, options, point):
    before = state(scene)
    node = scene.kubelet.name_of("node-a")
    about = scene.incident(node, "Node") if do == "cordon_node" else scene.incident()
    ended = killed(scene, about, do, options, point)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (state(scene) == before) is (point == "before")
    assert [status for status, _ in scene.owed(about)] == ["acting"]
    assert scene.undo(about).outcome == "undone", scene.told()
    assert state(scene) == before
    assert [status for status, _ in scene.owed(about)] == ["undone"]


@pytest.mark.parametrize("point", ["before", "after"])
def test_node_that_was_closed_by_a_killed_process_is_opened_again(scene, point):
    before = state(scene)
    for pod in scene.pods():
        scene.kubelet.become(scene.namespace, pod["metadata"]["name"], "bad:crash")
    scene.cluster.until(lambda: all(
        status["restartCount"] > 1
        for pod in scene.pods() for status in pod["status"]["containerStatuses"]
    ))
    about = scene.incident()
    ended = killed(scene, about, "reschedule_pod", {"avoid_node": True}, point)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (state(scene) == before) is (point == "before")
    assert scene.undo(about).outcome == "undone", scene.told()
    assert state(scene) == before

"""Between two lists a watch tells of every change as it happens; when the server no longer knows
where we were, or the connection breaks, nothing that can still be seen is lost.
"""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from selfheal.apis.kubernetes import watching
from selfheal.intake.kubernetes import cluster as clusters
from tests import kubernetes_manifests as manifests
from tests import stores
from tests.kubernetes_scene import CALM, Scene
from tests.live_kubelet import Kubelet

# Only what was missed makes it list again, not the time that a slow machine takes: neither that
# since the last list, nor that since the last watch (three polls).
WATCHED = dict(CALM, watch=True, resync_s=86400)
SELDOM = {"check_interval": 3600}


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch):
    monkeypatch.setattr(clusters, "SLICE_S", 1.0)
    monkeypatch.setattr(watching, "_GRACE_S", 300.0)  # a server that stands still has not vanished


def watcher(tmp_path, target):
    """A sensor that watches."""
    return Scene(stores.sqlite_url(tmp_path), target, monitoring=SELDOM)


@pytest.fixture
def scene(kubernetes, namespace, tmp_path):
    made = watcher(tmp_path, kubernetes.target(namespace, **WATCHED))
    yield made
    made.close()


def watch_until(scene, condition, within_s=300.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, (scene.state(), scene.firing())
        scene.watch()


def counts(scene):
    """{container of a pod: (first, last) count of restarts} as it was stored."""
    rows = scene.store.query(
        "SELECT pod_uid, MIN(restarts) AS first, MAX(restarts) AS last FROM kubernetes_restarts "
        "GROUP BY pod_uid, container"
    )
    return {row["pod_uid"]: (row["first"], row["last"]) for row in rows}


def test_crash_is_seen_without_another_list(kubernetes, namespace, kubelet, scene):
    scene.look()
    listed = scene.cluster.listed_at
    assert scene.state()[1]["watching"] is True
    kubernetes.create(manifests.deployment(namespace, "cart", "bad:crash", replicas=3))
    watch_until(scene, lambda: ("cart", "PodCrashLooping") in scene.firing())
    assert scene.cluster.listed_at == listed
    (incident,) = scene.incidents()
    assert len(scene.told()) == 1
    kubernetes.delete("Deployment", "cart", namespace)
    kubernetes.until(lambda: not kubernetes.find("Pod", namespace))
    watch_until(scene, lambda: len(scene.cluster.view) == 0)
    scene.until(lambda: scene.firing() == set(), after_s=5)
    assert scene.cluster.listed_at == listed and scene.incidents()[0].is_cleared


def test_pod_that_failed_and_was_gone_before_the_next_look_is_an_incident(
    kubernetes, namespace, kubelet, scene
):
    scene.look()
    made = kubernetes.create(manifests.pod(namespace, "once", "bad:exit", restartPolicy="Never"))
    uid = made["metadata"]["uid"]
    kubernetes.until(
        lambda: kubernetes.get("Pod", "once", namespace)["status"]["phase"] == "Failed"
    )
    kubernetes.delete("Pod", "once", namespace, gracePeriodSeconds=0)
    watch_until(scene, lambda: scene.incidents() and len(scene.cluster.view) == 0)
    assert scene.incidents()[0].alert_type == "PodFailed"
    assert uid not in counts(scene) and len(scene.cluster.view) == 0
    scene.until(lambda: scene.firing() == set(), after_s=5)


def test_what_becomes_sick_by_time_alone_needs_no_event(kubernetes, namespace, kubelet, tmp_path):
    scene = watcher(tmp_path, kubernetes.target(namespace, **dict(WATCHED, pending_minutes=60)))
    unplaced = manifests.deployment(namespace, "cart", pod={"nodeSelector": {"disk": "none"}})
    kubernetes.create(unplaced)
    kubernetes.until(lambda: "Unschedulable" in str(kubernetes.find("Pod", namespace)))
    scene.look()
    listed = scene.cluster.listed_at
    assert ("cart", "PodPending") not in scene.firing()
    scene.watch()
    scene.look(after_s=1800)
    assert ("cart", "PodPending") not in scene.firing()
    scene.watch()
    scene.look(after_s=1830)
    assert ("cart", "PodPending") in scene.firing() and scene.cluster.listed_at == listed
    scene.close()


def test_right_to_watch_that_is_missing_means_lists(kubernetes, namespace, kubelet, tmp_path):
    read = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
    token = kubernetes.account(namespace, [read], [read])
    target = kubernetes.target(namespace, token=token, **WATCHED)
    scene = watcher(tmp_path, target)
    scene.look()
    scene.watch()
    kubernetes.create(manifests.deployment(namespace, "cart", "bad:crash"))
    scene.until(lambda: ("cart", "PodCrashLooping") in scene.firing())
    status, detail = scene.state()
    assert status == "degraded" and detail["watching"] is False
    assert "we may not watch pods in namespace %s" % namespace in detail["because"][0]
    scene.close()


def test_several_namespaces_have_their_turns(kubernetes, kubelet, namespace, tmp_path):
    other = kubernetes.namespace()
    target = kubernetes.target(namespace, other, **WATCHED)
    with Kubelet(kubernetes, other):
        scene = watcher(tmp_path, target)
        scene.look()
        listed = scene.cluster.listed_at
        for where in (namespace, other):
            kubernetes.create(manifests.deployment(where, "cart", "bad:crash"))
        watch_until(
            scene,
            lambda: {one.namespace for one in scene.incidents(workload="cart")} ==
            {namespace, other},
        )
        assert scene.cluster.listed_at == listed
        scene.close()


def compact(kubernetes):
    """Have the server forget all that was before: in etcd, and in its own cache."""
    etcd = "http://127.0.0.1:%d/v3/kv/" % kubernetes._etcd

    def post(what, **body):
        content = json.dumps(body).encode("ascii")
        request = urllib.request.Request(etcd + what, content)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    revision = post("range", key="AA==")["header"]["revision"]
    post("compaction", revision=revision, physical=True)
    kubernetes.kill_api()
    kubernetes.start_api()


def test_nothing_is_lost_when_the_server_has_forgotten_where_we_were(own_kubernetes, tmp_path):
    kubernetes = own_kubernetes
    namespace = kubernetes.namespace()
    target = kubernetes.target(namespace, **dict(WATCHED, max_restarts=1))
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.pod(namespace, "fails", "bad:exit", restartPolicy="Never"))
        kubernetes.create(manifests.deployment(namespace, "flaps", "bad:flap"))
        kubernetes.create(manifests.deployment(namespace, "cart", replicas=2))

        def restarts(app):
            found = kubernetes.find("Pod", namespace, labelSelector="app=" + app)
            statuses = [one["status"].get("containerStatuses", [{}])[0] for one in found]
            return max((status.get("restartCount", 0) for status in statuses), default=0)

        # Its first look lists, and no later one does: all is to be there before.
        kubernetes.until(
            lambda: kubernetes.get("Pod", "fails", namespace)["status"]["phase"] == "Failed"
        )
        kubernetes.until(lambda: restarts("flaps"))
        kubernetes.until(
            lambda: kubernetes.get("Deployment", "cart", namespace)["status"]["readyReplicas"] == 2
        )
        scene = watcher(tmp_path, target)
        (flaps,) = [
            one["metadata"]["uid"]
            for one in kubernetes.find("Pod", namespace, labelSelector="app=flaps")
        ]
        scene.until(lambda: ("fails", "PodFailed") in scene.firing() and flaps in counts(scene))
        before, listed = counts(scene), scene.cluster.listed_at

        # While nobody watches: a container restarts, a failed pod goes, a job fails, pods crash.
        start = restarts("flaps")
        kubernetes.until(lambda: restarts("flaps") >= start + 2)
        kubernetes.delete("Pod", "fails", namespace, gracePeriodSeconds=0)
        kubernetes.create(manifests.job(namespace, "report", "job:fail", backoffLimit=0))
        change = {"containers": [{"name": "main", "image": "bad:crash"}]}
        kubernetes.patch("Deployment", "cart", namespace, {"spec": {"template": {"spec": change}}})
        kubernetes.until(lambda: restarts("cart") >= 3)
        kubernetes.until(lambda: "Failed" in str(kubernetes.get("Job", "report", namespace)))
        # With their kubelet, whose nodes would go with it, and later the pods on them.
        compact(kubernetes)
        watch_until(scene, lambda: scene.cluster.listed_at > listed)  # 410 Gone: it lists at once
        assert scene.state()[0] == "ok", scene.state()
        assert ("cart", "RolloutBroken") in scene.firing()
        assert ("report", "JobFailed") in scene.firing()
        assert ("flaps", "PodRestartingOften") in scene.firing() or (
            "flaps", "PodCrashLooping",
        ) in scene.firing()
        after = counts(scene)
        assert after[flaps][1] >= before[flaps][1] + 2
        scene.until(lambda: ("fails", "PodFailed") not in scene.firing(), after_s=5)
        scene.close()


def test_connection_that_breaks_costs_nothing(own_kubernetes, tmp_path):
    kubernetes = own_kubernetes
    namespace = kubernetes.namespace()
    target = kubernetes.target(namespace, **WATCHED)
    with Kubelet(kubernetes, namespace):
        scene = watcher(tmp_path, target)
        kubernetes.create(manifests.deployment(namespace, "cart", "bad:crash"))
        scene.look()
        watch_until(scene, lambda: ("cart", "PodCrashLooping") in scene.firing())
        kubernetes.kill_api()
        watch_until(scene, lambda: scene.state()[0] == "failing")
        assert scene.state()[1]["error"]
        scene.look()
        assert ("cart", "PodCrashLooping") in scene.firing()
        kubernetes.start_api()
        scene.until(lambda: scene.state()[0] == "ok")
        kubernetes.create(manifests.deployment(namespace, "shop", "bad:missing"))
        watch_until(scene, lambda: ("shop", "PodImagePullFailed") in scene.firing())
        assert len(scene.incidents(workload="cart")) == 1
        assert scene.incidents(workload="cart")[0].reopened == 0
        scene.close()

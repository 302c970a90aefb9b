"""What an operation takes out of service, by the workload's own strategy and by how it stands."""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, Refused
from selfheal.remedy.kubernetes import operations, tolls
from selfheal.workloads.model import Health
from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy import scenes
from tests.remedy.kubernetes_scene import scene_for


def rolling(kind, desired, ready, **spec):
    health = Health(desired, ready, ready, ready, True, "")
    return tolls.rolling({"spec": spec}, kind, health)


def strategy(unavailable, surge="25%"):
    limits = {"maxUnavailable": unavailable, "maxSurge": surge}
    return {"type": "RollingUpdate", "rollingUpdate": limits}


@pytest.mark.parametrize("unavailable, surge, desired, ready, takes", [
    ("25%", "25%", 4, 4, 1),
    ("25%", "25%", 3, 3, 0),
    ("25%", "25%", 10, 10, 2),
    (2, 0, 4, 4, 2),
    (0, 1, 4, 4, 0),
    ("0%", "0%", 4, 4, 1),
    ("25%", "25%", 4, 3, 0),
    ("100%", "25%", 4, 3, 3),
    ("25%", "25%", 4, 0, 0),
])
def test_rolling_update_takes_what_its_strategy_allows(unavailable, surge, desired, ready, takes):
    found = rolling("Deployment", desired, ready, strategy=strategy(unavailable, surge))
    assert found == takes


def test_recreate_takes_everything_and_a_stateful_set_one():
    assert rolling("Deployment", 4, 3, strategy={"type": "Recreate"}) == 3
    assert rolling("StatefulSet", 5, 5, updateStrategy=strategy(1)) == 1
    assert rolling("StatefulSet", 5, 5) == 1
    assert rolling("StatefulSet", 10, 10, updateStrategy=strategy("35%")) == 3
    assert rolling("StatefulSet", 5, 5, updateStrategy=strategy("1%")) == 1
    assert rolling("DaemonSet", 5, 5, updateStrategy=strategy(1)) == 1
    assert rolling("DaemonSet", 5, 4, updateStrategy=strategy(1)) == 0
    assert rolling("DaemonSet", 10, 10, updateStrategy=strategy("30%")) == 3


@pytest.mark.parametrize("kind, now, wanted, ready, takes", [
    ("Deployment", 4, 2, 4, 2), ("Deployment", 4, 2, 2, 0), ("Deployment", 2, 4, 2, 0),
    ("StatefulSet", 4, 2, 4, 2), ("StatefulSet", 4, 2, 2, 2), ("StatefulSet", 4, 3, 0, 0),
    ("StatefulSet", 2, 4, 2, 0), ("StatefulSet", 4, 0, 3, 3),
])
def test_scaling_takes_the_last_of_a_stateful_set_however_they_are(kind, now, wanted, ready, takes):
    assert tolls.scaling(kind, now, wanted, ready) == takes


@pytest.fixture
def scene(tmp_path, kubernetes):
    namespace = kubernetes.namespace()
    with Kubelet(kubernetes, namespace) as kubelet:
        scene = scene_for(tmp_path, kubernetes, namespace, min_healthy="60%")
        scene.kubelet = kubelet
        scene.cluster.create(manifests.deployment(namespace, "web", replicas=4))
        scene.ready(4)
        yield scene


def toll(scene, do, about=None, **options):
    act = operations.act_of(do, options)
    return tolls.toll(scene.ctx, act, about or scene.incident())


def test_tolls_of_a_workload(scene):
    found = toll(scene, "restart_workload")
    assert found.group == "default Deployment %s/web" % scene.namespace
    assert (found.healthy, found.total, found.takes, found.keep) == (4, 4, 1, "60%")
    assert toll(scene, "scale_workload", by=3).takes == 0
    assert toll(scene, "scale_workload", by=-3).takes == 3
    assert toll(scene, "scale_workload", to=0).takes == 4
    assert toll(scene, "apply_hpa", max_replicas=1).takes == 3
    assert toll(scene, "apply_hpa").takes == 0
    assert toll(scene, "delete_pod", most=4).takes == 0
    one = scene.pods()[0]["metadata"]["name"]
    scene.kubelet.become(scene.namespace, one, "bad:crash")
    scene.cluster.until(lambda: toll(scene, "delete_pod", most=4).healthy == 3)
    assert toll(scene, "delete_pod", most=4).takes == 0


def test_tolls_of_a_node(scene):
    node = scene.kubelet.name_of("node-a")
    found = toll(scene, "cordon_node", scene.incident(node, "Node"))
    assert (found.group, found.takes, found.keep) == ("default nodes", 1, "0%")
    assert found.total >= found.healthy >= 1
    assert toll(scene, "uncordon_node", scene.incident(node, "Node")).takes == 0
    scene.kubelet.set_node("node-a", ready=False)
    scene.cluster.until(
        lambda: toll(scene, "cordon_node", scene.incident(node, "Node")).takes == 0
    )


def test_toll_of_another_kind_is_refused(scene):
    with pytest.raises(Refused, match="not for a Deployment"):
        toll(scene, "cordon_node")
    node = scene.kubelet.name_of("node-a")
    with pytest.raises(Refused, match="not for a Node"):
        toll(scene, "restart_workload", scene.incident(node, "Node"))


def test_without_a_cluster_nothing_is_known(tmp_path):
    from selfheal.incidents import registry

    ctx = scenes.context_for(tmp_path)
    found = scenes.add_incident(ctx.store, namespace="shop", workload="web")
    with pytest.raises(ConfigError, match="Kubernetes is off"):
        tolls.toll(ctx, operations.act_of("restart_workload", {}), registry.get(ctx.store, found))


def test_last_nodes_stay_open_whatever_closes_them(scene):
    node = scene.kubelet.name_of("node-a")
    scene.kubelet.become(scene.namespace, scene.pods()[0]["metadata"]["name"], "bad:crash")
    scene.cluster.until(lambda: any(
        status["restartCount"] > 1
        for pod in scene.pods() for status in pod["status"].get("containerStatuses", ())
    ))
    settings = scene.ctx.config.values["kubernetes"]
    for keep in ("100%", "1000"):
        settings["min_ready_nodes"] = keep
        for do, options, about in (
            ("cordon_node", {}, scene.incident(node, "Node")),
            ("reschedule_pod", {"avoid_node": True}, scene.incident()),
        ):
            done = scene.do(do, about, **options)
            assert (done.outcome, "min_ready_nodes" in done.reason) == ("refused", True), done
            assert "unschedulable" not in scene.cluster.get("Node", node)["spec"]
    settings["min_ready_nodes"] = "most"
    done = scene.do("cordon_node", scene.incident(node, "Node"))
    assert (done.outcome, "must be a number" in done.reason) == ("failed", True), done

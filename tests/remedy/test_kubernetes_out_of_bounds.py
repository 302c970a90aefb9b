"""What must never be touched is not touched by any operation, whatever it is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selfheal.exceptions import Refused
from selfheal.remedy.kubernetes import acting, operations, tolls
from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy.kubernetes_scene import scene_for

OPTIONS = {
    "scale_workload": {"by": 1},
    "set_resources": {"memory": "256Mi"},
    "apply_hpa": {"memory_percent": 0},
    "reschedule_pod": {"avoid_node": True},
}
OF_WORKLOADS = sorted(name for name in operations.OPERATIONS if not name.endswith("_node"))
OF_NODES = ("cordon_node", "uncordon_node")
IGNORED = {"metadata": {"annotations": {"selfheal/ignore": "true"}}}
CRAFTED_NAMESPACES = (
    "kube-system", "kube-public", "kube-node-lease", "Kube-System", "kube-system ", " kube-system",
    "KUBE-SYSTEM", "kube-system/pods", "../kube-system", "kube-system%2f", "kube-system\n",
    "kube-system?x=1", "*", "kube\u2010system", "k" * 64, "default/../kube-system",
)
CRAFTED_NAMES = (
    "../../kube-system/deployments/web", "web/scale", "web?dryRun=All", "Web", "web ", "*",
    "web%2e", "w" * 254, "-web", "web\x00",
)


@pytest.fixture(scope="module")
def namespace(kubernetes):
    return kubernetes.namespace()


@pytest.fixture(scope="module")
def kubelet(kubernetes, namespace):
    """A crashing Deployment with an earlier revision: every operation finds something to do."""

    def ready():
        return kubernetes.get("Deployment", "web", namespace)["status"].get("readyReplicas")

    with Kubelet(kubernetes, namespace) as running:
        sizes = manifests.memory("good:1", "64Mi")
        kubernetes.create(manifests.deployment(namespace, "web", pod=sizes))
        kubernetes.until(ready)
        container = {"name": "main", "image": "bad:crash", "resources": {"requests": {"cpu": "1m"}}}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        kubernetes.patch("Deployment", "web", namespace, change)
        kubernetes.until(lambda: any(
            status["restartCount"] > 1
            for pod in kubernetes.find("Pod", namespace)
            for status in pod["status"].get("containerStatuses", ())
        ))
        yield running


@pytest.fixture
def scene(tmp_path, kubernetes, namespace, kubelet):
    scene = scene_for(tmp_path, kubernetes, namespace)
    scene.ctx.config.values["kubernetes"]["namespaces"] = []
    return scene


def state(scene):
    """All that an operation could change."""
    pods = {pod["metadata"]["uid"] for pod in scene.pods()}
    nodes = {
        node["metadata"]["name"]: node["spec"].get("unschedulable")
        for node in scene.cluster.find("Node")
        if node["metadata"]["name"].endswith(scene.namespace)
    }
    hpas = scene.cluster.find("HorizontalPodAutoscaler", scene.namespace)
    return pods, nodes, scene.plain(), len(hpas)


def refused(scene, do, about, words):
    before = state(scene)
    act = operations.act_of(do, OPTIONS.get(do, {}))
    done = scene.do(do, about, **OPTIONS.get(do, {}))
    assert done.outcome == "refused", done
    assert words in done.reason, done.reason
    assert state(scene) == before
    assert scene.owed(about) == []
    for ask in (acting.prepare, tolls.toll):
        with pytest.raises(Refused, match=words):
            ask(scene.ctx, act, about)


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_there_is_something_to_do_when_nothing_forbids_it(scene, do):
    act = operations.act_of(do, OPTIONS.get(do, {}))
    before = state(scene)
    prepared = acting.prepare(scene.ctx, act, scene.incident())
    assert "web" in prepared.what
    assert (prepared.undo is not None) is operations.is_undoable(act)
    assert state(scene) == before


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_system_namespace_is_refused_however_it_is_written(scene, do):
    before = state(scene)
    for namespace in CRAFTED_NAMESPACES:
        about = scene.incident(namespace=namespace)
        done = scene.do(do, about, **OPTIONS.get(do, {}))
        assert done.outcome == "refused", (namespace, done)
        assert "protected" in done.reason or "is no namespace" in done.reason, (namespace, done)
    assert state(scene) == before


@pytest.mark.parametrize("do", [*OF_WORKLOADS, *OF_NODES])
def test_incident_of_another_cluster_is_not_healed_in_the_only_one(scene, kubelet, do):
    settings = scene.ctx.config.values
    settings["kubernetes"] = {"prod": settings["kubernetes"]}
    about = scene.incident()
    if do in OF_NODES:
        about = scene.incident(kubelet.name_of("node-a"), "Node")
    refused(scene, do, replace(about, cluster="staging"), "of cluster 'staging'")
    acting.prepare(
        scene.ctx, operations.act_of("scale_workload", {"by": 1}),
        replace(scene.incident(), cluster="prod"),
    )


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_crafted_name_is_refused_before_anything_is_sent(scene, do):
    for name in CRAFTED_NAMES:
        done = scene.do(do, scene.incident(name), **OPTIONS.get(do, {}))
        assert (done.outcome, "is no name" in done.reason) == ("refused", True), (name, done)


@pytest.mark.parametrize("do", OF_NODES)
def test_crafted_name_of_a_node_is_refused(scene, do):
    for name in ("../../api/v1/nodes/x", "Node", "a b", "*", "x/status"):
        done = scene.do(do, scene.incident(name, "Node"))
        assert (done.outcome, "is no name" in done.reason) == ("refused", True), (name, done)


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_kind_that_it_is_not_for_is_refused(scene, do):
    scene.cluster.create(manifests.service(scene.namespace, "svc-" + do.replace("_", "-")))
    for kind in ("Secret", "Rollout.argoproj.io", "../pods", "Service"):
        name = "svc-" + do.replace("_", "-")
        about = scene.incident(name, kind)
        done = scene.do(do, about, **OPTIONS.get(do, {}))
        assert done.outcome == "refused", (kind, done)
        assert scene.owed(about) == []


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_own_namespace_is_refused(scene, do):
    scene.ctx.config.values["kubernetes"]["own_namespace"] = scene.namespace
    refused(scene, do, scene.incident(), "protected")


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_namespaces_that_the_settings_protect_are_refused(scene, do):
    scene.ctx.config.values["kubernetes"]["protected_namespaces"] = ["test-*"]
    refused(scene, do, scene.incident(), "protected")


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_namespace_that_is_not_ours_is_refused(scene, do):
    scene.ctx.config.values["kubernetes"]["namespaces"] = ["other"]
    refused(scene, do, scene.incident(), "none of kubernetes.namespaces")


@pytest.mark.parametrize("do", OF_WORKLOADS)
@pytest.mark.parametrize("what", ["Deployment", "Namespace", "Pod"])
def test_what_is_annotated_out_is_refused(scene, do, what):
    name = {"Deployment": "web", "Namespace": scene.namespace}.get(what)
    names = [name] if name else [pod["metadata"]["name"] for pod in scene.pods()]
    inside = "" if what == "Namespace" else scene.namespace
    for one in names:
        scene.cluster.patch(what, one, inside, IGNORED)
    try:
        refused(scene, do, scene.incident(), "annotated selfheal/ignore")
    finally:
        gone = {"metadata": {"annotations": {"selfheal/ignore": None}}}
        for one in names:
            scene.cluster.patch(what, one, inside, gone)


@pytest.mark.parametrize("do", OF_NODES)
def test_node_that_is_annotated_out_is_refused(scene, kubelet, do):
    node = kubelet.name_of("node-a")
    closed = {"spec": {"unschedulable": True if do == "uncordon_node" else None}}
    scene.cluster.patch("Node", node, "", {**IGNORED, **closed})
    try:
        refused(scene, do, scene.incident(node, "Node"), "annotated selfheal/ignore")
    finally:
        gone = {"metadata": {"annotations": {"selfheal/ignore": None}}}
        scene.cluster.patch("Node", node, "", {**gone, "spec": {"unschedulable": None}})


@pytest.mark.parametrize("do", OF_WORKLOADS)
def test_incident_without_a_workload_changes_nothing(scene, do):
    done = scene.do(do, scene.incident(""), **OPTIONS.get(do, {}))
    assert (done.outcome, "names no workload" in done.reason) == ("refused", True), done


def settled(scene):
    """The pods, once every controller has done what it was told; None before."""
    web, sets = scene.get(), scene.cluster.find("ReplicaSet", scene.namespace)
    is_seen = all(
        one["status"].get("observedGeneration", 0) >= one["metadata"]["generation"]
        for one in (web, *sets)
    )
    wanted = sum(one["spec"]["replicas"] for one in sets)
    pods = scene.pods()
    counts = [len(pods), web["status"].get("replicas", 0)]
    return pods if is_seen and counts == [wanted, wanted] else None


def test_undo_leaves_alone_what_was_annotated_out_meanwhile(scene):
    about = scene.incident()
    before, pods = scene.plain(), len(scene.cluster.until(lambda: settled(scene)))
    scene.do("scale_workload", about, stop=scene.over_once_changed(), by=1)
    assert scene.get()["spec"]["replicas"] == 2
    scene.cluster.patch("Deployment", "web", scene.namespace, IGNORED)
    assert scene.undo(about).outcome == "partly"
    assert "annotated selfheal/ignore" in scene.told()
    assert scene.get()["spec"]["replicas"] == 2
    gone = {"metadata": {"annotations": {"selfheal/ignore": None}}}
    scene.cluster.patch("Deployment", "web", scene.namespace, gone)
    assert scene.undo(about).outcome == "undone"
    assert scene.plain() == before
    # The pod that came for a while is no change of what the other tests find here.
    scene.cluster.until(lambda: len(settled(scene) or ()) == pods)

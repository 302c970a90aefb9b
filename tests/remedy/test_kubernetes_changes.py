"""Each operation in a real cluster: done, taken back to the byte, and refused where it is not for
the target.
"""

from __future__ import annotations

import pytest

from tests import kubernetes_manifests as manifests
from tests.remedy.kubernetes_scene import made, scene_for


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_restart_replaces_every_pod_and_is_taken_back_to_the_byte(scene, kubelet, kind):
    replicas = made(scene, kubelet, kind)
    before, pods = scene.plain(kind), {pod["metadata"]["uid"] for pod in scene.pods()}
    about = scene.incident(kind=kind)
    done = scene.do("restart_workload", about)
    assert done.outcome == "done", done
    scene.ready(replicas, kind)
    assert not pods & {pod["metadata"]["uid"] for pod in scene.pods()}
    assert scene.plain(kind) != before
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain(kind) == before


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_rollback_ends_a_bad_rollout_and_is_taken_back_to_the_byte(scene, kubelet, kind):
    replicas = made(scene, kubelet, kind, notes={"team": "shop"})
    good = scene.plain(kind)
    deploy(scene, kind, "bad:crash")
    bad = scene.plain(kind)
    crashing(scene)
    about = scene.incident(kind=kind, alertname="RolloutBroken")
    done = scene.do("rollback_workload", about)
    assert done.outcome == "done", done
    scene.ready(replicas, kind)
    assert scene.plain(kind)["spec"] == good["spec"]
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain(kind) == bad


def test_rollback_passes_a_restart_of_the_bad_version_by(scene, kubelet):
    made(scene, kubelet, "Deployment")
    good = scene.plain()
    deploy(scene, "Deployment", "bad:crash")
    crashing(scene)
    about = scene.incident()
    done = scene.do("restart_workload", about, stop=scene.over_once_changed())
    assert done.outcome == "failed"
    # It goes back by what the controller has made of the restart, which it may be long about.
    scene.cluster.until(lambda: len(scene.cluster.find("ReplicaSet", scene.namespace)) == 3)
    done = scene.do("rollback_workload", scene.incident())
    assert done.outcome == "done", done
    assert scene.plain()["spec"] == good["spec"]


def test_rollback_takes_the_cause_of_the_change_along(scene, kubelet):
    cause = "kubernetes.io/change-cause"
    made(scene, kubelet, "Deployment")
    note = {"metadata": {"annotations": {cause: "the new shop"}}}
    scene.cluster.patch("Deployment", "web", scene.namespace, note)
    deploy(scene, "Deployment", "bad:crash")
    bad = scene.plain()
    about = scene.incident()
    scene.cluster.until(lambda: len(scene.cluster.find("ReplicaSet", scene.namespace)) == 2)
    assert scene.do("rollback_workload", about).outcome == "done"
    assert scene.undo(about).outcome == "undone"
    assert scene.plain() == bad


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_rollback_without_an_earlier_revision_is_refused(scene, kubelet, kind):
    made(scene, kubelet, kind)
    done = scene.do("rollback_workload", scene.incident(kind=kind))
    assert done.outcome == "refused"
    assert "no revision before" in done.reason


@pytest.mark.parametrize("kind, options, count", [
    ("Deployment", {"by": 2}, 4),
    ("StatefulSet", {"by": -1}, 1),
    ("Deployment", {"to": 0}, 0),
    ("StatefulSet", {"to": 3}, 3),
])
def test_scale_changes_the_replicas_and_undo_restores_them(scene, kubelet, kind, options, count):
    replicas = made(scene, kubelet, kind)
    before = scene.plain(kind)
    about = scene.incident(kind=kind)
    done = scene.do("scale_workload", about, **options)
    assert done.outcome == "done", done
    assert scene.get(kind)["spec"]["replicas"] == count
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain(kind) == before
    scene.ready(replicas, kind)


@pytest.mark.parametrize("options, words", [
    ({"by": -2}, "would leave none"),
    ({"by": 5}, "more than kubernetes.max_replicas"),
    ({"to": 6}, "more than kubernetes.max_replicas"),
    ({"to": 2}, "2 replicas already"),
])
def test_scale_out_of_its_bounds_is_refused(scene, kubelet, options, words):
    scene.ctx.config.values["kubernetes"]["max_replicas"] = 5
    made(scene, kubelet, "Deployment")
    before = scene.plain()
    done = scene.do("scale_workload", scene.incident(), **options)
    assert done.outcome == "refused"
    assert words in done.reason
    assert scene.plain() == before


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_memory_is_raised_a_step_where_it_was_wanted(scene, kubelet, kind):
    sizes = manifests.memory("bad:oom-150Mi", "128Mi", "64Mi")
    sizes["containers"].append({"name": "other", "image": "good:1"})
    made(scene, kubelet, kind, image="bad:oom-150Mi", pod=sizes)
    killed(scene)
    before = scene.plain(kind)
    about = scene.incident(kind=kind, alertname="PodOOMKilled")
    done = scene.do("set_resources", about, memory="step")
    assert done.outcome == "done", done
    main, other = scene.get(kind)["spec"]["template"]["spec"]["containers"]
    assert main["resources"] == {"limits": {"memory": "192Mi"}, "requests": {"memory": "64Mi"}}
    assert other["resources"] == {}
    assert "from 128Mi to 192Mi" in done.steps[0].detail
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain(kind) == before


@pytest.mark.parametrize("options, words", [
    ({"memory": "step"}, "none of its containers was killed"),
    ({"memory": "9Gi"}, "more than kubernetes.max_memory"),
    ({"memory": "256Mi", "container": "side"}, "no container side"),
    ({"memory_request": "1Gi"}, "ask for more memory"),
    ({"memory": "128Mi"}, "has these resources already"),
])
def test_resources_that_do_not_fit_are_refused(scene, kubelet, options, words):
    made(scene, kubelet, "Deployment", pod=manifests.memory("good:1", "128Mi"))
    before = scene.plain()
    done = scene.do("set_resources", scene.incident(), **options)
    assert (done.outcome, words in done.reason) == ("refused", True), done
    assert scene.plain() == before


def test_lower_limit_takes_the_request_with_it(scene, kubelet):
    made(scene, kubelet, "Deployment", pod=manifests.memory("good:1", "128Mi"))
    before = scene.plain()
    about = scene.incident()
    assert scene.do("set_resources", about, memory="96Mi", cpu="500m").outcome == "done"
    container = scene.get()["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {
        "limits": {"memory": "96Mi", "cpu": "500m"}, "requests": {"memory": "96Mi"},
    }
    assert scene.undo(about).outcome == "undone"
    assert scene.plain() == before


def test_step_of_memory_ends_at_the_maximum(tmp_path, kubernetes, namespace, kubelet):
    scene = scene_for(tmp_path, kubernetes, namespace, max_memory="150Mi")
    made(scene, kubelet, "Deployment", image="bad:oom-140Mi",
         pod=manifests.memory("bad:oom-140Mi", "128Mi"))
    killed(scene)
    about = scene.incident(alertname="PodOOMKilled")
    assert scene.do("set_resources", about, memory="step").outcome == "done"
    container = scene.get()["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"memory": "150Mi"}
    deploy(scene, "Deployment", "bad:oom-1Gi")
    killed(scene)
    done = scene.do("set_resources", scene.incident(), memory="step")
    assert (done.outcome, "allows no more" in done.reason) == ("refused", True), done


def test_node_is_closed_and_opened(scene, kubelet):
    node = kubelet.name_of("node-a")
    before = plain_node(scene, node)
    about = scene.incident(node, "Node", alertname="NodeNotReady")
    assert scene.do("cordon_node", about).outcome == "done"
    assert scene.cluster.get("Node", node)["spec"]["unschedulable"] is True
    again = scene.do("cordon_node", scene.incident(node, "Node"))
    assert (again.outcome, "cordoned already" in again.reason) == ("refused", True)
    assert scene.undo(about).outcome == "undone", scene.told()
    assert plain_node(scene, node) == before
    assert scene.do("uncordon_node", about).outcome == "refused"


def test_opening_a_node_is_taken_back_too(scene, kubelet):
    node = kubelet.name_of("node-a")
    scene.cluster.patch("Node", node, "", {"spec": {"unschedulable": True}})
    about = scene.incident(node, "Node")
    assert scene.do("uncordon_node", about).outcome == "done"
    assert "unschedulable" not in scene.cluster.get("Node", node)["spec"]
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.cluster.get("Node", node)["spec"]["unschedulable"] is True


@pytest.mark.parametrize("do, options", [
    ("restart_workload", {}), ("rollback_workload", {}), ("scale_workload", {"by": 1}),
    ("set_resources", {"memory": "1Gi"}),
])
def test_paused_deployment_is_left_to_who_paused_it(scene, kubelet, do, options):
    made(scene, kubelet, "Deployment")
    scene.cluster.patch("Deployment", "web", scene.namespace, {"spec": {"paused": True}})
    before = scene.plain()
    done = scene.do(do, scene.incident(), **options)
    assert (done.outcome, "it is paused" in done.reason) == ("refused", True), done
    assert scene.plain() == before


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_workload_whose_pods_would_not_follow_is_refused(scene, kubelet, kind):
    made(scene, kubelet, kind, updateStrategy={"type": "OnDelete"})
    done = scene.do("restart_workload", scene.incident(kind=kind))
    assert (done.outcome, "OnDelete" in done.reason) == ("refused", True), done


def test_change_that_breaks_a_stateful_set_is_taken_back_in_spite_of_its_stuck_pod(scene, kubelet):
    sizes = manifests.memory("bad:oom-100Mi", "128Mi")
    scene.cluster.create(
        manifests.statefulset(scene.namespace, "web", "bad:oom-100Mi", replicas=2, pod=sizes)
    )
    scene.ready(2, "StatefulSet")
    before = scene.plain("StatefulSet")
    about = scene.incident(kind="StatefulSet")
    stop = scene.over_once(lambda: has(scene, is_killed))
    done = scene.do("set_resources", about, stop=stop, memory="64Mi")
    assert (done.outcome, done.undo_now) == ("failed", True), done
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain("StatefulSet") == before
    scene.ready(2, "StatefulSet")


def test_restart_passes_a_crashing_pod_of_a_stateful_set_by(scene, kubelet):
    made(scene, kubelet, "StatefulSet")
    kubelet.become(scene.namespace, "web-0", "bad:crash")
    crashing(scene)
    scene.cluster.until(lambda: any(
        status["restartCount"] > 1
        for pod in scene.pods() for status in pod["status"].get("containerStatuses", ())
    ))
    done = scene.do("restart_workload", scene.incident(kind="StatefulSet"))
    assert done.outcome == "done", done
    scene.ready(2, "StatefulSet")


@pytest.mark.parametrize("do, options", [
    ("rollback_workload", {}), ("scale_workload", {"by": 1}), ("set_resources", {"memory": "1Gi"}),
    ("apply_hpa", {}),
])
def test_workload_that_something_else_makes_is_changed_there(scene, kubelet, do, options):
    scene.cluster.create(manifests.configmap(scene.namespace, "shop"))
    owner = scene.cluster.get("ConfigMap", "shop", scene.namespace)["metadata"]
    made(scene, kubelet, "Deployment")
    scene.cluster.patch("Deployment", "web", scene.namespace, {"metadata": {"ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "shop", "uid": owner["uid"],
        "controller": True,
    }]}})
    before = scene.plain()
    done = scene.do(do, scene.incident(), **options)
    assert (done.outcome, "made by ConfigMap shop" in done.reason) == ("refused", True), done
    assert scene.plain() == before


def deploy(scene, kind, image):
    """Give the first container of a workload another image, as a deployment does."""
    template = scene.get(kind)["spec"]["template"]
    template["spec"]["containers"][0]["image"] = image
    scene.cluster.patch(kind, "web", scene.namespace, {"spec": {"template": template}})


def crashing(scene):
    """Wait until a pod is in back-off after a crash."""
    wait_for(scene, lambda status: (
        status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    ))


def killed(scene):
    """Wait until a container was killed for want of memory."""
    wait_for(scene, is_killed)


def is_killed(status):
    return any(
        status.get(key, {}).get("terminated", {}).get("reason") == "OOMKilled"
        for key in ("state", "lastState")
    )


def wait_for(scene, condition):
    scene.cluster.until(lambda: has(scene, condition))


def has(scene, condition):
    """Whether `condition` holds of the status of a container."""
    return any(
        condition(status)
        for pod in scene.pods()
        for status in pod.get("status", {}).get("containerStatuses", ())
    )


def plain_node(scene, name):
    from tests.remedy.kubernetes_scene import plain

    found = plain(scene.cluster.get("Node", name))
    found["spec"].pop("taints", None)
    return found

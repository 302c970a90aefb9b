"""What a real cluster holds that a template does not say: limits that others set, containers that
others add, pods that follow no template, autoscalers that others make.
"""

from __future__ import annotations

import contextlib

import pytest

from selfheal.exceptions import InvalidInput, Refused
from selfheal.remedy.kubernetes import operations, templates
from tests import kubernetes_manifests as manifests
from tests.kubernetes_access import Refused as NotThere
from tests.remedy.kubernetes_scene import made, scene_for
from tests.respond.hand_scene import sick


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


def autoscaler(scene, **spec):
    """One of somebody else's for the Deployment web."""
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "theirs", "namespace": scene.namespace},
        "spec": {"scaleTargetRef": web, **spec},
    }


def killed(scene, name="web"):
    """Wait until a container was killed for want of memory."""
    scene.cluster.until(lambda: any(
        "OOMKilled" in str(pod.get("status")) for pod in scene.pods(name)
    ))


def test_limit_that_the_namespace_gives_by_default_is_raised(scene, kubelet):
    scene.cluster.create({
        "apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "default", "namespace": scene.namespace},
        "spec": {"limits": [{
            "type": "Container",
            "default": {"memory": "128Mi"}, "defaultRequest": {"memory": "64Mi"},
        }]},
    })
    made(scene, kubelet, "Deployment", image="bad:oom-150Mi")
    killed(scene)
    before = scene.plain()
    about = scene.incident(alertname="PodOOMKilled")
    done = scene.do("set_resources", about, memory="step")
    assert done.outcome == "done", done
    (main,) = scene.get()["spec"]["template"]["spec"]["containers"]
    assert main["resources"] == {"limits": {"memory": "192Mi"}, "requests": {"memory": "64Mi"}}
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain() == before


def pod_killed_at(limit, name="main", key="containers"):
    """A pod one of whose containers was killed with this limit, as the API shows it."""
    limits = {"memory": limit} if limit else {}
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    statuses = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}
    return {
        "spec": {key: [{"name": name, "resources": {"limits": limits}}]},
        "status": {statuses[key]: [{"name": name, "restartCount": 3, "lastState": ended}]},
    }


def stepped(in_template, *pods):
    """The limit that a step gives the container main, killed in `pods`."""
    limits = {"memory": in_template} if in_template else {}
    containers = [{"name": "main", "image": "a", "resources": {"limits": limits}}]
    workload = {"spec": {"template": {"spec": {"containers": containers}}}}
    settings = {"memory_step": 1.5, "max_memory": "8Gi"}
    (edit,), _ = templates.with_resources(workload, pods, {"memory": "step"}, settings)
    return edit.after["spec"]["containers"][0]["resources"]["limits"]["memory"]


@pytest.mark.parametrize("in_template, at, wanted", [
    ("128Mi", ["128Mi"], "192Mi"),
    ("131072Ki", ["128Mi"], "192Mi"),
    ("128Mi", ["64Mi", "128Mi"], "192Mi"),  # those of the revision before are still there
    ("128Mi", [""], "192Mi"),
    ("", ["64Mi", "128Mi"], "192Mi"),
])
def test_step_begins_where_the_pods_were_killed(in_template, at, wanted):
    assert stepped(in_template, *map(pod_killed_at, at)) == wanted


@pytest.mark.parametrize("in_template, at, words", [
    ("256Mi", ["128Mi"], "with a memory limit of 128Mi, and its template says 256Mi"),
    ("128Mi", ["400Mi"], "VerticalPodAutoscaler"),
    ("", [""], "no memory limit"),
])
def test_limit_that_is_not_why_it_was_killed_is_left(in_template, at, words):
    with pytest.raises(Refused, match=words):
        stepped(in_template, *map(pod_killed_at, at))


def test_container_that_something_adds_to_the_pods_is_named():
    with pytest.raises(Refused, match="container mesh was killed .* not in its template"):
        stepped("128Mi", pod_killed_at("64Mi", "mesh", "initContainers"))


@pytest.mark.parametrize("options, words", [
    ({"memory": "512"}, "512 no container starts: .* write 512Mi"),
    ({"memory": "100m"}, "thousandth of a byte"),
    ({"memory": "1Ki"}, "no container starts"),
    ({"memory_request": "256m"}, "thousandth of a byte"),
    ({"cpu": "500Mi"}, "processors are counted as 250m or 1.5"),
    ({"cpu_request": "2G"}, "processors are counted as"),
    ({"cpu": "0.0001"}, "less than a thousandth"),
])
def test_amount_that_nobody_means_is_no_option(options, words):
    with pytest.raises(InvalidInput, match=words):
        operations.act_of("set_resources", options)


@pytest.mark.parametrize("options", [
    {"memory": "4Mi"}, {"memory": "134217728"}, {"memory": 134217728}, {"memory": "step"},
    {"memory_request": "1Mi"}, {"cpu": "250m"}, {"cpu": 2}, {"cpu": "1.5"}, {"cpu_request": "1m"},
])
def test_amount_that_somebody_means_is_taken(options):
    (name, value), = options.items()
    assert operations.act_of("set_resources", options).options == ((name, str(value)),)


def test_init_container_gets_the_memory_that_it_lacks(scene, kubelet):
    early = manifests.memory("bad:oom-150Mi", "128Mi")["containers"]
    early[0]["name"] = "prepare"
    scene.cluster.create(
        manifests.deployment(scene.namespace, pod={"initContainers": early})
    )
    killed(scene)
    done = scene.do("set_resources", scene.incident(alertname="PodOOMKilled"), memory="step")
    assert done.outcome == "done", done
    spec = scene.get()["spec"]["template"]["spec"]
    assert spec["initContainers"][0]["resources"]["limits"] == {"memory": "192Mi"}
    assert "resources" not in spec["containers"][0] or not spec["containers"][0]["resources"]


@pytest.mark.parametrize("do, options", [
    ("restart_workload", {}), ("set_resources", {"memory": "256Mi"}), ("rollback_workload", {}),
])
def test_stateful_set_all_of_whose_pods_are_held_back_is_refused(scene, kubelet, do, options):
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    scene.cluster.create(manifests.statefulset(
        scene.namespace, "web", replicas=2, updateStrategy=update
    ))
    scene.cluster.until(
        lambda: scene.get("StatefulSet")["status"].get("readyReplicas", 0) == 2
    )
    before = scene.plain("StatefulSet")
    done = scene.do(do, scene.incident(kind="StatefulSet"), **options)
    assert (done.outcome, "partition (2)" in done.reason) == ("refused", True), done
    assert scene.plain("StatefulSet") == before


def test_autoscaler_that_something_else_makes_is_changed_there(scene, kubelet):
    made(scene, kubelet, "Deployment", replicas=1)
    owner = {
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web",
        "uid": "00000000-0000-0000-0000-000000000001", "controller": True,
    }
    theirs = autoscaler(scene, maxReplicas=3)
    theirs["metadata"]["ownerReferences"] = [owner]
    scene.cluster.create(theirs)
    done = scene.do(
        "apply_hpa", scene.incident(), cpu_percent=0, memory_percent=0, queue_length="30"
    )
    assert done.outcome == "refused", done
    assert "theirs is made by ScaledObject" in done.reason


def test_what_is_scaled_to_zero_gets_no_autoscaler(scene, kubelet):
    scene.cluster.create(manifests.deployment(scene.namespace, replicas=0))
    done = scene.do(
        "apply_hpa", scene.incident(), cpu_percent=0, memory_percent=0, queue_length="30"
    )
    assert (done.outcome, "scaled to zero" in done.reason) == ("refused", True), done


def test_pod_with_two_budgets_is_not_waited_for(scene, kubelet):
    made(scene, kubelet, "Deployment", image="sick:once")
    sick(scene.cluster, scene.namespace)
    for name in ("one", "other"):
        scene.cluster.create(manifests.budget(
            scene.namespace, name, minAvailable=0, selector={"matchLabels": {"app": "web"}}
        ))
    done = scene.do("evict_pod", scene.incident())
    assert done.outcome == "failed", done
    assert "let one budget alone select the pod" in done.reason
    assert "time was over" not in done.reason


@pytest.mark.parametrize("by_now", [4, 6])
def test_undo_of_scaling_leaves_the_replicas_to_an_autoscaler_that_came_since(
    scene, kubelet, by_now
):
    made(scene, kubelet, "Deployment")
    about = scene.incident()
    assert scene.do("scale_workload", about, to=4).outcome == "done"
    scene.cluster.create(autoscaler(scene, minReplicas=4, maxReplicas=8))
    scene.cluster.patch("Deployment", "web", scene.namespace, {"spec": {"replicas": by_now}})
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.get()["spec"]["replicas"] == by_now
    assert "an autoscaler decides how many replicas it has by now" in scene.told()


@pytest.mark.parametrize("do", ["delete_pod", "restart_workload"])
def test_namespace_that_is_being_deleted_is_left_alone(scene, kubelet, do):
    web = manifests.deployment(scene.namespace, image="sick:once", replicas=2)
    web["metadata"]["finalizers"] = ["selfheal.test/keep"]
    web["spec"]["template"]["metadata"]["finalizers"] = ["selfheal.test/keep"]
    scene.cluster.create(web)
    sick(scene.cluster, scene.namespace)
    about = scene.incident()
    scene.cluster.delete("Namespace", scene.namespace)
    try:
        done = scene.do(do, about)
        assert (done.outcome, "is being deleted" in done.reason) == ("refused", True), done
    finally:
        gone = {"metadata": {"finalizers": None}}
        for kind in ("Deployment", "Pod"):
            for one in scene.cluster.find(kind, scene.namespace):
                with contextlib.suppress(NotThere):
                    scene.cluster.patch(kind, one["metadata"]["name"], scene.namespace, gone)

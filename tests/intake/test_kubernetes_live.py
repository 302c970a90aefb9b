"""The Kubernetes sensor on a real API server: each unhealthy state is seen once per owner, ends
when it is over, and nothing is said of what is none of our business.

A look may come at any moment of what a test makes, so only the states that a test means count at
once: of those that pass (no node yet, not ready yet) nothing is to be seen.
"""

from __future__ import annotations

import pytest

from tests import kubernetes_manifests as manifests
from tests import stores
from tests.kubernetes_scene import CALM, Scene
from tests.live_kubelet import Kubelet


@pytest.fixture
def begin(kubernetes, namespace, tmp_path):
    """Starts a sensor whose only target is the namespace; `settings` are added to the target."""
    opened = []

    def begin(**settings):
        target = kubernetes.target(namespace, **{**CALM, **settings})
        opened.append(Scene(stores.sqlite_url(tmp_path), target))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.fixture
def scene(begin):
    return begin()


def crashes(kubernetes, namespace, app):
    """Whether a pod of the Deployment `app` has crashed often enough for a crash loop."""
    return any(
        container["restartCount"] >= 2
        for pod in kubernetes.find("Pod", namespace, labelSelector="app=" + app)
        for container in pod["status"]["containerStatuses"]
    )


@pytest.mark.parametrize(
    ("image", "alert_type", "reason", "at_once"),
    [
        ("bad:crash", "PodCrashLooping", "Error", {}),
        ("bad:missing", "PodImagePullFailed", "", {}),
        ("bad:config", "PodConfigError", "", {}),
        ("bad:oom-256Mi", "PodOOMKilled", "OOMKilled", {}),
        ("bad:unready", "PodNotReady", "", {"unready_minutes": 0}),
    ],
)
def test_five_sick_pods_are_one_incident_that_ends_when_they_are_well(
    kubernetes, namespace, kubelet, begin, image, alert_type, reason, at_once
):
    scene = begin(**at_once)
    pod = manifests.memory(image, "128Mi")
    kubernetes.create(manifests.deployment(namespace, "cart", replicas=5, pod=pod))
    scene.until(lambda: scene.incidents(alert_type=alert_type))
    for _ in range(3):
        scene.look()
    (incident,) = scene.incidents()
    assert (incident.alert_type, incident.workload) == (alert_type, "cart")
    assert incident.labels["workload_kind"] == "Deployment"
    assert reason in incident.labels["reason"] and "cart-" in incident.annotations["pods"]
    assert len(scene.told()) == 1
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "good:1"}]}}}}
    kubernetes.patch("Deployment", "cart", namespace, change)
    # Out of memory counts for as long as a restart would.
    scene.until(lambda: scene.firing() == set(), after_s=5)
    resolved = scene.service.of("selfheal.incident_resolved")
    assert incident.id in {one["incident_id"] for one in resolved}


def test_workload_that_is_deleted_ends_its_incident(kubernetes, namespace, kubelet, scene):
    kubernetes.create(manifests.statefulset(namespace, "db", "bad:crash"))
    scene.until(lambda: ("db", "PodCrashLooping") in scene.firing())
    kubernetes.delete("StatefulSet", "db", namespace)
    scene.until(lambda: scene.firing() == set(), after_s=5)
    (incident,) = scene.incidents()
    assert incident.is_cleared


def test_rollout_that_broke_a_workload_is_blamed(kubernetes, namespace, kubelet, scene):
    made = kubernetes.create(manifests.deployment(namespace, "cart", replicas=3))
    kubernetes.until(
        lambda: kubernetes.get("Deployment", "cart", namespace)["status"].get("readyReplicas") == 3
    )
    scene.look()
    assert scene.incidents() == []
    made["spec"]["template"]["spec"]["containers"][0]["image"] = "bad:crash"
    change = {"spec": {"template": made["spec"]["template"]}}
    kubernetes.patch("Deployment", "cart", namespace, change)
    scene.until(lambda: ("cart", "RolloutBroken") in scene.firing())
    (incident,) = scene.incidents()
    assert incident.alert_type == "RolloutBroken"


def test_job_that_gave_up_node_that_is_lost_and_claim_that_waits(
    kubernetes, namespace, kubelet, begin
):
    scene = begin(unready_minutes=0, pending_minutes=0)
    kubernetes.create(manifests.job(namespace, "report", "job:fail", backoffLimit=0))
    scene.until(lambda: ("report", "JobFailed") in scene.firing())
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    kubernetes.create(claim)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    unplaced = manifests.deployment(
        namespace, "store", pod={"volumes": volumes, "nodeSelector": {"disk": "none"}}
    )
    kubernetes.create(unplaced)
    kubernetes.create(manifests.pod(namespace, "agent"))
    kubernetes.until(lambda: kubernetes.get("Pod", "agent", namespace)["spec"].get("nodeName"))
    kubelet.set_node("node-a", ready=False)
    node = kubelet.name_of("node-a")
    scene.until(
        lambda: {
            ("report", "JobFailed"),
            ("store", "VolumeClaimPending"),
            ("store", "PodPending"),
            (None, "NodeNotReady"),
        } <= scene.firing()
    )
    (of_node,) = [one for one in scene.incidents() if one.instance == node]
    assert of_node.alert_type == "NodeNotReady" and of_node.workload is None
    (of_job,) = scene.incidents(workload="report")
    assert of_job.labels["job"] == "report"
    (of_claim,) = scene.incidents(workload="store")
    assert of_claim.alert_type == "VolumeClaimPending"


def test_node_counts_where_namespaces_are_named_while_their_pods_are_on_it(
    kubernetes, namespace, kubelet, begin
):
    scene = begin(unready_minutes=0)
    neighbours = kubernetes.namespace()
    with Kubelet(kubernetes, neighbours) as other:
        other.set_node("node-a", ready=False)
        kubelet.add_node("node-b")
        kubelet.set_node("node-b", ready=False)
        for _ in range(2):
            scene.look(after_s=5)
        assert scene.incidents() == []
        kubernetes.create(manifests.pod(namespace, "agent", nodeName=kubelet.name_of("node-b")))
        scene.until(lambda: (None, "NodeNotReady") in scene.firing(), after_s=5)
        (incident,) = scene.incidents()
        assert incident.instance == kubelet.name_of("node-b")
        kubernetes.delete("Pod", "agent", namespace, gracePeriodSeconds=0)
        scene.until(lambda: scene.firing() == set(), after_s=5)


def test_service_that_nobody_serves_joins_the_workload_behind_it(
    kubernetes, namespace, kubelet, begin
):
    scene = begin(unready_minutes=0)
    kubernetes.create(manifests.deployment(namespace, "cart", "bad:unready"))
    kubernetes.create(manifests.service(namespace, "cart"))
    # The service has nobody from the start, its pod is not ready once it runs.
    both = {("cart", "ServiceWithoutEndpoints"), ("cart", "PodNotReady")}
    scene.until(lambda: both <= scene.firing())
    (incident,) = scene.incidents()
    assert incident.alert_type == "PodNotReady"


@pytest.mark.parametrize("place", ["pod", "workload", "namespace"])
def test_what_is_annotated_out_is_left_alone_and_ends(
    kubernetes, namespace, kubelet, scene, place
):
    kubernetes.create(manifests.deployment(namespace, "cart", "bad:crash"))
    kubernetes.create(manifests.pod(namespace, "other", "bad:crash"))
    scene.until(lambda: {w for w, _ in scene.firing()} == {"cart", "other"})
    mark = {"metadata": {"annotations": {"selfheal/ignore": "yes"}}}
    if place == "namespace":
        kubernetes.patch("Namespace", namespace, "", mark)
    elif place == "workload":
        kubernetes.patch("Deployment", "cart", namespace, mark)
    else:
        kubernetes.patch("Pod", "other", namespace, mark)
    left = {"pod": {"cart"}, "workload": {"other"}, "namespace": set()}[place]
    scene.until(lambda: {w for w, _ in scene.firing()} == left, after_s=5)


def test_only_what_the_labels_choose_is_looked_at(kubernetes, namespace, kubelet, begin):
    for name in ("cart", "shop"):
        kubernetes.create(manifests.deployment(namespace, name, "bad:crash"))
    scene = begin(label_selector="app=cart")
    scene.until(lambda: ("cart", "PodCrashLooping") in scene.firing())
    kubernetes.until(lambda: crashes(kubernetes, namespace, "shop"))
    for _ in range(3):
        scene.look()
    assert {incident.workload for incident in scene.incidents()} == {"cart"}


def test_all_namespaces_but_those_of_the_system(kubernetes, namespace, kubelet, tmp_path):
    target = dict(kubernetes.target(), own_namespace=namespace, **CALM, pending_minutes=0)
    other = kubernetes.namespace()
    with Kubelet(kubernetes, [other]):
        for where in (namespace, other, "kube-system"):
            lost = manifests.pod(where, "lost-%s" % namespace, nodeSelector={"disk": "none"})
            kubernetes.create(lost)
        try:
            scene = Scene(stores.sqlite_url(tmp_path), target)
            name = "lost-%s" % namespace
            scene.until(lambda: scene.incidents(workload=name))
            assert [one.namespace for one in scene.incidents(workload=name)] == [other]
            scene.close()
            named = dict(target, namespaces=["kube-system", namespace])
            (tmp_path / "named").mkdir()
            scene = Scene(stores.sqlite_url(tmp_path / "named"), named)
            scene.until(lambda: len(scene.incidents(workload=name)) == 2)
            found = {one.namespace for one in scene.incidents(workload=name)}
            assert found == {"kube-system", namespace}
            scene.close()
        finally:
            kubernetes.delete("Pod", "lost-%s" % namespace, "kube-system", gracePeriodSeconds=0)


def test_right_that_is_missing_is_named_and_the_rest_goes_on(
    kubernetes, namespace, kubelet, begin
):
    kubernetes.create(manifests.deployment(namespace, "cart", "bad:crash"))
    some = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
    ]
    scene = begin(token=kubernetes.account(namespace, some))
    scene.until(lambda: ("cart", "PodCrashLooping") in scene.firing())
    status, detail = scene.state()
    because = "\n".join(detail["because"])
    assert status == "degraded"
    assert "we may not list statefulsets.apps in namespace %s" % namespace in because
    assert "we may not list nodes in the whole cluster" in because
    assert "we may not get namespaces in the whole cluster" in because
    assert "list pods" not in because


def test_list_that_is_forbidden_from_then_on_ends_nothing(kubernetes, namespace, kubelet, begin):
    kubernetes.create(manifests.deployment(namespace, "cart", "bad:crash"))
    read = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
    scene = begin(token=kubernetes.account(namespace, [read]))
    scene.until(lambda: ("cart", "PodCrashLooping") in scene.firing())
    (role,) = [one["metadata"]["name"] for one in kubernetes.find("Role", namespace)]
    rest = {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get", "list"]}
    kubernetes.patch("Role", role, namespace, {"rules": [rest]})
    who = {"kind": "ServiceAccount", "namespace": namespace, "name": "tester"}
    reads_pods = dict(read, apiGroups=[""], resources=["pods"])
    kubernetes.until(lambda: not kubernetes.is_allowed(who, reads_pods, namespace))
    kubernetes.delete("Deployment", "cart", namespace)
    scene.until(lambda: "pods" in str(scene.state()[1]["because"]), after_s=5)
    for _ in range(5):
        scene.look(after_s=60)
    assert ("cart", "PodCrashLooping") in scene.firing()
    kubernetes.patch("Role", role, namespace, {"rules": [read]})
    scene.until(lambda: scene.firing() == set(), after_s=5)


def test_token_without_any_right_is_a_failure_and_not_a_calm_cluster(
    kubernetes, namespace, begin
):
    token = kubernetes.account(namespace)
    scene = begin(token=token)
    scene.look()
    status, detail = scene.state()
    assert status == "failing" and "cannot" in detail["error"] and "verb" in detail["error"]
    assert token not in str(detail)

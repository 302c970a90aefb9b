"""Workloads read from a real cluster: each state made for real, told once, and gone when it is
healed.
"""

from __future__ import annotations

import pytest

from selfheal.apis.kubernetes import settings
from selfheal.apis.kubernetes.client import connect_target
from selfheal.apis.kubernetes.failures import Forbidden, Missing
from selfheal.config import Config
from selfheal.exceptions import InvalidInput, Refused
from selfheal.workloads import causes, protect, reading
from selfheal.workloads.model import Ref
from tests import kubernetes_manifests as manifests
from tests.kubernetes_access import ADMIN, MERGE

QUICK = {
    "pending_minutes": 0,
    "terminating_minutes": 0,
    "unready_minutes": 0,
    "short_minutes": 0,
    "settle_s": 2,
}


def client_of(kubernetes, namespace, token=ADMIN, **more):
    target = kubernetes.target(namespace, token=token, **{**QUICK, **more})
    return connect_target("default", settings.completed(Config(), "default", target))


@pytest.fixture
def client(kubernetes, namespace):
    found = client_of(kubernetes, namespace)
    yield found
    found.close()


def ref(namespace, name="web", kind="Deployment"):
    return Ref(kind, namespace, name)


def types_of(client, of, with_neighbours=False):
    found = reading.findings(reading.look(client, of, with_neighbours=with_neighbours))
    assert all(one.owner == of for one in found)
    return sorted({one.state.alert_type for one in found})


def is_well(client, of):
    return reading.health(reading.look(client, of)).is_well


def cause_of(client, of):
    found = causes.primary(reading.findings(reading.look(client, of)))
    return found.state.alert_type if found is not None else ""


def test_workload_is_found_by_its_name(kubernetes, client, namespace):
    for one in (
        manifests.deployment(namespace, "web", replicas=0),
        manifests.deployment(namespace, "both", replicas=0),
        manifests.statefulset(namespace, "both", replicas=0),
        manifests.pod(namespace, "lonely"),
    ):
        kubernetes.create(one)

    assert reading.find(client, namespace, "web") == ref(namespace)
    assert reading.find(client, namespace, "lonely") == ref(namespace, "lonely", "Pod")
    assert reading.find(client, namespace, "both", "StatefulSet").kind == "StatefulSet"
    with pytest.raises(Refused, match="a Deployment and a StatefulSet"):
        reading.find(client, namespace, "both")
    with pytest.raises(Missing, match="is named absent"):
        reading.find(client, namespace, "absent")
    with pytest.raises(Missing):
        reading.find(client, namespace, "web", "DaemonSet")


@pytest.mark.parametrize("name", ["../../kube-system/pods/x", "Web", "", "*", "w" * 300])
def test_what_is_no_name_is_not_asked_for(client, namespace, name):
    with pytest.raises(InvalidInput):
        reading.find(client, namespace, name)
    with pytest.raises(InvalidInput):
        reading.find(client, name, "web")
    with pytest.raises(InvalidInput, match="none of the kinds"):
        reading.find(client, namespace, "web", "Secret")


def test_workload_is_seen_with_what_it_controls_and_nothing_else(
    kubernetes, client, namespace, kubelet
):
    twin = manifests.deployment(namespace, "web", replicas=2)
    twin["metadata"]["name"] = "twin"  # the same labels, so the same selector
    kubernetes.create(manifests.deployment(namespace, "web", replicas=3))
    kubernetes.create(twin)
    kubernetes.create(manifests.pod(namespace, "stray"))
    for one in (ref(namespace), ref(namespace, "twin")):
        kubernetes.until(lambda one=one: is_well(client, one))
    seen = reading.look(client, ref(namespace))

    assert len(seen.pods) == 3 and len(seen.replica_sets) == 1
    assert seen.namespace["metadata"]["name"] == namespace
    assert reading.findings(seen) == ()
    health = reading.health(seen)
    assert (health.desired, health.ready, health.available, health.updated) == (3, 3, 3, 3)
    assert health.is_settled and health.words == "3 of 3 available, 3 ready, 3 up to date"
    assert 0 < seen.at - health.steady_since < 600
    objects = [seen.workload, *seen.pods]
    assert protect.why_not(seen.ref, protect.Protection(), seen.namespace, objects) == ""


SICK = {
    "bad:crash": "PodCrashLooping",
    "bad:flap": "PodCrashLooping",
    "bad:missing": "PodImagePullFailed",
    "bad:config": "PodConfigError",
    "bad:unready": "PodNotReady",
    "bad:evicted": "PodEvicted",
}


@pytest.mark.parametrize("image", SICK)
def test_sick_deployment_is_told_by_its_cause_until_it_is_healed(
    kubernetes, client, namespace, kubelet, image
):
    if image == "bad:flap":  # while it runs it is well after settle_s, which may pass in a look
        client = client_of(kubernetes, namespace, settle_s=600)
    kubernetes.create(manifests.deployment(namespace, image=image, replicas=2))

    kubernetes.until(lambda: cause_of(client, ref(namespace)) == SICK[image])
    if image == "bad:evicted":
        kubernetes.until(lambda: is_well(client, ref(namespace)))  # its replacement runs
        return
    assert not is_well(client, ref(namespace))
    change = {"spec": {"template": manifests.deployment(namespace)["spec"]["template"]}}
    kubernetes.patch("Deployment", "web", namespace, change)
    kubernetes.until(lambda: is_well(client, ref(namespace)))
    kubernetes.until(lambda: types_of(client, ref(namespace)) == [])


def test_container_out_of_memory_is_told_from_one_that_crashes(
    kubernetes, client, namespace, kubelet
):
    kubernetes.create(
        manifests.deployment(namespace, pod=manifests.memory("bad:oom-256Mi", "128Mi"))
    )

    kubernetes.until(lambda: cause_of(client, ref(namespace)) == "PodOOMKilled")
    (finding, *_) = reading.findings(reading.look(client, ref(namespace)))
    assert (finding.exit_code, finding.reason) == (137, "OOMKilled")


def test_pod_that_fits_no_node_is_pending(kubernetes, client, namespace, kubelet):
    pod = {
        "containers": [
            {"name": "main", "image": "good:1", "resources": {"requests": {"cpu": "64"}}}
        ]
    }
    kubernetes.create(manifests.deployment(namespace, pod=pod))

    def seen():
        found = reading.findings(reading.look(client, ref(namespace)))
        return [(one.state.alert_type, one.reason) for one in found[:1]]

    # Before the scheduler has looked at it, it is pending as well.
    kubernetes.until(lambda: seen() == [("PodPending", "Unschedulable")])


def test_pod_that_is_not_deleted_is_stuck_and_its_workload_is_well(
    kubernetes, client, namespace, kubelet
):
    kubernetes.create(manifests.deployment(namespace, image="bad:stuck"))
    kubernetes.until(lambda: is_well(client, ref(namespace)))
    (pod,) = kubernetes.find("Pod", namespace)
    kubernetes.delete("Pod", pod["metadata"]["name"], namespace, gracePeriodSeconds=1)

    kubernetes.until(lambda: "PodTerminatingStuck" in types_of(client, ref(namespace)))
    kubernetes.delete("Pod", pod["metadata"]["name"], namespace, gracePeriodSeconds=0)
    kubernetes.until(lambda: types_of(client, ref(namespace)) == [])


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_rollout_that_breaks_a_workload_is_blamed(kubernetes, client, namespace, kubelet, kind):
    of = ref(namespace, kind=kind)
    if kind == "Deployment":
        made = manifests.deployment(namespace, replicas=3)
    elif kind == "StatefulSet":
        made = manifests.statefulset(namespace, "web", replicas=3)
    else:
        kubelet.add_node("node-b")
        made = manifests.daemonset(namespace, kubelet.selector, "web")
    kubernetes.create(made)
    wanted = 2 if kind == "DaemonSet" else 3  # its controller may see the second node later
    kubernetes.until(
        lambda: is_well(client, of) and reading.health(reading.look(client, of)).desired == wanted
    )
    broken = {"containers": [{"name": "main", "image": "bad:crash"}]}
    kubernetes.patch(kind, "web", namespace, {"spec": {"template": {"spec": broken}}})

    kubernetes.until(lambda: cause_of(client, of) == "RolloutBroken")
    health = reading.health(reading.look(client, of))
    assert not health.is_settled and health.missing <= 1 and health.sick >= 1


def test_restart_of_a_sick_workload_is_not_blamed(kubernetes, client, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace, image="bad:crash"))
    kubernetes.until(lambda: cause_of(client, ref(namespace)) == "PodCrashLooping")
    mark = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    change = {"spec": {"template": {"metadata": {"annotations": mark}}}}
    kubernetes.patch("Deployment", "web", namespace, change)

    kubernetes.until(lambda: len(reading.look(client, ref(namespace)).revisions) == 2)
    # Of both: the old pod and that of the new mark.
    kubernetes.until(lambda: reading.health(reading.look(client, ref(namespace))).sick == 2)
    kubernetes.until(lambda: cause_of(client, ref(namespace)) == "PodCrashLooping")
    assert "RolloutBroken" not in types_of(client, ref(namespace))


def test_rollout_past_its_deadline_is_stuck(kubernetes, client, namespace, kubelet):
    made = manifests.deployment(namespace, image="bad:unready", progressDeadlineSeconds=1)
    kubernetes.create(made)

    kubernetes.until(lambda: "RolloutStuck" in types_of(client, ref(namespace)))


def test_stateful_set_that_may_not_make_its_pods_is_short(kubernetes, client, namespace):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    kubernetes.create(quota)
    kubernetes.until(
        lambda: kubernetes.get("ResourceQuota", "none", namespace)["status"].get("hard")
    )
    kubernetes.create(manifests.statefulset(namespace, "web"))
    kubernetes.create(manifests.deployment(namespace, "shop"))

    kubernetes.until(
        lambda: types_of(client, ref(namespace, kind="StatefulSet")) == ["ReplicasShort"]
    )

    def seen():
        found = reading.findings(reading.look(client, ref(namespace, "shop")))
        return [(one.state.alert_type, "exceeded quota" in one.message) for one in found]

    kubernetes.until(lambda: seen() == [("ReplicasShort", True)])  # short at once, why a bit later


def test_job_that_failed_is_told(kubernetes, client, namespace, kubelet):
    kubernetes.create(manifests.job(namespace, "import", "job:fail", backoffLimit=0))
    kubernetes.create(manifests.job(namespace, "export", "job:ok"))

    kubernetes.until(lambda: types_of(client, ref(namespace, "import", "Job")) == ["JobFailed"])
    kubernetes.until(lambda: is_well(client, ref(namespace, "export", "Job")))
    assert types_of(client, ref(namespace, "export", "Job")) == []


def test_cron_job_is_told_by_its_last_job(kubernetes, client, namespace, kubelet):
    cron_job = kubernetes.create(manifests.cronjob(namespace, suspend=True))
    of = ref(namespace, "nightly", "CronJob")
    for name, image in (("nightly-1", "job:fail"), ("nightly-2", "job:ok")):
        made = manifests.job(namespace, name, image, backoffLimit=0)
        made["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "batch/v1beta1",
                "kind": "CronJob",
                "name": "nightly",
                "uid": cron_job["metadata"]["uid"],
                "controller": True,
            }
        ]
        kubernetes.create(made)
        expected = ["JobFailed"] if image == "job:fail" else []
        kubernetes.until(lambda expected=expected: types_of(client, of) == expected)

    assert len(reading.look(client, of).pods) == 2
    assert is_well(client, of)


def test_bare_pod_that_failed_is_told(kubernetes, client, namespace, kubelet):
    kubernetes.create(manifests.pod(namespace, "lonely", "bad:exit", restartPolicy="Never"))
    of = ref(namespace, "lonely", "Pod")

    kubernetes.until(lambda: types_of(client, of) == ["PodFailed"])
    assert not is_well(client, of)


def test_autoscaler_that_wants_more_is_a_matter_of_what_it_scales(kubernetes, client, namespace):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"minReplicas": 1, "maxReplicas": 2, "scaleTargetRef": target},
    }
    limited = {
        "type": "ScalingLimited",
        "status": "True",
        "reason": "TooManyReplicas",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    counts = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": []}
    kubernetes.create(manifests.deployment(namespace, replicas=0))
    kubernetes.create(scaler)
    path = "/apis/autoscaling/v2beta2/namespaces/%s/horizontalpodautoscalers/web" % namespace
    change = {"status": dict(counts, conditions=[limited])}
    kubernetes.ask("PATCH", path + "/status", change, content_type=MERGE)

    assert types_of(client, ref(namespace), with_neighbours=True) == ["AutoscalerAtMaximum"]
    assert types_of(client, ref(namespace)) == []


def test_pods_of_a_lost_node_are_the_nodes_matter(kubernetes, client, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace, replicas=2))
    kubernetes.until(lambda: is_well(client, ref(namespace)))
    node = reading.find(client, "", kubelet.name_of(), "Node")
    assert types_of(client, node) == []
    kubelet.set_node(ready=False)

    kubernetes.until(lambda: types_of(client, node) == ["NodeNotReady"])
    kubernetes.until(lambda: types_of(client, ref(namespace)) == ["ReplicasShort"])
    seen = reading.look(client, ref(namespace))
    assert seen.lost_nodes == {kubelet.name_of()}
    assert [one.reason for one in reading.findings(seen)] == ["NodeNotReady"]
    kubelet.set_node(pressure="DiskPressure")
    kubernetes.until(lambda: types_of(client, node) == ["NodePressure"])


def test_service_and_claim_are_a_matter_of_the_workload_behind_them(
    kubernetes, client, namespace, kubelet
):
    kubernetes.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "fast",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    kubernetes.create(manifests.service(namespace, "web"))
    kubernetes.create(
        manifests.deployment(namespace, image="bad:unready", pod={"volumes": [claim]})
    )

    def seen():
        return types_of(client, ref(namespace), with_neighbours=True)

    expected = ["PodNotReady", "ReplicasShort", "ServiceWithoutEndpoints", "VolumeClaimPending"]
    kubernetes.until(lambda: seen() == expected)
    alone = reading.look(client, ref(namespace))
    assert "service_without_endpoints" not in reading.sees(alone)
    kubernetes.patch("Deployment", "web", namespace, {"spec": {"replicas": 0}})
    kubernetes.until(lambda: seen() == [])


def test_service_that_selects_nothing_stands_for_itself(kubernetes, client, namespace, kubelet):
    kubernetes.create(manifests.service(namespace, "web"))
    kubernetes.create(manifests.deployment(namespace, "shop"))
    of = reading.find(client, namespace, "web", "Service")

    kubernetes.until(lambda: types_of(client, of) == ["ServiceWithoutEndpoints"])
    assert not is_well(client, of)
    kubernetes.patch("Service", "web", namespace, {"spec": {"selector": {"app": "shop"}}})
    kubernetes.until(lambda: is_well(client, of))
    assert types_of(client, of) == []


def test_rights_that_are_missing_leave_parts_unknown(kubernetes, client, namespace, kubelet):
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "replicasets"],
            "verbs": ["get", "list"],
        },
    ]
    kubernetes.create(manifests.deployment(namespace, image="bad:unready"))
    kubernetes.until(lambda: "PodNotReady" in types_of(client, ref(namespace)))
    little = client_of(kubernetes, namespace, kubernetes.account(namespace, rules))
    seen = reading.look(little, ref(namespace), with_neighbours=True)

    assert reading.find(little, namespace, "web") == ref(namespace)
    assert (seen.namespace, seen.lost_nodes) == (None, frozenset())
    unknown = {"service_without_endpoints", "volume_claim_pending", "autoscaler_at_maximum"}
    assert not unknown & reading.sees(seen)
    assert unknown <= reading.sees(reading.look(client, ref(namespace), with_neighbours=True))
    assert "PodNotReady" in {one.state.alert_type for one in reading.findings(seen)}
    assert protect.why_not(seen.ref, protect.Protection(), seen.namespace, [seen.workload])
    with pytest.raises(Forbidden):
        reading.find(little, namespace, "absent")

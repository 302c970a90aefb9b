"""The unhealthy states of a real cluster: how each is made, what ought to heal it, and what a
person would do about it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Dict

from tests import kubernetes_manifests as manifests


@dataclass(frozen=True)
class Case:
    """One state: how it is made, what ought to heal it (nothing: people), and how people would."""

    made_by: str
    make: Callable[[Any], None]
    remedy: str = ""
    needs_yes: bool = False
    owner: str = "web"
    kind: str = "Deployment"
    mend: Callable[[Any], None] = lambda place: None
    settings: Dict[str, Any] = field(default_factory=dict)
    after_s: float = 0.0
    ends: str = ""  # else healed, or left to people where there is no remedy


class Place:
    """A namespace with its kubelet, and what cases do there."""

    def __init__(self, cluster, namespace, kubelet) -> None:
        self.cluster, self.namespace, self.kubelet = cluster, namespace, kubelet

    def deploy(self, image="good:1", replicas=2, pod=None, **spec):
        self.cluster.create(
            manifests.deployment(self.namespace, "web", image, replicas, pod, **spec)
        )

    def ready(self, count):
        self.cluster.until(
            lambda: self.cluster.get("Deployment", "web", self.namespace)
            .get("status", {}).get("readyReplicas", 0) == count
        )

    def image(self, image):
        change = {"containers": [{"name": "main", "image": image}]}
        self.cluster.patch(
            "Deployment", "web", self.namespace, {"spec": {"template": {"spec": change}}}
        )

    def first_pod(self, app="web"):
        return self.cluster.until(
            lambda: self.cluster.find("Pod", self.namespace, labelSelector="app=" + app)
        )[0]["metadata"]["name"]

    def deploy_well(self, replicas=2, **more):
        self.deploy(replicas=replicas, **more)
        self.ready(replicas)

    def break_rollout(self):
        self.deploy_well()
        self.image("bad:crash")

    def spoil_one(self, behaviour):
        self.deploy_well()
        self.kubelet.become(self.namespace, self.first_pod(), behaviour)

    def delete_stuck(self):
        self.deploy("bad:stuck", replicas=1)
        self.ready(1)
        self.cluster.delete("Pod", self.first_pod(), self.namespace, gracePeriodSeconds=1)

    def turn_node(self, **how):
        """Change the node; a pod that is on it makes it one of ours."""
        self.cluster.create(manifests.pod(self.namespace, "agent"))
        self.cluster.until(
            lambda: self.cluster.get("Pod", "agent", self.namespace)["spec"].get("nodeName")
        )
        self.kubelet.set_node("node-a", **how)

    def force(self):
        for pod in self.cluster.find("Pod", self.namespace):
            if "deletionTimestamp" in pod["metadata"]:
                self.cluster.delete(
                    "Pod", pod["metadata"]["name"], self.namespace, gracePeriodSeconds=0
                )

    def claim_in_vain(self):
        self.cluster.create({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": self.namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        })
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        self.cluster.create(
            manifests.deployment(
                self.namespace, "web", pod={"volumes": [claim], "nodeSelector": {"none": "such"}}
            )
        )

    def deploy_under_quota(self):
        self.cluster.create({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": self.namespace},
            "spec": {"hard": {"pods": "0"}},
        })
        self.cluster.until(
            lambda: self.cluster.get("ResourceQuota", "none", self.namespace)
            .get("status", {}).get("hard")
        )
        self.deploy()

    def at_maximum(self):
        self.deploy_well()
        self.cluster.create({
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {
                "maxReplicas": 2,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
        })
        self.wants(more=True)

    def wants(self, more):
        condition = (
            '[{"type":"ScalingLimited","status":"%s","reason":"%s",'
            '"lastTransitionTime":"2020-01-01T00:00:00Z"}]'
            % (more, "TooManyReplicas" if more else "DesiredWithinRange")
        )
        path = "/apis/autoscaling/v2beta2/namespaces/%s/horizontalpodautoscalers/web/status"
        found = self.cluster.ask("GET", path % self.namespace)
        found["status"] = {
            "currentReplicas": 2, "desiredReplicas": 2, "conditions": json.loads(condition),
        }
        self.cluster.ask("PUT", path % self.namespace, found)


def _job(place):
    place.cluster.create(manifests.job(place.namespace, "once", "job:fail", backoffLimit=0))


def _asking(cpu):
    return {
        "containers": [
            {"name": "main", "image": "good:1", "resources": {"requests": {"cpu": cpu}}}
        ]
    }


CASES: Dict[str, Case] = {
    "RolloutBroken": Case(
        "a new image crashes, the one before ran", Place.break_rollout,
        "kubernetes_roll_back", needs_yes=True,
    ),
    "PodOOMKilled": Case(
        "needs 180 MiB, limited to 128", lambda place: place.deploy(
            pod=manifests.memory("bad:oom-180Mi", "128Mi"), image="bad:oom-180Mi", replicas=1,
        ),
        "kubernetes_raise_memory", needs_yes=True,
    ),
    "PodImagePullFailed": Case(
        "an image that is not there", lambda place: place.deploy("bad:missing"),
        mend=lambda place: place.image("good:1"),
    ),
    "PodConfigError": Case(
        "a reference to settings that are not there", lambda place: place.deploy("bad:config"),
        mend=lambda place: place.image("good:1"),
    ),
    "PodCrashLooping": Case(
        "one of three pods crashes, its like do not",
        lambda place: place.deploy("sick:once", replicas=3), "kubernetes_delete_sick_pods",
    ),
    "PodNotReady": Case(
        "the probe of one of two pods fails", lambda place: place.spoil_one("bad:unready"),
        "kubernetes_delete_sick_pods",
    ),
    "PodEvicted": Case(
        "the kubelet evicts a pod", lambda place: place.deploy("bad:evicted-1"),
        "kubernetes_delete_sick_pods",
    ),
    "PodFailed": Case(
        "a pod of its own ends with an error",
        lambda place: place.cluster.create(
            manifests.pod(place.namespace, "web", "bad:exit", restartPolicy="Never")
        ),
        kind="Pod",
        mend=lambda place: place.cluster.delete("Pod", "web", place.namespace),
    ),
    "PodTerminatingStuck": Case(
        "a deleted pod does not go", Place.delete_stuck,
        mend=Place.force, settings={"terminating_minutes": 0}, after_s=5.0,
    ),
    "PodPending": Case(
        "asks for more processors than a node has",
        lambda place: place.deploy(replicas=1, pod=_asking("500")),
        mend=lambda place: place.kubelet.add_node("big", cpu="600"),
    ),
    "VolumeClaimPending": Case(
        "a claim that no volume fits", Place.claim_in_vain,
        mend=lambda place: place.cluster.delete("Deployment", "web", place.namespace),
    ),
    "RolloutStuck": Case(
        "pods that take longer to start than its deadline",
        lambda place: place.deploy("slow:3600", progressDeadlineSeconds=1),
        "kubernetes_restart_workload", settings={"unready_minutes": 5, "rollout_timeout_s": 10},
        ends="tried, taken back, left to people", mend=lambda place: place.image("good:1"),
    ),
    "ReplicasShort": Case(
        "a quota leaves no room for pods", Place.deploy_under_quota,
        mend=lambda place: place.cluster.delete("Deployment", "web", place.namespace),
    ),
    "ServiceWithoutEndpoints": Case(
        "a service that selects nothing",
        lambda place: place.cluster.create(manifests.service(place.namespace, "web")),
        kind="Service",
        mend=lambda place: place.cluster.delete("Service", "web", place.namespace),
    ),
    "JobFailed": Case(
        "a job gives up", _job, owner="once", kind="Job",
        mend=lambda place: place.cluster.delete(
            "Job", "once", place.namespace, propagationPolicy="Background"
        ),
    ),
    "AutoscalerAtMaximum": Case(
        "the autoscaler wants more than it may", Place.at_maximum,
        mend=lambda place: place.wants(more=False),
    ),
    "NodeNotReady": Case(
        "the kubelet of a node is gone",
        lambda place: place.turn_node(ready=False), owner="", kind="Node",
        mend=lambda place: place.kubelet.set_node("node-a", ready=True),
    ),
    "NodePressure": Case(
        "a node is short of memory",
        lambda place: place.turn_node(pressure="MemoryPressure"), owner="",
        kind="Node", mend=lambda place: place.kubelet.set_node("node-a", ready=True),
    ),
}

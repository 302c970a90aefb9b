"""The unhealthy states of a real cluster: how each is made, what ought to heal it, and what a
person would do about it.

A state is made when nothing that passes is left on the way to it: who looks earlier, with
thresholds of no time, sees a pod that waits for its node or its start, which is another state.
"""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass, field
from typing import Any, Callable, Dict

from tests import kubernetes_manifests as manifests


@dataclass(frozen=True)
class Case:
    """One state: how it is made (and there when `make` returns), what ought to heal it (nothing:
    people), and how people would.
    """

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


def shown_by(pod) -> str:
    """What a pod shows, in one word; empty while it is on its way to something."""
    status = pod.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    if "deletionTimestamp" in pod["metadata"]:
        return "leaving"
    if status.get("phase") == "Failed":
        return status.get("reason") or "Failed"
    for one in status.get("containerStatuses") or ():
        reason = one["state"].get("waiting", {}).get("reason", "")
        if reason:
            # Two crashes are none yet, and a first failed pull is not backed off from.
            is_early = reason == "CrashLoopBackOff" and one["restartCount"] < 2
            return "" if is_early or reason == "ErrImagePull" else reason
    if status.get("phase") == "Running":
        return "ready" if conditions.get("Ready", {}).get("status") == "True" else "unready"
    return conditions.get("PodScheduled", {}).get("reason", "")


class Place:
    """A namespace with its kubelet, and what cases do there; `name` is its Deployment's."""

    def __init__(self, cluster, namespace, kubelet, name="web") -> None:
        self.cluster, self.namespace, self.kubelet = cluster, namespace, kubelet
        self.name = name

    def deploy(self, image="good:1", replicas=2, pod=None, **spec):
        self.cluster.create(
            manifests.deployment(self.namespace, self.name, image, replicas, pod, **spec)
        )

    def shows(self, **pods):
        """Wait until exactly so many pods show each of these words, and no others are there."""
        self.cluster.until(
            lambda: collections.Counter(map(shown_by, self.cluster.find("Pod", self.namespace))) ==
            pods,
            what=str(pods),
        )

    def says(self, condition, status, kind="Deployment", name=""):
        """Wait until a condition of a workload has this status."""
        self.cluster.until(
            lambda: any(
                (one["type"], one["status"]) == (condition, status)
                for one in self.cluster.get(kind, name or self.name, self.namespace)["status"][
                    "conditions"
                ]
            ),
            what="%s %s" % (condition, status),
        )

    def follows(self, **numbers):
        """Wait until the Deployment's controller has seen its newest spec and counts so many."""

        def is_so():
            found = self.cluster.get("Deployment", self.name, self.namespace)
            status = found["status"]
            return status["observedGeneration"] == found["metadata"]["generation"] and all(
                status.get(name, 0) == number for name, number in numbers.items()
            )

        self.cluster.until(is_so, what=str(numbers))

    def ready(self, count):
        self.shows(ready=count)
        self.follows(readyReplicas=count, updatedReplicas=count, replicas=count)

    def image(self, image):
        change = {"containers": [{"name": "main", "image": image}]}
        self.cluster.patch(
            "Deployment", self.name, self.namespace, {"spec": {"template": {"spec": change}}}
        )

    def first_pod(self):
        return self.cluster.find("Pod", self.namespace)[0]["metadata"]["name"]

    def deploy_until(self, image, replicas=2, pod=None, *, show, **spec):
        self.deploy(image, replicas, pod, **spec)
        self.shows(**show)
        self.follows(replicas=replicas, readyReplicas=show.get("ready", 0))

    def deploy_well(self, replicas=2, **more):
        self.deploy(replicas=replicas, **more)
        self.ready(replicas)

    def break_rollout(self):
        self.deploy_well()
        self.image("bad:crash")
        self.shows(ready=2, CrashLoopBackOff=1)
        self.follows(readyReplicas=2, updatedReplicas=1, replicas=3)

    def spoil_one(self, behaviour):
        self.deploy_well()
        self.kubelet.become(self.namespace, self.first_pod(), behaviour)
        self.shows(ready=1, unready=1)
        self.follows(readyReplicas=1)

    def delete_stuck(self):
        self.deploy("bad:stuck", replicas=1)
        self.ready(1)
        self.cluster.delete("Pod", self.first_pod(), self.namespace, gracePeriodSeconds=1)
        self.shows(leaving=1, ready=1)
        self.follows(readyReplicas=1)

    def exit_alone(self):
        self.cluster.create(manifests.pod(self.namespace, "web", "bad:exit", restartPolicy="Never"))
        self.shows(Failed=1)

    def fail_job(self):
        self.cluster.create(manifests.job(self.namespace, "once", "job:fail", backoffLimit=0))
        self.says("Failed", "True", "Job", "once")

    def get_stuck(self):
        self.deploy_until("slow:3600", show={"unready": 2}, progressDeadlineSeconds=1)
        self.says("Progressing", "False")

    def turn_node(self, **how):
        """Change the node; a pod that is on it makes it one of ours."""
        self.cluster.create(manifests.pod(self.namespace, "agent"))
        self.shows(ready=1)
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
        self.shows(Unschedulable=1)

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
        self.says("ReplicaFailure", "True")

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
        "needs 180 MiB, limited to 128", lambda place: place.deploy_until(
            "bad:oom-180Mi", 1, manifests.memory("bad:oom-180Mi", "128Mi"),
            show={"CrashLoopBackOff": 1},
        ),
        "kubernetes_raise_memory", needs_yes=True,
    ),
    "PodImagePullFailed": Case(
        "an image that is not there",
        lambda place: place.deploy_until("bad:missing", show={"ImagePullBackOff": 2}),
        mend=lambda place: place.image("good:1"),
    ),
    "PodConfigError": Case(
        "a reference to settings that are not there",
        lambda place: place.deploy_until("bad:config", show={"CreateContainerConfigError": 2}),
        mend=lambda place: place.image("good:1"),
    ),
    "PodCrashLooping": Case(
        "one of three pods crashes, its like do not",
        lambda place: place.deploy_until(
            "sick:once", 3, show={"CrashLoopBackOff": 1, "ready": 2}
        ),
        "kubernetes_delete_sick_pods",
    ),
    "PodNotReady": Case(
        "the probe of one of two pods fails", lambda place: place.spoil_one("bad:unready"),
        "kubernetes_delete_sick_pods",
    ),
    "PodEvicted": Case(
        "the kubelet evicts a pod",
        lambda place: place.deploy_until("bad:evicted-1", show={"Evicted": 1, "ready": 2}),
        "kubernetes_delete_sick_pods",
    ),
    "PodFailed": Case(
        "a pod of its own ends with an error", Place.exit_alone, kind="Pod",
        mend=lambda place: place.cluster.delete("Pod", "web", place.namespace),
    ),
    "PodTerminatingStuck": Case(
        "a deleted pod does not go", Place.delete_stuck,
        mend=Place.force, settings={"terminating_minutes": 0}, after_s=5.0,
    ),
    "PodPending": Case(
        "asks for more processors than a node has",
        lambda place: place.deploy_until(
            "good:1", 1, _asking("500"), show={"Unschedulable": 1}
        ),
        mend=lambda place: place.kubelet.add_node("big", cpu="600"),
    ),
    "VolumeClaimPending": Case(
        "a claim that no volume fits", Place.claim_in_vain,
        mend=lambda place: place.cluster.delete("Deployment", "web", place.namespace),
    ),
    "RolloutStuck": Case(
        "pods that take longer to start than its deadline", Place.get_stuck,
        "kubernetes_restart_workload", settings={"unready_minutes": 5},
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
        "a job gives up", Place.fail_job, owner="once", kind="Job",
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

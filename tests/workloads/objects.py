"""Objects as the API server gives them, 1.20 to 1.31: what a test is about is said, the rest is as
it is in a cluster.
"""

from __future__ import annotations

import copy
from datetime import datetime, timezone

from selfheal.workloads.model import Ref, Thresholds

NOW = 1790000000.0
MINUTE = 60
HOUR = 3600
DAY = 86400
CART = Ref("Deployment", "shop", "cart")
SETTINGS = {
    "max_restarts": 5,
    "restart_window_minutes": 10,
    "pending_minutes": 5,
    "terminating_minutes": 5,
    "unready_minutes": 5,
    "short_minutes": 5,
    "settle_s": 60,
    "rollout_blame_minutes": 60,
}
THRESHOLDS = Thresholds.from_settings(SETTINGS)


def ago(seconds: float) -> str:
    """The time so many seconds before NOW, as Kubernetes writes it."""
    return datetime.fromtimestamp(NOW - seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def owned(kind, name, uid="u-1", api="apps/v1"):
    """An ownerReference of the one who controls."""
    return {
        "apiVersion": api,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def meta(name, namespace="shop", age=DAY, owner=None, **more):
    found = {
        "name": name,
        "namespace": namespace,
        "uid": "uid-of-" + name,
        "resourceVersion": "4711",
        "creationTimestamp": ago(age),
    }
    if owner is not None:
        found["ownerReferences"] = [owner]
    found.update(more)
    return found


def running(since=HOUR):
    return {"running": {"startedAt": ago(since)}}


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message or reason + ": see the events"}}


def terminated(reason="Error", code=1, ran=5, ended=30, **more):
    """How a container ended `ended` seconds ago after it had run for `ran` seconds."""
    return {
        "terminated": dict(
            {
                "exitCode": code,
                "reason": reason,
                "startedAt": ago(ended + ran),
                "finishedAt": ago(ended),
                "containerID": "containerd://5f0c",
            },
            **more
        )
    }


def container(state=None, last=None, restarts=0, ready=None, name="app", **more):
    """One entry of containerStatuses."""
    state = running() if state is None else state
    found = {
        "name": name,
        "state": state,
        "lastState": last or {},
        "ready": ("running" in state) if ready is None else ready,
        "restartCount": restarts,
        "image": "registry.example/cart:1.4.2",
        "imageID": "registry.example/cart@sha256:0f3b" if "running" in state else "",
        "started": "running" in state,
    }
    found.update(more)
    return found


def condition(kind, status, since, reason="", message=""):
    found = {"type": kind, "status": status, "lastProbeTime": None}
    found["lastTransitionTime"] = ago(since)
    if reason:
        found.update(reason=reason, message=message)
    return found


def _pod_conditions(age, ready, ready_since, node):
    why = () if ready else ("ContainersNotReady", "containers with unready status: [app]")
    return [
        condition("Initialized", "True", age),
        condition("Ready", "True" if ready else "False", ready_since, *why),
        condition("ContainersReady", "True" if ready else "False", ready_since, *why),
        condition("PodScheduled", "True" if node else "False", age),
    ]


def pod(
    *containers,
    name="cart-5d8c7f9b6-x2x9z",
    phase="Running",
    age=DAY,
    ready=True,
    ready_since=HOUR,
    owner="cart-5d8c7f9b6",
    init=(),
    init_specs=None,
    node="node-a",
    spec=None,
    status=None,
    **more
):
    """A pod of the Deployment shop/cart, ready since an hour ago unless said otherwise."""
    containers = containers or (container(),)
    reference = owned("ReplicaSet", owner, "u-rs") if isinstance(owner, str) else owner
    labels = {"app": "cart", "pod-template-hash": "5d8c7f9b6"}
    found = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, age=age, owner=reference, labels=labels, **more),
        "spec": {
            "containers": [{"name": one["name"], "image": one["image"]} for one in containers],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "nodeName": node,
            "tolerations": [],
        },
        "status": {
            "phase": phase,
            "conditions": _pod_conditions(age, ready, ready_since, node),
            "hostIP": "10.0.0.4",
            "podIP": "10.244.1.7",
            "qosClass": "Burstable",
            "startTime": ago(age),
            "containerStatuses": list(containers),
        },
    }
    if init:
        found["status"]["initContainerStatuses"] = list(init)
        found["spec"]["initContainers"] = init_specs or [{"name": one["name"]} for one in init]
    if not node:
        del found["spec"]["nodeName"], found["status"]["startTime"]
    found["spec"].update(spec or {})
    found["status"].update(status or {})
    return found


def crashing(restarts=4, **more):
    """A pod whose container is backed off from."""
    return pod(
        container(waiting("CrashLoopBackOff"), terminated(), restarts),
        ready=False,
        ready_since=30,
        **more
    )


def unready(since, **more):
    """A pod that runs and has not been ready for `since` seconds."""
    return pod(container(ready=False), ready=False, ready_since=since, **more)


def template(image="registry.example/cart:1.4.2", **annotations):
    return {
        "metadata": {"labels": {"app": "cart"}, "annotations": dict(annotations)},
        "spec": {"containers": [{"name": "app", "image": image, "resources": {}}]},
    }


def deployment(
    desired=3, ready=None, updated=None, total=None, conditions=(), age=DAY, spec=None, **more
):
    """Deployment shop/cart; a count of 0 is left out, as the API does."""
    ready = desired if ready is None else ready
    status = {
        "observedGeneration": 3,
        "replicas": desired if total is None else total,
        "updatedReplicas": desired if updated is None else updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": desired - ready,
        "conditions": list(conditions),
    }
    more.setdefault("annotations", {"deployment.kubernetes.io/revision": "2"})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("cart", age=age, generation=3, **more),
        "spec": dict(
            {
                "replicas": desired,
                "selector": {"matchLabels": {"app": "cart"}},
                "template": template(),
                "strategy": {"type": "RollingUpdate"},
                "progressDeadlineSeconds": 600,
            },
            **(spec or {})
        ),
        "status": {key: value for key, value in status.items() if value != 0},
    }


def replica_set(number, age, mark=None, image=None, annotations=None):
    """A revision of shop/cart."""
    mark = mark or "hash%d" % number
    made = copy.deepcopy(template(image or "registry.example/cart:%d" % number))
    made["metadata"]["labels"]["pod-template-hash"] = mark
    made["metadata"]["annotations"] = annotations or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": meta(
            "cart-" + mark,
            age=age,
            owner=owned("Deployment", "cart", "uid-of-cart"),
            labels={"app": "cart", "pod-template-hash": mark},
            annotations={"deployment.kubernetes.io/revision": str(number)},
        ),
        "spec": {"replicas": 0, "template": made},
        "status": {"replicas": 0, "observedGeneration": 1},
    }


def managed(seconds_ago):
    """managedFields of an object that was last written so long ago."""
    return [
        {"manager": "kubectl", "operation": "Update", "time": ago(30 * DAY)},
        {"manager": "kubelet", "operation": "Update", "time": ago(seconds_ago), "fieldsV1": {}},
    ]

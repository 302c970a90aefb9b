"""Who an object belongs to: the workload that a person would name, found without asking anybody.

A pod's ReplicaSet stands for its Deployment, a Job for its CronJob. A pod that no controller would
replace (bare, or a mirror of a static pod) belongs to itself.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple

from selfheal.workloads import shape
from selfheal.workloads.model import Ref

# Kinds of Kubernetes itself by the group of their API version. What another group calls StatefulSet
# is not ours, so it keeps its group in the name, as kubectl writes it.
_NATIVE = {
    "apps": ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"),
    "batch": ("Job", "CronJob"),
    "extensions": ("Deployment", "ReplicaSet", "DaemonSet"),  # old names that people still write
    "": ("ReplicationController", "Node", "Pod"),
}
_HASH = "pod-template-hash"
_MIRROR = "kubernetes.io/config.mirror"
_KIND_LIMIT = 63


def controller_of(value: Any) -> Optional[Tuple[str, str, str]]:
    """(kind, name, uid) of the one owner that controls the object; None when nobody does."""
    for owner in shape.mappings(shape.metadata(value), "ownerReferences"):
        if owner.get("controller") is True:
            name = shape.line(owner, "name", shape.NAME_LIMIT)
            kind = kind_of(owner)
            return (kind, name, shape.text(owner, "uid")) if kind and name else None
    return None


def kind_of(reference: Any) -> str:
    """The kind that a reference (kind, apiVersion) names; with its group when it is another's."""
    kind = shape.line(reference, "kind", _KIND_LIMIT)
    group, slash, _ = shape.line(reference, "apiVersion", shape.NAME_LIMIT).rpartition("/")
    group = group if slash else ""
    return kind if kind in _NATIVE.get(group, ()) or not group else "%s.%s" % (kind, group)


def of_pod(pod: Any, jobs: Optional[Mapping[str, str]] = None) -> Ref:
    """The workload of a pod. `jobs` names the CronJob of a Job ("namespace/job") where it is
    known.
    """
    namespace, name = shape.place(pod)
    controller = controller_of(pod)
    if controller is None or controller[0] == "Node":
        return Ref("Pod", namespace, name)
    kind, owner, _ = controller
    if kind == "ReplicaSet":
        # A Deployment names its ReplicaSets NAME-HASH and marks their pods with the hash.
        tail = "-" + shape.text(shape.mapping(shape.metadata(pod), "labels"), _HASH)
        if len(tail) > 1 and owner.endswith(tail) and len(owner) > len(tail):
            return Ref("Deployment", namespace, owner[: -len(tail)])
    if kind == "Job":
        cron_job = (jobs or {}).get("%s/%s" % (namespace, owner))
        if cron_job:
            return Ref("CronJob", namespace, cron_job)
    return Ref(kind, namespace, owner)


def of_workload(value: Any, kind: str) -> Ref:
    """Whom a ReplicaSet, a Job or another workload of `kind` belongs to; itself, when no workload
    of Kubernetes made it.
    """
    namespace, name = shape.place(value)
    controller = controller_of(value)
    if controller is not None and (kind, controller[0]) in (
        ("ReplicaSet", "Deployment"),
        ("Job", "CronJob"),
    ):
        return Ref(controller[0], namespace, controller[1])
    return Ref(kind, namespace, name)


def is_mirror(pod: Any) -> bool:
    """Whether a pod only shows what a node runs from a file of its own: deleting it does
    nothing.
    """
    if _MIRROR in shape.mapping(shape.metadata(pod), "annotations"):
        return True
    controller = controller_of(pod)
    return controller is not None and controller[0] == "Node"


def is_task(pod: Any) -> bool:
    """Whether a pod is to end and whoever made it sees to a failure (a Job with its retries)."""
    policy = shape.text(shape.mapping(pod, "spec"), "restartPolicy")
    return policy in ("Never", "OnFailure") and controller_of(pod) is not None

"""Horizontal pod autoscalers: which one steers a workload, and the one that apply_hpa makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.exceptions import Refused
from selfheal.workloads import shape

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.workloads.model import Ref

KIND = "HorizontalPodAutoscaler"
GROUP = "autoscaling"
VERSIONS = ("v2", "v2beta2")  # those that can say all of what is asked for, the newest first
MANAGED_BY = "app.kubernetes.io/managed-by"
# Out quickly, in slowly: half of it or four pods a minute up, a tenth a minute down.
BEHAVIOR: Dict[str, Any] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 60,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 50, "periodSeconds": 60},
            {"type": "Pods", "value": 4, "periodSeconds": 60},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
    },
}
_PERCENT = {"cpu": 70, "memory": 80}
# Of Kubernetes itself, as written now and long ago; another's StatefulSet is another object.
_GROUPS_OF_WORKLOADS = ("apps", "extensions", "")


def steering(client: Client, ref: Ref, version: str = "") -> List[Dict[str, Any]]:
    """The autoscalers of the namespace that have `ref` as their target."""
    from selfheal.apis.kubernetes import paths

    where = (
        paths.collection(KIND, ref.namespace, version)
        if version
        else client.collection(KIND, ref.namespace)
    )
    found = []
    for one in client.items(where):
        target = shape.mapping(one, "spec", "scaleTargetRef")
        named = (shape.text(target, "kind"), shape.text(target, "name"))
        if named == (ref.kind, ref.name) and _group_of(target) in _GROUPS_OF_WORKLOADS:
            found.append(one)
    return found


def _group_of(reference: Mapping[str, Any]) -> str:
    return shape.text(reference, "apiVersion").rpartition("/")[0]


def refuse_steered(client: Client, ref: Ref) -> None:
    """Raises Refused when an autoscaler decides how many replicas `ref` has."""
    names = [shape.place(one)[1] for one in steering(client, ref)]
    if names:
        raise Refused(
            "the autoscaler %s decides how many replicas it has, and would undo this; change its "
            "bounds (apply_hpa)" % ", ".join(sorted(names))
        )


def version_of(client: Client) -> str:
    """The newest version of the API that can say what is asked for. Raises Refused for none."""
    found = client.newest(GROUP, VERSIONS)
    if not found:
        raise Refused(
            "cluster %s serves none of %s of the group autoscaling"
            % (client.name, ", ".join(VERSIONS))
        )
    return found


def most_of(options: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    """How many replicas the autoscaler allows at most."""
    return int(options.get("max_replicas") or settings["max_replicas"])


def spec_of(
    ref: Ref, workload: Mapping[str, Any], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> Dict[str, Any]:
    """The spec of the autoscaler for `workload`. Raises Refused when it could not work."""
    most, high = int(settings["max_replicas"]), most_of(options, settings)
    low = options.get("min_replicas")
    if low is None:  # not fewer than now, so that it takes nothing away when it begins
        low = max(1, min(shape.replicas_wanted(workload), high))
    if high > most:
        raise Refused(
            "max_replicas %d is more than kubernetes.max_replicas (%d) allows" % (high, most)
        )
    if low > high:
        raise Refused("min_replicas %d is more than max_replicas %d" % (low, high))
    if not shape.replicas_wanted(workload):
        raise Refused("it is scaled to zero, where no autoscaler acts; scale it out first")
    metrics = _metrics(workload, options)
    if not metrics:
        raise Refused("every measure of it is off, so it would never scale")
    return {
        "scaleTargetRef": {
            "apiVersion": shape.text(workload, "apiVersion") or "apps/v1",
            "kind": ref.kind,
            "name": ref.name,
        },
        "minReplicas": low,
        "maxReplicas": high,
        "metrics": metrics,
        "behavior": BEHAVIOR,
    }


def manifest(ref: Ref, version: str, spec: Mapping[str, Any]) -> Dict[str, Any]:
    """The whole object, called as its workload is."""
    return {
        "apiVersion": "%s/%s" % (GROUP, version),
        "kind": KIND,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {MANAGED_BY: "selfheal"},
        },
        "spec": dict(spec),
    }


def _metrics(workload: Mapping[str, Any], options: Mapping[str, Any]) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = []
    pods = (("queue_length", "queue_length"),
            ("http_request_duration_seconds", "request_seconds"))
    for metric, option in pods:
        value: Optional[str] = options.get(option)
        if value is not None:
            target = {"type": "AverageValue", "averageValue": value}
            found.append({"type": "Pods", "pods": {"metric": {"name": metric}, "target": target}})
    for name in ("memory", "cpu"):  # cpu last, which is where old servers put it
        percent = options.get("%s_percent" % name, _PERCENT[name])
        if percent:
            _refuse_without_request(workload, name)
            target = {"type": "Utilization", "averageUtilization": percent}
            found.append({"type": "Resource", "resource": {"name": name, "target": target}})
    return found


def _refuse_without_request(workload: Mapping[str, Any], name: str) -> None:
    containers = shape.mappings(shape.mapping(workload, "spec", "template", "spec"), "containers")
    lacking = [
        shape.text(one, "name")
        for one in containers
        if name not in shape.mapping(one, "resources", "requests") and
        name not in shape.mapping(one, "resources", "limits")
    ]
    if lacking:
        raise Refused(
            "container %s has no request of %s, and a percentage of nothing cannot be measured; "
            "set one (set_resources), or turn %s_percent off (0)"
            % (", ".join(sorted(lacking)), name, name)
        )

"""Where in Kubernetes a document comes from: as filebeat, fluentd, fluent-bit, OpenTelemetry and
Docker write it.

Leaves deriving an owner from a pod's name to `intake.grouping`, so that an alert and an error of
one workload name it alike.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from selfheal.intake.documents.shapes import Shapes, Ways, first
from selfheal.intake.grouping import owner_of_pod

_MAX_NAME = 253
_MAX_OWNERS = 5000

# Within the object `kubernetes`. Owners are those that a controller's name is as it is; `made` are
# objects that a controller made and whose names end in something generated.
_MEANINGS: Mapping[str, str] = {
    "namespace": "namespace namespace.name namespace_name",
    "pod": "pod.name pod_name pod",
    "container": "container.name container_name container",
    "node": "node.name node_name node host nodename",
    "owner": "deployment.name statefulset.name daemonset.name cronjob.name deployment statefulset "
    "daemonset cronjob deployment_name statefulset_name daemonset_name workload.name workload "
    "workload_name controller.name",
    "made": "replicaset.name replicaset job.name job replicaset_name job_name owner_name",
    "app": "labels.app.kubernetes.io/name labels.app_kubernetes_io/name "
    "labels.app_kubernetes_io_name labels.k8s-app labels.k8s_app labels.app labels.run",
}
# The same where there is no such object: flat keys, OpenTelemetry's attributes, Docker.
_OTEL = "resource.attributes.k8s. resource.k8s. Resource.k8s. attributes.k8s. k8s. "


def _otel(*names: str) -> str:
    return " ".join(prefix + name for name in names for prefix in _OTEL.split())


ELSEWHERE: Mapping[str, str] = {
    "namespace": "kubernetes.namespace kubernetes.namespace_name kubernetes.namespace.name "
    "kubernetes_namespace namespace_name k8s_namespace namespace " + _otel("namespace.name"),
    "pod": "kubernetes.pod.name kubernetes.pod_name kubernetes_pod_name pod_name k8s_pod pod.name "
    "pod " + _otel("pod.name"),
    "container": "kubernetes.container.name kubernetes.container_name kubernetes_container_name "
    "container.name docker.container.name container_name containerName CONTAINER_NAME " +
    _otel("container.name"),
    "node": "kubernetes.node.name kubernetes.host kubernetes_host node_name " + _otel("node.name"),
    "owner": "kubernetes.deployment.name kubernetes.statefulset.name kubernetes.daemonset.name "
    "kubernetes.cronjob.name " +
    _otel("deployment.name", "statefulset.name", "daemonset.name", "cronjob.name"),
    "made": "kubernetes.replicaset.name kubernetes.job.name " +
    _otel("replicaset.name", "job.name"),
    "app": "kubernetes.labels.app.kubernetes.io/name kubernetes.labels.app_kubernetes_io/name "
    "kubernetes.labels.app_kubernetes_io_name kubernetes.labels.k8s-app kubernetes.labels.app "
    "container.labels.com_docker_swarm_service_name "
    "container.labels.com_docker_compose_service container.labels.com.docker.swarm.service.name "
    "container.labels.com.docker.compose.service "
    "docker.container.labels.com_docker_compose_service",
}


class PlacePlan(NamedTuple):
    """Where to look for each name, and the same for what a workload may be read off."""

    namespace: Ways
    pod: Ways
    container: Ways
    node: Ways
    owner: Ways
    made: Ways
    app: Ways


class Place(NamedTuple):
    """Names in Kubernetes, "" where the document does not tell."""

    namespace: str = ""
    workload: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""


NOWHERE = Place()

_shapes = Shapes(_MEANINGS, lambda ways: PlacePlan(**ways))
_owners: Dict[Tuple[str, str], str] = {}


def place_of(source: Dict[str, Any], elsewhere: Optional[PlacePlan]) -> Place:
    """The place that the document `source` names; `elsewhere` is where it may be named but in the
    object `kubernetes`, None for nowhere.
    """
    meta = source.get("kubernetes")
    if type(meta) is dict:
        found = _of(meta, _shapes.of(meta))
        if found is not NOWHERE:
            return found
    return NOWHERE if elsewhere is None else _of(source, elsewhere)


def elsewhere_of(ways: Mapping[str, Ways], prefix: str) -> Optional[PlacePlan]:
    """The plan for a document of which `ways` are those for the meanings ELSEWHERE, each behind
    `prefix`.
    """
    plan = PlacePlan(**{name: ways[prefix + name] for name in ELSEWHERE})
    return plan if plan.namespace or plan.pod or plan.container else None


def _of(source: Dict[str, Any], plan: PlacePlan) -> Place:
    pod = first(source, plan.pod) if plan.pod else ""
    namespace = first(source, plan.namespace) if plan.namespace else ""
    container = first(source, plan.container) if plan.container else ""
    if not pod and not namespace and not container:
        return NOWHERE
    node = first(source, plan.node) if plan.node else ""
    workload = first(source, plan.owner) if plan.owner else ""
    if not workload:
        made = first(source, plan.made) if plan.made else ""
        if made:
            workload = _owner(made + "-bcdfg", "")  # as its pod would be called
        elif pod:
            workload = _owner(pod, node)
        workload = workload or first(source, plan.app)
    if container[:1] == "/":
        container = container.lstrip("/")  # as Docker writes names
    if len(pod) + len(namespace) + len(container) + len(node) + len(workload) > _MAX_NAME:
        return Place(*(text[:_MAX_NAME] for text in (namespace, workload, pod, container, node)))
    return tuple.__new__(Place, (namespace, workload, pod, container, node))


def _owner(pod: str, node: str) -> str:
    known = _owners.get((pod, node))
    if known is None:
        known = owner_of_pod(pod, node) or ""
        if len(_owners) >= _MAX_OWNERS:
            _owners.clear()
        if len(pod) <= _MAX_NAME and len(node) <= _MAX_NAME:
            _owners[(pod, node)] = known
    return known

"""Where in Kubernetes a document comes from: as filebeat, fluentd, fluent-bit, OpenTelemetry and
Docker write it.

Leaves deriving an owner from a pod's name to `intake.grouping`, so that an alert and an error of
one workload name it alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from selfheal.intake.documents.shapes import Shapes, Ways, first
from selfheal.intake.grouping import owner_of_pod

_MAX_NAME = 253
_MAX_OWNERS = 5000
_MAX_PLACES = 10_000
_MAX_SEEN = 1000  # characters of names that are kept

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
    """Where to look for each name, and the same for what a workload may be read off; `likely` are
    the best (key, rest) of each name that `named` lists.
    """

    namespace: Ways
    pod: Ways
    container: Ways
    node: Ways
    owner: Ways
    made: Ways
    app: Ways
    named: str
    likely: Tuple[Tuple[str, str], ...]


# Namespace, workload, pod, container, node; "" where the document does not tell. A plain tuple, as
# it is taken apart for each document.
Place = Tuple[str, str, str, str, str]
NOWHERE: Place = ("", "", "", "", "")


def _plan(ways: Mapping[str, Ways]) -> PlacePlan:
    asked = ["namespace", "pod", "container", "node", "owner" if ways["owner"] else "made"]
    named = [name for name in asked if ways[name]]
    return PlacePlan(
        named=" ".join(named), likely=tuple(ways[name][0][:2] for name in named), **ways
    )


_shapes = Shapes(_MEANINGS, _plan)
# By what lies at the likely places: a pod logs more than one line.
_places: Dict[Tuple[str, Tuple[Any, ...]], Place] = {}
_known_owner = lru_cache(maxsize=_MAX_OWNERS)(owner_of_pod)


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
    plan = _plan({name: ways[prefix + name] for name in ELSEWHERE})
    return plan if plan.namespace or plan.pod or plan.container else None


def _of(source: Dict[str, Any], plan: PlacePlan) -> Place:
    try:
        found = [source[key][rest] if rest else source[key] for key, rest in plan.likely]
        seen = plan.named, tuple(found)
        known = _places.get(seen)
    except (KeyError, TypeError):  # a name lies elsewhere, or is none
        return _with_app(_without_app(source, plan), source, plan)
    if known is None:
        known = _without_app(source, plan)
        # Then it follows from these names alone, as each of them was the first to be asked.
        if all(type(name) is str and name.strip() for name in found):
            if len(_places) >= _MAX_PLACES:
                _places.clear()
            if sum(map(len, found)) <= _MAX_SEEN:
                _places[seen] = known
    return known if known[1] else _with_app(known, source, plan)


def _without_app(source: Dict[str, Any], plan: PlacePlan) -> Place:
    pod = first(source, plan.pod)
    namespace = first(source, plan.namespace)
    container = first(source, plan.container)
    if not pod and not namespace and not container:
        return NOWHERE
    node = first(source, plan.node)
    workload = first(source, plan.owner)
    if not workload:
        made = first(source, plan.made)
        if made:
            workload = _owner(made + "-bcdfg", "")  # as its pod would be called
        elif pod:
            workload = _owner(pod, node)
    if container[:1] == "/":
        container = container.lstrip("/")  # as Docker writes names
    return (
        namespace[:_MAX_NAME],
        workload[:_MAX_NAME],
        pod[:_MAX_NAME],
        container[:_MAX_NAME],
        node[:_MAX_NAME],
    )


def _with_app(place: Place, source: Dict[str, Any], plan: PlacePlan) -> Place:
    """`place` with the label of its application where no workload is known."""
    namespace, workload, pod, container, node = place
    if workload or place is NOWHERE:
        return place
    return namespace, first(source, plan.app)[:_MAX_NAME], pod, container, node


def _owner(pod: str, node: str) -> str:
    longest = _MAX_NAME + 1  # what is longer is no name, and is not kept
    return _known_owner(pod[:longest], node[:longest]) or ""

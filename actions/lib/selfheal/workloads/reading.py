"""One workload read from its cluster: found by name, looked at with all that belongs to it.

What belongs to it is told by who controls it (uid), not by labels, which two workloads may share.
Only reading; a right that is missing for what is not essential leaves that part unknown.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, FrozenSet, List, Optional, Sequence, Set, Tuple

from selfheal.apis.kubernetes.failures import Forbidden, Missing
from selfheal.apis.kubernetes.paths import checked_name, checked_namespace
from selfheal.exceptions import InvalidInput, Refused
from selfheal.workloads import others, owners, pods, services, shape
from selfheal.workloads.model import Ref, Thresholds
from selfheal.workloads.picture import (
    Neighbours,
    Picture,
    findings,
    health,
    labels_of_pods,
    lasting,
    sees,
)

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client

__all__ = [
    "KINDS", "Picture", "find", "findings", "health", "lasting", "look", "look_for", "sees",
]

# What a name alone may mean; a pod only when nothing else is called so.
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")
KINDS = (*_WORKLOADS, "ReplicaSet", "Pod", "Node", "Service", "PersistentVolumeClaim")
_NEIGHBOURS = ("Service", "PersistentVolumeClaim")
_MOST_NODES = 10  # asked about, of those on which pods are not ready


def find(client: Client, namespace: str, name: str, kind: str = "") -> Ref:
    """The one object that is meant by `name` (and `kind`, as the API writes kinds).

    Raises Missing when there is none, Refused when several kinds have the name, InvalidInput for
    what is no name, and what the client raises.
    """
    checked_name(name)
    if kind == "Node":
        client.get(client.path("Node", "", name))
        return Ref("Node", "", name)
    checked_namespace(namespace)
    if kind and kind not in KINDS:
        raise InvalidInput("%r is none of the kinds %s" % (kind[:80], ", ".join(KINDS)))
    if kind:
        client.get(client.path(kind, namespace, name))
        return Ref(kind, namespace, name)
    found, refusal = _kinds_with(client, namespace, name, _WORKLOADS)
    if not found:
        found, more = _kinds_with(client, namespace, name, ("ReplicaSet", "Pod"))
        refusal = refusal or more
    if len(found) > 1:
        raise Refused(
            "%s is the name of %s in namespace %s: say which kind is meant"
            % (name, " and ".join("a " + one for one in found), namespace)
        )
    if found:
        return Ref(found[0], namespace, name)
    if refusal is not None:
        raise refusal
    raise Missing(
        "no %s in namespace %s of cluster %s is named %s: check the name and the namespace"
        % (", ".join((*_WORKLOADS, "ReplicaSet")) + " or Pod", namespace, client.name, name)
    )


def _kinds_with(
    client: Client, namespace: str, name: str, kinds: Sequence[str]
) -> Tuple[List[str], Optional[Forbidden]]:
    found, refusal = [], None
    for kind in kinds:
        try:
            client.get(client.path(kind, namespace, name))
            found.append(kind)
        except Missing:
            continue
        except Forbidden as error:
            refusal = refusal or error
    return found, refusal


def look_for(
    client: Client, named: Ref, now: Optional[float] = None, with_neighbours: bool = False
) -> Picture:
    """`look` at what somebody named, whose kind may be empty (see `find`) or one that this pack
    does not read: of that the pods are looked at.

    Raises as these two do, and InvalidInput for such a kind without pods.
    """
    is_foreign = bool(named.kind) and named.kind not in KINDS
    ref = named if is_foreign else find(client, named.namespace, named.name, named.kind)
    if is_foreign:
        checked_namespace(named.namespace)
    picture = look(client, ref, now, with_neighbours)
    if is_foreign and not picture.pods:
        raise InvalidInput("%s has no pods, and what it is itself cannot be read" % ref)
    return picture


def look(
    client: Client, ref: Ref, now: Optional[float] = None, with_neighbours: bool = False
) -> Picture:
    """`ref` with its pods, revisions and jobs, as they are now; `with_neighbours` also the
    services, claims and autoscalers around it. The thresholds are those of the client's target.

    Raises Missing when it is not there, and what the client raises.
    """
    at = time.time() if now is None else now
    thresholds = Thresholds.from_settings(client.settings)
    workload = client.get(client.path(ref.kind, ref.namespace, ref.name)) if _is_known(ref) else {}
    if ref.kind == "Node":
        return Picture(ref, workload, (), at, thresholds)
    # Pods first: whatever made one of them is there when it is asked for next.
    candidates = _candidates(client, ref, workload)
    uid = shape.text(shape.metadata(workload), "uid")
    uids = {uid} if uid else set()
    replica_sets = _controlled(client, ref, workload, "ReplicaSet", uid, ("Deployment",))
    revisions = _controlled(
        client, ref, workload, "ControllerRevision", uid, ("StatefulSet", "DaemonSet")
    )
    jobs = _controlled(client, ref, {}, "Job", uid, ("CronJob",))
    if ref.kind == "Job":
        jobs = [workload]
    makers = uids | {shape.text(shape.metadata(one), "uid") for one in (*replica_sets, *jobs)}
    picture = Picture(
        ref,
        workload,
        tuple(pod for pod in candidates if _belongs(pod, ref, workload, makers)),
        at,
        thresholds,
        _get(client, "Namespace", "", ref.namespace),
        tuple(replica_sets),
        tuple(revisions),
        tuple(jobs),
    )
    picture = replace(picture, lost_nodes=_lost_nodes(client, picture))
    if with_neighbours or ref.kind in _NEIGHBOURS:
        picture = replace(picture, neighbours=_neighbours(client, picture))
    return picture


def _is_known(ref: Ref) -> bool:
    """Whether this pack reads the kind; of what another operator made only the pods are read."""
    return ref.kind in KINDS


def _candidates(client: Client, ref: Ref, workload: Any) -> List[Any]:
    if ref.kind == "Pod":
        return [workload]
    query = {}
    if ref.kind == "CronJob":
        query = {"labelSelector": "job-name"}
    elif ref.kind == "Service":
        query = {"labelSelector": _of_labels(shape.mapping(workload, "spec", "selector"))}
    elif workload and ref.kind != "PersistentVolumeClaim":
        query = {"labelSelector": selector_of(workload)}
    return client.items(client.collection("Pod", ref.namespace), query)


def _controlled(
    client: Client, ref: Ref, workload: Any, kind: str, uid: str, kinds: Sequence[str]
) -> List[Any]:
    """The objects of `kind` that `ref` controls, when its kind is one of `kinds`."""
    if ref.kind not in kinds:
        return []
    query = {"labelSelector": selector_of(workload)} if workload else {}
    found = client.items(client.collection(kind, ref.namespace), query)
    return [one for one in found if _controller_uid(one) == uid]


def _controller_uid(value: Any) -> str:
    controller = owners.controller_of(value)
    return controller[2] if controller is not None else ""


def _belongs(pod: Any, ref: Ref, workload: Any, makers: Set[str]) -> bool:
    if ref.kind == "Pod":
        return True
    if ref.kind == "Service":
        return services.selects(workload, shape.labels(pod))
    if ref.kind == "PersistentVolumeClaim":
        return ref.name in others.claims_of(pod)
    if not workload:
        return owners.of_pod(pod) == ref
    uid = _controller_uid(pod)
    return bool(uid) and uid in makers


def selector_of(workload: Any) -> str:
    """`spec.selector` of a workload as a query writes it; empty when it has none."""
    selector = shape.mapping(workload, "spec", "selector")
    parts = [_of_labels(shape.mapping(selector, "matchLabels"))]
    for one in shape.mappings(selector, "matchExpressions"):
        key, operator = shape.text(one, "key"), shape.text(one, "operator")
        values = one.get("values")
        among = ",".join(map(str, values)) if isinstance(values, list) else ""
        written = {
            "In": "%s in (%s)" % (key, among),
            "NotIn": "%s notin (%s)" % (key, among),
            "Exists": key,
            "DoesNotExist": "!" + key,
        }
        parts.append(written.get(operator, ""))
    return ",".join(part for part in parts if part)


def _of_labels(labels: shape.Json) -> str:
    return ",".join("%s=%s" % pair for pair in sorted(labels.items()))


def _lost_nodes(client: Client, picture: Picture) -> FrozenSet[str]:
    from selfheal.workloads import nodes

    briefs = [pods.brief(pod) for pod in picture.pods]
    suspects = sorted({one.node for one in briefs if one.node and not one.is_ready})
    lost = set()
    for name in suspects[:_MOST_NODES]:
        try:
            if nodes.is_lost(client.get(client.path("Node", "", name))):
                lost.add(name)
        except Missing:
            lost.add(name)
        except (Forbidden, InvalidInput):
            break
    return frozenset(lost)


def _neighbours(client: Client, picture: Picture) -> Neighbours:
    """What stands around the workload, as far as it may be read."""
    namespace = picture.ref.namespace

    def all_of(kind: str) -> Optional[Tuple[Any, ...]]:
        found = _or_none(lambda: client.items(client.collection(kind, namespace)))
        return None if found is None else tuple(found)

    return Neighbours(
        _services(client, picture, all_of("Service")),
        _claims(picture, all_of("PersistentVolumeClaim")),
        all_of("HorizontalPodAutoscaler"),
    )


def _services(
    client: Client, picture: Picture, found: Optional[Sequence[Any]]
) -> Optional[Tuple[Tuple[Any, Any], ...]]:
    """The services that may send to the workload's pods, with their Endpoints."""
    if found is None:
        return None
    labels = labels_of_pods(picture)
    behind = []
    for service in found:
        ref = Ref("Service", *shape.place(service))
        if picture.ref == ref or any(services.selects(service, one) for one in labels):
            try:
                endpoints = client.get(client.path("Endpoints", ref.namespace, ref.name))
            except Missing:
                endpoints = {}
            except Forbidden:
                return None
            behind.append((service, endpoints))
    return tuple(behind)


def _claims(picture: Picture, found: Optional[Sequence[Any]]) -> Optional[Tuple[Any, ...]]:
    """The claims that the workload's pods use."""
    if found is None:
        return None
    used = {name for pod in picture.pods for name in others.claims_of(pod)}
    if picture.ref.kind == "PersistentVolumeClaim":
        used.add(picture.ref.name)
    return tuple(one for one in found if shape.place(one)[1] in used)


def _get(client: Client, kind: str, namespace: str, name: str) -> Any:
    """The object, None when it may not be read or is not there."""
    return _or_none(lambda: client.get(client.path(kind, namespace, name)))


def _or_none(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (Forbidden, Missing):
        return None

"""What an operation is done on: the incident's own workload or node, found, looked at, and allowed.

Nothing from outside chooses it but the incident's place, which must be a name that Kubernetes
allows. What is protected is refused here, whatever is to be done with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, FrozenSet, Mapping, Optional, Sequence

from selfheal.apis.kubernetes import paths
from selfheal.config import DEFAULT_TARGET
from selfheal.exceptions import InvalidInput, Refused
from selfheal.records import dataclass
from selfheal.remedy import values
from selfheal.remedy.kubernetes import operations
from selfheal.text import one_line
from selfheal.workloads import owners, protect, reading, rollouts, shape
from selfheal.workloads.model import Health, Ref
from selfheal.workloads.picture import briefs_of, health

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context
    from selfheal.remedy.model import KubernetesAct
    from selfheal.workloads.model import Thresholds
    from selfheal.workloads.picture import Picture

_NODE = "Node"


@dataclass(frozen=True)
class Target:
    """A workload as it is now, or a node. `pod` is the only pod that is meant, when it is one;
    `alert_type` is the incident's.
    """

    client: Client
    ref: Ref
    now: float
    picture: Optional[Picture] = None
    node: Optional[Mapping[str, Any]] = None
    pod: str = ""
    alert_type: str = ""
    clock: Any = None

    @property
    def workload(self) -> Mapping[str, Any]:
        assert self.picture is not None
        return self.picture.workload

    @property
    def pods(self) -> Sequence[Mapping[str, Any]]:
        return () if self.picture is None else self.picture.pods

    @property
    def health(self) -> Optional[Health]:
        return None if self.picture is None else health(self.picture)

    @property
    def thresholds(self) -> Thresholds:
        assert self.picture is not None
        return self.picture.thresholds

    def again(self) -> Target:
        """The same as it is now. Raises Missing when it is gone."""
        picture = reading.look(self.client, self.ref, self.clock.now())
        return replace(self, picture=picture, now=picture.at)

    def of_node(self, name: str) -> Target:
        """The node `name`, on which pods of this workload run. Raises Refused when protected."""
        return _on_node(self.client, name, self.clock)

    def replica_sets(self) -> Sequence[Mapping[str, Any]]:
        """The workload's ReplicaSets."""
        assert self.picture is not None
        return self.picture.replica_sets

    def revisions(self) -> Sequence[Mapping[str, Any]]:
        """The workload's ControllerRevisions."""
        assert self.picture is not None
        return self.picture.controller_revisions

    def fine_revision(self) -> str:
        """The name of the earlier revision (ReplicaSet, ControllerRevision) that is known to be
        fine; empty when none is.
        """
        assert self.picture is not None
        briefs, _ = briefs_of(self.picture)
        revisions = self.picture.revisions
        fine = rollouts.to_go_back_to(
            self.workload, self.ref, briefs, revisions, self.thresholds
        )
        return fine.name if fine else ""

    def sick_pods(self) -> FrozenSet[str]:
        """The names of its pods that something is wrong with."""
        assert self.picture is not None
        return frozenset(one.pod for one in briefs_of(self.picture)[1])

    def refuse_owned(self) -> None:
        """Raises Refused when something else made the workload, and would make it so again."""
        controller = owners.controller_of(self.workload)
        if controller is not None:
            raise Refused(
                "%s is made by %s %s, which would undo this; change it there"
                % (self.ref, controller[0], controller[1])
            )

    def why_pod_not(self, pod: Mapping[str, Any]) -> str:
        """Why this pod, or its workload by now, is not to be touched, or empty."""
        namespace = None if self.picture is None else self.picture.namespace
        objects = (self.workload, pod)
        return protect.why_not(self.ref, _protection(self.client), namespace, objects)

    def refuse_protected(self, *objects: Mapping[str, Any]) -> None:
        """Raises Refused when the target's namespace or one of `objects` is protected."""
        namespace = None if self.picture is None else self.picture.namespace
        why_not = protect.why_not(self.ref, _protection(self.client), namespace, objects)
        if why_not:
            raise Refused("%s is not touched: %s" % (self.ref, why_not))


def locate(ctx: Context, client: Client, about: Any, act: KubernetesAct) -> Target:
    """The target of `act` for `about` (an incident, or a deed of the guard), as it is now. Raises
    Refused when it is protected or `act` is not for its kind, InvalidInput when its place is no
    name, and what the cluster's API raises.
    """
    where = values.workload_of(about)
    operation = operations.operation_of(act)
    _refuse_other_cluster(client, where["cluster"])
    if where["kind"] == _NODE:
        _refuse_kind(operation, _NODE)
        try:
            paths.checked_name(where["name"])
        except InvalidInput as error:
            raise Refused(str(error)) from error
        return _on_node(client, where["name"], ctx.clock)
    if not where["namespace"] or not where["name"]:
        raise Refused(
            "the incident names no workload (namespace %r, workload %r), so there is nothing to "
            "change" % (about.namespace or "", about.workload or "")
        )
    try:
        refuse_place(client, where["namespace"])
        paths.checked_name(where["name"])
    except InvalidInput as error:
        raise Refused(str(error)) from error
    pod = where["name"] if where["kind"] == "Pod" else ""
    if pod:
        _refuse_kind(operation, "Pod")
        ref = _owner_of(client, where["namespace"], pod)
    else:
        try:
            ref = reading.find(client, where["namespace"], where["name"], where["kind"])
        except InvalidInput as error:
            raise Refused(str(error)) from error
    if ref.kind == "Pod":
        raise Refused("pod %s has no controller that would replace it" % ref.name)
    _refuse_kind(operation, ref.kind)
    target = reached(client, ref, ctx.clock, is_whole=operation.name not in operations.OF_PODS)
    return replace(target, pod=pod, alert_type=str(about.alert_type))


def reached(client: Client, ref: Ref, clock: Any, is_whole: bool = True) -> Target:
    """The workload `ref` as it is now; `is_whole` when all its pods will be touched. Raises Refused
    when it is protected.
    """
    refuse_place(client, ref.namespace)
    picture = reading.look(client, ref, clock.now())
    target = Target(client, ref, picture.at, picture, clock=clock)
    target.refuse_protected(target.workload, *(target.pods if is_whole else ()))
    if shape.is_deleting(target.workload):
        raise Refused("%s is being deleted" % ref)
    if shape.is_deleting(picture.namespace):
        raise Refused("namespace %s is being deleted, and nothing new begins there" % ref.namespace)
    controller = owners.controller_of(target.workload)
    if controller is not None and is_whole and ref.kind == "ReplicaSet":
        raise Refused("%s belongs to %s %s, which decides" % (ref, controller[0], controller[1]))
    return target


def refuse_place(client: Client, namespace: str) -> None:
    """Raises Refused when `namespace` is protected by its name or not one of the target's, before
    anything in it is asked for; InvalidInput when it is no name.
    """
    paths.checked_namespace(namespace)
    if protect.is_protected_namespace(namespace, _protection(client)):
        raise Refused("namespace %s is protected: nothing in it is touched" % namespace)
    served = client.settings.get("namespaces")
    if served and namespace not in served:
        raise Refused(
            "namespace %s is none of kubernetes.namespaces (%s)" % (namespace, ", ".join(served))
        )


def refuse_object(client: Client, ref: Ref, live: Mapping[str, Any]) -> None:
    """Raises Refused when the object `live`, called `ref`, or its namespace is protected."""
    namespace: Optional[Mapping[str, Any]] = None
    if ref.namespace:
        refuse_place(client, ref.namespace)
        namespace = client.get(paths.path("Namespace", name=ref.namespace))
    why_not = protect.why_not(ref, _protection(client), namespace, (live,))
    if why_not:
        raise Refused("%s is not touched: %s" % (ref, why_not))


def _on_node(client: Client, name: str, clock: Any) -> Target:
    ref = Ref(_NODE, "", name)
    node = client.get(paths.path(_NODE, name=name))
    target = Target(client, ref, clock.now(), node=node, clock=clock)
    target.refuse_protected(node)
    return target


def _owner_of(client: Client, namespace: str, name: str) -> Ref:
    """The workload that the pod belongs to; the pod itself when no controller has made it."""
    pod = client.get(paths.path("Pod", namespace, name))
    return owners.of_pod(pod)


def _refuse_other_cluster(client: Client, cluster: str) -> None:
    """Raises Refused when the only target there is has another cluster's name: what is looked at
    there by mistake does no harm, what is changed does.
    """
    if cluster and client.name not in (cluster, DEFAULT_TARGET):
        raise Refused(
            "the incident is of cluster %s, and the only Kubernetes target is %s; call that target "
            "%s or default if it is the one that is meant"
            % (one_line(repr(cluster), 80), client.name, one_line(cluster, 80))
        )


def _refuse_kind(operation: operations.Operation, kind: str) -> None:
    if kind not in operation.kinds:
        raise Refused(
            "%s is for %s, not for a %s"
            % (operation.name, ", ".join(operation.kinds), kind or "thing without a kind")
        )


def _protection(client: Client) -> protect.Protection:
    return protect.of_settings(client.settings)

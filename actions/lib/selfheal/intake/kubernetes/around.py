"""What has to be known before pods and workloads can be judged: who is annotated out, which nodes
are lost, whose jobs are whose, and which services and claims wait for somebody.
"""

from __future__ import annotations

from dataclasses import field
from typing import (
    TYPE_CHECKING,
    Any,
    Collection,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Sequence,
    Set,
    Tuple,
)

from selfheal.exceptions import ConfigError
from selfheal.intake.kubernetes.listing import Lists, Object
from selfheal.records import dataclass
from selfheal.workloads import nodes, others, owners, protect, services, shape
from selfheal.workloads.model import Finding, Ref, Thresholds

if TYPE_CHECKING:
    from selfheal.workloads.others import Ended

# A field selector takes so many names of namespaces; more are left out when they have come.
_MOST_EXCLUDED = 50
_PENDING = ("Pending", "Lost")


class Scope(NamedTuple):
    """What of a cluster is looked at: `namespaces`, "" alone for all that are not protected, and
    the objects that `selector` chooses.
    """

    namespaces: Tuple[str, ...]
    selector: str
    protection: protect.Protection

    @property
    def is_all(self) -> bool:
        """Whether all namespaces are meant and none is named."""
        return self.namespaces == ("",)

    def query(self, more_fields: Sequence[str] = (), is_labelled: bool = False) -> Dict[str, str]:
        """What the server is to leave out of a list."""
        fields = list(more_fields)
        if self.is_all:
            plain = [one for one in self.protection.namespaces if one.replace("-", "").isalnum()]
            named = [one for one in dict.fromkeys([*plain, self.protection.own_namespace]) if one]
            fields += ["metadata.namespace!=%s" % one for one in named[:_MOST_EXCLUDED]]
        found = {"fieldSelector": ",".join(fields)} if fields else {}
        if is_labelled and self.selector:
            found["labelSelector"] = self.selector
        return found

    def has(self, value: Any) -> bool:
        """Whether an object that came is one to look at: what is protected is not, unless its
        namespace was named.
        """
        if not self.is_all:
            return True
        namespace = shape.text(shape.metadata(value), "namespace")
        return not (namespace and protect.is_protected_namespace(namespace, self.protection))


def scope_of(settings: Mapping[str, Any]) -> Scope:
    """What the completed `settings` of a target name. Raises ConfigError."""
    named = settings.get("namespaces")
    if not isinstance(named, (list, tuple)) or not all(isinstance(one, str) for one in named):
        raise ConfigError("kubernetes.namespaces must be a list of names, not %r" % (named,))
    return Scope(
        tuple(dict.fromkeys(named)) or ("",),
        str(settings.get("label_selector") or "").strip(),
        protect.of_settings(settings),
    )


@dataclass
class Around:
    """What was read. Of services and claims only those are kept that wait for somebody; `endpoints`
    are theirs.
    """

    ignored: Set[Ref] = field(default_factory=set)
    ignored_namespaces: Set[str] = field(default_factory=set)
    lost_nodes: Set[str] = field(default_factory=set)
    of_nodes: List[Finding] = field(default_factory=list)
    jobs: Dict[str, str] = field(default_factory=dict)
    ends: List[Ended] = field(default_factory=list)
    empty_services: List[Object] = field(default_factory=list)
    endpoints: Dict[Tuple[str, str], List[Object]] = field(default_factory=dict)
    waiting_claims: List[Object] = field(default_factory=list)

    def is_ignored(self, owner: Ref) -> bool:
        """Whether people want nothing to be said of `owner`."""
        return owner in self.ignored or owner.namespace in self.ignored_namespaces

    def keep_marks(self, before: Around, complete: Collection[str]) -> None:
        """Where what people have annotated out could not be read now, it is as it was."""
        if "Namespace" not in complete:
            self.ignored_namespaces |= before.ignored_namespaces
        self.ignored |= {ref for ref in before.ignored if ref.kind not in complete}

    def keep_known(self, before: Around, complete: Collection[str]) -> None:
        """The same for whose jobs are whose and which nodes are lost: else a list that fails once
        would make their pods somebody else's, or sick.
        """
        if "Job" not in complete:
            self.jobs = {**before.jobs, **self.jobs}
        if "Node" not in complete:
            self.lost_nodes |= before.lost_nodes

    def marked(self, ref: Ref, value: Any) -> None:
        """Remember whether the object `value`, called `ref`, is annotated out."""
        if protect.is_ignored(value):
            self.ignored.add(ref)


def read(
    lists: Lists, scope: Scope, now: float, thresholds: Thresholds, before: Around
) -> Around:
    """Read all that. What cannot be read is told by `lists`; what the look `before` knew of it
    counts on.
    """
    found = Around()
    _namespaces(lists, scope, found)
    _nodes(lists, found, now, thresholds)
    _jobs(lists, scope, found)
    _services(lists, scope, found)
    _claims(lists, scope, found)
    found.keep_known(before, lists.complete)
    return found


def _namespaces(lists: Lists, scope: Scope, found: Around) -> None:
    def mark(value: Object) -> Sequence[str]:
        return [shape.place(value)[1]] if protect.is_ignored(value) else []

    if scope.is_all:
        found.ignored_namespaces.update(lists.read("Namespace", mark))
        return
    for name in scope.namespaces:
        value = lists.get("Namespace", name)
        if value is not None:
            found.ignored_namespaces.update(mark(value))
    lists.was_read("Namespace")


def _nodes(lists: Lists, found: Around, now: float, thresholds: Thresholds) -> None:
    def judge(node: Object) -> Sequence[Finding]:
        if nodes.is_lost(node):
            found.lost_nodes.add(shape.place(node)[1])
        found.marked(nodes.ref_of(node), node)
        return nodes.findings_of(node, now, thresholds)

    found.of_nodes = lists.read("Node", judge)


def _jobs(lists: Lists, scope: Scope, found: Around) -> None:
    wanted = chosen(lists, scope, "Job")

    def judge(job: Object) -> Sequence[Ended]:
        if not scope.has(job):
            return ()
        namespace, name = shape.place(job)
        owner = owners.of_workload(job, "Job")
        if owner.kind == "CronJob":
            found.jobs["%s/%s" % (namespace, name)] = owner.name
        else:
            found.marked(owner, job)
        is_wanted = wanted is None or (namespace, name) in wanted
        end = others.ended(job) if is_wanted and not protect.is_ignored(job) else None
        return () if end is None else (end,)

    def mark(cron_job: Object) -> Sequence[None]:
        found.marked(owners.of_workload(cron_job, "CronJob"), cron_job)
        return ()

    found.ends = lists.read("Job", judge, scope.query())
    lists.read("CronJob", mark, scope.query())


def _services(lists: Lists, scope: Scope, found: Around) -> None:
    ready: Set[Tuple[str, str]] = set()

    def count(endpoints: Object) -> Sequence[Object]:
        if services.ready_addresses([endpoints]) > 0:
            ready.add(shape.place(endpoints))
            return ()
        return (endpoints,)

    def keep(service: Object) -> Sequence[Object]:
        is_empty = scope.has(service) and shape.place(service) not in ready
        is_wanted = services.is_served(service) and not protect.is_ignored(service)
        return (service,) if is_empty and is_wanted else ()

    empty = lists.read("Endpoints", count, scope.query())
    if "Endpoints" not in lists.complete:
        return  # whose addresses did not come is not known to have none
    found.empty_services = lists.read("Service", keep, scope.query(is_labelled=True))
    names = {shape.place(service) for service in found.empty_services}
    for one in empty:
        if shape.place(one) in names:
            found.endpoints.setdefault(shape.place(one), []).append(one)


def _claims(lists: Lists, scope: Scope, found: Around) -> None:
    def keep(claim: Object) -> Sequence[Object]:
        if not scope.has(claim) or protect.is_ignored(claim):
            return ()
        phase = shape.text(shape.mapping(claim, "status"), "phase")
        return (claim,) if phase in _PENDING else ()

    found.waiting_claims = lists.read("PersistentVolumeClaim", keep, scope.query(is_labelled=True))


def chosen(lists: Lists, scope: Scope, kind: str) -> Any:
    """The (namespace, name) of those that the setting's labels choose; None when it chooses all.

    The others are read as well, for they own pods that it chooses and may be annotated out.
    """
    if not scope.selector:
        return None
    return set(lists.read(kind, lambda one: [shape.place(one)], scope.query(is_labelled=True)))

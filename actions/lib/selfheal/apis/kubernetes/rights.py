"""Which rights the pack uses in a cluster, as data: what each level of autonomy asks the API.

`manifests/rbac.yaml` grants them, `check_config` asks the server which of them are missing. A
request that the code makes and this table lacks is a defect.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Tuple

OBSERVE, HEAL, NODES = "observe", "heal", "nodes"
LEVELS: Dict[str, str] = {
    OBSERVE: "see what is wrong",
    HEAL: "mend workloads",
    NODES: "cordon nodes after a person's yes",
}
_CLUSTER_WIDE = ("namespaces", "nodes")


class Right(NamedTuple):
    """`verb` on a resource, as RBAC writes it; `subresource` is "" for the object itself."""

    level: str
    group: str
    resource: str
    subresource: str
    verb: str

    @property
    def is_namespaced(self) -> bool:
        return self.resource not in _CLUSTER_WIDE

    @property
    def resource_words(self) -> str:
        """pods, pods/eviction, deployments.apps"""
        plural = "%s.%s" % (self.resource, self.group) if self.group else self.resource
        return "%s/%s" % (plural, self.subresource) if self.subresource else plural


# (level, group, resources, verbs); a resource with / names a subresource.
_ROWS: Tuple[Tuple[str, str, str, str], ...] = (
    (OBSERVE, "", "namespaces nodes", "get list"),
    (OBSERVE, "", "pods", "get list watch"),
    (OBSERVE, "", "pods/log", "get"),
    (OBSERVE, "", "services endpoints persistentvolumeclaims", "get list"),
    (OBSERVE, "", "events", "list"),
    (OBSERVE, "apps", "deployments statefulsets daemonsets replicasets", "get list"),
    (OBSERVE, "apps", "controllerrevisions", "list"),
    (OBSERVE, "batch", "jobs cronjobs", "get list"),
    (OBSERVE, "autoscaling", "horizontalpodautoscalers", "get list"),
    (HEAL, "", "pods", "delete"),
    (HEAL, "", "pods/eviction", "create"),
    (HEAL, "apps", "deployments statefulsets daemonsets replicasets", "patch"),
    (HEAL, "autoscaling", "horizontalpodautoscalers", "create patch delete"),
    (NODES, "", "nodes", "patch"),
)


def _rights() -> List[Right]:
    found = []
    for level, group, resources, verbs in _ROWS:
        for one in resources.split():
            resource, _, subresource = one.partition("/")
            found += [Right(level, group, resource, subresource, verb) for verb in verbs.split()]
    return found


RIGHTS: Tuple[Right, ...] = tuple(_rights())


def of_level(level: str, watches: bool = True) -> List[Right]:
    """The rights of `level`; without those to watch unless `watches`."""
    return [one for one in RIGHTS if one.level == level and (watches or one.verb != "watch")]


def in_words(rights: Iterable[Right]) -> str:
    """`rights` on one line, by resource: "list, watch pods; patch deployments.apps"."""
    verbs: Dict[str, List[str]] = {}
    for one in rights:
        verbs.setdefault(one.resource_words, []).append(one.verb)
    return "; ".join("%s %s" % (", ".join(found), words) for words, found in verbs.items())

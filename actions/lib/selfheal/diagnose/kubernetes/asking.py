"""What a person names when asking about Kubernetes by hand: checked before anything is sent, and
made into what a diagnosis is about.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Dict, Optional

from selfheal.config import DEFAULT_TARGET
from selfheal.exceptions import InvalidInput
from selfheal.records import dataclass
from selfheal.text import one_line
from selfheal.workloads import named
from selfheal.workloads.subject import NODE

if TYPE_CHECKING:
    from selfheal.context import Context


@dataclass(frozen=True)
class About:
    """A place in a cluster, named as an incident names its own."""

    cluster: Optional[str]
    namespace: Optional[str]
    workload: Optional[str]
    labels: Dict[str, str] = field(default_factory=dict)
    instance: Optional[str] = None
    source: str = "manual"
    alert_type: str = "ByHand"


def about(ctx: Context, namespace: str, name: str, kind: str, cluster: str) -> About:
    """What is meant. Raises InvalidInput for what is no name or kind, NotFound for a cluster that
    is not configured.
    """
    from selfheal.apis.kubernetes import paths

    written = named.kind_of(kind)
    paths.checked_name(name)
    where = cluster_of(ctx, cluster)
    labels = {"workload_kind": written} if written else {}
    if written == NODE:
        return About(where, None, None, dict(labels, node=name), name)
    if not namespace:
        raise InvalidInput(
            "the namespace of %s is missing; only a node (kind=node) has none" % name
        )
    paths.checked_namespace(namespace)
    return About(where, namespace, name, labels)


def cluster_of(ctx: Context, cluster: str) -> Optional[str]:
    """The target that is meant, None for the only or default one. Who names one means that one."""
    if not cluster:
        return None
    named.check_cluster(ctx.config, cluster, one_line(repr(cluster), 80))
    return None if cluster == DEFAULT_TARGET else cluster

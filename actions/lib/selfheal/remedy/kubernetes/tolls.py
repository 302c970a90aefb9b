"""What an operation takes out of service while it is done: how many pods of the workload that do
their work, or nodes of the cluster, so that the guard can say whether enough stay.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from selfheal.apis.kubernetes import paths
from selfheal.apis.kubernetes.client import connect
from selfheal.exceptions import ConfigError, Refused
from selfheal.records import dataclass
from selfheal.remedy.kubernetes import autoscalers, operations
from selfheal.remedy.kubernetes import pods as podwork
from selfheal.remedy.kubernetes.target import Target, locate
from selfheal.remedy.model import KubernetesAct
from selfheal.workloads import nodes, shape

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.workloads.model import Health

_PERCENT = re.compile(r"([0-9]{1,3})%\Z")
_ROLLS = ("restart_workload", "rollback_workload", "set_resources")


@dataclass(frozen=True)
class Toll:
    """`takes` of the `healthy` among `total` of `group` are taken out of service; `keep` ("3" or
    "50%") of them must stay.
    """

    group: str
    healthy: int
    total: int
    takes: int
    keep: str


def toll(ctx: Context, act: KubernetesAct, about: Any) -> Toll:
    """What `act` for `about` (an incident, or a deed of the guard) would take now. Raises Refused
    when its target is protected or of another kind, and what the cluster's API raises.
    """
    client = connect(ctx, about.cluster)
    try:
        target = locate(ctx, client, about, act)
        if target.node is not None:
            return _of_nodes(target, act)
        health = target.health
        assert health is not None
        return Toll(
            "%s %s" % (client.name, target.ref),
            health.ready,
            max(health.desired, health.ready),
            _takes(target, act, health),
            str(client.settings["min_healthy"]),
        )
    finally:
        client.close()


def _takes(target: Target, act: KubernetesAct, health: Health) -> int:
    if act.do in _ROLLS:
        return min(health.ready, rolling(target.workload, target.ref.kind, health))
    if act.do in operations.OF_PODS:
        return _of_pods(target, act)
    if act.do == "scale_workload":
        options = dict(act.options)
        now = shape.replicas_wanted(target.workload)
        wanted = int(options["to"] if "to" in options else now + options["by"])
        return scaling(target.ref.kind, now, max(0, wanted), health.ready)
    if act.do == "apply_hpa":  # an autoscaler brings them down to its maximum at once
        return max(0, health.ready - autoscalers.most_of(dict(act.options), target.client.settings))
    return 0


def scaling(kind: str, now: int, wanted: int, ready: int) -> int:
    """How many of `ready` pods go when `now` replicas become `wanted`: those that do no work go
    first, but of a StatefulSet the last ones, however they are.
    """
    if kind == "StatefulSet":
        return min(ready, max(0, now - wanted))
    return max(0, ready - wanted)


def rolling(workload: Mapping[str, Any], kind: str, health: Health) -> int:
    """How many pods that do their work a rollout may take away at once, by the workload's own
    strategy: those that are missing already count against it.
    """
    spec = shape.mapping(workload, "spec")
    strategy = shape.mapping(spec, "strategy" if kind == "Deployment" else "updateStrategy")
    if shape.text(strategy, "type") == "Recreate":
        return health.ready
    limits = shape.mapping(strategy, "rollingUpdate")
    if kind == "StatefulSet":  # those that are missing may be later in its order than what it takes
        return max(1, _number(limits.get("maxUnavailable"), health.desired))
    if kind == "DaemonSet":
        most = _number(limits.get("maxUnavailable", 1), health.desired, is_rounded_up=True)
    else:
        most = _number(limits.get("maxUnavailable"), health.desired)
        if most == 0 and not _number(limits.get("maxSurge"), health.desired, is_rounded_up=True):
            most = 1  # as the controller does, which could not go on otherwise
    return max(0, health.ready - (health.desired - most))


def _number(value: Any, desired: int, is_rounded_up: bool = False) -> int:
    """A number of pods, or a share of those wanted: rounded as the controllers do."""
    found = _PERCENT.match(value) if isinstance(value, str) else None
    if found:
        hundredths = desired * int(found.group(1))
        return -(-hundredths // 100) if is_rounded_up else hundredths // 100
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _of_pods(target: Target, act: KubernetesAct) -> int:
    try:
        chosen = podwork.choose(target, dict(act.options))
    except podwork.Protected:
        raise
    except Refused:
        return 0  # there is nothing to take away; the operation itself says so
    return sum(1 for one in chosen if one.is_ready)


def _of_nodes(target: Target, act: KubernetesAct) -> Toll:
    assert target.node is not None
    client = target.client
    found = client.items(paths.collection("Node"))
    working: List[Dict[str, Any]] = [node for node in found if _takes_pods(node)]
    is_taken = act.do == "cordon_node" and _takes_pods(target.node)
    return Toll(
        "%s nodes" % client.name,
        len(working),
        len(found),
        int(is_taken),
        str(client.settings["min_ready_nodes"]),
    )


def refuse_last_nodes(target: Target) -> None:
    """Raises Refused when closing the target's node would leave fewer open than
    kubernetes.min_ready_nodes. The guard asks the same before cordon_node; a node that is closed on
    the way to something else is asked about here.
    """
    found = _of_nodes(target, KubernetesAct("cordon_node"))
    if found.takes and found.healthy - found.takes < _kept(found.keep, found.total):
        raise Refused(
            "%d of %d nodes take new pods, and with one closed fewer than %s would "
            "(kubernetes.min_ready_nodes)" % (found.healthy, found.total, found.keep)
        )


def _kept(keep: str, total: int) -> int:
    share = _PERCENT.match(keep)
    if share:
        return -(-total * int(share.group(1)) // 100)
    if not keep.isdigit():
        raise ConfigError(
            'kubernetes.min_ready_nodes must be a number or a share such as "75%%", not %r' % keep
        )
    return int(keep)


def _takes_pods(node: Mapping[str, Any]) -> bool:
    """Whether new pods may come to a node."""
    is_closed = shape.mapping(node, "spec").get("unschedulable") is True
    return not is_closed and not nodes.is_lost(node)

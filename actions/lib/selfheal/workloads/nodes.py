"""Is a node well: ready, and under no pressure. Pure: the node as the API gives it, the time."""

from __future__ import annotations

from typing import Any, Tuple

from selfheal.workloads import shape, states
from selfheal.workloads.model import Finding, Ref, Thresholds

# True is bad: the kubelet's own, and the permanent ones of the node problem detector.
_PRESSURES = (
    "MemoryPressure",
    "DiskPressure",
    "PIDPressure",
    "NetworkUnavailable",
    "KernelDeadlock",
    "ReadonlyFilesystem",
)
# An autoscaler marks so the nodes that it takes away.
_LEAVING = (
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
)


def ref_of(node: Any) -> Ref:
    """What a node's findings belong to."""
    return Ref("Node", "", shape.place(node)[1])


def is_lost(node: Any) -> bool:
    """Whether nothing on this node can be relied on: its Ready is there and is not True."""
    ready = shape.conditions(node).get("Ready", {})
    return shape.text(ready, "status") in ("False", "Unknown")


def findings_of(node: Any, now: float, thresholds: Thresholds) -> Tuple[Finding, ...]:
    """What is wrong with `node` at `now` (epoch seconds). A cordoned node is judged like any other:
    that somebody cordoned it does not make it ready.
    """
    taints = shape.mappings(shape.mapping(node, "spec"), "taints")
    if shape.is_deleting(node) or any(shape.text(one, "key") in _LEAVING for one in taints):
        return ()
    conditions = shape.conditions(node)
    ready = conditions.get("Ready", {})
    name = shape.place(node)[1]
    if is_lost(node):
        since = shape.moment(ready, "lastTransitionTime")
        if now - since <= thresholds.unready_s:
            return ()
        says = "is not ready" if ready.get("status") == "False" else "no longer answers"
        return (_finding(node, ready, states.NODE_NOT_READY, "node %s %s" % (name, says), now),)
    bad = [
        conditions[kind]
        for kind in _PRESSURES
        if kind in conditions and
        conditions[kind].get("status") == "True" and
        now - shape.moment(conditions[kind], "lastTransitionTime") >= thresholds.settle_s
    ]
    if not bad:
        return ()
    kinds = ", ".join(shape.text(one, "type") for one in bad)
    return (_finding(node, bad[0], states.NODE_PRESSURE, "node %s: %s" % (name, kinds), now),)


def _finding(
    node: Any, told_by: shape.Json, state: states.State, words: str, now: float
) -> Finding:
    return Finding(
        state,
        ref_of(node),
        reason=shape.line(told_by, "reason", 100) or shape.line(told_by, "type", 100),
        message=shape.line(told_by, "message", 500),
        node=shape.place(node)[1],
        since=min(now, shape.moment(told_by, "lastTransitionTime")),
        words=words,
    )

"""Does a workload have what it is to have: replicas and a rollout that goes on.

How long replicas have been missing is in no field. What bounds it from below is how long a pod that
should be ready has not been, and for how long nothing has changed in the workload's own status.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Collection, List, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.text import counted
from selfheal.workloads import shape, states
from selfheal.workloads.model import Finding, Ref, Thresholds
from selfheal.workloads.pods import Brief

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")
_DEADLINE_S = 600.0  # a Deployment's own default, for kinds that have none
_LIMIT = 500


@dataclass(frozen=True)
class Numbers:
    """How many replicas are wanted, exist, are made from the newest template, ready, available."""

    desired: int
    total: int
    updated: int
    ready: int
    available: int


def numbers_of(workload: Any, kind: str) -> Numbers:
    """The numbers in a workload's status, whatever its kind calls them."""
    status = shape.mapping(workload, "status")
    if kind == "DaemonSet":
        return Numbers(
            shape.number(status, "desiredNumberScheduled"),
            shape.number(status, "currentNumberScheduled"),
            shape.number(status, "updatedNumberScheduled"),
            shape.number(status, "numberReady"),
            shape.number(status, "numberAvailable"),
        )
    ready = shape.number(status, "readyReplicas")
    available = shape.optional_number(status, "availableReplicas")
    if available is None:
        # A StatefulSet knows availability since 1.22 only; elsewhere what is missing is 0.
        available = ready if kind == "StatefulSet" else 0
    total = shape.number(status, "replicas")
    has_updated = kind in ("Deployment", "StatefulSet")
    updated = shape.number(status, "updatedReplicas") if has_updated else total
    return Numbers(shape.replicas_wanted(workload), total, updated, ready, available)


def findings_of(
    workload: Any,
    owner: Ref,
    briefs: Sequence[Brief],
    now: float,
    thresholds: Thresholds,
    lost_nodes: Collection[str] = (),
) -> Tuple[Finding, ...]:
    """What is wrong with a workload as a whole; `briefs` are of its pods. Empty for kinds without
    replicas, for one that was not read, and while its controller has not seen its newest spec.
    """
    if owner.kind not in KINDS or not workload or shape.is_deleting(workload):
        return ()
    if not shape.is_observed(workload):
        return ()
    numbers = numbers_of(workload, owner.kind)
    if numbers.desired == 0:
        return ()
    return (
        *_stuck(workload, owner, numbers, briefs, now),
        *_short(workload, owner, numbers, briefs, now, thresholds, lost_nodes),
    )


def _short(
    workload: Any,
    owner: Ref,
    numbers: Numbers,
    briefs: Sequence[Brief],
    now: float,
    thresholds: Thresholds,
    lost_nodes: Collection[str],
) -> Tuple[Finding, ...]:
    unready = _waiting_pods(briefs)
    on_lost = [one for one in unready if one.node and one.node in lost_nodes]
    desired = numbers.desired - len([one for one in briefs if one.is_active and one.is_spare])
    if owner.kind == "DaemonSet":
        # Its pods stay with their nodes, which are what is wrong there.
        desired -= len(on_lost)
        unready = [one for one in unready if one.node not in lost_nodes]
    if numbers.ready >= desired:
        return ()
    active = [one for one in briefs if one.is_active and not one.is_spare]
    are_all_sick = (
        numbers.ready == 0 and bool(active) and all(one.sick is not None for one in active)
    )
    since = _short_since(workload, unready, len(active) < desired)
    if not are_all_sick and (not since or now - since <= thresholds.short_s):
        return ()
    refusal = _refusal(workload)
    reason, message = (
        (shape.line(refusal, "reason", 100), shape.line(refusal, "message", _LIMIT))
        if refusal
        else ("NodeNotReady" if on_lost else _usual_reason(unready), "")
    )
    return (
        Finding(
            states.REPLICAS_SHORT if numbers.ready else states.REPLICAS_NONE,
            owner,
            pod=unready[0].name if unready else "",
            reason=reason,
            message=message,
            node=on_lost[0].node if on_lost else "",
            since=min(since, now),
            words="%d of %s ready" % (numbers.ready, counted(desired, "replica")),
        ),
    )


def _short_since(workload: Any, unready: Sequence[Brief], lacks_pods: bool) -> float:
    times = [one.unready_since for one in unready]
    refusal = _refusal(workload)
    if refusal:
        times.append(shape.moment(refusal, "lastTransitionTime"))
    available = shape.conditions(workload).get("Available", {})
    if available.get("status") == "False" and (unready or lacks_pods):
        times.append(shape.moment(available, "lastTransitionTime"))
    if unready or lacks_pods:
        times.append(shape.changed_at(workload))
    return shape.earliest(*times)


def _refusal(workload: Any) -> shape.Json:
    """The condition that pods are not even created, as under an exhausted quota."""
    found = shape.conditions(workload).get("ReplicaFailure", {})
    return found if found.get("status") == "True" else {}


def _usual_reason(unready: Sequence[Brief]) -> str:
    reasons = Counter(one.sick.reason for one in unready if one.sick is not None)
    return max(reasons, key=lambda one: (reasons[one], one)) if reasons else ""


def _stuck(
    workload: Any, owner: Ref, numbers: Numbers, briefs: Sequence[Brief], now: float
) -> Tuple[Finding, ...]:
    spec = shape.mapping(workload, "spec")
    waiting = _waiting_pods(briefs)
    if owner.kind == "Deployment":
        progress = shape.conditions(workload).get("Progressing", {})
        if progress.get("status") != "False" or spec.get("paused") is True:
            return ()
        if not waiting and any(one.is_active and one.is_spare for one in briefs):
            return ()
        since = shape.moment(progress, "lastTransitionTime")
        reason = shape.line(progress, "reason", 100)
        message = shape.line(progress, "message", _LIMIT)
    else:
        since = _waits_since(owner.kind, workload, numbers, briefs)
        if not since or now - since <= _DEADLINE_S:
            return ()
        reason, message = "WaitsForPod", ""
    return (
        Finding(
            states.ROLLOUT_STUCK,
            owner,
            pod=waiting[0].name if waiting else "",
            reason=reason,
            message=message,
            since=min(since, now),
            words="the rollout does not go on: %d of %s updated, %d available"
            % (numbers.updated, counted(numbers.desired, "replica"), numbers.available),
        ),
    )


def _waits_since(kind: str, workload: Any, numbers: Numbers, briefs: Sequence[Brief]) -> float:
    if kind not in ("StatefulSet", "DaemonSet") or numbers.updated >= to_update(workload, kind):
        return 0.0
    return shape.earliest(*(one.unready_since for one in _waiting_pods(briefs)))


def _waiting_pods(briefs: Sequence[Brief]) -> List[Brief]:
    """The pods that should be ready and are not."""
    return [one for one in briefs if one.is_active and not one.is_ready and not one.is_spare]


def to_update(workload: Any, kind: str) -> int:
    """How many pods of the newest template a rollout is to end with: none when they are replaced
    by hand (OnDelete), those from the partition on of a StatefulSet.
    """
    spec = shape.mapping(workload, "spec")
    strategy = shape.mapping(spec, "updateStrategy")
    desired = numbers_of(workload, kind).desired
    if kind in ("StatefulSet", "DaemonSet") and strategy.get("type") == "OnDelete":
        return 0
    if kind == "StatefulSet":
        partition = shape.number(shape.mapping(strategy, "rollingUpdate"), "partition")
        return max(0, desired - partition)
    return desired

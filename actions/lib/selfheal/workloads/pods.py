"""Is a pod sick, and of what. Pure: the pod as the API gives it, the time, the thresholds.

Most pods are well, and those are told in a glance. A pod that is sick neither now nor at some later
time, if nothing but time passes, is not sick in between: who watches need not ask in the meantime.
"""

from __future__ import annotations

from typing import Any, Collection, Dict, Mapping, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.workloads import containers as judged
from selfheal.workloads import owners, shape, states
from selfheal.workloads.containers import Container, Scene
from selfheal.workloads.model import DAY_S, Finding, Ref, Thresholds

EVICTED = "Evicted"
NODE_LOST = "NodeLost"
# Failed because something more important, or the end of its node, needed the room: nobody's fault.
_PLANNED = ("Terminated", "Shutdown", "NodeShutdown", "Preempting", "Preempted", NODE_LOST)
_PLANNED_BY = (
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "DeletionByPodGC",
    "EvictionByEvictionAPI",
)
_HASHES = ("pod-template-hash", "controller-revision-hash")
_MESSAGE_LIMIT = 500
_PROBE_PERIOD_S = 10  # Kubernetes' own defaults of a probe
_PROBE_FAILURES = 3


@dataclass(frozen=True)
class Brief:
    """What is to be remembered of a pod to judge its workload. `revision` is the hash of the
    template that it was made from; of `ready_since` and `unready_since` one is 0.0. `is_active`: it
    is to run (not ended, not being deleted). `is_spare`: it waits for a node and gives way to any
    other pod (a priority below 0), as those do that keep room for others; it is not missed.
    """

    name: str
    node: str
    revision: str
    created: float
    is_ready: bool
    ready_since: float
    unready_since: float
    is_active: bool
    is_task: bool
    is_spare: bool
    sick: Optional[Finding]


def findings_of(
    pod: Any,
    owner: Ref,
    now: float,
    thresholds: Thresholds,
    recent_restarts: Optional[Mapping[str, int]] = None,
    lost_nodes: Collection[str] = (),
) -> Tuple[Finding, ...]:
    """What is wrong with `pod` at `now` (epoch seconds); empty when nothing is.

    `recent_restarts` are the restarts within restart_window_minutes by container, where somebody
    has counted; without it only a pod younger than that shows them. What a pod on one of
    `lost_nodes` (not ready themselves) says of itself is old, and the node is what is wrong.
    """
    status = shape.mapping(pod, "status")
    phase = status.get("phase")
    if phase == "Succeeded" or (not shape.is_deleting(pod) and _is_plainly_well(status)):
        return ()
    scene = judged.scene(pod, owner, now, thresholds)
    if scene.node and scene.node in lost_nodes and phase != "Failed":
        return ()
    if shape.is_deleting(pod):
        return _terminating(scene)
    if phase == "Failed":
        return _failed(scene)
    of_pod = judged.containers_of(pod)
    found = judged.findings_of(scene, of_pod, recent_restarts)
    if found:
        return found
    return _pending(scene, of_pod) if phase == "Pending" else _not_ready(scene, of_pod)


def restarts_of(pod: Any) -> Dict[str, int]:
    """How often each container of a pod has restarted in its life; only those that have."""
    found = {one.name: one.restarts for one in judged.containers_of(pod)}
    return {name: count for name, count in found.items() if count}


def brief(pod: Any, findings: Sequence[Finding] = ()) -> Brief:
    """`pod` in brief, with what was found of it."""
    status, meta = shape.mapping(pod, "status"), shape.metadata(pod)
    created = shape.moment(meta, "creationTimestamp")
    ready = _condition(status, "Ready")
    is_ready = ready.get("status") == "True"
    since = shape.moment(ready, "lastTransitionTime") or created
    of_labels = shape.mapping(meta, "labels")
    return Brief(
        shape.place(pod)[1],
        shape.line(shape.mapping(pod, "spec"), "nodeName", shape.NAME_LIMIT),
        next((shape.text(of_labels, key) for key in _HASHES if key in of_labels), ""),
        created,
        is_ready,
        since if is_ready else 0.0,
        0.0 if is_ready else since,
        status.get("phase") not in ("Succeeded", "Failed") and not shape.is_deleting(pod),
        owners.is_task(pod),
        _is_spare(pod),
        min(findings, key=lambda one: one.state.priority, default=None),
    )


def _is_spare(pod: Any) -> bool:
    spec = shape.mapping(pod, "spec")
    priority = spec.get("priority")
    return isinstance(priority, int) and priority < 0 and not spec.get("nodeName")


def _condition(status: shape.Json, kind: str) -> shape.Json:
    for one in shape.mappings(status, "conditions"):
        if one.get("type") == kind:
            return one
    return {}


def _is_plainly_well(status: shape.Json) -> bool:
    """Runs, is ready and no container ever restarted: so it is with nearly all pods."""
    if status.get("phase") != "Running" or _condition(status, "Ready").get("status") != "True":
        return False
    for key in ("containerStatuses", "initContainerStatuses"):
        for one in shape.mappings(status, key):
            if one.get("restartCount") != 0:
                return False
    return True


def _terminating(scene: Scene) -> Tuple[Finding, ...]:
    meta, status = shape.metadata(scene.pod), shape.mapping(scene.pod, "status")
    due = shape.moment(meta, "deletionTimestamp")  # its grace period is in it
    reason = shape.line(status, "reason", 100)
    if not due or scene.now - due <= scene.thresholds.terminating_s or reason == NODE_LOST:
        return ()
    finalizers = meta.get("finalizers")
    message = shape.line(status, "message", _MESSAGE_LIMIT)
    if isinstance(finalizers, list) and finalizers:
        reason = "Finalizers"
        message = shape.line({"": ", ".join(map(str, finalizers[:10]))}, "", _MESSAGE_LIMIT)
    words = "pod %s should have been gone for %d minutes" % (
        scene.name,
        (scene.now - due) // 60,
    )
    return (
        scene.finding(states.POD_TERMINATING_STUCK, words, due, reason=reason, message=message),
    )


def _failed(scene: Scene) -> Tuple[Finding, ...]:
    status = shape.mapping(scene.pod, "status")
    reason = shape.line(status, "reason", 100)
    is_replaced = owners.controller_of(scene.pod) is not None
    if scene.is_task or (is_replaced and _is_planned(status, reason)):
        return ()
    ended = _ended_at(scene, status)
    if scene.now - ended > (scene.thresholds.restart_window_s if is_replaced else DAY_S):
        return ()
    culprit = next(
        (
            one
            for one in judged.containers_of(scene.pod)
            if one.state("terminated") and not one.is_done
        ),
        Container("", {}, False),
    )
    of_container = culprit.state("terminated")
    state = states.POD_EVICTED if reason == EVICTED else states.POD_FAILED
    words = "pod %s %s" % (
        scene.name,
        "was evicted from its node" if reason == EVICTED else "has failed",
    )
    return (
        scene.finding(
            state,
            words,
            ended,
            container=culprit.name,
            reason=reason or shape.line(of_container, "reason", 100),
            message=shape.line(status, "message", _MESSAGE_LIMIT) or
            shape.line(of_container, "message", _MESSAGE_LIMIT),
            exit_code=shape.optional_number(of_container, "exitCode"),
            restarts=culprit.restarts,
        ),
    )


def _is_planned(status: shape.Json, reason: str) -> bool:
    target = _condition(status, "DisruptionTarget")
    is_target = target.get("status") == "True" and target.get("reason") in _PLANNED_BY
    return reason in _PLANNED or is_target


def _ended_at(scene: Scene, status: shape.Json) -> float:
    """When a pod failed. An evicted one of older kubelets keeps neither containers nor conditions:
    then the last writing of its object tells.
    """
    ends = [
        shape.moment(one.state("terminated"), "finishedAt")
        for one in judged.containers_of(scene.pod)
    ]
    target = _condition(status, "DisruptionTarget")
    return (
        max([*ends, shape.moment(target, "lastTransitionTime")]) or
        shape.changed_at(scene.pod) or
        scene.begun
    )


def _pending(scene: Scene, of_pod: Sequence[Container]) -> Tuple[Finding, ...]:
    scheduled = _condition(shape.mapping(scene.pod, "status"), "PodScheduled")
    if not scene.node:
        if scheduled.get("reason") == "SchedulingGated" or _is_spare(scene.pod):
            return ()
        since = shape.moment(scheduled, "lastTransitionTime") or scene.begun
        if scene.now - since <= scene.thresholds.pending_s:
            return ()
        words = "pod %s has found no node for %d minutes" % (scene.name, (scene.now - since) // 60)
        return (
            scene.finding(
                states.POD_PENDING,
                words,
                since,
                reason=shape.line(scheduled, "reason", 100) or "Unscheduled",
                message=shape.line(scheduled, "message", _MESSAGE_LIMIT),
            ),
        )
    if any(one.is_step and one.state("running") for one in of_pod):
        return ()  # it works; its workload is short of a replica when that takes too long
    waiting = next((one for one in of_pod if one.state("waiting")), Container("", {}, False))
    since = judged.waits_since(scene, list(of_pod), waiting)
    if scene.now - since <= scene.thresholds.pending_s:
        return ()
    words = "pod %s has waited on its node for %d minutes" % (
        scene.name,
        (scene.now - since) // 60,
    )
    told_by = waiting.state("waiting")
    return (
        scene.finding(
            states.POD_PENDING,
            words,
            since,
            container=waiting.name,
            reason=shape.line(told_by, "reason", 100) or "ContainerCreating",
            message=shape.line(told_by, "message", _MESSAGE_LIMIT),
        ),
    )


def _not_ready(scene: Scene, of_pod: Sequence[Container]) -> Tuple[Finding, ...]:
    status = shape.mapping(scene.pod, "status")
    ready = _condition(status, "Ready")
    unready = [one for one in of_pod if not one.is_step and one.status.get("ready") is not True]
    if ready.get("status") == "True" or scene.is_task:
        return ()
    if unready and not scene.is_endless and all(one.is_done for one in unready):
        return ()  # a bare pod whose other containers go on
    since = shape.moment(ready, "lastTransitionTime") or scene.begun
    if scene.now - since <= scene.thresholds.unready_s or scene.now < _starts_until(scene, unready):
        return ()
    is_lost = status.get("phase") == "Unknown"
    words = "pod %s has not been ready for %d minutes" % (scene.name, (scene.now - since) // 60)
    return (
        scene.finding(
            states.POD_NOT_READY,
            words,
            since,
            container=unready[0].name if unready else "",
            reason=NODE_LOST if is_lost else shape.line(ready, "reason", 100),
            message=shape.line(ready, "message", _MESSAGE_LIMIT),
            restarts=max((one.restarts for one in unready), default=0),
        ),
    )


def _starts_until(scene: Scene, unready: Sequence[Container]) -> float:
    """How long the probes of a pod let its containers start, the first time: as long as the startup
    probe may fail, and not before the readiness probe first asks.
    """
    starting = {
        one.name: one for one in unready if one.restarts == 0 and one.state("running")
    }
    until = 0.0
    for spec in shape.mappings(shape.mapping(scene.pod, "spec"), "containers"):
        container = starting.get(shape.text(spec, "name"))
        if container is None:
            continue
        started = shape.moment(container.state("running"), "startedAt")
        probe = shape.mapping(spec, "startupProbe")
        if probe and container.status.get("started") is False:
            period_s = shape.number(probe, "periodSeconds") or _PROBE_PERIOD_S
            failures = shape.number(probe, "failureThreshold") or _PROBE_FAILURES
            until = max(until, started + _delay_s(probe) + period_s * failures)
        first = _delay_s(shape.mapping(spec, "readinessProbe"))
        until = max(until, started + first + scene.thresholds.unready_s if first else 0.0)
    return until


def _delay_s(probe: shape.Json) -> int:
    return shape.number(probe, "initialDelaySeconds")

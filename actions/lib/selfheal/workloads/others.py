"""What is not a pod nor keeps pods running: jobs, claims of volumes, autoscalers.

Each is judged by what its own status says, with what it needs to know of others handed in.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.workloads import owners, shape, states
from selfheal.workloads.model import DAY_S, Finding, Ref, Thresholds

_AUTOSCALING_V1 = "autoscaling.alpha.kubernetes.io/conditions"
_MESSAGE_LIMIT = 500


@dataclass(frozen=True)
class Ended:
    """A Job that is over: done, or given up. `at` is in epoch seconds."""

    owner: Ref
    name: str
    at: float
    has_failed: bool
    reason: str
    message: str


def ended(job: Any) -> Optional[Ended]:
    """How `job` ended; None while it runs, is retried or suspended, or is being deleted."""
    if shape.is_deleting(job):
        return None
    conditions = shape.conditions(job)
    for kind in ("Failed", "Complete"):
        found = conditions.get(kind, {})
        if found.get("status") == "True":
            return Ended(
                owners.of_workload(job, "Job"),
                shape.place(job)[1],
                shape.moment(found, "lastTransitionTime"),
                kind == "Failed",
                shape.line(found, "reason", 100),
                shape.line(found, "message", _MESSAGE_LIMIT),
            )
    return None


def job_findings(ends: Iterable[Ended], now: float) -> Tuple[Finding, ...]:
    """One finding per owner whose last Job failed within a day: a CronJob's earlier failures are
    history, and a Job that failed long ago is one that nobody cleaned away.
    """
    last: Dict[Ref, Ended] = {}
    for one in ends:
        if one.owner not in last or (one.at, one.name) > (last[one.owner].at, last[one.owner].name):
            last[one.owner] = one
    return tuple(
        Finding(
            states.JOB_FAILED,
            one.owner,
            reason=one.reason,
            message=one.message,
            since=min(one.at, now),
            words="job %s has failed for good" % one.name,
        )
        for one in sorted(last.values(), key=lambda one: one.owner)
        if one.has_failed and now - one.at <= DAY_S
    )


def claims_of(pod: Any) -> List[str]:
    """The names of the volume claims that a pod waits for or uses, those made for it alone
    included.
    """
    spec, pod_name = shape.mapping(pod, "spec"), shape.place(pod)[1]
    found = []
    for volume in shape.mappings(spec, "volumes"):
        claim = shape.line(
            shape.mapping(volume, "persistentVolumeClaim"), "claimName", shape.NAME_LIMIT
        )
        if claim:
            found.append(claim)
        elif isinstance(volume.get("ephemeral"), dict):
            found.append("%s-%s" % (pod_name, shape.line(volume, "name", shape.NAME_LIMIT)))
    return found


def claim_findings(
    claim: Any,
    consumers: Sequence[Tuple[Ref, float]],
    binds_at_once: Optional[bool],
    now: float,
    thresholds: Thresholds,
) -> Tuple[Finding, ...]:
    """What is wrong with a PersistentVolumeClaim. `consumers` are the owners of pods that use it
    and when each pod was created. `binds_at_once`: whether its class does, None when not known; a
    claim of a class that waits for its first consumer waits for ever without one, and rightly so.
    """
    phase = shape.text(shape.mapping(claim, "status"), "phase")
    if shape.is_deleting(claim) or phase not in ("Pending", "Lost"):
        return ()
    namespace, name = shape.place(claim)
    since = shape.moment(shape.metadata(claim), "creationTimestamp")
    if phase == "Pending":
        if not consumers and not binds_at_once:
            return ()
        if not binds_at_once:
            since = max(since, shape.earliest(*(created for _, created in consumers)))
        if now - since <= thresholds.pending_s:
            return ()
    behind = {owner for owner, _ in consumers}
    storage = shape.line(shape.mapping(claim, "spec"), "storageClassName", shape.NAME_LIMIT)
    lost = "has lost its volume"
    waits = "has no volume after %d minutes" % ((now - since) // 60)
    return (
        Finding(
            states.VOLUME_CLAIM_PENDING,
            behind.pop() if len(behind) == 1 else Ref("PersistentVolumeClaim", namespace, name),
            reason=phase,
            message="storage class %s" % storage if storage else "",
            since=0.0 if phase == "Lost" else min(since, now),
            words="volume claim %s %s" % (name, lost if phase == "Lost" else waits),
        ),
    )


def autoscaler_findings(
    autoscaler: Any, now: float, thresholds: Thresholds
) -> Tuple[Finding, ...]:
    """What is wrong with a HorizontalPodAutoscaler of any version of its API: that it wants more
    replicas than it may have. To be at the maximum and want no more is well.
    """
    limited = _autoscaler_conditions(autoscaler).get("ScalingLimited", {})
    maximum = shape.number(shape.mapping(autoscaler, "spec"), "maxReplicas")
    current = shape.number(shape.mapping(autoscaler, "status"), "currentReplicas")
    since = shape.moment(limited, "lastTransitionTime")
    if (
        shape.is_deleting(autoscaler) or
        limited.get("status") != "True" or
        limited.get("reason") != "TooManyReplicas" or
        not 0 < maximum <= current or
        now - since <= thresholds.short_s
    ):
        return ()
    target = shape.mapping(autoscaler, "spec", "scaleTargetRef")
    namespace, name = shape.place(autoscaler)
    return (
        Finding(
            states.AUTOSCALER_AT_MAXIMUM,
            Ref(
                owners.kind_of(target) or "HorizontalPodAutoscaler",
                namespace,
                shape.line(target, "name", shape.NAME_LIMIT) or name,
            ),
            reason="TooManyReplicas",
            message=shape.line(limited, "message", _MESSAGE_LIMIT),
            since=min(since, now),
            words="autoscaler %s wants more than its maximum of %d replicas" % (name, maximum),
        ),
    )


def _autoscaler_conditions(autoscaler: Any) -> Dict[str, shape.Json]:
    found = shape.conditions(autoscaler)
    written = shape.text(
        shape.mapping(shape.metadata(autoscaler), "annotations"), _AUTOSCALING_V1
    )
    if found or not written:
        return found
    try:
        return shape.conditions({"status": {"conditions": json.loads(written)}})
    except (ValueError, RecursionError):
        return {}

"""One workload with all that belongs to it, as it was at one moment, and what that says: findings
and health. Pure; who reads it from a cluster is `reading`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from selfheal.records import dataclass
from selfheal.workloads import (
    controllers,
    nodes,
    others,
    owners,
    pods,
    rollouts,
    services,
    shape,
    states,
)
from selfheal.workloads.controllers import Numbers
from selfheal.workloads.model import Finding, Health, Ref, Thresholds
from selfheal.workloads.pods import Brief
from selfheal.workloads.rollouts import Revision

# Only who looks again and again can count restarts, and only Prometheus knows of use.
_OF_OTHERS = (
    states.POD_RESTARTING_OFTEN,
    states.POD_CPU_HIGH,
    states.POD_MEMORY_HIGH,
    states.POD_DOWN,
)
# Such a pod is history: what counts for its workload is whether another is there instead.
_REPLACED = (states.POD_EVICTED, states.POD_FAILED)


@dataclass(frozen=True)
class Neighbours:
    """What stands around a workload: services with their Endpoints, volume claims, autoscalers;
    None for what could not be read.
    """

    services: Optional[Tuple[Tuple[Any, Any], ...]] = None
    claims: Optional[Tuple[Any, ...]] = None
    autoscalers: Optional[Tuple[Any, ...]] = None


@dataclass(frozen=True)
class Picture:
    """`workload` is the object of `ref`, empty for kinds of others. `namespace` is None when it
    could not be read. Objects are JSON as the API gave it; `at` is in epoch seconds.
    """

    ref: Ref
    workload: shape.Json
    pods: Tuple[Any, ...]
    at: float
    thresholds: Thresholds
    namespace: Optional[Mapping[str, Any]] = None
    replica_sets: Tuple[Any, ...] = ()
    controller_revisions: Tuple[Any, ...] = ()
    jobs: Tuple[Any, ...] = ()
    lost_nodes: FrozenSet[str] = frozenset()
    neighbours: Neighbours = Neighbours()

    @property
    def revisions(self) -> Tuple[Revision, ...]:
        """The templates that the workload has had, as far as they are kept; in no order."""
        found = [rollouts.of_replica_set(one) for one in self.replica_sets]
        found += [rollouts.of_controller_revision(one) for one in self.controller_revisions]
        return tuple(one for one in found if one is not None and one.owner == self.ref)


def sees(picture: Picture) -> FrozenSet[str]:
    """The names of the states that `findings` of this picture would show; of others it says
    nothing.
    """
    around = picture.neighbours
    unseen = {state.name for state in _OF_OTHERS}
    for state, read in (
        (states.SERVICE_WITHOUT_ENDPOINTS, around.services),
        (states.VOLUME_CLAIM_PENDING, around.claims),
        (states.AUTOSCALER_AT_MAXIMUM, around.autoscalers),
    ):
        if read is None:
            unseen.add(state.name)
    return frozenset(states.STATES) - unseen


def briefs_of(picture: Picture) -> Tuple[Tuple[Brief, ...], Tuple[Finding, ...]]:
    """The pods in brief and what is wrong with them."""
    briefs: List[Brief] = []
    found: List[Finding] = []
    for pod in picture.pods:
        of_pod = pods.findings_of(
            pod, picture.ref, picture.at, picture.thresholds, None, picture.lost_nodes
        )
        briefs.append(pods.brief(pod, of_pod))
        found += of_pod
    return tuple(briefs), tuple(found)


def findings(picture: Picture) -> Tuple[Finding, ...]:
    """All that is wrong with the workload, of the states that `sees` names."""
    at, thresholds, ref = picture.at, picture.thresholds, picture.ref
    if ref.kind == "Node":
        return nodes.findings_of(picture.workload, at, thresholds)
    briefs, found = briefs_of(picture)
    workload = picture.workload
    blamed = rollouts.broken(workload, ref, briefs, picture.revisions, at, thresholds)
    ends = [one for one in map(others.ended, picture.jobs) if one is not None and one.owner == ref]
    return (
        *found,
        *([blamed] if blamed is not None else []),
        *controllers.findings_of(workload, ref, briefs, at, thresholds, picture.lost_nodes),
        *others.job_findings(ends, at),
        *_of_neighbours(picture, briefs),
    )


def lasting(found: Sequence[Finding]) -> Tuple[Finding, ...]:
    """What of the findings is not over once the workload has what it is to have: all but the pods
    that failed and were replaced, which stay there to be seen. A bare pod has no replacement.
    """
    return tuple(one for one in found if one.state not in _REPLACED or one.owner.kind == "Pod")


def _of_neighbours(picture: Picture, briefs: Sequence[Brief]) -> List[Finding]:
    around = picture.neighbours
    at, thresholds, ref = picture.at, picture.thresholds, picture.ref
    found: List[Finding] = []
    template = shape.labels(shape.mapping(picture.workload, "spec", "template"))
    workloads = [(ref, controllers.numbers_of(picture.workload, ref.kind).desired)]
    for service, endpoints in around.services or ():
        selected = [
            (_owner(picture, pod), one)
            for pod, one in zip(picture.pods, briefs)
            if services.selects(service, shape.labels(pod))
        ]
        behind = workloads if services.selects(service, template) else []
        found += services.findings_of(service, [endpoints], selected, behind, at, thresholds)
    for claim in around.claims or ():
        name = shape.place(claim)[1]
        consumers = [
            (_owner(picture, pod), one.created)
            for pod, one in zip(picture.pods, briefs)
            if name in others.claims_of(pod)
        ]
        found += others.claim_findings(claim, consumers, None, at, thresholds)
    for autoscaler in around.autoscalers or ():
        found += others.autoscaler_findings(autoscaler, at, thresholds)
    return [one for one in found if one.owner == ref]


def _owner(picture: Picture, pod: Any) -> Ref:
    """Whom a pod in the picture belongs to: its workload, or in the picture of a service or claim
    whoever made it.
    """
    is_neighbour = picture.ref.kind in ("Service", "PersistentVolumeClaim")
    return owners.of_pod(pod) if is_neighbour else picture.ref


def health(picture: Picture) -> Health:
    """How the workload stands. A sick pod is not ready, whatever its conditions say: between two
    crashes every container looks well.
    """
    kind = picture.ref.kind
    if kind == "Node":
        is_ready = not nodes.is_lost(picture.workload)
        return _of_one(is_ready, "ready" if is_ready else "not ready")
    briefs, found = briefs_of(picture)
    sick = {one.pod for one in lasting(found)}
    if kind in controllers.KINDS and picture.workload:
        return _of_controller(picture, briefs, sick)
    if kind in ("Job", "CronJob"):
        return _of_jobs(picture, len(sick))
    if kind == "Service":
        behind = picture.neighbours.services or ()
        ready = services.ready_addresses([endpoints for _, endpoints in behind])
        return _of_one(ready > 0, "%d ready endpoints" % ready)
    if kind == "PersistentVolumeClaim":
        phase = shape.line(shape.mapping(picture.workload, "status"), "phase", 40)
        return _of_one(phase == "Bound", phase or "unknown")
    active = [one for one in briefs if one.is_active]
    desired = 1 if picture.workload else len(active)
    well = [one for one in active if one.is_ready and one.name not in sick]
    numbers = Numbers(desired, len(active), desired, len(well), len(well))
    return _health(numbers, True, len(sick), _steadiness(picture, active))


def _of_controller(picture: Picture, briefs: Sequence[Brief], sick: Set[str]) -> Health:
    kind, workload = picture.ref.kind, picture.workload
    numbers = controllers.numbers_of(workload, kind)
    active = [one for one in briefs if one.is_active]
    # What the workload's own status counts as ready though it is sick.
    too_many = len([one for one in active if one.is_ready and one.name in sick])
    is_carried_out = (
        shape.is_observed(workload) and
        not shape.is_deleting(workload) and
        numbers.updated >= controllers.to_update(workload, kind) and
        numbers.total <= (numbers.updated if kind == "Deployment" else numbers.desired)
    )
    well = replace(
        numbers,
        ready=max(0, numbers.ready - too_many),
        available=max(0, numbers.available - too_many),
    )
    return _health(well, is_carried_out, len(sick), _steadiness(picture, active))


def _steadiness(picture: Picture, active: Sequence[Brief]) -> Tuple[float, bool]:
    since = max((one.ready_since for one in active), default=0.0)
    return since, picture.at - since >= picture.thresholds.settle_s


def _of_jobs(picture: Picture, sick: int) -> Health:
    ends = [one for one in map(others.ended, picture.jobs) if one is not None]
    last = max(ends, key=lambda one: (one.at, one.name), default=None)
    if last is None:
        spec, status = (shape.mapping(picture.workload, key) for key in ("spec", "status"))
        wanted = shape.optional_number(spec, "completions")
        done = shape.number(status, "succeeded")
        desired = (1 if wanted is None else wanted) if picture.ref.kind == "Job" else 0
        active = shape.number(status, "active")
        return _health(Numbers(desired, active, desired, active, done), not sick, sick, (0.0, True))
    return _of_one(
        not last.has_failed, "job %s %s" % (last.name, "failed" if last.has_failed else "succeeded")
    )


def _of_one(is_well: bool, words: str) -> Health:
    return Health(1, int(is_well), int(is_well), 1, is_well, words, int(not is_well))


def _health(
    numbers: Numbers, is_carried_out: bool, sick: int, steadiness: Tuple[float, bool]
) -> Health:
    words = "%d of %d available, %d ready, %d up to date" % (
        numbers.available,
        numbers.desired,
        numbers.ready,
        numbers.updated,
    )
    is_settled = is_carried_out and numbers.available >= numbers.desired
    words += (", %d sick" % sick if sick else "") + ("" if is_settled else ", not settled")
    return Health(
        numbers.desired,
        numbers.ready,
        numbers.available,
        numbers.updated,
        is_settled,
        words,
        sick,
        *steadiness,
    )


def labels_of_pods(picture: Picture) -> List[Dict[str, str]]:
    """The labels of the workload's pods, and of those that it would make."""
    template = shape.labels(shape.mapping(picture.workload, "spec", "template"))
    found = [shape.labels(pod) for pod in picture.pods]
    return [*found, template] if template else found

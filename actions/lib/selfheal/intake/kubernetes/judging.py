"""What a look finds wrong, from all that it has read: pods by their owners, workloads with the pods
that they have, and what waits for them.

Workloads are read after the pods and judged one by one, so that no more of them is kept than
whether people have annotated them out.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from selfheal.intake.kubernetes import usage
from selfheal.intake.kubernetes.around import Around, Scope, chosen
from selfheal.intake.kubernetes.grouping import Findings
from selfheal.intake.kubernetes.listing import Lists, Object
from selfheal.intake.kubernetes.usage import Usage
from selfheal.intake.kubernetes.view import Scene, Seen, View, slim_metadata, uid_of
from selfheal.workloads import (
    controllers,
    others,
    owners,
    protect,
    reading,
    rollouts,
    services,
    shape,
)
from selfheal.workloads.model import Finding, Ref
from selfheal.workloads.pods import Brief

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
# How many workloads are asked for their revisions, and services for their pods, in one look.
MOST_ASKED = 50
_USAGE_WORDS = {
    "cpu": "pod %s uses %.0f %% of its CPU limit",
    "memory": "pod %s uses %.0f %% of its memory limit",
    "up": "Prometheus cannot scrape pod %s",
}


class Read(NamedTuple):
    """All that a look has read before its judgement, and what the one before had `around`."""

    lists: Lists
    scope: Scope
    scene: Scene
    around: Around
    used: Usage
    view: View
    before: Around


def judge(read: Read) -> Findings:
    """What is wrong; reads the rest of the cluster on the way."""
    found = Findings()
    around, scene = read.around, read.scene
    found.add(_of_our_nodes(read), "Node")
    found.add(others.job_findings(around.ends, scene.now), "Job")
    _pods(read, found)
    templates = _workloads(read, found)
    _services(read, found, templates)
    _claims(read, found)
    _autoscalers(read, found)
    _marks_of_replica_sets(read, found)
    around.keep_marks(read.before, read.lists.complete)
    for owner in found.owners():
        if around.is_ignored(owner):
            found.drop(owner)
    return found


def _marks_of_replica_sets(read: Read, found: Findings) -> None:
    """Whether bare ones that are sick are annotated out; those of Deployments are too many to list
    them all.
    """
    bare = [owner for owner in found.owners() if owner.kind == "ReplicaSet"]
    for owner in bare[:MOST_ASKED]:
        value = read.lists.get(owner.kind, owner.name, owner.namespace)
        if value is not None:
            read.around.marked(owner, value)


def _of_our_nodes(read: Read) -> Sequence[Finding]:
    """What is wrong with nodes: where namespaces are named, only with those that their pods are on.
    Who watches two namespaces of a large cluster is not woken for the machines of the others.
    """
    if read.scope.is_all or not read.around.of_nodes:
        return read.around.of_nodes
    ours = {seen.brief.node for seen in read.view.all()}
    return [finding for finding in read.around.of_nodes if finding.node in ours]


def _pods(read: Read, found: Findings) -> None:
    for seen in read.view.all():
        found.add(seen.findings, "Pod")
        if read.used.pods and seen.brief.is_active:
            for query, value in read.used.pods.get((seen.owner.namespace, seen.brief.name), ()):
                found.add([_used(seen, query, value)], usage.kind_of(query))


def _used(seen: Seen, query: str, value: float) -> Finding:
    words = _USAGE_WORDS[query]
    words = words % ((seen.brief.name,) if query == "up" else (seen.brief.name, 100 * value))
    return Finding(
        usage.STATE_OF[query],
        seen.owner,
        pod=seen.brief.name,
        reason={"cpu": "CpuNearLimit", "memory": "MemoryNearLimit", "up": "Down"}[query],
        node=seen.brief.node,
        words=words,
    )


def _workloads(read: Read, found: Findings) -> Dict[Tuple[str, str], List[Tuple[Ref, int]]]:
    """Judge all workloads; for each service without endpoints the workloads that it selects."""
    briefs = read.view.briefs()
    selected: Dict[Tuple[str, str], List[Tuple[Ref, int]]] = {}
    sick: List[Tuple[Ref, Object]] = []
    for kind in WORKLOADS:
        wanted = chosen(read.lists, read.scope, kind)

        def take(value: Object, kind: str = kind, wanted: Any = wanted) -> Sequence[Finding]:
            if not read.scope.has(value):
                return ()
            ref = owners.of_workload(value, kind)
            read.around.marked(ref, value)
            _select(read, ref, value, selected)
            of_ref = briefs.get(ref, ())
            if wanted is not None and (ref.namespace, ref.name) not in wanted:
                return ()
            if _may_be_broken(of_ref, read.scene):
                sick.append((ref, _slim(value)))
            scene = read.scene
            return controllers.findings_of(
                value, ref, of_ref, scene.now, scene.thresholds, scene.lost_nodes
            )

        found.add(read.lists.read(kind, take, read.scope.query()), kind)
    _rollouts(read, found, sick, briefs)
    return selected


def _select(
    read: Read, ref: Ref, value: Object, selected: Dict[Tuple[str, str], List[Tuple[Ref, int]]]
) -> None:
    if not read.around.empty_services:
        return
    labels = shape.labels(shape.mapping(value, "spec", "template"))
    for service in read.around.empty_services:
        place = shape.place(service)
        if place[0] == ref.namespace and services.selects(service, labels):
            desired = controllers.numbers_of(value, ref.kind).desired
            selected.setdefault(place, []).append((ref, desired))


def _may_be_broken(briefs: Sequence[Brief], scene: Scene) -> bool:
    """Whether it is worth asking for the revisions of who has these pods: most of one revision are
    sick, and none of it is older than a rollout that could be blamed.
    """
    active = [one for one in briefs if one.is_active]
    sick = [one for one in active if one.sick is not None]
    since = scene.now - scene.thresholds.rollout_blame_s
    new: Dict[str, Tuple[int, int, float]] = {}
    for one in active:
        many, bad, oldest = new.get(one.revision, (0, 0, scene.now))
        new[one.revision] = (
            many + 1,
            bad + int(one.sick is not None),
            min(oldest, one.created or scene.now),
        )
    return bool(sick) and any(
        2 * bad > many and oldest >= since for many, bad, oldest in new.values()
    )


def _slim(workload: Object) -> Object:
    """What tells the revisions of a workload."""
    spec = {
        key: value
        for key, value in shape.mapping(workload, "spec").items()
        if key != "template"
    }
    status = shape.mapping(workload, "status")
    return {"metadata": slim_metadata(workload), "spec": spec, "status": status}


def _rollouts(
    read: Read,
    found: Findings,
    sick: Sequence[Tuple[Ref, Object]],
    briefs: Mapping[Ref, Sequence[Brief]],
) -> None:
    lists, scene = read.lists, read.scene
    for kind in ("ReplicaSet", "ControllerRevision"):
        lists.was_read(kind)
    asked = [pair for pair in sick if not read.around.is_ignored(pair[0])]
    for ref, workload in asked[:MOST_ASKED]:
        kind = "ReplicaSet" if ref.kind == "Deployment" else "ControllerRevision"
        revisions = _revisions(lists, kind, ref, workload)
        broken = rollouts.broken(
            workload, ref, briefs.get(ref, ()), revisions, scene.now, scene.thresholds
        )
        if broken is not None:
            found.add([broken], kind)
    if len(asked) > MOST_ASKED:
        for kind in ("ReplicaSet", "ControllerRevision"):
            lists.troubles.setdefault(
                kind,
                "%d workloads may have been broken by a rollout; %d were asked about it"
                % (len(asked), MOST_ASKED),
            )


def _revisions(
    lists: Lists, kind: str, ref: Ref, workload: Object
) -> List[rollouts.Revision]:
    found: List[rollouts.Revision] = []
    of_kind = (
        rollouts.of_replica_set if kind == "ReplicaSet" else rollouts.of_controller_revision
    )

    def take(_namespace: str, items: Any, _version: str) -> None:
        if items is None:
            found.clear()
        for item in items or ():
            revision = of_kind(item)
            if revision is not None and revision.owner == ref:
                found.append(revision)

    selector = reading.selector_of(workload)
    if lists.is_worth_asking(kind):
        lists.pages(kind, ref.namespace, take, {"labelSelector": selector} if selector else None)
    return found


def _services(
    read: Read, found: Findings, selected: Mapping[Tuple[str, str], List[Tuple[Ref, int]]]
) -> None:
    """Ask for the pods of those that nobody stands behind. Many are so on purpose, with their
    workload scaled to zero, or left over: these come last, and that some are not looked into need
    not be told.
    """
    scene = read.scene
    meant = {
        shape.place(service)
        for service in read.around.empty_services
        if _is_left_alone(read, service, selected)
    }
    empty = sorted(
        read.around.empty_services,
        key=lambda service: (shape.place(service) in meant, shape.place(service)),
    )
    for service in empty[:MOST_ASKED]:
        place = shape.place(service)
        findings = services.findings_of(
            service,
            read.around.endpoints.get(place, []),
            _pods_of(read, service),
            selected.get(place, []),
            scene.now,
            scene.thresholds,
        )
        found.add(findings, "Service")
    if len(empty) - len(meant) > MOST_ASKED:
        read.lists.troubles.setdefault(
            "Service",
            "%d services have no ready endpoint; %d were looked into"
            % (len(empty) - len(meant), MOST_ASKED),
        )


def _is_left_alone(
    read: Read, service: Object, selected: Mapping[Tuple[str, str], List[Tuple[Ref, int]]]
) -> bool:
    """Whether a service without endpoints is most likely meant to have none."""
    place = shape.place(service)
    wanted = [desired for _, desired in selected.get(place, [])]
    if wanted:
        return not any(wanted)
    return services.is_left_over(service, read.around.endpoints.get(place, []), read.scene.now)


def _pods_of(read: Read, service: Object) -> List[Tuple[Ref, Brief]]:
    """The pods that a service selects, as far as they are looked at."""
    found: List[Tuple[Ref, Brief]] = []

    def take(_namespace: str, items: Any, _version: str) -> None:
        if items is None:
            found.clear()
        for item in items or ():
            seen = read.view.of_uid(uid_of(item))
            if seen is not None:
                found.append((seen.owner, seen.brief))

    if read.lists.is_worth_asking("Pod"):
        labels = shape.mapping(service, "spec", "selector")
        query = {"labelSelector": ",".join("%s=%s" % pair for pair in sorted(labels.items()))}
        read.lists.pages("Pod", shape.place(service)[0], take, query)
    return found


def _claims(read: Read, found: Findings) -> None:
    waiting = {shape.place(claim) for claim in read.around.waiting_claims}
    consumers: Dict[Tuple[str, str], List[Tuple[Ref, float]]] = {}
    for seen in read.view.all() if waiting else ():
        for name in seen.claims:
            consumers.setdefault((seen.owner.namespace, name), []).append(
                (seen.owner, seen.brief.created)
            )
    for claim in read.around.waiting_claims:
        findings = others.claim_findings(
            claim,
            consumers.get(shape.place(claim), ()),
            None,  # what its class does would take a right on classes, which are the cluster's
            read.scene.now,
            read.scene.thresholds,
        )
        found.add(findings, "PersistentVolumeClaim")


def _autoscalers(read: Read, found: Findings) -> None:
    def take(autoscaler: Object) -> Sequence[Finding]:
        if not read.scope.has(autoscaler) or protect.is_ignored(autoscaler):
            return ()
        return others.autoscaler_findings(autoscaler, read.scene.now, read.scene.thresholds)

    kind = "HorizontalPodAutoscaler"
    found.add(read.lists.read(kind, take, read.scope.query(is_labelled=True)), kind)

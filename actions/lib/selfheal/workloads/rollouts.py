"""Which revision of a workload is new, is it what broke it, and which one to go back to.

A revision is a ReplicaSet of a Deployment or a ControllerRevision of a StatefulSet or DaemonSet.
Blame needs both sides: the new one's pods are sick and the old one was fine. A database that is
down makes both sick, and a restart (the same template with another mark) changes nothing that
going back would mend.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Dict, List, Optional, Sequence

from selfheal.records import dataclass
from selfheal.text import counted
from selfheal.workloads import owners, shape, states
from selfheal.workloads.model import Finding, Ref, Thresholds
from selfheal.workloads.pods import Brief

_NUMBER = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_REVISION_HASH = "controller-revision-hash"
# What a template may say beside what it is: that somebody restarted it, or what is in the ConfigMap
# that it mounts. Going back to another such mark brings back nothing.
_MARKS = re.compile(r"kubectl\.kubernetes\.io/restartedAt\Z|selfheal/restarted-at\Z|checksum/")
# What a new template can bring about. Being evicted, failed with a node or waiting for one is none.
# Not being ready counts only after the time that the workload itself gives its rollouts.
_DEADLINE_S = 600.0
_OF_TEMPLATE = frozenset(
    state.name
    for state in (
        states.POD_OOM_KILLED,
        states.POD_IMAGE_PULL_FAILED,
        states.POD_CONFIG_ERROR,
        states.POD_CRASH_LOOPING,
        states.POD_RESTARTING_OFTEN,
    )
)


@dataclass(frozen=True)
class Revision:
    """One template that a workload had. `hash` is what its pods are labelled with, `digest` is the
    same for templates that differ in restart marks only.
    """

    owner: Ref
    name: str
    hash: str
    number: int
    created: float
    digest: str


def of_replica_set(replica_set: Any) -> Optional[Revision]:
    """The revision of a Deployment that a ReplicaSet is; None when it is nobody's."""
    owner = owners.of_workload(replica_set, "ReplicaSet")
    annotations = shape.mapping(shape.metadata(replica_set), "annotations")
    number = shape.text(annotations, _NUMBER)
    mark = shape.text(shape.mapping(shape.metadata(replica_set), "labels"), _HASH)
    if owner.kind != "Deployment" or not (number.isascii() and number.isdigit()) or not mark:
        return None
    template = shape.mapping(replica_set, "spec", "template")
    return _revision(owner, replica_set, mark, int(number[:18]), template)


def of_controller_revision(revision: Any) -> Optional[Revision]:
    """The revision of a StatefulSet or DaemonSet that a ControllerRevision is, else None."""
    controller = owners.controller_of(revision)
    if controller is None or controller[0] not in ("StatefulSet", "DaemonSet"):
        return None
    namespace, name = shape.place(revision)
    owner = Ref(controller[0], namespace, controller[1])
    mark = shape.text(shape.mapping(shape.metadata(revision), "labels"), _REVISION_HASH)
    if controller[0] == "StatefulSet" or not mark:
        mark = name  # pods of a StatefulSet are labelled with its whole name
    template = shape.mapping(revision, "data", "spec", "template")
    return _revision(owner, revision, mark, shape.number(revision, "revision"), template)


def _revision(owner: Ref, value: Any, mark: str, number: int, template: shape.Json) -> Revision:
    created = shape.moment(shape.metadata(value), "creationTimestamp")
    return Revision(owner, shape.place(value)[1], mark, number, created, _digest(template))


def _digest(template: shape.Json) -> str:
    plain: Dict[str, Any] = {key: value for key, value in template.items() if key != "$patch"}
    meta = shape.metadata(template)
    annotations, labels = shape.mapping(meta, "annotations"), shape.mapping(meta, "labels")
    plain["metadata"] = [
        {key: value for key, value in annotations.items() if not _MARKS.match(key)},
        {key: value for key, value in labels.items() if key != _HASH},
    ]
    written = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(written.encode("utf-8", "replace"), digest_size=16).hexdigest()


def newest(workload: Any, owner: Ref, revisions: Sequence[Revision]) -> Optional[Revision]:
    """The revision that `workload` is to have now; None when the objects do not agree on it yet."""
    if not revisions or not shape.is_observed(workload):
        return None
    if owner.kind == "StatefulSet":
        wanted = shape.text(shape.mapping(workload, "status"), "updateRevision")
        return next((one for one in revisions if one.name == wanted), None)
    found = max(revisions, key=lambda one: one.number)
    annotations = shape.mapping(shape.metadata(workload), "annotations")
    number = shape.text(annotations, _NUMBER)
    is_it = owner.kind != "Deployment" or not number or number == str(found.number)
    return found if is_it else None


def to_go_back_to(
    workload: Any,
    owner: Ref,
    briefs: Sequence[Brief],
    revisions: Sequence[Revision],
    thresholds: Thresholds,
) -> Optional[Revision]:
    """The latest revision of another template that is known to be fine: most of its pods are well
    now, or it stood for rollout_blame_minutes before the next came. None when none is.
    """
    new = newest(workload, owner, revisions)
    if new is None:
        return None
    older = sorted(
        (one for one in revisions if one.number < new.number), key=lambda one: -one.number
    )
    older = [one for one in older if one.digest != new.digest]
    alive = [(one, _pods_of(one, briefs)) for one in older]
    alive = [(one, pods) for one, pods in alive if pods]
    for one, pods in alive:
        if _are_well(pods):
            return one
    if alive or not older:
        return None
    predecessor = older[0]
    stood_s = _began(new, revisions) - predecessor.created
    return predecessor if stood_s >= thresholds.rollout_blame_s else None


def broken(
    workload: Any,
    owner: Ref,
    briefs: Sequence[Brief],
    revisions: Sequence[Revision],
    now: float,
    thresholds: Thresholds,
) -> Optional[Finding]:
    """The finding that the newest rollout of `workload` is what broke it, else None."""
    is_paused = shape.mapping(workload, "spec").get("paused") is True
    new = None if is_paused else newest(workload, owner, revisions)
    if new is None:
        return None
    began = _began(new, revisions)
    pods = _pods_of(new, briefs)
    deadline_s = shape.number(shape.mapping(workload, "spec"), "progressDeadlineSeconds")
    judged = [_by_template(one, now, deadline_s or _DEADLINE_S) for one in pods]
    sick = [one for one in judged if one is not None]
    if not began or now - began > thresholds.rollout_blame_s or len(sick) * 2 <= len(pods):
        return None
    old = to_go_back_to(workload, owner, briefs, revisions, thresholds)
    if old is None:
        return None
    example = min(sick, key=lambda one: (one.state.priority, one.pod))
    words = "%s of revision %d sick (%s) since it was rolled out; revision %d was fine" % (
        "%d of %s" % (len(sick), counted(len(pods), "pod")),
        new.number,
        example.state.alert_type,
        old.number,
    )
    return Finding(
        states.ROLLOUT_BROKEN,
        owner,
        example.pod,
        example.container,
        example.reason,
        example.message,
        example.node,
        example.exit_code,
        min(began, now),
        max(one.restarts for one in sick),
        words,
    )


def _by_template(brief: Brief, now: float, deadline_s: float) -> Optional[Finding]:
    """What is wrong with a pod, when its template may have brought that about."""
    sick = brief.sick
    if sick is not None and sick.state is states.POD_NOT_READY:  # it may only be slow to start
        return sick if now - brief.unready_since > deadline_s else None
    return sick if sick is not None and sick.state.name in _OF_TEMPLATE else None


def _pods_of(revision: Revision, briefs: Sequence[Brief]) -> List[Brief]:
    return [one for one in briefs if one.is_active and one.revision == revision.hash]


def _are_well(pods: Sequence[Brief]) -> bool:
    well = [one for one in pods if one.sick is None and one.is_ready]
    return len(well) * 2 > len(pods)


def _began(new: Revision, revisions: Sequence[Revision]) -> float:
    """When the template of `new` came: restarts of it since do not count as a rollout."""
    older = sorted(
        (one for one in revisions if one.number < new.number), key=lambda one: -one.number
    )
    began = new.created
    for one in older:
        if one.digest != new.digest:
            break
        began = shape.earliest(began, one.created)
    return began

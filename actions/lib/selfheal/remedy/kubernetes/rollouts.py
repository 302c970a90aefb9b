"""Waiting until a workload has followed its change, and judging whether it is as well as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from selfheal.apis.kubernetes import paths
from selfheal.apis.kubernetes.failures import Changed, Missing
from selfheal.exceptions import ExternalError, SelfhealError
from selfheal.remedy import steps
from selfheal.remedy.kubernetes.attempts import UNDO_NOW
from selfheal.remedy.kubernetes.patience import OutOfTime
from selfheal.remedy.steps import Ending
from selfheal.workloads import shape

if TYPE_CHECKING:
    from selfheal.remedy.kubernetes.patience import Patience
    from selfheal.remedy.kubernetes.target import Target
    from selfheal.workloads.model import Health

_LOOKS_S = (0.25, 0.5, 1.0, 2.0)
_REVISION = "controller-revision-hash"
_STUCK = "ProgressDeadlineExceeded"


def waited(
    target: Target,
    before: Optional[Health],
    words: str,
    patience: Patience,
    is_back: bool = False,
) -> Ending:
    """Wait until the workload has followed; how it stands then against `before`. `is_back` when it
    goes back to an earlier template.
    """
    seen, looks = "it was not looked at", iter(_LOOKS_S)
    old = _progress(target.workload)
    while True:
        try:
            target = target.again()
            health = target.health
            seen = health.words if health else seen
            if health is not None and has_observed(target.workload):
                if health.is_settled:
                    return _judged(target, before, health, words)
                if _is_stuck(target.workload, old):
                    return _failed("%s: its rollout does not progress: %s" % (words, seen))
                unstick(target, is_back)
        except Missing:
            return _failed("%s: it was deleted meanwhile" % words)
        except ExternalError as error:
            if not error.retryable:
                return _failed("%s, but how it went cannot be seen: %s" % (words, error))
            seen = str(error)
        except SelfhealError as error:
            patience.check()
            return _failed("%s, but how it went cannot be seen: %s" % (words, error))
        try:
            patience.pause(next(looks, _LOOKS_S[-1]), seen)
        except OutOfTime:
            return _failed("%s: it had not followed when the time was over: %s" % (words, seen))


def is_worse(before: Optional[Health], after: Health) -> bool:
    """Whether fewer do their work than before, though as many are wanted."""
    return before is not None and after.available < min(before.available, after.desired)


def has_observed(workload: Mapping[str, Any]) -> bool:
    """Whether the controller has seen the newest spec."""
    seen = shape.number(shape.mapping(workload, "status"), "observedGeneration")
    return seen >= shape.number(shape.metadata(workload), "generation")


def unstick(target: Target, is_back: bool) -> None:
    """Delete pods of a StatefulSet of another revision than it wants: it waits until they are ready
    before it replaces any, so with a sick one it would wait for ever.

    When it goes back, those are meant that are not ready, for the template that they came from was
    what was wrong; else only those that are sick.
    """
    spec = shape.mapping(target.workload, "spec")
    if target.ref.kind != "StatefulSet" or not has_observed(target.workload):
        return
    if shape.text(spec, "podManagementPolicy") == "Parallel":
        return
    wanted = shape.text(shape.mapping(target.workload, "status"), "updateRevision")
    sick = target.sick_pods()
    for pod in target.pods:
        about = shape.metadata(pod)
        revision = shape.text(shape.mapping(about, "labels"), _REVISION)
        is_ready = shape.text(shape.conditions(pod).get("Ready", {}), "status") == "True"
        if shape.is_deleting(pod) or is_ready or not wanted or revision == wanted:
            continue
        if _is_held_back(spec, shape.text(about, "name")):
            continue  # it would come back as it is, again and again
        if not (is_back or shape.text(about, "name") in sick) or target.why_pod_not(pod):
            continue
        where = paths.path("Pod", target.ref.namespace, shape.text(about, "name"))
        try:
            target.client.delete(where, shape.text(about, "uid"))
        except (Missing, Changed):
            continue


def _is_held_back(spec: Mapping[str, Any], name: str) -> bool:
    """Whether a pod lies below the partition of its StatefulSet, so that it stays as it is."""
    partition = shape.number(shape.mapping(spec, "updateStrategy", "rollingUpdate"), "partition")
    first = shape.number(shape.mapping(spec, "ordinals"), "start")
    ordinal = name.rpartition("-")[2]
    return not ordinal.isdigit() or int(ordinal) < first + partition


def _judged(target: Target, before: Optional[Health], after: Health, words: str) -> Ending:
    if is_worse(before, after):
        assert before is not None
        return _failed(
            "%s: worse than before: %d of %d available, before %d of %d"
            % (words, after.available, after.desired, before.available, before.desired)
        )
    return Ending(steps.DONE, "%s: %s" % (words, after.words))


def _is_stuck(workload: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether its controller has given up, and not only left `old` there, which it had said before
    the change: on the way back to an earlier template it may do so for a while.
    """
    found = _progress(workload)
    return shape.text(found, "reason") == _STUCK and found != old


def _progress(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    return shape.conditions(workload).get("Progressing", {})


def _failed(words: str) -> Ending:
    return Ending(steps.FAILED, words, dict(UNDO_NOW))

"""Sick pods taken away so that their controller makes new ones: which they are, deleting or
evicting them, and waiting until others do their work.

Only pods that a controller replaces, and only while they are sick. What is taken away cannot be
brought back, so nothing is owed for it: the controller has made another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.apis.kubernetes import paths
from selfheal.apis.kubernetes.failures import Changed, Missing, Throttled
from selfheal.exceptions import ExternalError, Refused
from selfheal.records import dataclass
from selfheal.workloads import owners, shape, states
from selfheal.workloads import pods as judging
from selfheal.workloads.model import Finding

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.remedy.kubernetes.patience import Patience
    from selfheal.remedy.kubernetes.target import Target
    from selfheal.remedy.model import KubernetesAct

_MOST = 1
_EVICT = ("evict_pod", "reschedule_pod")
# A new pod would come from the same image and configuration.
_ALIKE = (states.POD_IMAGE_PULL_FAILED.alert_type, states.POD_CONFIG_ERROR.alert_type)
_OFTEN = states.POD_RESTARTING_OFTEN.alert_type


class Protected(Refused):
    """Pods are sick, and those are not to be touched."""


@dataclass(frozen=True)
class Chosen:
    """A pod that is to go: which, where it runs, whether it does its work in spite of all, whether
    its controller counts it, and what is wrong with it.
    """

    name: str
    uid: str
    node: str
    is_ready: bool
    is_active: bool
    finding: Finding


def choose(target: Target, options: Mapping[str, Any]) -> Tuple[Chosen, ...]:
    """The sick pods of `target` that are to go, those first that do no work. Raises Refused when
    there is none that may go and would be replaced by a better one.
    """
    _refuse_ended(target)
    pods = [pod for pod in target.pods if not target.pod or _name(pod) == target.pod]
    if not pods:
        raise Refused("it has no pods%s" % (" called %s" % target.pod if target.pod else ""))
    found: List[Chosen] = []
    against: List[str] = []
    for pod in pods:
        one, why_not = _judged(target, pod)
        if one is not None:
            found.append(one)
        elif why_not:
            against.append(why_not)
    if not found:
        is_protected = any(target.why_pod_not(pod) for pod in pods)
        raise (Protected if is_protected else Refused)(
            "none of its pods is sick and may go: %s" % "; ".join(sorted(set(against))[:3])
        )
    found.sort(key=lambda one: (one.is_ready, one.finding.state.priority, one.name))
    return tuple(found[: options.get("most", _MOST)])


def in_words(act: KubernetesAct, chosen: Sequence[Chosen]) -> str:
    """What is done to which pods, and why."""
    verb = act.do.split("_")[0]
    shown = ", ".join("%s (%s)" % (one.name, one.finding.words) for one in chosen[:5])
    more = " and %d more" % (len(chosen) - 5) if len(chosen) > 5 else ""
    return "%s pod %s%s" % (verb, shown, more)


def rehearse(target: Target, act: KubernetesAct, chosen: Sequence[Chosen]) -> None:
    """Ask the server whether it would let the pods go (dry run). What a disruption budget keeps now
    is no objection: it is waited for.
    """
    for one in chosen:
        try:
            _send(target.client, target.ref.namespace, act, one, dry_run=True)
        except (Missing, Changed):
            continue
        except Throttled as error:
            if not error.is_disruption_budget:
                raise


def take_away(target: Target, act: KubernetesAct, one: Chosen, patience: Patience) -> str:
    """Make the pod go, waiting for disruption budgets and for the server; what came of it in words.

    It is looked at again before each further try: one that is well again, or gone, is left alone.
    Raises OutOfTime, CalledOff, and what does not change by waiting.
    """
    while True:
        try:
            _send(target.client, target.ref.namespace, act, one)
            return "%s is gone" % one.name
        except Missing:
            return "%s was gone already" % one.name
        except Changed:
            return "%s was replaced already" % one.name
        except ExternalError as error:
            patience.outlast(error)
        left = why_left(target, one)
        if left:
            return left


def why_left(target: Target, one: Chosen) -> str:
    """Why the pod is not taken away any more, after a fresh look; empty when it is."""
    try:
        fresh = target.again()
    except ExternalError as error:
        if not error.retryable:
            raise
        return ""
    same = [pod for pod in fresh.pods if shape.text(shape.metadata(pod), "uid") == one.uid]
    if not same:
        return "%s is gone" % one.name
    if shape.is_deleting(same[0]):
        return "%s is on its way out" % one.name
    why_not = fresh.why_pod_not(same[0])
    if why_not:
        return "%s; so %s was left" % (why_not, one.name)
    is_sick = _judged(fresh, same[0])[0] is not None
    return "" if is_sick else "%s is well again, and was left" % one.name


def _send(
    client: Client, namespace: str, act: KubernetesAct, one: Chosen, dry_run: bool = False
) -> None:
    if act.do in _EVICT:
        client.evict(namespace, one.name, one.uid, dry_run=dry_run)
    else:
        client.delete(paths.path("Pod", namespace, one.name), one.uid, dry_run=dry_run)


def _judged(target: Target, pod: Mapping[str, Any]) -> Tuple[Optional[Chosen], str]:
    """The pod, when it is to go; else why it is not."""
    name, about = _name(pod), shape.metadata(pod)
    if shape.is_deleting(pod):
        return None, "pod %s is on its way out already" % name
    why_not = target.why_pod_not(pod)
    if why_not:
        return None, why_not
    controller = owners.controller_of(pod)
    if controller is None or controller[0] == "Node":
        return None, "pod %s has no controller that would replace it" % name
    found = _findings(target, pod)
    if not found:
        return None, "pod %s is not sick" % name
    worst = min(found, key=lambda one: one.state.priority)
    if worst.state.alert_type in _ALIKE:
        return None, "%s: a new pod would fail alike, so mend that" % worst.words
    brief = judging.brief(pod, found)
    if worst.state is states.POD_PENDING and not brief.node:
        return None, "%s: a new pod would wait for a node alike, so make room" % worst.words
    uid = shape.text(about, "uid")
    return Chosen(name, uid, brief.node, brief.is_ready, brief.is_active, worst), ""


def _findings(target: Target, pod: Mapping[str, Any]) -> Sequence[Finding]:
    recent: Dict[str, int] = {}
    if target.alert_type == _OFTEN:  # who counted has said so; the pod itself only has its life's
        recent = judging.restarts_of(pod)
    return judging.findings_of(pod, target.ref, target.now, target.thresholds, recent)


def _refuse_ended(target: Target) -> None:
    if target.ref.kind != "Job":
        return
    conditions = shape.conditions(target.workload)
    for kind in ("Complete", "Failed"):
        if shape.text(conditions.get(kind, {}), "status") == "True":
            raise Refused("it has ended (%s), and its pods are not replaced any more" % kind)


def _name(pod: Mapping[str, Any]) -> str:
    return shape.text(shape.metadata(pod), "name")

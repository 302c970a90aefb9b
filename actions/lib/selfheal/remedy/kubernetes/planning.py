"""What an operation would change of the objects as they are now: the changes, in words and in full.

Reads what it needs besides, and changes nothing. Whatever speaks against the operation is Refused
here, each time anew before it is tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Tuple

from selfheal.exceptions import Refused
from selfheal.records import dataclass
from selfheal.remedy.kubernetes import autoscalers, templates, tolls
from selfheal.remedy.kubernetes.changes import Change
from selfheal.remedy.kubernetes.edits import ABSENT, Edit, edit
from selfheal.remedy.kubernetes.operations import REPLICAS, UNSCHEDULABLE
from selfheal.workloads import owners, shape

if TYPE_CHECKING:
    from selfheal.remedy.kubernetes.target import Target
    from selfheal.remedy.model import KubernetesAct


@dataclass(frozen=True)
class Planned:
    """`change` of one object, in `words`; `live` is that object as it was read (None: it is to be
    made), `is_rollout` whether pods follow it.
    """

    change: Change
    words: str
    live: Optional[Mapping[str, Any]]
    is_rollout: bool = True


def plan(target: Target, act: KubernetesAct, at: float) -> Planned:
    """The change that `act` makes of `target`; `at` is the moment that a restart is marked with.
    Raises Refused, and what reading raises.
    """
    planners: Dict[str, Callable[[Target, Mapping[str, Any], float], Planned]] = {
        "restart_workload": _restart,
        "rollback_workload": _rollback,
        "set_resources": _resources,
        "scale_workload": _scale,
        "cordon_node": lambda node, options, at: cordon(node, True),
        "uncordon_node": lambda node, options, at: cordon(node, False),
        "apply_hpa": _autoscaler,
    }
    return planners[act.do](target, dict(act.options), at)


def _restart(target: Target, options: Mapping[str, Any], at: float) -> Planned:
    templates.refuse_without_rollout(target.workload, "restart")
    return _of_workload(
        target, templates.restarted(target.workload, at), "restart %s" % target.ref
    )


def _rollback(target: Target, options: Mapping[str, Any], at: float) -> Planned:
    target.refuse_owned()
    templates.refuse_without_rollout(target.workload, "roll back")
    if target.ref.kind == "Deployment":
        edits, revision = templates.previous_of_deployment(
            target.workload, target.replica_sets(), target.fine_revision()
        )
    else:
        edits, revision = templates.previous_of_set(
            target.workload, target.revisions(), target.fine_revision()
        )
    return _of_workload(target, edits, "roll %s back to %s" % (target.ref, revision))


def _resources(target: Target, options: Mapping[str, Any], at: float) -> Planned:
    target.refuse_owned()
    templates.refuse_without_rollout(target.workload, "set the resources of")
    edits, words = templates.with_resources(
        target.workload, target.pods, options, target.client.settings
    )
    return _of_workload(target, edits, "set the resources of %s: %s" % (target.ref, words))


def _scale(target: Target, options: Mapping[str, Any], at: float) -> Planned:
    target.refuse_owned()
    if shape.mapping(target.workload, "spec").get("paused") is True:
        raise Refused("it is paused: somebody is working on it; resume it, then scale it")
    now = shape.replicas_wanted(target.workload)
    most = int(target.client.settings["max_replicas"])
    wanted = options["to"] if "to" in options else now + options["by"]
    if wanted == now:
        raise Refused("it has %d replicas already" % now)
    if wanted < 1 and "to" not in options:
        raise Refused(
            "it has %d replicas; %+d would leave none of them (to: 0 says so when it is meant)"
            % (now, options["by"])
        )
    if wanted > most and wanted > now:
        raise Refused(
            "it has %d replicas; %d are more than kubernetes.max_replicas (%d) allows"
            % (now, wanted, most)
        )
    autoscalers.refuse_steered(target.client, target.ref)
    words = "scale %s from %d to %d" % (target.ref, now, wanted)
    return _of_workload(target, (edit(target.workload, REPLICAS, wanted),), words)


def cordon(target: Target, is_cordoned: bool) -> Planned:
    """Close the target's node for new pods, or open it."""
    node = target.node
    assert node is not None
    name = shape.text(shape.metadata(node), "name")
    if (shape.mapping(node, "spec").get("unschedulable") is True) == is_cordoned:
        raise Refused(
            "node %s is %s already" % (name, "cordoned" if is_cordoned else "open to new pods")
        )
    if is_cordoned:
        tolls.refuse_last_nodes(target)
    change = Change(
        "Node",
        "",
        name,
        shape.text(shape.metadata(node), "uid"),
        (edit(node, UNSCHEDULABLE, True if is_cordoned else ABSENT),),
    )
    words = "%s node %s" % ("cordon" if is_cordoned else "uncordon", name)
    return Planned(change, words, node, is_rollout=False)


def _autoscaler(target: Target, options: Mapping[str, Any], at: float) -> Planned:
    target.refuse_owned()
    client, ref = target.client, target.ref
    version = autoscalers.version_of(client)
    found = autoscalers.steering(client, ref, version)
    if len(found) > 1:
        raise Refused(
            "%d autoscalers steer it already (%s), which fight each other; delete all but one"
            % (len(found), ", ".join(sorted(shape.place(one)[1] for one in found)))
        )
    spec = autoscalers.spec_of(ref, target.workload, options, client.settings)
    if not found:
        _refuse_taken_name(target, version)
        change = Change(
            autoscalers.KIND,
            ref.namespace,
            ref.name,
            "",
            (Edit(("spec",), ABSENT, spec),),
            version,
            autoscalers.manifest(ref, version, spec),
        )
        words = "create an autoscaler for %s: %s" % (ref, _bounds(spec))
        return Planned(change, words, None, is_rollout=False)
    live = found[0]
    target.refuse_protected(live)
    maker = owners.controller_of(live)
    if maker is not None:
        raise Refused(
            "the autoscaler %s is made by %s %s, which would undo this; change it there"
            % (shape.place(live)[1], maker[0], maker[1])
        )
    about = shape.metadata(live)
    live = {"apiVersion": "%s/%s" % (autoscalers.GROUP, version), "kind": autoscalers.KIND, **live}
    name = shape.text(about, "name")
    change = Change(
        autoscalers.KIND,
        ref.namespace,
        name,
        shape.text(about, "uid"),
        (edit(live, ("spec",), spec),),
        version,
    )
    words = "replace the autoscaler %s of %s: %s" % (name, ref, _bounds(spec))
    return Planned(change, words, live, is_rollout=False)


def _refuse_taken_name(target: Target, version: str) -> None:
    from selfheal.apis.kubernetes import paths
    from selfheal.apis.kubernetes.failures import Missing

    ref = target.ref
    try:
        target.client.get(paths.path(autoscalers.KIND, ref.namespace, ref.name, version=version))
    except Missing:
        return
    raise Refused("an autoscaler called %s steers something else; rename it first" % ref.name)


def _bounds(spec: Mapping[str, Any]) -> str:
    return "%d to %d replicas" % (spec["minReplicas"], spec["maxReplicas"])


def _of_workload(target: Target, edits: Tuple[Edit, ...], words: str) -> Planned:
    ref = target.ref
    uid = shape.text(shape.metadata(target.workload), "uid")
    return Planned(Change(ref.kind, ref.namespace, ref.name, uid, edits), words, target.workload)

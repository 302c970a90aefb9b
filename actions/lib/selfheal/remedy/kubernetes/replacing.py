"""Taking sick pods away and waiting until their replacements do the work, where that is asked on
another node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import ExternalError, Refused, SelfhealError
from selfheal.records import dataclass
from selfheal.remedy import steps
from selfheal.remedy.kubernetes import planning, undoing
from selfheal.remedy.kubernetes import pods as podwork
from selfheal.remedy.kubernetes.attempts import (
    UNDO_NOW,
    Attempt,
    rehearsed,
    undo_of,
)
from selfheal.remedy.kubernetes.changes import Change
from selfheal.remedy.kubernetes.patience import LOOK_S, CalledOff, OutOfTime
from selfheal.remedy.kubernetes.planning import Planned
from selfheal.remedy.kubernetes.rollouts import is_worse
from selfheal.remedy.kubernetes.target import Target, locate
from selfheal.remedy.steps import Ending
from selfheal.workloads import shape

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.remedy.kubernetes.patience import Patience
    from selfheal.remedy.kubernetes.pods import Chosen
    from selfheal.remedy.model import KubernetesAct
    from selfheal.remedy.steps import Surroundings
    from selfheal.workloads.model import Health


@dataclass(frozen=True)
class Scene:
    """How it was before: all pods by uid, how many did their work besides those that are to go,
    these, and the workload's health; `must_move` when their replacements belong on other nodes.
    """

    known: FrozenSet[str]
    others: int
    chosen: Tuple[Chosen, ...]
    health: Optional[Health]
    must_move: bool

    @property
    def nodes(self) -> FrozenSet[str]:
        """Where the pods that are to go run."""
        return frozenset(one.node for one in self.chosen if one.node)


def carry_out(
    around: Surroundings, client: Client, act: KubernetesAct, patience: Patience
) -> Ending:
    """Do the operation `act` on sick pods of the incident's workload. Raises Refused, CalledOff."""
    options = dict(act.options)
    try:
        target, chosen = _chosen(around, client, act, patience)
    except OutOfTime as error:
        return Ending(steps.FAILED, "gave up when the time was over: %s" % error)
    must_move = act.do == "reschedule_pod"
    going = {one.uid for one in chosen}
    others = sum(1 for pod in target.pods if _uid(pod) not in going and _does_work(pod))
    known = frozenset(map(_uid, target.pods))
    scene = Scene(known, others, chosen, target.health, must_move)
    words = podwork.in_words(act, chosen)
    if not (must_move and options.get("avoid_node")):
        return _replaced(target, act, scene, words, patience)
    return _away_from_node(around, target, act, scene, words, patience)


def _chosen(
    around: Surroundings, client: Client, act: KubernetesAct, patience: Patience
) -> Tuple[Target, Tuple[Chosen, ...]]:
    while True:
        try:
            target = locate(around.ctx, client, around.about, act)
            chosen = podwork.choose(target, dict(act.options))
            podwork.rehearse(target, act, chosen)
            return target, chosen
        except ExternalError as error:
            patience.outlast(error)


def undo_of_cordon(
    target: Target, act: KubernetesAct, chosen: Sequence[Chosen]
) -> Optional[Dict[str, Any]]:
    """What would be owed for closing the nodes of the `chosen` pods, rehearsed on the server; None
    when they are closed already.
    """
    changes = []
    for name in sorted({one.node for one in chosen if one.node}):
        node = target.of_node(name)
        if not _is_closed(node):
            changes.append(rehearsed(target.client, planning.cordon(node, True)).change)
    return undo_of(act, target.client.name, changes) if changes else None


def _is_closed(node: Target) -> bool:
    return shape.mapping(node.node, "spec").get("unschedulable") is True


def _away_from_node(
    around: Surroundings,
    target: Target,
    act: KubernetesAct,
    scene: Scene,
    words: str,
    patience: Patience,
) -> Ending:
    """As `_replaced`, with the nodes cordoned meanwhile. However it ends, they are opened again."""
    cordoned: List[Change] = []
    stopped: Optional[CalledOff] = None
    try:
        for name in sorted(scene.nodes):
            _cordon(around, target, act, name, cordoned, patience)
        ending = _replaced(target, act, scene, words, patience)
    except CalledOff as error:
        stopped = error
        ending = Ending(steps.STOPPED, str(error), stops=error.reason)
    except Refused as error:
        ending = Ending(steps.REFUSED, str(error))
    except SelfhealError as error:
        ending = Ending(steps.FAILED, str(error))
    left = _opened(around, target.client, cordoned, patience)
    if left:
        return Ending(steps.FAILED, "%s; %s" % (ending.detail, left), dict(UNDO_NOW))
    around.record(None)
    if stopped is not None:
        raise stopped
    return ending


def _cordon(
    around: Surroundings,
    target: Target,
    act: KubernetesAct,
    name: str,
    cordoned: List[Change],
    patience: Patience,
) -> None:
    def plan() -> Tuple[Target, Planned]:
        node = target.of_node(name)
        return node, planning.cordon(node, True)

    if _is_closed(target.of_node(name)):
        return  # somebody else did, and it is theirs to open
    attempt = Attempt(around, target.client, act, patience, tuple(cordoned))
    try:
        cordoned.append(attempt.brought_about(plan)[1].change)
    except SelfhealError:
        if attempt.last is not None and attempt.is_unsure:
            cordoned.append(attempt.last)
        raise


def _opened(
    around: Surroundings, client: Client, cordoned: Sequence[Change], patience: Patience
) -> str:
    """Open the nodes again; what stands against it, or empty."""
    for change in cordoned:
        try:
            undoing.put_back(around, client, change, patience)
        except SelfhealError as error:
            return "%s is still cordoned: %s" % (change, error)
    return ""


def _replaced(
    target: Target, act: KubernetesAct, scene: Scene, words: str, patience: Patience
) -> Ending:
    """Take the pods away, one after the other, and wait for what comes in their place."""
    taken: List[Chosen] = []
    told: List[str] = []
    for one in scene.chosen:
        patience.check()
        try:
            # The first was looked at just now; the others may be well since, or gone.
            outcome = podwork.why_left(target, one) if told else ""
            outcome = outcome or podwork.take_away(target, act, one, patience)
        except OutOfTime as error:
            return Ending(steps.FAILED, _not_in_time(one, error.__cause__ or error))
        except CalledOff:
            raise
        except SelfhealError as error:
            return Ending(steps.FAILED, "%s: %s" % (words, error))
        told.append(outcome)
        if not outcome.endswith("was left"):
            taken.append(one)
    ending = _waited(target, scene, taken, words, patience)
    return Ending(ending.status, "%s; %s" % ("; ".join(told), ending.detail), ending.fields)


def _not_in_time(one: Chosen, error: BaseException) -> str:
    return "pod %s could not be taken away before the time was over: %s" % (one.name, error)


def _waited(
    target: Target, scene: Scene, taken: Sequence[Chosen], words: str, patience: Patience
) -> Ending:
    seen = "it was not looked at"
    while True:
        try:
            target = target.again()
            astray = _astray(target, scene)
            if astray:
                return Ending(steps.FAILED, astray)
            seen = _lacks(target, scene, taken)
            if not seen:
                return _judged(target, scene)
        except ExternalError as error:
            if not error.retryable:
                return Ending(steps.FAILED, str(error))
            seen = str(error)
        except SelfhealError as error:
            return Ending(steps.FAILED, "how it went cannot be seen: %s" % error)
        try:
            patience.pause(LOOK_S, seen)
        except OutOfTime:
            return Ending(steps.FAILED, "when the time was over %s" % seen)


def _astray(target: Target, scene: Scene) -> str:
    """Which new pod has come to the node that was to be left, in words; empty for none."""
    if not scene.must_move:
        return ""
    for pod in _new(target, scene):
        node = shape.text(shape.mapping(pod, "spec"), "nodeName")
        if node and node in scene.nodes:
            return (
                "its replacement %s has come to the same node %s; cordon the node, or reschedule "
                "with avoid_node: true" % (shape.place(pod)[1], node)
            )
    return ""


def _lacks(target: Target, scene: Scene, taken: Sequence[Chosen]) -> str:
    """What is still waited for, in words; empty when all is there."""
    gone = {one.uid for one in taken}
    if target.ref.kind == "Job":
        return _lacks_of_job(target, scene, gone)
    working = [pod for pod in target.pods if _uid(pod) not in gone and _does_work(pod)]
    desired = target.health.desired if target.health else 0
    wanted = min(desired, scene.others + sum(1 for one in taken if one.is_active))
    if len(working) < wanted:
        return "%d of %d pods were ready" % (len(working), wanted)
    moved = [pod for pod in _new(target, scene) if _does_work(pod)]
    if scene.must_move and len(moved) < min(wanted, len(taken)):
        return "%d of %d replacements were ready on another node" % (len(moved), len(taken))
    return ""


def _lacks_of_job(target: Target, scene: Scene, gone: Any) -> str:
    conditions = shape.conditions(target.workload)
    has_ended = any(
        shape.text(conditions.get(kind, {}), "status") == "True" for kind in ("Complete", "Failed")
    )
    if has_ended or not gone or any(True for _ in _new(target, scene)):
        return ""
    return "its Job had not begun another pod"


def _judged(target: Target, scene: Scene) -> Ending:
    health = target.health
    if health is not None and is_worse(scene.health, health):
        assert scene.health is not None
        return Ending(
            steps.FAILED,
            "worse than before: %d of %d available, before %d"
            % (health.available, health.desired, scene.health.available),
        )
    return Ending(steps.DONE, health.words if health else "replaced")


def _new(target: Target, scene: Scene) -> List[Mapping[str, Any]]:
    return [
        pod for pod in target.pods if _uid(pod) not in scene.known and not shape.is_deleting(pod)
    ]


def _does_work(pod: Mapping[str, Any]) -> bool:
    ready = shape.text(shape.conditions(pod).get("Ready", {}), "status")
    return ready == "True" and not shape.is_deleting(pod)


def _uid(pod: Mapping[str, Any]) -> str:
    return shape.text(shape.metadata(pod), "uid")

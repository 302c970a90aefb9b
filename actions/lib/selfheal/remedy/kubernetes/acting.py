"""Doing an operation: look, refuse or rehearse, record how it is taken back, do it, wait for it,
and compare how well the workload is then with how well it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from selfheal.apis.kubernetes.client import connect
from selfheal.apis.kubernetes.failures import Changed
from selfheal.exceptions import Refused, SelfhealError
from selfheal.records import dataclass
from selfheal.remedy import steps
from selfheal.remedy.kubernetes import operations, planning, replacing, rollouts
from selfheal.remedy.kubernetes import pods as podwork
from selfheal.remedy.kubernetes.attempts import UNDO_NOW, Attempt, GaveUp, rehearsed, undo_of
from selfheal.remedy.kubernetes.patience import CalledOff, Patience
from selfheal.remedy.kubernetes.planning import Planned
from selfheal.remedy.kubernetes.target import Target, locate
from selfheal.remedy.steps import Ending

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context
    from selfheal.remedy.model import KubernetesAct
    from selfheal.remedy.steps import Surroundings
    from selfheal.workloads.model import Health


_TRIES = 3


@dataclass(frozen=True)
class Prepared:
    """What an operation would do now, rehearsed on the server and not done: in words, how well the
    workload is before it (None for a node), and the action that would take it back, if any.
    """

    what: str
    health: Optional[Health]
    undo: Optional[Dict[str, Any]]


def prepare(ctx: Context, act: KubernetesAct, about: Any) -> Prepared:
    """What `act` would do for `about` (an incident, or a deed of the guard). Raises Refused when it
    is not for it, and what the cluster's API raises. Changes nothing.
    """
    client = connect(ctx, about.cluster)
    try:
        target = locate(ctx, client, about, act)
        if act.do in operations.OF_PODS:
            chosen = podwork.choose(target, dict(act.options))
            podwork.rehearse(target, act, chosen)
            undo = None
            if dict(act.options).get("avoid_node"):
                undo = replacing.undo_of_cordon(target, act, chosen)
            return Prepared(podwork.in_words(act, chosen), target.health, undo)
        planned = _planned(ctx, client, target, act)
        owed = undo_of(act, client.name, (planned.change,))
        return Prepared(planned.words, target.health, owed)
    finally:
        client.close()


def _planned(ctx: Context, client: Client, target: Target, act: KubernetesAct) -> Planned:
    for _ in range(_TRIES):
        try:
            return rehearsed(client, planning.plan(target, act, ctx.clock.now()))
        except Changed:  # a sick workload's status is written all the time
            target = target.again()
    return rehearsed(client, planning.plan(target, act, ctx.clock.now()))


def carry_out(act: KubernetesAct, around: Surroundings) -> Ending:
    """Do `act` for the incident that `around` is about; how it ended. Foreseen failures are in the
    ending.
    """
    try:
        operations.operation_of(act)
        client = connect(around.ctx, around.about.cluster)
    except SelfhealError as error:
        return Ending(steps.FAILED, str(error))
    patience = Patience(around, float(client.settings["rollout_timeout_s"]))
    try:
        if act.do in operations.OF_PODS:
            return replacing.carry_out(around, client, act, patience)
        return _change(around, client, act, patience)
    except Refused as error:
        return Ending(steps.REFUSED, str(error))
    except CalledOff as error:
        return Ending(steps.STOPPED, str(error), stops=error.reason)
    finally:
        client.close()


def _change(
    around: Surroundings, client: Client, act: KubernetesAct, patience: Patience
) -> Ending:
    at = around.ctx.clock.now()

    def plan() -> Tuple[Target, Planned]:
        target = locate(around.ctx, client, around.about, act)
        return target, planning.plan(target, act, at)

    attempt = Attempt(around, client, act, patience)
    try:
        target, planned = attempt.brought_about(plan)
    except GaveUp as error:
        return Ending(steps.FAILED, str(error), dict(UNDO_NOW) if attempt.is_unsure else {})
    if not planned.is_rollout:
        return Ending(steps.DONE, planned.words)
    is_back = act.do == "rollback_workload"
    return rollouts.waited(target, attempt.before, planned.words, patience, is_back)

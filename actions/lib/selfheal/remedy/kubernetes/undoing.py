"""Taking a change in Kubernetes back, by its record alone: what is as we left it becomes what it
was, exactly; what is as it was is left; what somebody changed since is never overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from selfheal.apis.kubernetes.client import connect
from selfheal.apis.kubernetes.failures import Changed, Forbidden
from selfheal.exceptions import ConfigError, ExternalError, Refused, SelfhealError
from selfheal.remedy import steps
from selfheal.remedy.kubernetes import autoscalers, changes, edits, operations, rollouts
from selfheal.remedy.kubernetes.attempts import AGAIN_S
from selfheal.remedy.kubernetes.patience import CalledOff, OutOfTime, Patience
from selfheal.remedy.kubernetes.target import reached, refuse_object, refuse_place
from selfheal.remedy.steps import Ending
from selfheal.text import one_line
from selfheal.workloads.model import Ref

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.remedy.kubernetes.changes import Change
    from selfheal.remedy.steps import Surroundings

_OBSERVED_WITHIN_S = 10.0
_AGAIN_FOR_PODS_S = 0.25


def undo(record: Mapping[str, Any], around: Surroundings) -> Ending:
    """Take back what `record` (an undo record's action) holds. Done twice, it changes nothing."""
    try:
        owed = [changes.from_dict(one) for one in record["changes"]]
        cluster = record["cluster"]
        if not owed:
            raise TypeError("no changes")
    except (SelfhealError, LookupError, TypeError, AttributeError) as error:
        return Ending(
            steps.FAILED, "the undo record cannot be understood (%r); undo it by hand" % error
        )
    try:
        _refuse_foreign(record, owed)
        client = connect(around.ctx, cluster)
        _refuse_other(client, cluster)
    except SelfhealError as error:
        return Ending(steps.FAILED, str(error))
    patience = Patience(around, float(record.get("timeout_s") or 60.0))
    words = []
    try:
        for change in reversed(owed):
            words.append(put_back(around, client, change, patience))
    except CalledOff as error:
        return Ending(steps.STOPPED, str(error), stops=error.reason)
    except OutOfTime as error:
        return Ending(steps.FAILED, "gave up when the time was over: %s" % error)
    except SelfhealError as error:
        return Ending(steps.FAILED, str(error))
    finally:
        client.close()
    return Ending(steps.DONE, "; ".join(words))


def _refuse_foreign(record: Mapping[str, Any], owed: Sequence[Change]) -> None:
    """Raises Refused for what no such operation changes, whoever wrote that into the record."""
    kinds, paths = operations.touched_by(str(record.get("do")))
    for change in owed:
        is_ours = change.kind in kinds and all(one.path in paths for one in change.edits)
        if not is_ours or (change.body is not None and change.kind != autoscalers.KIND):
            raise Refused(
                "the undo record would change what %s never changes (%s: %s), so it is not "
                "carried out; look at it, and undo the step by hand"
                % (
                    record.get("do"),
                    change,
                    ", ".join(".".join(one.path) for one in change.edits),
                )
            )


def _refuse_other(client: Client, cluster: Any) -> None:
    """Raises ConfigError when the target that was changed is no more, and another takes its place:
    nothing would be found there, and nothing be put back.
    """
    if cluster and client.name != cluster:
        raise ConfigError(
            "the Kubernetes target %r is not configured any more, and it is where this is to be "
            "put back; configure it, or undo the step by hand" % one_line(str(cluster), 80)
        )


def put_back(around: Surroundings, client: Client, change: Change, patience: Patience) -> str:
    """Take one change back; what came of it in words. Raises Refused when somebody else has changed
    the same since or the object is protected now, OutOfTime, CalledOff, and what does not change by
    waiting.
    """
    if change.namespace:
        refuse_place(client, change.namespace)
    while True:
        try:
            live = changes.read(client, change)
            if live is None:
                return "%s is not there, so there is nothing to put back" % change
            if changes.is_replaced(change, live):
                return "%s is a new one since: there is nothing to put back" % change
            stand = changes.stand(change, live)
            if stand == changes.BEFORE:
                return "%s is as it was before" % change
            refuse_object(client, Ref(change.kind, change.namespace, change.name), live)
            steered = _steered_by(client, change)
            if steered:
                return "%s: %s by now, so there is nothing to put back" % (change, steered)
            if stand == changes.OTHER:
                raise Refused(
                    "%s: somebody has changed %s since, and what they did is not overwritten; look "
                    "at it, and put it right by hand"
                    % (change, ", ".join(edits.differing(live, change.edits)))
                )
            changes.take_back(client, change, live)
            _unstick(around, client, change, patience)
            return "%s is as it was before again" % change
        except Changed:
            patience.pause(AGAIN_S, "%s is changed by others all the time" % change)
        except ExternalError as error:
            patience.outlast(error)


def _steered_by(client: Client, change: Change) -> str:
    """Which autoscaler has come since and decides what would be put back; empty for none."""
    if all(one.path != operations.REPLICAS for one in change.edits):
        return ""
    try:
        autoscalers.refuse_steered(client, Ref(change.kind, change.namespace, change.name))
    except Refused:
        return "an autoscaler decides how many replicas it has"
    except Forbidden:  # what was changed is put back, whether or not we may see them
        return ""
    return ""


def _unstick(around: Surroundings, client: Client, change: Change, patience: Patience) -> None:
    """A StatefulSet waits for pods of the template that was taken back; see rollouts.unstick. What
    fails here is no reason to say that the template was not put back.
    """
    if change.kind != "StatefulSet" or all(one.path != operations.TEMPLATE for one in change.edits):
        return
    end = patience.left() - _OBSERVED_WITHIN_S
    try:
        while patience.left() > max(end, 0.0):
            ref = Ref(change.kind, change.namespace, change.name)
            target = reached(client, ref, around.ctx.clock)
            if rollouts.has_observed(target.workload):
                rollouts.unstick(target, is_back=True)
                return
            patience.pause(_AGAIN_FOR_PODS_S, "")
    except SelfhealError as error:
        around.ctx.log.warning("%s: its pods were not looked after: %s", change, error)

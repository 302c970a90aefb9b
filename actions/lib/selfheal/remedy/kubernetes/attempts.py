"""One change, tried until it is made or cannot be made, whatever becomes of the server meanwhile.

What was sent and not answered is looked for before it is sent again. What somebody changed in
between is read again and judged again. Nothing is sent that is not recorded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from selfheal.apis.kubernetes.failures import Changed, Unsure
from selfheal.exceptions import ExternalError, Refused, SelfhealError
from selfheal.remedy.kubernetes import changes
from selfheal.remedy.kubernetes.changes import Change
from selfheal.remedy.kubernetes.patience import CalledOff, OutOfTime, Patience
from selfheal.remedy.kubernetes.planning import Planned

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.remedy.kubernetes.target import Target
    from selfheal.remedy.model import KubernetesAct
    from selfheal.remedy.steps import Surroundings
    from selfheal.workloads.model import Health

Plan = Callable[[], Tuple["Target", Planned]]
AGAIN_S = 0.2  # after somebody else was faster
UNDO_NOW = {"undo": "now"}
_UNDO_S = 120.0


class GaveUp(SelfhealError):
    """It could not be done, for the reason that the message tells."""


class Attempt:
    """One change, tried until it is made. `before` is how well the workload was at first;
    `is_unsure` that it was sent and it is not known whether it was made. `earlier` changes of the
    same step are owed as well.
    """

    def __init__(
        self,
        around: Surroundings,
        client: Client,
        act: KubernetesAct,
        patience: Patience,
        earlier: Sequence[Change] = (),
    ) -> None:
        self._around, self._client, self._act, self._patience = around, client, act, patience
        self._earlier = earlier
        self.before: Optional[Health] = None
        self.is_unsure = False
        self.last: Optional[Change] = None

    def brought_about(self, plan: Plan) -> Tuple[Target, Planned]:
        """Make the change that `plan` gives for the state of now, and be sure of it: what it was
        made of, and what was made. Raises Refused, CalledOff, GaveUp; unless `is_unsure`, no more
        is owed then than before.
        """
        try:
            return self._tried(plan)
        except (Refused, CalledOff, GaveUp):
            if not self.is_unsure:
                self._record(self._earlier)
            raise

    def _record(self, owed: Sequence[Change]) -> None:
        self._around.record(undo_of(self._act, self._client.name, owed) if owed else None)

    def _tried(self, plan: Plan) -> Tuple[Target, Planned]:
        done: Optional[Tuple[Target, Planned]] = None
        while True:
            trouble: SelfhealError
            try:
                if done is not None and self._is_made(done[1]):
                    return done
                target, planned = plan()
                if done is not None and self._was_made_late(done[1], planned.live):
                    return done
                done = target, rehearsed(self._client, planned)
                self.before = self.before or done[0].health
                self.last = done[1].change
                self._record((*self._earlier, done[1].change))
                return done[0], self._applied(done[1])
            except (Changed, ExternalError) as error:
                if not error.retryable:
                    raise GaveUp(str(error)) from error
                trouble = error
            except Refused as error:
                if not self.is_unsure:
                    raise
                raise GaveUp("%s; whether it was changed before is not known" % error) from error
            except (CalledOff, GaveUp):
                raise
            except SelfhealError as error:
                raise GaveUp(str(error)) from error
            self._wait(trouble)

    def _applied(self, planned: Planned) -> Planned:
        """What was made; where that is not what the rehearsal had shown (a new object's uid, what
        an admission writes anew each time), it is recorded as it is.
        """
        try:
            stored = changes.apply(self._client, planned.change, planned.live)
        except Unsure:
            self.is_unsure = True
            raise
        made = changes.as_stored(planned.change, stored)
        if made != planned.change:
            self.is_unsure = True  # until it is written; what was written before stays owed
            self._record((*self._earlier, made))
        return replace(planned, change=made)

    def _is_made(self, planned: Planned) -> bool:
        """Whether the change is there, after it was tried."""
        stand = changes.stand(planned.change, changes.read(self._client, planned.change))
        if self.is_unsure and stand == changes.OTHER:
            raise GaveUp(
                "%s: it was sent and not answered, and then somebody else changed the same; look "
                "at it" % planned.words
            )
        return stand == changes.AFTER

    def _was_made_late(self, tried: Planned, live: Optional[Mapping[str, Any]]) -> bool:
        """Whether the change that was sent and not answered shows only now: whatever is planned on
        top of it would make it twice.
        """
        is_of_it = live is not None and self.is_unsure
        return is_of_it and changes.stand(tried.change, live) == changes.AFTER

    def _wait(self, trouble: SelfhealError) -> None:
        try:
            if isinstance(trouble, Changed):
                self._patience.pause(AGAIN_S, str(trouble))
            else:
                self._patience.outlast(trouble)
        except OutOfTime as error:
            raise GaveUp("gave up when the time was over: %s" % trouble) from error


def undo_of(act: KubernetesAct, target_name: str, owed: Sequence[Change]) -> Dict[str, Any]:
    """The undo record's action that takes the changes `owed` back in the cluster of that target:
    complete, plain JSON.
    """
    return {
        "kind": "kubernetes",
        "do": act.do,
        "options": dict(act.options),
        "cluster": target_name,
        "words": "put back what %s changed of %s"
        % (act.do.replace("_", " "), ", ".join(map(str, owed))),
        "changes": [change.as_dict() for change in owed],
        "timeout_s": _UNDO_S,
    }


def rehearsed(client: Client, planned: Planned) -> Planned:
    """As the server would make it (dry run). Raises what the server has against it."""
    return replace(planned, change=changes.rehearse(client, planned.change, planned.live))

"""Carrying letters: each is taken by one worker at a time and given to the carrier of its channel,
until the other system has taken it.

A letter arrives at least once. When a worker dies between writing and marking, the next one is told
that the letter `may_have_arrived`, and its carrier looks before it writes again. Channels do not
hold up each other: a slow or a dead one costs the others nothing but its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from selfheal.exceptions import ExternalError, SelfhealError
from selfheal.outbox import claims
from selfheal.outbox.letters import PENDING
from selfheal.outbox.waits import MANY_ATTEMPTS
from selfheal.records import dataclass

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Row

NO_DESTINATION = "no_destination"  # an outcome of `deliver`; in the table the letter stays pending
BATCH = 50
BATCH_TIME_S = 60.0  # a slow receiver must not keep housekeeping from its other work
REFUSED, UNKNOWN, SETTINGS, LATER = "refused", "unknown", "settings", "later"


class NotTaken(ExternalError):
    """A definite no: nothing was written. The other system wants `retry_after_s` seconds of rest (0
    when it does not say); `is_final` says that it will never take this letter. `retryable` False
    means that the other system is well and only this letter is wrong; `concerns_all` that no other
    letter would be taken now either.
    """

    def __init__(
        self,
        message: str,
        retry_after_s: float = 0.0,
        is_final: bool = False,
        retryable: Optional[bool] = None,
        concerns_all: bool = False,
    ) -> None:
        super().__init__(message, not is_final if retryable is None else retryable)
        self.concerns_all = concerns_all
        self.retry_after_s = retry_after_s
        self.is_final = is_final


class Later(SelfhealError):
    """Nothing was written, and it is no failure: what the letter needs is not there yet."""

    def __init__(self, wait_s: float, why: str) -> None:
        super().__init__(why, retryable=True)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Letter:
    """A letter as its carrier gets it. `channel` is "<carrier>:<target>"; `attempts` counts this
    one; `may_have_arrived` says that an attempt before this one ended without anybody knowing how.
    """

    id: str
    kind: str
    incident_id: str
    channel: str
    target: str
    queue: str
    payload: Mapping[str, Any]
    attempts: int
    created_at: float
    may_have_arrived: bool
    is_urgent: bool = False


@dataclass(frozen=True)
class Delivery:
    """What became of one letter: `status` is sent, pending (another attempt follows), dead or
    no_destination.

    `tried` says whether this call gave it to its carrier; `error` is why it did not arrive, `cause`
    which sort of reason that is: REFUSED, UNKNOWN (it may have arrived), SETTINGS or LATER;
    `problem` is what its carrier raised.
    """

    id: str
    kind: str
    incident_id: str
    status: str
    attempts: int
    tried: bool
    error: str = ""
    channel: str = ""
    cause: str = ""
    problem: Optional[Exception] = None

    @property
    def is_overdue(self) -> bool:
        """Whether it has failed so often that people should be told."""
        return self.status == PENDING and self.attempts >= MANY_ATTEMPTS


def deliver(
    ctx: Context,
    carriers: Mapping[str, str],
    outbox_id: Optional[str] = None,
    limit: int = BATCH,
    queues: Optional[Sequence[str]] = None,
) -> List[Delivery]:
    """Carry what is due: one letter with what goes before it in its queue, or the letters of
    `queues`, or all; `limit` at most. Raises StoreError only.

    `carriers` names the module of each carrier, imported when a letter needs it. A channel that has
    no destination keeps its letters. One that cannot be reached, or that asks for rest, is left
    alone for the rest of this call; while its circuit breaker is open, only what is urgent goes.
    """
    from selfheal.outbox.lanes import Hurried, Lane  # carriers need only what is above

    end = ctx.clock.monotonic() + BATCH_TIME_S
    which = claims.wanted(ctx.store, outbox_id, queues)
    outside = Hurried(ctx)
    lanes = [
        Lane(ctx, outside, channel, carriers, which)
        for channel in claims.channels(ctx.store, which)
    ]
    done: List[Delivery] = []
    for lane in lanes:
        done += lane.kept(limit)
    carried = 0
    while lanes and carried < limit and ctx.clock.monotonic() < end:
        # Each has its turn before the limit is reached, also what failed before.
        untried = [one for one in lanes if not one.used[1]]
        is_late = bool(untried) and limit - carried <= len(untried)
        # The time is shared, not the turns.
        lane = min(untried if is_late else lanes, key=lambda one: one.used)
        delivery = lane.carry_next()
        if delivery is None:
            lanes.remove(lane)
            continue
        done.append(delivery)
        carried += 1
    return done


def letter_of(row: Row, payload: Dict[str, Any]) -> Letter:
    """The letter of a row that was just taken, as it was before."""
    channel = str(row["channel"])
    return Letter(
        id=str(row["id"]),
        kind=str(row["kind"]),
        incident_id=str(row["incident_id"] or ""),
        channel=channel,
        target=channel.partition(":")[2],
        queue=str(row["queue"] or ""),
        payload=payload,
        attempts=int(row["attempts"]) + 1,
        created_at=float(row["created_at"]),
        may_have_arrived=bool(row["in_doubt"]),
        is_urgent=bool(row["urgent"]),
    )

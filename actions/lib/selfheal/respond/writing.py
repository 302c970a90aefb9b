"""Writing to another system by a person's hand: by way of the outbox, and the answer at once.

What the other system refuses for good, or what the settings cannot reach, is an error of the person
who asked, and no letter is left behind. What only cannot be reached now is carried later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.ids import new_id
from selfheal.outbox import carrying, claims, letters
from selfheal.respond import telling

if TYPE_CHECKING:
    from selfheal.context import Context

_PATIENCE_S = 15.0
_LOOK_EVERY_S = 0.25


def write_now(
    ctx: Context,
    *,
    channel: str,
    kind: str,
    payload: Mapping[str, Any],
    key: str = "",
    queue: str = "",
    incident_id: str = "",
) -> Dict[str, Any]:
    """Post one letter and carry it now. `key` tells one wish from another (default: the execution
    that we are): who repeats it gets the answer to the first.

    Returns {"outbox_id", "delivered", "answer", "waits", "error"}: `waits` says that it is carried
    later, `error` why not now. Raises what the carrier raised when it was
    refused for good, ConfigError, StoreError.
    """
    store = ctx.store
    wish = "hand:%s:%s:%s" % (channel, kind, key or ctx.run_id or new_id("key", ctx.clock.now()))
    outbox_id = letters.post(
        store, kind, incident_id or None, wish, payload, channel=channel, queue=queue
    )
    end = ctx.clock.monotonic() + _PATIENCE_S
    while True:
        mine = [one for one in telling.deliver(ctx, outbox_id) if one.id == outbox_id]
        row = letters.get(store, outbox_id)
        if mine or row["status"] != letters.PENDING or not claims.is_under_way(store, row):
            break
        if ctx.clock.monotonic() >= end:  # another worker took it the moment that it was posted
            break
        ctx.clock.sleep(_LOOK_EVERY_S)
    _raise_if_in_vain(ctx, row, mine[0] if mine else None)
    is_sent = row["status"] == letters.SENT
    error = "" if is_sent else str(row["last_error"] or "")
    ahead = letters.ahead_of(store, row)
    if not error and ahead is not None:
        words = str(ahead["last_error"] or "it has not been carried yet")
        error = "it waits behind letter %s: %s" % (ahead["id"], words)
    return {
        "outbox_id": outbox_id,
        "delivered": is_sent,
        "answer": letters.answer_of(store, outbox_id),
        "waits": row["status"] == letters.PENDING,
        "error": error,
    }


def _raise_if_in_vain(
    ctx: Context, row: Mapping[str, Any], delivery: Optional[carrying.Delivery]
) -> None:
    is_dead = row["status"] == letters.DEAD
    is_misset = delivery is not None and (
        delivery.cause == carrying.SETTINGS or delivery.status == carrying.NO_DESTINATION
    )
    if not is_dead and not is_misset:
        return
    outbox_id = str(row["id"])
    letters.discard(ctx.store, outbox_id, "selfheal", "the person who asked was told")
    letters.forget_key(ctx.store, outbox_id)  # who asks again asks anew
    if delivery is not None and isinstance(delivery.problem, SelfhealError):
        raise delivery.problem
    error = str(row["last_error"] or "") or (delivery.error if delivery is not None else "")
    if is_misset:
        raise ConfigError(error)
    raise ExternalError(error or "letter %s was refused" % outbox_id, retryable=False)

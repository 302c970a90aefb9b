"""Telling people without the store: straight to the channels of the ladder's first rung, because
the database is down. Whoever calls twice tells twice.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Dict, List

from selfheal.exceptions import SelfhealError, StoreError
from selfheal.notify import channels, threads
from selfheal.outbox.carrying import Letter
from selfheal.respond import calls, ladder
from selfheal.respond.carriers import CARRIERS

if TYPE_CHECKING:
    from selfheal.context import Context


def tell(
    ctx: Context,
    kind: str,
    key: str,
    payload: Dict[str, Any],
    problem: SelfhealError,
    incident_id: str,
) -> Dict[str, Any]:
    """Tell the first rung's channels because the store failed with `problem`.

    Returns a result that says so. Raises StoreError when none of them takes it either.
    """
    told: List[str] = []
    failed: List[str] = []
    for channel in ladder.rungs_of(ctx)[0].by or (channels.WEBHOOK,):
        try:
            # The key is the message's id: whoever repeats this call repeats the same message.
            carrier = importlib.import_module(CARRIERS[channel.partition(":")[0]])
            letter = _letter(kind, key, channel, threads.first(payload, key), incident_id, ctx)
            carrier.carry(ctx, letter)
            told.append(channels.setting_of(channel))
        except SelfhealError as error:
            failed.append("%s too (%s)" % (channels.setting_of(channel), error))
        except Exception as error:  # a defect of one carrier must not stop the others
            ctx.log.error("%s could not be told", channel, exc_info=True)
            failed.append("%s too (%s)" % (channels.setting_of(channel), type(error).__name__))
    if not told:
        raise StoreError(
            "nobody could be told about %s: the store failed (%s) and %s; mend database.url and %s"
            % (
                incident_id or payload["title"],
                problem,
                " and ".join(failed),
                "notify.webhook.url, or what is configured under notify",
            ),
            retryable=True,
        ) from problem
    ctx.log.error(
        "told %s about %s, but recorded nothing: %s",
        " and ".join(told), incident_id or kind, problem,
    )
    return {
        "incident_id": incident_id,
        "status": "unknown",
        "escalated": kind == threads.ESCALATION,
        "outbox_id": "",
        "delivered": True,
        "recorded": False,
        "note": "the store failed: %s" % problem,
    }


def _letter(
    kind: str, key: str, channel: str, payload: Dict[str, Any], incident_id: str, ctx: Context
) -> Letter:
    return Letter(
        id=key,
        kind=kind,
        incident_id=incident_id,
        channel=channel,
        target=channel.partition(":")[2],
        queue="",
        payload=calls.for_channel(channel, payload),
        attempts=1,
        created_at=ctx.clock.now(),
        may_have_arrived=False,
        is_urgent=True,
    )

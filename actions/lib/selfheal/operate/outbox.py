"""The outbox for people: which letters wait or were given up and why, trying them again, giving one
up for good.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from selfheal.exceptions import Conflict, InvalidInput
from selfheal.incidents import timeline
from selfheal.outbox import claims, lanes, letters
from selfheal.respond import telling
from selfheal.respond.carriers import CARRIERS
from selfheal.store import Row, load_map
from selfheal.text import counted, iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

OPEN, ANY = "open", "any"
MOST = 200
_MAX_WHO, _MAX_REASON = 80, 300
_SHOWN_IDS = 50
_CHANNEL = re.compile(r"[A-Za-z0-9_.:-]{1,100}\Z")


def outbox_list(
    ctx: Context, status: str = OPEN, channel: str = "", incident_id: str = "", limit: int = 50
) -> Dict[str, Any]:
    """{"letters": [{"outbox_id", "kind", "channel", "incident_id", "status", "attempts",
    "may_have_arrived", "is_under_way", "waits_behind", "last_error", "note", "created_at",
    "next_attempt_at", "sent_at", "ended_at", "answer"}], "channels": [{"channel", "pending",
    "dead", "oldest_at", "last_error", "problem"}], "summary"}.

    The newest first; `waits_behind` is the letter of its queue that has to go before it, `problem`
    why a channel carries nothing. `status` is one of them, open for pending and dead, any for all.
    Raises InvalidInput.
    """
    wanted = status or OPEN
    if wanted not in (OPEN, ANY, *letters.STATUSES):
        raise InvalidInput(
            "status must be one of %s, not %r"
            % (", ".join((OPEN, ANY, *letters.STATUSES)), one_line(wanted, 40))
        )
    if channel and not _CHANNEL.match(channel):
        raise InvalidInput(
            "channel must be one channel, such as webhook or ticket:servicenow.default, not %r"
            % one_line(channel, 40)
        )
    given = letters.STATUSES if wanted == ANY else (wanted,)
    rows = letters.listing(
        ctx.store,
        statuses=letters.OPEN if wanted == OPEN else given,
        channel=channel,
        incident_id=incident_id,
        limit=max(1, min(int(limit), MOST)),
    )
    channels = [
        dict(
            one,
            oldest_at=iso(one["oldest_at"]),
            problem=lanes.loaded(ctx, str(one["channel"]), CARRIERS)[1],
        )
        for one in letters.by_channel(ctx.store)
    ]
    return {
        "letters": [_shown(ctx, row) for row in rows],
        "channels": channels,
        "summary": _summary(channels),
    }


def outbox_retry(
    ctx: Context, outbox_id: str = "", channel: str = "", who: str = ""
) -> Dict[str, Any]:
    """Carry a letter now that was given up or waits after failing, or all such of a channel.

    Returns {"retried": [ids], "count", "sent", "letters": [as outbox_list], "summary"}. Raises
    InvalidInput, NotFound, Conflict (it was sent).
    """
    if bool(outbox_id) == bool(channel):
        raise InvalidInput("give either outbox_id or channel; outbox_list shows both")
    by = _who(who)
    found = letters.retry(ctx.store, outbox_id or channel, by)
    rows = [letters.get(ctx.store, one) for one in found[:MOST]]
    for name in {str(row["channel"]) for row in rows}:
        claims.disturb(ctx.store, name)
    _note(ctx, rows, "letter_retried", "is tried again, as %s asked" % by)
    telling.deliver(ctx, outbox_id or None)
    rows = [letters.get(ctx.store, one) for one in found[:MOST]]
    sent = sum(1 for row in rows if row["status"] == letters.SENT)
    words = "%s tried again, %d arrived" % (counted(len(found), "letter"), sent)
    if not found and outbox_id:
        words = "letter %s is being carried just now" % outbox_id
    elif not found:
        words = "nothing of %s was given up or failed" % one_line(channel, 80)
    elif sent < len(rows):
        words += "; the rest waits: outbox_list says why, breaker_list whether a breaker is open"
    return {
        "retried": found[:_SHOWN_IDS],
        "count": len(found),
        "sent": sent,
        "letters": [_shown(ctx, row) for row in rows[:_SHOWN_IDS]],
        "summary": words,
    }


def outbox_discard(
    ctx: Context, outbox_id: str, reason: str = "", who: str = ""
) -> Dict[str, Any]:
    """Give one letter up for good; what waits behind a ticket's creation goes with it. The letter
    as outbox_list shows it. Raises NotFound, Conflict (sent, or just being carried).
    """
    by, store = _who(who), ctx.store
    row = letters.get(store, outbox_id)
    if row["status"] != letters.DISCARDED and not letters.discard(
        store, outbox_id, by, one_line(reason, _MAX_REASON) or "no reason given"
    ):
        now = letters.get(store, outbox_id)
        if now["status"] == letters.SENT:
            raise Conflict("letter %s was sent already" % outbox_id, retryable=False)
        raise Conflict("letter %s is being carried just now; try again in a minute" % outbox_id)
    if row["status"] != letters.DISCARDED:
        because = ": %s" % one_line(reason, _MAX_REASON) if reason else ""
        _note(ctx, [row], "letter_discarded", "was discarded by %s%s" % (by, because))
    return _shown(ctx, letters.get(store, outbox_id))


def _who(who: str) -> str:
    return one_line(str(who or ""), _MAX_WHO) or "somebody without a name"


def _note(ctx: Context, rows: Sequence[Row], kind: str, words: str) -> None:
    for row in rows:
        if row["incident_id"]:
            message = "the %s %s to %s %s" % (row["kind"], row["id"], row["channel"], words)
            timeline.record(ctx.store, str(row["incident_id"]), kind, message)


def _summary(channels: List[Dict[str, Any]]) -> str:
    if not channels:
        return "nothing waits: every letter has arrived"
    return "; ".join(
        "%s: %d waiting, %d given up%s"
        % (
            one["channel"],
            one["pending"],
            one["dead"],
            " (%s)" % one["problem"] if one["problem"] else "",
        )
        for one in channels
    )


def _shown(ctx: Context, row: Row) -> Dict[str, Any]:
    is_pending = row["status"] == letters.PENDING
    ahead = letters.ahead_of(ctx.store, row)
    at = max(float(row["next_attempt_at"]), float(row["not_before"] or 0))
    return {
        "outbox_id": row["id"],
        "kind": row["kind"],
        "channel": row["channel"],
        "incident_id": row["incident_id"] or "",
        "status": row["status"],
        "attempts": row["attempts"],
        "may_have_arrived": bool(row["in_doubt"]),
        "waits_behind": ahead["id"] if ahead else None,
        "is_under_way": is_pending and claims.is_under_way(ctx.store, row),
        "last_error": row["last_error"] or "",
        "note": row["note"] or "",
        "created_at": iso(row["created_at"]),
        "next_attempt_at": iso(at) if is_pending else None,
        "sent_at": iso(row["sent_at"]) if row["sent_at"] is not None else None,
        "ended_at": iso(row["ended_at"]) if row["ended_at"] is not None else None,
        "answer": load_map(row["answer"]),
    }

"""Which letter may be carried now, taking it, and writing down what came of it.

One carrier at a time for each letter and each queue: a letter is taken in a transaction of its own,
for LEASE_S; whoever has not come back by then is dead. A channel with a limit is not taken from
beyond it.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from selfheal.ids import new_id
from selfheal.outbox.letters import DEAD, LONGEST_WAIT_S, PENDING, SENT
from selfheal.records import dataclass
from selfheal.store import Row, Store, dump
from selfheal.store.engine import placeholders

LEASE_S = 300.0
WINDOW_S = 60.0
TAKEN, GONE, OVER_LIMIT = "taken", "gone", "over_limit"
_REST = "rest"  # of outbox_pace: not a claim, but until when the channel wants to be left alone
_DUE = (
    "o.status = 'pending' AND (o.next_attempt_at <= ? OR o.next_attempt_at > ?) AND "
    "(o.not_before IS NULL OR o.not_before <= ?)"
)
# Nothing before it in its queue waits, and no base before it is dead.
_FIRST = (
    "(o.queue IS NULL OR NOT EXISTS (SELECT 1 FROM outbox e WHERE e.queue = o.queue AND "
    "e.queue_number < o.queue_number AND e.status IN ('pending', 'dead') AND "
    "(e.status = 'pending' OR e.is_base = 1)))"
)
# Nobody carries a letter of its queue, be it a later one: a dead one may have been revived.
_QUIET = (
    "(o.queue IS NULL OR NOT EXISTS (SELECT 1 FROM outbox c WHERE c.queue = o.queue AND "
    "c.id <> o.id AND c.status IN ('pending', 'dead') AND c.claimed_by IS NOT NULL AND "
    "c.next_attempt_at > ? AND c.next_attempt_at <= ?))"
)


@dataclass(frozen=True)
class Wanted:
    """Which letters are meant: a condition on `outbox o` and its values."""

    condition: str
    values: Tuple[Any, ...] = ()


EVERYTHING = Wanted("1 = 1")


def wanted(store: Store, outbox_id: Optional[str], queues: Optional[Sequence[str]]) -> Wanted:
    """One letter with what must go before it; or `queues`; or everything."""
    if outbox_id:
        row = store.one("SELECT queue, queue_number FROM outbox WHERE id = ?", (outbox_id,))
        if row is None or not row["queue"]:
            return Wanted("o.id = ?", (outbox_id,))
        return Wanted("o.queue = ? AND o.queue_number <= ?", (row["queue"], row["queue_number"]))
    if queues is None:
        return EVERYTHING
    return Wanted("o.queue IN (%s)" % placeholders(queues), tuple(queues)) if queues else Wanted(
        "1 = 0"
    )


def channels(store: Store, which: Wanted) -> List[str]:
    """The channels that have letters to carry, those with urgent ones first, then by age."""
    now = store.now()
    rows = store.query(
        "SELECT o.channel AS channel, MAX(o.urgent) AS urgent, MIN(o.next_attempt_at) AS at "
        "FROM outbox o WHERE %s AND %s GROUP BY o.channel "
        "ORDER BY 2 DESC, 3, 1" % (_DUE, which.condition),
        (now, now + LONGEST_WAIT_S, now, *which.values),
    )
    return [str(row["channel"]) for row in rows]


def has_failed(store: Store, channel: str) -> bool:
    """Whether a letter of the channel waits that was tried in vain."""
    found = store.value(
        "SELECT 1 FROM outbox WHERE channel = ? AND status = ? AND attempts > 0 AND "
        "last_error IS NOT NULL LIMIT 1",
        (channel, PENDING),
    )
    return found is not None


def due(
    store: Store, channel: str, which: Wanted, limit: int, is_urgent_only: bool = False
) -> List[Row]:
    """Letters of the channel that may be carried now, in the order in which to do so."""
    now = store.now()
    return store.query(
        "SELECT o.* FROM outbox o WHERE o.channel = ? AND %s AND %s AND %s %s"
        "ORDER BY o.urgent DESC, o.next_attempt_at, o.id LIMIT ?"
        % (_DUE, which.condition, _FIRST, "AND o.urgent = 1 " if is_urgent_only else ""),
        (channel, now, now + LONGEST_WAIT_S, now, *which.values, limit),
    )


def take(store: Store, outbox_id: str, limit: int = 0) -> Tuple[str, str, Row]:
    """Take the letter to carry it: (TAKEN, GONE or OVER_LIMIT; the claim; the letter's row as it
    was just before). `limit` is how many of its channel may be carried in a minute, 0 for any
    number.
    """
    claim = new_id("claim", store.now())
    with store.transaction("outbox"):
        now = store.now()
        # Read under the lock: what another carrier left in doubt since it was listed counts.
        row = store.one("SELECT * FROM outbox WHERE id = ?", (outbox_id,)) or {}
        if row and limit and not _has_room(store, row, limit, now):
            return OVER_LIMIT, "", row
        end = now + LONGEST_WAIT_S
        changed = store.execute(
            "UPDATE outbox SET attempts = attempts + 1, in_doubt = 1, claimed_by = ?, "
            # Its own row once more: whoever has it locked now may be about to discard it.
            "next_attempt_at = ? WHERE id = ? AND status = 'pending' AND "
            "(next_attempt_at <= ? OR next_attempt_at > ?) AND EXISTS "
            "(SELECT 1 FROM outbox o WHERE o.id = outbox.id AND %s AND %s AND %s)"
            % (_DUE, _FIRST, _QUIET),
            (claim, now + LEASE_S, outbox_id, now, end, now, end, now, now, end),
        )
        if changed != 1:
            return GONE, "", row
        if limit:
            store.insert("outbox_pace", {"channel": row["channel"], "claim": claim, "at": now})
    return TAKEN, claim, row


def _has_room(store: Store, row: Row, limit: int, now: float) -> bool:
    """Whether the channel's limit leaves room. What is not urgent leaves a fifth to what is."""
    store.execute(
        "DELETE FROM outbox_pace WHERE channel = ? AND claim <> ? AND (at <= ? OR at > ?)",
        (row["channel"], _REST, now - WINDOW_S, now + WINDOW_S),
    )
    used = store.value(
        "SELECT COUNT(*) FROM outbox_pace WHERE channel = ? AND claim <> ?", (row["channel"], _REST)
    )
    room = limit if row["urgent"] or limit < 2 else limit - max(1, limit // 5)
    return int(used or 0) < room


def rest(store: Store, channel: str, seconds: float) -> None:
    """The other system wants to be left alone for so long, an hour at most."""
    store.insert(
        "outbox_pace",
        {"channel": channel, "claim": _REST, "at": store.now() + min(seconds, LONGEST_WAIT_S)},
        "ON CONFLICT (channel, claim) DO UPDATE SET at = excluded.at",
    )


def is_resting(store: Store, channel: str) -> bool:
    """Whether the other system wants to be left alone now."""
    now = store.now()
    until = store.value(
        "SELECT at FROM outbox_pace WHERE channel = ? AND claim = ?", (channel, _REST)
    )
    return until is not None and now < float(until) <= now + LONGEST_WAIT_S


def disturb(store: Store, channel: str) -> None:
    """A person wants its letters tried now, whatever it asked for."""
    store.execute("DELETE FROM outbox_pace WHERE channel = ? AND claim = ?", (channel, _REST))


def arrived(store: Store, outbox_id: str, answer: Mapping[str, Any]) -> None:
    """It was taken, whoever else has it by now."""
    store.execute(
        "UPDATE outbox SET status = ?, sent_at = ?, answer = ?, last_error = NULL, in_doubt = 0, "
        "claimed_by = NULL, ended_at = NULL WHERE id = ?",
        (SENT, store.now(), dump(dict(answer)), outbox_id),
    )


@dataclass(frozen=True)
class Failure:
    """Why a letter did not arrive: in words; seconds until the next attempt; whether it may have
    arrived all the same; whether this was an attempt; whether its time to be given up runs from
    now; whether it is given up.
    """

    error: str
    wait_s: float
    is_in_doubt: bool
    is_attempt: bool = True
    is_failing: bool = True
    is_final: bool = False


def failed(store: Store, row: Row, claim: str, failure: Failure) -> None:
    """It did not arrive. Written only while it is still ours: a carrier that outlived its lease
    must not postpone the next one's letter.
    """
    now = store.now()
    store.execute(
        "UPDATE outbox SET status = ?, last_error = ?, next_attempt_at = ?, attempts = ?, "
        "in_doubt = ?, failing_since = COALESCE(failing_since, ?), ended_at = ?, "
        "claimed_by = NULL WHERE id = ? AND status = 'pending' AND claimed_by = ?",
        (
            DEAD if failure.is_final else PENDING,
            failure.error,
            now + failure.wait_s,
            int(row["attempts"]) + int(failure.is_attempt),
            int(failure.is_in_doubt),
            now if failure.is_failing else None,
            now if failure.is_final else None,
            row["id"],
            claim,
        ),
    )


def is_under_way(store: Store, row: Row) -> bool:
    """Whether somebody carries the letter of `row` now."""
    now = store.now()
    return bool(row["claimed_by"]) and now < row["next_attempt_at"] <= now + LONGEST_WAIT_S

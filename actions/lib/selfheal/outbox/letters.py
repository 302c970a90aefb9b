"""Letters as they lie in the store: posting one, what became of it, trying it again, giving it up.

A letter is posted in the transaction of what it tells, so that neither exists without the other.
Letters of one queue have numbers that rise in the order in which their transactions were committed.
Carrying them is `carrying`'s.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from selfheal.exceptions import Conflict, NotFound
from selfheal.ids import new_id
from selfheal.store import Row, Store, dump, load_map
from selfheal.store.engine import begins_with, placeholders
from selfheal.text import one_line

PENDING = "pending"
SENT = "sent"
DEAD = "dead"  # given up; a person may have it tried again
DISCARDED = "discarded"  # a person, or what it told of, made it needless
STATUSES = (PENDING, SENT, DEAD, DISCARDED)
OPEN = (PENDING, DEAD)  # those that did not arrive
WEBHOOK = "webhook"
URGENT_KINDS = ("escalation", "failure", "approval")  # no circuit breaker may delay these
LONGEST_WAIT_S = 3600.0
# Nobody carries it now. No wait is longer than an hour: what is due later than that was written
# before the clock was set back. Two times: now, and an hour from now.
IDLE = "(claimed_by IS NULL OR next_attempt_at <= ? OR next_attempt_at > ?)"


def post(
    store: Store,
    kind: str,
    incident_id: Optional[str],
    dedupe_key: str,
    payload: Mapping[str, Any],
    *,
    channel: str = WEBHOOK,
    queue: str = "",
    not_before: Optional[float] = None,
    is_urgent: Optional[bool] = None,
) -> str:
    """Post one letter and return its id; the id of the first when `dedupe_key` is there already.

    `channel` is "<carrier>" or "<carrier>:<target>", such as ticket:servicenow.default. Letters of
    one `queue` are carried strictly one after the other; "" is for those without an order. A
    payload with "is_base" true holds what comes after it in its queue until it was taken, even when
    it is dead. `not_before` is epoch seconds. `is_urgent` (default: by kind, see URGENT_KINDS) goes
    first, whatever a circuit breaker says. Carries nothing yet.
    """
    known = find(store, dedupe_key)
    if known:
        return known
    now = store.now()
    row = {
        "id": new_id("msg", now),
        "incident_id": incident_id or None,
        "kind": kind,
        "channel": channel,
        "dedupe_key": dedupe_key,
        "payload": dump(dict(payload)),
        "status": PENDING,
        "attempts": 0,
        "created_at": now,
        "next_attempt_at": now,
        "not_before": not_before,
        "urgent": int(kind in URGENT_KINDS if is_urgent is None else is_urgent),
        "is_base": int(payload.get("is_base") is True),
    }
    if not queue:
        store.insert("outbox", row, "ON CONFLICT (dedupe_key) DO NOTHING")
        return find(store, dedupe_key)
    with store.transaction():
        row.update(queue=queue, queue_number=_next_number(store))
        store.insert("outbox", row, "ON CONFLICT (dedupe_key) DO NOTHING")
        return find(store, dedupe_key)


def _next_number(store: Store) -> int:
    """The next number; whoever wants one waits until our transaction has ended, so that no lower
    one appears once a higher one was seen.
    """
    store.execute("UPDATE outbox_numbers SET last_number = last_number + 1 WHERE name = 'queue'")
    return int(store.value("SELECT last_number FROM outbox_numbers WHERE name = 'queue'"))


def find(store: Store, dedupe_key: str) -> str:
    """The id of the letter with that key, or an empty string."""
    return str(store.value("SELECT id FROM outbox WHERE dedupe_key = ?", (dedupe_key,)) or "")


def get(store: Store, outbox_id: str) -> Row:
    """The letter's row. Raises NotFound."""
    row = store.one("SELECT * FROM outbox WHERE id = ?", (outbox_id,))
    if row is None:
        raise NotFound(
            "there is no letter %s in the outbox; outbox_list shows those there are"
            % one_line(outbox_id, 80)
        )
    return row


def status_of(store: Store, outbox_id: str) -> str:
    """One of STATUSES, or an empty string when there is no such letter."""
    return str(store.value("SELECT status FROM outbox WHERE id = ?", (outbox_id,)) or "")


def is_delivered(store: Store, outbox_id: str) -> bool:
    """Whether the other system has taken the letter."""
    return status_of(store, outbox_id) == SENT


def is_dead(store: Store, outbox_id: str) -> bool:
    """Whether the letter was given up."""
    return status_of(store, outbox_id) == DEAD


def answer_of(store: Store, outbox_id: str) -> Dict[str, Any]:
    """What the other system said when it took the letter; empty until then."""
    return load_map(store.value("SELECT answer FROM outbox WHERE id = ?", (outbox_id,)))


def ahead_of(store: Store, row: Row) -> Optional[Row]:
    """The first letter of its queue that has to go before the letter of `row`, or None."""
    if not row["queue"] or row["status"] != PENDING:
        return None
    return store.one(
        "SELECT * FROM outbox WHERE queue = ? AND queue_number < ? AND "
        "status IN ('pending', 'dead') AND (status = 'pending' OR is_base = 1) "
        "ORDER BY queue_number LIMIT 1",
        (row["queue"], row["queue_number"]),
    )


def pending_count(store: Store) -> int:
    """How many letters wait."""
    return int(store.value("SELECT COUNT(*) FROM outbox WHERE status = ?", (PENDING,)) or 0)


def dead_count(store: Store) -> int:
    """How many letters were given up and wait for a person."""
    return int(store.value("SELECT COUNT(*) FROM outbox WHERE status = ?", (DEAD,)) or 0)


def discard(store: Store, outbox_id: str, who: str, why: str) -> bool:
    """Give the letter up for good; what waits in a queue behind a base goes with it. False when it
    has been sent, or discarded, or is just being carried: then nothing is changed.
    """
    now = store.now()
    columns = (DISCARDED, now, one_line("discarded by %s: %s" % (who or "selfheal", why), 300))
    with store.transaction():
        changed = store.execute(
            "UPDATE outbox SET status = ?, ended_at = ?, note = ?, claimed_by = NULL "
            "WHERE id = ? AND status IN ('pending', 'dead') AND " + IDLE,
            (*columns, outbox_id, now, now + LONGEST_WAIT_S),
        )
        if not changed:
            return False
        row = get(store, outbox_id)
        if row["is_base"] and row["queue"]:
            store.execute(
                "UPDATE outbox SET status = ?, ended_at = ?, note = ?, claimed_by = NULL WHERE "
                "queue = ? AND queue_number > ? AND status IN ('pending', 'dead') AND " + IDLE,
                (*columns, row["queue"], row["queue_number"], now, now + LONGEST_WAIT_S),
            )
    return True


def retry(store: Store, target: str, who: str) -> List[str]:
    """Make letters due now, as if never tried: one by its id, or all dead and failing ones of a
    channel. Returns their ids.

    A letter that is just being carried is left to its carrier. Raises NotFound, Conflict (sent).
    """
    row = store.one("SELECT id, status FROM outbox WHERE id = ?", (target,))
    if row is not None:
        if row["status"] == SENT:
            raise Conflict(
                "letter %s was sent; what it told can only be told by a new one" % target,
                retryable=False,
            )
        return [target] if _retry(store, target, who) else []
    known = store.value("SELECT id FROM outbox WHERE channel = ? LIMIT 1", (target,))
    if not target or known is None:
        raise NotFound(
            "%r is neither a letter nor a channel that has any; outbox_list shows both"
            % one_line(target, 80)
        )
    rows = store.query(
        "SELECT id FROM outbox WHERE channel = ? AND (status = 'dead' OR (status = 'pending' AND "
        "(attempts > 0 OR last_error IS NOT NULL))) ORDER BY created_at, id",
        (target,),
    )
    return [str(row["id"]) for row in rows if _retry(store, str(row["id"]), who)]


def _retry(store: Store, outbox_id: str, who: str) -> bool:
    now = store.now()
    revived = (
        "UPDATE outbox SET status = ?, attempts = 0, next_attempt_at = ?, failing_since = NULL, "
        "ended_at = NULL, claimed_by = NULL, note = ? WHERE "
    )
    columns = (PENDING, now, one_line("tried again by %s" % (who or "selfheal"), 300))
    with store.transaction():
        before = get(store, outbox_id)
        changed = store.execute(
            revived + "id = ? AND status IN ('pending', 'dead', 'discarded') AND " + IDLE,
            (*columns, outbox_id, now, now + LONGEST_WAIT_S),
        )
        if changed and before["is_base"] and before["status"] == DISCARDED:
            # What was discarded with it comes back with it.
            store.execute(
                revived + "queue = ? AND queue_number > ? AND status = ? AND ended_at = ?",
                (*columns, before["queue"], before["queue_number"], DISCARDED, before["ended_at"]),
            )
    return changed == 1


def forget_key(store: Store, outbox_id: str) -> None:
    """Let the letter's key be used again, for a new letter."""
    store.execute(
        "UPDATE outbox SET dedupe_key = dedupe_key || ? WHERE id = ?", ("#" + outbox_id, outbox_id)
    )


def listing(
    store: Store,
    *,
    statuses: Sequence[str] = STATUSES,
    channel: str = "",
    incident_id: str = "",
    limit: int = 50,
) -> List[Row]:
    """Rows of letters, the newest first, those that match what is given. A `channel` without a
    target names all of its targets.
    """
    where = ["status IN (%s)" % placeholders(statuses)]
    parameters: List[Any] = list(statuses)
    if incident_id:
        where.append("incident_id = ?")
        parameters.append(incident_id)
    if channel:
        begins, given = begins_with("channel", channel + ":")
        where.append("(channel = ? OR %s)" % begins)
        parameters += [channel, *given]
    return store.query(
        "SELECT * FROM outbox WHERE %s ORDER BY created_at DESC, id DESC LIMIT ?"
        % " AND ".join(where),
        (*parameters, limit),
    )


def by_channel(store: Store) -> List[Dict[str, Any]]:
    """[{"channel", "pending", "dead", "oldest_at" (epoch seconds), "last_error"}] of the channels
    that have letters which did not arrive.
    """
    rows = store.query(
        "SELECT channel, SUM(CASE WHEN status = 'pending' THEN 1 ELSE 0 END) AS pending, "
        "SUM(CASE WHEN status = 'dead' THEN 1 ELSE 0 END) AS dead, MIN(created_at) AS oldest_at, "
        "MAX(last_error) AS last_error FROM outbox WHERE status IN ('pending', 'dead') "
        "GROUP BY channel ORDER BY channel"
    )
    return [
        dict(row, pending=int(row["pending"]), dead=int(row["dead"]), last_error=row["last_error"])
        for row in rows
    ]

"""The outbox: each message is stored first, then sent to `notify.webhook` until the receiver has
taken it.

A message is sent at least once: when a process dies between sending and marking, it goes out again
with the same `Idempotency-Key` (the message's id), by which a receiver can drop the second. Two
workers never send one message at the same time: whoever sends moves its next attempt into the
future by one UPDATE first. While the receiver's circuit breaker is open, tickets wait; what calls
somebody is sent all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from selfheal.apis.target import request_options
from selfheal.breakers import service
from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.ids import new_id
from selfheal.store import Row, Store, dump, load
from selfheal.store.engine import placeholders
from selfheal.text import iso, one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context

PENDING = "pending"
SENT = "sent"
NO_DESTINATION = "no_destination"  # an outcome of `deliver`; in the table the message stays pending
CHANNEL = "webhook"
SERVICE = "notify.webhook"
PATIENT = ("ticket",)  # all else calls somebody: no circuit breaker may delay it

LEASE_S = 300.0  # a sender that has not come back by then is dead, and its message unsent
FIRST_RETRY_S = 30.0
LONGEST_RETRY_S = 900.0
MANY_ATTEMPTS = 10  # after these the timeline says so, and one attempt an hour remains
HOURLY_S = 3600.0
BATCH = 50
BATCH_TIME_S = 60.0  # a slow receiver must not keep housekeeping from its other work


@dataclass(frozen=True)
class Delivery:
    """What became of one message: `status` is sent, pending (another attempt follows) or
    no_destination.

    `tried` says whether this call sent it; `error` is why it did not arrive.
    """

    id: str
    kind: str
    incident_id: str
    status: str
    attempts: int
    tried: bool
    error: str = ""

    @property
    def is_overdue(self) -> bool:
        """Whether it has failed so often that people should be told."""
        return self.status == PENDING and self.attempts >= MANY_ATTEMPTS


def post(
    store: Store, kind: str, incident_id: Optional[str], dedupe_key: str, payload: Dict[str, Any]
) -> str:
    """Put one message into the outbox and return its id; the id of the first when `dedupe_key` is
    there already.

    `kind` is escalation, ticket, approval or failure. `payload` becomes the body of the request.
    Sends nothing yet.
    """
    now = store.now()
    row = {
        "id": new_id("msg", now),
        "incident_id": incident_id or None,
        "kind": kind,
        "channel": CHANNEL,
        "dedupe_key": dedupe_key,
        "payload": dump(payload),
        "status": PENDING,
        "attempts": 0,
        "created_at": now,
        "next_attempt_at": now,
    }
    store.insert("outbox", row, "ON CONFLICT (dedupe_key) DO NOTHING")
    return find(store, dedupe_key)


def find(store: Store, dedupe_key: str) -> str:
    """The id of the message with that key, or an empty string."""
    return str(store.value("SELECT id FROM outbox WHERE dedupe_key = ?", (dedupe_key,)) or "")


def is_delivered(store: Store, outbox_id: str) -> bool:
    """Whether the receiver has taken the message."""
    return bool(store.value("SELECT status FROM outbox WHERE id = ?", (outbox_id,)) == SENT)


def pending_count(store: Store) -> int:
    """How many messages wait to be sent."""
    return int(store.value("SELECT COUNT(*) FROM outbox WHERE status = ?", (PENDING,)) or 0)


def is_configured(ctx: Context) -> bool:
    """Whether there is a destination to send to."""
    return bool(ctx.config.optional("notify.webhook.url"))


def deliver(ctx: Context, outbox_id: Optional[str] = None, limit: int = BATCH) -> List[Delivery]:
    """Send what is due: one message, or the `limit` that wait longest. Raises StoreError only.

    Without a destination nothing is sent and everything stays pending. When the receiver cannot be
    reached at all, the rest of the batch waits for the next call instead of running into the same
    wall; while its circuit breaker is open, only what is urgent is sent.
    """
    store = ctx.store
    if not is_configured(ctx):
        return [_delivery(row, NO_DESTINATION, False) for row in _due(store, outbox_id, limit)]
    due = _due(store, outbox_id, limit, service.refusal(ctx, SERVICE) is not None)
    done: List[Delivery] = []
    end = ctx.clock.monotonic() + BATCH_TIME_S
    for row in due:
        if ctx.clock.monotonic() >= end:
            break
        if row["kind"] in PATIENT and service.refusal(ctx, SERVICE) is not None:
            continue  # not an attempt: it stays due
        if not _claim(store, row):
            continue
        delivery, is_reachable = _send_stored(ctx, row)
        done.append(delivery)
        if not is_reachable:
            break
    return done


def send(
    ctx: Context, message_id: str, kind: str, payload: Mapping[str, Any], created_at: float
) -> None:
    """Send one message now, past the store. Raises ConfigError, ExternalError when it is not taken.

    Text goes out as it came, template markers included: it leaves StackStorm here. Our own secrets
    are hidden.
    """
    settings = dict(ctx.config.optional("notify.webhook") or {})
    url = str(settings.get("url") or "")
    options = request_options(settings)
    headers = settings.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise ConfigError("notify.webhook.headers must be a map of name to value")
    own = {str(name): str(value) for name, value in headers.items()}
    options["headers"] = {**own, **options["headers"], "Idempotency-Key": message_id}
    body = dict(payload, id=message_id, kind=kind, created_at=iso(created_at))
    answer = ctx.http.request("POST", url, json=scrub(body, ctx.config.secrets()), **options)
    if not answer.ok:
        raise _NotTaken(
            answer.status,
            answer.headers.get("retry-after", ""),
            "%s answered %d%s: %s"
            % (answer.url, answer.status, _advice(answer.status), one_line(answer.text(), 200)),
        )


class _NotTaken(ExternalError):
    """The receiver answered, but not with a 2xx."""

    def __init__(self, status: int, retry_after: str, message: str) -> None:
        super().__init__(message, retryable=status >= 500 or status == 429)
        self.status = status
        self.wait_s = min(float(retry_after), HOURLY_S) if retry_after.isdecimal() else 0.0


def _advice(status: int) -> str:
    if status in (401, 403):
        return " (check notify.webhook.token and notify.webhook.headers)"
    if status in (404, 405, 410) or 300 <= status < 400:
        return " (check notify.webhook.url)"
    return ""


def _due(
    store: Store, outbox_id: Optional[str], limit: int, is_urgent_only: bool = False
) -> List[Row]:
    now = store.now()
    # No wait is longer than an hour: what is due later was written before the clock was set back.
    parameters: List[Any] = [PENDING, now, now + HOURLY_S]
    more = ""
    if outbox_id:
        more += "AND id = ? "
        parameters.append(outbox_id)
    if is_urgent_only:
        more += "AND kind NOT IN (%s) " % placeholders(PATIENT)
        parameters += PATIENT
    return store.query(
        "SELECT id, kind, incident_id, payload, attempts, created_at, last_error FROM outbox "
        "WHERE status = ? AND (next_attempt_at <= ? OR next_attempt_at > ?) %s"
        "ORDER BY next_attempt_at, id LIMIT ?" % more,
        [*parameters, limit],
    )


def _claim(store: Store, row: Row) -> bool:
    now = store.now()
    changed = store.execute(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = ? "
        "WHERE id = ? AND status = ? AND attempts = ? AND "
        "(next_attempt_at <= ? OR next_attempt_at > ?)",
        (now + LEASE_S, row["id"], PENDING, row["attempts"], now, now + HOURLY_S),
    )
    return changed == 1


def _send_stored(ctx: Context, row: Row) -> Tuple[Delivery, bool]:
    """(what became of it, whether the receiver can be reached)."""
    store = ctx.store
    attempts = int(row["attempts"]) + 1
    wait_s, is_reachable = retry_after_s(attempts), True
    kind, payload, created_at = str(row["kind"]), load(row["payload"]), float(row["created_at"])
    try:
        service.call(
            ctx,
            SERVICE,
            lambda: send(ctx, str(row["id"]), kind, payload, created_at),
            is_urgent=kind not in PATIENT,
        )
    except _NotTaken as error:
        wait_s, problem = max(wait_s, error.wait_s), str(error)
    except SelfhealError as error:
        problem, is_reachable = "notify.webhook: %s" % error, False
    else:
        store.execute(
            "UPDATE outbox SET status = ?, sent_at = ?, last_error = NULL WHERE id = ?",
            (SENT, store.now(), row["id"]),
        )
        return _delivery(row, SENT, True, attempts), True
    problem = one_line(str(scrub(problem, ctx.config.secrets())), 500)
    # Only while it is still ours: a sender that outlived its lease must not postpone the next one's
    # message.
    store.execute(
        "UPDATE outbox SET last_error = ?, next_attempt_at = ? WHERE id = ? AND status = ? AND "
        "attempts = ?",
        (problem, store.now() + wait_s, row["id"], PENDING, attempts),
    )
    return _delivery(row, PENDING, True, attempts, problem), is_reachable


def retry_after_s(attempts: int) -> float:
    """Seconds until the next attempt after `attempts` failures: doubling from 30 s to 15 min, after
    ten hourly.
    """
    if attempts >= MANY_ATTEMPTS:
        return HOURLY_S
    return float(min(FIRST_RETRY_S * 2 ** max(0, attempts - 1), LONGEST_RETRY_S))


def _delivery(
    row: Row, status: str, tried: bool, attempts: Optional[int] = None, error: str = ""
) -> Delivery:
    return Delivery(
        id=str(row["id"]),
        kind=str(row["kind"]),
        incident_id=str(row["incident_id"] or ""),
        status=status,
        attempts=int(row["attempts"]) if attempts is None else attempts,
        tried=tried,
        error=error or str(row["last_error"] or ""),
    )

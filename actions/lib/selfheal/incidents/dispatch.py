"""Which incidents get a response now: the most severe first, and no more at a time than a limit.

An incident is marked as dispatched before its trigger is injected, so that two processes never
start one response twice and never exceed the limit together. If the trigger then does not get out
(the process is killed, StackStorm is down), the mark is taken back or lapses, and the next call
injects it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple

from selfheal.exceptions import SelfhealError
from selfheal.guard import locks
from selfheal.ids import new_id
from selfheal.incidents import model, timeline
from selfheal.incidents.announce import announcement
from selfheal.incidents.registry import dispatch_number, responding_count
from selfheal.store import Row, Store
from selfheal.store import status as states
from selfheal.store.engine import in_chunks, placeholders

if TYPE_CHECKING:
    from selfheal.context import Context

RESOLVED_TRIGGER = "selfheal.incident_resolved"
STORM_TRIGGER = "selfheal.alert_storm"
CLAIM_WITHIN_S = 120.0  # a response that has not begun by then never will: its trigger was lost
CLOSE_WITHIN_S = 30.0  # likewise the closing of an incident whose last alert ended
_TELL_WITHIN_S = 60.0  # likewise the telling of a storm
_MAX_CLOSED_AT_ONCE = 100
_STORM = "alert_storm"
_CHUNK = 400
# Spelled so that each is a range of the index incidents_by_turn.
_FRESH = "i.status = 'open' AND i.dispatched_at IS NULL AND i.cleared_at IS NULL"
_LAPSED = "i.status = 'open' AND i.dispatched_at <= ? AND i.cleared_at IS NULL"
_COLUMNS = (
    "i.id, i.severity, i.alert_type, i.source, i.alert_count, i.response_level, "
    "i.dispatched_at, i.opened_at"
)


def dispatch(
    ctx: Context, *, cleared: Optional[Sequence[str]] = None, force: Sequence[str] = ()
) -> Dict[str, Any]:
    """Start responses to waiting incidents, and the closing of those whose last alert ended.

    `cleared` names incidents that have just been cleared; None means all that were cleared a while
    ago and are still not closed. Incidents in `force` get their response now, past the limit and
    also when they were handed over, unless a living response holds them.

    Returns {"dispatched": ids, "closing": ids, "waiting": count, "storm": bool, "error": text}: ids
    whose trigger got out, how many more had no room, whether a storm was announced, and the first
    failure of an injection ("" when all went well), which the next call makes good. Raises
    StoreError.
    """
    limit = max(0, int(ctx.config.number("safety.max_responses_per_batch")))
    chosen, waiting, worst = _reserve(ctx.store, limit, force)
    errors: List[str] = []
    dispatched = [row["id"] for row in chosen if _start(ctx, row, errors)]
    closing = _close(ctx, _to_close(ctx.store, cleared), errors)
    storm = _tell_of_storm(ctx, len(dispatched), waiting, worst, errors)
    return {
        "dispatched": dispatched,
        "closing": closing,
        "waiting": waiting,
        "storm": storm,
        "error": errors[0] if errors else "",
    }


def _reserve(store: Store, limit: int, force: Sequence[str]) -> Tuple[List[Row], int, str]:
    """(incidents marked as dispatched now, how many are left waiting, the worst severity among
    those).
    """
    now = store.now()
    lapsed = now - CLAIM_WITHIN_S
    with store.transaction("incidents"):
        # Marks from a clock that was set back since would otherwise hold for as long as it was.
        store.execute(
            "UPDATE incidents SET dispatched_at = NULL WHERE status = 'open' AND dispatched_at > ?",
            (now + CLAIM_WITHIN_S,),
        )
        sql = "SELECT COUNT(*) FROM incidents WHERE status = 'open' AND dispatched_at > ?"
        under_way = int(store.value(sql, (lapsed,)) or 0)
        room = max(0, limit - responding_count(store) - under_way)
        chosen = _forced(store, force)
        _mark(store, chosen, now)
        next_in_turn = _next_in_turn(store, lapsed, room + 1)
        left = next_in_turn[room:]
        waiting = sum(
            int(store.value("SELECT COUNT(*) FROM incidents i WHERE %s" % condition, values) or 0)
            for condition, values in ((_FRESH, ()), (_LAPSED, (lapsed,)))
        )
        _mark(store, next_in_turn[:room], now)
    chosen += next_in_turn[:room]
    return chosen, waiting - len(next_in_turn[:room]), left[0]["severity"] if left else ""


def _next_in_turn(store: Store, lapsed: float, limit: int) -> List[Row]:
    """The first `limit` of those that wait: the most severe first, then the oldest."""
    found = store.query("SELECT %s FROM incidents i WHERE %s" % (_COLUMNS, _LAPSED), (lapsed,))
    fresh = 0
    for severity in model.SEVERITIES:
        rows = store.query(
            "SELECT %s FROM incidents i WHERE %s AND i.severity = ? ORDER BY i.opened_at, i.id "
            "LIMIT ?" % (_COLUMNS, _FRESH),
            (severity, limit - fresh),
        )
        found += rows
        fresh += len(rows)
        if fresh == limit:
            break
    return sorted(
        found, key=lambda row: (model.severity_rank(row["severity"]), row["opened_at"], row["id"])
    )[:limit]


def _mark(store: Store, rows: Sequence[Row], now: float) -> None:
    store.execute_many(
        "UPDATE incidents SET dispatched_at = ?, updated_at = ? WHERE id = ?",
        [(now, now, row["id"]) for row in rows],
    )
    for row in rows:
        row["dispatched_at"] = now


def _forced(store: Store, names: Iterable[str]) -> List[Row]:
    found: List[Row] = []
    takeable = sorted(model.HANDED_OVER | {model.OPEN})
    for chunk in in_chunks(sorted(set(names)), _CHUNK):
        found += store.query(
            "SELECT %s FROM incidents i LEFT JOIN locks l ON l.name = 'incident:' || i.id AND "
            "l.expires_at > ? "
            "WHERE i.id IN (%s) AND i.status IN (%s) AND i.cleared_at IS NULL AND l.name IS NULL"
            % (_COLUMNS, placeholders(chunk), placeholders(takeable)),
            (store.now(), *chunk, *takeable),
        )
    return found


def _start(ctx: Context, row: Row, errors: List[str]) -> bool:
    number = dispatch_number(row["dispatched_at"])
    trigger, payload = announcement(ctx.store, row, number)
    if _inject(ctx, trigger, payload, errors):
        timeline.record(ctx.store, row["id"], "dispatched", "asked for a response")
        return True
    ctx.store.execute(
        "UPDATE incidents SET dispatched_at = NULL WHERE id = ? AND dispatched_at = ?",
        (row["id"], row["dispatched_at"]),
    )
    return False


def _to_close(store: Store, names: Optional[Sequence[str]]) -> List[Row]:
    what = (
        "SELECT i.id, i.severity, i.source FROM incidents i "
        "WHERE i.status <> 'resolved' AND i.cleared_at IS NOT NULL AND "
    )
    if names is None:
        now = store.now()
        return store.query(
            what + "(i.cleared_at <= ? OR i.cleared_at > ?) ORDER BY i.cleared_at LIMIT ?",
            (now - CLOSE_WITHIN_S, now + CLOSE_WITHIN_S, _MAX_CLOSED_AT_ONCE),
        )
    found: List[Row] = []
    for chunk in in_chunks(sorted(set(names)), _CHUNK):
        found += store.query(what + "i.id IN (%s)" % placeholders(chunk), chunk)
    return found[:_MAX_CLOSED_AT_ONCE]  # the rest is closed by the calls that follow


def _close(ctx: Context, rows: Sequence[Row], errors: List[str]) -> List[str]:
    return [
        row["id"]
        for row in rows
        if _inject(
            ctx,
            RESOLVED_TRIGGER,
            {"incident_id": row["id"], "severity": row["severity"], "source": row["source"]},
            errors,
        )
    ]


def _inject(ctx: Context, trigger: str, payload: Dict[str, Any], errors: List[str]) -> bool:
    if errors:
        return False  # the platform has just failed: asking it again for each incident takes long
    try:
        ctx.platform.inject(trigger, payload)
        return True
    except SelfhealError as error:
        ctx.log.error(
            "%s for %s did not get out; it is tried again: %s",
            trigger,
            payload.get("incident_id", "all"),
            error,
        )
        errors.append(str(error))
        return False


def _tell_of_storm(
    ctx: Context, dispatched: int, waiting: int, worst: str, errors: List[str]
) -> bool:
    """Inject one trigger when a storm begins, and remember it until nothing waits any more."""
    store = ctx.store
    known = states.status_of(store, _STORM)
    if not waiting:
        if known == "storm":
            states.note(store, _STORM, "calm")
        return False
    if known == "storm":
        return False
    payload = {
        "count": dispatched + waiting,
        "dispatched": dispatched,
        "waiting": waiting,
        "worst_severity": worst,
    }
    teller = new_id("storm", store.now())
    if not locks.acquire(store, _STORM, teller, _TELL_WITHIN_S):
        return False  # another process is telling it just now
    try:
        is_told = states.status_of(store, _STORM) == "storm"
        if is_told or not _inject(ctx, STORM_TRIGGER, payload, errors):
            return False
        states.note(store, _STORM, "storm")
        return True
    finally:
        locks.release(store, _STORM, teller)

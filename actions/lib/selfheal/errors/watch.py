"""The watch over groups of errors: over the threshold, still failing, quiet again, back.

Each group has at most one signal firing and so at most one open incident, whoever polls. What the
threshold has not been asked about yet is marked in the store (`pending_from`), so a poll that dies
is made good by the next one. Starting responses is left to the caller (incidents.dispatch).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Sequence, Set, Tuple

from selfheal.errors import signals
from selfheal.errors.windows import MINUTES_OF_GROUP, span, window_of
from selfheal.incidents import model, timeline
from selfheal.incidents.attach import Attachment, AttachSettings, attach
from selfheal.incidents.signal import epoch_of
from selfheal.store import Row, Store
from selfheal.store.engine import in_chunks, placeholders
from selfheal.text import counted, iso

if TYPE_CHECKING:
    from selfheal.context import Context

MINUTE_S = 60
DAY_S = 86400.0
_BATCH = 500  # groups per transaction: nobody else waits long
_COLUMNS = (
    "g.group_key, g.fingerprint, g.scope, g.cluster, g.namespace, g.workload, g.host, g.program, "
    "g.origin, g.error_type, g.severity, g.occurrences, g.last_logged_at, g.pending_from, "
    "g.alerting_since, g.fresh_from, g.alerts, g.notes, g.next_alert_at, g.incident_id"
)


class Evaluated(NamedTuple):
    """What an evaluation did: how many signals began and ended, the incidents that were opened or
    reopened, those that were cleared, and how many groups are over the threshold but wait for their
    back-off.
    """

    raised: int
    resolved: int
    incidents: List[str]
    cleared: List[str]
    waiting: int


class Settings(NamedTuple):
    """The settings that the watch goes by; times in seconds."""

    threshold: int
    window_s: float
    quiet_s: float
    realert_s: float
    reopen_minutes: float
    flap_quiet_minutes: float


class _Sorted(NamedTuple):
    """Pending groups by what is to be done. `over` holds (group, start of the window)."""

    done: List[Row]
    over: List[Tuple[Row, float]]
    failing: List[Row]
    waiting: List[Row]
    missed: List[Row]


def settings_of(ctx: Context) -> Settings:
    """The settings in this configuration. Raises ConfigError."""
    number = ctx.config.number
    return Settings(
        max(1, int(number("monitoring.error_threshold"))),
        max(1.0, number("monitoring.window_minutes") * MINUTE_S),
        max(0.0, number("monitoring.quiet_minutes") * MINUTE_S),
        max(1.0, number("monitoring.realert_minutes") * MINUTE_S),
        number("incidents.reopen_minutes"),
        number("safety.flap_quiet_minutes"),
    )


def evaluate(ctx: Context, origin: str, looked_until: float) -> Evaluated:
    """Ask the threshold about all groups that grew, then end the signals of this `origin`'s groups
    that had no error for long before `looked_until` (epoch seconds: how far its logs were read).

    Safe to repeat and to run in several processes. Raises StoreError; what was done before is
    stored, and the next call does the rest.
    """
    settings = settings_of(ctx)
    store = ctx.store
    total = Evaluated(0, 0, [], [], 0)
    after: Optional[str] = ""
    while after is not None and _has_pending(store, after):
        with store.transaction("incidents", "errors"):
            part, after = _evaluate_pending(store, settings, origin, looked_until, after)
        total = _sum(total, part)
    while _quiet_groups(store, settings, origin, looked_until, 1):
        with store.transaction("incidents", "errors"):
            groups = _quiet_groups(store, settings, origin, looked_until, _BATCH)
            part = _end(store, settings, groups)
        total = _sum(total, part)
    return total


def backoff_s(settings: Settings, alerts: int) -> float:
    """The least time to the next alert after `alerts` in a row before this one."""
    return float(min(settings.realert_s * 2 ** min(alerts, 30), max(DAY_S, settings.realert_s)))


def _sum(one: Evaluated, other: Evaluated) -> Evaluated:
    return Evaluated(
        one.raised + other.raised,
        one.resolved + other.resolved,
        one.incidents + other.incidents,
        one.cleared + other.cleared,
        one.waiting + other.waiting,
    )


def _has_pending(store: Store, after: str) -> bool:
    return bool(
        store.query(
            "SELECT 1 FROM error_groups WHERE pending_from IS NOT NULL AND group_key > ? LIMIT 1",
            (after,),
        )
    )


def _evaluate_pending(
    store: Store, settings: Settings, origin: str, looked_until: float, after: str
) -> Tuple[Evaluated, Optional[str]]:
    """One batch of pending groups; also the key after which the next batch begins, None at the
    end.
    """
    groups = store.query(
        "SELECT %s, i.status AS incident_status, i.resolved_at AS incident_resolved_at "
        "FROM error_groups g LEFT JOIN incidents i ON i.id = g.incident_id "
        "WHERE g.pending_from IS NOT NULL AND g.group_key > ? ORDER BY g.group_key LIMIT ?"
        % _COLUMNS,
        (after, _BATCH),
    )
    found = _sort(store, settings, groups, origin, looked_until)
    raised = _raise(store, settings, found.over)
    for group in found.failing:
        _note(store, settings, group)
    for group in found.missed:
        _tell_of_missed(store, group)
    done = found.done + found.failing + found.missed
    _settle(store, [group["group_key"] for group in done])
    part = Evaluated(
        len(found.over), 0, sorted(raised.opened + raised.reopened), [], len(found.waiting)
    )
    return part, str(groups[-1]["group_key"]) if len(groups) == _BATCH else None


def _sort(
    store: Store, settings: Settings, groups: Sequence[Row], origin: str, looked_until: float
) -> _Sorted:
    found = _Sorted([], [], [], [], [])
    asked: List[Row] = []
    for group in groups:
        is_open = group["incident_status"] not in (None, model.RESOLVED)
        if group["alerting_since"] is not None and is_open:
            found.failing.append(group)
        elif group["occurrences"] < settings.threshold:
            found.done.append(group)
        else:
            asked.append(group)
    enough = _with_enough(store, settings, asked)
    has_storms = bool(asked) and bool(store.query("SELECT 1 FROM storm_minutes LIMIT 1"))
    for group in asked:
        start = None
        if group["group_key"] in enough:
            since = max(group["pending_from"] - settings.window_s, _fresh_from(group))
            start = window_of(
                store, group["group_key"], since, settings.threshold, settings.window_s, has_storms
            )
        if start is None:
            found.done.append(group)
        elif not _must_wait(store, group):
            found.over.append((group, start))
        elif _is_quiet(settings, group, origin, looked_until):
            found.missed.append(group)
        else:
            found.waiting.append(group)
    return found


def _with_enough(store: Store, settings: Settings, groups: Sequence[Row]) -> Set[str]:
    """Those of `groups` that may have had a threshold of errors in the minutes in question."""
    # Counts of minutes are not kept for long: of older ones they say nothing.
    kept_from = store.now() - DAY_S + settings.window_s
    found = {group["group_key"] for group in groups if group["pending_from"] < kept_from}
    recent = [group for group in groups if group["group_key"] not in found]
    for chunk in in_chunks(recent):
        since = min(group["pending_from"] for group in chunk) - settings.window_s
        keys = [group["group_key"] for group in chunk]
        rows = store.query(
            "SELECT group_key, SUM(stored + counted) AS many FROM error_counts "
            "WHERE group_key IN (%s) AND minute >= ? GROUP BY group_key" % placeholders(keys),
            (*keys, int(since // MINUTE_S)),
        )
        found.update(row["group_key"] for row in rows if row["many"] >= settings.threshold)
    return found


def _fresh_from(group: Row) -> float:
    """From when on an error of the group counts towards its next incident."""
    moments = [float("-inf") if group["fresh_from"] is None else float(group["fresh_from"])]
    if group["alerting_since"] is not None:
        moments.append(signals.after(group["alerting_since"]))
        if group["incident_resolved_at"] is not None:
            moments.append(signals.after(signals.time_of(group["incident_resolved_at"])))
    return max(moments)


def _must_wait(store: Store, group: Row) -> bool:
    left = (group["next_alert_at"] or 0.0) - store.now()
    return 0 < left <= DAY_S  # longer than any back-off: the clock was set back since


def _is_quiet(settings: Settings, group: Row, origin: str, looked_until: float) -> bool:
    return bool(
        group["origin"] == origin and group["last_logged_at"] < looked_until - settings.quiet_s
    )


def _attaching(settings: Settings) -> AttachSettings:
    return AttachSettings(
        settings.reopen_minutes, flap_quiet_minutes=settings.flap_quiet_minutes
    )


def _raise(
    store: Store, settings: Settings, over: Sequence[Tuple[Row, float]]
) -> Attachment:
    raised = [signals.firing(store, group, start, settings.window_s) for group, start in over]
    attachment = attach(store, raised, _attaching(settings))
    now = store.now()
    rows: List[Sequence[Any]] = []
    for (group, start), signal in zip(over, raised):
        ended_at = group["fresh_from"]
        was_quiet = ended_at is not None and start - ended_at >= DAY_S
        alerts = 0 if was_quiet else int(group["alerts"])
        incident_id = attachment.incident_of[(signal.fingerprint, signal.starts_at)]
        next_at = now + backoff_s(settings, alerts)
        rows.append(
            (signal.starts_at, incident_id, alerts + 1, next_at, now, group["group_key"])
        )
    store.execute_many(
        "UPDATE error_groups SET alerting_since = ?, incident_id = ?, alerts = ?, notes = 0, "
        "next_alert_at = ?, pending_from = NULL, updated_at = ? WHERE group_key = ?",
        rows,
    )
    return attachment


def _note(store: Store, settings: Settings, group: Row) -> None:
    """Tell the timeline that the errors go on: at most once per back-off, rarer and rarer."""
    elapsed = store.now() - epoch_of(group["alerting_since"])
    periods = 0
    while elapsed >= backoff_s(settings, periods):
        elapsed -= backoff_s(settings, periods)
        periods += 1
    if periods <= group["notes"]:
        return
    many = store.value(
        "SELECT SUM(stored + counted) FROM error_counts WHERE %s" % MINUTES_OF_GROUP,
        span(group["group_key"], int(epoch_of(group["alerting_since"]) // MINUTE_S)),
    )
    timeline.record(
        store,
        group["incident_id"],
        "still_failing",
        "still failing: %s since %s, the last at %s"
        % (
            counted(int(many or 0), "error"),
            group["alerting_since"],
            signals.time_of(group["last_logged_at"]),
        ),
        {"group_key": group["group_key"], "errors": int(many or 0)},
    )
    store.execute(
        "UPDATE error_groups SET notes = ? WHERE group_key = ?", (periods, group["group_key"])
    )


def _tell_of_missed(store: Store, group: Row) -> None:
    """Errors came back and went again before the group's next alert was due."""
    last = signals.time_of(group["last_logged_at"])
    if group["incident_id"]:
        timeline.record(
            store,
            group["incident_id"],
            "came_and_went",
            "the errors were back until %s and stopped by themselves before the next alert was due "
            "(%s)" % (last, iso(group["next_alert_at"])),
            {"group_key": group["group_key"]},
        )
    store.execute(
        "UPDATE error_groups SET fresh_from = ? WHERE group_key = ?",
        (signals.after(last), group["group_key"]),
    )


def _settle(store: Store, keys: Sequence[str]) -> None:
    for chunk in in_chunks(keys):
        store.execute(
            "UPDATE error_groups SET pending_from = NULL WHERE group_key IN (%s)"
            % placeholders(chunk),
            chunk,
        )


def _quiet_groups(
    store: Store, settings: Settings, origin: str, looked_until: float, limit: int
) -> List[Row]:
    return store.query(
        "SELECT %s, i.status AS incident_status FROM error_groups g "
        "LEFT JOIN incidents i ON i.id = g.incident_id "
        "WHERE g.alerting_since IS NOT NULL AND g.origin = ? AND g.last_logged_at < ? "
        "ORDER BY g.group_key LIMIT ?" % _COLUMNS,
        (origin, looked_until - settings.quiet_s, limit),
    )


def _end(store: Store, settings: Settings, groups: Sequence[Row]) -> Evaluated:
    ended = [signals.quiet(group) for group in groups]
    # An incident that the retention took has no signal that could end.
    known = [end for end, group in zip(ended, groups) if group["incident_status"] is not None]
    attachment = attach(store, known, _attaching(settings))
    now = store.now()
    store.execute_many(
        "UPDATE error_groups SET alerting_since = NULL, fresh_from = ?, notes = 0, updated_at = ? "
        "WHERE group_key = ?",
        [
            (signals.after(str(signal.ends_at)), now, group["group_key"])
            for signal, group in zip(ended, groups)
        ],
    )
    return Evaluated(0, len(ended), [], attachment.cleared, 0)

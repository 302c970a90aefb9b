"""Spikes and new patterns: triggers for people's own rules, off unless they are switched on.

Each is sent at most once: a pattern once for ever, a group's spike once an hour. A process that
dies in between sends it not at all rather than twice.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from selfheal.exceptions import SelfhealError
from selfheal.store import Row, Store
from selfheal.store.engine import in_chunks, placeholders
from selfheal.text import truncate

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.errors.book import Stored

SPIKE_TRIGGER = "selfheal.error_spike"
PATTERN_TRIGGER = "selfheal.new_error_pattern"
MINUTE_S = 60
WINDOW = 5  # minutes
WINDOWS = 12  # of the past that a rate is compared with: one hour
MOST_AT_ONCE = 50
_STALE_S = 900.0
_MAX_SAMPLE = 500


def unusual(ctx: Context, stored: Stored) -> Dict[str, int]:
    """Send what is unusual about a batch that was just stored: {"spikes", "new_patterns"} are how
    many triggers got out. A platform that takes none is logged and costs nothing else.
    """
    return {
        "spikes": _spikes(ctx, stored.groups) if ctx.config.get("monitoring.spikes") else 0,
        "new_patterns": (
            _new(ctx, stored.new_patterns) if ctx.config.get("monitoring.new_patterns") else 0
        ),
    }


def _new(ctx: Context, fingerprints: Sequence[str]) -> int:
    sent = 0
    for fingerprint in fingerprints[:MOST_AT_ONCE]:
        claimed = ctx.store.execute(
            "UPDATE error_patterns SET announced_at = ? WHERE fingerprint = ? AND "
            "announced_at IS NULL",
            (ctx.clock.now(), fingerprint),
        )
        row = ctx.store.one(
            "SELECT fingerprint, error_type, severity, template, sample, rule FROM error_patterns "
            "WHERE fingerprint = ?",
            (fingerprint,),
        )
        if claimed and row:
            row.update(
                sample=truncate(row["sample"], _MAX_SAMPLE),
                template=truncate(row["template"], _MAX_SAMPLE),
            )
            if not _inject(ctx, PATTERN_TRIGGER, row):
                return sent
            sent += 1
    left = len(fingerprints) - MOST_AT_ONCE
    if left > 0:
        ctx.log.warning(
            "%d more patterns are new; error_pattern_list ordered by first_seen shows them", left
        )
    return sent


def _spikes(ctx: Context, keys: Sequence[str]) -> int:
    factor = ctx.config.number("monitoring.spike_factor")
    least = max(1.0, ctx.config.number("monitoring.error_threshold"))
    now = ctx.clock.now()
    sent = 0
    for chunk in in_chunks(keys):
        groups = _candidates(ctx.store, chunk, now)
        for group, windows in zip(groups, _windows(ctx.store, groups)):
            usual = float(median(windows[1:]))
            if windows[0] < least or windows[0] < factor * max(usual, 1.0):
                continue
            if sent < MOST_AT_ONCE and _claimed(ctx.store, group["group_key"], now):
                if not _inject(ctx, SPIKE_TRIGGER, _payload(group, windows[0], usual)):
                    return sent
                sent += 1
    return sent


def _candidates(store: Store, keys: Sequence[str], now: float) -> List[Row]:
    """Groups that are old enough to have a past, and whose errors are of now."""
    past_s = (WINDOWS + 1) * WINDOW * MINUTE_S
    return store.query(
        "SELECT group_key, fingerprint, error_type, severity, host, cluster, namespace, workload, "
        "program, last_logged_at FROM error_groups WHERE group_key IN (%s) AND last_logged_at > ? "
        "AND first_logged_at <= last_logged_at - ? AND "
        "(next_spike_at IS NULL OR next_spike_at <= ? OR next_spike_at > ?)" % placeholders(keys),
        (*keys, now - _STALE_S, past_s, now, now + past_s),
    )


def _windows(store: Store, groups: Sequence[Row]) -> List[List[int]]:
    """For each group its errors per window, the current window first."""
    if not groups:
        return []
    last = {group["group_key"]: int(group["last_logged_at"] // MINUTE_S) for group in groups}
    rows = store.query(
        "SELECT group_key, minute, stored + counted AS many FROM error_counts "
        "WHERE group_key IN (%s) AND minute > ?" % placeholders(list(last)),
        (*last, min(last.values()) - (WINDOWS + 1) * WINDOW),
    )
    found = {key: [0] * (WINDOWS + 1) for key in last}
    for row in rows:
        window = (last[row["group_key"]] - int(row["minute"])) // WINDOW
        if 0 <= window <= WINDOWS:
            found[row["group_key"]][window] += int(row["many"])
    return [found[group["group_key"]] for group in groups]


def _claimed(store: Store, key: str, now: float) -> bool:
    hour_s = WINDOWS * WINDOW * MINUTE_S
    changed = store.execute(
        "UPDATE error_groups SET next_spike_at = ? WHERE group_key = ? AND "
        "(next_spike_at IS NULL OR next_spike_at <= ? OR next_spike_at > ?)",
        (now + hour_s, key, now, now + hour_s),
    )
    return changed == 1


def _payload(group: Row, current: int, usual: float) -> Dict[str, Any]:
    named = ("fingerprint", "group_key", "error_type", "severity", "host", "cluster", "namespace",
             "workload", "program")
    return {
        **{name: group[name] or "" for name in named},
        "rate_per_minute": round(current / WINDOW, 3),
        "usual_per_minute": round(usual / WINDOW, 3),
    }


def _inject(ctx: Context, trigger: str, payload: Dict[str, Any]) -> bool:
    try:
        ctx.platform.inject(trigger, payload)
        return True
    except SelfhealError as error:
        ctx.log.error("%s for %s did not get out: %s", trigger, payload["fingerprint"], error)
        return False

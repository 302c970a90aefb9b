"""What a batch of errors adds to its patterns, groups and minutes, summed up first and written at
once.

What ends up in a row depends on the set of documents that were counted, not on their order nor on
how they were cut into batches: counts add up, and of what there can be only one of, that of the
latest document is kept. The caller holds the transaction "errors".
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from selfheal.errors.record import Document, Judgement
from selfheal.errors.scope import NAMES, Scope
from selfheal.errors.storable import storable
from selfheal.incidents.model import SEVERITIES, severity_rank
from selfheal.store import Row, Store
from selfheal.store.engine import in_chunks, placeholders

MINUTE_S = 60
MAX_SAMPLE = 2000
Patterns = Dict[str, Row]
# (logged_at, -rank of severity, error_type, rule, sample, origin): the greatest is the latest.
Latest = Tuple[float, int, str, str, str, str]
_NONE: Latest = (float("-inf"), 0, "", "", "", "")
_RANK = {severity: -severity_rank(severity) for severity in SEVERITIES}
_UNKNOWN_RANK = -len(SEVERITIES)
_PATTERN_COLUMNS = (
    "fingerprint",
    "template",
    "sample",
    "error_type",
    "severity",
    "rule",
    "occurrences",
    "first_seen_at",
    "last_seen_at",
)
_GROUP_COLUMNS = (
    "group_key",
    "fingerprint",
    "scope",
    *NAMES,
    "origin",
    "error_type",
    "severity",
    "occurrences",
    "first_logged_at",
    "last_logged_at",
    "pending_from",
    "alerts",
    "notes",
    "updated_at",
)
_PATTERN_GROWS = (
    "ON CONFLICT (fingerprint) DO UPDATE SET sample = excluded.sample, "
    "error_type = excluded.error_type, severity = excluded.severity, rule = excluded.rule, "
    "occurrences = error_patterns.occurrences + excluded.occurrences, "
    "first_seen_at = excluded.first_seen_at, last_seen_at = excluded.last_seen_at"
)
_GROUP_GROWS = (
    "ON CONFLICT (group_key) DO UPDATE SET origin = excluded.origin, "
    "error_type = excluded.error_type, severity = excluded.severity, "
    "occurrences = error_groups.occurrences + excluded.occurrences, "
    "first_logged_at = excluded.first_logged_at, last_logged_at = excluded.last_logged_at, "
    "pending_from = excluded.pending_from, updated_at = excluded.updated_at"
)
_MINUTE_GROWS = (
    "ON CONFLICT (group_key, minute) DO UPDATE SET stored = error_counts.stored + excluded.stored, "
    "counted = error_counts.counted + excluded.counted"
)


class Entry:
    """What one pattern did in one place within a batch. Made for each, so it has slots."""

    __slots__ = ("canonical", "count", "first", "group_key", "judgement", "latest", "minutes",
                 "origin", "scope")

    def __init__(self, group_key: str, canonical: str, scope: Scope, judgement: Judgement) -> None:
        self.group_key = group_key
        self.canonical = canonical
        self.scope = scope
        self.judgement = judgement
        self.count = 0
        self.first = float("inf")
        self.latest = _NONE
        self.minutes: Dict[int, int] = {}
        self.origin = ""

    def add(self, document: Document, judgement: Judgement, minute: int, count: int) -> None:
        """Count `document` (and `count` - 1 others like it) in `minute`."""
        self.count += count
        self.minutes[minute] = self.minutes.get(minute, 0) + count
        at = document.logged_at
        if at < self.first:
            self.first = at
        if at >= self.latest[0]:
            latest = (
                at,
                _RANK.get(judgement.severity, _UNKNOWN_RANK),
                judgement.error_type,
                judgement.rule,
                storable(document.message[:MAX_SAMPLE]),
                document.origin,
            )
            if latest > self.latest:
                self.latest = latest
                self.judgement = judgement
                self.origin = document.origin

    def take_off(self, count: int) -> int:
        """Count at most `count` documents less; how many it were."""
        taken = min(count, self.count)
        self.count -= taken
        left = taken
        for minute, there in self.minutes.items():
            part = min(left, there)
            self.minutes[minute] = there - part
            left -= part
        return taken


class Written(NamedTuple):
    """Fingerprints that were never seen before, and the keys of the groups that grew; in order."""

    new_patterns: List[str]
    groups: List[str]


def patterns(store: Store, fingerprints: Iterable[str]) -> Patterns:
    """What is known of these patterns, by fingerprint."""
    found: Patterns = {}
    for chunk in in_chunks(sorted(set(fingerprints))):
        rows = store.query(
            "SELECT fingerprint, merged_into, sample, error_type, severity, rule, first_seen_at, "
            "last_seen_at FROM error_patterns WHERE fingerprint IN (%s)" % placeholders(chunk),
            chunk,
        )
        found.update((row["fingerprint"], row) for row in rows)
    return found


def canonical(known: Patterns, fingerprint: str) -> str:
    """The pattern that errors of `fingerprint` count for."""
    row = known.get(fingerprint)
    return str(row["merged_into"]) if row and row["merged_into"] else fingerprint


def write(store: Store, entries: Sequence[Entry], known: Patterns, column: str) -> Written:
    """Add `entries` to patterns, groups and minutes. `column` of error_counts is `stored` or
    `counted` (by aggregation). `known` is what `patterns` said of all their fingerprints.
    """
    new_patterns = _write_patterns(store, entries, known)
    groups = _write_groups(store, entries, is_storm=column == "counted")
    _write_counts(store, entries, column)
    return Written(new_patterns, groups)


def _write_patterns(store: Store, entries: Sequence[Entry], known: Patterns) -> List[str]:
    sums: Dict[str, List[Any]] = {}
    for entry in entries:
        total = sums.setdefault(
            entry.judgement.fingerprint, [0, entry.first, entry.latest, entry.judgement]
        )
        total[0] += entry.count
        total[1] = min(total[1], entry.first)
        if entry.latest > total[2]:
            total[2:] = [entry.latest, entry.judgement]
    rows = []
    for fingerprint, (count, first, latest, judgement) in sums.items():
        row = known.get(fingerprint)
        severity = judgement.severity
        if row is not None:
            first = min(first, row["first_seen_at"])
            before: Latest = (
                row["last_seen_at"],
                _RANK.get(row["severity"], _UNKNOWN_RANK),
                row["error_type"],
                row["rule"],
                row["sample"],
                "",
            )
            if latest[:5] <= before[:5]:
                latest, severity = before, row["severity"]
        at, _, error_type, rule, sample, _ = latest
        template = storable(judgement.template)
        rows.append((fingerprint, template, sample, error_type, severity, rule, count, first, at))
    store.insert_many("error_patterns", _PATTERN_COLUMNS, rows, _PATTERN_GROWS)
    return [fingerprint for fingerprint in sums if fingerprint not in known]


def _write_groups(store: Store, entries: Sequence[Entry], is_storm: bool) -> List[str]:
    sums: Dict[str, List[Any]] = {}
    for entry in entries:
        # What a storm counted has no times of its own: it counts from the start of its minute.
        pending = min(entry.first, min(entry.minutes) * MINUTE_S) if is_storm else entry.first
        total = sums.setdefault(
            entry.group_key, [0, entry.first, pending, entry.latest, entry]
        )
        total[0] += entry.count
        total[1] = min(total[1], entry.first)
        total[2] = min(total[2], pending)
        if entry.latest > total[3]:
            total[3:] = [entry.latest, entry]
    known = _groups(store, list(sums))
    now = store.now()
    rows = []
    for key, (count, first, pending, latest, entry) in sums.items():
        row = known.get(key)
        at, _, error_type, _, _, origin = latest
        severity = entry.judgement.severity
        if row is not None:
            first = min(first, row["first_logged_at"])
            if row["pending_from"] is not None:
                pending = min(pending, row["pending_from"])
            before = (
                row["last_logged_at"],
                _RANK.get(row["severity"], _UNKNOWN_RANK),
                row["error_type"],
                row["origin"],
            )
            if (at, latest[1], error_type, origin) <= before:
                at, _, error_type, origin = before
                severity = row["severity"]
        scope = entry.scope
        rows.append(
            (key, entry.canonical, scope.text, *(scope.columns[name] for name in NAMES), origin,
             error_type, severity, count, first, at, pending, 0, 0, now)
        )
    store.insert_many("error_groups", _GROUP_COLUMNS, rows, _GROUP_GROWS)
    return sorted(sums)


def _groups(store: Store, keys: Sequence[str]) -> Dict[str, Row]:
    found: Dict[str, Row] = {}
    for chunk in in_chunks(keys):
        rows = store.query(
            "SELECT group_key, origin, error_type, severity, first_logged_at, last_logged_at, "
            "pending_from FROM error_groups WHERE group_key IN (%s)" % placeholders(chunk),
            chunk,
        )
        found.update((row["group_key"], row) for row in rows)
    return found


def _write_counts(store: Store, entries: Sequence[Entry], column: str) -> None:
    sums: Dict[Tuple[str, int], int] = {}
    for entry in entries:
        for minute, count in entry.minutes.items():
            place = (entry.group_key, minute)
            sums[place] = sums.get(place, 0) + count
    store.insert_many(
        "error_counts",
        ("group_key", "minute", "stored", "counted"),
        [
            (*place, *((count, 0) if column == "stored" else (0, count)))
            for place, count in sums.items()
            if count
        ],
        _MINUTE_GROWS,
    )

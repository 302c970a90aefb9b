"""Deleting what is old: closed incidents with all that belongs to them, and records that belong to
none.

Children go before their incident, in small transactions, so that a sweep that is cut off leaves no
orphans, holds no lock for long, and goes on where it stopped. Nothing of an incident that is still
open is ever deleted, its errors included. Events are deleted nowhere else, and only once a seal
says so.
"""

from __future__ import annotations

from typing import Dict, Tuple

from selfheal.exceptions import ConfigError
from selfheal.store import seals
from selfheal.store.engine import Store

BATCH = 500
BATCHES = 40  # per table and sweep; what is left waits for the next sweep
DAY_S = 86400.0

_CLOSED = (
    "SELECT id FROM incidents WHERE status = 'resolved' AND updated_at < ? AND resolved_at < ?"
)
_OPEN = "SELECT id FROM incidents WHERE status <> 'resolved'"
# Of an incident whose chain of events is sealed as removed, up to its last link.
_SEALED = (
    "NOT EXISTS (SELECT 1 FROM audit_heads h WHERE h.incident_id = {0} AND NOT EXISTS "
    "(SELECT 1 FROM audit_seals s WHERE s.incident_id = h.incident_id AND s.kind = 'removed' AND "
    "s.links >= h.links))"
)
_CHAINED = ("incident_events", "execution_history")
# Tables that belong to an incident, with their keys.
_CHILDREN: Tuple[Tuple[str, str], ...] = (
    ("alerts", "fingerprint, starts_at"),
    ("incident_events", "id"),
    ("undo_log", "id"),
    ("execution_history", "id"),
    ("approvals", "id"),
    ("escalation_letters", "escalation_id, channel, number"),
    ("escalation_members", "escalation_id, incident_id, opening"),
    ("escalations", "id"),
    ("outbox", "id"),
    ("diagnoses", "id"),
    ("silences", "id"),
    ("tickets", "id"),
)
# What belongs to no incident: table, key, condition with one ? for the time before which it is old.
_LOOSE: Tuple[Tuple[str, str, str], ...] = (
    ("rejected_signals", "id", "at < ?"),
    ("outbox", "id", "incident_id IS NULL AND created_at < ?"),
    ("diagnoses", "id", "incident_id IS NULL AND at < ?"),
    ("silences", "id", "incident_id IS NULL AND ends_at < ?"),
    ("budgets", "name, execution_id", "at < ?"),
    ("breaker_changes", "id", "at < ?"),
    ("circuit_breakers", "key", "updated_at < ? AND state = 'closed'"),
    ("pauses", "scope", "until < ?"),
    ("pause_changes", "id", "at < ?"),
    ("statistics", "at", "at < ?"),
    ("kubernetes_restarts", "target, pod_uid, container, restarts", "seen_at < ?"),
    ("error_intake", "origin, minute", "minute < CAST(? / 60 AS BIGINT)"),
)
_OF_OPEN_INCIDENTS = "SELECT group_key FROM error_groups WHERE incident_id IN (%s)" % _OPEN
# Errors, in this order: a group goes after its documents, a pattern after its groups. A pattern
# that a person merged, or that a remedy was tried on, stays.
_ERRORS: Tuple[Tuple[str, str, str], ...] = (
    ("error_logs", "document_id", "logged_at < ? AND group_key NOT IN (%s)" % _OF_OPEN_INCIDENTS),
    (
        "error_groups",
        "group_key",
        "last_logged_at < ? AND alerting_since IS NULL AND pending_from IS NULL AND "
        "(incident_id IS NULL OR incident_id NOT IN (%s)) AND NOT EXISTS "
        "(SELECT 1 FROM error_logs l WHERE l.group_key = error_groups.group_key)" % _OPEN,
    ),
    (
        "error_patterns",
        "fingerprint",
        "last_seen_at < ? AND merged_into IS NULL AND " +
        " AND ".join(
            "NOT EXISTS (SELECT 1 FROM %s r WHERE r.%s = error_patterns.fingerprint)" % pair
            for pair in (
                ("error_groups", "fingerprint"),
                ("error_patterns", "merged_into"),
                ("solutions", "fingerprint"),
            )
        ),
    ),
)
# Minutes are kept for rates and for looks that reach back, which is hours; of a group that the
# threshold has still to be asked of they stay.
COUNTS_KEPT_S = 2 * DAY_S
_PENDING = "SELECT group_key FROM error_groups WHERE pending_from IS NOT NULL"
_MINUTES: Tuple[Tuple[str, str, str], ...] = (
    (
        "error_counts",
        "group_key, minute",
        "minute < CAST(? / 60 AS BIGINT) AND group_key NOT IN (%s)" % _PENDING,
    ),
    # By when it was counted: what an outage left uncounted for days is counted, and looked at
    # again, much later.
    (
        "storm_minutes",
        "origin, minute, bucket",
        "minute < CAST(? / 60 AS BIGINT) AND updated_at < ?",
    ),
)
_MORE_ERRORS = 4, 6  # so many times larger batches, and more of them: half a million rows an hour


def sweep(store: Store, days: float, batch: int = BATCH, batches: int = BATCHES) -> Dict[str, int]:
    """Delete what is older than `days`, at most `batches` times `batch` rows per table.

    Returns how many rows went, by table, only those where any did. Raises ConfigError when `days`
    is less than one.
    """
    if not days >= 1:
        raise ConfigError(
            "database.retention_days must be at least 1, not %s; nothing was deleted" % days
        )
    before = store.now() - days * DAY_S
    gone: Dict[str, int] = {}
    is_complete = True
    for _ in range(batches):
        if seals.seal_removals(store, _CLOSED, (before, before), batch) < batch:
            break
    for table, key in _CHILDREN:
        condition = "incident_id IN (%s)" % _CLOSED
        if table in _CHAINED:
            condition += " AND " + _SEALED.format(table + ".incident_id")
        count = _delete(store, table, key, condition, (before, before), batch, batches)
        is_complete = is_complete and count < batch * batches
        gone[table] = gone.get(table, 0) + count
    if is_complete:  # else the rest of the children would lose their parent
        gone["incidents"] = _delete_childless(store, before, batch, batches)
    for table, key, condition in _LOOSE:
        count = _delete(store, table, key, condition, (before,), batch, batches)
        gone[table] = gone.get(table, 0) + count
    larger, more = batch * _MORE_ERRORS[0], batches * _MORE_ERRORS[1]
    counts_before = max(before, store.now() - COUNTS_KEPT_S)
    for rules, old in ((_ERRORS, before), (_MINUTES, counts_before)):
        for table, key, condition in rules:
            olds = (old,) * condition.count("?")
            gone[table] = _delete(store, table, key, condition, olds, larger, more, "errors")
    gone["audit_seals"] = seals.drop_old(store, before, batch, batches)
    return {table: count for table, count in gone.items() if count}


def _delete_childless(store: Store, before: float, batch: int, batches: int) -> int:
    """Only incidents without children: one that got a child since its children went waits for the
    next sweep.
    """
    childless = " AND ".join(
        "NOT EXISTS (SELECT 1 FROM %s c WHERE c.incident_id = incidents.id)" % table
        for table in (
            "alerts", "incident_events", "undo_log", "execution_history", "approvals", "diagnoses",
        )
    )
    old = "status = 'resolved' AND updated_at < ? AND resolved_at < ? AND %s" % childless
    heads = (
        "DELETE FROM audit_heads WHERE incident_id IN (SELECT id FROM incidents WHERE %s AND %s "
        "LIMIT ?)" % (old, _SEALED.format("incidents.id"))
    )
    headless = "NOT EXISTS (SELECT 1 FROM audit_heads h WHERE h.incident_id = incidents.id)"
    gone = 0
    for _ in range(batches):
        with store.transaction("incidents"):
            store.execute(heads, (before, before, batch))
            count = _delete(
                store,
                "incidents",
                "id",
                "%s AND %s" % (old, headless),
                (before, before),
                batch,
                batches=1,
            )
        gone += count
        if count < batch:
            break
    return gone


def _delete(
    store: Store,
    table: str,
    key: str,
    condition: str,
    parameters: Tuple[float, ...],
    batch: int,
    batches: int,
    purpose: str = "incidents",  # never under the hands of who attaches an alert
) -> int:
    gone = 0
    for _ in range(batches):
        with store.transaction(purpose):
            count = store.execute(
                "DELETE FROM %s WHERE (%s) IN (SELECT %s FROM %s WHERE %s LIMIT ?)"
                % (table, key, key, table, condition),
                (*parameters, batch),
            )
        gone += count
        if count < batch:
            break
    return gone

"""Retention of errors: what is old goes, from the documents up to their patterns; what something
still refers to stays.
"""

from __future__ import annotations

import pytest

from selfheal.store import open_store, retention
from tests import scene

DAY = 86400.0
TABLES = ("error_logs", "error_groups", "error_patterns", "error_counts", "storm_minutes")


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path):
    return open_store(scene.store_url(request.param, tmp_path), now=scene.Clock().now)


def errors(store, name, age_days, documents=3, **group):
    """A pattern with one group, its documents and minutes, last logged `age_days` ago."""
    at = scene.START - age_days * DAY
    for number in range(documents):
        store.insert(
            "error_logs",
            {
                "document_id": "%s/%d" % (name, number),
                "origin": "elk:default",
                "group_key": "g1:" + name,
                "fingerprint": "v1:" + name,
                "logged_at": at,
                "seen_at": at,
                "error_type": "application",
                "severity": "error",
                "host": "",
                "program": "",
                "message": "m",
                "detail": "{}",
            },
        )
    store.insert(
        "error_groups",
        {
            "group_key": "g1:" + name,
            "fingerprint": "v1:" + name,
            "scope": "",
            "origin": "elk:default",
            "error_type": "application",
            "severity": "error",
            "occurrences": documents,
            "first_logged_at": at,
            "last_logged_at": at,
            "alerts": 0,
            "notes": 0,
            "updated_at": at,
            **group,
        },
    )
    pattern(store, name, at)
    minute = int(at // 60)
    store.insert(
        "error_counts", {"group_key": "g1:" + name, "minute": minute, "stored": 3, "counted": 0}
    )
    store.insert(
        "storm_minutes",
        {
            "origin": "elk:" + name,
            "minute": minute,
            "bucket": "",
            "documents": 3,
            "updated_at": at,
        },
    )


def pattern(store, name, at, merged_into=None):
    store.insert(
        "error_patterns",
        {
            "fingerprint": "v1:" + name,
            "template": "t",
            "sample": "s",
            "error_type": "application",
            "severity": "error",
            "rule": "r",
            "merged_into": merged_into,
            "occurrences": 3,
            "first_seen_at": at,
            "last_seen_at": at,
        },
    )


def left(store, table, column):
    rows = store.query("SELECT DISTINCT %s AS name FROM %s" % (column, table))
    return {row["name"].partition(":")[2].partition("/")[0] for row in rows}


def patterns(store):
    return left(store, "error_patterns", "fingerprint")


def test_old_errors_go_with_their_groups_and_patterns(store):
    errors(store, "old", 91)
    errors(store, "young", 1)
    assert retention.sweep(store, 90) == {
        "error_logs": 3,
        "error_groups": 1,
        "error_patterns": 1,
        "error_counts": 1,
        "storm_minutes": 1,
    }
    assert store.value("SELECT COUNT(*) FROM error_logs") == 3
    for table in TABLES:
        assert store.value("SELECT COUNT(*) FROM %s" % table) == (3 if table == TABLES[0] else 1)
    assert patterns(store) == {"young"}
    assert retention.sweep(store, 90) == {}


def test_errors_of_an_open_incident_stay_and_those_of_a_closed_one_go(store):
    scene.incident(store, "open", status="escalated", updated_at=0.0)
    scene.incident(store, "closed", status="resolved", resolved_at=scene.START)
    errors(store, "kept", 91, incident_id="open")
    errors(store, "free", 91, incident_id="closed")
    retention.sweep(store, 90)
    for table, column in (("error_logs", "document_id"), ("error_groups", "group_key")):
        assert store.value("SELECT COUNT(DISTINCT %s) FROM %s" % ("group_key", table)) == 1, column
    assert left(store, "error_groups", "group_key") == {"kept"} == patterns(store)


@pytest.mark.parametrize("reason", [{"alerting_since": "x"}, {"pending_from": 0.0}])
def test_group_that_alerts_or_is_still_to_be_looked_at_stays(store, reason):
    errors(store, "busy", 91, documents=0, **reason)
    retention.sweep(store, 90)
    assert left(store, "error_groups", "group_key") == {"busy"} == patterns(store)


def test_minutes_go_after_two_days_but_not_those_still_to_be_looked_at(store):
    errors(store, "three", 3)
    errors(store, "one", 1)
    errors(store, "waiting", 3, pending_from=0.0)
    assert retention.sweep(store, 90) == {"error_counts": 1, "storm_minutes": 2}
    assert left(store, "error_counts", "group_key") == {"one", "waiting"}
    assert left(store, "storm_minutes", "origin") == {"one"}


def test_storm_of_long_ago_that_was_counted_just_now_stays_counted(store):
    errors(store, "outage", 5)
    store.execute("UPDATE storm_minutes SET updated_at = ?", (scene.START - 3600,))
    retention.sweep(store, 90)
    assert store.value("SELECT COUNT(*) FROM storm_minutes") == 1


def test_short_retention_shortens_minutes_as_well(store):
    errors(store, "old", 1.5)
    assert set(retention.sweep(store, 1)) == set(TABLES)


def test_pattern_that_something_refers_to_stays(store):
    long_ago = scene.START - 400 * DAY
    pattern(store, "target", long_ago)
    pattern(store, "merged", long_ago, merged_into="v1:target")
    pattern(store, "solved", long_ago)
    pattern(store, "forgotten", long_ago)
    store.insert(
        "solutions",
        {
            "id": "sol-1",
            "fingerprint": "v1:solved",
            "scope": "s",
            "source": "runbook:x",
            "plan": "{}",
            "status": "active",
            "successes": 1,
            "failures": 0,
            "created_at": long_ago,
        },
    )
    assert retention.sweep(store, 90) == {"error_patterns": 1}
    assert patterns(store) == {"target", "merged", "solved"}


def test_pattern_outlives_the_documents_until_its_last_group_is_gone(store):
    errors(store, "old", 91, documents=30)
    retention.sweep(store, 90, batch=1, batches=1)  # 24 documents, by the larger batches
    assert patterns(store) == {"old"} and store.value("SELECT COUNT(*) FROM error_logs") == 6
    retention.sweep(store, 90, batch=1, batches=1)
    assert patterns(store) == set() == left(store, "error_logs", "document_id")

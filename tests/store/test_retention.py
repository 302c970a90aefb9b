"""Retention: what is old and closed goes, with all that belongs to it; nothing else does."""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import ConfigError
from selfheal.incidents import timeline
from selfheal.outbox import letters
from selfheal.store import open_store, retention
from tests import scene

DAY = 86400.0
CHILDREN = ("alerts", "incident_events", "undo_log", "execution_history", "approvals", "outbox")


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path):
    return open_store(scene.store_url(request.param, tmp_path), now=scene.Clock().now)


def family(store, name, age_days, status="resolved", events=3):
    """An incident with one row of every kind of child, last changed `age_days` ago."""
    at = scene.START - age_days * DAY
    scene.incident(
        store,
        name,
        status=status,
        opened_at=at - DAY,
        updated_at=at,
        resolved_at=at if status == "resolved" else None,
    )
    for number in range(events):
        timeline.record(store, name, "note", str(number))
    scene.execution(store, "exe-" + name, name)
    scene.approval(store, "apr-" + name, name)
    letters.post(store, "escalation", name, "key-" + name, {})
    store.insert(
        "alerts",
        {
            "fingerprint": name,
            "starts_at": "x",
            "incident_id": name,
            "status": "resolved",
            "severity": "info",
            "source": "s",
            "labels": "{}",
            "annotations": "{}",
            "generator_url": "",
            "first_seen_at": at,
            "last_seen_at": at,
        },
    )
    store.insert(
        "undo_log",
        {
            "id": "und-" + name,
            "incident_id": name,
            "execution_id": "x",
            "step": "x",
            "action": "{}",
            "status": "undone",
            "created_at": at,
            "updated_at": at,
        },
    )


def owners(store, table):
    column = "id" if table == "incidents" else "incident_id"
    return {
        row["owner"] for row in store.query("SELECT DISTINCT %s AS owner FROM %s" % (column, table))
    }


def test_old_closed_incidents_go_with_their_children(store):
    family(store, "old", 91)
    family(store, "young", 89)
    family(store, "open", 500, status="escalated")
    gone = retention.sweep(store, 90)
    assert gone == {
        "incidents": 1,
        "incident_events": 3,
        **{t: 1 for t in CHILDREN if t != "incident_events"},
    }
    for table in ("incidents", *CHILDREN):
        assert owners(store, table) == {"young", "open"}
    assert retention.sweep(store, 90) == {}


def test_reopened_incident_stays_though_it_was_once_closed_long_ago(store):
    family(store, "back", 91)
    store.execute("UPDATE incidents SET status = 'open'")
    assert retention.sweep(store, 90) == {}
    for table in ("incidents", *CHILDREN):
        assert owners(store, table) == {"back"}


def test_records_without_an_incident_go_by_their_own_age(store):
    for name, age in (("old", 91), ("young", 89)):
        at = scene.START - age * DAY
        store.insert(
            "rejected_signals", {"id": name, "at": at, "source": "s", "reason": "r", "sample": ""}
        )
        store.insert("budgets", {"name": name, "execution_id": name, "at": at})
        store.insert("statistics", {"at": at, "figures": "{}"})
        store.insert(
            "error_intake",
            {
                "origin": "elk",
                "minute": int(at // 60),
                "documents": age,
                "unreadable": 0,
                "new_patterns": 0,
            },
        )
    assert retention.sweep(store, 90) == {
        "rejected_signals": 1,
        "budgets": 1,
        "statistics": 1,
        "error_intake": 1,
    }
    assert store.value("SELECT id FROM rejected_signals") == "young"
    assert store.value("SELECT at FROM statistics") == scene.START - 89 * DAY
    assert store.value("SELECT documents FROM error_intake") == 89


def test_sweep_that_is_cut_short_keeps_the_parents_and_goes_on(store):
    family(store, "old", 91, events=25)
    for left in (15, 5, 0):
        retention.sweep(store, 90, batch=5, batches=2)
        assert store.value("SELECT COUNT(*) FROM incident_events") == left
        assert store.value("SELECT COUNT(*) FROM incidents") == (0 if left == 0 else 1)


@pytest.mark.parametrize("days", [0, -1, 0.5, float("nan")])
def test_senseless_retention_deletes_nothing(store, days):
    family(store, "old", 91)
    with pytest.raises(ConfigError, match="database.retention_days"):
        retention.sweep(store, days)
    assert owners(store, "incidents") == {"old"}


def test_sweep_waits_for_who_attaches_an_alert(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    now = scene.Clock().now
    attaching, sweeping = open_store(url, now=now), open_store(url, now=now)
    family(attaching, "old", 100)
    sweeper = threading.Thread(target=retention.sweep, args=(sweeping, 90))
    with attaching.transaction("incidents"):
        sweeper.start()
        sweeper.join(1)
        is_waiting = sweeper.is_alive()
        count = attaching.value("SELECT COUNT(*) FROM alerts")
    sweeper.join(180)
    assert (is_waiting, count) == (True, 1)
    assert attaching.value("SELECT COUNT(*) FROM alerts") == 0


def test_silences_go_with_their_incident_and_without_one_by_their_end(store):
    for name, incident_id, ends_at in (("a", "inc-1", 0.0), ("b", None, 0.0), ("c", None, 1e10)):
        store.insert("silences", {
            "id": name, "incident_id": incident_id, "target": "default", "matchers": "x",
            "purpose": "hand", "status": "ended", "created_by": "", "comment": "",
            "created_at": 0.0, "ends_at": ends_at, "updated_at": 0.0,
        })
    family(store, "inc-1", 100)
    retention.sweep(store, 90)
    assert owners(store, "silences") == {None} and store.value("SELECT id FROM silences") == "c"

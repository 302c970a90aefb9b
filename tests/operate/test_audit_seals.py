"""Seals and retention: what was deleted by age is accounted for, and nothing else is."""

from __future__ import annotations

import pytest

from selfheal.incidents import evidence, timeline
from selfheal.operate import audit
from selfheal.operate.housekeeping import housekeeping
from selfheal.remedy import journal
from selfheal.store import retention, seals
from tests import audit_scene, scene

DAY = 86400.0


@pytest.fixture
def ctx(url):
    return scene.context(url)


def closed(store, name, age_days, events=5):
    """A closed incident with a chain and an execution."""
    at = store.now() - age_days * DAY
    scene.incident(store, name, status="resolved", updated_at=at, resolved_at=at)
    for number in range(events):
        timeline.record(store, name, "note", str(number))
    journal.begin(store, name, "run-1", audit_scene.PLAN, journal.PLANNED, outcome={})


def count(store, table):
    return store.value("SELECT COUNT(*) FROM %s" % table)


def test_housekeeping_seals_and_says_the_last_seal(ctx):
    audit_scene.fill(ctx.store)
    done = housekeeping(ctx)
    assert done["problems"] == []
    assert done["parts"]["audit"] == dict(
        zip(("sealed", "seq", "hash"), (1, *seals.tip(ctx.store)))
    )
    assert housekeeping(ctx)["parts"]["audit"]["sealed"] == 0


def test_sealing_is_bounded_per_turn_and_goes_on(ctx):
    for number in range(7):
        timeline.record(ctx.store, "inc-%d" % number, "note", "x")
    assert [seals.seal_changed(ctx.store, 2, 2)["sealed"] for _ in range(3)] == [4, 3, 0]
    assert count(ctx.store, "audit_seals") == 7
    assert evidence.examine_all(ctx.store).is_ok


def test_what_retention_deletes_leaves_a_seal_and_no_finding(ctx):
    closed(ctx.store, "old", 100)
    closed(ctx.store, "young", 10)
    seals.seal_changed(ctx.store)
    retention.sweep(ctx.store, 90)
    assert count(ctx.store, "incidents") == count(ctx.store, "audit_heads") == 1
    assert [row["kind"] for row in ctx.store.query("SELECT * FROM audit_seals ORDER BY seq")] == [
        "head",
        "head",
        "removed",
    ]
    report = evidence.examine_all(ctx.store)
    assert report.is_ok, report.broken


def test_same_deletion_by_a_hand_is_found(ctx):
    closed(ctx.store, "old", 100)
    seals.seal_changed(ctx.store)
    for table in ("incident_events", "execution_history", "audit_heads"):
        ctx.store.execute("DELETE FROM %s WHERE incident_id = 'old'" % table)
    assert not evidence.examine_all(ctx.store).is_ok


def test_sweep_that_is_cut_short_is_no_finding_at_any_point(ctx):
    closed(ctx.store, "old", 100, events=24)
    seals.seal_changed(ctx.store)
    counts = []
    for _ in range(5):
        retention.sweep(ctx.store, 90, batch=4, batches=2)
        counts.append(count(ctx.store, "incident_events"))
        report = evidence.examine_all(ctx.store)
        assert report.is_ok, report.broken
    assert counts == [17, 9, 1, 0, 0]
    assert count(ctx.store, "audit_heads") == count(ctx.store, "incidents") == 0


def test_event_that_comes_after_its_incident_was_given_up_stays_until_that_is_sealed(ctx):
    closed(ctx.store, "old", 100, events=9)
    retention.sweep(ctx.store, 90, batch=4, batches=1)
    timeline.record(ctx.store, "old", "note", "late")
    report = evidence.examine_all(ctx.store)
    assert report.is_ok, report.broken
    for _ in range(3):
        retention.sweep(ctx.store, 90, batch=4, batches=1)
        report = evidence.examine_all(ctx.store)
        assert report.is_ok, report.broken
    retention.sweep(ctx.store, 90)
    assert count(ctx.store, "incidents") == count(ctx.store, "incident_events") == 0


def test_old_seals_go_and_the_rest_still_proves_the_past(ctx):
    store = ctx.store
    timeline.record(store, "quiet", "note", "never again")
    timeline.record(store, "busy", "note", "0")
    kept = seals.seal_changed(store)
    for day in range(1, 6):
        ctx.clock.at += DAY
        timeline.record(store, "busy", "note", str(day))
        seals.seal_changed(store)
    assert seals.drop_old(store, ctx.clock.at - 2.5 * DAY, batch=3) == 4
    report = evidence.examine_all(store)
    assert report.is_ok, report.broken
    facts = [
        (row["kind"], row["incident_id"], row["links"])
        for row in store.query("SELECT * FROM audit_seals ORDER BY seq")
    ]
    assert ("head", "quiet", 1) in facts and facts[-1] == ("dropped", "", 4)
    assert audit.audit_verify(ctx, "all", kept["hash"], kept["seq"])["kept_seal"] == "dropped"
    store.execute("DELETE FROM incident_events WHERE incident_id = 'quiet'")
    store.execute("DELETE FROM audit_heads WHERE incident_id = 'quiet'")
    assert set(evidence.examine_all(store).broken) == {"quiet"}


def test_seals_dropped_by_a_hand_are_missed_even_the_oldest(ctx):
    for number in range(4):
        timeline.record(ctx.store, "inc-1", "note", str(number))
        seals.seal_changed(ctx.store)
    for until in (1, 2, 3, 4):
        with audit_scene.taken_back(ctx.store):
            ctx.store.execute("DELETE FROM audit_seals WHERE seq <= ?", (until,))
            assert not evidence.examine_all(ctx.store).is_ok, until


def test_last_seal_is_never_dropped_and_old_ones_go_with_the_sweep(ctx):
    for _ in range(3):
        timeline.record(ctx.store, "inc-1", "note", "x")
        seals.seal_changed(ctx.store)
    ctx.clock.at += 200 * DAY
    assert retention.sweep(ctx.store, 90) == {"audit_seals": 2}
    ctx.clock.at += 200 * DAY
    retention.sweep(ctx.store, 90)
    report = evidence.examine_all(ctx.store)
    assert report.is_ok, report.broken
    assert 1 <= count(ctx.store, "audit_seals") <= 4


def test_sealing_goes_on_behind_seals_that_were_cut_off(ctx):
    for _ in range(3):
        timeline.record(ctx.store, "inc-1", "note", "x")
        seals.seal_changed(ctx.store)
    ctx.store.execute("DELETE FROM audit_seals WHERE seq = 3")
    timeline.record(ctx.store, "inc-1", "note", "x")
    assert seals.seal_changed(ctx.store)["seq"] == 4
    assert not evidence.examine_all(ctx.store).is_ok

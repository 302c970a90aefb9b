"""Remedies stop while very many incidents come, and for a while after."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.guard import storm
from selfheal.store import status
from tests import scene
from tests.guard.permits import context, deed

RULE = {"storm_incidents": 5, "storm_minutes": 5, "storm_cooldown_minutes": 15}


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def ctx(url, clock):
    return context(url, clock, **RULE)


def open_some(ctx, many, prefix="inc", **columns):
    for number in range(many):
        scene.incident(ctx.store, "%s-%d" % (prefix, number), **columns)


def test_few_incidents_are_no_storm(ctx, clock):
    open_some(ctx, 4)
    assert storm.current(ctx) is None and storm.objection(ctx, deed()) is None
    clock.at += 300
    open_some(ctx, 1, "later")
    assert storm.current(ctx) is None, "never five within five minutes"


def test_many_are_one_until_it_has_cooled_down(ctx, clock):
    open_some(ctx, 4)
    clock.at += 299
    open_some(ctx, 1, "fifth")
    found = storm.current(ctx)
    assert (found.count, found.began_at) == (5, clock.at)
    refused = storm.objection(ctx, deed())
    assert refused.rule == "storm" and refused.data["storm_id"] == found.id
    assert "safety.storm_incidents: 5 within 5 minutes" in refused.reason
    over_until = scene.START + 300
    clock.at = over_until + 900 - 1
    assert storm.current(ctx).id == found.id
    assert storm.objection(ctx, deed()).until == over_until + 900
    clock.at = over_until + 900
    assert storm.current(ctx) is None and storm.objection(ctx, deed()) is None


def test_one_that_goes_on_keeps_its_name_and_the_next_gets_its_own(ctx, clock):
    names = []
    for round_ in range(4):
        open_some(ctx, 5, "r%d" % round_)
        names.append(storm.current(ctx).id)
        clock.at += 1000
    assert len(set(names)) == 1
    clock.at += 1000
    assert storm.current(ctx) is None
    open_some(ctx, 5, "again")
    again = storm.current(ctx)
    assert again.id != names[0] and again.began_at == clock.at


def test_one_that_nobody_looked_at_is_found_afterwards(ctx, clock):
    open_some(ctx, 5)
    clock.at += 600
    found = storm.current(ctx)
    assert found.began_at == scene.START and found.last_over_at == scene.START + 300


def test_the_next_is_told_from_the_last_though_nobody_saw_that_end(ctx, clock):
    open_some(ctx, 5)
    first = storm.current(ctx)
    clock.at += 5000
    open_some(ctx, 5, "next")
    assert storm.current(ctx).id != first.id


def test_incidents_that_come_back_count_once_each(ctx, clock):
    open_some(ctx, 4)
    for number in range(3):
        ctx.store.insert(
            "incident_events",
            {
                "id": "evt-%d" % number,
                "incident_id": "old-1",
                "at": clock.at,
                "kind": "reopened",
                "message": "back",
            },
        )
        assert (storm.current(ctx) is not None) is True
    ctx.store.execute("UPDATE incident_events SET kind = 'opened'")
    clock.at += 5000
    assert storm.current(ctx) is None
    ctx.store.execute("UPDATE incident_events SET kind = 'reopened', at = ?", (clock.at,))
    assert storm.current(ctx) is None, "one incident that flaps is no storm"


def test_zero_is_never():
    ctx = context("sqlite:///:memory:", **dict(RULE, storm_incidents=0))
    open_some(ctx, 20)
    assert storm.current(ctx) is None


def test_defaults_are_the_schemas(url):
    ctx = context(url)
    open_some(ctx, 99)
    assert storm.current(ctx) is None
    open_some(ctx, 1, "last")
    assert storm.current(ctx).count == 100


def test_what_only_reads_may_go_on(ctx):
    open_some(ctx, 5)
    assert storm.objection(ctx, deed(risk="read-only")) is None


def test_state_is_shown(ctx, clock):
    open_some(ctx, 5)
    found = storm.current(ctx)
    row = status.of(ctx.store, storm.COMPONENT)
    assert (row["status"], row["detail"]["id"]) == (status.DEGRADED, found.id)
    clock.at += 5000
    storm.current(ctx)
    row = status.of(ctx.store, storm.COMPONENT)
    assert (row["status"], row["detail"]) == (status.OK, {"ended": found.id})


def test_incidents_are_listed_worst_first_and_bounded(ctx, clock):
    scene.incident(ctx.store, "before", opened_at=clock.at - 301)
    clock.at += 1
    open_some(ctx, 40, "w", severity="warning")
    open_some(ctx, 2, "i", severity="info")
    open_some(ctx, 15, "c", severity="critical", title="\x1b[31mdown {{ x }}")
    open_some(ctx, 1, "e", severity="error")
    listed = storm.incidents_of(ctx, storm.current(ctx))
    assert (len(listed["incidents"]), listed["count"], listed["more"]) == (50, 58, 8)
    severities = [row["severity"] for row in listed["incidents"]]
    assert severities == ["critical"] * 15 + ["error"] + ["warning"] * 34
    assert set(listed["incidents"][0]) == {
        "id",
        "severity",
        "title",
        "alert_type",
        "cluster",
        "namespace",
        "opened_at",
    }


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"id": 1}', '{"id": "x", "count": "many"}'])
def test_a_record_that_is_garbage_hides_no_storm(ctx, garbage):
    open_some(ctx, 5)
    first = storm.current(ctx)
    ctx.store.execute("UPDATE checkpoints SET value = ?", (garbage,))
    found = storm.current(ctx)
    assert (found.count, found.began_at) == (first.count, first.began_at)
    assert storm.current(ctx).id == found.id


@pytest.mark.parametrize("key", sorted(RULE))
@pytest.mark.parametrize("garbage", ["nan", -1, "often"])
def test_a_setting_that_is_none_is_a_no(key, garbage):
    refused = storm.objection(context("sqlite:///:memory:", **dict(RULE, **{key: garbage})), deed())
    assert refused.rule == "storm" and "safety.%s" % key in refused.reason


def test_a_database_that_is_gone_or_full_is_a_no(ctx, tmp_path):
    ctx.store.close()
    assert storm.objection(ctx, deed()).rule == "store"
    full = context("sqlite:///%s" % (tmp_path / "full.db"), **RULE)
    open_some(full, 5)
    full.store.query("PRAGMA max_page_count = %d" % full.store.value("PRAGMA page_count"))
    with pytest.raises(Exception, match="full"):
        for number in range(10_000):
            name = {"name": "n%d" % number, "value": "x" * 100, "updated_at": 0}
            full.store.insert("checkpoints", name)
    refused = storm.objection(full, deed())
    assert refused.rule in ("store", "storm"), "unwritten or not, it is a no"


def test_a_clock_that_was_set_back_ends_no_storm(ctx, clock):
    open_some(ctx, 5)
    found = storm.current(ctx)
    clock.at -= 200
    assert storm.current(ctx).id == found.id


def test_of_many_that_look_at_once_all_see_the_same_storm(url, ctx):
    open_some(ctx, 5)
    seen = []

    def look():
        mine = context(url, **RULE)
        seen.append(storm.current(mine).id)
        mine.close()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert len(seen) == 8 and len(set(seen)) == 1


def test_a_look_reads_only_what_is_new(tmp_path):
    ctx = context(scene.store_url("sqlite", tmp_path))
    plan = ctx.store.query("EXPLAIN QUERY PLAN " + storm._COMING, (0, 1, 2, 0, 1, 2))
    used = " ".join(row["detail"] for row in plan)
    assert "incidents_by_opening (opened_at>? AND opened_at<?)" in used
    assert "incident_events_reopened (at>? AND at<?)" in used


COMING = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abcdefg")), max_size=30)


@given(COMING, st.integers(1, 5), st.integers(1, 20))
def test_overs_are_those_of_counting_each_time_anew(coming, limit, window):
    coming = sorted(((float(at), name) for at, name in coming), reverse=True)
    expected = []
    for number, (at, _) in enumerate(coming):
        for oldest in range(number, len(coming)):
            names = {name for _, name in coming[number:oldest + 1]}
            if len(names) >= limit and at - coming[oldest][0] < window:
                expected.append((at, coming[oldest][0] + window))
                break
    assert storm.overs(coming, limit, float(window)) == expected

"""Merging patterns: flat, without circles, undone at any time, and what becomes of incidents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors import patterns
from selfheal.errors.merges import error_pattern_merge
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents import registry, timeline
from tests import book_scene, scene
from tests.alert_scene import alert_states, incidents
from tests.book_scene import NOW, evaluate, judgement, pair, pairs
from tests.errors.test_watch_oracle import emptied

A, B, C = (judgement(name).fingerprint for name in "abc")


@pytest.fixture
def clock():
    return scene.Clock(NOW)


@pytest.fixture
def ctx(url, clock):
    ctx = book_scene.context(url, clock)
    book_scene.book(ctx).store([pair(name, pattern=name) for name in "abc"])
    return ctx


def store(ctx, pattern, count, first, at=0.0):
    book_scene.book(ctx).store(pairs(count, at, 0.001, first, pattern=pattern))
    return evaluate(ctx)


def map_of(ctx):
    rows = ctx.store.query("SELECT fingerprint, merged_into FROM error_patterns")
    return {row["fingerprint"]: row["merged_into"] for row in rows}


def test_errors_of_both_count_together_from_then_on(ctx):
    assert error_pattern_merge(ctx, A, B)["changed"]
    assert store(ctx, "a", 2, 10).raised == 0
    assert store(ctx, "b", 2, 20).raised == 1  # with the one of b that was there
    (incident,) = incidents(ctx.store)
    assert "b <num>" in incident["title"]


def test_fingerprints_stay_and_the_row_says_who_did_it(ctx):
    error_pattern_merge(ctx, A, B)
    assert map_of(ctx) == {A: B, B: None, C: None}
    row = patterns.error_pattern_get(ctx, A)
    assert row["merged_into"] == B and row["merged_at"] is not None
    assert [one["fingerprint"] for one in patterns.error_pattern_get(ctx, B)["merged"]] == [A]
    listed = patterns.error_pattern_list(ctx)["patterns"]
    assert sorted(one["fingerprint"] for one in listed) == sorted([B, C])
    assert {one["with_merged"] for one in listed if one["fingerprint"] == B} == {2}


def test_chain_becomes_flat_from_either_end(ctx):
    error_pattern_merge(ctx, A, B)
    done = error_pattern_merge(ctx, B, C)
    assert done["moved_along"] == [A] and map_of(ctx) == {A: C, B: C, C: None}


def test_merging_into_a_merged_pattern_means_its_target(ctx):
    error_pattern_merge(ctx, B, C)
    assert error_pattern_merge(ctx, A, B)["merged_into"] == C
    assert map_of(ctx) == {A: C, B: C, C: None}


def test_merging_twice_changes_nothing(ctx):
    error_pattern_merge(ctx, A, B)
    assert error_pattern_merge(ctx, A, B)["changed"] is False


def test_circle_and_self_and_nothing_are_refused(ctx):
    error_pattern_merge(ctx, A, B)
    with pytest.raises(InvalidInput, match="circle"):
        error_pattern_merge(ctx, B, A)
    with pytest.raises(InvalidInput, match="itself"):
        error_pattern_merge(ctx, C, C)
    with pytest.raises(InvalidInput, match="into is missing"):
        error_pattern_merge(ctx, C)
    with pytest.raises(NotFound):
        error_pattern_merge(ctx, C, "v1:00000000000000000000")
    assert map_of(ctx) == {A: B, B: None, C: None}


def test_undo_lets_errors_count_as_their_own_again(ctx):
    error_pattern_merge(ctx, A, B)
    store(ctx, "a", 3, 10)
    assert error_pattern_merge(ctx, A, undo=True)["merged_into"] is None
    assert store(ctx, "a", 3, 20).raised == 0
    assert store(ctx, "a", 1, 30).raised == 1
    assert map_of(ctx) == {A: None, B: None, C: None}
    with pytest.raises(InvalidInput, match="nothing to undo"):
        error_pattern_merge(ctx, A, undo=True)


def test_open_incident_of_the_merged_pattern_follows(ctx, clock):
    store(ctx, "a", 5, 10)
    (incident,) = incidents(ctx.store)
    done = error_pattern_merge(ctx, A, B)
    assert done["incidents_moved"] == [incident["id"]] and done["incidents_cleared"] == []
    assert timeline.entries(ctx.store, incident["id"])[-1]["kind"] == "pattern_merged"
    assert store(ctx, "b", 50, 100).raised == 0
    clock.at += 601
    assert evaluate(ctx).cleared == [incident["id"]]
    assert list(alert_states(ctx.store).values()) == ["resolved"]
    assert len(incidents(ctx.store)) == 1


def test_incident_follows_to_a_place_where_the_other_pattern_never_was(ctx, clock):
    book_scene.book(ctx).store(pairs(5, first=10, pattern="a", host="node-9"))
    (incident_id,) = evaluate(ctx).incidents
    assert error_pattern_merge(ctx, A, B)["incidents_moved"] == [incident_id]
    book_scene.book(ctx).store(pairs(5, 1, first=20, pattern="a", host="node-9"))
    assert evaluate(ctx).raised == 0
    clock.at += 650
    assert evaluate(ctx).cleared == [incident_id]


def test_where_both_have_an_incident_one_ends_and_the_other_goes_on(ctx):
    store(ctx, "a", 5, 10)
    store(ctx, "b", 5, 20)
    of_a, of_b = [row["id"] for row in sorted(incidents(ctx.store), key=lambda row: row["title"])]
    done = error_pattern_merge(ctx, A, B)
    assert (done["incidents_moved"], done["incidents_cleared"]) == ([], [of_a])
    assert registry.get(ctx.store, of_a).is_cleared
    assert not registry.get(ctx.store, of_b).is_cleared
    assert store(ctx, "a", 50, 100).raised == 0


def test_closed_incident_of_the_merged_pattern_stays_as_it_is(ctx):
    store(ctx, "a", 5, 10)
    (incident,) = incidents(ctx.store)
    registry.resolve(ctx.store, incident["id"], "manual", "closed")
    done = error_pattern_merge(ctx, A, B)
    assert (done["incidents_moved"], done["incidents_cleared"]) == ([], [])
    assert incidents(ctx.store)[0]["status"] == "resolved"
    assert store(ctx, "a", 4, 50, at=1).incidents != [] and len(incidents(ctx.store)) == 2


@settings(max_examples=40)
@given(steps=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.booleans()),
                      max_size=12))
@pytest.mark.parametrize("kind", scene.BOTH)
def test_map_is_flat_whatever_is_merged(kind, tmp_path_factory, steps):
    ctx = emptied(kind, tmp_path_factory)
    book_scene.book(ctx).store([pair(name, pattern=name) for name in "abcd"])
    for one, other, undo in steps:
        try:
            error_pattern_merge(
                ctx, judgement(one).fingerprint, judgement(other).fingerprint, undo
            )
        except InvalidInput:
            pass
        targets = map_of(ctx)
        assert all(targets[into] is None for into in targets.values() if into)
    ctx.close()

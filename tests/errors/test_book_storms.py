"""Minutes that were counted by aggregation: the total is always true, whatever was stored
before.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors.book import ErrorBook
from selfheal.errors.storms import apportion
from tests import book_scene
from tests.book_scene import NOW, pair, pairs
from tests.errors.test_book import emptied
from tests.scene import BOTH

MINUTE = int(NOW // 60)
START = MINUTE * 60 - NOW  # of that minute, in seconds from NOW


@pytest.fixture
def ctx(url):
    return book_scene.context(url)


@pytest.fixture
def book(ctx):
    return book_scene.book(ctx)


def bucket(name, documents, *patterns):
    """A bucket whose documents are equally many of each pattern (the first has the rest)."""
    counts = apportion(documents, [1] * len(patterns))
    shares = [
        (*pair("%s-%s" % (name, pattern), START + 1, pattern), count)
        for pattern, count in zip(patterns, counts)
    ]
    return name, documents, shares


def total(ctx):
    row = ctx.store.one("SELECT SUM(stored) AS stored, SUM(counted) AS counted FROM error_counts")
    return int(row["stored"] or 0), int(row["counted"] or 0)


def occurrences(ctx):
    """{first word of the template: occurrences} by the groups."""
    rows = ctx.store.query(
        "SELECT p.template, SUM(g.occurrences) AS many FROM error_groups g "
        "JOIN error_patterns p ON p.fingerprint = g.fingerprint GROUP BY p.template"
    )
    return {row["template"].split()[0]: int(row["many"]) for row in rows}


def test_buckets_are_counted_in_their_groups(ctx, book):
    added = book.count_storm("logs", MINUTE, [bucket("a", 100, "x", "y"), bucket("b", 7, "y")])
    assert added == 107 and total(ctx) == (0, 107)
    assert occurrences(ctx) == {"x": 50, "y": 57}
    assert ctx.store.query("SELECT * FROM error_logs") == []
    assert ctx.store.value("SELECT SUM(documents) FROM error_intake") == 107


def test_minute_counted_again_adds_the_difference(ctx, book):
    book.count_storm("logs", MINUTE, [bucket("a", 100, "x")])
    assert book.count_storm("logs", MINUTE, [bucket("a", 100, "x")]) == 0
    assert book.count_storm("logs", MINUTE, [bucket("a", 130, "x")]) == 30
    assert book.count_storm("logs", MINUTE, [bucket("a", 120, "x")]) == 0  # an older look, late
    assert total(ctx) == (0, 130)
    assert book.count_storm("other", MINUTE, [bucket("a", 5, "x")]) == 5


def test_buckets_that_shift_between_two_looks_do_not_change_the_total(ctx, book):
    book.count_storm("logs", MINUTE, [bucket("a", 60, "x"), bucket("rest", 40, "y")])
    moved = [bucket("a", 60, "x"), bucket("b", 40, "z"), bucket("rest", 10, "y")]
    assert book.count_storm("logs", MINUTE, moved) == 10
    assert total(ctx) == (0, 110)
    assert book.count_storm("logs", MINUTE, moved) == 0


def test_documents_stored_before_are_taken_off_their_own_group_first(ctx, book):
    book.store(pairs(6, START + 1, pattern="x"))
    book.store([pair(99, START + 70, pattern="x")])  # of the next minute
    added = book.count_storm("logs", MINUTE, [bucket("a", 20, "y"), bucket("b", 10, "x")])
    assert added == 24 and total(ctx) == (7, 24)
    assert occurrences(ctx) == {"x": 6 + 1 + 4, "y": 20}


def test_stored_documents_of_unsampled_groups_are_taken_off_the_largest(ctx, book):
    book.store(pairs(6, START + 1, pattern="rare"))
    added = book.count_storm("logs", MINUTE, [bucket("a", 20, "y"), bucket("b", 10, "x")])
    assert added == 24 and occurrences(ctx) == {"rare": 6, "y": 14, "x": 10}


def test_document_of_a_counted_minute_is_not_stored_as_well(ctx, book):
    book.count_storm("logs", MINUTE, [bucket("a", 10, "x")])
    stored = book.store([
        pair(1, START + 30), pair(2, START + 60), pair(3, START + 30, origin="other")
    ])
    assert (stored.new, stored.in_storm) == (2, 1)
    assert book.store([pair(1, START + 30)]) == (0, 0, 1, [], [])
    assert total(ctx) == (2, 10)


def test_minute_without_a_sample_waits_for_one(ctx, book):
    assert book.count_storm("logs", MINUTE, [("a", 10, [])]) == 0
    assert book.count_storm("logs", MINUTE, [("a", 10, []), bucket("b", 2, "x")]) == 12
    assert total(ctx) == (0, 12)


def test_hostile_bucket_name_is_stored(ctx, book):
    name = "\x00\ud800" + "x" * 5000
    assert book.count_storm("logs", MINUTE, [bucket(name, 3, "x")]) == 3
    assert book.count_storm("logs", MINUTE, [bucket(name, 3, "x")]) == 0


@settings(max_examples=60)
@given(
    stored=st.lists(st.tuples(st.integers(0, 30), st.sampled_from("xyz"), st.integers(0, 90))),
    looks=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40),
                                      st.sampled_from("xyz")), max_size=4), max_size=5),
    place=st.integers(0, 5),
)
@pytest.mark.parametrize("kind", BOTH)
def test_total_is_that_of_the_largest_look(kind, tmp_path_factory, stored, looks, place):
    """Documents of the minute that were stored are part of what each look counts."""
    store = emptied(kind, tmp_path_factory)
    book = ErrorBook(store, book_scene.SCOPE_BY)
    found = {number: pair(number, START + at % 60, name) for number, name, at in stored}
    looks = [[bucket(*one) for one in look] for look in looks]
    for number, look in enumerate(looks):
        if number == place:
            book.store(list(found.values()))
        book.count_storm("logs", MINUTE, look)
    if place >= len(looks):
        book.store(list(found.values()))
    counted = [sum(one[1] for one in look) for look in looks]
    in_logs = 0 if any(counted[:place]) else len(found)
    rows = store.one("SELECT SUM(stored) AS stored, SUM(counted) AS counted FROM error_counts")
    stored_sum, counted_sum = int(rows["stored"] or 0), int(rows["counted"] or 0)
    assert stored_sum == in_logs == store.value("SELECT COUNT(*) FROM error_logs")
    assert stored_sum + counted_sum == max([in_logs, *counted])
    assert store.value("SELECT COUNT(*) FROM error_counts WHERE counted < 0") == 0
    whole = store.one("SELECT SUM(occurrences) AS groups FROM error_groups")["groups"]
    assert int(whole or 0) == stored_sum + counted_sum
    patterns = store.one("SELECT SUM(occurrences) AS many FROM error_patterns")["many"]
    assert int(patterns or 0) == stored_sum + counted_sum


@given(total=st.integers(0, 10_000), weights=st.lists(st.integers(0, 100), min_size=1))
def test_shares_add_up_and_differ_from_proportion_by_less_than_one(total, weights):
    if not any(weights):
        weights = [1]
    parts = apportion(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights):
        assert abs(part - total * weight / sum(weights)) < 1

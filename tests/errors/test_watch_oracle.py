"""The threshold against a reader of everything, however documents come and whoever polls."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors import watch
from selfheal.errors.book import ErrorBook
from selfheal.errors.signals import time_of
from selfheal.errors.windows import OF_GROUP, first_window, span
from selfheal.store import open_store
from tests import alert_scene, book_scene, scene
from tests.book_scene import NOW, pair
from tests.examples import examples

TABLES = ("error_logs", "error_patterns", "error_groups", "error_counts", "storm_minutes",
          "error_intake", "incidents", "alerts", "incident_events")
NEVER = NOW - 10**7  # looked until then: nothing is quiet
_urls = {}


def emptied(kind, tmp_path_factory, **monitoring):
    if kind not in _urls:
        _urls[kind] = scene.store_url(kind, tmp_path_factory.mktemp("db"))
    clock = scene.Clock(NOW + 3600)
    ctx = alert_scene.context(_urls[kind], clock, monitoring=monitoring)
    for table in TABLES:
        ctx.store.execute("DELETE FROM %s" % table)
    return ctx


def expected(pairs, threshold, window_s):
    """{(pattern, host): start of the earliest window that holds the threshold}, by definition."""
    times = defaultdict(list)
    for document, judged in pairs:
        times[judged.fingerprint, document.host].append(document.logged_at)
    found = {}
    for place, at in times.items():
        at.sort()
        starts = [
            at[i - threshold + 1] for i in range(threshold - 1, len(at))
            if at[i] - at[i - threshold + 1] < window_s
        ]
        if starts:
            found[place] = min(starts)
    return found


def outcome(store):
    """{(pattern, host): start of the signal that fires}; each group has one incident."""
    rows = store.query("SELECT * FROM error_groups WHERE alerting_since IS NOT NULL")
    incidents = store.query("SELECT id, group_key FROM incidents")
    assert sorted(row["incident_id"] for row in rows) == sorted(row["id"] for row in incidents)
    assert len({row["group_key"] for row in incidents}) == len(rows)
    assert store.value("SELECT COUNT(*) FROM alerts") == len(rows)
    assert store.value("SELECT COUNT(*) FROM error_groups WHERE pending_from IS NOT NULL") == 0
    return {(row["fingerprint"], row["host"]): row["alerting_since"] for row in rows}


SECONDS = st.one_of(
    st.integers(0, 1200).map(float),
    st.sampled_from([0.0, 59.999, 60.0, 119.999, 120.0, 299.999, 300.0]),
    st.floats(0, 1200, allow_nan=False),
)
LOGS = st.lists(
    st.tuples(SECONDS, st.sampled_from("ab"), st.sampled_from("hi")), min_size=1, max_size=60
)


def documents_of(log):
    return [pair(n, at, name, host=host) for n, (at, name, host) in enumerate(log)]


@settings(max_examples=examples(30))
@given(log=LOGS, threshold=st.integers(1, 8), minutes=st.integers(1, 5))
@pytest.mark.parametrize("kind", scene.BOTH)
def test_incidents_are_exactly_the_groups_over_the_threshold(
    kind, tmp_path_factory, log, threshold, minutes
):
    ctx = emptied(kind, tmp_path_factory, error_threshold=threshold, window_minutes=minutes)
    pairs = documents_of(log)
    book_scene.book(ctx).store(pairs)
    done = watch.evaluate(ctx, book_scene.ORIGIN, NEVER)
    truth = {place: time_of(at) for place, at in expected(pairs, threshold, minutes * 60).items()}
    assert outcome(ctx.store) == truth and done.raised == len(truth)
    ctx.close()


@settings(max_examples=examples(30))
@given(data=st.data(), log=LOGS, threshold=st.integers(2, 6), minutes=st.integers(1, 5))
@pytest.mark.parametrize("kind", scene.BOTH)
def test_any_batches_in_any_order_by_two_sensors_open_the_same_incidents(
    kind, tmp_path_factory, data, log, threshold, minutes
):
    ctx = emptied(kind, tmp_path_factory, error_threshold=threshold, window_minutes=minutes)
    books = [ErrorBook(ctx.store, book_scene.SCOPE_BY) for _ in range(2)]
    pairs = documents_of(log)
    order = data.draw(st.permutations(pairs + pairs[::3]))
    while order:
        size = data.draw(st.integers(1, len(order)))
        books[size % 2].store(order[:size])
        order = order[size:]
        if data.draw(st.booleans()) or not order:
            watch.evaluate(ctx, book_scene.ORIGIN, NEVER)
    assert set(outcome(ctx.store)) == set(expected(pairs, threshold, minutes * 60))
    ctx.close()


@given(
    points=st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 9)), max_size=40).map(sorted),
    threshold=st.integers(1, 30),
    window_s=st.floats(1, 500),
)
def test_first_window_is_the_earliest_to_be_full(points, threshold, window_s):
    single = [at for at, count in points for _ in range(count)]
    full = [
        single[i - threshold + 1] for i in range(threshold - 1, len(single))
        if single[i] - single[i - threshold + 1] < window_s
    ]
    found = first_window(iter(points), threshold, window_s)
    if not full:
        assert found is None
        return
    # It may begin earlier than the last `threshold` errors do: more than enough came together.
    inside = [at for at in single if 0 <= at - found < window_s]
    assert found <= full[0] and len(inside) >= threshold


def test_points_are_read_no_further_than_the_first_full_window():
    def points():
        for at in range(10):
            yield float(at), 1
        raise AssertionError("read on")

    assert first_window(points(), 5, 100.0) == 0.0


@pytest.mark.parametrize("same", [1, 40, 260])
def test_reading_in_parts_loses_no_document(url, same):
    """Documents of one time across the border of two reads; windows only at the very end."""
    ctx = book_scene.context(url, scene.Clock(NOW + 10**6), error_threshold=261)
    pairs = [pair(n, 400.0 * (n // same)) for n in range(same * 7)]
    pairs += [pair("last-%d" % n, 400.0 * 7 + n * 0.01) for n in range(261)]
    book_scene.book(ctx).store(pairs)
    watch.evaluate(ctx, book_scene.ORIGIN, NEVER)
    assert list(outcome(ctx.store).values()) == [time_of(NOW + 2800.0)]


def test_sensors_in_threads_end_in_the_same_incidents(url):
    chance = random.Random(7)
    pairs = [pair(n, chance.random() * 3500, "p%d" % (n % 23), host="h%d" % (n % 2))
             for n in range(900)]
    truth = set(expected(pairs, 5, 300))
    failures, opened = [], Counter()

    def sensor(size, step):
        try:
            ctx = book_scene.context(url, scene.Clock(NOW + 3600))
            book = book_scene.book(ctx)
            for start in list(range(0, len(pairs), size))[::step]:
                book_scene.patiently(book.store, pairs[start:start + size])
                found = book_scene.patiently(watch.evaluate, ctx, book_scene.ORIGIN, NEVER)
                opened.update(found.incidents)
            ctx.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sensor, args=one) for one in ((31, 1), (47, -1), (64, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert failures == []
    store = open_store(url)
    assert set(outcome(store)) == truth and 0 < len(truth) < 46
    assert set(opened.values()) == {1} and len(opened) == len(truth)


def test_documents_of_a_group_are_read_by_the_index_of_groups(url):
    """Not by the index of times, which would read those of all groups."""
    ctx = book_scene.context(url)
    book_scene.book(ctx).store(documents_of([(float(n), "a", "h") for n in range(50)]))
    word = "EXPLAIN" if ctx.store.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    if word == "EXPLAIN":
        ctx.store.execute("ANALYZE error_logs")
        ctx.store.execute("SET enable_seqscan = off")  # it would read so small a table as a whole
    plan = ctx.store.query(
        "%s SELECT logged_at FROM error_logs WHERE %s ORDER BY group_key, logged_at LIMIT ?"
        % (word, OF_GROUP),
        (*span("g1:x", NOW + 10**6), 100),
    )
    assert "error_logs_by_group" in str(plan) and "error_logs_by_time" not in str(plan)

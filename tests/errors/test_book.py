"""Every document once, counted with its pattern, group and minute, whatever comes how often."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors.book import MOST_AHEAD_S
from selfheal.errors.scope import group_key, values_of
from selfheal.store import load, open_store
from tests import book_scene, scene
from tests.book_scene import NOW, ErrorBook, contents, pair, pairs

MINUTE = int(NOW // 60)
_open = {}


@pytest.fixture
def ctx(url):
    return book_scene.context(url)


@pytest.fixture
def book(ctx):
    return book_scene.book(ctx)


def one(ctx, table):
    rows = ctx.store.query("SELECT * FROM %s" % table)
    assert len(rows) == 1
    return rows[0]


def test_document_is_stored_with_its_judgement(ctx, book):
    stored = book.store([pair(1, at=5.0, namespace="shop", workload="web", pod="web-1",
                              stack="at f", detail={"x": 1}, error_type="network")])
    row = one(ctx, "error_logs")
    assert stored == (1, 0, 0, [row["fingerprint"]], [row["group_key"]])
    assert (row["document_id"], row["origin"]) == ("logs/index/1", "logs")
    assert (row["logged_at"], row["seen_at"]) == (NOW + 5, NOW)
    assert (row["error_type"], row["host"], row["message"]) == ("network", "node-1", "boom 1")
    assert load(row["detail"]) == {
        "x": 1, "rule": "rule", "namespace": "shop", "workload": "web", "pod": "web-1",
        "stack": "at f",
    }
    group = one(ctx, "error_groups")
    assert group["scope"] == "namespace=shop, workload=web, program=web" and group["host"] is None
    assert (group["occurrences"], group["pending_from"]) == (1, NOW + 5)
    pattern = one(ctx, "error_patterns")
    assert (pattern["template"], pattern["sample"], pattern["occurrences"]) == (
        "boom <num>", "boom 1", 1,
    )


def test_nothing_to_store_does_nothing(book):
    assert book.store([]) == (0, 0, 0, [], [])


def test_document_that_is_known_counts_once(ctx, book):
    first = book.store(pairs(3))
    again = book.store(pairs(4) + pairs(4))
    assert (first.new, first.known, again.new, again.known) == (3, 0, 1, 7)
    assert again.new_patterns == [] and len(again.groups) == 1
    assert one(ctx, "error_patterns")["occurrences"] == one(ctx, "error_groups")["occurrences"] == 4
    assert ctx.store.value("SELECT SUM(stored) FROM error_counts") == 4
    assert ctx.store.value("SELECT SUM(documents) FROM error_intake") == 4
    assert book.known(["logs/index/2", "logs/index/9"]) == {"logs/index/2"}


def test_pattern_and_group_show_the_latest_document(ctx, book):
    book.store([pair(2, at=20, severity="warning", message="late")])
    book.store([pair(1, at=10, severity="critical", message="early")])
    pattern = one(ctx, "error_patterns")
    assert (pattern["sample"], pattern["severity"]) == ("late", "warning")
    assert (pattern["first_seen_at"], pattern["last_seen_at"]) == (NOW + 10, NOW + 20)
    group = one(ctx, "error_groups")
    assert (group["severity"], group["pending_from"]) == ("warning", NOW + 10)


def test_same_error_in_two_places_is_two_groups_of_one_pattern(ctx, book):
    book.store([pair(1), pair(2, host="node-2"), pair(3, namespace="a", workload="w"),
                pair(4, namespace="a", workload="w", host="node-2")])
    assert one(ctx, "error_patterns")["occurrences"] == 4
    rows = ctx.store.query("SELECT scope FROM error_groups ORDER BY scope")
    assert [row["scope"] for row in rows] == [
        "host=node-1, program=web", "host=node-2, program=web",
        "namespace=a, workload=w, program=web",
    ]


def test_scope_is_what_the_settings_say(ctx):
    book = ErrorBook(ctx.store, ["program"])
    book.store([pair(1), pair(2, host="node-2")])
    group = one(ctx, "error_groups")
    assert (group["scope"], group["host"]) == ("program=web", None)


def test_key_of_a_group_never_changes():
    document, judged = pair(1, namespace="a")
    values = values_of(document, book_scene.SCOPE_BY)
    assert values == (("namespace", "a"), ("host", "node-1"), ("program", "web"))
    assert group_key(judged.fingerprint, values) == "g1:376a945aba0c8a04b072"


def test_errors_of_a_merged_pattern_count_in_the_group_of_the_other(ctx, book):
    book.store([pair(1, pattern="old"), pair(2, pattern="new")])
    old, new = (book_scene.judgement(name).fingerprint for name in ("old", "new"))
    ctx.store.execute(
        "UPDATE error_patterns SET merged_into = ? WHERE fingerprint = ?", (new, old)
    )
    stored = book.store([pair(3, pattern="old")])
    (key,) = stored.groups
    group = ctx.store.one("SELECT * FROM error_groups WHERE group_key = ?", (key,))
    assert (group["fingerprint"], group["occurrences"]) == (new, 2)
    row = ctx.store.one("SELECT * FROM error_logs WHERE document_id = 'logs/index/3'")
    assert (row["fingerprint"], row["group_key"]) == (old, key)


HOSTILE = "nul \x00 surrogate \ud800 tab \t newline \n backslash \\N {{ x }} \u202e" + "é" * 3000


def test_hostile_text_survives_both_databases(ctx, book):
    given_pair = pair(HOSTILE, host=HOSTILE, program=HOSTILE, message=HOSTILE, pod=HOSTILE,
                      namespace=HOSTILE, detail={HOSTILE: HOSTILE}, stack=HOSTILE)
    other = pair(HOSTILE + "x")
    assert book.store([given_pair, other]).new == 2
    assert book.store([given_pair, other]).known == 2
    assert book.known([given_pair[0].document_id]) == {given_pair[0].document_id}
    row = ctx.store.one("SELECT * FROM error_logs WHERE host <> 'node-1'")
    assert "\0" not in row["message"] and load(row["detail"])[HOSTILE] == HOSTILE


@pytest.mark.parametrize(
    "at", [float("nan"), float("inf"), float("-inf"), 1e300, -1e300, NOW + MOST_AHEAD_S + 1]
)
def test_time_that_cannot_be_is_the_time_it_was_seen(ctx, book, at):
    document, judged = pair(1)
    assert book.store([(document._replace(logged_at=at), judged)]).new == 1
    assert one(ctx, "error_logs")["logged_at"] == one(ctx, "error_groups")["last_logged_at"] == NOW


def documents():
    """Documents of few patterns, places and times, so that they meet."""
    return st.builds(
        lambda number, at, pattern, host, severity, text: pair(
            number, at, pattern, host=host, severity=severity, message=text
        ),
        st.integers(0, 40),
        st.sampled_from([0.0, 0.0, 1.5, 59.0, 61.0, -200.0, 300.0]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["h", "i"]),
        st.sampled_from(["critical", "warning"]),
        st.sampled_from(["x", "y", "\x00"]),
    )


def emptied(kind, tmp_path_factory):
    if kind not in _open:
        url = scene.store_url(kind, tmp_path_factory.mktemp("db"))
        _open[kind] = open_store(url, now=scene.Clock(NOW).now)
    store = _open[kind]
    for table in ("error_logs", "error_patterns", "error_groups", "error_counts", "storm_minutes",
                  "error_intake"):
        store.execute("DELETE FROM %s" % table)
    return store


@settings(max_examples=60)
@given(
    data=st.data(),
    found=st.lists(documents(), min_size=1, unique_by=lambda pair: pair[0].document_id),
)
@pytest.mark.parametrize("kind", scene.BOTH)
def test_order_batches_and_repeats_change_nothing(kind, tmp_path_factory, data, found):
    store = emptied(kind, tmp_path_factory)
    ErrorBook(store, book_scene.SCOPE_BY).store(found)
    expected = contents(store)
    assert sum(row["stored"] for row in expected["counts"]) == len(found) == len(expected["logs"])
    assert sum(row["occurrences"] for row in expected["groups"]) == len(found)
    store = emptied(kind, tmp_path_factory)
    books = [ErrorBook(store, book_scene.SCOPE_BY) for _ in range(2)]
    order = data.draw(st.permutations(found + found[: len(found) // 2]))
    while order:
        size = data.draw(st.integers(1, len(order)))
        books[size % 2].store(order[:size])
        order = order[size:]
    assert contents(store) == expected


def test_two_sensors_at_once_store_the_same_once(url):
    everything = [pair(n, n * 0.7, "p%d" % (n % 7), host="h%d" % (n % 3)) for n in range(400)]
    failures = []

    def sensor(size, step):
        try:
            store = open_store(url, now=scene.Clock(NOW).now)
            book = ErrorBook(store, book_scene.SCOPE_BY)
            starts = list(range(0, len(everything), size))[::step]
            for start in starts:
                book_scene.patiently(book.store, everything[max(0, start - 5):start + size])
            store.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sensor, args=one) for one in ((17, 1), (23, -1), (40, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert failures == []
    seen = contents(open_store(url))
    other = open_store("sqlite:///:memory:", now=scene.Clock(NOW).now)
    ErrorBook(other, book_scene.SCOPE_BY).store(everything)
    assert seen == contents(other)

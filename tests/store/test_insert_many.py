"""Many rows at once, whatever their text holds, and two purposes in one transaction."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfheal.exceptions import Conflict
from selfheal.store import open_store
from tests import scene

_stores = {}
STORABLE = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))


@pytest.fixture
def store(url):
    return open_store(url)


def put(store, rows):
    store.insert_many("checkpoints", ("name", "value", "updated_at"), rows)


def rows_of(store):
    return [
        tuple(row.values())
        for row in store.query("SELECT name, value, updated_at FROM checkpoints ORDER BY name")
    ]


def test_no_rows_are_no_statement(store):
    put(store, [])
    assert rows_of(store) == []


once_per_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)


@once_per_test
@given(texts=st.lists(STORABLE | st.sampled_from(["\\N", "\\.", "a\tb\nc\rd", "\\", '"', "'"])),
       at=st.floats(allow_nan=False, allow_infinity=False))
@pytest.mark.parametrize("kind", scene.BOTH)
def test_every_text_and_number_comes_back_as_it_went_in(kind, tmp_path_factory, texts, at):
    if kind not in _stores:
        _stores[kind] = open_store(scene.store_url(kind, tmp_path_factory.mktemp("db")))
    store = _stores[kind]
    store.execute("DELETE FROM checkpoints")
    rows = [("%05d" % number, text, at) for number, text in enumerate(texts)]
    put(store, rows)
    assert rows_of(store) == rows


@once_per_test
@given(
    texts=st.lists(
        STORABLE | st.sampled_from(["", "NULL", "null", "{}", "a,b", "\\", '"', '\\"']), min_size=1
    ),
    at=st.floats(allow_nan=False, allow_infinity=False),
)
@pytest.mark.parametrize("kind", scene.BOTH)
def test_every_text_and_number_comes_back_where_rows_may_be_there_already(
    kind, tmp_path_factory, texts, at
):
    if kind not in _stores:
        _stores[kind] = open_store(scene.store_url(kind, tmp_path_factory.mktemp("db")))
    store = _stores[kind]
    store.execute("DELETE FROM checkpoints")
    rows = [("%05d" % number, text, at) for number, text in enumerate(texts)]
    changes = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    for before in (rows[:1], rows):
        store.insert_many("checkpoints", ("name", "value", "updated_at"), before, changes)
    assert rows_of(store) == rows


def test_null_stays_null(store):
    store.insert_many(
        "execution_history",
        ("id", "incident_id", "remedy", "risk", "dry_run", "status", "plan", "outcome",
         "started_at"),
        [("a", "i", "r", "low", 0, "done", "{}", None, 1.5),
         ("b", "i", "r", "low", 1, "", "", "", 2)],
    )
    assert [row["outcome"] for row in store.query("SELECT outcome FROM execution_history "
                                                  "ORDER BY id")] == [None, ""]


def test_one_row_that_is_there_already_refuses_all(store):
    put(store, [("b", "1", 0.0)])
    with pytest.raises(Conflict):
        put(store, [("a", "2", 0.0), ("b", "2", 0.0), ("c", "2", 0.0)])
    assert rows_of(store) == [("b", "1", 0.0)]
    put(store, [("c", "3", 0.0)])  # and the connection goes on
    assert len(rows_of(store)) == 2


def test_transaction_of_two_purposes_excludes_those_of_either(url):
    """Two writers who read, wait for each other, and write: none of their additions is lost."""
    store = open_store(url)
    put(store, [("a", "0", 0.0)])

    def add(*purposes):
        own = open_store(url)
        for _ in range(20):
            with own.transaction(*purposes):
                value = int(own.value("SELECT value FROM checkpoints"))
                own.execute("UPDATE checkpoints SET value = ?", (str(value + 1),))
        own.close()

    threads = [
        threading.Thread(target=add, args=purposes)
        for purposes in (("incidents", "errors"), ("errors",))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert rows_of(store) == [("a", "40", 0.0)]


def test_row_that_is_there_already_is_changed_as_the_caller_says(store):
    columns = ("origin", "minute", "bucket", "documents", "updated_at")
    adds = (
        "ON CONFLICT (origin, minute, bucket) DO UPDATE SET "
        "documents = storm_minutes.documents + excluded.documents"
    )
    for rows in (
        [("a", 1, "x", 2, 0.5), ("b\t\\", 1, "", 2, 1)],
        [("a", 1, "x", 5, 9.5), ("a", 2, "x", 1, 0)],
    ):
        store.insert_many("storm_minutes", columns, rows, adds)
    rows = store.query("SELECT * FROM storm_minutes ORDER BY origin, minute")
    assert [tuple(row.values()) for row in rows] == [
        ("a", 1, "x", 7, 0.5), ("a", 2, "x", 1, 0.0), ("b\t\\", 1, "", 2, 1.0),
    ]

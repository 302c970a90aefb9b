"""Statements and transactions: the same answers, and the same errors, from both databases."""

from __future__ import annotations

import contextlib
import math
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import Conflict, StoreError
from selfheal.store import dialects, dump, load, open_store
from selfheal.store.engine import in_chunks, insert_sql, placeholders
from tests import scene


@pytest.fixture
def store(url):
    return open_store(url)


def put(store, name, value="1", on_conflict=""):
    return store.insert(
        "checkpoints", {"name": name, "value": value, "updated_at": 0.0}, on_conflict
    )


def names(store):
    return [row["name"] for row in store.query("SELECT name FROM checkpoints ORDER BY name")]


def test_rows_are_maps_in_order(store):
    put(store, "b")
    put(store, "a", "2")
    assert store.query("SELECT name, value FROM checkpoints ORDER BY name") == [
        {"name": "a", "value": "2"},
        {"name": "b", "value": "1"},
    ]
    assert store.one("SELECT name FROM checkpoints WHERE name = ?", ("zz",)) is None
    assert store.value("SELECT value FROM checkpoints WHERE name = ?", ("a",)) == "2"
    assert store.value("SELECT value FROM checkpoints WHERE name = ?", ("zz",)) is None


def test_execute_counts_rows(store):
    assert put(store, "a") == 1
    assert put(store, "a", on_conflict="ON CONFLICT (name) DO NOTHING") == 0
    assert store.execute("UPDATE checkpoints SET value = ?", ("3",)) == 1
    assert store.execute("DELETE FROM checkpoints WHERE name = ?", ("zz",)) == 0


def test_broken_uniqueness_is_a_conflict(store):
    put(store, "a")
    with pytest.raises(Conflict):
        put(store, "a")
    assert put(store, "b") == 1  # and the connection goes on


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM no_such_table", "SELEC 1", "UPDATE checkpoints SET value = NULL"]
)
def test_refused_statement_is_a_typed_error_and_the_connection_goes_on(store, statement):
    put(store, "a")
    with pytest.raises((StoreError, Conflict)):
        store.execute(statement)
    assert names(store) == ["a"]


def test_value_is_never_part_of_the_statement(store):
    for value in ("'; DROP TABLE checkpoints; --", "%s", "?", "100%", "\\", '"'):
        put(store, value, value)
        assert store.value("SELECT value FROM checkpoints WHERE name = ?", (value,)) == value


def test_question_mark_and_percent_in_values_of_many_rows(store):
    store.execute_many(
        "INSERT INTO checkpoints (name, value, updated_at) VALUES (?, ?, ?)",
        ((str(number), "100% ? %s", 0.5) for number in range(1200)),
    )
    assert store.value("SELECT COUNT(*) FROM checkpoints WHERE value = ?", ("100% ? %s",)) == 1200
    store.execute_many("INSERT INTO checkpoints (name) VALUES (?)", [])


def test_many_rows_are_all_or_none(store):
    with pytest.raises(Conflict):
        store.execute_many(
            "INSERT INTO checkpoints (name, value, updated_at) VALUES (?, ?, ?)",
            [("a", "", 0.0), ("a", "", 0.0)],
        )
    assert names(store) == []


def test_transaction_keeps_all(store):
    with store.transaction("x"):
        put(store, "a")
        with store.transaction("x"):
            put(store, "b")
    assert names(store) == ["a", "b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_transaction_that_fails_keeps_nothing(store, error):
    with pytest.raises(error), store.transaction("x"):
        put(store, "a")
        with store.transaction("x"):
            put(store, "b")
        raise error
    assert names(store) == []
    put(store, "c")
    assert names(store) == ["c"]


def test_failed_statement_ends_its_transaction(store):
    put(store, "a")
    with pytest.raises(Conflict), store.transaction("x"):
        put(store, "b")
        put(store, "a")
    assert names(store) == ["a"]


def test_transaction_whose_failure_was_swallowed_is_stored_or_says_that_it_is_not(store):
    try:
        with store.transaction("x"):
            put(store, "a")
            with contextlib.suppress(StoreError):
                store.query("SELECT 1 FROM no_such_table")
        is_said = False
    except StoreError as error:
        is_said = error.retryable
    assert names(store) == ([] if is_said else ["a"])
    put(store, "b")


def test_others_do_not_see_an_open_transaction(url, store):
    other = open_store(url)
    with store.transaction("x"):
        put(store, "a")
        assert names(other) == []
    assert names(other) == ["a"]


def test_transactions_of_one_purpose_run_one_after_the_other(url, store):
    put(store, "n", "0")
    start = threading.Barrier(6)

    def count():
        mine = open_store(url)
        start.wait(180)
        for _ in range(10):
            with mine.transaction("count"):
                value = int(mine.value("SELECT value FROM checkpoints WHERE name = ?", ("n",)))
                mine.execute(
                    "UPDATE checkpoints SET value = ? WHERE name = ?", (str(value + 1), "n")
                )
        mine.close()

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert store.value("SELECT value FROM checkpoints WHERE name = ?", ("n",)) == "60"


def test_process_that_dies_in_a_transaction_leaves_nothing(url, store):
    other = open_store(url)
    with pytest.raises(StoreError), other.transaction("x"):
        put(other, "a")
        other.close()  # as a kill would: the connection ends, nothing was committed
        put(other, "b")
    assert names(store) == []
    put(store, "c")


def test_use_after_close_is_a_typed_error(store):
    store.close()
    store.close()
    for attempt in (lambda: store.query("SELECT 1"), lambda: store.table_exists("x")):
        with pytest.raises(StoreError):
            attempt()
    with pytest.raises(StoreError), store.transaction("x"):
        pass


def test_server_that_ends_the_connection_is_retryable(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    store, admin = open_store(url), open_store(url)
    pid = store.value("SELECT pg_backend_pid()")
    admin.query("SELECT pg_terminate_backend(?)", (pid,))
    with pytest.raises(StoreError) as caught:
        store.query("SELECT 1")
    assert (
        caught.value.retryable and
        "database.url" in str(caught.value) or
        "57P01" in str(caught.value)
    )


def test_locked_database_says_who_waits_for_what(tmp_path, monkeypatch):
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT_S", 0.2)
    url = scene.store_url("sqlite", tmp_path)
    holder, other = open_store(url), open_store(url)
    with holder.transaction("x"):
        with pytest.raises(StoreError, match="locked") as caught, other.transaction("y"):
            pass
        assert caught.value.retryable and str(tmp_path) in str(caught.value)
    put(other, "a")


def test_full_disk_is_said_and_nothing_is_half_written(tmp_path):
    store = open_store(scene.store_url("sqlite", tmp_path))
    put(store, "before")
    pages = store.value("PRAGMA page_count")
    store.query("PRAGMA max_page_count = %d" % pages)
    with pytest.raises(StoreError, match="full|disk") as caught, store.transaction("x"):
        put(store, "a")
        put(store, "big", "x" * 1_000_000)
    assert str(tmp_path) in str(caught.value)
    store.query("PRAGMA max_page_count = 1000000")
    assert names(store) == ["before"]
    put(store, "after")


def test_read_only_database_says_which_setting(tmp_path):
    store = open_store(scene.store_url("sqlite", tmp_path))
    store.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="database.url"):
        put(store, "a")


JSON = st.recursive(
    st.none() |
    st.booleans() |
    st.integers() |
    st.floats(allow_nan=False, allow_infinity=False) |
    st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture(scope="module", params=scene.BOTH)
def shared(request, tmp_path_factory):
    store = open_store(scene.store_url(request.param, tmp_path_factory.mktemp("json")))
    put(store, "json")
    return store


@given(JSON)
def test_any_json_survives_a_column(shared, value):
    assert dump(value).isascii() and "\x00" not in dump(value)
    shared.execute("UPDATE checkpoints SET value = ? WHERE name = ?", (dump(value), "json"))
    assert load(shared.value("SELECT value FROM checkpoints WHERE name = ?", ("json",))) == value


def test_nul_and_half_pairs_survive_as_json(shared):
    value = {"\x00": ["\ud800", "\udfff\U0001f4a5", "\x1b"]}
    shared.execute("UPDATE checkpoints SET value = ?", (dump(value),))
    assert load(shared.value("SELECT value FROM checkpoints")) == value


def test_time_keeps_its_fraction(store):
    store.insert("checkpoints", {"name": "t", "value": "", "updated_at": 1700000000.123456})
    assert math.isclose(
        store.value("SELECT updated_at FROM checkpoints"), 1700000000.123456, abs_tol=1e-6
    )


def test_empty_list_is_an_error_never_everything():
    with pytest.raises(ValueError, match="no values"):
        placeholders([])
    assert placeholders([1, 2]) == "?, ?"
    assert [list(chunk) for chunk in in_chunks([1, 2, 3], 2)] == [[1, 2], [3]]
    assert insert_sql("t", ["a", "b"], "ON CONFLICT DO NOTHING") == (
        "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT DO NOTHING"
    )


def test_missing_column_json_stays_none():
    assert load(None) is None


def test_commit_that_is_refused_leaves_no_open_transaction(store, url):
    store.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
    store.execute(
        "CREATE TABLE children (parent INTEGER REFERENCES parents (id) "
        "DEFERRABLE INITIALLY DEFERRED)"
    )
    if store.dialect.name == "sqlite":
        store.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(Conflict), store.transaction("x"):
        store.execute("INSERT INTO children VALUES (1)")
    put(store, "a")
    with store.transaction("x"):
        put(store, "b")
    assert names(open_store(url)) == ["a", "b"]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_database_file_that_was_deleted_takes_no_more_writes(tmp_path, is_replaced):
    url = scene.store_url("sqlite", tmp_path)
    store = open_store(url)
    os.unlink(url[len("sqlite:///"):])
    if is_replaced:
        open_store(url)
    with pytest.raises(StoreError, match="deleted or replaced") as caught:
        with store.transaction("x"):
            put(store, "lost")
    assert caught.value.retryable
    again = open_store(url)
    put(again, "kept")
    assert names(open_store(url)) == ["kept"]


def test_server_that_ends_the_connection_costs_only_what_it_interrupted(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    store, admin = open_store(url), open_store(url)
    put(store, "before")
    with pytest.raises(StoreError), store.transaction("x"):
        put(store, "lost")
        admin.query("SELECT pg_terminate_backend(?)", (store.value("SELECT pg_backend_pid()"),))
        put(store, "also lost")
    put(store, "after")
    with store.transaction("x"):
        put(store, "later")
    assert names(store) == ["after", "before", "later"]


def test_transaction_whose_connection_was_lost_is_never_taken_for_done(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    store, admin = open_store(url), open_store(url)
    with pytest.raises(StoreError), store.transaction("x"):
        put(store, "lost")
        admin.query("SELECT pg_terminate_backend(?)", (store.value("SELECT pg_backend_pid()"),))
        with contextlib.suppress(StoreError):
            put(store, "also lost")
    assert names(store) == []


def test_waiting_that_the_server_cut_off_leaves_no_open_transaction(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    holder, store = open_store(url), open_store(url)
    store.execute("SET statement_timeout = 300")
    with holder.transaction("x"):
        with pytest.raises(StoreError, match="57014") as caught, store.transaction("x"):
            pass
        assert caught.value.retryable
    store.execute("SET statement_timeout = 0")  # what follows may take its time
    put(store, "a")
    assert names(holder) == ["a"]

"""Opening a store: migrated once, by whoever comes first; refused when it is not ours to write."""

from __future__ import annotations

import multiprocessing
import os
import re
import sqlite3
import stat
import threading

import pytest

from selfheal.exceptions import ConfigError, StoreError
from selfheal.store import dialects, open_store, opening
from tests import needs, scene


@pytest.fixture
def url(empty_url):
    return empty_url


def tables(store):
    if store.dialect.name == "sqlite":
        rows = store.query(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    else:
        rows = store.query(
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
        )
    return {row["name"] for row in rows}


def test_first_opening_makes_every_table(url):
    store = open_store(url)
    script = "".join(path.read_text() for _, path in opening.available_migrations())
    assert tables(store) == set(re.findall(r"CREATE TABLE (\w+)", script)) | {"schema_version"}
    assert {
        "incidents",
        "incident_events",
        "undo_log",
        "circuit_breakers",
        "budgets",
        "locks",
        "outbox",
        "approvals",
        "checkpoints",
        "error_logs",
        "error_patterns",
        "solutions",
        "execution_history",
        "system_status",
    } <= tables(store)
    assert opening.schema_version(store) == opening.available_migrations()[-1][0]


def test_opening_again_keeps_what_is_there(url):
    scene.incident(open_store(url))
    again = open_store(url)
    assert again.value("SELECT COUNT(*) FROM incidents") == 1
    assert again.value("SELECT COUNT(*) FROM schema_version") == len(opening.available_migrations())


def test_migrations_are_numbered_without_gaps():
    assert [number for number, _ in opening.available_migrations()] == list(
        range(1, len(opening.available_migrations()) + 1)
    )


def test_database_of_a_newer_pack_is_refused_and_untouched(url):
    store = open_store(url)
    store.execute("INSERT INTO schema_version VALUES (?, ?, ?)", (999, "0999_future", 0.0))
    with pytest.raises(StoreError, match=r"version 999.*only up to \d+.*upgrade the pack"):
        open_store(url)
    assert opening.schema_version(store) == 999


@pytest.fixture
def more_migrations(tmp_path):
    directory = tmp_path / "migrations"
    directory.mkdir()
    known = opening.available_migrations()
    for _, path in known:
        (directory / path.name).write_text(path.read_text())
    return directory, known[-1][0] + 1


def test_newer_pack_brings_the_database_up(url, more_migrations):
    directory, number = more_migrations
    scene.incident(open_store(url))
    (directory / ("%04d_more.sql" % number)).write_text(
        "-- a comment; with a semicolon\nCREATE TABLE more (id TEXT PRIMARY KEY);\nCREATE INDEX "
        "more_i ON more (id);\n"
    )
    store = open_store(url, migrations=directory)
    assert "more" in tables(store) and opening.schema_version(store) == number
    assert store.value("SELECT COUNT(*) FROM incidents") == 1
    with pytest.raises(StoreError, match="upgrade the pack"):
        open_store(url)


def test_migration_that_fails_leaves_nothing_behind(url, more_migrations):
    directory, number = more_migrations
    (directory / ("%04d_bad.sql" % number)).write_text(
        "CREATE TABLE half (id TEXT); CREATE TABLE half (id TEXT);"
    )
    open_store(url)
    with pytest.raises(StoreError):
        open_store(url, migrations=directory)
    store = open_store(url)  # still the old version, still usable
    assert "half" not in tables(store)


def _open(url, start, answers):
    dialects.BUSY_TIMEOUT_S = 180.0  # the last of them waits for all others, on a slow disk as well
    start.wait(180)
    try:
        store = open_store(url)
        store.insert("checkpoints", {"name": "p%d" % os.getpid(), "value": "1", "updated_at": 0.0})
        answers.put("opened")
    except Exception as error:
        answers.put(repr(error))


def test_eight_processes_open_a_new_database_at_once(url):
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(8), context.Queue()
    processes = [context.Process(target=_open, args=(url, start, answers)) for _ in range(8)]
    for process in processes:
        process.start()
    assert [answers.get(timeout=180) for _ in processes] == ["opened"] * 8
    for process in processes:
        process.join(180)
    store = open_store(url)
    assert store.value("SELECT COUNT(*) FROM checkpoints") == 8
    assert store.value("SELECT COUNT(*) FROM schema_version") == len(opening.available_migrations())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://x/y",
        "sqlite://",
        "sqlite:///",
        "sqlite:///relative.db",
        "sqlite:////",
        "/a/path.db",
    ],
)
def test_unusable_url_names_the_key_and_what_to_write(url):
    with pytest.raises(ConfigError, match="database.url") as caught:
        open_store(url)
    assert "sqlite:////" in str(caught.value)


def test_password_in_a_bad_url_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        open_store("mysql://me:s3cret@host/x")
    assert "s3cret" not in str(caught.value)


def test_unreachable_postgresql_is_retryable_and_named_without_credentials():
    needs.module("psycopg2")
    with pytest.raises(StoreError, match=r"database\.url") as caught:
        open_store("postgresql://me:s3cret@127.0.0.1:1/none", "pa55word")
    assert caught.value.retryable
    assert "s3cret" not in str(caught.value) and "pa55word" not in str(caught.value)


def test_path_that_cannot_be_made_says_which_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"database\.url.*"):
        open_store("sqlite:///%s/below/selfheal.db" % (tmp_path / "file"))


def test_file_that_is_no_database_is_an_error(tmp_path):
    (tmp_path / "selfheal.db").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreError, match="selfheal.db"):
        open_store(scene.store_url("sqlite", tmp_path, is_empty=True))


def test_database_file_and_directory_can_be_shared(tmp_path):
    before = os.umask(0o077)
    try:
        open_store("sqlite:///%s" % (tmp_path / "one" / "two" / "selfheal.db"))
    finally:
        os.umask(before)
    for place, mode in (("one", 0o770), ("one/two", 0o770), ("one/two/selfheal.db", 0o660)):
        assert stat.S_IMODE((tmp_path / place).stat().st_mode) == mode


def test_sqlite_is_durable_and_lets_readers_read(tmp_path, monkeypatch):
    as_it_is = dialects.Sqlite.connect.__wrapped__  # of the one that tests wait less for
    monkeypatch.setattr(dialects.Sqlite, "connect", as_it_is)
    store = open_store(scene.store_url("sqlite", tmp_path, is_empty=True))
    assert store.value("PRAGMA journal_mode") == "wal"
    assert store.value("PRAGMA synchronous") == 2
    writer = open_store(scene.store_url("sqlite", tmp_path, is_empty=True))
    with writer.transaction("x"):
        scene.incident(writer)
        assert store.value("SELECT COUNT(*) FROM incidents") == 0
    assert store.value("SELECT COUNT(*) FROM incidents") == 1
    assert sqlite3.connect(str(tmp_path / "selfheal.db")).execute(
        "PRAGMA integrity_check"
    ).fetchone() == ("ok",)


@pytest.fixture
def used_by_another(tmp_path):
    """A database file in rollback mode with a transaction open on it, as just after its making."""
    other = sqlite3.connect(
        str(tmp_path / "selfheal.db"), isolation_level=None, check_same_thread=False
    )
    other.execute("CREATE TABLE theirs (x)")
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_switch_to_wal_waits_for_who_uses_the_new_file(tmp_path, used_by_another, monkeypatch):
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT_S", 180.0)
    opened = []
    opener = threading.Thread(
        target=lambda: opened.append(open_store(scene.store_url("sqlite", tmp_path, is_empty=True)))
    )
    opener.start()
    opener.join(0.3)
    assert opener.is_alive() and not opened
    used_by_another.execute("COMMIT")
    opener.join(180)
    assert opened[0].value("PRAGMA journal_mode") == "wal"


def test_file_that_another_never_lets_go_is_an_error_in_time(
    tmp_path, used_by_another, monkeypatch
):
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT_S", 0.2)
    with pytest.raises(StoreError, match="locked") as caught:
        open_store(scene.store_url("sqlite", tmp_path, is_empty=True))
    assert caught.value.retryable


@pytest.mark.parametrize(
    "statement, index",
    [
        ("SELECT id FROM incidents WHERE run_id = 'x'", "incidents_by_run"),
        (
            "SELECT DISTINCT incident_id FROM execution_history WHERE status = 'running'",
            "execution_history_by_status",
        ),
        (
            "SELECT * FROM outbox WHERE incident_id = 'x' ORDER BY created_at DESC LIMIT 5",
            "outbox_by_incident",
        ),
    ],
)
def test_statement_over_all_incidents_ever_reads_an_index(url, statement, index):
    store = open_store(url)
    explain = "EXPLAIN QUERY PLAN "
    if store.dialect.name == "postgresql":
        store.execute("SET enable_seqscan = off")  # the tables are empty
        explain = "EXPLAIN "
    plan = "\n".join(str(tuple(row.values())) for row in store.query(explain + statement))
    assert index in plan

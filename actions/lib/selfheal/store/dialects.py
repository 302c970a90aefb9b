"""The two databases the pack speaks, and all that differs between them.

SQL is written once, with `?` for values. A dialect connects, translates placeholders, begins a
transaction that excludes the others it must exclude, and turns the driver's errors into StoreError.
"""

from __future__ import annotations

import io
import os
import sqlite3
import time
import zlib
from pathlib import Path
from typing import Any, Dict, Sequence

from selfheal.exceptions import ConfigError, StoreError
from selfheal.store.files import prepare_database_file
from selfheal.text import without_credentials

Rows = Sequence[Sequence[Any]]
BUSY_TIMEOUT_S = 15.0
_AGAIN_S = 0.01
CONNECT_TIMEOUT_S = 5


class Sqlite:
    """One file, WAL mode, full synchronisation: what was committed is on disk."""

    name = "sqlite"
    driver_error = sqlite3.Error

    def __init__(self, path: str) -> None:
        self.path = path
        self.shown_url = "sqlite:///%s" % path
        self._file: Any = None  # (device, inode) of the file that is open

    def connect(self) -> Any:
        if self.path != ":memory:":
            prepare_database_file(Path(self.path))
        try:
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._use_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            # Document ids are spread over their whole index: with SQLite's small defaults each page
            # of it would go to and fro several times, and the more rows, the more often.
            connection.execute("PRAGMA cache_size=-16000")  # KiB
            connection.execute("PRAGMA wal_autocheckpoint=4000")  # pages of 4 KiB
            self._file = self._file_there()
            return connection
        except sqlite3.Error as error:
            raise self.explain(error) from error

    @staticmethod
    def _use_wal(connection: Any) -> None:
        """Switch the file over, where nobody has done so yet. SQLite's own waiting does not hold
        for this: while another process uses the new file, the switch is refused at once.
        """
        end = time.monotonic() + BUSY_TIMEOUT_S
        while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_S)

    @staticmethod
    def is_broken(_connection: Any) -> bool:
        return False  # there is no server that could end it

    @staticmethod
    def was_refused(_cursor: Any) -> bool:
        return False  # a COMMIT that is, is an error

    @staticmethod
    def begin_reading(cursor: Any) -> None:
        cursor.execute("BEGIN DEFERRED")  # what it reads first it keeps seeing

    @staticmethod
    def read_any_text(connection: Any, is_on: bool) -> None:
        connection.text_factory = _decoded if is_on else str

    @staticmethod
    def sql(statement: str) -> str:
        return statement

    def begin(self, cursor: Any, _purposes: Sequence[str]) -> None:
        if self._file_there() != self._file:
            # A file that was deleted still takes writes, and nobody will ever read them.
            raise StoreError(
                "the database %s was deleted or replaced while it was open; connect again"
                % self.path,
                retryable=True,
            )
        cursor.execute("BEGIN IMMEDIATE")  # one writer at a time, so any purpose is excluded

    @staticmethod
    def insert_many(
        cursor: Any, table: str, columns: Sequence[str], rows: Rows, on_conflict: str
    ) -> None:
        marks = ", ".join("?" for _ in columns)
        cursor.executemany(
            "INSERT INTO %s (%s) VALUES (%s) %s" % (table, ", ".join(columns), marks, on_conflict),
            rows,
        )

    def _file_there(self) -> Any:
        if self.path == ":memory:":
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @staticmethod
    def table_exists(cursor: Any, table: str) -> bool:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
        return cursor.fetchone() is not None

    def explain(self, error: Exception) -> StoreError:
        text = str(error)
        if "locked" in text or "busy" in text:
            return StoreError(
                "the database %s stayed locked for %d s by another process; try again"
                % (self.path, BUSY_TIMEOUT_S),
                retryable=True,
            )
        if "full" in text:
            return StoreError("the disk under %s is full: free space, then run again" % self.path)
        if "unable to open" in text or "readonly" in text:
            return StoreError(
                "cannot open %s (%s): check database.url and that this user may write there"
                % (self.path, text)
            )
        return StoreError("the database %s failed: %s" % (self.path, text))

    @staticmethod
    def is_duplicate(error: Exception) -> bool:
        return isinstance(error, sqlite3.IntegrityError)


class Postgresql:
    """A PostgreSQL server (12 or later), through psycopg2."""

    name = "postgresql"

    def __init__(self, url: str, password: str = "") -> None:
        try:
            import psycopg2
        except ImportError as error:
            raise ConfigError(
                "database.url names PostgreSQL but psycopg2 is not installed here (%s): "
                "run `st2 pack install` again, or pip install psycopg2-binary" % error
            ) from error
        self._psycopg2 = psycopg2
        self.driver_error = psycopg2.Error
        self._url = url
        self._password = password
        self.shown_url = without_credentials(url)

    def connect(self) -> Any:
        options: Dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "selfheal",
        }
        if self._password:
            options["password"] = self._password
        try:
            connection = self._psycopg2.connect(self._url, **options)
            connection.autocommit = True
            return connection
        except (self._psycopg2.Error, ValueError) as error:
            raise self.explain(error) from error

    @staticmethod
    def is_broken(connection: Any) -> bool:
        return bool(connection.closed)

    @staticmethod
    def was_refused(cursor: Any) -> bool:
        """Whether the COMMIT just carried out was taken for a ROLLBACK, which is no error here."""
        return bool(cursor.statusmessage == "ROLLBACK")

    @staticmethod
    def begin_reading(cursor: Any) -> None:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @staticmethod
    def read_any_text(_connection: Any, _is_on: bool) -> None:
        """The server takes no text that cannot be read."""

    @staticmethod
    def sql(statement: str) -> str:
        return statement.replace("?", "%s")

    @staticmethod
    def begin(cursor: Any, purposes: Sequence[str]) -> None:
        cursor.execute("BEGIN")
        for purpose in purposes:
            # Readers of a purpose wait for each other as they would under SQLite's single writer.
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s)", (zlib.crc32(purpose.encode("utf-8")),)
            )

    @staticmethod
    def insert_many(
        cursor: Any, table: str, columns: Sequence[str], rows: Rows, on_conflict: str
    ) -> None:
        # Both take half the time of INSERT with many rows.
        into = "%s (%s)" % (table, ", ".join(columns))
        if not on_conflict:
            text = "".join("\t".join(map(_copied, row)) + "\n" for row in rows)
            cursor.copy_expert("COPY %s FROM STDIN" % into, io.StringIO(text))
            return
        lists = list(zip(*rows))
        cursor.execute(
            "INSERT INTO %s SELECT * FROM unnest(%s) %s"
            % (into, ", ".join("%%s::%s[]" % _type_of(one) for one in lists), on_conflict),
            [_array(one) for one in lists],
        )

    @staticmethod
    def table_exists(cursor: Any, table: str) -> bool:
        # Not to_regclass: it asks a cache that may say no after waiting for another's migration.
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_class "
            "WHERE relname = %s AND pg_table_is_visible(oid))",
            (table,),
        )
        return bool(cursor.fetchone()[0])

    def explain(self, error: Exception) -> StoreError:
        text = " ".join(str(error).split())
        code = getattr(error, "pgcode", None)
        if code is None:
            return StoreError(
                "cannot reach the database %s (database.url): %s; check the address, the "
                "credentials and that the server runs" % (self.shown_url, text),
                retryable=True,
            )
        return StoreError(
            "the database %s failed (%s): %s" % (self.shown_url, code, text),
            retryable=code[:2] in ("40", "53", "55", "57", "08"),
        )

    def is_duplicate(self, error: Exception) -> bool:
        return isinstance(error, self._psycopg2.IntegrityError)


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _type_of(values: Sequence[Any]) -> str:
    """The type of a column whose values these are."""
    known = {type(value) for value in values if value is not None}
    if float in known:
        return "double precision"
    return "bigint" if int in known else "text"


def _array(values: Sequence[Any]) -> str:
    """A column's values as one literal of an array: the driver would write each as an expression of
    its own, and the server would plan it.
    """
    return "{%s}" % ",".join([_item(value) for value in values])


def _item(value: Any) -> str:
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        return repr(value)
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"%s"' % value


def _copied(value: object) -> str:
    """One value as the text format of PostgreSQL's COPY writes it."""
    if value is None:
        return "\\N"
    if not isinstance(value, str):
        return repr(value)
    text = value.replace("\\", "\\\\") if "\\" in value else value
    if text.isprintable():
        return text
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def dialect_for(url: str, password: str = "") -> Any:
    """The dialect that `url` names: sqlite:////absolute/path, sqlite:///:memory:, postgresql://...
    Raises ConfigError.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        path = rest[1:]
        if path == ":memory:" or path.startswith("/"):
            return Sqlite(path)
        raise ConfigError(
            "database.url %r is a relative path: each process would open its own file; "
            "write sqlite://// and the absolute path" % url
        )
    if separator and scheme in ("postgresql", "postgres"):
        return Postgresql(url, password)
    raise ConfigError(
        "database.url %r is neither sqlite:////absolute/path nor postgresql://user@host/name"
        % (without_credentials(url))
    )

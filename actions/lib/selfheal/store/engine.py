"""One connection to the store: queries, transactions, JSON columns.

SQL uses `?` for values, whichever database answers. A single statement commits by itself;
`transaction` groups several and, given purposes, runs alone among transactions of any of them (on
SQLite: among all).
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from selfheal.exceptions import Conflict, SelfhealError, StoreError

Row = Dict[str, Any]


_encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True)


def dump(value: Any) -> str:
    """`value` as the ASCII JSON that text columns hold; every character survives both databases."""
    return _encoder.encode(value)


def load(text: Optional[str]) -> Any:
    """The value of a JSON column; None stays None."""
    return None if text is None else json.loads(text)


def load_map(text: Optional[str]) -> Dict[str, Any]:
    """The object of a JSON column; empty when nothing can be made of what a hand wrote there."""
    try:
        value = load(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class Store:
    """A connection. Not for use by two threads at once. Raises StoreError for whatever the database
    refuses.
    """

    def __init__(self, dialect: Any, now: Callable[[], float] = time.time) -> None:
        self.dialect = dialect
        self.now = now
        self._connection = dialect.connect()
        self._depth = 0
        self._is_closed = False

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> List[Row]:
        """All rows, each as {column: value}."""
        with self._cursor() as cursor:
            self._execute(cursor, sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Optional[Row]:
        """The first row, or None."""
        rows = self.query(sql, parameters)
        return rows[0] if rows else None

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, parameters)
        return next(iter(row.values())) if row else None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; how many rows it touched. Raises Conflict when a uniqueness rule
        forbids it.
        """
        with self._cursor() as cursor:
            self._execute(cursor, sql, parameters)
            return int(cursor.rowcount)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of `rows`, in one go."""
        batch = list(rows)
        if not batch:
            return
        with self.transaction(), self._cursor() as cursor:
            try:
                if self.dialect.name == "postgresql":
                    from psycopg2.extras import execute_batch

                    execute_batch(cursor, self.dialect.sql(sql), batch, page_size=500)
                else:
                    cursor.executemany(self.dialect.sql(sql), batch)
            except self.dialect.driver_error as error:
                raise self._explained(error) from error

    def insert(self, table: str, values: Dict[str, Any], on_conflict: str = "") -> int:
        """Insert one row; how many were inserted. `on_conflict` is appended (ON CONFLICT ... DO
        NOTHING).
        """
        return self.execute(insert_sql(table, values, on_conflict), tuple(values.values()))

    def insert_many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        on_conflict: str = "",
    ) -> None:
        """Insert `rows` of `columns` (text, numbers, None) in as few statements as the database
        takes; all or none. `on_conflict` is appended; without it Conflict is raised.
        """
        if not rows:
            return
        with self.transaction(), self._cursor() as cursor:
            try:
                self.dialect.insert_many(cursor, table, columns, rows, on_conflict)
            except self.dialect.driver_error as error:
                raise self._explained(error) from error

    @contextmanager
    def transaction(self, *purposes: str) -> Iterator[None]:
        """All or nothing for the statements inside. Inside another transaction it becomes part of
        it. Who needs two purposes names "incidents" before "errors", so that nobody waits in a
        circle.
        """
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        with self._cursor() as cursor:
            try:
                self.dialect.begin(cursor, purposes)
            except self.dialect.driver_error as error:
                self._end("ROLLBACK", quietly=True)  # it may have begun and then waited in vain
                raise self._explained(error) from error
        self._depth = 1
        try:
            yield
            self._end("COMMIT")
        except BaseException:
            self._end("ROLLBACK", quietly=True)  # also of a COMMIT that was refused
            raise
        finally:
            self._depth = 0

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is of one moment; writers go on meanwhile. For reading only."""
        if self._depth:
            yield
            return
        with self._cursor() as cursor:
            try:
                self.dialect.begin_reading(cursor)
            except self.dialect.driver_error as error:
                raise self._explained(error) from error
        self._depth = 1
        try:
            yield
        finally:
            self._end("ROLLBACK", quietly=True)
            self._depth = 0

    @contextmanager
    def any_text(self) -> Iterator[None]:
        """While inside, text that a hand made unreadable comes back with marks for what cannot be
        read, where it is otherwise an error.
        """
        self.dialect.read_any_text(self._connection, True)
        try:
            yield
        finally:
            self.dialect.read_any_text(self._connection, False)

    def table_exists(self, table: str) -> bool:
        with self._cursor() as cursor:
            try:
                return bool(self.dialect.table_exists(cursor, table))
            except self.dialect.driver_error as error:
                raise self._explained(error) from error

    def close(self) -> None:
        self._is_closed = True
        try:
            self._connection.close()
        except self.dialect.driver_error:
            pass  # closing a connection that is gone already changes nothing

    def _end(self, word: str, quietly: bool = False) -> None:
        try:
            with self._cursor() as cursor:
                self._execute(cursor, word, ())
                if word == "COMMIT" and self.dialect.was_refused(cursor):
                    raise StoreError(
                        "a statement of this transaction had failed, so nothing of it was stored; "
                        "try again",
                        retryable=True,
                    )
        except SelfhealError:
            if not quietly:
                raise

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        # A server that was restarted costs the statement it interrupted, and its transaction, only.
        if not (self._depth or self._is_closed) and self.dialect.is_broken(self._connection):
            self._connection = self.dialect.connect()
        try:
            cursor = self._connection.cursor()
        except self.dialect.driver_error as error:
            raise self._explained(error) from error
        try:
            yield cursor
        finally:
            cursor.close()

    def _execute(self, cursor: Any, sql: str, parameters: Sequence[Any]) -> None:
        try:
            cursor.execute(self.dialect.sql(sql), tuple(parameters))
        except self.dialect.driver_error as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        if self.dialect.is_duplicate(error):
            return Conflict(
                "the database holds such a row already: %s" % " ".join(str(error).split())
            )
        explained: StoreError = self.dialect.explain(error)
        return explained


def insert_sql(table: str, columns: Iterable[str], on_conflict: str = "") -> str:
    """INSERT for `columns` of `table`. Names are the code's own, never data."""
    names = list(columns)
    return "INSERT INTO %s (%s) VALUES (%s) %s" % (
        table,
        ", ".join(names),
        ", ".join("?" for _ in names),
        on_conflict,
    )


def in_chunks(values: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    """`values` in slices that fit one statement's placeholders."""
    for start in range(0, len(values), size):
        end = start + size
        yield values[start:end]


def begins_with(column: str, beginning: str) -> Tuple[str, Tuple[int, str]]:
    """(the condition that a text column begins so, its parameters). No range and no LIKE: not every
    database sorts by code points, nor tells capitals from small letters there. An empty beginning
    is an error, never "everything".
    """
    if not beginning:
        raise ValueError("no beginning to look for")
    return "SUBSTR(%s, 1, ?) = ?" % column, (len(beginning), beginning)


def placeholders(values: Sequence[Any]) -> str:
    """`?, ?, ?` for as many values as there are. An empty list is an error, never "everything"."""
    if not values:
        raise ValueError("no values to look for")
    return ", ".join("?" for _ in values)

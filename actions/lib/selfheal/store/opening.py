"""Opening the store: connect, then bring the schema up to this code's version, once, under a lock.

Migrations are the numbered files in `migrations/`, each applied in one transaction with its number.
A database that is newer than the code is refused: an older pack must not write what it does not
understand.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Callable, List, Tuple

from selfheal.exceptions import StoreError
from selfheal.store.dialects import dialect_for
from selfheal.store.engine import Store

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
    "applied_at DOUBLE PRECISION NOT NULL)"
)


def open_store(
    url: str,
    password: str = "",
    now: Callable[[], float] = time.time,
    migrations: Path = MIGRATIONS,
) -> Store:
    """The store at `url`, its schema current. Raises ConfigError (url), StoreError (reach,
    version).
    """
    store = Store(dialect_for(url, password), now)
    try:
        known = available_migrations(migrations)
        if schema_version(store) != known[-1][0]:
            _migrate(store, known)
        return store
    except BaseException:
        store.close()
        raise


def available_migrations(directory: Path = MIGRATIONS) -> List[Tuple[int, Path]]:
    """(number, file) of every migration, in order."""
    return sorted(
        (int(path.name[:4]), path) for path in directory.glob("[0-9][0-9][0-9][0-9]_*.sql")
    )


def schema_version(store: Store) -> int:
    """The number of the last migration applied; 0 for an empty database."""
    if not store.table_exists("schema_version"):
        return 0
    return int(store.value("SELECT MAX(version) FROM schema_version") or 0)


def _migrate(store: Store, known: List[Tuple[int, Path]]) -> None:
    with store.transaction("migrate"):
        current = schema_version(store)  # again: another process may have migrated meanwhile
        if current > known[-1][0]:
            raise StoreError(
                "the database %s has schema version %d, this pack knows only up to %d: upgrade the "
                "pack on this machine, or point database.url to another database"
                % (store.dialect.shown_url, current, known[-1][0])
            )
        store.execute(_VERSION_TABLE)
        for number, path in known:
            if number > current:
                for statement in _statements(path.read_text(encoding="utf-8")):
                    store.execute(statement)
                store.insert(
                    "schema_version",
                    {"version": number, "name": path.stem, "applied_at": store.now()},
                )


def _statements(script: str) -> List[str]:
    without_comments = re.sub(r"--[^\n]*", "", script)
    return [part.strip() for part in without_comments.split(";") if part.strip()]

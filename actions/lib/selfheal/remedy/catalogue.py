"""All runbooks there are: the user's directories first, then the pack's. One broken file never
hides the others.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Sequence, Tuple

from selfheal.config import Config
from selfheal.exceptions import ConfigError, InvalidInput, NotFound
from selfheal.records import dataclass
from selfheal.remedy import own_files, parsing
from selfheal.remedy.model import Runbook

PACK_RUNBOOKS = Path(__file__).resolve().parents[4] / "runbooks"


@dataclass(frozen=True)
class Broken:
    """A file or directory that could not be used, and why."""

    path: str
    error: str


@dataclass(frozen=True)
class Catalogue:
    """The runbooks in order of search. `shadowed` are files whose name an earlier one has taken."""

    runbooks: Tuple[Runbook, ...]
    broken: Tuple[Broken, ...]
    shadowed: Tuple[str, ...]


def search_paths(config: Config) -> List[str]:
    """`resolver.runbook_paths`, then the pack's own directory. Raises ConfigError."""
    paths = config.get("resolver.runbook_paths") or []
    if not isinstance(paths, (list, tuple)) or not all(
        isinstance(path, str) and path for path in paths
    ):
        raise ConfigError("resolver.runbook_paths must be a list of directories, not %r" % (paths,))
    return [*paths, str(PACK_RUNBOOKS)]


def is_searched(config: Config, directory: str) -> bool:
    """Whether runbooks of `directory` are used at all, by the settings of now: a path that a row of
    the database names is no reason to believe the file there. Raises ConfigError.
    """
    return os.path.realpath(directory) in map(os.path.realpath, search_paths(config))


def load(paths: Sequence[str]) -> Catalogue:
    """Every runbook under `paths` (*.yaml, *.yml, not deeper). Of two with one name the first is
    taken. Never raises.
    """
    found: List[Runbook] = []
    broken: List[Broken] = []
    shadowed: List[str] = []
    for directory in paths:
        try:
            files = sorted(
                path for path in Path(directory).iterdir() if path.suffix in (".yaml", ".yml")
            )
        except OSError as error:
            broken.append(
                Broken(directory, "cannot read the directory: %s" % (error.strerror or error))
            )
            continue
        for path in files:
            try:
                runbook = read(str(path))
            except (InvalidInput, NotFound) as error:
                broken.append(Broken(str(path), str(error)))
                continue
            if any(other.name == runbook.name for other in found):
                shadowed.append(str(path))
            else:
                found.append(runbook)
    return Catalogue(tuple(found), tuple(broken), tuple(shadowed))


def read(path: str) -> Runbook:
    """The runbook in the file `path` as it is now, with the files beside it that its commands
    name. Raises NotFound, InvalidInput.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise NotFound(
            "cannot read the runbook %s: %s" % (path, getattr(error, "strerror", None) or error)
        ) from error
    return own_files.bound(parsing.parse(content, path))

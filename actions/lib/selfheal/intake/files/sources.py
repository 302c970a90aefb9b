"""Which files the patterns of `log_files.paths` mean, and which of them are refused and why."""

from __future__ import annotations

import glob
import os
import stat
from typing import Dict, List, NamedTuple, Sequence, Tuple

from selfheal.intake.files.positions import Place, is_compressed, is_rotation_of, place_of

MAX_FILES = 1000
_FORBIDDEN = ("/dev/", "/proc/", "/sys/")
# Names that say nothing of the program: its directory does.
_GENERAL = frozenset(
    "access app application current debug err error errors fatal log logs main out output server "
    "service stderr stdout warn warning".split()
)


class Source(NamedTuple):
    """A file to follow, and the patterns that mean it."""

    place: Place
    patterns: Tuple[str, ...]


def expand(patterns: Sequence[str], followed: Sequence[str]) -> Tuple[List[Source], Dict[str, str]]:
    """(the files that `patterns` mean, {path or pattern: why it is refused}). Compressed files are
    left out, and so are rotations of files that are there or in `followed` (paths): those are
    found again by what is in them.
    """
    meant: Dict[str, List[str]] = {}
    refused: Dict[str, str] = {}
    for pattern in dict.fromkeys(patterns):
        if not os.path.isabs(pattern):
            refused[pattern] = "is refused: write the whole path, from / on"
            continue
        for path in sorted(_paths(pattern)):
            meant.setdefault(path, []).append(pattern)
    bases = sorted({*meant, *followed})
    found: List[Source] = []
    for path, by in meant.items():
        reason = _objection(path, glob.has_magic(by[0]))
        place = None if reason else place_of(path)
        if reason:
            refused[path] = reason
        elif place and not any(is_rotation_of(path, base) for base in bases):
            found.append(Source(place, tuple(by)))
    if len(found) > MAX_FILES:
        refused["log_files.paths"] = "mean %d files, of which the first %d are followed" % (
            len(found),
            MAX_FILES,
        )
    return found[:MAX_FILES], refused


def program_of(path: str) -> str:
    """The program that a log file is named after."""
    directory, name = os.path.split(path)
    stem = name.partition(".")[0]
    return os.path.basename(directory) or stem if stem.lower() in _GENERAL else stem


def _paths(pattern: str) -> List[str]:
    if not glob.has_magic(pattern):
        return [pattern] if os.path.lexists(pattern) else []
    return [path for path in glob.glob(pattern, recursive=True) if not is_compressed(path)]


def _objection(path: str, is_by_pattern: bool) -> str:
    """Why the file must not be read; empty when it may, or when there is nothing to say."""
    if os.path.realpath(path).startswith(_FORBIDDEN):
        return "is refused: it is no log file but a part of the system"
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return ""
    except OSError as error:
        return "cannot be looked at: %s" % error.strerror
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISLNK(mode):
        return "is refused: it is a symbolic link; name the file that it points to"
    if stat.S_ISDIR(mode):
        return "" if is_by_pattern else "is refused: it is a directory; write %s/*.log" % path
    return "is refused: it is no regular file"

"""How far each log file was read, and where it has gone since: renamed, copied, overwritten.

A file is known again by its inode and by what stands at its head and just before the place that was
reached; its name proves nothing. The id it was given when it was first seen goes into the ids of
its documents, so whatever happens to it, no line becomes a second document.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import asdict, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from selfheal.records import dataclass

PROOF_BYTES = 256
CHUNK_BYTES = 4096
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".Z", ".zip", ".journal")
_AGE = (
    r"(?:\d{1,4}|\d{8}(?:[-_.T]?\d{2,6})?|\d{4}-\d\d-\d\d(?:[-_.T]?[\d.:-]{2,15})?|\d{10}|"
    r"old|bak|prev)"
)
_ROTATED = re.compile(r"[-_.]%s(?:[-_.]%s)*\Z" % (_AGE, _AGE))


@dataclass(frozen=True)
class Place:
    """A regular file as it was found."""

    path: str
    device: int
    inode: int
    size: int
    changed_at: float

    @property
    def key(self) -> Tuple[int, int]:
        return self.device, self.inode


@dataclass(frozen=True)
class Position:
    """How far one file was read. `name` is the path it was first seen under, `path` where it is.

    `head` and `tail` are digests of the first bytes and of those before `offset`, with how many
    there are. Without a head nothing was ever read from it. Times are epoch seconds: `rotated_at`
    when it was first found under another name, `read_at` when something was last read from it,
    `missed_at` when it could not be found.
    """

    id: str
    name: str
    path: str
    device: int
    inode: int
    offset: int
    head: Tuple[int, str]
    tail: Tuple[int, str]
    read_at: float
    rotated_at: Optional[float] = None
    missed_at: Optional[float] = None

    def as_json(self) -> Dict[str, Any]:
        """As the checkpoint holds it."""
        return dict(asdict(self), head=list(self.head), tail=list(self.tail))


def from_json(value: Mapping[str, Any]) -> Position:
    """The position in a checkpoint. Raises KeyError, TypeError, ValueError for another shape."""
    given = dict(value)
    for name in ("head", "tail"):
        given[name] = (int(given[name][0]), str(given[name][1]))
    return Position(**given)


def begin(identity: str, place: Place, offset: int, now: float) -> Position:
    """The position of a file that was never seen. Raises OSError."""
    fresh = Position(
        identity,
        place.path,
        place.path,
        place.device,
        place.inode,
        offset,
        (0, ""),
        (0, ""),
        now,
    )
    with opened(place) as source:
        return moved(fresh, source, offset, now)


def moved(position: Position, source: Any, offset: int, now: float) -> Position:
    """`position` at `offset` of its open file."""
    return replace(
        position,
        offset=offset,
        head=_digest(source, 0, PROOF_BYTES),
        tail=_digest(source, max(0, offset - PROOF_BYTES), min(offset, PROOF_BYTES)),
        read_at=now,
    )


def with_head(position: Position, place: Place) -> Position:
    """`position` with as much of a head as its file has by now: to be kept before more is read.
    Raises OSError.
    """
    if position.head[0] >= min(PROOF_BYTES, place.size):
        return position
    with opened(place) as source:
        grown = replace(position, head=_digest(source, 0, PROOF_BYTES))
        if not is_unchanged(source, position):
            raise Moved("%s was overwritten while it was looked at" % place.path)
    return grown


class Moved(OSError):
    """Another file has taken the path since it was looked at; the next look finds both."""


def opened(place: Place) -> Any:
    """The file at `place`, open for reading bytes. Never follows a link, never waits. Raises
    OSError.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    source = os.fdopen(os.open(place.path, flags), "rb")
    found = os.fstat(source.fileno())
    if (found.st_dev, found.st_ino) != place.key or not stat.S_ISREG(found.st_mode):
        source.close()
        raise Moved("%s was replaced while it was looked at" % place.path)
    return source


def place_of(path: str) -> Optional[Place]:
    """The regular file at `path`; None when there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Place(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime)


class Surroundings:
    """The files beside those that are followed, listed once per look."""

    def __init__(self) -> None:
        self._listed: Dict[str, List[Place]] = {}

    def siblings(self, path: str) -> List[Place]:
        """Regular, uncompressed files that may be rotations of `path`, the newest first."""
        directory, name = os.path.split(path)
        if directory not in self._listed:
            self._listed[directory] = _files_in(directory)
        stem = os.path.splitext(name)[0]
        return [
            place
            for place in self._listed[directory]
            if os.path.basename(place.path).startswith(stem) and place.path != path
        ]


def is_compressed(path: str) -> bool:
    """Whether the name says so."""
    return path.endswith(_COMPRESSED)


def is_rotation_of(path: str, base: str) -> bool:
    """Whether `path` is named as a rotation of `base`: app.log.1, app.log-20261122,
    app-20261122.log.
    """
    if path == base:
        return False
    stem, extension = os.path.splitext(base)
    for begins, ends in ((base, ""), (stem, extension)):
        if path.startswith(begins) and path.endswith(ends) and len(path) > len(begins) + len(ends):
            if _ROTATED.match(path[len(begins):len(path) - len(ends)]):
                return True
    return False


def locate(
    position: Position,
    surroundings: Surroundings,
    others_found: Iterable[Place],
    taken: Iterable[Tuple[int, int]],
) -> Optional[Place]:
    """Where the file of `position` is now: under its name, beside it, or among `others_found`, but
    none of `taken`. None when it is gone or was overwritten.
    """
    claimed = set(taken)
    here = place_of(position.path)
    others = surroundings.siblings(position.path)
    if position.name != position.path:
        others = others + surroundings.siblings(position.name)
        at_name = place_of(position.name)
        others += [at_name] if at_name else []
    everywhere = [place for place in ([here] if here else []) + others if place.key not in claimed]
    key = (position.device, position.inode)
    for place in [*everywhere, *(place for place in others_found if place.key not in claimed)]:
        if place.key == key and holds(place, position):
            return place
    if not position.head[0]:
        return None  # it was empty: there is nothing that it could be known by
    return next((place for place in everywhere if holds(place, position)), None)


def holds(place: Place, position: Position) -> bool:
    """Whether the file at `place` has what was read of `position` where it was."""
    if place.size < max(position.offset, position.head[0]):
        return False
    if not position.head[0]:
        return True
    try:
        with opened(place) as source:
            return is_unchanged(source, position)
    except OSError:
        # It cannot be read now, which says nothing about what it is: its inode has to do.
        return place.key == (position.device, position.inode)


def is_unchanged(source: Any, position: Position) -> bool:
    """Whether the open file has what was read of `position` where it was. Asked after reading, it
    tells that nobody truncated the file meanwhile.
    """
    start = position.offset - position.tail[0]
    return (
        _digest(source, 0, position.head[0]) == position.head and
        _digest(source, start, position.tail[0]) == position.tail
    )


def is_copy(place: Place, position: Position) -> bool:
    """Whether the file at `place` is a copy of the one of `position`, made after it was last read:
    of what was there then, or, when it was empty, of how it begins now. Raises OSError.
    """
    if position.head[0]:
        if place.size < max(position.offset, position.head[0]):
            return False
        with opened(place) as source:
            return is_unchanged(source, position)
    original = place_of(position.path)
    if original is None or original.key == place.key:
        return False
    length = min(place.size, original.size, CHUNK_BYTES)
    with opened(place) as one, opened(original) as other:
        return length > 0 and _digest(one, 0, length) == _digest(other, 0, length)


def _digest(source: Any, start: int, length: int) -> Tuple[int, str]:
    content = os.pread(source.fileno(), length, start) if length else b""
    return len(content), hashlib.sha256(content).hexdigest()[:20] if content else ""


def _files_in(directory: str) -> List[Place]:
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if not is_compressed(entry.name):
                    place = place_of(entry.path)
                    found += [place] if place else []
    except OSError:
        return []
    return sorted(found, key=lambda place: place.changed_at, reverse=True)

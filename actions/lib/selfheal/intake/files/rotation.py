"""Which log files are followed: those of the last look found again wherever they have gone, their
rotations that nobody saw, and those that are new.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Set, Tuple

from selfheal.ids import new_id
from selfheal.intake.files import positions
from selfheal.intake.files.look import Look, cannot_be_read
from selfheal.intake.files.positions import Place, Position
from selfheal.intake.files.sources import Source

ROTATED_KEPT_S = 86400.0  # a program may write to its old file for long after a rotation


def find_again(look: Look, found: Sequence[Source]) -> None:
    """Where the files that were followed are now, and their rotations that nobody saw."""
    around = positions.Surroundings()
    claimed: Set[Tuple[int, int]] = set()
    kept: List[Position] = []
    rotated: List[Position] = []
    meant = [source.place for source in found]
    for position in look.files:
        place = positions.locate(position, around, meant, claimed)
        if place is None:  # a list of files that are just being renamed may lack some
            around = positions.Surroundings()
            place = positions.locate(position, around, meant, claimed)
        if place is None:
            kept += _missed(look, position)
            rotated.append(position)
            continue
        claimed.add(place.key)
        look.sizes[place.key] = place.size
        is_rotated = place.path != position.name
        if not position.head[0]:
            rotated.append(position)  # nothing says that this is still the file that it was
        elif place.path != position.path:
            rotated.append(position)
            look.notes.append("%s is now %s" % (position.path, place.path))
        position = replace(
            position,
            path=place.path,
            device=place.device,
            inode=place.inode,
            rotated_at=(position.rotated_at or look.now) if is_rotated else None,
            missed_at=None,
        )
        if is_rotated and _is_done_with(look, position, place):
            continue
        try:
            position = positions.with_head(position, place)
        except OSError as error:
            cannot_be_read(look, place.path, error)
        kept.append(position)
    for position in rotated:
        paths = {place.path for place in meant}
        kept += _unseen_rotations(look, position, around, claimed, paths, kept)
    look.files = kept


def _missed(look: Look, position: Position) -> List[Position]:
    """What is kept of a file that is nowhere: its position, until it was missed twice."""
    if position.missed_at is None:
        look.is_behind = True
        return [replace(position, missed_at=look.now)]
    if position.rotated_at is None:  # others were read to their end, and are deleted in time
        _note_gone(look, position)
    return []


def _note_gone(look: Look, position: Position) -> None:
    here = positions.place_of(position.path)
    what = "was truncated or overwritten" if here else "was deleted, moved away or compressed"
    look.notes.append(
        "%s %s: what was written to it after the last look is not known" % (position.path, what)
    )


def _is_done_with(look: Look, position: Position, place: Place) -> bool:
    quiet_s = look.now - max(position.read_at, position.rotated_at or look.now)
    return place.size <= position.offset and quiet_s > ROTATED_KEPT_S


def _unseen_rotations(
    look: Look,
    position: Position,
    around: positions.Surroundings,
    claimed: Set[Tuple[int, int]],
    followed: Set[str],
    kept: Sequence[Position],
) -> List[Position]:
    """Files that were begun and rotated since the last look, the oldest first."""
    unseen: List[Position] = []
    for place in reversed(around.siblings(position.name)):
        is_new = look.until is not None and place.changed_at > look.until
        if (
            is_new and
            place.size and
            place.key not in claimed and
            place.path not in followed and
            positions.is_rotation_of(place.path, position.name) and
            not _is_known(look, place, [position, *kept])
        ):
            begun = _begun(look, place, 0)
            if begun:
                claimed.add(place.key)
                unseen.append(replace(begun, name=position.name, rotated_at=look.now))
    return unseen


def _is_known(look: Look, place: Place, known: Sequence[Position]) -> bool:
    """Whether the file at `place` is a copy of one that is followed."""
    try:
        return any(positions.is_copy(place, position) for position in known)
    except OSError:  # it is being renamed: the next look knows
        look.is_behind = True
        return True


def adopt(look: Look, found: Sequence[Source]) -> None:
    """Begin with the files that are not followed yet."""
    claimed = {(one.device, one.inode) for one in look.files if one.missed_at is None}
    names = {one.name for one in look.files} | {
        str(value.get("name")) for value in (look.known or {}).get("files") or ()
    }
    patterns_before = set((look.known or {}).get("patterns") or ())
    is_from_start = bool(look.ctx.config.get("log_files.from_start"))
    for source in found:
        place = source.place
        if place.key in claimed:
            continue
        # A file that was there before we were asked to follow it has had its readers.
        is_new = place.path in names or bool(patterns_before.intersection(source.patterns))
        is_old = place.path in look.unread or not is_new
        begun = _begun(look, place, 0 if is_from_start or not is_old else place.size)
        if begun is None:
            if is_old:
                look.unread.add(place.path)
            continue
        look.unread.discard(place.path)
        claimed.add(place.key)
        look.files.append(begun)


def _begun(look: Look, place: Place, offset: int) -> Optional[Position]:
    try:
        return positions.begin(new_id("log", look.now), place, offset, look.now)
    except OSError as error:
        cannot_be_read(look, place.path, error)
        return None

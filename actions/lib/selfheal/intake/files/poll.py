"""Log files of the sensor's own machine, followed like tail -F into the parser of the documents.

How far each file was read is kept in one checkpoint per machine, moved after what was read is
stored and its incidents are. Killed anywhere, the next look reads some lines again, which changes
nothing: a line's id is made of its file's identity and its place in it. `log_rotation` knows files
again after a rotation, `log_lines` makes events of lines.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from selfheal.errors import watch
from selfheal.errors.unusual import unusual
from selfheal.incidents.dispatch import dispatch
from selfheal.intake import rejects
from selfheal.intake.documents.reading import NO_TIME, read
from selfheal.intake.files import positions
from selfheal.intake.files import sources as log_sources
from selfheal.intake.files.lines import Event, events
from selfheal.intake.files.look import Look, begin, cannot_be_read, save
from selfheal.intake.files.positions import Position
from selfheal.intake.files.rotation import adopt, find_again
from selfheal.intake.garbage import rarely_collected
from selfheal.text import printable

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.errors.book import ErrorBook, Stored
    from selfheal.errors.judge import Judge
    from selfheal.errors.record import Document

BATCH = 5000
BATCH_BYTES = 8 << 20
SETTLED_S = 2.0  # the rest of a stack trace is written within that
PARTIAL_S = 10.0  # a line that still has no newline then will not get one
_CLOCK_STEP_S = 60.0
_MAX_NOTES = 20


def poll_files(
    ctx: Context, judge: Judge, book: ErrorBook, state: Dict[str, Any]
) -> Dict[str, Any]:
    """Look once at every file of `log_files.paths`. `state` is the sensor's to keep between looks
    ({} at first); losing it costs nothing.

    Returns {"found": errors read, "new": stored, "rejected", "new_patterns", "raised": signals,
    "resolved", "incidents": opened or reopened, "dispatched", "waiting": counts, "files": followed,
    "behind": whether some was left for the next look, "shared": whether another sensor was at it,
    "checkpoint", "lag_s", "troubles": {path: why it is not read}, "notes": what happened to files,
    "error": the first failure to reach StackStorm}. Raises ConfigError, StoreError.
    """
    look = begin(ctx, judge, book, state)
    found, refused = log_sources.expand(look.patterns, [one.name for one in look.files])
    look.troubles.update(refused)
    find_again(look, found)
    adopt(look, found)
    if save(look, look.until):
        with rarely_collected():
            for position in list(look.files):
                if not _follow(look, position):
                    break
            _flush(look, is_last=True)
    return _result(look)


def _follow(look: Look, position: Position) -> bool:
    """Read on in one file. False when the look is over: time is up, or another sensor is at it."""
    place = None if position.missed_at else positions.place_of(position.path)
    if (
        place is None or
        place.key != (position.device, position.inode) or
        place.size < look.sizes.get(place.key, 0)
    ):
        look.is_behind = True  # it was rotated just now: the next look finds it again
        return True
    if place.size <= position.offset:
        return True
    if not position.head[0]:
        look.is_behind = True  # begun just now: what it is known by has to be kept first
        return True
    try:
        with positions.opened(place) as source:
            return _read_on(look, position, source)
    except OSError as error:
        cannot_be_read(look, position.path, error)
        look.is_cut_off = True
        return True


def _read_on(look: Look, position: Position, source: Any) -> bool:
    offset = position.offset
    is_over = False
    hits: List[Dict[str, Any]] = []
    for number, event in enumerate(events(source, offset, look.max_bytes), 1):
        if event.is_last and not _is_settled(look, source, event):
            look.held_back = True
            break
        offset = event.end
        if event.text and look.is_error(event.text):
            hits.append(_hit(position, event))
            look.size += len(event.text)
        if len(look.hits) + len(hits) >= BATCH or look.size >= BATCH_BYTES:
            position, hits = _reached(look, position, source, offset, hits), []
            if position.offset != offset or not _flush(look):
                return position.offset != offset
        if not number % 1000 and look.ctx.clock.monotonic() >= look.deadline:
            look.is_behind = is_over = True
            break
    _reached(look, position, source, offset, hits)
    return not is_over


def _reached(
    look: Look, position: Position, source: Any, offset: int, hits: List[Dict[str, Any]]
) -> Position:
    """Take the `hits` that were read up to `offset`; the position there. Of a file that was
    truncated meanwhile nothing is taken: the next look finds out what has become of it.
    """
    if offset == position.offset:
        return position
    after = positions.moved(position, source, offset, look.now)
    if not positions.is_unchanged(source, position):
        look.is_behind = True
        return position
    look.hits += hits
    look.files[look.files.index(position)] = after
    return after


def _is_settled(look: Look, source: Any, event: Event) -> bool:
    """Whether nothing more will be written to the last event of a file."""
    found = os.fstat(source.fileno())
    if found.st_size > event.end:
        return False
    quiet_s = look.ctx.clock.now() - found.st_mtime
    return not -_CLOCK_STEP_S < quiet_s < (SETTLED_S if event.is_whole else PARTIAL_S)


def _hit(position: Position, event: Event) -> Dict[str, Any]:
    """The event as the search would give it."""
    return {
        "_index": printable(position.name),
        "_id": "%s/%d" % (position.id, event.start),
        "_source": {
            "message": event.text,
            "log": {"file": {"path": printable(position.name)}, "offset": event.start},
        },
    }


def _flush(look: Look, is_last: bool = False) -> bool:
    """Store what was read, make incidents of it, ask for responses, keep the positions. False when
    another sensor has moved them meanwhile.
    """
    stored = _store(look)
    until = look.until
    if is_last and not (look.is_behind or look.is_cut_off):
        reached = look.now - (SETTLED_S if look.held_back else 0.0)
        until = reached if until is None else max(until, reached)
    # Nobody has looked at what is still to come, whatever a clock said that was set back since.
    looked_until = look.now if until is None else min(until, look.now)
    evaluated = watch.evaluate(look.ctx, look.reading.origin, looked_until)
    if stored:
        unusual(look.ctx, stored)
    started = dispatch(look.ctx)
    closing = dispatch(look.ctx, cleared=evaluated.cleared) if evaluated.cleared else started
    counts = look.counts
    counts["raised"] += evaluated.raised
    counts["resolved"] += evaluated.resolved
    counts["incidents"] += len(evaluated.incidents)
    counts["dispatched"] += len(started["dispatched"])
    counts["waiting"] = closing["waiting"]
    counts["error"] = counts["error"] or started["error"] or closing["error"]
    return save(look, look.until if counts["error"] else until)


def _store(look: Look) -> Optional[Stored]:
    """Store the events read so far, if there are any. Raises StoreError; then none of them is."""
    hits, look.hits, look.size = look.hits, [], 0
    if not hits:
        return None
    documents = [_completed(look, read(hit, look.reading), hit) for hit in hits]
    stored = look.book.store([(document, look.judge.judge(document)) for document in documents])
    rejected = [
        (document.document_id, document.trouble, hit)
        for document, hit in zip(documents, hits)
        if document.trouble
    ]
    rejects.record_once(look.ctx.store, look.reading.origin, rejected)
    look.counts["found"] += len(hits)
    look.counts["new"] += stored.new
    look.counts["rejected"] += len(rejected)
    look.counts["new_patterns"] += len(stored.new_patterns)
    return stored


def _completed(look: Look, document: Document, hit: Dict[str, Any]) -> Document:
    """What the line itself does not say, but its file does."""
    return document._replace(
        host=document.host or look.machine,
        program=document.program or log_sources.program_of(hit["_index"]),
        trouble="" if document.trouble == NO_TIME else document.trouble,
    )


def _result(look: Look) -> Dict[str, Any]:
    for note in look.notes[:_MAX_NOTES]:
        look.ctx.log.warning("log files: %s", note)
    until = look.now if look.until is None else look.until
    return {
        **look.counts,
        "files": sum(1 for one in look.files if one.rotated_at is None and not one.missed_at),
        "behind": look.is_behind,
        "shared": look.is_shared,
        "checkpoint": until,
        "lag_s": max(0.0, round(look.ctx.clock.now() - until, 3)),
        "troubles": dict(sorted(look.troubles.items())),
        "notes": look.notes[:_MAX_NOTES],
    }

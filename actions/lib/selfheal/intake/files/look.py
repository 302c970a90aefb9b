"""One look at the log files of this machine: what is known of them, and how far each was read.

The checkpoint is one row per machine. It is moved only from the state that it was read in, so of
two sensors at the same files one goes on and the other leaves them alone.
"""

from __future__ import annotations

import os
import time
from dataclasses import field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set, Tuple

from selfheal.errors import keywords
from selfheal.intake.documents.reading import Reading
from selfheal.intake.files import positions
from selfheal.intake.files.positions import Position
from selfheal.records import dataclass
from selfheal.store import checkpoints
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.errors.book import ErrorBook
    from selfheal.errors.judge import Judge

TIME_SHARE = 0.8


@dataclass
class Look:
    """One poll under way. `known` is the checkpoint as it was read or written last."""

    ctx: Context
    judge: Judge
    book: ErrorBook
    machine: str
    is_error: Callable[[str], bool]
    reading: Reading
    max_bytes: int
    deadline: float
    known: Optional[Dict[str, Any]]
    files: List[Position] = field(default_factory=list)
    patterns: List[str] = field(default_factory=list)
    unread: Set[str] = field(default_factory=set)
    troubles: Dict[str, str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)
    sizes: Dict[Tuple[int, int], int] = field(default_factory=dict)
    hits: List[Dict[str, Any]] = field(default_factory=list)
    size: int = 0
    held_back: bool = False
    is_behind: bool = False
    is_cut_off: bool = False
    is_shared: bool = False
    counts: Dict[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """When the look began."""
        return self.reading.now

    @property
    def until(self) -> Optional[float]:
        """Until when the files were looked at, by the checkpoint."""
        return checkpoints.number(self.known, "until")


def origin_of(machine: str) -> str:
    """What the documents of a machine's log files have as their origin, and the name of its
    checkpoint.
    """
    return "files:%s" % machine


def machine_name() -> str:
    """This machine, as its documents name it where they do not say so themselves."""
    return one_line(os.uname().nodename, 253) or "localhost"


def begin(ctx: Context, judge: Judge, book: ErrorBook, state: Dict[str, Any]) -> Look:
    """The look that begins now, from where the checkpoint says. Raises ConfigError, StoreError."""
    words = tuple(ctx.config.get("log_files.keywords") or ())
    if state.get("keywords") != words or "is_error" not in state:
        state.update(keywords=words, is_error=keywords.matcher(words))
    machine = machine_name()
    look = Look(
        ctx,
        judge,
        book,
        machine,
        state["is_error"],
        _reading(machine, ctx.clock.now()),
        max(1024, int(ctx.config.number("log_files.max_line_bytes"))),
        ctx.clock.monotonic() + TIME_SHARE * ctx.config.number("monitoring.check_interval"),
        known_of(ctx, machine),
        patterns=[str(path) for path in ctx.config.get("log_files.paths") or ()],
        counts={
            **dict.fromkeys(("found", "new", "rejected", "new_patterns"), 0),
            **dict.fromkeys(("raised", "resolved", "incidents", "dispatched", "waiting"), 0),
            "error": "",
        },
    )
    known = look.known or {}
    look.unread = {str(path) for path in known.get("unread") or ()}
    for value in known.get("files") or ():
        try:
            look.files.append(positions.from_json(value))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            look.notes.append("a position could not be read and is forgotten: %s" % error)
    return look


def _reading(machine: str, now: float) -> Reading:
    """Lines that name no time zone mean this machine's."""
    return Reading(
        origin=origin_of(machine), now=now, utc_offset_s=float(time.localtime(now).tm_gmtoff)
    )


def known_of(ctx: Context, machine: str) -> Optional[Dict[str, Any]]:
    """The checkpoint of `machine`, None where there is none yet."""
    value = checkpoints.read(ctx.store, origin_of(machine))
    return value if isinstance(value, dict) else None


def cannot_be_read(look: Look, path: str, error: OSError) -> None:
    """Note why the file at `path` is left out of this look."""
    if isinstance(error, positions.Moved):
        look.is_behind = True
        return
    advice = ""
    if isinstance(error, PermissionError):
        advice = "; let the user of the sensor (st2) read it, for example by its group"
    look.troubles[path] = "cannot be read: %s%s" % (error.strerror or error, advice)


def save(look: Look, until: Optional[float]) -> bool:
    """Keep how far all files were read, unless another sensor has done so since we looked."""
    store = look.ctx.store
    value: Dict[str, Any] = {
        "looked_at": look.ctx.clock.now(),
        "patterns": look.patterns,
        "unread": sorted(look.unread),
        "files": [position.as_json() for position in look.files],
    }
    if until is not None:
        value["until"] = until
    with store.transaction("checkpoints"):
        if known_of(look.ctx, look.machine) != look.known:
            look.is_shared = look.is_behind = True
            return False
        checkpoints.write(store, look.reading.origin, value)
        look.known = known_of(look.ctx, look.machine)
    return True

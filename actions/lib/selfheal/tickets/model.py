"""What a ticket is to the pack, whichever tracker keeps it, and what a tracker must be able to do.

A tracker writes at once and idempotently as far as its system allows; when to write, in which order
and how often is decided above it. `ref` is the identifier that never changes (sys_id, numeric issue
id), `number` what people say (INC0010023, OPS-17).
"""

from __future__ import annotations

from dataclasses import field
from typing import Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from selfheal.document import Document
from selfheal.records import dataclass

OPEN = "open"
IN_PROGRESS = "in_progress"
RESOLVED = "resolved"
CLOSED = "closed"
CANCELLED = "cancelled"
STATES = (OPEN, IN_PROGRESS, RESOLVED, CLOSED, CANCELLED)
DONE = (RESOLVED, CLOSED, CANCELLED)
SEVERITIES = ("critical", "error", "warning", "info")
STATE, ASSIGNEE = "state", "assignee"  # what a tracker may be asked the author of


@dataclass(frozen=True)
class Draft:
    """A ticket to be made. `correlation` is never empty: by it the ticket is found again. `labels`
    are the incident's, for rules that choose a group or project by them.
    """

    correlation: str
    incident_id: str
    title: str
    severity: str
    body: Document
    fingerprint: str = ""
    category: str = ""
    component: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A ticket as its tracker shows it now. `state` is one of STATES, `raw_state` the tracker's own
    word. `kind` is its table or issue type, `updated_by` who changed it last (empty: not told).
    `assigned_by` is known only where somebody asked for it, `is_assigned_by_machine` with it.
    """

    ref: str
    number: str
    url: str
    state: str
    raw_state: str = ""
    assignee: str = ""
    kind: str = ""
    severity: str = ""
    updated_by: str = ""
    updated_at: Optional[float] = None
    assigned_by: str = ""
    is_assigned_by_machine: bool = False


@dataclass(frozen=True)
class Author:
    """Who did something to a ticket: all the names by which settings may mean them, the one that
    people read first. `is_us` is our own user, `is_machine` one that the tracker itself says is no
    person.
    """

    names: Tuple[str, ...]
    is_us: bool = False
    is_machine: bool = False


class Tracker(Protocol):
    """One configured tracker. Methods raise Missing (see selfheal.exceptions.NotFound) for a ticket
    that is gone, ConfigError for what the settings must mend, ExternalError for what may pass.
    """

    @property
    def name(self) -> str:
        """Such as servicenow.default."""

    def find(self, correlation: str) -> List[Ticket]:
        """All tickets with exactly this correlation id, the oldest first."""

    def create(self, draft: Draft) -> Ticket:
        """Make a ticket. Does not look whether there is one: `find` does; what did not fit into it
        `complete` adds.
        """

    def complete(self, ref: str, draft: Draft) -> None:
        """Attach the whole of a draft's text that the ticket cannot hold, once; nothing where it
        can.
        """

    def read(self, refs: Sequence[str]) -> Dict[str, Ticket]:
        """The tickets by ref as they are now; one that is not in it is gone, or not shown to us
        (see `sees`).
        """

    def sees(self, refs: Sequence[str]) -> bool:
        """Whether what is not shown is not there: asked when tickets (`refs`) are missing. False
        when nothing speaks for or against it. Raises ConfigError when another setting or right
        would show them.
        """

    def author(self, ref: str, what: str) -> Optional[Author]:
        """Who brought the ticket to its present STATE, or gave it to its present ASSIGNEE; None
        when the tracker does not tell.
        """

    def comment(self, ref: str, body: Document, mark: str) -> None:
        """Add a comment that can be found again by `mark`."""

    def has_comment(self, ref: str, mark: str) -> bool:
        """Whether the ticket has the comment with that mark."""

    def set_severity(self, ref: str, severity: str) -> None:
        """Let the priority follow. Doing it twice changes nothing."""

    def resolve(self, ref: str, body: Document, resolved_at: float) -> None:
        """Bring the ticket to its resolved state, as the tracker's workflow allows. Nothing happens
        to one that is there.
        """

    def reopen(self, ref: str, body: Document) -> None:
        """Bring a resolved ticket back to work. Nothing happens to one that is open."""

    def link(self, ref: str, other: Ticket, words: str) -> None:
        """Say that the two belong together, once."""

    def attach(self, ref: str, name: str, content: bytes, media_type: str) -> None:
        """Attach a file; one of that name that is there already stays, and none is added."""

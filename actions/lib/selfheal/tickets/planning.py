"""What a tracker is to be told next of an incident: the letters, and what is known of its ticket
once they are posted.

A pure function of the ticket, the incident and the events that were not told yet. Nothing is told
twice, as what was told is part of the ticket; nothing is lost, as it is worked out anew until it is
stored together with the letters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

from selfheal.document import Document, text
from selfheal.records import dataclass
from selfheal.tickets import links, stages
from selfheal.tickets.links import Link
from selfheal.tickets.stages import Event

CREATE = "create"
COMMENT = "comment"
SEVERITY = "severity"
RESOLVE = "resolve"
REOPEN = "reopen"
LINK = "link"
ATTACH = "attach"

# What makes a ticket, by the words of `tickets.open_for`.
OPENERS: Dict[str, Tuple[str, ...]] = {
    "ticketed": (stages.TICKETED,),
    "escalated": (stages.ESCALATED,),
    "remediating": (stages.STARTED,),
    "all": ("dispatched", stages.ANALYZED, "observed", stages.STARTED),
}


@dataclass(frozen=True)
class Rules:
    """The settings: which kinds of events make a ticket, whether those that people were told of
    with another incident's message do, seconds in which a ticket is reopened, and so on.
    """

    openers: FrozenSet[str]
    is_folded_told: bool
    reopen_s: float
    resolves: bool
    attaches: bool


@dataclass(frozen=True)
class Case:
    """The incident: how often it was reopened, its severity, whether it is over, and its events in
    order, with at least those of this opening and those that the ticket does not know yet. `head`
    is the number of the last.
    """

    incident_id: str
    severity: str
    reopened: int
    is_over: bool
    is_dry: bool
    events: Sequence[Event]
    head: int

    def opening_of(self, event: Event) -> int:
        """In which opening it happened."""
        after = sum(
            1 for one in self.events if one.kind == stages.REOPENED and one.link > event.link
        )
        return self.reopened - after


@dataclass(frozen=True)
class Letter:
    """What to do with the ticket `link_id`; `key` makes it the only one of its kind. `event` is the
    number of the event that it tells, `before` (of a reopening) the opening that the ticket was of.
    """

    link_id: str
    op: str
    key: str
    event: int = 0
    body: Document = ()
    at: float = 0.0
    before: int = 0


@dataclass(frozen=True)
class Course:
    """The tickets as they are to be stored (`made` are new), and the letters to post, in order."""

    made: Sequence[Link]
    changed: Sequence[Link]
    letters: Sequence[Letter]


def rules_of(
    open_for: Sequence[str], reopen_minutes: float, resolves: bool, attaches: bool
) -> Rules:
    """The rules of section `tickets`. A word that is none of OPENERS makes no ticket; what is
    handed over as a ticket always does.
    """
    chosen = [kind for word in ("ticketed", *open_for) for kind in OPENERS.get(word, ())]
    if "all" in open_for:
        chosen += [kind for kinds in OPENERS.values() for kind in kinds]
    is_folded_told = "all" in open_for
    return Rules(frozenset(chosen), is_folded_told, reopen_minutes * 60.0, resolves, attaches)


def plan(
    case: Case,
    tracker: str,
    link: Optional[Link],
    rules: Rules,
    new: Callable[[int], Link],
) -> Course:
    """What `tracker` is to be told of the incident, given its present ticket there. `new` makes the
    ticket of an opening, not stored yet.
    """
    course = _Course(case, link, rules, new)
    is_over = link is not None and not link.is_ours and link.opening < case.reopened
    told = -1 if link is None or is_over else link.told
    for event in case.events:
        if event.link > told:
            course.take(event)
    return course.end()


class _Course:
    def __init__(
        self, case: Case, link: Optional[Link], rules: Rules, new: Callable[[int], Link]
    ) -> None:
        self._case, self._rules, self._new = case, rules, new
        self._link = self._first = link
        self._is_made = False
        self._changed: List[Link] = []
        self._letters: List[Letter] = []

    def take(self, event: Event) -> None:
        """Go on with the next event that was not told."""
        opening, link = self._case.opening_of(event), self._link
        if link is None or (link.opening < opening and event.kind != stages.REOPENED):
            if opening == self._case.reopened and self._opens(event):
                self._create(event)
        elif not link.is_ours:
            return  # people have it, or nobody
        elif event.kind == stages.REOPENED:
            self._reopen(link, event, opening)
        elif event.kind == stages.RESOLVED:
            self._resolve(link, event, opening)
        elif stages.is_told(event):
            self._comment(event, stages.comment(event))

    def end(self) -> Course:
        """All that is to be stored."""
        link = self._link
        if link is None:
            return Course((), (), ())
        is_told = link.is_ours and link.wanted == links.OPEN and not self._case.is_over
        if is_told and link.severity != self._case.severity:
            words = stages.severity(link.severity, self._case.severity)
            key = "%d:%s" % (self._case.head, self._case.severity)
            self._post(COMMENT, "severity:%s:comment" % key, self._case.head, words)
            self._post(SEVERITY, "severity:%s" % key, self._case.head)
            self._link = link = replace(link, severity=self._case.severity)
        link = replace(link, told=max(link.told, self._case.head))
        changed = [*self._changed, *(() if self._is_made or link == self._first else (link,))]
        return Course((link,) if self._is_made else (), changed, self._letters)

    def _opens(self, event: Event) -> bool:
        if self._case.is_dry and event.kind != stages.TICKETED:
            return False
        is_folded = bool(event.data.get("folded")) and not self._rules.is_folded_told
        return event.kind in self._rules.openers and not is_folded

    def _create(self, event: Event) -> None:
        previous = self._link
        made = self._new(self._case.reopened)
        if previous is not None:
            made = replace(made, previous=previous.id)
            self._changed += [] if previous == self._first else [previous]
        self._link = made = replace(made, severity=self._case.severity)
        self._is_made = True
        self._post(CREATE, CREATE, event.link)
        if made.previous:
            self._post(LINK, LINK, event.link)
        earlier = [one for one in self._opening() if one.link <= event.link]
        found = [one for one in earlier if one.kind == stages.ANALYZED]
        for one in found[-1:]:
            self._post(COMMENT, "%d:found" % one.link, one.link, stages.comment(one))
        so_far = stages.before([one for one in earlier if one.link != event.link])
        if so_far:
            self._post(COMMENT, "%d:before" % event.link, event.link, so_far)

    def _opening(self) -> List[Event]:
        return [
            one for one in self._case.events if self._case.opening_of(one) == self._case.reopened
        ]

    def _comment(self, event: Event, body: Document) -> None:
        self._post(COMMENT, "%d" % event.link, event.link, body)

    def _reopen(self, link: Link, event: Event, opening: int) -> None:
        if link.wanted != links.RESOLVED:
            self._comment(event, stages.comment(event))
            self._link = replace(link, opening=opening)
            return
        since = event.at - (link.resolved_at or 0.0)
        if since > self._rules.reopen_s:
            return  # the next thing that makes a ticket makes a new one, linked to this
        words = stages.comment(event)
        self._post(REOPEN, "%d:reopen" % event.link, event.link, words, event.at, link.opening)
        self._comment(event, words)
        self._link = replace(link, opening=opening, wanted=links.OPEN)

    def _resolve(self, link: Link, event: Event, opening: int) -> None:
        if link.wanted == links.RESOLVED:
            return
        happened = [one for one in self._case.events if self._case.opening_of(one) == opening]
        happened = [one for one in happened if one.link <= event.link]
        if self._rules.attaches:
            self._post(ATTACH, "%d:attach" % event.link, event.link)
        body = stages.resolution(event, happened)
        if not self._rules.resolves:
            body = (*body, text("This ticket is left for you to close (tickets.resolve is false)."))
        self._comment(event, body)
        if self._rules.resolves:
            words = stages.closing(event, happened)
            self._post(RESOLVE, "%d:resolve" % event.link, event.link, words, event.at)
            self._link = replace(link, wanted=links.RESOLVED, resolved_at=event.at)

    def _post(
        self,
        op: str,
        key: str,
        event: int,
        body: Document = (),
        at: float = 0.0,
        before: int = 0,
    ) -> None:
        link_id = self._link.id if self._link else ""
        letter = Letter(link_id, op, "%s:%s" % (link_id, key), event, body, at, before)
        self._letters.append(letter)

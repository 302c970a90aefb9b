"""Which entries of an incident's timeline a ticket tells, and in which words.

Pure functions of the entries. Text in them is from outside: it is kept on its line here, and
escaped by whoever writes it into a tracker.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from selfheal.document import Block, Document, bullets, heading, text
from selfheal.records import dataclass
from selfheal.text import counted, iso, one_line

_MOST = 30
_LINE = 500
TICKETED = "ticketed"
ESCALATED = "escalated"
REOPENED = "reopened"
RESOLVED = "resolved"
ANALYZED = "analyzed"
STARTED = "remediation_started"
FINISHED = "remediation_finished"


@dataclass(frozen=True)
class Event:
    """One entry of the timeline; `link` is its number in the incident's chain."""

    link: int
    at: float
    kind: str
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


def is_told(event: Event) -> bool:
    """Whether a ticket tells it as a comment of its own."""
    words = _TOLD.get(event.kind)
    return words is not None and not (event.kind in _UNLESS and _UNLESS[event.kind](event))


def comment(event: Event) -> Document:
    """What a ticket says of an event that is told."""
    title, body = _TOLD[event.kind]
    return (heading("%s (%s)" % (title, _clock(event.at))), *body(event))


def before(events: Sequence[Event]) -> Document:
    """One comment of what happened before there was the ticket, without what the analysis found."""
    lines = [
        "%s: %s" % (_TOLD[event.kind][0], one_line(event.message, _LINE))
        for event in events
        if is_told(event) and event.kind != ANALYZED
    ]
    if not lines:
        return ()
    return heading("What was done before this ticket"), bullets(lines[-_MOST:])


def resolution(event: Event, opening: Sequence[Event]) -> Document:
    """The last comment: how it ended, what was done and what proves it. `opening` is all that
    happened since the incident was opened, or opened again.
    """
    return (
        heading("Resolved (%s)" % _clock(event.at)),
        text(_sentence(event.message), "Resolution: %s" % event.data.get("resolution")),
        *_evidence(opening),
    )


def closing(event: Event, opening: Sequence[Event]) -> Document:
    """The same in a few lines, for the field that trackers keep for it."""
    done = [one_line(one.message, 300) for one in opening if one.kind in (FINISHED, "verified")]
    return (text(_sentence(event.message), *(_sentence(line) for line in done[-6:])),)


def severity(before_it: str, now: str) -> Document:
    """The severity has changed."""
    return (
        heading("Severity: %s" % one_line(now, 40)),
        text("It was %s." % one_line(before_it, 40)),
    )


def told_kinds() -> Tuple[str, ...]:
    """The kinds of events that are told, in the order of an incident's life."""
    return tuple(_TOLD)


def _evidence(opening: Sequence[Event]) -> List[Block]:
    blocks: List[Block] = []
    done = [one for one in opening if one.kind == FINISHED and is_told(one)]
    for one in done[-5:]:
        blocks += [text("Done: %s" % one_line(one.message, _LINE)), *_steps(one)]
    proven = [one for one in opening if one.kind == "verified"]
    for one in proven[-1:]:
        blocks += [text("Proof: %s" % one_line(one.message, _LINE)), *_checks(one)]
    return blocks or [text("Nothing was done by selfheal.")]


def _message(event: Event) -> List[Block]:
    return [text(_sentence(event.message))]


def _found(event: Event) -> List[Block]:
    found = [
        one_line("%s: %s" % (one.get("what"), one.get("found")), _LINE)
        for one in _maps(event, "evidence")
    ]
    return [text(_sentence(event.message)), *_list(found)]


def _decided(event: Event) -> List[Block]:
    reasons = [one_line(str(one), _LINE) for one in _items(event, "reasons")]
    lines = ["Decision: %s" % event.data.get("strategy")] if reasons else [event.message]
    if event.data.get("risk"):
        risk = "Risk of the plan: %s, confidence %s"
        lines.append(risk % (event.data.get("risk"), event.data.get("confidence")))
    forbidden = [
        one_line("forbidden by %s: %s" % (one.get("rule"), one.get("reason")), _LINE)
        for one in _maps(event, "objections")
    ]
    return [text(*lines), *_list([*reasons, *forbidden])]


def _steps(event: Event) -> List[Block]:
    return _list(
        [
            one_line("step %s: %s" % (one.get("name"), one.get("status")), _LINE)
            for one in _maps(event, "steps")
        ]
    )


def _done(event: Event) -> List[Block]:
    return [text(_sentence(event.message)), *_steps(event)]


def _checks(event: Event) -> List[Block]:
    return _list(
        [
            one_line(
                "%s: %s (%s)"
                % (
                    one.get("asked"),
                    one.get("answer"),
                    "healthy" if one.get("healthy") else "NOT healthy",
                ),
                _LINE,
            )
            for one in _maps(event, "checks")
        ]
    )


def _verified(event: Event) -> List[Block]:
    return [text(_sentence(event.message)), *_checks(event)]


def _list(lines: Sequence[str]) -> List[Block]:
    if not lines:
        return []
    more = len(lines) - _MOST
    kept = [*lines[:_MOST], "and %s" % counted(more, "more")] if more > 0 else lines
    return [bullets(kept)]


def _maps(event: Event, key: str) -> List[Mapping[str, Any]]:
    return [one for one in _items(event, key) if isinstance(one, Mapping)]


def _items(event: Event, key: str) -> Sequence[Any]:
    value = event.data.get(key)
    return value if isinstance(value, list) else []


def _sentence(words: str) -> str:
    line = one_line(words, 1000)
    line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?", "…")) else line + "."


def _clock(at: float) -> str:
    return iso(at)[:19].replace("T", " ") + " UTC"


# kind of event: (heading of the comment, its body), in the order of an incident's life
_TOLD: Dict[str, Tuple[str, Callable[[Event], List[Block]]]] = {
    ANALYZED: ("Diagnostics", _found),
    "cause_changed": ("Another cause", _message),
    "decided": ("Decision", _decided),
    "runbook_chosen": ("A person chose a runbook", _message),
    "approval_requested": ("A person is asked", _message),
    "approval_approved": ("Approved", _message),
    "approval_rejected": ("Rejected", _message),
    "approval_expired": ("Nobody answered", _message),
    STARTED: ("Remediation started", _message),
    FINISHED: ("Remediation finished", _done),
    "remediation_refused": ("Remediation refused", _message),
    "remediation_cleared": ("Nothing was done", _message),
    "undo_finished": ("Undone", _message),
    "verified": ("Verified", _verified),
    "not_verified": ("Not verified", _verified),
    ESCALATED: ("Escalated", _message),
    TICKETED: ("Handed over", _message),
    "acknowledged": ("Acknowledged", _message),
    "response_died": ("The response died", _message),
    REOPENED: ("The cause is back", _message),
}
# What is told only where it is news.
_UNLESS: Dict[str, Callable[[Event], bool]] = {
    FINISHED: lambda event: event.data.get("outcome") == "refused",  # it was told as refused
    "undo_finished": lambda event: not (event.data.get("undone") or event.data.get("failed")),
}

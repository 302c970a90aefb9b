"""Carries to ServiceNow what a person asked for by hand: make a ticket, change it, add a note,
resolve, reopen, attach.

Each operation may be carried twice and is seen once: a ticket is looked for by its correlation id
first, a note by its letter's id, a file by its name; the rest writes the same values again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping

from selfheal import document
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.outbox.carrying import Letter
from selfheal.tickets import servicenow, servicenow_draft, trackers
from selfheal.tickets.model import Draft, Ticket
from selfheal.tickets.wishes import asked_of, comment_once, content_of

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.tickets.servicenow import ServiceNow

Answer = Dict[str, Any]
NUMBER = re.compile(r"[A-Z]{2,10}[0-9]{3,15}\Z")


def SERVICE(letter: Letter) -> str:
    """The circuit breaker of the letter's instance."""
    return "servicenow.%s" % letter.target


def problem(ctx: Context, target: str) -> str:
    """Why there is nowhere to write to, or empty."""
    return trackers.nowhere(ctx.config, "servicenow.%s" % target)


def carry(ctx: Context, letter: Letter) -> Answer:
    """Do what the letter asks; the ticket as it is then (see `told`). Raises as carriers do."""
    operation = asked_of(letter, _OPERATIONS)
    return operation(servicenow.tracker(ctx, letter.target), letter)


def told(ticket: Ticket, **more: Any) -> Answer:
    """A ticket as results show it."""
    return {
        "number": ticket.number,
        "sys_id": ticket.ref,
        "url": ticket.url,
        "state": ticket.state,
        "assignee": ticket.assignee,
        "severity": ticket.severity,
        **more,
    }


def named(tracker: ServiceNow, ticket: str) -> Ticket:
    """The ticket by its number or sys_id. Raises NotFound."""
    if NUMBER.match(ticket):
        found = tracker.by_number(ticket)
    else:
        found = tracker.read([ticket]).get(ticket)
    if found is None:
        raise NotFound(
            "%s has no ticket %s: give its number, such as INC0010023, or its sys_id"
            % (tracker.name, ticket)
        )
    return found


def _create(tracker: ServiceNow, letter: Letter) -> Answer:
    payload = letter.payload
    correlation = str(payload["correlation_id"])
    draft = Draft(
        correlation=correlation,
        incident_id="",
        title=str(payload["title"]),
        severity=str(payload["severity"]),
        body=_document(str(payload["description"])),
        fingerprint=str(payload["fingerprint"]),
    )
    there = tracker.find(correlation)
    if there:
        if letter.may_have_arrived:  # else somebody else has made it
            tracker.complete_if_possible(there[0].ref, draft)
        return told(there[0], created=False, correlation_id=correlation)
    ticket = tracker.create(
        draft,
        chosen=payload["chosen"],
        more=payload["fields"],
        work_notes=str(payload["work_notes"]),
    )
    tracker.complete_if_possible(ticket.ref, draft)
    return told(ticket, created=True, correlation_id=correlation)


def _update(tracker: ServiceNow, letter: Letter) -> Answer:
    payload = letter.payload
    ticket = named(tracker, str(payload["ticket"]))
    notes: List[str] = []
    said = {name: str(text) for name, text in payload["said"].items()}
    if said.get("assignment_group"):
        said["assignment_group"] = servicenow_draft.group(
            said["assignment_group"], tracker.client, notes
        )
    values = {**payload["fields"], **servicenow_draft.fitted(said, tracker.settings)}
    if payload["severity"]:
        values.update(servicenow_draft.level(str(payload["severity"]), tracker.settings))
    if notes:
        raise InvalidInput(" ".join(notes))
    if values:
        tracker.change(ticket.ref, values)
    return told(tracker.read([ticket.ref]).get(ticket.ref, ticket), changed=sorted(values))


def _work_note(tracker: ServiceNow, letter: Letter) -> Answer:
    ticket = named(tracker, str(letter.payload["ticket"]))
    comment_once(tracker, ticket.ref, _document(str(letter.payload["text"])), letter)
    return told(ticket)


def _resolve(tracker: ServiceNow, letter: Letter) -> Answer:
    payload = letter.payload
    ticket = named(tracker, str(payload["ticket"]))
    body = _document(str(payload["notes"]))
    tracker.resolve(ticket.ref, body, letter.created_at, close_code=str(payload["close_code"]))
    return told(tracker.read([ticket.ref]).get(ticket.ref, ticket))


def _reopen(tracker: ServiceNow, letter: Letter) -> Answer:
    ticket = named(tracker, str(letter.payload["ticket"]))
    tracker.reopen(ticket.ref, ())
    if letter.payload["reason"]:
        comment_once(tracker, ticket.ref, _document(str(letter.payload["reason"])), letter)
    return told(tracker.read([ticket.ref]).get(ticket.ref, ticket))


def _attach(tracker: ServiceNow, letter: Letter) -> Answer:
    payload = letter.payload
    ticket = named(tracker, str(payload["ticket"]))
    content = content_of(payload)
    tracker.attach(ticket.ref, str(payload["name"]), content, str(payload["media_type"]))
    return told(ticket, attached=str(payload["name"]), size=len(content))


def _document(text: str) -> document.Document:
    return (document.Block(document.TEXT, tuple(text.splitlines())),)


_OPERATIONS: Mapping[str, Callable[[Any, Letter], Answer]] = {
    "create": _create,
    "update": _update,
    "work_note": _work_note,
    "resolve": _resolve,
    "reopen": _reopen,
    "attach": _attach,
}

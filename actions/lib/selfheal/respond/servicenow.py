"""ServiceNow by a person's hand: make, change, resolve, reopen, find and read tickets, add notes
and files.

What writes goes through the outbox and is answered at once when ServiceNow is there; when it cannot
be reached the wish is kept and carried later, once. What reads asks ServiceNow itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, TypeVar

from selfheal.apis.servicenow.client import is_sys_id
from selfheal.breakers import service
from selfheal.exceptions import InvalidInput
from selfheal.ids import new_id
from selfheal.respond import wishing
from selfheal.text import one_line
from selfheal.tickets import servicenow, servicenow_draft, servicenow_settings
from selfheal.tickets.servicenow_carrier import NUMBER, named, told

if TYPE_CHECKING:
    from selfheal.apis.servicenow.query import Condition
    from selfheal.context import Context
    from selfheal.tickets.servicenow import ServiceNow

T = TypeVar("T")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,79}\Z")
_NOT_BY_HAND = re.compile(r"sys_|correlation_id\Z|work_notes\Z|comments\Z")
_STATES = servicenow_settings.NAMES["states"]


def servicenow_create_incident(
    ctx: Context,
    title: str,
    description: str = "",
    severity: str = "warning",
    correlation_id: str = "",
    assignment_group: str = "",
    category: str = "",
    subcategory: str = "",
    caller: str = "",
    fingerprint: str = "",
    work_notes: str = "",
    fields: Optional[Mapping[str, Any]] = None,
    target: str = "default",
) -> Dict[str, Any]:
    """Make a ticket, unless one with this correlation id is there. Without one the execution's own
    id is taken.

    Returns {"number", "sys_id", "url", "state", "created", "correlation_id", "delivered", "waits",
    "outbox_id", "summary"}.
    """
    correlation = correlation_id or ctx.run_id or new_id("hand", ctx.clock.now())
    payload = {
        "op": "create",
        "correlation_id": correlation,
        "title": wishing.words("title", title),
        "description": description,
        "severity": severity,
        "fingerprint": fingerprint,
        "work_notes": work_notes,
        "chosen": {
            "assignment_group": assignment_group,
            "category": category,
            "subcategory": subcategory,
            "caller": caller,
        },
        "fields": _fields(fields),
    }
    return _write(ctx, target, "create:%s" % correlation, payload, "made")


def servicenow_update_incident(
    ctx: Context,
    ticket: str,
    title: str = "",
    description: str = "",
    severity: str = "",
    assignment_group: str = "",
    fields: Optional[Mapping[str, Any]] = None,
    target: str = "default",
) -> Dict[str, Any]:
    """Change what is given, and nothing else. Returns as servicenow_create_incident, with
    "changed", the names of the fields.
    """
    said = {
        "short_description": title,
        "description": description,
        "assignment_group": assignment_group,
    }
    payload = {
        "op": "update",
        "ticket": _ticket(ticket),
        "said": {name: text for name, text in said.items() if text.strip()},
        "severity": severity,
        "fields": _fields(fields),
    }
    if not (payload["said"] or severity or payload["fields"]):
        raise InvalidInput("nothing is to be changed: give title, severity or fields")
    return _write(ctx, target, ticket, payload, "changed")


def servicenow_add_work_note(
    ctx: Context, ticket: str, text: str, target: str = "default"
) -> Dict[str, Any]:
    """Add one work note, once. Returns as servicenow_create_incident."""
    payload = {"op": "work_note", "ticket": _ticket(ticket), "text": wishing.words("text", text)}
    return _write(ctx, target, ticket, payload, "noted")


def servicenow_resolve_incident(
    ctx: Context, ticket: str, notes: str, close_code: str = "", target: str = "default"
) -> Dict[str, Any]:
    """Resolve a ticket with resolution code, notes and time. Returns as
    servicenow_create_incident.
    """
    payload = {
        "op": "resolve",
        "ticket": _ticket(ticket),
        "notes": wishing.words("notes", notes),
        "close_code": close_code,
    }
    return _write(ctx, target, ticket, payload, "resolved")


def servicenow_reopen_incident(
    ctx: Context, ticket: str, reason: str = "", target: str = "default"
) -> Dict[str, Any]:
    """Bring a resolved ticket back to work. Returns as servicenow_create_incident."""
    payload = {"op": "reopen", "ticket": _ticket(ticket), "reason": reason}
    return _write(ctx, target, ticket, payload, "reopened")


def servicenow_attach(
    ctx: Context,
    ticket: str,
    name: str = "",
    content: str = "",
    incident_id: str = "",
    target: str = "default",
) -> Dict[str, Any]:
    """Attach a text as a file, or the report of one of our incidents. A file of that name that is
    there stays. Returns as servicenow_create_incident.
    """
    kept = wishing.file(ctx, one_line(name, 100), content, incident_id)
    payload = {**kept, "op": "attach", "ticket": _ticket(ticket)}
    return _write(ctx, target, ticket, payload, "given a file")


def servicenow_get_incident(ctx: Context, ticket: str, target: str = "default") -> Dict[str, Any]:
    """A ticket as it is now: {"number", "sys_id", "url", "state", "raw_state", "assignee",
    "severity", "title", "description", "correlation_id", "updated_by", "notes", "summary"}.
    """
    wanted = _ticket(ticket)

    def read(tracker: ServiceNow) -> Dict[str, Any]:
        found = named(tracker, wanted)
        row = tracker.shown(found.ref)
        return {
            **told(found, raw_state=found.raw_state, updated_by=found.updated_by, **row),
            "summary": _summary(told(found), row["title"]),
        }

    return _ask(ctx, target, read)


def servicenow_find_incidents(
    ctx: Context,
    correlation_id: str = "",
    title: str = "",
    state: str = "",
    assignment_group: str = "",
    limit: int = 20,
    target: str = "default",
) -> Dict[str, Any]:
    """Tickets that fulfil all that is given, the newest last: {"count", "tickets", "summary"}.
    `title` finds a part of it.
    """
    if state and state not in _STATES:
        raise InvalidInput("%s is no state: give one of %s" % (
            one_line(repr(state), 80), ", ".join(_STATES)))
    given = {"correlation_id": correlation_id, "short_description": title}
    if not (state or assignment_group.strip() or any(text.strip() for text in given.values())):
        raise InvalidInput("give at least one of correlation_id, title, state, assignment_group")

    def search(tracker: ServiceNow) -> Dict[str, Any]:
        fields = tracker.fields
        conditions: List[Condition] = [
            (fields[name], "LIKE" if name == "short_description" else "=", text)
            for name, text in given.items()
            if text.strip()
        ]
        if state:
            conditions.append((fields["state"], "=", str(tracker.settings["states"][state])))
        if assignment_group.strip():
            notes: List[str] = []
            group = servicenow_draft.group(assignment_group, tracker.client, notes)
            if not group:
                raise InvalidInput(" ".join(notes))
            conditions.append((fields["assignment_group"], "=", group))
        found = [told(one) for one in tracker.search(conditions, limit)]
        shown = ", ".join("%s (%s)" % (one["number"], one["state"]) for one in found[-5:])
        return {
            "count": len(found),
            "tickets": found,
            "summary": "%d found%s" % (len(found), ": %s" % shown if shown else ""),
        }

    return _ask(ctx, target, search)


def _ask(ctx: Context, target: str, question: Callable[[ServiceNow], T]) -> T:
    tracker = servicenow.tracker(ctx, target)
    return service.call(ctx, tracker.name, lambda: question(tracker))


def _write(
    ctx: Context, target: str, what: str, payload: Mapping[str, Any], done: str
) -> Dict[str, Any]:
    servicenow_settings.named(ctx.config, target)
    written = wishing.send(ctx, servicenow_settings.SECTION, target, payload, what)
    answer = dict(written["answer"])
    if written["delivered"]:
        is_old = answer.get("created") is False
        summary = _summary(answer, "was there already" if is_old else done)
    else:
        summary = "not written yet; it is tried again until ServiceNow takes it: %s" % one_line(
            str(written["error"]), 300
        )
    state = {name: written[name] for name in ("delivered", "waits", "outbox_id")}
    return {**answer, **state, "summary": summary}


def _summary(answer: Mapping[str, Any], words: str) -> str:
    return "%s (%s): %s; %s" % (
        answer.get("number"), answer.get("state"), one_line(words, 160), answer.get("url"))


def _ticket(text: str) -> str:
    text = text.strip()
    text = text if is_sys_id(text) else text.upper()
    if not (NUMBER.match(text) or is_sys_id(text)):
        raise InvalidInput(
            "%s is no ticket: give its number, such as INC0010023, or its sys_id"
            % one_line(repr(text), 80)
        )
    return text


def _fields(fields: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    """Fields by the instance's names, as text. Raises InvalidInput for one that is none, or is not
    to be written like that.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise InvalidInput("fields must be a map of field to value, such as {\"u_site\": \"fra\"}")
    found = {}
    for name, value in (fields or {}).items():
        if not isinstance(name, str) or not _FIELD.match(name) or _NOT_BY_HAND.match(name):
            raise InvalidInput(
                "%s is no field that can be set by hand: give another, or use "
                "servicenow_add_work_note for notes" % one_line(repr(name), 80)
            )
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, (str, int, float)):
            raise InvalidInput("fields.%s must be text or a number" % name)
        found[name] = str(value)
    return found

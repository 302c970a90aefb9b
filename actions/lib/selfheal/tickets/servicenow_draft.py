"""What a new ticket says, field by field of one ServiceNow instance: who gets it, how urgent it is,
what it is found by.

A group or caller that cannot be found does not hold the ticket up: it is told in a work note.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from selfheal import document
from selfheal.apis.servicenow.client import Client, is_sys_id
from selfheal.apis.servicenow.query import exactly, text_of
from selfheal.apis.servicenow.text import harmless
from selfheal.document import Document
from selfheal.exceptions import ConfigError, InvalidInput, Refused
from selfheal.text import one_line
from selfheal.tickets import routes
from selfheal.tickets.model import SEVERITIES, Draft
from selfheal.tickets.servicenow_settings import SECTION

_SIGNED = "selfheal"
_PARAGRAPHS = ("description", "close_notes", "work_notes")
_WHOLE = 1000000


def whole_body(draft: Draft) -> Document:
    """The body with the draft's links below it."""
    return (*draft.body, document.links(draft.links)) if draft.links else draft.body


def values_of(
    draft: Draft,
    correlation: str,
    body: str,
    settings: Mapping[str, Any],
    client: Client,
    by_hand: Mapping[str, str],
) -> Tuple[Dict[str, str], List[str]]:
    """(field to value of the new record, what a work note must tell). `by_hand` has what a person
    chose instead of the routes.
    """
    chosen = {**routed(draft, settings), **{k: v for k, v in by_hand.items() if v}}
    notes: List[str] = []
    said = {
        "short_description": draft.title,
        "description": body,
        "correlation_id": correlation,
        "correlation_display": _SIGNED,
        "category": chosen["category"],
        "subcategory": chosen["subcategory"],
        "assignment_group": group(chosen["assignment_group"], client, notes),
        "caller": caller(chosen["caller"], client, notes),
        "monitoring_source": str(settings["monitoring_source"]),
        "fingerprint": draft.fingerprint,
    }
    values = dict(settings["values"])
    values.update(fitted(said, settings))
    values.update(level(draft.severity, settings))
    return values, notes


def fitted(said: Mapping[str, str], settings: Mapping[str, Any]) -> Dict[str, str]:
    """`said` (our names) by the instance's names, each text within its limit and harmless; empty
    ones are left out.
    """
    found, limits = {}, settings["limits"]
    for name, text in said.items():
        field = settings["fields"][name]
        if not field or not text:
            continue
        if name not in _PARAGRAPHS:
            text = one_line(text, _WHOLE)
        if name in limits:
            found[field] = harmless(text, limits[name])
        else:  # a value, not words: a mark of the cut would be part of it
            found[field] = harmless(text, _WHOLE)[:limits["other"]]
    return found


def routed(draft: Draft, settings: Mapping[str, Any]) -> Dict[str, str]:
    """Group, category, subcategory and caller: of the first route that fits, else the section's."""
    route = routes.chosen(settings["routes"], draft)
    names = routes.GIVES[SECTION]
    return {name: str(route.get(name) or settings[name] or "") for name in names}


def group(name: str, client: Client, notes: List[str]) -> str:
    """The sys_id of a group; empty when there is none, and `notes` then says why."""
    return _reference("assignment group", "sys_user_group", ("name",), name, client, notes)


def caller(name: str, client: Client, notes: List[str]) -> str:
    """The sys_id of a user, by user name or e-mail address; empty as `group`."""
    return _reference("caller", "sys_user", ("user_name", "email"), name, client, notes)


def level(severity: str, settings: Mapping[str, Any]) -> Dict[str, str]:
    """Urgency, impact and severity by the instance's names. An unknown severity is a warning."""
    values = settings["levels"][severity if severity in SEVERITIES else "warning"]
    fields = settings["fields"]
    return {fields[name]: value for name, value in values.items() if fields[name] and value}


def severity_of(row: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Which of our severities a record's urgency and impact mean; empty for none of them."""
    names = [settings["fields"][name] for name in ("urgency", "impact")]
    have = [text_of(row.get(name)) for name in names]
    for severity in SEVERITIES:
        values = settings["levels"][severity]
        if have == [values["urgency"], values["impact"]]:
            return severity
    return ""


def _reference(
    what: str, table: str, fields: Tuple[str, ...], name: str, client: Client, notes: List[str]
) -> str:
    if not name or is_sys_id(name):
        return name
    try:
        for field in fields:
            rows = client.select(table, [(field, "=", name)], ("sys_id", field), limit=20)
            found = exactly(rows, field, name)
            if len(found) == 1 and is_sys_id(text_of(found[0].get("sys_id"))):
                return text_of(found[0]["sys_id"])
            if len(found) > 1:
                notes.append("There are %d of the name of the %s %s: set its sys_id in section "
                             "servicenow." % (len(found), what, one_line(name, 100)))
                return ""
        notes.append("The %s %s of section servicenow was not found." % (what, one_line(name, 100)))
    except (ConfigError, InvalidInput, Refused) as error:
        notes.append("The %s %s could not be looked up: %s" % (what, one_line(name, 100), error))
    return ""

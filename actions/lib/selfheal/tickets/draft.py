"""What a new ticket says: what is wrong and why it comes to people, what was decided and tried, the
plan, what is known, where to look.

Pure functions of the payload that messages to people are made of (see notify.messages); text from
outside stays as it came and is escaped by the tracker.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from selfheal.document import Block, Document, bullets, code, dumped, heading, links, loaded, text
from selfheal.text import counted, one_line
from selfheal.tickets.model import Draft

_LINE = 500
_MOST = 40


def as_payload(account: Mapping[str, Any], incident: Any, correlation: str) -> Dict[str, Any]:
    """A draft as plain JSON: `account` is a message's payload, `incident` the incident."""
    return {
        "correlation": correlation,
        "incident_id": str(incident.id),
        "title": one_line(incident.title),
        "severity": str(incident.severity),
        "body": dumped(body(account)),
        "fingerprint": one_line(str(incident.signal.get("fingerprint") or ""), 100),
        "category": one_line(incident.alert_type, 100),
        "component": one_line(
            incident.workload or incident.service or incident.instance or "", 100
        ),
        "labels": {str(key): str(value) for key, value in incident.labels.items()},
        "links": {str(key): str(value) for key, value in (account.get("links") or {}).items()},
    }


def of_payload(value: Mapping[str, Any]) -> Draft:
    """The draft that `as_payload` made plain."""
    names = ("correlation", "incident_id", "title", "severity", "fingerprint", "category")
    return Draft(
        **{name: str(value.get(name) or "") for name in names},
        component=str(value.get("component") or ""),
        body=loaded(value.get("body")),
        labels=_strings(value.get("labels")),
        links=_strings(value.get("links")),
    )


def body(account: Mapping[str, Any]) -> Document:
    """The description of a ticket."""
    incident = _map(account, "incident")
    blocks: List[Block] = [
        text(str(account.get("why")), "Do first: %s" % account.get("first")),
        text(_where(incident)),
    ]
    notes = _map(incident, "annotations")
    known = [
        "%s: %s" % (name, one_line(str(notes[name]), _LINE))
        for name in ("summary", "description", "message")
        if notes.get(name)
    ]
    refused = _map(account, "refused")
    forbidden = [
        "refused by the guard %s: %s" % (refused.get("rule"), refused.get("reason")),
        "to allow it: %s" % refused.get("advice"),
    ]
    not_undone = [
        "%s (%s)" % (one.get("step"), one.get("status")) for one in _maps(account, "not_undone")
    ]
    blocks += _section("What the alert says", known)
    blocks += _section("Why", [str(one) for one in account.get("reasons") or []])
    blocks += _section("The guard", forbidden if refused else [])
    blocks += _section("NOT UNDONE, check these first", not_undone)
    blocks += _section("Tried so far", [_tried(one) for one in _maps(account, "tried")])
    blocks += _section("Plan", _plan(_map(account, "plan")))
    for words, lines in account.get("looked") or ():
        blocks += [heading(words), code("\n".join(lines))]
    where = _strings(account.get("links"))
    if where:
        blocks += [heading("Links"), links(where)]
    blocks += [
        heading("In StackStorm"),
        code(
            "st2 run selfheal.incident_timeline incident_id=%(id)s\n"
            "st2 run selfheal.close_incident incident_id=%(id)s" % {"id": incident.get("id")}
        ),
    ]
    return tuple(blocks)


def _where(incident: Mapping[str, Any]) -> str:
    scope = ", ".join(
        "%s %s" % (name, one_line(str(value), 100))
        for name, value in _map(incident, "scope").items()
    )
    again = incident.get("reopened") or 0
    return "Incident %s, %s, open since %s, %s%s. %s" % (
        incident.get("id"),
        incident.get("severity"),
        incident.get("opened_at"),
        counted(int(incident.get("alert_count") or 0), "alert"),
        ", reopened %s" % counted(int(again), "time") if again else "",
        scope,
    )


def _tried(one: Mapping[str, Any]) -> str:
    steps = ", ".join(
        "%s %s" % (step.get("name"), step.get("status")) for step in _maps(one, "steps")
    )
    return one_line(
        "%s (%s)%s at %s: %s%s"
        % (
            one.get("remedy"),
            one.get("risk"),
            ", dry run" if one.get("dry_run") else "",
            one.get("at"),
            one.get("status"),
            "; steps: %s" % steps if steps else "",
        ),
        _LINE,
    )


def _plan(plan: Mapping[str, Any]) -> List[str]:
    if not plan:
        return ["none: no runbook matches this alert"]
    first = "%s %s (risk %s, confidence %s)" % (
        plan.get("remedy"),
        one_line(str(plan.get("runbook") or ""), 100),
        plan.get("risk"),
        plan.get("confidence"),
    )
    return [first] + [
        "step %d: %s (%s)" % (number, one_line(str(step.get("name")), 100), step.get("kind"))
        for number, step in enumerate(_maps(plan, "steps"), 1)
    ]


def _section(words: str, lines: Sequence[str]) -> List[Block]:
    if not lines:
        return []
    return [heading(words), bullets([one_line(line, _LINE) for line in lines[:_MOST]])]


def _map(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _maps(value: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
    found = value.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _strings(value: Any) -> Dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): str(item) for key, item in value.items()}

"""What a message says: written for somebody who was asleep a minute ago.

First what is wrong, why it was handed over, what to do and where to look, which no cut may take;
then what was already tried and what was not, then the evidence. Pure functions of what they are
given; text from outside stays as it came, cut to a length and kept on one line.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from selfheal import document
from selfheal.document import Document
from selfheal.notify import layout, looks
from selfheal.notify.reasons import BY_HAND, REASONS, why
from selfheal.records import dataclass
from selfheal.text import cap, counted, iso, one_line

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

MAX_TEXT = 12000
TIMELINE_TAIL = 15
MOST_EVIDENCE = 30
STORM = (
    "alert_storm"  # the subject of a failure that is none: more work than may be started at once
)


@dataclass(frozen=True)
class Account:
    """All that a message tells about one incident: the incident and rows of the store, JSON columns
    parsed. `diagnosis` is what the last close look found (secrets hidden before), empty for none;
    `web_url` is where StackStorm's web interface is, if it is known.
    """

    incident: Incident
    executions: Sequence[Mapping[str, Any]] = ()
    not_undone: Sequence[Mapping[str, Any]] = ()
    timeline: Sequence[Mapping[str, Any]] = ()
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    web_url: str = ""


def escalation(account: Account, reason: str) -> Dict[str, Any]:
    """The payload that hands an incident to the on-call engineer for `reason` (a key of REASONS, or
    free words).
    """
    first = REASONS[reason][1] if reason in REASONS else REASONS[BY_HAND][1]
    said = {"reason": reason or "manual", "why": why(reason), "first": first}
    return _payload(account, said, _commands(account.incident.id, is_call=True))


def ticket(account: Account) -> Dict[str, Any]:
    """The payload of a ticket: not urgent, but somebody should carry out or refuse the plan."""
    return _payload(
        account,
        {
            "reason": "manual",
            "why": "selfheal did not act by itself; this is for office hours.",
            "first": "%s; close the incident with close_incident when done."
            % (
                "Carry out the plan below if it is right"
                if account.incident.plan
                else "Find the cause yourself, as no runbook fits"
            ),
        },
        _commands(account.incident.id),
    )


def failure(subject: str, status: str, execution_id: str = "", web_url: str = "") -> Dict[str, Any]:
    """The payload that tells of a failed part of the pack itself, no incident being named."""
    title = "selfheal: %s: %s" % (one_line(subject, 200), one_line(status, 200) or "failed")
    known = one_line(execution_id, 80)
    told = document.text(*(REASONS["storm"] if subject == STORM else ()))
    see = ["Execution: st2 execution get %s" % known] if known else []
    see += [
        "Check the pack: st2 run selfheal.check_config",
        "Open incidents: st2 run selfheal.incident_list",
    ]
    urls = {"execution": execution_url(web_url, known)} if known and web_url else {}
    message = (document.heading(title), told, document.text(*see), *layout.linked(urls))
    payload = {
        "title": title,
        "severity": "error",
        "subject": one_line(subject, 200),
        "status": one_line(status, 200),
        "execution_id": known,
    }
    return layout.with_document(payload, message, MAX_TEXT)


def unrecorded(incident_id: str, reason: str, problem: str) -> Dict[str, Any]:
    """The payload of an escalation that the store could not take."""
    title = "[unknown severity] incident %s needs a person" % one_line(incident_id, 80)
    message = (
        document.heading(title),
        document.text(why(reason)),
        document.text(
            "selfheal's database failed, so this is all there is to tell: %s"
            % one_line(problem, 500)
        ),
        document.text(
            "Do first: look at the alert in Alertmanager yourself, then mend selfheal's database.",
            "See what is wrong: st2 run selfheal.check_config",
            "When the database is back, selfheal takes the incident up again.",
        ),
    )
    payload = {
        "title": title,
        "severity": "error",
        "reason": reason or "manual",
        "why": why(reason),
        "incident": {"id": incident_id},
        "recorded": False,
    }
    return layout.with_document(payload, message, MAX_TEXT)


def _payload(
    account: Account, reason: Mapping[str, str], commands: Sequence[str]
) -> Dict[str, Any]:
    incident = account.incident
    payload = {
        "title": "[%s] %s" % (incident.severity, one_line(incident.title)),
        "severity": incident.severity,
        "reason": reason["reason"],
        "why": reason["why"],
        "first": reason["first"],
        "incident": _incident(incident),
        "reasons": [one_line(str(item), 300) for item in incident.reasons or []],
        "refused": _refused(account, reason["reason"]),
        "tried": [_execution(row) for row in account.executions],
        "not_undone": [_undo(row) for row in account.not_undone],
        "plan": cap(incident.plan, 2000, 50),
        "evidence": evidence(incident),
        "diagnosis": looks.payload(account.diagnosis),
        "timeline": [_entry(row) for row in account.timeline[-TIMELINE_TAIL:]],
        "links": links(incident, account.web_url),
        "commands": list(commands),
    }
    return layout.with_document(payload, _document(account, reason, commands), MAX_TEXT)


def _incident(incident: Incident) -> Dict[str, Any]:
    scope = {
        name: getattr(incident, name)
        for name in ("cluster", "namespace", "workload", "instance", "service")
    }
    return {
        "id": incident.id,
        "title": one_line(incident.title),
        "severity": incident.severity,
        "alert_type": incident.alert_type,
        "source": incident.source,
        "status": incident.status,
        "dry_run": incident.dry_run,
        "alert_count": incident.alert_count,
        "attempts": incident.attempts,
        "reopened": incident.reopened,
        "opened_at": iso(incident.opened_at),
        "last_seen_at": iso(incident.last_seen_at),
        "scope": {name: value for name, value in scope.items() if value},
        "labels": cap(incident.labels, 500, 50),
        "annotations": cap(incident.annotations, 2000, 30),
    }


def links(incident: Incident, web_url: str = "") -> Dict[str, str]:
    """Where to look: {"alert", "runbook", "dashboard"}, those that the alert names, and the
    response's "execution" where StackStorm's web interface is at `web_url`.
    """
    notes = incident.annotations
    found = {
        "alert": incident.signal.get("generator_url"),
        "runbook": notes.get("runbook_url") or notes.get("runbook"),
        "dashboard": notes.get("dashboard_url") or notes.get("dashboard"),
        "execution": execution_url(web_url, incident.run_id or ""),
    }
    return {name: one_line(str(url), 1000) for name, url in found.items() if url}


def execution_url(web_url: str, execution_id: str) -> str:
    """Where StackStorm's web interface at `web_url` shows the execution; empty without either."""
    is_known = web_url and re.match(r"[0-9A-Za-z_-]+\Z", execution_id)
    return "%s/#/history/%s" % (web_url.rstrip("/"), execution_id) if is_known else ""


def evidence(incident: Incident) -> List[str]:
    """What the analysis found, one line each."""
    items = (incident.analysis or {}).get("evidence") or []
    return [_evidence_line(item) for item in list(items)[:MOST_EVIDENCE]]


def _evidence_line(item: Any) -> str:
    if isinstance(item, Mapping) and {*item} == {"what", "found"}:
        return one_line("%s: %s" % (item["what"], item["found"]), 500)
    if isinstance(item, Mapping):
        return one_line("; ".join("%s: %s" % (k, v) for k, v in item.items()), 500)
    return one_line(str(item), 500)


def _execution(row: Mapping[str, Any]) -> Dict[str, Any]:
    outcome = row.get("outcome")
    steps = outcome.get("steps") if isinstance(outcome, Mapping) else None
    return {
        "remedy": row["remedy"],
        "risk": row["risk"],
        "status": row["status"],
        "dry_run": bool(row["dry_run"]),
        "at": iso(row["started_at"]),
        "steps": cap([dict(step) for step in steps or [] if isinstance(step, Mapping)], 300, 30),
    }


def _undo(row: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "step": one_line(str(row["step"])),
        "status": row["status"],
        "outcome": cap(row.get("outcome"), 300, 10),
    }


def _entry(row: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "at": iso(row["at"]),
        "kind": row["kind"],
        "message": one_line(str(row["message"]), 500),
    }


def _document(
    account: Account, reason: Mapping[str, str], commands: Sequence[str]
) -> Document:
    incident = account.incident
    section = layout.section
    refused = _refused(account, reason["reason"])
    annotated = [
        "%s: %s" % (name, one_line(str(incident.annotations[name]), 500))
        for name in ("summary", "description", "message")
        if incident.annotations.get(name)
    ]
    return (
        document.heading("[%s] %s" % (incident.severity, one_line(incident.title))),
        document.text(reason["why"], "Do first: %s" % reason["first"]),
        document.text(_where(incident), *commands),
        *layout.linked(links(incident, account.web_url)),
        *section(
            "NOT UNDONE, check these first:",
            ["%s (%s)" % (one_line(str(row["step"])), row["status"]) for row in account.not_undone],
        ),
        *section(
            "Decided was %s, because:" % (incident.strategy or "nothing"),
            [one_line(str(item), 300) for item in incident.reasons or []],
        ),
        *section(
            "Refused by the guard %s:" % refused.get("rule"),
            [refused["reason"], "to allow it: %s" % refused["advice"]] if refused else [],
        ),
        *section("Tried so far:", [_tried(row) for row in account.executions] or ["nothing"]),
        *section("Plan:", _plan(incident)),
        *section("Known:", annotated + evidence(incident)),
        *(
            block
            for heading, items in looks.sections(account.diagnosis)
            for block in section(heading, items)
        ),
        *section(
            "Timeline (UTC):",
            [
                "%s %s: %s"
                % (iso(row["at"])[11:19], row["kind"], one_line(str(row["message"]), 300))
                for row in account.timeline[-TIMELINE_TAIL:]
            ],
        ),
    )


def _commands(incident_id: str, is_call: bool = False) -> List[str]:
    """The next useful commands."""
    return [
        *([has_it(incident_id)] if is_call else ()),
        "Report: st2 run selfheal.incident_report incident_id=%s" % incident_id,
        "All of it: st2 run selfheal.incident_timeline incident_id=%s" % incident_id,
    ]


def has_it(incident_id: str) -> str:
    """How a person says that they have what a message tells of."""
    return "You have it: heal ack %s in chat, or st2 run selfheal.acknowledge incident_id=%s" % (
        incident_id, incident_id,
    )


def _refused(account: Account, why_handed: str) -> Dict[str, str]:
    """{"rule", "reason", "advice"}: what the gate said of the last execution, if it is a refusal
    that brings the incident to a person.
    """
    is_meant = why_handed == "refused" and account.executions
    last: Mapping[str, Any] = account.executions[-1] if is_meant else {}
    outcome = last.get("outcome")
    objection = outcome.get("objection") if isinstance(outcome, Mapping) else None
    if not isinstance(objection, Mapping):
        return {}
    return {name: one_line(str(objection.get(name)), 600) for name in ("rule", "reason", "advice")}


def _where(incident: Incident) -> str:
    scope = [
        "%s %s" % (name, one_line(str(getattr(incident, name)), 100))
        for name in ("cluster", "namespace", "workload", "instance", "service")
        if getattr(incident, name)
    ]
    again = ", reopened %s" % counted(incident.reopened, "time") if incident.reopened else ""
    return "Incident %s, open since %s, %s%s. %s" % (
        incident.id,
        iso(incident.opened_at),
        counted(incident.alert_count, "alert"),
        again,
        ", ".join(scope),
    )


def _tried(row: Mapping[str, Any]) -> str:
    done = _execution(row)
    steps = ", ".join(
        "%s %s" % (one_line(str(step.get("name")), 80), step.get("status"))
        for step in done["steps"]
    )
    return "%s (%s)%s at %s: %s%s" % (
        one_line(str(done["remedy"]), 150),
        done["risk"],
        ", dry run" if done["dry_run"] else "",
        done["at"][11:19],
        done["status"],
        "; steps: %s" % steps if steps else "",
    )


def _plan(incident: Incident) -> List[str]:
    plan = incident.plan
    if not plan:
        return ["none: no runbook matches this alert"]
    steps = [step for step in plan.get("steps") or [] if isinstance(step, Mapping)]
    return [
        "%s %s (risk %s, confidence %s)"
        % (
            plan.get("remedy"),
            one_line(str(plan.get("runbook") or ""), 100),
            plan.get("risk"),
            plan.get("confidence"),
        )
    ] + [
        "step %d: %s (%s)" % (number, one_line(str(step.get("name")), 100), step.get("kind"))
        for number, step in enumerate(steps, 1)
    ]

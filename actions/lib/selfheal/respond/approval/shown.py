"""What a person who is asked sees: the whole plan with its risk, its undo and the evidence, until
when, and how to answer.

It is stored as it was shown. Text from outside is made printable and cut to a length; values that
the configuration holds as secrets are hidden.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal import document
from selfheal.exceptions import Refused
from selfheal.notify import layout, messages
from selfheal.remedy import values
from selfheal.remedy.model import ApiCall, Command, KubernetesAct, Runbook, Step
from selfheal.remedy.words import step_in_words
from selfheal.respond import previews as previewing
from selfheal.respond.approval import codes
from selfheal.store import dump
from selfheal.text import iso, one_line, printable, scrub, truncate, without_credentials

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.document import Document
    from selfheal.incidents.model import Incident
    from selfheal.notify.messages import Account
    from selfheal.store import Row

NO_UNDO = "cannot be undone"
_QUESTION = "May selfheal carry out the plan below? Not without a yes until %s."
_MAX_ACT = 4000
_SCOPE = ("cluster", "namespace", "workload", "instance", "service")


def build(
    config: Config,
    account: Account,
    runbook: Runbook,
    row: Row,
    approvers: str,
    guard: Sequence[str] = (),
    previews: Optional[Mapping[str, Dict[str, str]]] = None,
) -> Dict[str, Any]:
    """All of it as plain JSON; `row` is the question, `approvers` says who may answer it, `guard`
    what the guards object now, `previews` what steps in Kubernetes would do now.
    """
    incident = account.incident
    plan: Mapping[str, Any] = incident.plan or {}
    where = {name: _line(getattr(incident, name)) for name in _SCOPE if getattr(incident, name)}
    view = {
        "approval_id": row["id"],
        "incident_id": incident.id,
        "title": _line(incident.title),
        "severity": incident.severity,
        "plan_hash": row["plan_hash"],
        "what": _what(incident, runbook, previews or {}),
        "where": dict(where, scope=_line(plan.get("scope"))),
        "risk": _line(plan.get("risk") or runbook.risk),
        "confidence": plan.get("confidence"),
        "why_asked": [_line(reason, 300) for reason in incident.reasons or []],
        "evidence": messages.evidence(incident),
        "attempts": incident.attempts,
        "tried": [_tried(execution) for execution in account.executions],
        "not_undone": [_line(undo["step"]) for undo in account.not_undone],
        "guard": [_line(item, 500) for item in (*_policy(plan), *guard)][:40],
        "links": messages.links(incident),
        "until": iso(row["expires_at"]),
        "approvers": approvers,
        "code": codes.of(row) if codes.are_asked(config) else "",
        "answer": _how(config, row),
    }
    hidden: Dict[str, Any] = scrub(view, config.secrets())
    return hidden


def _what(
    incident: Incident, runbook: Runbook, seen: Mapping[str, Dict[str, str]]
) -> Dict[str, Any]:
    return {
        "remedy": _line((incident.plan or {}).get("remedy")),
        "runbook": _line(runbook.name),
        "path": _line(runbook.path),
        "description": _line(runbook.description, 500),
        "steps": [
            _step(number, step, seen.get(step.name, {}))
            for number, step in enumerate(runbook.steps, 1)
        ],
        "values": _values(runbook, incident),
        "proof": [_line(dump(check), 300) for check in runbook.verify],
    }


def message(view: Mapping[str, Any]) -> Dict[str, Any]:
    """The payload of the message that asks: the view, and all of it as text and as document."""
    title = "[%s] %s: may this be done?" % (view["severity"], view["title"])
    return {
        "title": title,
        "severity": view["severity"],
        "reason": "approval",
        "incident": {"id": view["incident_id"], "title": view["title"]},
        "approval": dict(view),
        "text": truncate("\n".join(lines(view)), messages.MAX_TEXT),
        "document": document.dumped(layout.cut(_document(title, view))),
    }


def lines(view: Mapping[str, Any]) -> List[str]:
    """The view as a person reads it, the most important first."""
    return [
        "[%s] %s" % (view["severity"], view["title"]),
        _QUESTION % view["until"],
        *("  - %s" % one for one in _answers(view)),
        "Whose yes counts: %s" % view["approvers"],
        "",
        *plan_lines(view),
    ]


def plan_lines(view: Mapping[str, Any]) -> List[str]:
    """The plan of the view with all that it rests on, as a person reads it."""
    found = [*_plan(view), *_steps(view)]
    links = ["%s: %s" % pair for pair in sorted(view["links"].items())]
    for heading, items in (*_sections(view), ("Links:", links)):
        found += ["", heading, *("  - %s" % item for item in items)] if items else []
    return found


def _document(title: str, view: Mapping[str, Any]) -> Document:
    return (
        document.heading(title),
        document.text(_QUESTION % view["until"]),
        document.bullets(_answers(view)),
        document.text("Whose yes counts: %s" % view["approvers"], *_plan(view)),
        document.code("\n".join(_steps(view))),
        *(block for heading, items in _sections(view) for block in layout.section(heading, items)),
        *layout.linked(view["links"]),
    )


def _answers(view: Mapping[str, Any]) -> List[str]:
    chat, cli = view["answer"]["chat"], view["answer"]["cli"]
    return [
        "in chat:   %s   or   %s" % (chat["yes"], chat["no"]),
        "by StackStorm:   %s   or   %s" % (cli["yes"], cli["no"]),
    ]


def _plan(view: Mapping[str, Any]) -> List[str]:
    what = view["what"]
    return [
        "Plan: %s %s. %s" % (what["remedy"], what["runbook"], what["description"]),
        "Where: %s" % view["where"]["scope"],
        "Risk: %s, confidence %s" % (view["risk"], view["confidence"]),
    ]


def _steps(view: Mapping[str, Any]) -> List[str]:
    found: List[str] = []
    for step in view["what"]["steps"]:
        found += ["%d. %s: %s" % (step["number"], step["name"], _indented(step["what"]))]
        if step["undo"]:
            found += ["   undo: %s" % _indented(step["undo"])]
    return found


def _sections(view: Mapping[str, Any]) -> Sequence[Tuple[str, Sequence[str]]]:
    what = view["what"]
    return (
        ("With these values:", ["%s = %s" % pair for pair in sorted(what["values"].items())]),
        ("It counts as healed when:", what["proof"] or ["the alert itself goes away"]),
        ("Asked because:", view["why_asked"]),
        ("The guard says now:", view["guard"]),
        ("Known:", view["evidence"]),
        ("Tried so far:", view["tried"]),
        ("NOT UNDONE from before:", view["not_undone"]),
    )


def _how(config: Config, row: Row) -> Dict[str, Dict[str, str]]:
    approval_id = str(row["id"])
    return {
        "chat": {"yes": codes.command(config, row), "no": "heal reject %s" % approval_id},
        "cli": {
            "yes": "st2 run selfheal.approve question=%s" % approval_id,
            "no": "st2 run selfheal.reject question=%s" % approval_id,
        },
    }


def _step(number: int, step: Step, preview: Dict[str, str]) -> Dict[str, Any]:
    changes = isinstance(step.act, (Command, ApiCall))
    undo = _act(step.undo.act) if step.undo else NO_UNDO if changes else ""
    what = _act(step.act) if changes else _line(step_in_words(step), 500)
    if isinstance(step.act, KubernetesAct):
        undo = _line(preview.get("undo") or previewing.undo_in_words(step.act), 500)
        what = "%s; %s" % (what, _line(previewing.in_words(preview), 500)) if preview else what
    return {
        "number": number,
        "name": _line(step.name, 100),
        "kind": step.kind,
        "what": what,
        "undo": undo,
    }


def _act(act: Any) -> str:
    if isinstance(act, ApiCall):
        body = "" if act.json is None else " with %s" % dump(act.json)
        return _block("%s %s%s" % (act.method, without_credentials(act.url), body))
    if act.argv:
        return _block("run %s" % " ".join(shlex.quote(word) for word in act.argv))
    interpreter = " ".join(shlex.quote(word) for word in act.interpreter)
    return _block("run by %s:\n%s" % (interpreter, act.script))


def _values(runbook: Runbook, incident: Incident) -> Dict[str, str]:
    try:
        found = values.variables(runbook, incident, {})
    except Refused as error:
        return {"lacking": _line(error, 500)}
    return {_line(name, 100): _line(value, 500) for name, value in list(found.items())[:50]}


def _policy(plan: Mapping[str, Any]) -> List[Any]:
    """What the command policy had to say of the plan's commands (guard.command_check.in_plan)."""
    found: List[Any] = []
    for key in ("asks", "notes"):
        said = plan.get(key)
        found += said if isinstance(said, (list, tuple)) else [said] if said else []
    return found


def _tried(row: Mapping[str, Any]) -> str:
    return "%s at %s: %s" % (_line(row["remedy"]), iso(row["started_at"]), row["status"])


def _block(text: str) -> str:
    return truncate(printable(text), _MAX_ACT)


def _indented(text: str) -> str:
    first, *more = text.split("\n")
    return "\n".join([first, *("      | " + line for line in more)])


def _line(value: Any, limit: int = 200) -> str:
    return one_line(str(value if value is not None else ""), limit)


__all__ = ["NO_UNDO", "build", "lines", "message", "plan_lines"]

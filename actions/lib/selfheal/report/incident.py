"""One incident as a document: what happened, what was decided and why, what was done and with what
effect, who said yes, what was taken back, and all of its timeline.

Written for somebody who reads it a week later. A pure function of what it is given; text from
outside stays as it came, and whoever renders the document escapes it.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from selfheal.document import Block, Document, bullets, code, heading, links, text
from selfheal.records import dataclass
from selfheal.text import counted, iso, one_line, truncate

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

_ALERTS = 20
_LABELS = 30
_ENTRIES = 300
_OUTPUT_LINES = 20
_OUTPUT = 2000
_LINE = 1000
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """All that a report tells: the incident and rows of the store, JSON columns parsed.

    `entries` is the timeline, oldest first, of which `entries_left_out` are not given; `diagnosis`
    is what the last close look found, `links` are URLs by their words, `now` is when it is written.
    """

    incident: Incident
    now: float
    alerts: Rows = ()
    executions: Rows = ()
    undo: Rows = ()
    approvals: Rows = ()
    entries: Rows = ()
    messages: Rows = ()
    tickets: Rows = ()
    silences: Rows = ()
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    entries_left_out: int = 0


def document(told: Told) -> Document:
    """The report. A section that has nothing to say is left out."""
    blocks: List[Block] = [
        heading("[%s] %s" % (told.incident.severity, one_line(told.incident.title, 300))),
        text(_outcome(told)),
        bullets(_facts(told.incident)),
    ]
    for words, content in (
        ("What happened", _happened(told)),
        ("What was decided", _decided(told.incident)),
        ("Who was asked", _bulleted([_approval(row) for row in told.approvals])),
        ("What was done", _done(told)),
        ("What was taken back", _bulleted([_undo(row) for row in told.undo])),
        ("What a close look found", _looked(told.diagnosis)),
        ("Who was told", _bulleted(_heard(told))),
        ("Timeline (UTC)", _timeline(told)),
        ("Links", [links(told.links)] if told.links else []),
    ):
        if content:
            blocks += [heading(words), *content]
    blocks.append(
        text("Written by selfheal at %s about incident %s." % (_at(told.now), told.incident.id))
    )
    return tuple(blocks)


def _outcome(told: Told) -> str:
    """The incident's life in one sentence."""
    incident = told.incident
    if incident.resolved_at is None:
        lasted = told.now - incident.opened_at
        return "Incident %s is %s, open for %s." % (incident.id, incident.status, _span(lasted))
    how = {
        "remediated": "a remediation worked and the signal is healthy again",
        "self_resolved": "the signal went away by itself",
        "manual": "closed by hand",
    }.get(incident.resolution or "", incident.resolution or "closed")
    return "Incident %s is resolved after %s: %s." % (
        incident.id, _span(incident.resolved_at - incident.opened_at), how,
    )


def _facts(incident: Incident) -> List[str]:
    scope = [
        "%s %s" % (name, one_line(str(getattr(incident, name)), 200))
        for name in ("cluster", "namespace", "workload", "instance", "service")
        if getattr(incident, name)
    ]
    facts = [
        "Alert: %s, severity %s, from %s"
        % (one_line(incident.alert_type), incident.severity, incident.source),
        "Where: %s" % (", ".join(scope) or "not told"),
        "Opened: %s" % _at(incident.opened_at),
        "Last seen: %s, %s in all"
        % (_at(incident.last_seen_at), counted(incident.alert_count, "alert")),
    ]
    if incident.resolved_at is not None:
        facts.append("Resolved: %s (%s)" % (_at(incident.resolved_at), incident.resolution))
    if incident.reopened:
        facts.append("Reopened: %s" % counted(incident.reopened, "time"))
    facts.append("Responses: %d" % incident.attempts)
    if incident.dry_run:
        facts.append("A dry run: nothing was touched")
    return facts


def _happened(told: Told) -> List[Block]:
    incident = told.incident
    notes = [
        "%s: %s" % (name, one_line(str(incident.annotations[name]), _LINE))
        for name in ("summary", "description", "message")
        if incident.annotations.get(name)
    ]
    evidence = _items((incident.analysis or {}).get("evidence"))
    found = notes + [_pair(one) for one in evidence]
    blocks = _bulleted(found)
    if told.alerts:
        shown = [_alert(row) for row in told.alerts[:_ALERTS]]
        more = len(told.alerts) - len(shown)
        shown += ["and %s more" % counted(more, "alert")] if more > 0 else []
        blocks += [text("Alerts:"), bullets(shown)]
    return blocks


def _decided(incident: Incident) -> List[Block]:
    if not incident.strategy and not incident.plan:
        return []
    blocks = [text("Strategy: %s" % (incident.strategy or "none yet"))]
    blocks += _bulleted([one_line(str(one), _LINE) for one in incident.reasons or []])
    plan = incident.plan
    if not plan:
        return [*blocks, text("Plan: none, nothing fits this alert")]
    blocks.append(
        text(
            "Plan: %s %s (risk %s, confidence %s)"
            % (
                one_line(str(plan.get("remedy"))),
                one_line(str(plan.get("runbook") or "")),
                plan.get("risk"),
                plan.get("confidence"),
            )
        )
    )
    steps = [one for one in _items(plan.get("steps")) if isinstance(one, Mapping)]
    return blocks + _bulleted(
        [
            "step %d: %s (%s)" % (number, one_line(str(step.get("name")), 200), step.get("kind"))
            for number, step in enumerate(steps, 1)
        ]
    )


def _done(told: Told) -> List[Block]:
    if not told.executions:
        return [text("Nothing was done.")] if told.incident.strategy else []
    blocks: List[Block] = []
    for row in told.executions:
        outcome = row.get("outcome")
        outcome = outcome if isinstance(outcome, Mapping) else {}
        blocks.append(text(_execution(row, outcome)))
        steps = [one for one in _items(outcome.get("steps")) if isinstance(one, Mapping)]
        blocks += _bulleted([_step(step) for step in steps])
        for step in steps:
            output = _output(step)
            if output:
                blocks += [text("Output of step %s:" % one_line(str(step.get("name")))), output]
    return blocks


def _execution(row: Mapping[str, Any], outcome: Mapping[str, Any]) -> str:
    proof = {None: "not verified", False: "the signal did not become healthy"}.get(
        row.get("verified"), "the signal became healthy"
    )
    lasted = ""
    if row.get("finished_at") is not None:
        lasted = " in %s" % _span(float(row["finished_at"]) - float(row["started_at"]))
    reason = one_line(str(outcome.get("reason") or ""), _LINE)
    return "%s: %s (%s)%s: %s%s%s; %s" % (
        _at(row["started_at"]),
        one_line(str(row["remedy"]), 200),
        row["risk"],
        ", dry run" if row.get("dry_run") else "",
        row["status"],
        lasted,
        ", %s" % reason if reason else "",
        proof,
    )


def _step(step: Mapping[str, Any]) -> str:
    return "%s: %s (%s s)%s" % (
        one_line(str(step.get("name")), 200),
        step.get("status"),
        step.get("seconds"),
        ", %s" % one_line(str(step["detail"]), _LINE) if step.get("detail") else "",
    )


def _output(step: Mapping[str, Any]) -> Optional[Block]:
    lines: List[str] = []
    for name in ("stdout", "stderr", "body"):
        value = step.get(name)
        if isinstance(value, str):
            lines += value.splitlines()[-_OUTPUT_LINES:]
    whole = "\n".join(lines)
    return code(truncate(whole, _OUTPUT)) if whole.strip() else None


def _undo(row: Mapping[str, Any]) -> str:
    outcome = row.get("outcome")
    detail = outcome.get("detail") if isinstance(outcome, Mapping) else ""
    return "%s: %s%s" % (
        one_line(str(row["step"]), 200),
        row["status"],
        ", %s" % one_line(str(detail), 300) if detail else "",
    )


def _approval(row: Mapping[str, Any]) -> str:
    decided = row.get("decided_at")
    words = "%s: asked whether to carry out the plan: %s" % (
        _at(row["requested_at"]), row["status"],
    )
    if row.get("decided_by"):
        words += " by %s" % one_line(str(row["decided_by"]), 100)
    if decided is not None:
        words += " at %s" % _at(decided)
    if row.get("comment"):
        words += ": %s" % one_line(str(row["comment"]), 300)
    return words


def _looked(diagnosis: Mapping[str, Any]) -> List[Block]:
    if not diagnosis:
        return []
    blocks = _bulleted([_pair(one) for one in _items(diagnosis.get("facts"))])
    for log in _items(diagnosis.get("logs")):
        if isinstance(log, Mapping):
            lines = [str(line) for line in _items(log.get("lines"))][-_OUTPUT_LINES:]
            before = ", the run before" if log.get("previous") else ""
            words = "Log of container %s of pod %s%s, the end:" % (
                log.get("container"), log.get("pod"), before,
            )
            blocks += [text(words), code("\n".join(lines))] if lines else []
    missing = [
        "%s: %s" % (one.get("part"), one_line(str(one.get("why")), 300))
        for one in _items(diagnosis.get("missing"))
        if isinstance(one, Mapping)
    ]
    return blocks + ([text("Could not be found out:"), bullets(missing)] if missing else [])


def _heard(told: Told) -> List[str]:
    lines = [
        "ticket %s in %s: %s%s"
        % (
            one_line(str(row.get("number") or "(not made yet)"), 100),
            row.get("tracker"),
            row.get("status"),
            ", %s" % row["url"] if row.get("url") else "",
        )
        for row in told.tickets
    ]
    lines += [
        "%s by %s: %s%s"
        % (
            row["kind"],
            one_line(str(row.get("channel")), 100),
            row["status"],
            " at %s" % _at(row["sent_at"]) if row.get("sent_at") is not None else "",
        )
        for row in told.messages
    ]
    lines += [
        "silence %s until %s: %s"
        % (row["status"], _at(row["ends_at"]), one_line(str(row["matchers"]), 300))
        for row in told.silences
    ]
    return lines


def _timeline(told: Told) -> List[Block]:
    shown = told.entries[-_ENTRIES:]
    left_out = told.entries_left_out + len(told.entries) - len(shown)
    lines = ["(%d before these are left out)" % left_out] if left_out else []
    lines += [
        "%s %s: %s" % (_at(row["at"]), row["kind"], one_line(str(row["message"]), 500))
        for row in shown
    ]
    return _bulleted(lines)


def _alert(row: Mapping[str, Any]) -> str:
    labels: Dict[str, Any] = row.get("labels") or {}
    shown = ", ".join(
        "%s=%s" % (one_line(str(name), 100), one_line(str(value), 200))
        for name, value in sorted(labels.items())[:_LABELS]
    )
    until = " to %s" % one_line(str(row["ends_at"]), 40) if row.get("ends_at") else ""
    return "%s from %s%s: %s" % (row["status"], one_line(str(row["starts_at"]), 40), until, shown)


def _pair(item: Any) -> str:
    if isinstance(item, Mapping) and {*item} == {"what", "found"}:
        return one_line("%s: %s" % (item["what"], item["found"]), _LINE)
    if isinstance(item, Mapping):
        return one_line("; ".join("%s: %s" % pair for pair in item.items()), _LINE)
    return one_line(str(item), _LINE)


def _bulleted(lines: Sequence[str]) -> List[Block]:
    return [bullets(lines)] if lines else []


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _at(when: Any) -> str:
    """To the second: 2026-11-21 22:20:53."""
    return iso(float(when))[:19].replace("T", " ")


def _span(seconds: float) -> str:
    """`4 min 10 s`, the two largest units."""
    left = max(0, round(seconds))
    parts: List[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        many, left = divmod(left, size)
        if many or (unit == "s" and not parts):
            parts.append("%d %s" % (many, unit))
    return " ".join(parts[:2])

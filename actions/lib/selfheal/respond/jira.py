"""What people do in Jira by hand, and look up there.

Writes go through the outbox: sent at once, and again until they have arrived when Jira is out of
reach. Reads ask Jira directly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, TypeVar

from selfheal.apis.jira import issues
from selfheal.apis.jira.connection import issue_path
from selfheal.apis.jira.search import search as search_issues
from selfheal.breakers import service
from selfheal.document import code, dumped, text
from selfheal.exceptions import InvalidInput
from selfheal.respond import wishing
from selfheal.text import cap, one_line, printable
from selfheal.tickets.jira import Jira, person, tracker
from selfheal.tickets.jira_carrier import words_of
from selfheal.tickets.jira_settings import SECTION
from selfheal.tickets.model import SEVERITIES

if TYPE_CHECKING:
    from selfheal.context import Context

T = TypeVar("T")
_MOST_FOUND = 100
_LONGEST_JQL = 10000
_PROJECT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}\Z", re.ASCII)
_MORE = ("description", "issuelinks", "attachment")


def create_issue(
    ctx: Context,
    summary: str,
    description: str = "",
    severity: str = "",
    project: str = "",
    issue_type: str = "",
    labels: Optional[Sequence[str]] = None,
    target: str = "default",
) -> Dict[str, Any]:
    """Make an issue; {"issue", "id", "url"} when it is there, see `_written`."""
    asked = {
        "op": "create",
        "summary": _words("summary", summary, 1000),
        "description": _document(description),
        "severity": _severity(severity),
        "project": _project(project),
        "issue_type": one_line(issue_type, 60),
        "labels": _labels(labels),
    }
    return _written(ctx, target, asked, "")


def comment(ctx: Context, issue: str, text: str, target: str = "default") -> Dict[str, Any]:
    """Add a comment to an issue, once."""
    said = _document(wishing.words("text", text))
    asked = {"op": "comment", "issue": _issue(issue), "text": said}
    return _written(ctx, target, asked, _issue(issue))


def transition(
    ctx: Context, issue: str, to: str, resolution: str = "", target: str = "default"
) -> Dict[str, Any]:
    """Take the transition `to`, or bring the issue to the status of that name step by step."""
    asked = {
        "op": "transition",
        "issue": _issue(issue),
        "to": _words("to", to, 120),
        "resolution": one_line(resolution, 120),
    }
    return _written(ctx, target, asked, _issue(issue))


def assign(ctx: Context, issue: str, to: str, target: str = "default") -> Dict[str, Any]:
    """Assign an issue to one person, or to nobody."""
    asked = {"op": "assign", "issue": _issue(issue), "to": _words("to", to, 200)}
    return _written(ctx, target, asked, _issue(issue))


def link(
    ctx: Context, issue: str, other: str, kind: str = "", target: str = "default"
) -> Dict[str, Any]:
    """Link two issues, once."""
    asked = {
        "op": "link",
        "issue": _issue(issue),
        "other": _issue(other),
        "kind": one_line(kind, 120),
    }
    if asked["issue"] == asked["other"]:
        raise InvalidInput("%s cannot be linked to itself: give two issues" % issue)
    return _written(ctx, target, asked, _issue(issue))


def attach(
    ctx: Context,
    issue: str,
    name: str,
    content: str = "",
    incident_id: str = "",
    target: str = "default",
) -> Dict[str, Any]:
    """Attach a text as a file, or with `incident_id` that incident's report."""
    issue = _issue(issue)
    kept = wishing.file(ctx, name, content, incident_id)
    kept["name"] = issues.file_name(one_line(kept["name"], 120))
    asked = {**kept, "op": "attach", "issue": issue}
    return _written(ctx, target, asked, issue)


def get_issue(
    ctx: Context, issue: str, comments: int = 5, target: str = "default"
) -> Dict[str, Any]:
    """One issue as it is now, with its newest comments."""
    issue = _issue(issue)
    jira = _tracker(ctx, target)
    fields = (*issues.FIELDS, *_MORE)
    found = _asked(jira, lambda: issues.read(jira.site, issue, fields))
    shown = _shown(jira, found)
    more = found["fields"]
    shown["description"] = words_of(more.get("description"))
    shown["links"] = [_linked(one) for one in more.get("issuelinks") or []]
    shown["attachments"] = [str(one.get("filename")) for one in more.get("attachment") or []]
    shown["comments"] = _asked(jira, lambda: _comments(jira, issue, comments)) if comments else []
    return dict(cap(shown, 8000, 200))


def search(
    ctx: Context, jql: str, limit: int = 20, target: str = "default"
) -> Dict[str, Any]:
    """Issues that a JQL query finds; {"count", "issues"}."""
    if not jql.strip():
        raise InvalidInput("jql is empty, which would find every issue: give a query")
    if len(jql) > _LONGEST_JQL:
        raise InvalidInput("jql has %d characters; give at most %d" % (len(jql), _LONGEST_JQL))
    jira = _tracker(ctx, target)
    most = max(1, min(int(limit), _MOST_FOUND))
    found = _asked(jira, lambda: search_issues(jira.site, jql, issues.FIELDS, most))
    return {"count": len(found), "issues": [_shown(jira, one) for one in found]}


def _written(ctx: Context, target: str, asked: Dict[str, Any], issue: str) -> Dict[str, Any]:
    """{"delivered", "waits", "outbox_id", and what came of it}: when Jira is out of reach the
    letter waits in the outbox. Raises what Jira refused for good.
    """
    _tracker(ctx, target)
    told = wishing.send(ctx, SECTION, target, asked, issue)
    answer = dict(told.pop("answer", None) or {})
    return {**answer, **told}


def _tracker(ctx: Context, target: str) -> Jira:
    targets = ctx.config.targets(SECTION)
    if target not in targets:
        raise InvalidInput(
            "there is no Jira called %r; those there are: %s"
            % (one_line(target, 60), ", ".join(sorted(targets)) or "none: set jira.url")
        )
    return tracker(ctx, target)


def _asked(jira: Jira, work: Callable[[], T]) -> T:
    return service.call(jira.ctx, jira.name, work)


def _issue(issue: str) -> str:
    issue_path(issue)
    return issue.upper()  # as all keys are


def _words(name: str, value: str, most: int) -> str:
    return one_line(wishing.words(name, value), most)


def _document(value: str) -> List[Dict[str, Any]]:
    """What a person wrote: paragraphs as they are."""
    lines = printable(value).splitlines()
    if any(line.startswith("    ") for line in lines):
        return dumped((code("\n".join(lines)),))
    return dumped((text(*(line for line in lines if line.strip())),))


def _severity(severity: str) -> str:
    if severity and severity not in SEVERITIES:
        raise InvalidInput(
            "severity must be one of %s, not %r" % (", ".join(SEVERITIES), one_line(severity, 40))
        )
    return severity


def _project(project: str) -> str:
    if project and not _PROJECT.match(project):
        raise InvalidInput(
            "%s is no key of a project: give one, such as OPS" % one_line(repr(project), 60)
        )
    return project.upper()


def _labels(labels: Optional[Sequence[str]]) -> List[str]:
    found: List[str] = []
    for one in labels or ():
        if not isinstance(one, str) or not one.strip() or any(c.isspace() for c in one):
            raise InvalidInput(
                "%s is no label: give words without spaces" % one_line(repr(one), 60)
            )
        found.append(one)
    return found


def _shown(jira: Jira, issue: Mapping[str, Any]) -> Dict[str, Any]:
    ticket, fields = jira.ticket_of(issue), issue.get("fields") or {}
    return {
        "issue": ticket.number,
        "id": ticket.ref,
        "url": ticket.url,
        "summary": str(fields.get("summary") or ""),
        "status": ticket.raw_state,
        "state": ticket.state,
        "resolution": str((fields.get("resolution") or {}).get("name") or ""),
        "priority": str((fields.get("priority") or {}).get("name") or ""),
        "assignee": ticket.assignee,
        "type": ticket.kind,
        "labels": [str(one) for one in fields.get("labels") or []],
        "created": str(fields.get("created") or ""),
        "updated": str(fields.get("updated") or ""),
    }


def _linked(one: Mapping[str, Any]) -> Dict[str, str]:
    inward, outward = one.get("inwardIssue"), one.get("outwardIssue")
    kind = one.get("type") or {}
    other = inward or outward or {}
    words = kind.get("inward") if inward else kind.get("outward")
    return {"kind": str(words or kind.get("name") or ""), "issue": str(other.get("key") or "")}


def _comments(jira: Jira, issue: str, most: int) -> List[Dict[str, str]]:
    found: List[Dict[str, str]] = []
    for one in issues.comments(jira.site, issue):
        if len(found) >= most:
            break
        found.append(
            {
                "by": person(one.get("author")),
                "at": str(one.get("created") or ""),
                "text": words_of(one.get("body")),
            }
        )
    return found

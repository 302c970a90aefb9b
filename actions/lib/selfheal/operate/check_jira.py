"""Whether each Jira can be reached, and whether the settings fit it: project and issue type, our
rights, the fields that a new issue needs, priorities, the statuses that a resolved issue may end
in.

Only reads; no issue is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from selfheal.apis.jira import meta
from selfheal.apis.jira.connection import Connection, Refusal, connect
from selfheal.config import target_key
from selfheal.exceptions import NotFound
from selfheal.operate import check_trackers
from selfheal.operate.check_trackers import Row
from selfheal.text import one_line
from selfheal.tickets import jira_evidence
from selfheal.tickets.jira_path import DONE, is_given_up, status_of
from selfheal.tickets.jira_settings import SECTION, JiraSettings, completed

if TYPE_CHECKING:
    from selfheal.context import Context

# What each right is for; without the first three there are no tickets.
_RIGHTS = {
    "BROWSE_PROJECTS": "see issues",
    "CREATE_ISSUES": "make issues",
    "ADD_COMMENTS": "comment",
    "TRANSITION_ISSUES": "resolve and reopen",
    "EDIT_ISSUES": "let the priority follow",
    "LINK_ISSUES": "link issues of one cause",
    "CREATE_ATTACHMENTS": "attach reports",
    "ASSIGN_ISSUES": "assign (only the action jira_assign)",
}
_NEEDED = ("BROWSE_PROJECTS", "CREATE_ISSUES", "ADD_COMMENTS")
_OURS = ("project", "issuetype", "summary", "description", "labels", "reporter")


def lines(ctx: Context, longest_wait_s: float) -> List[Row]:
    """(what, state, detail, do) for each target of section jira, as in `check_config`."""

    def look(name: str, target: Mapping[str, Any]) -> List[Row]:
        wait_s = min(float(target.get("timeout_s") or longest_wait_s), longest_wait_s)
        what = target_key(SECTION, name)
        settings = completed(ctx.config, what, dict(target, timeout_s=wait_s))
        return _target(settings, connect(ctx.http, settings.target, what))

    return check_trackers.lines(ctx, SECTION, "url", look)


def _target(settings: JiraSettings, site: Connection) -> List[Row]:
    jira_evidence.check_flavour(site)
    who = meta.myself(site)
    name = one_line(str(who.get("displayName") or who.get("name") or "somebody"), 60)
    kind = "Cloud" if site.is_cloud else "Data Center %s" % meta.about(site).get("version")
    rows: List[Row] = [(settings.what, "on", "%s: Jira %s knows us as %s" % (
        site.url, kind, name), "")]
    places = [(settings.project, settings.issue_type)]
    places += [
        (
            str(one.get("project") or settings.project),
            str(one.get("issue_type") or settings.issue_type),
        )
        for one in settings.routes
    ]
    for key, issue_type in sorted(set(places)):
        rows += _place(settings, site, key, issue_type)
    kinds = meta.link_types(site)
    if settings.link_type.casefold() not in [one.casefold() for one in kinds]:
        detail = "no link type is called %s; there are: %s"
        rows.append(
            (
                settings.what + ": links", "warning",
                detail % (settings.link_type, ", ".join(kinds)), "set %s.link_type" % settings.what,
            )
        )
    return rows


def _place(settings: JiraSettings, site: Connection, key: str, issue_type: str) -> List[Row]:
    what = "%s: project %s" % (settings.what, key or "?")
    if not key:
        return [(what, "error", "no project is set", "set %s.project" % settings.what)]
    try:
        project = meta.project(site, key)
    except (Refusal, NotFound) as refusal:
        do = "correct %s.project, or let our user browse it" % settings.what
        return [(what, "error", str(refusal), do)]
    types = {
        str(one.get("name")): str(one.get("id"))
        for one in project.get("issueTypes") or []
        if isinstance(one, Mapping) and not one.get("subtask")
    }
    wanted = issue_type.casefold()
    type_id = next(
        (number for name, number in types.items() if wanted in (name.casefold(), number)), ""
    )
    if not type_id:
        detail = "it has no issue type %s; there are: %s" % (issue_type, ", ".join(types))
        return [(what, "error", detail, "set %s.issue_type" % settings.what)]
    rows = [
        *_rights(what, site, key),
        *_fields(what, settings, meta.create_fields(site, key, type_id)),
        *_ends(what, settings, meta.statuses(site, key, type_id)),
    ]
    if any(state == "error" for _, state, _, _ in rows):
        return rows
    detail = "issues of type %s can be made, found and commented on" % issue_type
    return [(what, "on", detail, ""), *rows]


def _rights(what: str, site: Connection, key: str) -> List[Row]:
    missing = meta.missing_rights(site, key, tuple(_RIGHTS))
    if not missing:
        return []
    state = "error" if set(missing) & set(_NEEDED) else "warning"
    detail = "our user may not %s" % ", ".join(_RIGHTS[one] for one in missing)
    do = "grant %s in the project's permission scheme" % ", ".join(missing)
    return [(what + ": rights", state, detail, do)]


def _fields(
    what: str, settings: JiraSettings, described: List[Dict[str, Any]]
) -> List[Row]:
    if not described:
        return []
    rows: List[Row] = []
    by_id = {str(one.get("fieldId") or one.get("key")): one for one in described}
    given = {*_OURS, *settings.fields}
    given |= {"components"} if settings.components else set()
    given |= {"priority"} if any(settings.priorities.values()) else set()
    missing = [
        "%s (%s)" % (one_line(str(one.get("name")), 40), name)
        for name, one in by_id.items()
        if one.get("required") and not one.get("hasDefaultValue") and name not in given
    ]
    if missing:
        detail = "a new issue needs %s" % ", ".join(missing)
        do = "give them values in %s.fields, or make them optional" % settings.what
        rows.append((what + ": fields", "error", detail, do))
    absent = [name for name in ("labels", *sorted(settings.fields)) if name not in by_id]
    if absent:
        detail = "the create screen has no %s" % ", ".join(absent)
        do = "add the fields to the project's create screen (tickets are found again by labels)"
        rows.append((what + ": fields", "error", detail, do))
    return [*rows, *_priorities(what, settings, by_id.get("priority"))]


def _priorities(what: str, settings: JiraSettings, described: Any) -> List[Row]:
    wanted = sorted({one for one in settings.priorities.values() if one})
    if not wanted:
        return []
    what += ": priorities"
    key = "%s.priorities" % settings.what
    if not isinstance(described, Mapping):
        detail = "the create screen has no priority: issues are made without one"
        return [(what, "warning", detail, "add the field to the screen, or set %s to empty" % key)]
    allowed = [
        str(one.get("name"))
        for one in described.get("allowedValues") or []
        if isinstance(one, Mapping)
    ]
    folded = {one.casefold() for one in allowed}
    unknown = [one for one in wanted if one.casefold() not in folded]
    if not allowed or not unknown:
        return []
    detail = "there is no priority %s; there are: %s" % (", ".join(unknown), ", ".join(allowed))
    return [(what, "warning", detail, "set %s; until then issues get the usual one" % key)]


def _ends(what: str, settings: JiraSettings, described: List[Dict[str, Any]]) -> List[Row]:
    if not described:
        return []
    found = [status_of(one) for one in described]
    names = {one.name.casefold() for one in found}
    shown = ", ".join(one.name for one in found)
    rows: List[Row] = []
    for key in ("done_status", "reopen_status"):
        unknown = [one for one in getattr(settings, key) if one.casefold() not in names]
        if unknown:
            detail = "there is no status %s; there are: %s" % (", ".join(unknown), shown)
            rows.append((what + ": statuses", "error", detail, "set %s.%s" % (settings.what, key)))
    is_end = any(one.category == DONE and not is_given_up(one.name) for one in found)
    if not settings.done_status and not is_end:
        detail = "no status says that an issue is done; there are: %s" % shown
        do = "set %s.done_status; until then issues only get a comment" % settings.what
        rows.append((what + ": statuses", "warning", detail, do))
    return rows

"""Jira as a tracker of tickets.

An issue is found again by a label made of its correlation id, and known by its numeric id, which
outlives a move to another project. Each comment carries its mark twice: as an entity property, and
as its last line for a Jira that keeps no properties.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, TypeVar

from selfheal.apis.jira import adf, issues, jql, wiki
from selfheal.apis.jira.connection import Connection, Refusal, connect
from selfheal.apis.jira.lengths import LONGEST_SUMMARY, cut
from selfheal.apis.jira.search import search
from selfheal.document import Document, plain, text
from selfheal.exceptions import ConfigError, InvalidInput, Refused, SelfhealError
from selfheal.outbox.carrying import NotTaken
from selfheal.records import dataclass
from selfheal.text import one_line
from selfheal.tickets import jira_evidence, jira_moves, model, routes, whole_text
from selfheal.tickets.jira_path import DONE, IN_PROGRESS, Status, goal_of, is_given_up, status_of
from selfheal.tickets.jira_settings import (
    JiraSettings,
    Place,
    place_of,
    settings_of,
    with_own_fields,
)

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.tickets.model import Author, Draft, Ticket

T = TypeVar("T")
PROPERTY = "selfheal"
PREFIX = "selfheal"
_FOR_AGENTS = "sd.public.comment"  # of Jira Service Management; elsewhere it says nothing
MARK_LINE = "selfheal: %s"
_MOST_FOUND = 50
_OPTIONAL = ("priority", "components")  # a screen without them is no reason to make no ticket
_SETTLES_S = {True: 60.0, False: 5.0}


@dataclass(frozen=True)
class Jira:
    """One configured Jira. `settles_s`: for so long after a write of unknown outcome `find` may
    miss it, as the search index is behind.
    """

    ctx: Context = field(repr=False)
    name: str
    settings: JiraSettings
    site: Connection

    @property
    def settles_s(self) -> float:
        return _SETTLES_S[self.site.is_cloud]

    def find(self, correlation: str) -> List[Ticket]:
        """All issues with exactly this correlation id, the oldest first."""
        wanted = label_of(correlation)
        query = "%s ORDER BY created ASC" % jql.equals("labels", wanted)
        found = told(lambda: search(self.site, query, issues.FIELDS, _MOST_FOUND))
        exact = [one for one in found if wanted in (one["fields"].get("labels") or [])]
        return [self.ticket_of(one) for one in sorted(exact, key=lambda one: int(one["id"]))]

    def create(self, draft: Draft) -> Ticket:
        """Make an issue where the settings say. Raises ConfigError when Jira wants other fields."""
        place = place_of(self.settings, routes.chosen(self.settings.routes, draft))
        body, _ = issues.body_of(self.site, draft.body)
        fields = self._fields(draft, place, body)
        kept = {
            "correlation": draft.correlation, "incident": draft.incident_id,
            "fingerprint": draft.fingerprint,
        }
        properties = {PROPERTY: {key: value[:1000] for key, value in kept.items() if value}}
        made = self.made(fields, properties, place)
        try:
            return self.ticket_of(issues.read(self.site, str(made.get("key") or made["id"])))
        except SelfhealError:  # it is there all the same
            return self.ticket_of(made)

    def complete(self, ref: str, draft: Draft) -> None:
        """Attach the whole description where it had to be cut, once."""
        if issues.body_of(self.site, draft.body)[1]:
            name = "incident-%s" % (draft.incident_id or draft.correlation)
            whole_text.attach(self, ref, name, plain(draft.body))

    def made(
        self, fields: Dict[str, Any], properties: Mapping[str, Any], place: Place
    ) -> Dict[str, Any]:
        """Make an issue of `fields`; those that it can do without are left out where the screen
        does not have them. Raises ConfigError.
        """
        try:
            return issues.create(self.site, fields, properties)
        except Refusal as refusal:
            needless = [name for name in _OPTIONAL if name in refusal.errors and name in fields]
            if refusal.status not in (400, 404, 422):
                raise _final(refusal) from refusal
            if not needless or set(refusal.errors) - set(needless):
                raise self._unmade(refusal, place) from refusal
            problem = one_line("; ".join(refusal.errors[name] for name in needless), 300)
        self.ctx.log.warning("%s takes no %s: %s", self.name, " and no ".join(needless), problem)
        left = {name: value for name, value in fields.items() if name not in needless}
        try:
            return issues.create(self.site, left, properties)
        except Refusal as refusal:
            raise self._unmade(refusal, place) from refusal

    def read(self, refs: Sequence[str]) -> Dict[str, Ticket]:
        """The issues by numeric id as they are now; one that is not in it is gone."""
        found = told(lambda: issues.read_many(self.site, refs))
        return {ref: self.ticket_of(one) for ref, one in found.items()}

    def sees(self, refs: Sequence[str]) -> bool:
        """Whether this is the Jira that the settings mean, and shows us the projects of tickets.
        Raises ConfigError.
        """
        projects = [self.settings.project, *(one.get("project") for one in self.settings.routes)]
        return told(lambda: jira_evidence.sees(self.site, [str(one) for one in projects if one]))

    def author(self, ref: str, what: str) -> Optional[Author]:
        """Who changed the status, or the assignee, last, by the issue's history."""
        return told(lambda: jira_evidence.author(self.site, ref, what))

    def comment(self, ref: str, body: Document, mark: str) -> None:
        """Add a comment that is found again by `mark`."""
        if not mark.strip():
            raise InvalidInput("a comment needs a mark: give the letter's id")
        rendered, is_cut = issues.body_of(self.site, body, (text(MARK_LINE % mark),))
        if is_cut:
            whole_text.attach_if_allowed(self, ref, mark, plain(body), self.ctx.log)
        properties: Dict[str, Any] = {PROPERTY: {"mark": mark}}
        if self.settings.internal_comments:
            properties[_FOR_AGENTS] = {"internal": True}
        told(lambda: issues.comment(self.site, ref, rendered, properties))

    def has_comment(self, ref: str, mark: str) -> bool:
        """Whether the issue has the comment with that mark."""
        line = MARK_LINE % mark
        shown = line if self.site.is_cloud else wiki.escaped(line)
        return told(
            lambda: any(
                _mark_of(one) == mark or _last_line(one) == shown
                for one in issues.comments(self.site, ref)
            )
        )

    def set_severity(self, ref: str, severity: str) -> None:
        """Let the priority follow, where the settings name one for the severity."""
        wanted = str(self.settings.priorities.get(severity) or "")
        if not wanted:
            return
        now = told(lambda: issues.read(self.site, ref, ("priority",)))["fields"].get("priority")
        if isinstance(now, Mapping) and str(now.get("name")).casefold() == wanted.casefold():
            return
        try:
            issues.edit(self.site, ref, {"priority": {"name": wanted}})
        except Refusal as refusal:
            if refusal.status != 400:
                raise _final(refusal) from refusal
            raise Refused(
                "%s; set %s.priorities.%s to a priority that the project has, and put the field on "
                "the edit screen" % (refusal, self.settings.what, severity)
            ) from refusal

    def resolve(self, ref: str, body: Document, resolved_at: float) -> None:
        """Bring the issue to a status of category done, through whatever lies between."""
        names = self.settings.done_status
        wanted = " or ".join(names) or "a status of category done"
        if self._status(ref).category == DONE:
            return  # by us or by a person, who may have said another end
        is_goal = goal_of(names, DONE)
        told(lambda: jira_moves.move(self.site, self.settings, ref, is_goal, wanted))

    def reopen(self, ref: str, body: Document) -> None:
        """Bring the issue back to a status that is not done."""
        names = {name.casefold() for name in self.settings.reopen_status}
        if self._status(ref).category != DONE:
            return
        told(
            lambda: jira_moves.move(
                self.site,
                self.settings,
                ref,
                lambda one: one.name.casefold() in names if names else one.category != DONE,
                " or ".join(self.settings.reopen_status) or "a status that is not done",
            )
        )

    def link(self, ref: str, other: Ticket, words: str) -> None:
        """Say that the two belong together: by an issue link, or by a web link to what is not in
        this Jira.
        """
        if not other.url.startswith(self.site.site_url + "/browse/"):
            if not adf.is_url(other.url):
                raise Refused("%s has no address that Jira could link to" % other.number)
            told(lambda: issues.link_url(self.site, ref, other.url, other.number, words))
            return
        issue = told(lambda: issues.read(self.site, ref, ("issuelinks",)))
        for one in issue["fields"].get("issuelinks") or []:
            ends = (one.get("inwardIssue") or {}, one.get("outwardIssue") or {})
            if any(other.ref == end.get("id") or other.number == end.get("key") for end in ends):
                return
        kind = self.settings.link_type
        told(lambda: issues.link(self.site, kind, str(issue["key"]), other.number))

    def attach(self, ref: str, name: str, content: bytes, media_type: str) -> None:
        """Attach a file; one of that name that is there already stays, and none is added."""
        kept = issues.file_name(name)
        now = told(lambda: issues.read(self.site, ref, ("attachment",)))["fields"]
        if any(one.get("filename") == kept for one in now.get("attachment") or []):
            return
        told(lambda: issues.attach(self.site, ref, kept, content, media_type))

    def ticket_of(self, issue: Mapping[str, Any]) -> Ticket:
        """An issue as a ticket."""
        fields = issue.get("fields") or {}
        status = status_of(fields.get("status"))
        key = str(issue.get("key") or "")
        severity = _name(fields.get("priority")).casefold()
        return model.Ticket(
            ref=str(issue.get("id") or ""),
            number=key,
            url="%s/browse/%s" % (self.site.site_url, key),
            state=_state(status.category, status.name, _name(fields.get("resolution"))),
            raw_state=status.name,
            assignee=person(fields.get("assignee")),
            kind=_name(fields.get("issuetype")),
            severity=next(
                (
                    ours
                    for ours, theirs in self.settings.priorities.items()
                    if str(theirs).casefold() == severity
                ),
                "",
            ),
            updated_at=_time(fields.get("updated")),
        )

    def _status(self, ref: str) -> Status:
        issue = told(lambda: issues.read(self.site, ref, ("status",)))
        return status_of(issue["fields"].get("status"))

    def _fields(self, draft: Draft, place: Place, body: Any) -> Dict[str, Any]:
        labels = [label_of(draft.correlation)]
        if draft.fingerprint.strip():
            labels.append(jql.label("fingerprint", draft.fingerprint))
        fields = basic_fields(self.settings, place, draft.title, body, draft.severity)
        fields["labels"] = [*fields["labels"], *labels]
        return with_own_fields(self.settings, fields)

    def _unmade(self, refusal: Refusal, place: Place) -> ConfigError:
        return ConfigError(
            "%s; check %s.project (%s), %s.issue_type (%s), and set what the project requires in "
            "%s.fields (check_config names it)"
            % (
                refusal, self.settings.what, place.project, self.settings.what, place.issue_type,
                self.settings.what,
            )
        )


def tracker(ctx: Context, target: str = "default") -> Jira:
    """The Jira of that name in the settings. Raises ConfigError."""
    settings = settings_of(ctx.config, target)
    site = connect(ctx.http, settings.target, settings.what)
    return Jira(ctx, "jira.%s" % target, settings, site)


def label_of(correlation: str) -> str:
    """The label by which a ticket is found again. Raises InvalidInput for an empty correlation."""
    try:
        return jql.label(PREFIX, correlation)
    except ValueError:
        raise InvalidInput("a ticket needs a correlation id: give one") from None


def basic_fields(
    settings: JiraSettings, place: Place, title: str, body: Any, severity: str
) -> Dict[str, Any]:
    """The fields of a new issue that every project has, and priority and components."""
    fields: Dict[str, Any] = {
        "project": {"key": place.project},
        "issuetype": {"id" if place.issue_type.isdecimal() else "name": place.issue_type},
        "summary": cut(one_line(title, 10000), LONGEST_SUMMARY) or "(no title)",
        "description": body,
        "labels": [one for one in place.labels if one and not any(c.isspace() for c in one)],
    }
    priority = settings.priorities.get(severity)
    if priority:
        fields["priority"] = {"name": str(priority)}
    if place.components:
        fields["components"] = [{"name": name} for name in place.components]
    return fields


def person(value: Any) -> str:
    """Who somebody is, by what Jira shows of them."""
    if not isinstance(value, Mapping):
        return ""
    return str(value.get("displayName") or value.get("name") or value.get("accountId") or "")


def told(work: Callable[[], T]) -> T:
    """What `work` answers. Raises NotTaken for a definite no of Jira's."""
    try:
        return work()
    except Refusal as refusal:
        raise _final(refusal) from refusal


def _final(refusal: Refusal) -> SelfhealError:
    """A refusal as who carries letters understands it: will it ever be taken, and may it have been
    written.
    """
    if refusal.status >= 500:
        return refusal
    return NotTaken(str(refusal), is_final=refusal.status not in (408, 409, 423, 425))


def _mark_of(comment: Mapping[str, Any]) -> Optional[str]:
    for one in comment.get("properties") or []:
        if isinstance(one, Mapping) and one.get("key") == PROPERTY:
            value = one.get("value")
            return str(value.get("mark")) if isinstance(value, Mapping) else None
    return None


def _last_line(comment: Mapping[str, Any]) -> str:
    lines = adf.text_of(comment.get("body")).strip().splitlines()
    return lines[-1].strip() if lines else ""


def _name(value: Any) -> str:
    return str(value.get("name") or "") if isinstance(value, Mapping) else ""


def _state(category: str, status: str, resolution: str) -> str:
    if category != DONE:
        return model.IN_PROGRESS if category == IN_PROGRESS else model.OPEN
    if is_given_up(status) or is_given_up(resolution):
        return model.CANCELLED
    return model.CLOSED if status.casefold() == "closed" else model.RESOLVED


def _time(value: Any) -> Optional[float]:
    try:
        return datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError:
        return None

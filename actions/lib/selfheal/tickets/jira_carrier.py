"""Carries what people do by hand in Jira: one letter, one operation.

Each is safe to do again: an issue is found by the letter's id, a comment by its mark, all else ends
in the same state. What Jira refuses for good is a final no, with its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping

from selfheal.apis.jira import adf, issues
from selfheal.document import Document, loaded, plain
from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.outbox.carrying import Later, Letter, NotTaken
from selfheal.store import checkpoints
from selfheal.text import one_line
from selfheal.tickets import jira_moves, model, trackers, whole_text
from selfheal.tickets.jira import PROPERTY, Jira, basic_fields, label_of, person, told, tracker
from selfheal.tickets.jira_settings import Place, place_of, with_own_fields
from selfheal.tickets.wishes import asked_of, comment_once, content_of

if TYPE_CHECKING:
    from selfheal.context import Context

NOBODY = "nobody"
_MADE = "jira_made:%s"  # when an issue was last made by hand in that Jira
Answer = Dict[str, Any]


def SERVICE(letter: Letter) -> str:
    """What the circuit breaker of this Jira is called."""
    return "jira.%s" % letter.target


def problem(ctx: Context, target: str) -> str:
    """Why there is nowhere to write to, or empty."""
    return trackers.nowhere(ctx.config, "jira.%s" % target)


def carry(ctx: Context, letter: Letter) -> Mapping[str, Any]:
    """Do what the letter says; what came of it."""
    try:
        operation = asked_of(letter, _OPERATIONS)
        return told(lambda: operation(tracker(ctx, letter.target), letter))
    except (Refused, NotFound, InvalidInput) as error:
        if not letter.may_have_arrived:
            raise
        words = "%s; an attempt before this one may have done it: have a look" % error
        raise NotTaken(words, is_final=True) from error


def _create(jira: Jira, letter: Letter) -> Answer:
    asked = letter.payload
    description = loaded(asked.get("description"))
    if letter.may_have_arrived:
        found = jira.find(letter.id)
        if found:
            _complete(jira, found[0], description)
            return _named(found[0])
        _wait_for_index(jira, letter)
    here = place_of(jira.settings, {}) if not asked.get("project") else None
    place = Place(
        str(asked.get("project") or (here.project if here else "")),
        str(asked.get("issue_type") or jira.settings.issue_type),
        (*jira.settings.labels, *asked.get("labels", ()), label_of(letter.id)),
        jira.settings.components,
    )
    body, _ = issues.body_of(jira.site, description)
    title, severity = str(asked.get("summary")), str(asked.get("severity") or "")
    basic = basic_fields(jira.settings, place, title, body, severity)
    fields = with_own_fields(jira.settings, basic)
    store = jira.ctx.store
    checkpoints.write(store, _MADE % letter.target, {"at": store.now()})
    made = jira.made(fields, {PROPERTY: {"letter": letter.id}}, place)
    ticket = jira.ticket_of(made)
    _complete(jira, ticket, description)
    return _named(ticket)


def _complete(jira: Jira, ticket: model.Ticket, description: Document) -> None:
    """The whole of a description that was cut follows as a file, once."""
    if issues.body_of(jira.site, description)[1]:
        whole_text.attach_if_possible(
            jira, ticket.ref, "description", plain(description), jira.ctx.log
        )


def _wait_for_index(jira: Jira, letter: Letter) -> None:
    """Raises Later while the last issue that was made here by hand may not be found yet."""
    kept = checkpoints.read(jira.ctx.store, _MADE % letter.target)
    made_at = checkpoints.number(kept, "at") or letter.created_at
    rest_s = made_at + jira.settles_s - jira.ctx.store.now()
    if 0 < rest_s <= jira.settles_s:
        raise Later(rest_s, "Jira's search may not show yet what an attempt before this made")


def _comment(jira: Jira, letter: Letter) -> Answer:
    issue = str(letter.payload["issue"])
    comment_once(jira, issue, loaded(letter.payload.get("text")), letter)
    return {"issue": issue}


def _transition(jira: Jira, letter: Letter) -> Answer:
    issue = str(letter.payload["issue"])
    taken = jira_moves.move_by_name(
        jira.site,
        jira.settings,
        issue,
        str(letter.payload["to"]),
        str(letter.payload.get("resolution") or ""),
    )
    now = jira.ticket_of(issues.read(jira.site, issue))
    return {**_named(now), "status": now.raw_state, "transitions": taken}


def _assign(jira: Jira, letter: Letter) -> Answer:
    issue, who = str(letter.payload["issue"]), str(letter.payload["to"])
    if who == NOBODY:
        issues.assign(jira.site, issue, None)
        return {"issue": issue, "assignee": ""}
    found = the_user(jira, issue, who)
    key = "accountId" if jira.site.is_cloud else "name"
    issues.assign(jira.site, issue, str(found[key]))
    return {"issue": issue, "assignee": person(found)}


def _link(jira: Jira, letter: Letter) -> Answer:
    issue, other = str(letter.payload["issue"]), str(letter.payload["other"])
    kind = str(letter.payload.get("kind") or "") or jira.settings.link_type
    mine = issues.read(jira.site, issue, ("issuelinks",))
    theirs = issues.read(jira.site, other, ("summary",))
    for one in mine["fields"].get("issuelinks") or []:
        ends = (one.get("inwardIssue") or {}, one.get("outwardIssue") or {})
        is_same = str((one.get("type") or {}).get("name")).casefold() == kind.casefold()
        if is_same and any(theirs["id"] == end.get("id") for end in ends):
            break
    else:
        issues.link(jira.site, kind, str(mine["key"]), str(theirs["key"]))
    return {"issue": str(mine["key"]), "other": str(theirs["key"]), "kind": kind}


def _attach(jira: Jira, letter: Letter) -> Answer:
    asked = letter.payload
    issue, name = str(asked["issue"]), issues.file_name(str(asked["name"]))
    content = content_of(asked)
    jira.attach(issue, name, content, str(asked["media_type"]))
    return {"issue": issue, "name": name, "bytes": len(content)}


_OPERATIONS: Dict[str, Callable[[Jira, Letter], Answer]] = {
    "create": _create,
    "comment": _comment,
    "transition": _transition,
    "assign": _assign,
    "link": _link,
    "attach": _attach,
}


def _named(ticket: model.Ticket) -> Answer:
    return {"issue": ticket.number, "id": ticket.ref, "url": ticket.url}


def the_user(jira: Jira, issue: str, who: str) -> Mapping[str, Any]:
    """The one person called `who` that may be assigned to the issue: by account id, user name,
    e-mail address or shown name. Raises NotFound, InvalidInput for several.
    """
    found = issues.assignable(jira.site, issue, who)
    folded = who.casefold()
    for key in ("accountId", "name", "emailAddress", "displayName"):
        exact = [one for one in found if str(one.get(key) or "").casefold() == folded]
        if len(exact) == 1:
            return exact[0]
        if exact:
            raise InvalidInput(
                "%d people are called %s in Jira; give one of the ids %s"
                % (len(exact), one_line(who, 60), _ids(exact))
            )
    raise NotFound(
        "nobody who may be assigned to %s is called %s%s"
        % (issue, one_line(who, 60), "; near: " + _people(found) if found else "")
    )


def _ids(found: List[Dict[str, Any]]) -> str:
    return ", ".join(str(one.get("accountId") or one.get("name")) for one in found[:5])


def _people(found: List[Dict[str, Any]]) -> str:
    return one_line(", ".join(person(one) for one in found[:5]), 200)


def words_of(value: Any) -> str:
    """The words of a description or comment, as text."""
    return adf.text_of(value)

"""One issue: read, made, changed, commented on, moved through its workflow, linked, attached to.

Thin: each function is one request, or one and its pages. What to write, and whether, is decided
above.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from selfheal.apis.jira import adf, wiki
from selfheal.apis.jira.connection import Connection, issue_path
from selfheal.apis.jira.search import search
from selfheal.document import Document
from selfheal.exceptions import ExternalError, NotFound

FIELDS = (
    "summary", "status", "resolution", "priority", "assignee", "labels", "issuetype", "project",
    "created", "updated",
)
_BULK = 100
_COMMENTS = 100
_MOST_COMMENTS = 10000


def body_of(site: Connection, document: Document, tail: Document = ()) -> Tuple[Any, bool]:
    """(`document` and `tail` as this Jira takes them, whether the document was cut to fit)."""
    rendered = adf.rendered if site.is_cloud else wiki.rendered
    return rendered(document, tail)


def create(
    site: Connection, fields: Mapping[str, Any], properties: Mapping[str, Any]
) -> Dict[str, Any]:
    """Make an issue; {"id", "key"}. Raises Refusal with Jira's words by field."""
    kept = [{"key": key, "value": value} for key, value in properties.items()]
    answer = site.ask(
        "POST", "/issue", json={"fields": dict(fields), **({"properties": kept} if kept else {})}
    )
    if not isinstance(answer, dict) or not answer.get("id"):
        raise ExternalError("Jira (%s) made an issue but did not say which" % site.what)
    return answer


def read(site: Connection, issue: str, fields: Sequence[str] = FIELDS) -> Dict[str, Any]:
    """One issue with `fields`. Raises NotFound."""
    answer = site.ask("GET", issue_path(issue), query={"fields": ",".join(fields)})
    if not isinstance(answer, dict) or not isinstance(answer.get("fields"), dict):
        raise ExternalError("Jira (%s) did not answer with an issue" % site.what)
    return answer


def read_many(
    site: Connection, ids: Sequence[str], fields: Sequence[str] = FIELDS
) -> Dict[str, Dict[str, Any]]:
    """The issues by numeric id as they are now. One that is missing was asked for once more by
    itself: it is gone, or hidden from us.
    """
    found: Dict[str, Dict[str, Any]] = {}
    for one in ids:
        issue_path(one)
    for at in range(0, len(ids), _BULK):
        for issue in _several(site, ids[at:at + _BULK], fields):
            found[str(issue["id"])] = issue
    for one in ids:
        if one not in found:
            try:
                found[one] = read(site, one, fields)
            except NotFound:
                pass
    return found


def _several(
    site: Connection, ids: Sequence[str], fields: Sequence[str]
) -> List[Dict[str, Any]]:
    if len(ids) < 2:
        return []
    if not site.is_cloud:
        # The index may lag behind what is stored: it only says which there are.
        jql = "id in (%s)" % ", ".join(ids)
        return search(site, jql, fields, len(ids), is_lenient=True)
    asked = {"issueIdsOrKeys": list(ids), "fields": list(fields)}
    try:
        answer = site.ask("POST", "/issue/bulkfetch", json=asked)
    except NotFound:  # no issue is: it does not know this request, and each is read by itself
        return []
    issues = answer.get("issues") if isinstance(answer, dict) else None
    return [one for one in issues or [] if isinstance(one, dict) and one.get("id")]


def edit(site: Connection, issue: str, fields: Mapping[str, Any]) -> None:
    """Set `fields`. Raises Refusal, NotFound."""
    site.ask("PUT", issue_path(issue), json={"fields": dict(fields)})


def comment(site: Connection, issue: str, body: Any, properties: Mapping[str, Any]) -> str:
    """Add a comment (`body`: see `body_of`) with entity properties; its id."""
    kept = [{"key": key, "value": value} for key, value in properties.items()]
    written = {"body": body, "properties": kept}
    answer = site.ask("POST", issue_path(issue, "/comment"), json=written)
    return str(answer.get("id") or "") if isinstance(answer, dict) else ""


def comments(site: Connection, issue: str) -> Iterator[Dict[str, Any]]:
    """All comments with their properties, the newest first."""
    start = 0
    while start < _MOST_COMMENTS:
        query = {
            "startAt": start, "maxResults": _COMMENTS, "orderBy": "-created",
            "expand": "properties",
        }
        answer = site.ask("GET", issue_path(issue, "/comment"), query=query)
        page = answer.get("comments") if isinstance(answer, dict) else None
        if not isinstance(page, list):
            raise ExternalError("Jira (%s) did not answer with comments" % site.what)
        yield from (one for one in page if isinstance(one, dict))
        start += len(page)
        if not page or start >= int(answer.get("total") or 0):
            return


def transitions(site: Connection, issue: str) -> List[Dict[str, Any]]:
    """What the workflow offers now, each with the fields of its screen."""
    answer = site.ask(
        "GET", issue_path(issue, "/transitions"), query={"expand": "transitions.fields"}
    )
    offered = answer.get("transitions") if isinstance(answer, dict) else None
    if not isinstance(offered, list):
        raise ExternalError("Jira (%s) did not answer with transitions" % site.what)
    return [one for one in offered if isinstance(one, dict)]


def transition(
    site: Connection,
    issue: str,
    transition_id: str,
    fields: Mapping[str, Any],
    update: Mapping[str, Any],
) -> None:
    """Carry out one transition, `fields` set and `update` operated on. Raises Refusal, NotFound."""
    body: Dict[str, Any] = {"transition": {"id": transition_id}}
    if fields:
        body["fields"] = dict(fields)
    if update:
        body["update"] = dict(update)
    site.ask("POST", issue_path(issue, "/transitions"), json=body)


def assign(site: Connection, issue: str, user: Optional[str]) -> None:
    """Assign to an account id (Cloud) or user name (Data Center); None for nobody."""
    key = "accountId" if site.is_cloud else "name"
    site.ask("PUT", issue_path(issue, "/assignee"), json={key: user})


def assignable(site: Connection, issue: str, words: str) -> List[Dict[str, Any]]:
    """People who may be assigned to the issue and fit `words`."""
    key = "query" if site.is_cloud else "username"
    query = {key: words, "issueKey": issue, "maxResults": 50}
    answer = site.ask("GET", "/user/assignable/search", query=query)
    return [one for one in answer or [] if isinstance(one, dict)]


def link(site: Connection, kind: str, inward: str, outward: str) -> None:
    """Link two issues by their keys. Raises Refusal, NotFound."""
    for one in (inward, outward):
        issue_path(one)
    body = {
        "type": {"name": kind}, "inwardIssue": {"key": inward}, "outwardIssue": {"key": outward},
    }
    site.ask("POST", "/issueLink", json=body)


def link_url(site: Connection, issue: str, url: str, title: str, words: str) -> None:
    """Link an issue to a page elsewhere; the same URL twice is one link."""
    body = {"globalId": url, "relationship": words, "object": {"url": url, "title": title}}
    site.ask("POST", issue_path(issue, "/remotelink"), json=body)


def attach(site: Connection, issue: str, name: str, content: bytes, media_type: str) -> None:
    """Attach one file. Raises Refusal (413: larger than this Jira takes)."""
    mark = os.urandom(16).hex()
    head = (
        "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
        "Content-Type: %s\r\n\r\n" % (mark, file_name(name), _one_word(media_type))
    )
    body = head.encode("utf-8") + content + ("\r\n--%s--\r\n" % mark).encode("ascii")
    headers = {
        "Content-Type": "multipart/form-data; boundary=%s" % mark,
        "X-Atlassian-Token": "no-check",  # without it Jira takes the upload for a forged one
    }
    site.ask("POST", issue_path(issue, "/attachments"), body=body, headers=headers)


def file_name(name: str) -> str:
    """`name` as Jira keeps it: one plain name, never empty."""
    kept = "".join(one if one.isalnum() or one in "._- " else "-" for one in name).strip(" .")
    return kept[-120:] or "attachment"


def _one_word(media_type: str) -> str:
    is_plain = all(one.isalnum() or one in "/.+-" for one in media_type) and media_type.isascii()
    return media_type if is_plain and media_type.count("/") == 1 else "application/octet-stream"

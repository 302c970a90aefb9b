"""Finding issues by JQL, page by page.

Cloud hands out a token for each next page and knows no total; Data Center counts from an offset.
Cloud's index is minutes behind at worst: what was written a moment ago may not be found yet.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from selfheal.apis.jira.connection import Connection
from selfheal.exceptions import ExternalError, InvalidInput

PAGE = 50
_MOST_PAGES = 200


def search(
    site: Connection, jql: str, fields: Sequence[str], most: int = 100, *, is_lenient: bool = False
) -> List[Dict[str, Any]]:
    """At most `most` issues that `jql` finds, each with `fields`. `is_lenient`: an id that is not
    there is left out instead of refusing the query (Data Center only). Raises InvalidInput for an
    empty query, Refusal when Jira does not understand it.
    """
    if not jql.strip():
        raise InvalidInput("an empty JQL query would find every issue: give a query")
    found: List[Dict[str, Any]] = []
    token, start = "", 0
    for _ in range(_MOST_PAGES):
        size = min(PAGE, most - len(found))
        asked: Dict[str, Any] = {"jql": jql, "maxResults": size, "fields": list(fields)}
        if site.is_cloud:
            answer = site.ask(
                "POST", "/search/jql", json={**asked, **({"nextPageToken": token} if token else {})}
            )
        else:
            query = {**asked, "startAt": start, "fields": ",".join(fields)}
            if is_lenient:
                query["validateQuery"] = "false"
            answer = site.ask("GET", "/search", query=query)
        page = _issues(site, answer)
        found += page[:size]
        start += len(page)
        before, token = token, str(answer.get("nextPageToken") or "")
        if site.is_cloud:  # a page may be empty although others follow
            is_last = token in ("", before) or answer.get("isLast") is True
        else:
            is_last = not page or start >= int(answer.get("total") or 0)
        if is_last or len(found) >= most:
            return found
    return found


def _issues(site: Connection, answer: Any) -> List[Dict[str, Any]]:
    issues = answer.get("issues") if isinstance(answer, dict) else None
    if not isinstance(issues, list) or not all(
        isinstance(one, dict) and isinstance(one.get("fields", {}), dict) for one in issues
    ):
        raise ExternalError(
            "Jira (%s) did not answer a search with issues; is %s.url Jira's base URL?"
            % (site.what, site.what)
        )
    return issues

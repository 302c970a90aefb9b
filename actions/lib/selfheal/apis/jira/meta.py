"""What a Jira tells of itself: who we are there, what we may do, what a new issue needs, which
statuses and links there are. Only reads.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from selfheal.apis.jira.connection import Connection, part

_MOST_PAGES = 20


def myself(site: Connection) -> Dict[str, Any]:
    """Who we are. Raises ConfigError when Jira does not know us."""
    return _map(site.ask("GET", "/myself"))


def about(site: Connection) -> Dict[str, Any]:
    """What it is: `version` (such as 9.12.0), `deploymentType` (Cloud, Server)."""
    return _map(site.ask("GET", "/serverInfo"))


def project(site: Connection, key: str) -> Dict[str, Any]:
    """A project with its issue types. Raises Refusal (404) when there is none that we may see."""
    return _map(site.ask("GET", "/project/%s" % part(key)))


def missing_rights(site: Connection, key: str, rights: Sequence[str]) -> List[str]:
    """Which of `rights` (CREATE_ISSUES ...) we do not have in the project."""
    query = {"projectKey": key, "permissions": ",".join(rights)}
    if not site.is_cloud:
        del query["permissions"]  # it names all of them by itself
    told = _map(_map(site.ask("GET", "/mypermissions", query=query)).get("permissions"))
    # Data Center knows some by an older name, in the singular.
    return [
        one
        for one in rights
        if _map(told.get(one) or told.get(one.rstrip("S"))).get("havePermission") is not True
    ]


def create_fields(site: Connection, key: str, type_id: str) -> List[Dict[str, Any]]:
    """The fields that a new issue of that type may have, each with fieldId, name, required,
    hasDefaultValue and perhaps allowedValues.
    """
    path = "/issue/createmeta/%s/issuetypes/%s" % (part(key), part(type_id))
    found: List[Dict[str, Any]] = []
    for _ in range(_MOST_PAGES):
        answer = _map(site.ask("GET", path, query={"startAt": len(found), "maxResults": 100}))
        page = _maps(answer.get("fields") if site.is_cloud else answer.get("values"))
        found += page
        if not page or len(found) >= int(answer.get("total") or 0):
            break
    return found


def statuses(site: Connection, key: str, type_id: str) -> List[Dict[str, Any]]:
    """The statuses that issues of that type may have in the project."""
    for one in _maps(site.ask("GET", "/project/%s/statuses" % part(key))):
        if str(one.get("id")) == type_id:
            return _maps(one.get("statuses"))
    return []


def link_types(site: Connection) -> List[str]:
    """Names of the links between issues."""
    answer = _map(site.ask("GET", "/issueLinkType"))
    return [str(one.get("name")) for one in _maps(answer.get("issueLinkTypes"))]


def _map(value: Any) -> Dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _maps(value: Any) -> List[Dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

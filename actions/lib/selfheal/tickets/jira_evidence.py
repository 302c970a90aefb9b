"""What Jira tells of who did what to an issue, and of whether it would show us one that it says is
not there.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.apis.jira import meta
from selfheal.apis.jira.connection import Connection, Refusal, issue_path
from selfheal.exceptions import ConfigError
from selfheal.tickets.model import ASSIGNEE, STATE, Author

_FIELDS = {STATE: "status", ASSIGNEE: "assignee"}
_NAMES = ("displayName", "name", "accountId", "key", "emailAddress")
_IDS = ("accountId", "name", "key")
_APP = "app"  # the kind of account that Cloud's automation rules and apps have


def sees(site: Connection, projects: Sequence[str]) -> bool:
    """True when the site is of the flavour that it is spoken to as, knows us, and lets us browse
    `projects`. Raises ConfigError when not.
    """
    check_flavour(site)
    meta.myself(site)
    for key in sorted(set(projects)):
        try:
            missing = meta.missing_rights(site, key, ("BROWSE_PROJECTS",))
        except Refusal as refusal:
            if refusal.retryable:
                raise
            raise ConfigError(
                "%s; no issue counts as deleted until %s.project is one that our user may browse"
                % (refusal, site.what)
            ) from refusal
        if missing:
            raise ConfigError(
                "the user of %s may not browse project %s (BROWSE_PROJECTS): give it that right; "
                "until then no issue counts as deleted" % (site.what, key)
            )
    return True


def check_flavour(site: Connection) -> None:
    """Raises ConfigError when the site says that it is of the other flavour."""
    told = meta.about(site)
    kind = str(told.get("deploymentType") or "")
    if not kind and not told.get("version"):
        raise ConfigError(
            "%s does not say what it is at /serverInfo: check %s.url and %s.flavour"
            % (site.url, site.what, site.what)
        )
    if kind and (kind.casefold() == "cloud") != site.is_cloud:
        right = "datacenter" if site.is_cloud else "cloud"
        raise ConfigError(
            "%s is Jira %s, and is asked as if it were %s: set %s.flavour to %s"
            % (site.url, kind, "Cloud" if site.is_cloud else "Data Center", site.what, right)
        )


def author(site: Connection, issue: str, what: str) -> Optional[Author]:
    """Who changed the status (STATE) or the assignee (ASSIGNEE) last; None when the history does
    not say.
    """
    field = _FIELDS[what]
    answer = site.ask(
        "GET", issue_path(issue), query={"fields": field, "expand": "changelog"}
    )
    log = answer.get("changelog") if isinstance(answer, Mapping) else None
    entries = [
        one
        for one in _maps(log.get("histories") if isinstance(log, Mapping) else None)
        if any(item.get("field") == field for item in _maps(one.get("items")))
    ]
    # Cloud begins with the newest, Data Center with the oldest.
    last = max(entries, key=_order, default={})  # type: Mapping[str, Any]
    who = last.get("author")
    if not isinstance(who, Mapping):
        return None
    names = tuple(str(who[name]) for name in _NAMES if who.get(name))
    me = meta.myself(site)
    is_us = any(who.get(name) and who.get(name) == me.get(name) for name in _IDS)
    return Author(names, is_us, who.get("accountType") == _APP) if names else None


def _order(entry: Mapping[str, Any]) -> Tuple[str, int]:
    number = str(entry.get("id") or "")
    return str(entry.get("created") or ""), int(number) if number.isdecimal() else 0


def _maps(value: Any) -> List[Dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

"""Which incident's ticket belongs elsewhere: the `routes` of a tracker's section, in every tracker
alike. What a route may give differs, and is the tracker's to use.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.text import one_line
from selfheal.tickets.model import Draft

MATCH = "match"
# section of the configuration: what its routes may give
GIVES: Dict[str, Tuple[str, ...]] = {
    "servicenow": ("assignment_group", "category", "subcategory", "caller"),
    "jira": ("project", "issue_type", "labels", "components"),
}


def chosen(routes: Sequence[Mapping[str, Any]], draft: Draft) -> Mapping[str, Any]:
    """The first of `routes` whose `match` the draft's incident fits; empty when none does."""
    known = _known(draft)
    return next((one for one in routes if _fits(one[MATCH], known)), {})


def problems(section: str, path: str, routes: Any) -> List[str]:
    """What is wrong with the setting `path`.routes of a target of `section`, one text each."""
    where, gives = "%s.routes" % path, GIVES[section]
    if not isinstance(routes or [], (list, tuple)):
        return ["%s must be a list, as in [{%s: {team: shop}}]" % (where, MATCH)]
    found = []
    for position, route in enumerate(routes or ()):
        if not isinstance(route, Mapping):
            found.append("%s[%d] must be a map with %s (labels) and %s"
                         % (where, position, MATCH, gives[0]))
            continue
        found += [
            "%s[%d].%s is not a setting; those there are: %s"
            % (where, position, one_line(str(name), 60), ", ".join((MATCH, *gives)))
            for name in route
            if name not in (MATCH, *gives)
        ]
    return found + senseless(section, path, routes)


def senseless(section: str, path: str, routes: Any) -> List[str]:
    """The part of `problems` that no schema can say: routes that fit nothing, or lead nowhere."""
    gives, found = GIVES[section], []
    for position, route in enumerate(routes if isinstance(routes, (list, tuple)) else ()):
        if not isinstance(route, Mapping):
            continue
        where, match = "%s.routes[%d]" % (path, position), route.get(MATCH)
        if not isinstance(match, Mapping) or not match:
            found.append("%s.%s is missing: without it the route fits nothing" % (where, MATCH))
        elif not any(route.get(name) for name in gives):
            found.append("%s says nothing: give %s" % (where, gives[0]))
    return found


def _known(draft: Draft) -> Dict[str, str]:
    """What a match may name: the incident's labels, and over them what selfheal understood."""
    understood = {
        "severity": draft.severity,
        "component": draft.component,
        "alert_type": draft.category,
        "category": draft.category,
    }
    all_of_it = {**draft.labels, **{name: text for name, text in understood.items() if text}}
    return {name: str(text) for name, text in all_of_it.items() if text}


def _fits(match: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    return all(
        str(name) in known and fnmatchcase(known[str(name)].casefold(), str(pattern).casefold())
        for name, pattern in match.items()
    )

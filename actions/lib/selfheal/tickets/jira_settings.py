"""The settings of one Jira, complete, and what they make of an incident: project, type, priority,
labels, fields.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.config import Config, target_key
from selfheal.exceptions import ConfigError
from selfheal.records import dataclass
from selfheal.text import one_line
from selfheal.tickets import routes
from selfheal.tickets.model import SEVERITIES

SECTION = "jira"
_TEXTS = ("project", "issue_type", "resolution", "link_type")
_LISTS = ("labels", "components", "done_status", "reopen_status", "routes")
_MAPS = ("priorities", "fields", "transition_fields")
_FLAG = "internal_comments"


@dataclass(frozen=True)
class JiraSettings:
    """How tickets are made in one Jira. `target` is the section's raw settings, to connect by;
    `what` names them in messages.
    """

    what: str
    target: Mapping[str, Any] = field(repr=False)
    project: str
    issue_type: str
    resolution: str
    link_type: str
    labels: Tuple[str, ...]
    components: Tuple[str, ...]
    done_status: Tuple[str, ...]
    reopen_status: Tuple[str, ...]
    routes: Tuple[Mapping[str, Any], ...]
    priorities: Mapping[str, str]
    fields: Mapping[str, Any]
    transition_fields: Mapping[str, Any]
    internal_comments: bool = True


def settings_of(config: Config, name: str) -> JiraSettings:
    """The settings of the target `name`. Raises ConfigError when there is none, or a value is of
    another kind than it should be.
    """
    targets = config.targets(SECTION)
    what = target_key(SECTION, name)
    if name not in targets:
        raise ConfigError(
            "there is no Jira called %s: set %s.url; those there are: %s"
            % (one_line(name, 60), what, ", ".join(sorted(targets)) or "none")
        )
    return completed(config, what, targets[name])


def completed(config: Config, what: str, target: Mapping[str, Any]) -> JiraSettings:
    """`target` with the schema's default for what it leaves out. Raises ConfigError."""
    names = (*_TEXTS, *_LISTS, *_MAPS, _FLAG)
    found: Dict[str, Any] = {name: target.get(name) for name in names}
    priorities = found["priorities"]
    has_all = isinstance(priorities, Mapping) and set(priorities) >= set(SEVERITIES)
    if not has_all or any(value is None for value in found.values()):
        described = config.schema[SECTION]["properties"]
        for name in names:
            if found[name] is None:
                found[name] = described[name].get("default")
        if isinstance(found["priorities"], Mapping):
            usual = described["priorities"]["properties"]
            defaults = {severity: one["default"] for severity, one in usual.items()}
            found["priorities"] = {**defaults, **found["priorities"]}
    for name in _TEXTS:
        found[name] = str(found[name] or "").strip()
    for name in _LISTS:
        if not isinstance(found[name] or [], (list, tuple)):
            raise ConfigError("%s.%s must be a list, as in [%s]" % (what, name, name))
        if name != "routes":
            found[name] = [str(one) for one in found[name] or []]
        found[name] = tuple(found[name] or [])
    for name in _MAPS:
        if not isinstance(found[name] or {}, Mapping):
            raise ConfigError("%s.%s must be a map" % (what, name))
        found[name] = dict(found[name] or {})
    found[_FLAG] = found[_FLAG] is not False
    for problem in routes.problems(SECTION, what, found["routes"]):
        raise ConfigError(problem)
    return JiraSettings(what=what, target=target, **found)


def with_own_fields(settings: JiraSettings, fields: Mapping[str, Any]) -> Dict[str, Any]:
    """The fields of a new issue, and those of the settings. Labels are only added to: by ours the
    issue is found again.
    """
    found = {**fields, **settings.fields}
    found["labels"] = sorted({*fields["labels"], *_texts(settings.fields.get("labels"))})
    return found


@dataclass(frozen=True)
class Place:
    """Where a ticket is made: `labels` and `components` are complete."""

    project: str
    issue_type: str
    labels: Tuple[str, ...]
    components: Tuple[str, ...]


def place_of(settings: JiraSettings, route: Mapping[str, Any]) -> Place:
    """Where a ticket belongs by `route` (one of the settings', or none of them: empty); what that
    leaves out is as for all. Raises ConfigError when no project is set.
    """
    project = str(route.get("project") or settings.project)
    if not project:
        raise ConfigError(
            "%s.project is not set: write the key of the project for tickets, such as OPS"
            % settings.what
        )
    return Place(
        project,
        str(route.get("issue_type") or settings.issue_type),
        (*settings.labels, *_texts(route.get("labels"))),
        (*settings.components, *_texts(route.get("components"))),
    )


def _texts(value: Any) -> List[str]:
    if isinstance(value, str):
        return [value]
    return [str(one) for one in value] if isinstance(value, Sequence) else []

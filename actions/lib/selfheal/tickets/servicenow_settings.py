"""The settings of each ServiceNow target, complete: what a named target leaves out comes from the
section, then from the schema.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Tuple

from selfheal.apis.servicenow.instance import base_url, grant
from selfheal.config import DEFAULT_TARGET, Config, target_key
from selfheal.exceptions import ConfigError, InvalidInput
from selfheal.text import one_line
from selfheal.tickets import routes
from selfheal.tickets.model import SEVERITIES

SECTION = "servicenow"
LIMITS = (20, 1000000)
RANGES = {
    "limits.%s" % name: LIMITS
    for name in (
        "short_description", "description", "work_notes", "close_notes", "correlation_id", "other",
    )
}
_PLAIN = (
    "timeout_s",
    "table",
    "caller",
    "category",
    "subcategory",
    "assignment_group",
    "routes",
    "close_code",
    "monitoring_source",
)
# The names in each map that is a setting; what they are by default stands in the schema.
NAMES: Dict[str, Tuple[str, ...]] = {
    "fields": (
        "short_description", "description", "correlation_id", "correlation_display", "state",
        "urgency", "impact", "severity", "category", "subcategory", "assignment_group",
        "assigned_to", "caller", "work_notes", "close_code", "close_notes", "resolved_at",
        "monitoring_source", "fingerprint",
    ),
    "states": ("new", "in_progress", "on_hold", "resolved", "closed", "cancelled"),
    "limits": tuple(name.partition(".")[2] for name in RANGES),
    "levels": ("urgency", "impact", "severity"),
}
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,79}\Z")
_NEEDED = ("correlation_id", "short_description", "state", "work_notes")


def named(config: Config, name: str) -> Dict[str, Any]:
    """The complete settings of target `name`. Raises InvalidInput for a name that is none,
    ConfigError when the section is off or wrong.
    """
    targets = config.targets(SECTION)
    if name in targets:
        return completed(config, name, targets[name])
    if not targets and name == DEFAULT_TARGET:
        raise ConfigError(
            "no ServiceNow is configured: set servicenow.instance and its credentials"
        )
    raise InvalidInput(
        "there is no ServiceNow target %s: give one of section servicenow, such as %s"
        % (one_line(repr(name), 80), ", ".join(sorted(targets)) or DEFAULT_TARGET)
    )


def completed(config: Config, name: str, target: Mapping[str, Any]) -> Dict[str, Any]:
    """`target` with a value for every setting that has a default, `url` made of its instance, and
    maps whole. Raises ConfigError naming what is wrong.
    """
    key = target_key(SECTION, name)
    found = {one: value for one, value in target.items() if value is not None}
    for one in _PLAIN:
        if one not in found:
            found[one] = config.get("%s.%s" % (SECTION, one))
    for one in ("fields", "states", "limits"):
        found[one] = _filled(config, key, one, found.get(one))
    given = found.get("levels") or {}
    if not isinstance(given, Mapping):
        raise ConfigError("%s.levels must be a map" % key)
    found["levels"] = {
        level: _filled(config, key, "levels.%s" % level, given.get(level)) for level in SEVERITIES
    }
    found["values"] = _texts(key, "values", found.get("values"))
    found["url"] = base_url(key, found.get("instance"))
    _check_fields(key, found)
    return found


def problems(path: str, settings: Mapping[str, Any]) -> List[str]:
    """What is wrong with one target of a configuration, called `path` there: where it is, who we
    are.
    """
    if not settings.get("instance"):
        return ["%s.instance is not set: it is never asked" % path] if path != SECTION else []
    found: List[str] = []
    try:
        base_url(path, settings["instance"])
    except ConfigError as error:
        found.append(str(error))
    try:
        grant(settings)
    except ConfigError as error:
        found.append(str(error))
    return found


def _filled(config: Config, key: str, name: str, given: Any) -> Dict[str, Any]:
    """The map `name` with the schema's default for what is left out. The schema is read only when
    something is: StackStorm has filled it in before.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError("%s.%s must be a map" % (key, name))
    found = {one: value for one, value in (given or {}).items() if value is not None}
    for one in NAMES[name.partition(".")[0]]:
        if one not in found:
            found[one] = config.get("%s.%s.%s" % (SECTION, name, one))
    if name == "limits":
        return {one: _limit("%s.limits.%s" % (key, one), value) for one, value in found.items()}
    return {one: str(value) for one, value in found.items()}


def _limit(key: str, value: Any) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not LIMITS[0] <= value <= LIMITS[1]:
        raise ConfigError(
            "%s must be a number of characters from %d to %d, not %r" % (key, *LIMITS, value)
        )
    return int(value)


def _texts(key: str, name: str, given: Any) -> Dict[str, str]:
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError("%s.%s must be a map" % (key, name))
    return {str(one): str(value) for one, value in (given or {}).items() if value is not None}


def _check_fields(key: str, settings: Mapping[str, Any]) -> None:
    fields = settings["fields"]
    for name in (*fields.values(), *settings["values"], str(settings["table"])):
        if name and not _FIELD.match(name):
            raise ConfigError(
                "%s: %s is no name of a field or table: small letters, digits and _, as the "
                "dictionary shows it" % (key, one_line(repr(name), 80))
            )
    for name in _NEEDED:
        if not fields[name]:
            raise ConfigError("%s.fields.%s must not be empty" % (key, name))
    for problem in routes.problems(SECTION, key, settings["routes"]):
        raise ConfigError(problem)

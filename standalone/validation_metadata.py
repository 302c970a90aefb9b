"""The keys of each kind of metadata file, and what StackStorm wants in them one by one.

References from one file to another are judged elsewhere; here a file stands alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

from standalone import validation_schemas
from standalone.packs import PackError, read_yaml, yaml_files
from standalone.runner_types import RUNNER_PARAMETERS

__all__ = ["POLICY_TYPES", "problems"]

_ALWAYS = {"id": str, "ref": str, "uid": str, "metadata_file": str}
_TAGGED = {"tags": list}
_Keys = Mapping[str, type]
# For each kind: the keys it may have, and those it must have.
_KINDS: Dict[str, Tuple[_Keys, Tuple[str, ...]]] = {
    "actions": (
        {
            **_ALWAYS,
            **_TAGGED,
            "name": str,
            "pack": str,
            "description": str,
            "enabled": bool,
            "runner_type": str,
            "entry_point": str,
            "parameters": dict,
            "output_schema": dict,
            "notify": dict,
        },
        ("name", "runner_type"),
    ),
    "rules": (
        {
            **_ALWAYS,
            **_TAGGED,
            "name": str,
            "pack": str,
            "description": str,
            "enabled": bool,
            "type": dict,
            "trigger": dict,
            "criteria": dict,
            "action": dict,
            "context": dict,
        },
        ("name", "trigger", "action"),
    ),
    "triggers": (
        {
            **_ALWAYS,
            **_TAGGED,
            "name": str,
            "pack": str,
            "description": str,
            "payload_schema": dict,
            "parameters_schema": dict,
        },
        ("name",),
    ),
    "sensors": (
        {
            **_ALWAYS,
            "class_name": str,
            "pack": str,
            "description": str,
            "enabled": bool,
            "artifact_uri": str,
            "entry_point": str,
            "trigger_types": list,
            "poll_interval": object,
        },
        ("class_name", "entry_point"),
    ),
    "aliases": (
        {
            **_ALWAYS,
            "name": str,
            "pack": str,
            "description": str,
            "enabled": bool,
            "action_ref": str,
            "formats": list,
            "ack": dict,
            "result": dict,
            "extra": dict,
            "immutable_parameters": dict,
        },
        ("name", "action_ref", "formats"),
    ),
    "policies": (
        {
            **_ALWAYS,
            "name": str,
            "pack": str,
            "description": str,
            "enabled": bool,
            "resource_ref": str,
            "policy_type": str,
            "parameters": dict,
        },
        ("name", "resource_ref", "policy_type"),
    ),
}
_INNER: Dict[Tuple[str, str], Tuple[_Keys, Tuple[str, ...]]] = {
    ("actions", "notify"): ({"on-complete": dict, "on-failure": dict, "on-success": dict}, ()),
    ("rules", "type"): ({"ref": str, "parameters": dict}, ("ref",)),
    ("rules", "action"): ({"ref": str, "description": str, "parameters": dict}, ("ref",)),
    ("aliases", "ack"): ({"enabled": bool, "format": str, "extra": dict, "append_url": bool}, ()),
    ("aliases", "result"): ({"enabled": bool, "format": str, "extra": dict}, ()),
}
_OVERRIDABLE = ("default", "description", "enum", "immutable", "required")
_THRESHOLD: Dict[str, Dict[str, Any]] = {
    "threshold": {"type": "integer", "required": True},
    "action": {"type": "string", "enum": ["delay", "cancel"]},
}
POLICY_TYPES: Dict[str, Dict[str, Dict[str, Any]]] = {
    "action.concurrency": _THRESHOLD,
    "action.concurrency.attr": {
        **_THRESHOLD,
        "attributes": {
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1},
        },
    },
    "action.retry": {
        "retry_on": {"type": "string", "required": True, "enum": ["failure", "timeout"]},
        "max_retry_count": {
            "type": "integer",
            "required": True,
            "minimum": 1,
            "maximum": 5,
            "default": 2,
        },
        "delay": {"type": "number", "minimum": 0, "maximum": 120},
    },
}


def problems(root: Path) -> Iterator[str]:
    """One line per problem; a file that is no YAML mapping is left to those who read it."""
    more: Dict[str, Callable[[Path, Dict[str, Any]], Iterator[str]]] = {
        "actions": _action_problems,
        "triggers": _trigger_problems,
        "sensors": _sensor_problems,
    }
    for kind in _KINDS:
        for path in yaml_files(root / kind):
            try:
                document = read_yaml(path)
            except PackError:
                continue
            if not isinstance(document, dict):
                continue
            yield from _key_problems(str(path), document, *_KINDS[kind])
            for (of_kind, key), (keys, needed) in _INNER.items():
                if of_kind == kind and isinstance(document.get(key), dict):
                    yield from _key_problems("%s: %s" % (path, key), document[key], keys, needed)
            if kind in more:
                yield from more[kind](path, document)


def _key_problems(
    place: str, document: Mapping[str, Any], keys: _Keys, needed: Tuple[str, ...]
) -> Iterator[str]:
    for key, value in document.items():
        if key not in keys:
            yield "%s: unknown key %s (there are %s)" % (place, key, ", ".join(sorted(keys)))
        elif value is not None and not isinstance(value, keys[key]):
            yield "%s: %s must be a %s, got %r" % (place, key, keys[key].__name__, value)
    for key in needed:
        if document.get(key) is None:
            yield "%s: %s is missing" % (place, key)


def _action_problems(path: Path, document: Dict[str, Any]) -> Iterator[str]:
    runner = document.get("runner_type")
    if runner not in RUNNER_PARAMETERS:
        yield "%s: runner_type: %r is not one of %s" % (
            path,
            runner,
            ", ".join(sorted(RUNNER_PARAMETERS)),
        )
        return
    parameters = document.get("parameters") or {}
    if not isinstance(parameters, dict):
        return
    yield from validation_schemas.problems("%s: parameters" % path, parameters)
    if isinstance(document.get("output_schema"), dict):
        yield from validation_schemas.problems(
            "%s: output_schema" % path, document["output_schema"].get("properties") or {}
        )
    of_runner = RUNNER_PARAMETERS[runner]
    positions: List[Any] = []
    for name, schema in parameters.items():
        if not isinstance(schema, dict):
            continue
        here = "%s: parameters.%s" % (path, name)
        for attribute, value in schema.items() if name in of_runner else ():
            if attribute not in _OVERRIDABLE and of_runner[name].get(attribute) != value:
                yield "%s: %s of a parameter of the runner cannot be overridden" % (here, attribute)
        if "immutable" in schema and "default" not in {**of_runner.get(name, {}), **schema}:
            yield "%s: an immutable parameter needs a default" % here
        if "position" in schema:
            positions.append(schema["position"])
    yield from _position_problems("%s: parameters" % path, positions)
    entry_point = document.get("entry_point")
    if runner in ("python-script", "orquesta"):
        if not entry_point or not (path.parent / str(entry_point)).is_file():
            yield "%s: entry_point: there is no file %s" % (path, entry_point)


def _position_problems(place: str, positions: List[Any]) -> Iterator[str]:
    if len(set(positions)) < len(positions):
        yield "%s: two have the same position" % place
    elif positions and sorted(positions) != list(
        range(int(min(positions)), int(min(positions)) + len(positions))
    ):
        yield "%s: positions %s leave a gap" % (place, sorted(positions))


def _trigger_problems(path: Path, document: Dict[str, Any]) -> Iterator[str]:
    for key in ("payload_schema", "parameters_schema"):
        schema = document.get(key)
        if isinstance(schema, dict):
            yield from _payload_problems("%s: %s" % (path, key), schema, key == "payload_schema")


def _payload_problems(place: str, schema: Dict[str, Any], is_payload: bool) -> Iterator[str]:
    properties = schema.get("properties") or {}
    if not isinstance(properties, dict):
        yield "%s: properties must be a mapping" % place
        return
    yield from validation_schemas.problems("%s.properties" % place, properties)
    if not is_payload:
        return
    # StackStorm drops a payload that does not fit, with a warning in a log: nothing may be strict.
    if schema.get("additionalProperties", True) is False:
        yield "%s: additionalProperties: false drops every payload with a new key" % place
    for name, inner in properties.items():
        for keyword in ("enum", "required"):
            if isinstance(inner, dict) and inner.get(keyword):
                yield "%s.properties.%s: %s drops every payload that does not fit" % (
                    place,
                    name,
                    keyword,
                )


def _sensor_problems(path: Path, document: Dict[str, Any]) -> Iterator[str]:
    interval = document.get("poll_interval")
    if interval is not None and (
        isinstance(interval, bool) or not isinstance(interval, int) or interval < 4
    ):
        yield "%s: poll_interval must be an integer of at least 4, got %r" % (path, interval)
    triggers = document.get("trigger_types")
    for number, trigger in enumerate(triggers if isinstance(triggers, list) else []):
        if isinstance(trigger, dict):
            yield from _key_problems(
                "%s: trigger_types[%d]" % (path, number), trigger, *_KINDS["triggers"]
            )
            yield from _trigger_problems(path, trigger)

"""Reads a pack directory into plain, frozen values: actions, rules, triggers, sensors, aliases,
policies.

Promises that every error names the file and the key it is about. What StackStorm would refuse is
the business of `standalone.validation`; here only what makes a pack unreadable is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, TypeVar

import yaml

from standalone.runner_types import RUNNER_PARAMETERS

__all__ = [
    "RUNNER_PARAMETERS",
    "Action",
    "Alias",
    "Pack",
    "PackError",
    "Policy",
    "Rule",
    "Sensor",
    "TriggerType",
    "load_pack",
    "read_yaml",
    "yaml_files",
]

# Safe either way; the one in C is ten times faster.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REF = re.compile(r"^[a-z0-9_]+$")
BACKSTOP = "backstop"


class PackError(Exception):
    """A pack cannot be read; the message names the file and, where there is one, the key."""


@dataclass(frozen=True)
class Action:
    """`parameters` maps a name to its schema, in the order of the file; `entry_point` is absolute
    or empty."""

    ref: str
    name: str
    pack: str
    runner_type: str
    entry_point: str
    parameters: Dict[str, Dict[str, Any]]
    enabled: bool = True
    description: str = ""
    metadata_file: str = ""

    @property
    def runner_parameters(self) -> Dict[str, Dict[str, Any]]:
        """Schemas of the parameters that the runner itself understands (`timeout`, `env` ...)."""
        return RUNNER_PARAMETERS.get(self.runner_type, {})


@dataclass(frozen=True)
class Rule:
    """A rule without `enabled` in its YAML is off, as on StackStorm."""

    ref: str
    name: str
    pack: str
    trigger_type: str
    trigger_parameters: Dict[str, Any]
    criteria: Dict[str, Any]
    action_ref: str
    action_parameters: Dict[str, Any]
    enabled: bool = False
    is_backstop: bool = False
    description: str = ""
    metadata_file: str = ""


@dataclass(frozen=True)
class TriggerType:
    ref: str
    name: str
    pack: str
    description: str = ""
    payload_schema: Dict[str, Any] = field(default_factory=dict)
    parameters_schema: Dict[str, Any] = field(default_factory=dict)
    metadata_file: str = ""


@dataclass(frozen=True)
class Sensor:
    """`poll_interval` in seconds, None for a sensor that does not poll; `trigger_types` are
    references."""

    ref: str
    class_name: str
    pack: str
    entry_point: str
    enabled: bool = True
    poll_interval: Optional[float] = None
    trigger_types: Tuple[str, ...] = ()
    description: str = ""
    metadata_file: str = ""


@dataclass(frozen=True)
class Alias:
    ref: str
    name: str
    pack: str
    action_ref: str
    formats: Tuple[Any, ...]
    enabled: bool = True
    description: str = ""
    ack: Dict[str, Any] = field(default_factory=dict)
    result: Dict[str, Any] = field(default_factory=dict)
    extra: Dict[str, Any] = field(default_factory=dict)
    immutable_parameters: Dict[str, Any] = field(default_factory=dict)
    metadata_file: str = ""


@dataclass(frozen=True)
class Policy:
    ref: str
    name: str
    pack: str
    resource_ref: str
    policy_type: str
    parameters: Dict[str, Any]
    enabled: bool = True
    metadata_file: str = ""


@dataclass(frozen=True)
class Pack:
    """A pack as read; each dictionary maps a reference (`selfheal.close_incident`) to its part."""

    ref: str
    name: str
    version: str
    root: Path
    metadata: Dict[str, Any]
    actions: Dict[str, Action]
    rules: Dict[str, Rule]
    triggers: Dict[str, TriggerType]
    sensors: Dict[str, Sensor]
    aliases: Dict[str, Alias]
    policies: Dict[str, Policy]
    config_schema: Dict[str, Any]


def yaml_files(directory: Path) -> List[Path]:
    """The files that StackStorm takes for metadata: directly in the directory, sorted, not below
    it."""
    if not directory.is_dir():
        return []
    return sorted(p for p in directory.iterdir() if p.suffix in (".yaml", ".yml") and p.is_file())


def read_yaml(path: Path) -> Any:
    """The document in a file; PackError with file, line and reason when it does not parse."""
    try:
        with open(str(path), encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_Loader)
    except FileNotFoundError:
        raise PackError("%s does not exist" % path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PackError("%s is not YAML: %s" % (path, error)) from None


def load_pack(root: Path) -> Pack:
    """Read the pack under `root`. Raises PackError naming the file and the key that cannot be
    read."""
    root = Path(root).resolve()
    manifest = root / "pack.yaml"
    metadata = _mapping(read_yaml(manifest), manifest)
    name = str(_need(metadata, "name", str, manifest))
    ref = metadata.get("ref") or name
    if not isinstance(ref, str) or not _REF.match(ref):
        raise PackError("%s: ref must match %s, got %r" % (manifest, _REF.pattern, ref))
    schema_file = root / "config.schema.yaml"
    schema = _mapping(read_yaml(schema_file) or {}, schema_file) if schema_file.is_file() else {}
    sensors, sensor_triggers = _load_sensors(root, ref)
    triggers = _load(root / "triggers", ref, _trigger)
    for trigger_ref, trigger in sensor_triggers.items():
        triggers.setdefault(trigger_ref, trigger)
    return Pack(
        ref=ref,
        name=name,
        version=str(metadata.get("version", "")),
        root=root,
        metadata=metadata,
        actions=_load(root / "actions", ref, _action),
        rules=_load(root / "rules", ref, _rule),
        triggers=triggers,
        sensors=sensors,
        aliases=_load(root / "aliases", ref, _alias),
        policies=_load(root / "policies", ref, _policy),
        config_schema=schema,
    )


_Part = TypeVar("_Part", Action, Rule, TriggerType, Alias, Policy)


def _load(
    directory: Path, pack: str, build: Callable[[Dict[str, Any], Path, str], _Part]
) -> Dict[str, _Part]:
    parts: Dict[str, _Part] = {}
    for path in yaml_files(directory):
        part = build(_document(path, pack), path, pack)
        if part.ref in parts:
            raise PackError(
                "%s: name: %s is already taken by %s"
                % (path, part.ref, parts[part.ref].metadata_file)
            )
        parts[part.ref] = part
    return parts


def _document(path: Path, pack: str) -> Dict[str, Any]:
    document = _mapping(read_yaml(path), path)
    owner = document.get("pack", pack)
    if owner != pack:
        raise PackError("%s: pack: says %r but the file is in pack %r" % (path, owner, pack))
    return document


def _action(document: Dict[str, Any], path: Path, pack: str) -> Action:
    name = _need(document, "name", str, path)
    entry_point = _optional(document, "entry_point", str, path, "")
    parameters = _optional(document, "parameters", dict, path, {})
    for key, schema in parameters.items():
        if not isinstance(schema, dict):
            raise PackError("%s: parameters.%s must be a mapping, got %r" % (path, key, schema))
    return Action(
        ref="%s.%s" % (pack, name),
        name=name,
        pack=pack,
        runner_type=_need(document, "runner_type", str, path),
        entry_point=str(path.parent / entry_point) if entry_point else "",
        parameters=parameters,
        enabled=_optional(document, "enabled", bool, path, True),
        description=_optional(document, "description", str, path, ""),
        metadata_file=str(path),
    )


def _rule(document: Dict[str, Any], path: Path, pack: str) -> Rule:
    name = _need(document, "name", str, path)
    trigger = _need(document, "trigger", dict, path)
    action = _need(document, "action", dict, path)
    kind = _optional(document, "type", dict, path, {})
    return Rule(
        ref="%s.%s" % (pack, name),
        name=name,
        pack=pack,
        trigger_type=_need(trigger, "type", str, path, "trigger."),
        trigger_parameters=_optional(trigger, "parameters", dict, path, {}, "trigger."),
        criteria=_optional(document, "criteria", dict, path, {}),
        action_ref=_need(action, "ref", str, path, "action."),
        action_parameters=_optional(action, "parameters", dict, path, {}, "action."),
        enabled=_optional(document, "enabled", bool, path, False),
        is_backstop=kind.get("ref") == BACKSTOP,
        description=_optional(document, "description", str, path, ""),
        metadata_file=str(path),
    )


def _trigger(document: Dict[str, Any], path: Path, pack: str) -> TriggerType:
    name = _need(document, "name", str, path)
    return TriggerType(
        ref="%s.%s" % (pack, name),
        name=name,
        pack=pack,
        description=_optional(document, "description", str, path, ""),
        payload_schema=_optional(document, "payload_schema", dict, path, {}),
        parameters_schema=_optional(document, "parameters_schema", dict, path, {}),
        metadata_file=str(path),
    )


def _alias(document: Dict[str, Any], path: Path, pack: str) -> Alias:
    name = _need(document, "name", str, path)
    return Alias(
        ref="%s.%s" % (pack, name),
        name=name,
        pack=pack,
        action_ref=_need(document, "action_ref", str, path),
        formats=tuple(_optional(document, "formats", list, path, [])),
        enabled=_optional(document, "enabled", bool, path, True),
        description=_optional(document, "description", str, path, ""),
        ack=_optional(document, "ack", dict, path, {}),
        result=_optional(document, "result", dict, path, {}),
        extra=_optional(document, "extra", dict, path, {}),
        immutable_parameters=_optional(document, "immutable_parameters", dict, path, {}),
        metadata_file=str(path),
    )


def _policy(document: Dict[str, Any], path: Path, pack: str) -> Policy:
    name = _need(document, "name", str, path)
    return Policy(
        ref="%s.%s" % (pack, name),
        name=name,
        pack=pack,
        resource_ref=_need(document, "resource_ref", str, path),
        policy_type=_need(document, "policy_type", str, path),
        parameters=_optional(document, "parameters", dict, path, {}),
        enabled=_optional(document, "enabled", bool, path, True),
        metadata_file=str(path),
    )


def _load_sensors(root: Path, pack: str) -> Tuple[Dict[str, Sensor], Dict[str, TriggerType]]:
    sensors: Dict[str, Sensor] = {}
    triggers: Dict[str, TriggerType] = {}
    for path in yaml_files(root / "sensors"):
        document = _document(path, pack)
        class_name = _need(document, "class_name", str, path)
        own = [_trigger(item, path, pack) for item in _sensor_triggers(document, path)]
        triggers.update((trigger.ref, trigger) for trigger in own)
        poll_interval = document.get("poll_interval")
        if poll_interval is not None and (
            isinstance(poll_interval, bool) or not isinstance(poll_interval, (int, float))
        ):
            raise PackError("%s: poll_interval must be a number, got %r" % (path, poll_interval))
        sensor = Sensor(
            ref="%s.%s" % (pack, class_name),
            class_name=class_name,
            pack=pack,
            entry_point=str(path.parent / _need(document, "entry_point", str, path)),
            enabled=_optional(document, "enabled", bool, path, True),
            poll_interval=poll_interval,
            trigger_types=tuple(trigger.ref for trigger in own),
            description=_optional(document, "description", str, path, ""),
            metadata_file=str(path),
        )
        if sensor.ref in sensors:
            raise PackError(
                "%s: class_name: %s is already taken by %s"
                % (path, sensor.ref, sensors[sensor.ref].metadata_file)
            )
        sensors[sensor.ref] = sensor
    return sensors, triggers


def _sensor_triggers(document: Mapping[str, Any], path: Path) -> Iterator[Dict[str, Any]]:
    for item in _optional(document, "trigger_types", list, path, []):
        if not isinstance(item, dict):
            raise PackError("%s: trigger_types must hold mappings, got %r" % (path, item))
        yield item


def _mapping(document: Any, path: Path) -> Dict[str, Any]:
    if not isinstance(document, dict):
        raise PackError("%s must hold a mapping, got %s" % (path, type(document).__name__))
    return document


def _need(document: Mapping[str, Any], key: str, kind: type, path: Path, prefix: str = "") -> Any:
    if document.get(key) is None:
        raise PackError("%s: %s%s is missing" % (path, prefix, key))
    return _optional(document, key, kind, path, None, prefix)


def _optional(
    document: Mapping[str, Any], key: str, kind: type, path: Path, default: Any, prefix: str = ""
) -> Any:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise PackError("%s: %s%s must be a %s, got %r" % (path, prefix, key, kind.__name__, value))
    return value

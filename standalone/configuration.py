"""The pack's configuration as its actions and sensors receive it.

Promises what StackStorm does: values are checked against config.schema.yaml as at registration,
templates are rendered from the datastore (always to text), secrets decrypted, schema defaults
filled in at every depth. Whether the values make sense is left to the pack's own check.
"""

from __future__ import annotations

import copy
import logging
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Union

from standalone import schemas
from standalone.datastore import Datastore, st2kv
from standalone.packs import Pack, PackError, read_yaml
from standalone.templates import is_template, render

__all__ = ["ConfigError", "check_values", "load_config"]

_OF_OBJECTS = ("properties", "patternProperties", "additionalProperties")
_log = logging.getLogger(__name__)
_Container = Union[Dict[str, Any], List[Any]]


class ConfigError(ValueError):
    """The configuration as a whole is refused; the message names the key."""


def load_config(
    pack: Pack, path: Optional[Path] = None, datastore: Optional[Datastore] = None
) -> Dict[str, Any]:
    """The configuration in the file at `path`; without a file, the defaults of the schema.

    Raises ConfigError for a value that does not fit the schema, a template that cannot be
    rendered and a secret that is not stored encrypted: any of them makes the whole configuration
    unusable, as on StackStorm. A template whose plain key is missing yields None there, and here
    with a warning.
    """
    values = _values(path)
    check_values(pack.config_schema, values, str(path or "(defaults)"))
    config = copy.deepcopy(values)
    _render_all(config, pack.config_schema, pack, datastore, [])
    _fill_defaults(config, pack.config_schema)
    return config


def check_values(config_schema: Mapping[str, Any], values: Mapping[str, Any], place: str) -> None:
    """Raise ConfigError, naming the key, where StackStorm would refuse to register these values."""
    try:
        cleaned = schemas.check(dict(values), schemas.of_properties(config_schema, allow_more=True))
    except schemas.SchemaError as error:
        raise ConfigError("%s does not fit config.schema.yaml: %s" % (place, error)) from None
    for key, value in cleaned.items():
        is_secret = (config_schema.get(key) or {}).get("secret")
        if is_secret and is_template(value) and "decrypt_kv" in value:
            raise ConfigError(
                '%s: %s: values marked "secret: true" are decrypted by themselves; take away '
                "`| decrypt_kv`" % (place, key)
            )


def _values(path: Optional[Path]) -> Dict[str, Any]:
    if path is None or not Path(path).is_file():
        return {}
    try:
        values = read_yaml(Path(path))
    except PackError as error:
        raise ConfigError(str(error)) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError("%s must hold a mapping of keys, got %s" % (path, type(values).__name__))
    return values


def _render_all(
    config: _Container,
    schema: Union[Mapping[str, Any], List[Any]],
    pack: Pack,
    datastore: Optional[Datastore],
    parents: List[str],
) -> None:
    items: Iterable[Any] = config.items() if isinstance(config, dict) else enumerate(config)
    for key, value in list(items):
        place = parents + [str(key)]
        part = _schema_of(schema, key)
        if isinstance(value, dict):
            _render_all(value, _properties(part, value), pack, datastore, place)
        elif isinstance(value, list):
            _render_all(value, _items(part, len(value)), pack, datastore, place)
        elif is_template(value):
            config[key] = _rendered(value, part, pack, datastore, ".".join(place))


def _schema_of(schema: Union[Mapping[str, Any], List[Any]], key: Any) -> Dict[str, Any]:
    if isinstance(schema, list):
        return schema[key] if key < len(schema) else {}
    return schema.get(key) or {}


def _rendered(
    template: str, schema: Mapping[str, Any], pack: Pack, datastore: Optional[Datastore], key: str
) -> Optional[str]:
    try:
        text = render(template, {"st2kv": st2kv(datastore)})
        if text and schema.get("secret"):
            if datastore is None:
                raise ValueError("there is no datastore to decrypt with")
            text = datastore.decrypt(text)
    except Exception as error:
        raise ConfigError(
            'Failed to render dynamic configuration value for key "%s" with value "%s" for pack '
            '"%s" config: %s: %s' % (key, template, pack.ref, type(error).__name__, error)
        ) from error
    if not text:
        _log.warning(
            "config key %s: %s is empty or missing in the datastore, so the value is null",
            key,
            template,
        )
        return None
    return text


def _properties(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Dict[str, Any]:
    """A schema for every key of an object: its property's, else all its patterns', else the
    rest's."""
    declared = schema.get("properties") or {}
    patterns = schema.get("patternProperties") or {}
    others = schema.get("additionalProperties") or {}
    found: Dict[str, Any] = {key: {} for key in values}
    found.update(declared)
    for key in values:
        if key in declared:
            continue
        fitting = [part for pattern, part in patterns.items() if re.search(pattern, str(key))]
        for part in fitting:
            found[key] = {**found[key], **part}
        if not fitting and isinstance(others, dict):
            found[key] = others
    return found


def _items(schema: Mapping[str, Any], count: int) -> List[Any]:
    """A schema for every item of an array."""
    items = schema.get("items") or []
    if isinstance(items, dict):
        return [items] * count
    others = schema.get("additionalItems") or {}
    more = [others] * (count - len(items)) if others and isinstance(others, dict) else []
    return list(items) + more


def _fill_defaults(config: _Container, schema: Union[Mapping[str, Any], List[Any]]) -> None:
    parts: Iterable[Any] = schema.items() if isinstance(schema, Mapping) else enumerate(schema)
    for key, part in parts:
        part = part or {}
        is_missing = key not in config if isinstance(config, dict) else key >= len(config)
        if is_missing and "default" in part and isinstance(config, dict):
            config[key] = copy.deepcopy(part["default"])
        value = config.get(key) if isinstance(config, dict) else None if is_missing else config[key]
        kind = part.get("type")
        if kind == "object" and any(part.get(name) for name in _OF_OBJECTS):
            if not value:
                value = config[key] = {}
            _fill_defaults(value, _properties(part, value))
        elif kind == "array" and (part.get("items") or part.get("additionalItems")):
            if not value:
                value = config[key] = []
            _fill_defaults(value, _items(part, len(value)))

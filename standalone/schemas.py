"""StackStorm's dialect of JSON Schema: draft 4 with `required: true` on the property, and
defaults filled in.

Promises StackStorm's verdict on parameters, configuration values and trigger payloads. The shape
of the schemas themselves is judged by `standalone.validation`.
"""

from __future__ import annotations

import copy
import functools
from typing import Any, Dict, List, Mapping

__all__ = ["SchemaError", "check", "of_properties"]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_ANY_TYPE: Dict[str, Any] = {"anyOf": [{"type": kind} for kind in _TYPES]}
_KEYWORDS = (
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "dependencies",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "type",
    "uniqueItems",
)


class SchemaError(ValueError):
    """A value does not fit its schema; the message names the place in the value."""


def of_properties(properties: Mapping[str, Any], allow_more: bool = False) -> Dict[str, Any]:
    """The schema of an object with these properties; an empty mapping accepts anything."""
    if not properties:
        return {}
    return {
        "type": "object",
        "properties": {name: schema or _ANY_TYPE for name, schema in properties.items()},
        "additionalProperties": allow_more,
    }


def check(value: Any, schema: Mapping[str, Any]) -> Any:
    """A copy of the value with defaults filled in. Raises SchemaError when it does not fit the
    schema.

    A property that is optional, or whose default is null, may be null.
    """
    wanted = _nullable_where_optional(copy.deepcopy(dict(schema)))
    filled = copy.deepcopy(value)
    if wanted.get("type") == "object" and isinstance(filled, dict):
        _fill_object(filled, wanted)
    errors = list(_validator()(wanted).iter_errors(filled))
    if errors:
        errors.sort(key=lambda error: [str(part) for part in error.path])
        place = ".".join(str(part) for part in errors[0].path)
        raise SchemaError("%s%s" % ("%s: " % place if place else "", errors[0].message))
    return filled


@functools.lru_cache(maxsize=None)
def _validator() -> Any:
    from jsonschema.validators import Draft3Validator, Draft4Validator, create

    keywords = {name: Draft4Validator.VALIDATORS[name] for name in _KEYWORDS}
    # Draft 3's `properties` is the one that knows `required: true` inside a property.
    keywords["properties"] = Draft3Validator.VALIDATORS["properties"]
    return create(
        meta_schema={},
        validators=keywords,
        version="stackstorm",
        type_checker=Draft4Validator.TYPE_CHECKER,
    )


def _nullable_where_optional(schema: Dict[str, Any]) -> Dict[str, Any]:
    for prop in (schema.get("properties") or {}).values():
        if not isinstance(prop, dict):
            continue
        is_optional = not prop.get("required", False) or "default" in prop
        if is_optional and prop.get("default") is None:
            _allow_null(prop)
        kinds = _kinds(prop)
        items = prop.get("items")
        if "array" in kinds and isinstance(items, dict) and items.get("properties"):
            _nullable_where_optional(items)
        if "object" in kinds and prop.get("properties"):
            _nullable_where_optional(prop)
    return schema


def _allow_null(prop: Dict[str, Any]) -> None:
    for keyword in ("anyOf", "oneOf"):
        if keyword in prop:
            # A fresh list: the property may share its alternatives with others.
            prop[keyword] = list(prop[keyword]) + [{"type": "null"}]
            return
    kinds = _kinds(prop) or ["string"]
    if "null" not in kinds:
        prop["type"] = kinds + ["null"]


def _kinds(prop: Mapping[str, Any]) -> List[str]:
    kind = prop.get("type")
    if kind is None:
        return []
    return list(kind) if isinstance(kind, list) else [kind]


def _fill_object(value: Dict[str, Any], schema: Mapping[str, Any]) -> None:
    for name, prop in (schema.get("properties") or {}).items():
        if not isinstance(prop, dict):
            continue
        if "default" in prop and value.get(name) is None:
            value[name] = copy.deepcopy(prop["default"])
        if value.get(name) is not None:
            _fill(value[name], prop)


def _fill(value: Any, schema: Mapping[str, Any]) -> None:
    kinds = _kinds(schema)
    if isinstance(value, dict) and "object" in kinds:
        _fill_object(value, schema)
    elif isinstance(value, list) and "array" in kinds and schema.get("items"):
        items = schema["items"]
        schemas = [items] * len(value) if isinstance(items, dict) else items
        for index, item_schema in enumerate(schemas[: len(value)]):
            if value[index] is None and "default" in item_schema:
                value[index] = copy.deepcopy(item_schema["default"])
            if value[index] is not None:
                _fill(value[index], item_schema)

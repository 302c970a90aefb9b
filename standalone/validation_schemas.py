"""The shape of a parameter or configuration schema, as StackStorm's meta-schema has it.

Promises to refuse what any of StackStorm 3.8 to 3.10 refuses: the strictest of them counts, at
every depth.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, Mapping, Tuple, Union

from standalone import schemas

__all__ = ["problems"]

_SIMPLE_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_NAME = re.compile(r"^\w+$")
_Kinds = Union[type, Tuple[type, ...]]
_KEYWORDS: Dict[str, _Kinds] = {
    "title": str,
    "description": str,
    "multipleOf": (int, float),
    "maximum": (int, float),
    "exclusiveMaximum": bool,
    "minimum": (int, float),
    "exclusiveMinimum": bool,
    "maxLength": int,
    "minLength": int,
    "pattern": str,
    "additionalItems": (bool, dict),
    "items": (dict, list),
    "maxItems": int,
    "minItems": int,
    "uniqueItems": bool,
    "maxProperties": int,
    "minProperties": int,
    "required": bool,
    "secret": bool,
    "additionalProperties": (bool, dict),
    "properties": dict,
    "patternProperties": dict,
    "dependencies": dict,
    "enum": list,
    "type": str,
    "position": (int, float),
    "immutable": bool,
    "allOf": list,
    "anyOf": list,
    "oneOf": list,
    "not": dict,
}
_NOT_NEGATIVE = (
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "maxProperties",
    "minProperties",
    "position",
    "multipleOf",
)
_HINTS = {
    "$ref": " (3.10 refuses references); write the schema out, or use a YAML anchor",
    "format": "; use pattern",
    "examples": "; put examples into the description",
    "const": "; use enum with one value",
}


def problems(place: str, properties: Mapping[Any, Any]) -> Iterator[str]:
    """Problems of a mapping of names to schemas; `place` (file and key) opens each line."""
    for name, schema in properties.items():
        here = "%s.%s" % (place, name)
        if not isinstance(name, str) or not _NAME.match(name):
            yield "%s: a name may hold letters, digits and underscores only" % here
        if not isinstance(schema, dict):
            yield "%s: must be a schema, got %r" % (here, schema)
            continue
        yield from _schema_problems(here, schema)
        yield from _default_problems(here, schema)


def _schema_problems(place: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for keyword, value in schema.items():
        here = "%s: %s" % (place, keyword)
        if keyword == "default":
            continue
        if keyword not in _KEYWORDS:
            yield "%s is no keyword that StackStorm knows%s" % (here, _HINTS.get(keyword, ""))
            continue
        wanted = _KEYWORDS[keyword]
        if not isinstance(value, wanted) or (isinstance(value, bool) and not _takes_bool(wanted)):
            yield "%s: %r has the wrong type" % (here, value)
        elif keyword == "type" and value not in _SIMPLE_TYPES:
            yield "%s: %r is not one of %s" % (here, value, ", ".join(_SIMPLE_TYPES))
        else:
            yield from _value_problems(here, keyword, value)
            yield from _inner_problems(place, keyword, value)
    for keyword, other in (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum")):
        if keyword in schema and other not in schema:
            yield "%s: %s needs %s beside it" % (place, keyword, other)


def _takes_bool(wanted: _Kinds) -> bool:
    return wanted is bool or (isinstance(wanted, tuple) and bool in wanted)


def _value_problems(here: str, keyword: str, value: Any) -> Iterator[str]:
    if keyword == "pattern":
        try:
            re.compile(value)
        except re.error as error:
            yield "%s: %r is no regular expression: %s" % (here, value, error)
    elif keyword in ("enum", "allOf", "anyOf", "oneOf") and not value:
        yield "%s must not be empty" % here
    elif keyword == "enum" and len({repr(item) for item in value}) < len(value):
        yield "%s: a value comes twice" % here
    elif keyword in _NOT_NEGATIVE and value < 0:
        yield "%s: %r must not be negative" % (here, value)


def _inner_problems(place: str, keyword: str, value: Any) -> Iterator[str]:
    here = "%s.%s" % (place, keyword)
    if keyword == "properties":
        yield from problems(here, value)
    elif keyword == "patternProperties":
        for pattern, schema in value.items():
            yield from _one_inner("%s.%s" % (here, pattern), schema)
    elif keyword in ("items", "additionalItems", "additionalProperties", "not"):
        for schema in value if isinstance(value, list) else [value]:
            if not isinstance(schema, bool):
                yield from _one_inner(here, schema)
    elif keyword in ("allOf", "anyOf", "oneOf"):
        for schema in value:
            yield from _one_inner(here, schema)


def _one_inner(here: str, schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from _schema_problems(here, schema)
    else:
        yield "%s: must be a schema, got %r" % (here, schema)


def _default_problems(place: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """A default that does not fit its own schema fails every execution that relies on it."""
    default = schema.get("default")
    if default is None or (isinstance(default, str) and "{{" in default):
        return
    try:
        schemas.check({"it": default}, schemas.of_properties({"it": dict(schema)}))
    except schemas.SchemaError as error:
        yield "%s: default does not fit: %s" % (place, error)
    except Exception:
        # The schema itself is wrong, which has been said already.
        return

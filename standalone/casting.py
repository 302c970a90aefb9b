"""From rendered text to the declared type of a parameter, as StackStorm casts.

Promises the same value or a ValueError (SyntaxError for a literal that is none, as Python has it).
"""

from __future__ import annotations

import ast
import json
from typing import Any, Callable, Dict, Mapping, Optional

from standalone.templates import NONE_MARK

__all__ = ["cast"]


def cast(value: Any, schema: Optional[Mapping[str, Any]]) -> Any:
    """The value as its schema's `type` wants it; unchanged when it is None or the type is open."""
    kind = (schema or {}).get("type")
    if value is None or not isinstance(kind, str) or kind not in _CASTS:
        return value
    return _CASTS[kind](value)


def _no_mark(value: Any) -> Any:
    return None if isinstance(value, str) and value == NONE_MARK else value


def _structure(value: Any) -> Any:
    value = _no_mark(value)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except ValueError:
        # The text may be Python's own, since Jinja prints a mapping with str().
        return ast.literal_eval(value)


def _refuse(constant: str) -> Any:
    raise ValueError("%s is not JSON" % constant)


def _boolean(value: Any) -> Any:
    value = _no_mark(value)
    return ast.literal_eval(value.capitalize()) if isinstance(value, str) else value


def _string(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(
            'Value "%s" must either be a string or None. Got "%s".' % (value, type(value).__name__)
        )
    return _no_mark(value)


_CASTS: Dict[str, Callable[[Any], Any]] = {
    "array": _structure,
    "boolean": _boolean,
    "integer": lambda value: int(_no_mark(value)),
    "number": lambda value: float(_no_mark(value)),
    "object": _structure,
    "string": _string,
}

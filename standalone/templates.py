"""Jinja as StackStorm sets it up: sandboxed, strict about undefined names, with its filters.

Promises the same text or the same failure for the same template and context. Which context a
template gets, and what becomes of the text, is the business of `rendering`, `matching` and
`configuration`.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
from typing import Any, Callable, Dict, Mapping, Optional

import jinja2
import jinja2.sandbox
import yaml

from standalone.datastore import KeyLookup, key_of

__all__ = ["NONE_MARK", "environment", "is_template", "render"]

# What `use_none` writes, so that a cast can tell "no value" from the text "None". StackStorm's
# own mark.
NONE_MARK = "%*****__%NONE%__*****%"
_MARKERS = ("{{", "{%")


def is_template(value: Any) -> bool:
    """Whether StackStorm takes the value for a template; only markers are looked for, not
    syntax."""
    return isinstance(value, str) and any(marker in value for marker in _MARKERS)


@functools.lru_cache(maxsize=None)
def environment() -> jinja2.Environment:
    """The one environment; rendering with it is safe from several threads."""
    env = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    env.filters.update(_filters())
    env.tests["in"] = lambda item, items: item in items
    return env


def render(template: str, context: Mapping[str, Any]) -> str:
    """The text of a template; raises what Jinja raises (undefined name, syntax, security)."""
    return environment().from_string(template).render(context)


def _filters() -> Dict[str, Callable[..., Any]]:
    return {
        "basename": os.path.basename,
        "decrypt_kv": _decrypt_kv,
        "dirname": os.path.dirname,
        "from_json_string": lambda value: json.loads(str(value)),
        "from_yaml_string": lambda value: yaml.safe_load(str(value)),
        "json_escape": lambda value: json.dumps(value).strip('"'),
        "jsonpath_query": _jsonpath_query,
        "regex_match": _regex_match,
        "regex_replace": _regex_replace,
        "regex_search": _regex_search,
        "regex_substring": _regex_substring,
        "to_complex": json.dumps,
        "to_human_time_from_seconds": _human_time,
        "to_json_string": _to_json_string,
        "to_yaml_string": _to_yaml_string,
        "use_none": lambda value: NONE_MARK if value is None else value,
    }


@jinja2.pass_context
def _decrypt_kv(context: jinja2.runtime.Context, value: Any) -> str:
    text = str(value)
    if isinstance(value, KeyLookup) and text == "":
        raise ValueError(
            'Referenced datastore item "%s" doesn\'t exist or it contains an empty string'
            % (key_of(value))
        )
    store = context.get("st2kv", {}).get("system")
    if not isinstance(store, KeyLookup) or store._store is None:
        raise ValueError("There is no datastore to decrypt %r with" % text)
    return store._store.decrypt(text)


def _jsonpath_query(value: Any, query: str) -> Optional[Any]:
    from standalone.jsonpath import find

    return find(query, value) or None


def _to_json_string(
    value: Any, indent: Optional[int] = None, sort_keys: bool = False, separators: Any = (",", ": ")
) -> str:
    return json.dumps(value, indent=indent, sort_keys=bool(sort_keys), separators=separators)


def _to_yaml_string(value: Any, indent: Optional[int] = None, allow_unicode: bool = True) -> str:
    return str(
        yaml.safe_dump(value, default_flow_style=False, indent=indent, allow_unicode=allow_unicode)
    )


def _flags(ignorecase: bool) -> int:
    return re.IGNORECASE if ignorecase else 0


def _regex_match(value: Any, pattern: str, ignorecase: bool = False) -> bool:
    return re.match(pattern, str(value), _flags(ignorecase)) is not None


def _regex_search(value: Any, pattern: str, ignorecase: bool = False) -> bool:
    return re.search(pattern, str(value), _flags(ignorecase)) is not None


def _regex_replace(value: Any, pattern: str, replacement: str, ignorecase: bool = False) -> str:
    return re.sub(pattern, replacement, str(value), flags=_flags(ignorecase))


def _regex_substring(
    value: Any, pattern: str, result_index: int = 0, ignorecase: bool = False
) -> Any:
    return re.findall(pattern, str(value), _flags(ignorecase))[result_index]


def _human_time(seconds: Any) -> str:
    if not isinstance(seconds, (int, float)):
        raise AssertionError("to_human_time_from_seconds wants a number, got %r" % (seconds,))
    if seconds == 0:
        return "0s"
    if seconds < 1:
        return "%s\u03bcs" % seconds
    moment = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(
        seconds=round(seconds)
    )
    parts = [
        (moment.year - 1, "y"),
        (moment.day - 1, "d"),
        (moment.hour, "h"),
        (moment.minute, "m"),
        (moment.second, "s"),
    ]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join("%d%s" % part for part in parts)

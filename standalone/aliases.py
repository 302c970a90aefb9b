"""Chat commands: which alias a line of text means, and with which parameters.

Promises StackStorm's matching: a format is a regular expression in which `{{ name }}` and
`{{ name = default }}` stand for values, and any `key=value` pairs at the end of the line become
parameters, declared or not. Frozen parameters and running the action are left to the caller.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Tuple

from standalone.datastore import Datastore, st2kv
from standalone.packs import Alias
from standalone.templates import render

__all__ = ["NoMatch", "extract", "format_strings", "freeze", "match", "parameters_of"]

# A value as people type it: quoted, a JSON object, or (last) as it comes.
_QUOTED_OR_OBJECT = r'""|\'\'|"(.+?)"|\'(.+?)\'|({.+?})'
_KEY = r"\s*(\S+?)\s*"
_PAIR = r"(?:^|\s+)" + _KEY + r"=(" + _QUOTED_OR_OBJECT + r"|(\S+))"
_PAIRS_AT_END = re.compile(r".*?((" + _PAIR + r"\s*)*)$", re.DOTALL)
_DEFAULT = r"\s*=\s*(?:" + _QUOTED_OR_OBJECT + r"|(.+?))\s*"
_OPTIONAL = r"{{" + _KEY + _DEFAULT + r"}}"
_REQUIRED = r"{{" + _KEY + r"}}"
# What takes the place of a parameter; \1 is the white space before it and \2 its name.
_VALUE = (
    r"\1[\"']?(?P<\2>(?:(?<=').+?(?=')|"
    r'(?<=").+?(?=")|{.+?}|.+?))["\']?'
)


class NoMatch(ValueError):
    """The text does not have the form that the format asks for."""


def format_strings(alias: Alias) -> List[str]:
    """Every format that is matched against; of a format with `display` only its representations."""
    found: List[str] = []
    for item in alias.formats:
        if isinstance(item, dict):
            representation = item.get("representation") or []
            found.extend([representation] if isinstance(representation, str) else representation)
        else:
            found.append(item)
    return found


def match(alias: Alias, text: str) -> Optional[Tuple[str, Dict[str, Any]]]:
    """The first format that the text satisfies, with the parameters it yields; None when none
    does."""
    for format_string in format_strings(alias):
        try:
            return format_string, extract(format_string, text)
        except NoMatch:
            continue
    return None


def freeze(
    alias: Alias,
    parameters: Mapping[str, Any],
    kv: Optional[Datastore] = None,
    context: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """The parameters with the alias' `immutable_parameters` added, their templates rendered.

    Raises ValueError when the text of the command tried to set one of them.
    """
    taken = [name for name in alias.immutable_parameters if name in parameters]
    if taken:
        raise ValueError("Immutable arguments cannot be overriden: %s" % ",".join(taken))
    full = {"st2kv": st2kv(kv), **(context or {})}
    frozen = dict(parameters)
    for name, value in alias.immutable_parameters.items():
        frozen[name] = render(value, full) if isinstance(value, str) else value
    return frozen


def extract(format_string: str, text: str) -> Dict[str, Any]:
    """Parameters that the format finds in the text, all as text; NoMatch when it does not fit."""
    pairs, rest = _split_pairs(text)
    found = _expression(format_string).search(rest)
    if found is None:
        raise NoMatch('Command "%s" doesn\'t match format string "%s"' % (text, format_string))
    parameters: Dict[str, Any] = found.groupdict()
    for name, *default in re.findall(_OPTIONAL, format_string, re.DOTALL):
        parameters[name] = parameters.get(name) or "".join(default)
    parameters.update(pairs)
    if format_string and not rest.strip() and not any(parameters.values()):
        raise NoMatch("No value supplied and no default value found.")
    return parameters


def parameters_of(format_string: str) -> List[str]:
    """The names that a format has places for; re.error when it is no regular expression."""
    return list(_expression(format_string).groupindex)


def _split_pairs(text: str) -> Tuple[Dict[str, str], str]:
    """`key=value` pairs at the end of the text, and the text without them."""
    ending = _PAIRS_AT_END.match(text)
    tail = ending.group(1) if ending else ""
    if not tail:
        return {}, " %s " % text
    pairs = {groups[0]: "".join(groups[2:]) for groups in re.findall(_PAIR, tail, re.DOTALL)}
    return pairs, " %s " % text.replace(tail, "")


def _expression(format_string: str) -> re.Pattern[str]:
    body = re.sub(r"(\s*)" + _OPTIONAL, "(?:" + _VALUE + ")?", format_string)
    body = re.sub(r"(\s*)" + _REQUIRED, _VALUE, body)
    starts, ends = _anchors(body)
    if not starts:
        body = r"^\s*" + body
    if not ends:
        body = body + r"\s*$"
    return re.compile(body, re.DOTALL)


def _anchors(expression: str) -> Tuple[bool, bool]:
    """Whether `^` or `\\A`, and `$` or `\\Z`, stand anywhere in the expression as anchors."""
    starts = ends = is_escaped = is_set = False
    for character in expression:
        if is_escaped:
            starts = starts or character == "A"
            ends = ends or character == "Z"
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif is_set:
            is_set = character != "]"
        elif character == "[":
            is_set = True
        else:
            starts = starts or character == "^"
            ends = ends or character == "$"
    return starts, ends

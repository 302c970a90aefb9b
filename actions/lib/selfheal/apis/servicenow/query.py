"""Encoded queries, made so that a value can never become a condition. Pure.

ServiceNow leaves a condition that it does not understand out of the query and answers with the rest
of the table, so an answer is only believed after its rows were compared (`exactly`).
"""

from __future__ import annotations

import re
from typing import Any, Iterable, List, Mapping, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.text import one_line

Condition = Tuple[str, str, str]
OPERATORS = ("=", "!=", "LIKE", "STARTSWITH", "IN")
_FIELD = re.compile(r"[a-z][a-z0-9_.]{0,79}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAGIC = ("NULL", "EMPTYSTRING")  # as values they mean: the field is empty


def encoded(conditions: Sequence[Condition], order: Sequence[str] = ()) -> str:
    """All `conditions` (field, one of OPERATORS, value) as one query, sorted by the fields `order`,
    downwards by one that begins with a minus.

    A value with a caret is looked for by what stands before it. Raises InvalidInput for a value
    that is empty, means something else than itself, or cannot stand in a query.
    """
    if not conditions:
        raise InvalidInput("a query without conditions would find the whole table")
    parts = [_condition(*one) for one in conditions]
    for name in order:
        is_down = name.startswith("-")
        parts.append("ORDERBY%s%s" % ("DESC" if is_down else "", _field(name[int(is_down):])))
    return "^".join(parts)


def one_of(field: str, values: Iterable[str]) -> Condition:
    """The condition that a field has one of `values`. Raises InvalidInput for none at all."""
    wanted = list(values)
    for value in wanted:
        if "," in value or "^" in value:
            raise InvalidInput("%r cannot stand in a list of values" % one_line(value, 80))
        _checked(value)
    return field, "IN", ",".join(wanted)


def exactly(rows: Sequence[Mapping[str, Any]], field: str, value: str) -> List[Mapping[str, Any]]:
    """Those of `rows` whose field has exactly this value, letters' case included."""
    return [row for row in rows if text_of(row.get(field)) == value]


def text_of(value: Any) -> str:
    """The value of a field, however the API was asked to show it."""
    if isinstance(value, Mapping):
        value = value.get("value")
    return "" if value is None else str(value)


def shown_of(value: Any) -> str:
    """A field as people see it."""
    if isinstance(value, Mapping):
        value = value.get("display_value") or value.get("value")
    return "" if value is None else str(value)


def _condition(field: str, operator: str, value: str) -> str:
    if operator not in OPERATORS:
        raise ValueError("%r is no operator" % operator)
    value = _checked(value)
    if "^" in value and operator == "!=":
        raise InvalidInput("%r cannot be left out of a search" % one_line(value, 80))
    if "^" in value:
        operator, value = ("STARTSWITH" if operator == "=" else operator), value.split("^")[0]
        if len(value.strip()) < 2:
            raise InvalidInput("a value that begins with ^ cannot be looked for: give the sys_id")
        _checked(value)
    return "%s%s%s" % (_field(field), operator, value)


def _field(name: str) -> str:
    if not _FIELD.match(name):
        raise InvalidInput("%s is no name of a field" % one_line(repr(name), 80))
    return name


def _checked(value: str) -> str:
    if not value.strip():
        raise InvalidInput("an empty value would find every record: give one")
    if _CONTROL.search(value):
        raise InvalidInput("%s holds characters that no name has" % one_line(repr(value), 80))
    if value.strip().lower().startswith("javascript:") or value.strip().upper() in _MAGIC:
        raise InvalidInput(
            "%s means something else to ServiceNow than itself" % one_line(repr(value), 80)
        )
    return value

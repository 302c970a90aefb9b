"""The operators that a rule's criteria may name, with StackStorm's exact behaviour on odd values.

Promises to answer and to raise where StackStorm does (a missing value arrives as None): the
caller turns an exception into "no match". The clock comes in through `utc_now`, which tests
replace.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
from typing import Any, Callable, Dict, Mapping, Tuple

__all__ = ["OPERATORS", "SEARCH", "UnknownCondition", "operator_named", "search"]

SEARCH = "search"
Operator = Callable[[Any, Any], bool]
# condition -> (how items of the list combine, how the patterns on one item combine)
_CONDITIONS: Dict[str, Tuple[Callable[[Any], bool], Callable[[Any], bool]]] = {
    "all": (all, all),
    "any": (any, all),
    "all2any": (all, any),
    "any2any": (any, any),
}


class UnknownCondition(Exception):
    """A `search` criterion names a condition that StackStorm does not have."""


def utc_now() -> datetime.datetime:
    """The present, with its zone."""
    return datetime.datetime.now(datetime.timezone.utc)


def _text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _unless_pattern_is_none(compare: Operator) -> Operator:
    return lambda value, pattern: pattern is not None and compare(_text(value), _text(pattern))


def _unless_none_as_it_is(compare: Operator) -> Operator:
    # The operators on quantities are the ones that leave bytes as they are.
    return lambda value, pattern: pattern is not None and compare(value, pattern)


def _not_equal(value: Any, pattern: Any) -> bool:
    # Alone among the comparisons this one has no way out for a pattern of None.
    return bool(_text(value) != _text(pattern))


def _age_s(value: Any) -> float:
    from dateutil import parser

    moment = parser.parse(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return float((utc_now() - moment).total_seconds())


def search(
    value: Any,
    pattern: Mapping[str, Any],
    condition: Any,
    check: Callable[[str, Any, Any], bool],
) -> bool:
    """Whether the items of a list (a mapping counts as a list of one) satisfy the child criteria.

    `check(key, criterion, item)` judges one child criterion on one item. Every pair is judged,
    whatever the outcome of the earlier ones, as StackStorm does. Raises TypeError when the value
    is not iterable (None).
    """
    if condition not in _CONDITIONS:
        raise UnknownCondition(
            "condition %r is not one of %s" % (condition, ", ".join(sorted(_CONDITIONS)))
        )
    items = [value] if isinstance(value, dict) else value
    of_items, of_patterns = _CONDITIONS[condition]
    return of_items(
        [
            of_patterns([check(key, criterion, item) for key, criterion in pattern.items()])
            for item in items
        ]
    )


_BY_NAMES: Dict[Tuple[str, ...], Operator] = {
    ("matchwildcard",): _unless_pattern_is_none(fnmatch.fnmatch),
    ("matchregex",): _unless_pattern_is_none(
        lambda value, pattern: re.compile(pattern, re.DOTALL).match(value) is not None
    ),
    ("regex",): _unless_pattern_is_none(
        lambda value, pattern: re.compile(pattern).search(value) is not None
    ),
    ("iregex",): _unless_pattern_is_none(
        lambda value, pattern: re.compile(pattern, re.IGNORECASE).search(value) is not None
    ),
    ("eq", "equals"): _unless_pattern_is_none(lambda value, pattern: bool(value == pattern)),
    ("neq", "nequals"): _not_equal,
    ("ieq", "iequals"): _unless_pattern_is_none(
        lambda value, pattern: bool(value.lower() == pattern.lower())
    ),
    ("contains",): _unless_pattern_is_none(lambda value, pattern: pattern in value),
    ("icontains",): _unless_pattern_is_none(
        lambda value, pattern: pattern.lower() in value.lower()
    ),
    ("ncontains",): _unless_pattern_is_none(lambda value, pattern: pattern not in value),
    ("incontains",): _unless_pattern_is_none(
        lambda value, pattern: pattern.lower() not in value.lower()
    ),
    ("startswith",): _unless_pattern_is_none(
        lambda value, pattern: bool(value.startswith(pattern))
    ),
    ("istartswith",): _unless_pattern_is_none(
        lambda value, pattern: bool(value.lower().startswith(pattern.lower()))
    ),
    ("endswith",): _unless_pattern_is_none(lambda value, pattern: bool(value.endswith(pattern))),
    ("iendswith",): _unless_pattern_is_none(
        lambda value, pattern: bool(value.lower().endswith(pattern.lower()))
    ),
    ("lt", "lessthan"): _unless_none_as_it_is(lambda value, pattern: bool(value < pattern)),
    ("gt", "greaterthan"): _unless_none_as_it_is(lambda value, pattern: bool(value > pattern)),
    ("td_lt", "timediff_lt"): _unless_none_as_it_is(
        lambda value, pattern: _age_s(value) < float(pattern)
    ),
    ("td_gt", "timediff_gt"): _unless_none_as_it_is(
        lambda value, pattern: _age_s(value) > float(pattern)
    ),
    ("exists",): lambda value, pattern: value is not None,
    ("nexists",): lambda value, pattern: value is None,
    ("in", "inside"): _unless_pattern_is_none(lambda value, pattern: value in pattern),
    ("nin", "ninside"): _unless_pattern_is_none(lambda value, pattern: value not in pattern),
}

# `search` is here as well so that its name is known; it takes two more arguments than its
# neighbours.
OPERATORS: Dict[str, Callable[..., bool]] = {
    name: function for names, function in _BY_NAMES.items() for name in names
}
OPERATORS[SEARCH] = search


def operator_named(name: str) -> Callable[..., bool]:
    """The operator of that name in any case; KeyError names what there is."""
    try:
        return OPERATORS[name.lower()]
    except KeyError:
        raise KeyError(
            "no operator %r; there are %s" % (name, ", ".join(sorted(OPERATORS)))
        ) from None

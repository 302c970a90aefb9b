"""Where a document keeps what: the many names of one meaning, found fast.

Documents of one source have few shapes (sets of top-level keys), so which of the known names can be
there at all is worked out once per shape. Promises the same answer for the same document; the plans
are bounded and only save work.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Generic, List, Mapping, Tuple, TypeVar

# A way to a value: the document's own key and the rest of the dotted path within it ("" for none);
# that rest once more as its first part and what follows, "" where it has one part only. A plain
# tuple, as it is taken apart several times per document: that of a named one takes four times as
# long.
Way = Tuple[str, str, str, str]
Ways = Tuple[Way, ...]
Plan = TypeVar("Plan")

_MAX_PLANS = 2000
_MAX_KEYS = 300  # a shape with more keys is not kept
_MAX_ITEMS = 20
_MAX_DEPTH = 4


class Shapes(Generic[Plan]):
    """Plans for documents. `meanings` are name -> dotted paths, best first; `made` makes a plan of
    name -> the ways that a document's keys leave open, () for none.
    """

    def __init__(
        self, meanings: Mapping[str, str], made: Callable[[Dict[str, Ways]], Plan]
    ) -> None:
        self._candidates = {
            name: [way for path in paths.split() for way in _splits(path)]
            for name, paths in meanings.items()
        }
        self._made = made
        self._plans: Dict[Tuple[str, ...], Plan] = {}

    def of(self, source: Dict[str, Any]) -> Plan:
        """The plan for documents with the keys of `source`."""
        keys = tuple(source)
        plan = self._plans.get(keys)
        if plan is None:
            plan = self._made(
                {
                    name: tuple(way for way in ways if way[0] in source)
                    for name, ways in self._candidates.items()
                }
            )
            if len(keys) <= _MAX_KEYS:
                if len(self._plans) >= _MAX_PLANS:
                    self._plans.clear()
                self._plans[keys] = plan
        return plan


def _splits(path: str) -> List[Way]:
    """`a.b.c` as (a.b.c), (a.b, c) and (a, b.c): dotted keys are written flat, nested, or both."""
    parts = path.split(".")
    ways: List[Way] = []
    for length in range(len(parts), 0, -1):
        rest = ".".join(parts[length:])
        head, dot, tail = rest.partition(".")
        ways.append((".".join(parts[:length]), rest, head if dot else "", tail))
    return ways


def inside(value: Any, path: str) -> Any:
    """What lies at dotted `path` within `value`, None when nothing does. Of a list its first item
    counts.
    """
    if type(value) is not dict:
        if type(value) is list and value and type(value[0]) is dict:
            return inside(value[0], path)
        return None
    found = value.get(path)
    if found is not None or "." not in path:
        return found
    head, _, tail = path.partition(".")
    nested = value.get(head)
    return None if nested is None else inside(nested, tail)


def text_of(value: Any, depth: int = 0) -> str:
    """A plain value as text without space around it; "" for what has no text (true, null, a map).

    Of a list the first item that has one.
    """
    kind = type(value)
    if kind is str:
        return str(value).strip()
    if kind is int or kind is float:
        return str(value) if -1e300 < value < 1e300 else ""
    if kind is list and depth < _MAX_DEPTH:
        for item in value[:_MAX_ITEMS]:
            text = text_of(item, depth + 1)
            if text:
                return text
    elif kind is dict and type(value.get("stringValue")) is str:
        return str(value["stringValue"]).strip()  # OTLP's JSON
    return ""


def first(source: Dict[str, Any], ways: Ways) -> str:
    """The first text that the ways lead to, "" for none."""
    for key, rest, head, tail in ways:
        value = source[key]
        if rest:
            if type(value) is dict:
                whole = value
                value = whole.get(rest)
                if value is None and head:
                    value = whole.get(head)
                    if value is not None:
                        value = inside(value, tail)
            elif type(value) is list:
                value = inside(value, rest)
            else:
                continue
        if type(value) is str:
            text: str = value.strip()
            if text:
                return text
        elif value is not None:
            text = text_of(value)
            if text:
                return text
    return ""


def values(source: Dict[str, Any], ways: Ways) -> List[Any]:
    """All values that the ways lead to, best first; none of them is None."""
    found = [inside(source[key], rest) if rest else source[key] for key, rest, _, _ in ways]
    return [value for value in found if value is not None]

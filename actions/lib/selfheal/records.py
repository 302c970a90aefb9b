"""Dataclasses that cost a tenth to define.

The standard decorator writes and compiles the source of up to eight methods for each class: a
millisecond, and every action is a fresh process that defines dozens. Here the fields are the
standard library's, so its `field`, `fields`, `replace` and `asdict` work, and the methods are
closures over their names. A type checker sees the standard decorator itself. bench/records.py
measures both. What no class of the pack uses is refused, never ignored.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Sequence

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, *, frozen=False, order=False):
        """As `dataclasses.dataclass` with these options. Raises TypeError for what it cannot do."""
        if cls is None:
            return lambda decorated: _define(decorated, frozen, order)
        return _define(cls, frozen, order)


__all__ = ["dataclass"]

_USUAL = {"init": True, "compare": True, "hash": None, "kw_only": False}
_COMPARISONS = ("__lt__", "__le__", "__gt__", "__ge__")


def _define(cls: Any, is_frozen: bool, is_ordered: bool) -> Any:
    cls = dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)
    beyond = _beyond_us(cls, fields)
    if beyond:
        raise TypeError("%s needs dataclasses.dataclass: %s" % (cls.__name__, ", ".join(beyond)))
    values = _values([field.name for field in fields])
    methods = {
        "__init__": _initialise(cls.__name__, fields),
        "__repr__": _represent([field.name for field in fields if field.repr]),
        "__eq__": _compare(values, operator.eq),
        "__hash__": (lambda self: hash(values(self))) if is_frozen else None,
    }
    if is_ordered:
        methods.update({name: _compare(values, getattr(operator, name)) for name in _COMPARISONS})
    if is_frozen:
        methods.update({"__setattr__": _refuse_setting, "__delattr__": _refuse_deleting})
    own = vars(cls)
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    return cls


def _beyond_us(cls: Any, fields: Sequence[Any]) -> List[str]:
    """What `cls` asks for that only the standard decorator can do."""
    found = [name for name in ("__post_init__", "__slots__") if hasattr(cls, name)]
    if cls.__mro__[1:] != (object,):
        found.append("a base class")
    for field in fields:
        found += [
            "%s of the field %s" % (option, field.name)
            for option, usual in _USUAL.items()
            if getattr(field, option, usual) is not usual
        ]
    return found


def _initialise(cls_name: str, fields: Sequence[Any]) -> Callable[..., None]:
    names = tuple(field.name for field in fields)
    known = frozenset(names)
    defaults = {}
    factories = []
    for field in fields:
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            factories.append((field.name, field.default_factory))

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        state = self.__dict__
        state.update(defaults)
        state.update(zip(names, args))
        state.update(given)
        for name, make in factories:
            if name not in state:
                state[name] = make()
        is_twice = args and not given.keys().isdisjoint(names[:len(args)])
        if state.keys() != known or is_twice or len(args) > len(names):
            raise TypeError(_wrong_call(cls_name, names, args, given, state))

    return __init__


def _wrong_call(
    cls_name: str, names: Sequence[str], args: Sequence[Any], given: Dict[str, Any],
    state: Dict[str, Any],
) -> str:
    problems = {
        "takes %d values, was given" % len(names): ["%d" % len(args)] * (len(args) > len(names)),
        "lacks": [name for name in names if name not in state],
        "does not know": [name for name in given if name not in names],
        "was given twice": [name for name in names[:len(args)] if name in given],
    }
    return "; ".join(
        "%s %s %s" % (cls_name, problem, ", ".join(found))
        for problem, found in problems.items()
        if found
    )


def _values(names: Sequence[str]) -> Callable[[Any], Any]:
    return operator.attrgetter(*names) if names else lambda _: ()


def _represent(names: Sequence[str]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:
        shown = ", ".join("%s=%r" % (name, getattr(self, name)) for name in names)
        return "%s(%s)" % (type(self).__qualname__, shown)

    return __repr__


def _compare(
    values: Callable[[Any], Any], compared: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    def comparison(self: Any, other: Any) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        return compared(values(self), values(other))

    return comparison


def _refuse_setting(self: Any, name: str, _value: Any) -> None:
    raise dataclasses.FrozenInstanceError("cannot assign to field %r" % name)


def _refuse_deleting(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError("cannot delete field %r" % name)

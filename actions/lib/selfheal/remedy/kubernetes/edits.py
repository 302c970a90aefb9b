"""Parts of objects before and after a change, so that at any later moment it can be told whether
the change is there, and it can be taken back exactly.

Pure. A part that is not there at all is another thing than one that is empty; a map or list that
Kubernetes would not keep because it is empty counts as not there.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.records import dataclass

BEFORE = "before"
AFTER = "after"
OTHER = "other"
Path = Tuple[str, ...]


class _Absent:
    def __repr__(self) -> str:
        return "absent"

    def __deepcopy__(self, _memo: Any) -> _Absent:
        return self


ABSENT = _Absent()


@dataclass(frozen=True)
class Edit:
    """One part of an object: where it is, what was there, and what is to be there."""

    path: Path
    before: Any
    after: Any

    def as_dict(self) -> Dict[str, Any]:
        """As undo records hold it: {"path", "before": [value] or [], "after": [value] or []}."""
        return {
            "path": list(self.path),
            "before": _boxed(self.before),
            "after": _boxed(self.after),
        }


def from_dict(found: Mapping[str, Any]) -> Edit:
    """The edit of a record. Raises LookupError, TypeError for what `as_dict` did not write."""
    path = tuple(found["path"])
    if not path or not all(isinstance(part, str) for part in path):
        raise TypeError("an edit's path is %r" % (found["path"],))
    return Edit(path, _unboxed(found["before"]), _unboxed(found["after"]))


def at(value: Any, path: Sequence[str]) -> Any:
    """What stands at `path` in `value`, or ABSENT."""
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return ABSENT if value is None or value == {} or value == [] else value


def edit(value: Mapping[str, Any], path: Sequence[str], after: Any) -> Edit:
    """The edit that puts `after` at `path` of `value`."""
    return Edit(tuple(path), copy.deepcopy(at(value, path)), after)


def settled(edits: Sequence[Edit], stored: Mapping[str, Any]) -> Tuple[Edit, ...]:
    """`edits` with what the server would really keep (`stored`, its answer to a dry run) as after:
    it fills in defaults.
    """
    return tuple(Edit(one.path, one.before, at(stored, one.path)) for one in edits)


def stand(live: Mapping[str, Any], edits: Sequence[Edit]) -> str:
    """How `live` stands to `edits`: AFTER when all are there, BEFORE when none is, else OTHER. What
    would change nothing counts as after.
    """
    found = [at(live, one.path) for one in edits]
    if all(is_same(value, one.after) for value, one in zip(found, edits)):
        return AFTER
    if all(is_same(value, one.before) for value, one in zip(found, edits)):
        return BEFORE
    return OTHER


def differing(live: Mapping[str, Any], edits: Sequence[Edit]) -> List[str]:
    """The paths at which `live` is neither as before nor as after, for people."""
    found = []
    for one in edits:
        value = at(live, one.path)
        if not is_same(value, one.after) and not is_same(value, one.before):
            found.append(".".join(one.path))
    return found


def is_same(one: Any, other: Any) -> bool:
    """Whether two parts are the same; true is not 1, and null inside counts as not there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(is_same(one.get(key), other.get(key)) for key in set(one) | set(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def patch(live: Mapping[str, Any], edits: Sequence[Edit]) -> List[Dict[str, Any]]:
    """The JSON patch that makes `live` as `edits` want it, provided that it is still the version
    which was read.
    """
    version = at(live, ("metadata", "resourceVersion"))
    if not isinstance(version, str):
        raise InvalidInput("the server gave an object without a version, so it is not changed")
    wanted = copy.deepcopy(dict(live))
    steps: List[Dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    ]
    for one in edits:
        steps += _steps(wanted, one)
    return steps


def _steps(live: Dict[str, Any], one: Edit) -> List[Dict[str, Any]]:
    """The steps for one edit; `live` is changed along, so that the next edit finds its parents."""
    is_there = _is_there(live, one.path)
    if one.after is ABSENT:
        if not is_there:
            return []
        parent = _parent(live, one.path)
        del parent[one.path[-1]]
        return [{"op": "remove", "path": _pointer(one.path)}]
    depth = _missing_from(live, one.path)
    value = copy.deepcopy(one.after)
    for part in reversed(one.path[depth:]):
        value = {part: value}
    parent = _parent(live, one.path[:depth])
    parent[one.path[depth - 1]] = value
    is_new = not is_there
    return [
        {
            "op": "add" if is_new else "replace",
            "path": _pointer(one.path[:depth]),
            "value": copy.deepcopy(value),
        }
    ]


def _is_there(live: Mapping[str, Any], path: Path) -> bool:
    value: Any = live
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _missing_from(live: Mapping[str, Any], path: Path) -> int:
    """How much of `path` to name: as far as its first part that is not there."""
    value: Any = live
    for depth, part in enumerate(path, 1):
        if not isinstance(value, Mapping) or not isinstance(value.get(part), Mapping):
            return depth
        value = value[part]
    return len(path)


def _parent(live: Dict[str, Any], path: Path) -> Dict[str, Any]:
    for part in path[:-1]:
        live = live[part]
    return live


def _pointer(path: Sequence[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _boxed(value: Any) -> List[Any]:
    return [] if value is ABSENT else [value]


def _unboxed(box: Any) -> Any:
    if not isinstance(box, list) or len(box) > 1:
        raise TypeError("a part of an edit is %r" % (box,))
    return box[0] if box else ABSENT

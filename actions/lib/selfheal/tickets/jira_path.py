"""The way through a workflow that shows no more than the next doors: which transition to take now.

Jira tells what an issue may do from where it stands, nothing beyond. What was seen on the way is
kept; the nearest goal in it is headed for, else the nearest status not looked at yet, breadth
first. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from selfheal.records import dataclass

MOST_STEPS = 12
NEW, IN_PROGRESS, DONE = "new", "indeterminate", "done"
# Ends that say that nothing was mended.
_GIVEN_UP = ("won't", "wont", "cancel", "reject", "declin", "duplicate", "abandon", "invalid",
             "cannot reproduce")


@dataclass(frozen=True)
class Status:
    """A status: `category` is new, indeterminate or done."""

    id: str
    name: str
    category: str


@dataclass(frozen=True)
class Step:
    """One transition: where it leads and the fields that its screen asks for, by their ids."""

    id: str
    name: str
    to: Status
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Goal = Callable[[Status], bool]
Known = Dict[str, Tuple[Step, ...]]


def status_of(value: Any) -> Status:
    """A status as Jira writes it."""
    value = value if isinstance(value, Mapping) else {}
    category = value.get("statusCategory")
    key = category.get("key") if isinstance(category, Mapping) else ""
    return Status(str(value.get("id") or ""), str(value.get("name") or ""), str(key or ""))


def steps_of(offered: Sequence[Mapping[str, Any]]) -> Tuple[Step, ...]:
    """Transitions as Jira writes them."""
    return tuple(
        Step(
            str(one.get("id") or ""),
            str(one.get("name") or ""),
            status_of(one.get("to")),
            {
                str(name): spec
                for name, spec in (one.get("fields") or {}).items()
                if isinstance(spec, Mapping)
            },
        )
        for one in offered
        if one.get("id")
    )


def is_given_up(name: str) -> bool:
    """Whether a status or resolution of that name says that nothing was mended."""
    return any(word in name.casefold() for word in _GIVEN_UP)


def goal_of(names: Sequence[str], category: str) -> Goal:
    """The statuses called one of `names`; without names any of `category` that is no giving up."""
    wanted = {name.casefold() for name in names}

    def is_goal(status: Status) -> bool:
        if wanted:
            return status.name.casefold() in wanted
        return status.category == category and not is_given_up(status.name)

    return is_goal


def next_step(known: Known, at: str, is_goal: Goal) -> Optional[Step]:
    """The transition to take from status `at` (an id): the first of the shortest way to a goal in
    what is known, else to a status that was not looked at; None when there is neither. No way leads
    through an end that says that the issue was given up.
    """
    unseen: Optional[Step] = None
    seen: Set[str] = {at}
    queue: Deque[Tuple[str, Optional[Step]]] = deque([(at, None)])
    while queue:
        place, first = queue.popleft()
        for step in _ordered(known.get(place, ())):
            if is_goal(step.to):
                return first or step
            is_end = step.to.category == DONE and is_given_up(step.to.name)
            if step.to.id in seen or is_end:
                continue
            seen.add(step.to.id)
            if step.to.id in known:
                queue.append((step.to.id, first or step))
            elif unseen is None:
                unseen = first or step
    return unseen


def _ordered(steps: Sequence[Step]) -> List[Step]:
    """Work in progress before going back to the start, else as the workflow lists them."""
    return sorted(steps, key=lambda step: step.to.category != IN_PROGRESS)

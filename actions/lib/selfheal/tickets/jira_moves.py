"""Bringing an issue to another status: step by step through its workflow, required fields filled.

Safe to do again: who finds the issue there does nothing. Every step reads anew where the issue
stands, as a workflow may move it by itself.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.apis.declined import after_a_write
from selfheal.apis.jira import issues, meta
from selfheal.apis.jira.connection import Connection, Refusal
from selfheal.exceptions import ConfigError, NotFound, Refused
from selfheal.text import one_line
from selfheal.tickets.jira_path import (
    DONE,
    MOST_STEPS,
    Goal,
    Known,
    Status,
    Step,
    is_given_up,
    next_step,
    status_of,
    steps_of,
)
from selfheal.tickets.jira_settings import JiraSettings

_RESOLUTIONS = ("done", "fixed", "resolved")
_CATEGORIES = {"to do": "new", "in progress": "indeterminate", "done": "done"}
_ADDED = ("comment", "worklog")  # what a screen asks for by an operation instead of a value
Filled = Tuple[Dict[str, Any], Dict[str, Any]]


def move(
    site: Connection,
    settings: JiraSettings,
    issue: str,
    is_goal: Goal,
    wanted: str,
    resolution: str = "",
) -> List[str]:
    """Take `issue` to a status that `is_goal`; the names of the transitions it took, none when it
    was there. `wanted` is the goal in words. Raises Refused when the workflow offers no way,
    NotFound.
    """
    known: Known = {}
    taken: List[str] = []
    problems: List[str] = []
    for _ in range(MOST_STEPS):
        status = after_a_write(lambda: _status(site, issue)) if taken else _status(site, issue)
        if is_goal(status):
            return taken
        offered = steps_of(issues.transitions(site, issue))
        known[status.id] = tuple(
            step for step in offered if not _lacks(settings, step, resolution, problems)
        )
        step = next_step(known, status.id, is_goal)
        if not taken and step is not None and not is_goal(step.to):
            _check_there_is_one(site, issue, is_goal, wanted)
        if step is None:
            raise _no_way(issue, status, wanted, offered, problems)
        try:
            _take(site, settings, issue, step, resolution)
        except Refused:
            if _status(site, issue).id == status.id:
                raise
            continue  # somebody moved it meanwhile
        taken.append(step.name)
    raise Refused(
        "%s did not reach %s in %d transitions (%s); name the status in %s.done_status or bring it "
        "there by hand" % (issue, wanted, MOST_STEPS, ", ".join(taken), settings.what)
    )


def move_by_name(
    site: Connection, settings: JiraSettings, issue: str, name: str, resolution: str = ""
) -> List[str]:
    """Take the transition called `name` when it is offered now, else go to the status, or category
    of statuses (to do, in progress, done), of that name. Raises as `move`.
    """
    folded = name.strip().casefold()
    named = [
        step for step in steps_of(issues.transitions(site, issue)) if step.name.casefold() == folded
    ]
    if named and named[0].to.name.casefold() != folded:
        problems: List[str] = []
        if _lacks(settings, named[0], resolution, problems):
            raise Refused("%s cannot take %s: %s" % (issue, named[0].name, problems[0]))
        _take(site, settings, issue, named[0], resolution)
        return [named[0].name]

    def is_named(status: Status) -> bool:
        return status.name.casefold() == folded

    def is_category(status: Status) -> bool:
        return status.category == _CATEGORIES[folded] and not is_given_up(status.name)

    has_other = folded in _CATEGORIES and not any(is_named(one) for one in statuses(site, issue))
    is_goal = is_category if has_other else is_named
    return move(site, settings, issue, is_goal, one_line(name, 60), resolution)


def statuses(site: Connection, issue: str) -> List[Status]:
    """The statuses that issues of its type may have in its project; empty when Jira does not say.
    """
    fields = issues.read(site, issue, ("project", "issuetype"))["fields"]
    key = str((fields.get("project") or {}).get("key") or "")
    type_id = str((fields.get("issuetype") or {}).get("id") or "")
    if not key or not type_id:
        return []
    try:
        return [status_of(one) for one in meta.statuses(site, key, type_id)]
    except (ConfigError, NotFound, Refusal):
        return []


def _check_there_is_one(site: Connection, issue: str, is_goal: Goal, wanted: str) -> None:
    """Raises Refused when no status of the workflow is a goal: then not even a step is taken."""
    there_are = statuses(site, issue)
    if there_are and not any(is_goal(one) for one in there_are):
        raise Refused(
            "the workflow of %s has no way to %s; its statuses are: %s"
            % (issue, wanted, one_line(", ".join(one.name for one in there_are), 300))
        )


def _status(site: Connection, issue: str) -> Status:
    return status_of(issues.read(site, issue, ("status",))["fields"].get("status"))


def _take(
    site: Connection, settings: JiraSettings, issue: str, step: Step, resolution: str
) -> None:
    fields, update = _filled(settings, step, resolution)
    try:
        issues.transition(site, issue, step.id, fields, update)
    except Refusal as refusal:
        if refusal.status >= 500 or refusal.status == 409:
            raise
        raise Refused(
            "%s cannot take the transition %s: %s; see what its screen and conditions ask for, and "
            "set %s.transition_fields" % (issue, step.name, refusal, settings.what)
        ) from refusal


def _lacks(settings: JiraSettings, step: Step, resolution: str, problems: List[str]) -> bool:
    """Whether the screen of `step` asks for what we cannot fill; `problems` says so."""
    fields, update = _filled(settings, step, resolution)
    wrong = _unknown_resolution(step, resolution)
    if wrong and wrong not in problems:
        problems.append(wrong)
    missing = [
        "%s (%s)" % (spec.get("name") or name, name)
        for name, spec in step.fields.items()
        if spec.get("required") and not spec.get("hasDefaultValue") and
        name not in fields and name not in update
    ]
    if missing:
        problem = "%s asks for %s" % (step.name, ", ".join(missing))
        if problem not in problems:
            problems.append(one_line(problem, 200))
    return bool(missing or wrong)


def _unknown_resolution(step: Step, asked: str) -> str:
    """What is wrong when a person asked for a resolution that the screen of `step` does not have:
    another one would say what nobody said.
    """
    spec = step.fields.get("resolution")
    names = _names_of(spec) if spec and asked and step.to.category == DONE else []
    if not names or asked.casefold() in [name.casefold() for name in names]:
        return ""
    return one_line("%s has no resolution %s but %s" % (step.name, asked, ", ".join(names)), 200)


def _names_of(spec: Mapping[str, Any]) -> List[str]:
    allowed = spec.get("allowedValues")
    return [
        str(one["name"])
        for one in (allowed if isinstance(allowed, list) else [])
        if isinstance(one, Mapping) and one.get("name")
    ]


def _filled(settings: JiraSettings, step: Step, resolution: str) -> Filled:
    """(fields, update) for the screen of `step`: what the settings say, and the resolution."""
    fields: Dict[str, Any] = {}
    update: Dict[str, Any] = {}
    for name, spec in step.fields.items():
        value = settings.transition_fields.get(name)
        if value is None:
            value = settings.transition_fields.get(str(spec.get("name") or ""))
        if value is None and name == "resolution" and step.to.category == DONE:
            value = _resolution(spec, resolution or settings.resolution)
        if value is None:
            continue
        if name in _ADDED:
            update[name] = [{"add": value}]
        else:
            fields[name] = value
    return fields, update


def _resolution(spec: Mapping[str, Any], wanted: str) -> Optional[Dict[str, str]]:
    """The wanted resolution when this screen has it, else one that says that it is done."""
    names = _names_of(spec)
    for candidate in (wanted.casefold(), *_RESOLUTIONS):
        for name in names:
            if name.casefold() == candidate:
                return {"name": name}
    return {"name": wanted} if wanted and not names else None


def _no_way(
    issue: str, status: Status, wanted: str, offered: Sequence[Step], problems: Sequence[str]
) -> Refused:
    ways = ", ".join("%s (to %s)" % (step.name, step.to.name) for step in offered) or "nothing"
    return Refused(
        "%s is in %s and its workflow shows no way to %s: it offers us %s%s"
        % (
            issue, one_line(status.name, 60), wanted, one_line(ways, 300),
            "; " + "; ".join(problems[:3]) if problems else "",
        )
    )

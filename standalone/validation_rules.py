"""Problems of rules, policies and aliases: what they refer to, what they hand over."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, Mapping, Optional, Set

from standalone import aliases, core_actions, schemas
from standalone.jsonpath import find
from standalone.operators import OPERATORS, SEARCH
from standalone.packs import Action, Alias, Pack, Policy, Rule
from standalone.runner_types import RUNNER_PARAMETERS
from standalone.templates import environment, is_template
from standalone.validation_metadata import POLICY_TYPES

__all__ = ["problems"]

_CONDITIONS = ("all", "all2any", "any", "any2any")
_BARE_KEY = re.compile(r"{{\s*st2kv(\.\w+)+\s*}}")
_CRON = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
# Trigger types that every StackStorm has, with the schema of their parameters.
CORE_TRIGGERS: Dict[str, Dict[str, Any]] = {
    "core.st2.webhook": {"url": {"type": "string", "required": True}},
    "core.st2.IntervalTimer": {
        "timezone": {"type": "string"},
        "unit": {"enum": ["weeks", "days", "hours", "minutes", "seconds"], "required": True},
        "delta": {"type": "integer", "required": True},
    },
    "core.st2.DateTimer": {
        "timezone": {"type": "string"},
        "date": {"type": "string", "required": True},
    },
    "core.st2.CronTimer": {
        "timezone": {"type": "string"},
        **{name: {"anyOf": [{"type": "string"}, {"type": "integer"}]} for name in _CRON},
    },
    "core.st2.generic.actiontrigger": {},
    "core.st2.generic.notifytrigger": {},
    "core.st2.generic.inquiry": {},
    "core.st2.action.file_written": {},
    "core.st2.sensor.process_spawn": {},
    "core.st2.sensor.process_exit": {},
    "core.st2.key_value_pair.create": {},
    "core.st2.key_value_pair.update": {},
    "core.st2.key_value_pair.value_change": {},
    "core.st2.key_value_pair.delete": {},
}


def problems(pack: Pack) -> Iterator[str]:
    """One line per problem."""
    for rule in pack.rules.values():
        yield from _trigger_problems(pack, rule)
        yield from _criteria_problems("%s: criteria" % rule.metadata_file, rule.criteria, "trigger")
        yield from _hand_over_problems(pack, rule)
    for policy in pack.policies.values():
        yield from _policy_problems(pack, policy)
    for alias in pack.aliases.values():
        yield from _alias_problems(pack, alias)


def action_of(pack: Pack, ref: str) -> Optional[Action]:
    """The pack's own action of that reference, or the core action that standalone has."""
    return pack.actions.get(ref) or core_actions.ACTIONS.get(ref)


def _trigger_problems(pack: Pack, rule: Rule) -> Iterator[str]:
    place = "%s: trigger" % rule.metadata_file
    if rule.trigger_type in pack.triggers:
        declared = pack.triggers[rule.trigger_type].parameters_schema.get("properties") or {}
    elif rule.trigger_type in CORE_TRIGGERS:
        declared = CORE_TRIGGERS[rule.trigger_type]
    else:
        yield (
            "%s.type: %s is neither a trigger of this pack nor of StackStorm's core; a rule on "
            "another pack's trigger does not register without that pack"
            % (place, rule.trigger_type)
        )
        return
    schema = {"type": "object", "properties": declared, "additionalProperties": False}
    try:
        schemas.check(rule.trigger_parameters, schema)
    except schemas.SchemaError as error:
        yield "%s.parameters: %s" % (place, error)


def _criteria_problems(place: str, criteria: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, criterion in criteria.items():
        here = "%s.%s" % (place, key)
        if not isinstance(criterion, dict):
            yield "%s: must be a mapping with type and pattern, got %r" % (here, criterion)
            continue
        unknown = set(criterion) - {"type", "pattern", "condition"}
        if unknown:
            yield "%s: unknown key %s" % (here, ", ".join(sorted(unknown)))
        if criterion.get("type") not in OPERATORS:
            yield "%s: type: %r is no operator" % (here, criterion.get("type"))
        if criterion.get("pattern") is None:
            yield "%s: pattern is missing (`exists` and `nexists` need one as well)" % here
        yield from _path_problems(here, str(key).split("#", 1)[0], prefix)
        yield from _pattern_problems(here, criterion)


def _path_problems(here: str, path: str, prefix: str) -> Iterator[str]:
    if not path.startswith((prefix + ".", "system.")):
        yield "%s: must start with %s." % (here, prefix)
    try:
        find(path, {})
    except Exception as error:
        yield "%s: is no JSONPath: %s" % (here, error)


def _pattern_problems(here: str, criterion: Mapping[str, Any]) -> Iterator[str]:
    pattern = criterion.get("pattern")
    operator = criterion.get("type")
    if operator == SEARCH:
        if criterion.get("condition") not in _CONDITIONS:
            yield "%s: condition must be one of %s" % (here, ", ".join(_CONDITIONS))
        if isinstance(pattern, dict):
            yield from _criteria_problems("%s.pattern" % here, pattern, "item")
        else:
            yield "%s: the pattern of search is a mapping of criteria" % here
    elif isinstance(pattern, str):
        yield from _template_problems("%s: pattern" % here, pattern)
        if _BARE_KEY.search(pattern):
            yield (
                "%s: pattern: a bare datastore key never matches (StackStorm cannot serialise it); "
                "write {{ st2kv.system.x | string }}" % here
            )
        if operator in ("regex", "iregex", "matchregex") and not is_template(pattern):
            try:
                re.compile(pattern)
            except re.error as error:
                yield "%s: pattern: %r is no regular expression: %s" % (here, pattern, error)


def _template_problems(here: str, text: str) -> Iterator[str]:
    if not is_template(text):
        return
    try:
        environment().from_string(text)
    except Exception as error:
        # StackStorm takes such text for a plain value and hands it on with its braces.
        yield "%s: %r is no template: %s" % (here, text, error)


def _hand_over_problems(pack: Pack, rule: Rule) -> Iterator[str]:
    place = "%s: action" % rule.metadata_file
    action = action_of(pack, rule.action_ref)
    if action is None:
        yield "%s.ref: there is no action %s" % (place, rule.action_ref)
        return
    for name, value in rule.action_parameters.items():
        here = "%s.parameters.%s" % (place, name)
        if isinstance(value, (dict, list)) and is_template(str(value)):
            yield "%s: a template inside a structure breaks on quotes; only plain ones work" % here
        elif isinstance(value, str):
            yield from _template_problems(here, value)
    yield from _given_problems("%s.parameters" % place, action, set(rule.action_parameters))


def _given_problems(place: str, action: Action, given: Set[str]) -> Iterator[str]:
    """Unknown, frozen and missing parameters of a call."""
    declared = {**action.runner_parameters, **action.parameters}
    for name in sorted(given):
        if name not in declared:
            yield "%s.%s: %s has no such parameter" % (place, name, action.ref)
        elif declared[name].get("immutable"):
            yield "%s.%s: is immutable in %s" % (place, name, action.ref)
    for name, schema in declared.items():
        if schema.get("required") and "default" not in schema and name not in given:
            yield "%s: %s needs %s" % (place, action.ref, name)


def _policy_problems(pack: Pack, policy: Policy) -> Iterator[str]:
    place = policy.metadata_file
    action = pack.actions.get(policy.resource_ref)
    if action is None:
        yield "%s: resource_ref: there is no action %s" % (place, policy.resource_ref)
    if policy.policy_type not in POLICY_TYPES:
        yield "%s: policy_type: %r is not one of %s" % (
            place,
            policy.policy_type,
            ", ".join(sorted(POLICY_TYPES)),
        )
        return
    if is_template(str(policy.parameters)):
        yield "%s: parameters: StackStorm renders no templates in policies" % place
        return
    try:
        schemas.check(policy.parameters, schemas.of_properties(POLICY_TYPES[policy.policy_type]))
    except schemas.SchemaError as error:
        yield "%s: parameters: %s" % (place, error)
        return
    for name in policy.parameters.get("attributes") or []:
        if action is not None and name not in action.parameters:
            yield "%s: parameters.attributes: %s has no parameter %s" % (place, action.ref, name)


def _alias_problems(pack: Pack, alias: Alias) -> Iterator[str]:
    place = alias.metadata_file
    action = action_of(pack, alias.action_ref)
    if action is None:
        yield "%s: action_ref: there is no action %s" % (place, alias.action_ref)
    for item in alias.formats:
        if isinstance(item, dict):
            if set(item) - {"display", "representation", "match_multiple"} or not isinstance(
                item.get("representation", []), list
            ):
                yield "%s: formats: %r needs display and a list representation" % (place, item)
                return
        elif not isinstance(item, str):
            yield "%s: formats: must be text or a mapping, got %r" % (place, item)
            return
    names: Set[str] = set(alias.immutable_parameters)
    for form in aliases.format_strings(alias):
        try:
            names.update(aliases.parameters_of(form))
        except re.error as error:
            yield "%s: formats: %r is no regular expression: %s" % (place, form, error)
    if not aliases.format_strings(alias):
        yield "%s: formats: nothing to match against" % place
    for name in sorted(names):
        if action is not None and name not in {
            **RUNNER_PARAMETERS.get(action.runner_type, {}), **action.parameters
        }:
            yield "%s: %s has no parameter %s" % (place, action.ref, name)

"""The parameters of an execution: rendered, cast and checked as StackStorm does at each hop.

Promises that what StackStorm evaluates is evaluated here as well: a `{{ config_context.password
}}` inside a value, a nested value or a key IS replaced, since hiding that would hide the pack's
worst danger. Starting the execution is the business of the engine.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

import jinja2
from jinja2 import meta

from standalone import schemas
from standalone.casting import cast
from standalone.datastore import Datastore, st2kv
from standalone.packs import Action
from standalone.templates import environment, is_template, render
from standalone.wrapper import to_json

__all__ = ["ParamError", "Rendered", "render_rule_parameters", "render_task_input"]

SYSTEM_USER = "stanley"
_BARE_NAME = re.compile(r'"{{([A-z0-9_-]+)}}"')
_Schemas = Mapping[str, Mapping[str, Any]]
# A node of the dependency graph: "value", "template" or (a name nobody defined) neither.
_Node = Dict[str, Any]


class ParamError(ValueError):
    """Parameters were refused; the message is worded as StackStorm's."""


class Rendered(Dict[str, Any]):
    """The parameters that reach the action: every declared one, None where there is no value.

    `runner` holds those meant for the runner (`timeout`, `env` ...), `live` those that were
    given, rendered and cast (what an execution record shows).
    """

    def __init__(
        self, parameters: Mapping[str, Any], runner: Mapping[str, Any], live: Mapping[str, Any]
    ) -> None:
        super().__init__(parameters)
        self.runner: Dict[str, Any] = dict(runner)
        self.live: Dict[str, Any] = dict(live)


def render_rule_parameters(
    action: Action,
    rule_action_parameters: Mapping[str, Any],
    payload: Any,
    kv: Optional[Datastore],
    config: Optional[Mapping[str, Any]] = None,
    context: Optional[Mapping[str, Any]] = None,
) -> Rendered:
    """Parameters of the action that a matched rule starts; templates see the payload as `trigger`.

    `config` is the configuration of the action's pack, `context` adds to `action_context` (rule,
    trigger instance). Raises ParamError.
    """
    action_context = {"user": SYSTEM_USER, "pack": action.pack}
    action_context.update(context or {})
    return _prepared(
        action, rule_action_parameters, config, kv, action_context, {"trigger": payload}
    )


def render_task_input(
    action: Action,
    params: Mapping[str, Any],
    config: Optional[Mapping[str, Any]],
    kv: Optional[Datastore],
    parent_context: Optional[Mapping[str, Any]] = None,
    context: Optional[Mapping[str, Any]] = None,
) -> Rendered:
    """Parameters of an action that a workflow task, a person or an API call starts.

    Strings in `params` are rendered once more here, after the workflow engine has done its own
    rendering: that is StackStorm's second pass. `parent_context` appears as
    `action_context.parent`. Raises ParamError.
    """
    action_context: Dict[str, Any] = {"pack": action.pack}
    action_context["user"] = (parent_context or {}).get("user") or SYSTEM_USER
    if parent_context is not None:
        action_context["parent"] = dict(parent_context)
    action_context.update(context or {})
    return _prepared(action, params, config, kv, action_context, {})


def _prepared(
    action: Action,
    params: Mapping[str, Any],
    config: Optional[Mapping[str, Any]],
    kv: Optional[Datastore],
    action_context: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Rendered:
    known = {
        "st2kv": st2kv(kv),
        "action_context": dict(action_context),
        "config_context": dict(config or {}),
    }
    both = (action.parameters, action.runner_parameters)
    live = _live(both, params, {**known, **more})
    _check_request(action, live)
    final = _final(both, live, known)
    runner = {name: final[name] for name in action.runner_parameters if name in final}
    own = {name: final[name] for name in action.parameters if name in final and name not in runner}
    return Rendered(own, runner, live)


def _live(
    both: Tuple[_Schemas, _Schemas], params: Mapping[str, Any], known: Mapping[str, Any]
) -> Dict[str, Any]:
    graph = _Graph(known)
    for name, value in params.items():
        graph.add_parameter(name, value)
    graph.add_defaults(both)
    context = graph.resolved()
    live = {name: _cast(name, context[name], both) for name in params}
    # A default that is a template counts as given, so that its text is checked against the schema.
    for declared in both:
        for name, schema in declared.items():
            default = schema.get("default")
            if schema.get("immutable") or name in params or not is_template(default):
                continue
            if context[name] != default:
                live[name] = _cast(name, context[name], (declared,))
    return live


def _final(
    both: Tuple[_Schemas, _Schemas], live: Mapping[str, Any], known: Mapping[str, Any]
) -> Dict[str, Any]:
    graph = _Graph(known)
    for name, value in live.items():
        graph.add_value(name, value)
    graph.add_defaults(both)
    context = graph.resolved()
    return {name: _cast(name, value, both) for name, value in context.items()}


def _cast(name: str, value: Any, declared: Tuple[_Schemas, ...]) -> Any:
    schema: Mapping[str, Any] = {}
    for each in declared:
        schema = each.get(name, schema)
    try:
        return cast(value, schema)
    except (ValueError, SyntaxError, TypeError) as error:
        raise ParamError(
            'Failed to cast parameter "%s" to %s: %s' % (name, schema.get("type"), error)
        ) from error


def _check_request(action: Action, live: Mapping[str, Any]) -> None:
    """What StackStorm checks when an execution is requested: the schema first, then what is
    frozen."""
    if not action.enabled:
        raise ParamError('Unable to execute. Action "%s" is disabled.' % action.ref)
    merged = {name: dict(schema) for name, schema in action.runner_parameters.items()}
    for name, schema in action.parameters.items():
        merged[name] = {**merged.get(name, {}), **schema}
    try:
        schemas.check(dict(live), schemas.of_properties(merged))
    except schemas.SchemaError as error:
        raise ParamError("%s: %s" % (action.ref, error)) from None
    frozen = [name for name in live if merged.get(name, {}).get("immutable")]
    if frozen:
        raise ParamError("Override of immutable parameter(s) %s is unsupported." % frozen)


class _Graph:
    """Names and what they depend on, in the order in which they came up.

    A later entry of the same name adds to the earlier one (a template stays when a value joins
    it), because that is how StackStorm's graph behaves.
    """

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._nodes: Dict[str, _Node] = {}
        self._needs: Dict[str, Set[str]] = {}
        for name, value in known.items():
            self.add_value(name, value)

    def add_value(self, name: str, value: Any) -> None:
        self._nodes.setdefault(name, {})["value"] = value

    def add_parameter(self, name: str, value: Any) -> None:
        """A value, or a template with the names it uses; text that is no Jinja stays a value."""
        is_structure = isinstance(value, (list, dict))
        if not is_template(str(value) if is_structure else value):
            self.add_value(name, value)
            return
        try:
            tree = environment().parse(str(value))
        except jinja2.TemplateSyntaxError:
            self.add_value(name, value)
            return
        self._nodes.setdefault(name, {})["template"] = value
        for needed in sorted(meta.find_undeclared_variables(tree)):
            self._nodes.setdefault(needed, {})
            self._needs.setdefault(name, set()).add(needed)

    def add_defaults(self, declared: Tuple[_Schemas, ...]) -> None:
        for each in declared:
            for name, schema in each.items():
                has_value = self._nodes.get(name, {}).get("value") is not None
                if not has_value or schema.get("immutable", False):
                    self.add_parameter(name, schema.get("default"))

    def resolved(self) -> Dict[str, Any]:
        """Every name with its rendered value. Raises ParamError for a missing or circular
        dependency."""
        for name, node in self._nodes.items():
            if not node:
                raise ParamError('Dependency unsatisfied in variable "%s"' % name)
        context: Dict[str, Any] = {}
        waiting = list(self._nodes)
        while waiting:
            ready = [name for name in waiting if self._needs.get(name, set()) <= set(context)]
            if not ready:
                raise ParamError(
                    "Cyclic dependency found in the following variables: %s. Likely the variable "
                    "is referencing itself" % ", ".join(sorted(self._in_circles(waiting)))
                )
            for name in ready:
                context[name] = self._rendered(name, context)
            waiting = [name for name in waiting if name not in context]
        return context

    def _in_circles(self, waiting: List[str]) -> List[str]:
        """Of the names that cannot be resolved, those that come back to themselves."""
        circles = []
        for name in waiting:
            seen: Set[str] = set()
            edge = set(self._needs.get(name, set()))
            while edge:
                seen |= edge
                edge = {more for one in edge for more in self._needs.get(one, set())} - seen
            if name in seen:
                circles.append(name)
        return circles

    def _rendered(self, name: str, context: Mapping[str, Any]) -> Any:
        node = self._nodes[name]
        if "template" not in node:
            return node["value"]
        template = node["template"]
        try:
            if not isinstance(template, (list, dict)):
                return render(str(template), context)
            # A structure is rendered as JSON text, which is why quotes in a value break it.
            text = _BARE_NAME.sub(r"{{\1 | to_complex}}", to_json(template))
            return json.loads(render(text, context))
        except Exception as error:
            raise ParamError('Failed to render parameter "%s": %s' % (name, error)) from error

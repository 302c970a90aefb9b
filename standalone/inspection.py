"""What StackStorm looks at in a workflow before it starts any task: the spec itself, its actions
and their inputs.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from standalone import orquesta_compat
from standalone.packs import Action

_CATEGORIES = {
    "contents": "content",
    "context": "context",
    "expressions": "expression",
    "semantics": "semantic",
    "syntax": "syntax",
}
_TASKS = "properties.tasks.patternProperties.^\\w+$"


def errors_of(spec: Any, find_action: Callable[[str], Optional[Action]]) -> List[Dict[str, Any]]:
    """Entries {type, message, spec_path, schema_path ...}; a workflow with any is refused and fails
    before its tasks.
    """
    errors: List[Dict[str, Any]] = []
    for category, entries in orquesta_compat.inspect(spec).items():
        for entry in entries:
            found = dict(entry) if isinstance(entry, dict) else {"message": str(entry)}
            if category in ("context", "expressions") and "type" in found:
                found.setdefault("language", found["type"])
            found["type"] = _CATEGORIES.get(category, category)
            errors.append(found)
    for name, task in spec.tasks.items():
        errors.extend(_task_errors(name, task, find_action))
    return sorted(errors, key=lambda e: (e["type"], e.get("schema_path") or ""))


def _task_errors(
    name: str, task: Any, find_action: Callable[[str], Optional[Action]]
) -> List[Dict[str, Any]]:
    from orquesta.expressions import base as expressions

    ref = getattr(task, "action", None)
    if not ref or expressions.has_expressions(ref):
        return []
    path = "tasks.%s.action" % name
    if ref.count(".") != 1:
        text = 'The action reference "%s" is not formatted correctly.' % ref
        return [_entry(text, path, _TASKS + ".properties.action")]
    action = find_action(ref)
    if action is None:
        text = 'The action "%s" is not registered in the database.' % ref
        return [_entry(text, path, _TASKS + ".properties.action")]
    return _input_errors(name, action, getattr(task, "input", None) or {})


def _input_errors(name: str, action: Action, given: Any) -> List[Dict[str, Any]]:
    if not isinstance(given, dict):
        return []
    declared = dict(action.runner_parameters)
    for key, schema in action.parameters.items():
        declared[key] = dict(declared.get(key, {}), **schema)
    path, schema_path = "tasks.%s.input" % name, _TASKS + ".properties.input"
    errors = [
        _entry('Action "%s" is missing required input "%s".' % (action.ref, key), path, schema_path)
        for key, schema in declared.items()
        if schema.get("required") is True and "default" not in schema and key not in given
    ]
    for key in given:
        if key not in declared:
            text = 'Action "%s" has unexpected input "%s".' % (action.ref, key)
            place = schema_path + ".patternProperties.^\\w+$"
            errors.append(_entry(text, "%s.%s" % (path, key), place))
    return errors


def _entry(message: str, spec_path: str, schema_path: str) -> Dict[str, Any]:
    return {
        "type": "content",
        "message": message,
        "spec_path": spec_path,
        "schema_path": schema_path,
    }

"""Problems between python actions and the functions they name.

An action's immutable `function` must exist in the pack's library and take `ctx` and then exactly
the declared parameters. The functions are looked at in a process of its own, so that the library
of the pack at hand is the one that is imported.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

from standalone.packs import Action, Pack
from standalone.templates import is_template

__all__ = ["problems"]

_LOOK = """
import importlib, inspect, json, sys
found = {}
for name in json.load(sys.stdin):
    module, _, function = name.rpartition(".")
    try:
        signature = inspect.signature(getattr(importlib.import_module(module), function))
    except Exception as error:
        found[name] = {"error": "%s: %s" % (type(error).__name__, error)}
        continue
    found[name] = {"parameters": [
        {"name": one.name, "kind": one.kind.name, "has_default": one.default is not one.empty,
         "default": repr(one.default)} for one in signature.parameters.values()]}
json.dump(found, sys.stdout)
"""
_TIMEOUT_S = 120


def problems(pack: Pack) -> Iterator[str]:
    """One line per problem."""
    python = [action for action in pack.actions.values() if action.runner_type == "python-script"]
    for path in sorted({action.entry_point for action in python if action.entry_point}):
        yield from _entry_problems(path)
    named: Dict[str, Action] = {}
    for action in python:
        schema = action.parameters.get("function")
        function = (schema or {}).get("default")
        if (
            not schema or
            schema.get("type") != "string" or
            schema.get("immutable") is not True or
            not isinstance(function, str) or
            "." not in function
        ):
            yield (
                "%s: parameters.function must be an immutable string whose default names a "
                "function (package.module.function), got %r" % (action.metadata_file, schema)
            )
        else:
            named[action.ref] = action
    if named:
        yield from _function_problems(pack.root, list(named.values()))


def _entry_problems(path: str) -> Iterator[str]:
    """StackStorm takes the first class by name that has `run`, so there may be only one class."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except OSError:
        # Said where the metadata is read.
        return
    except (SyntaxError, ValueError) as error:
        yield "%s cannot be read as Python: %s" % (path, error)
        return
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    if len(classes) != 1:
        yield "%s must define exactly one class, has %s" % (
            path,
            ", ".join(node.name for node in classes) or "none",
        )
    elif "run" not in [getattr(node, "name", "") for node in classes[0].body]:
        yield "%s: class %s has no run()" % (path, classes[0].name)


def _function_problems(root: Path, actions: List[Action]) -> Iterator[str]:
    functions = sorted({str(action.parameters["function"]["default"]) for action in actions})
    signatures = _signatures(root, functions)
    for action in actions:
        function = str(action.parameters["function"]["default"])
        found = signatures.get(function) or {"error": "the library could not be looked at"}
        place = "%s: function %s" % (action.metadata_file, function)
        if "error" in found:
            yield "%s cannot be imported: %s" % (place, found["error"])
        else:
            yield from _signature_problems(place, action, found["parameters"])


def _signatures(root: Path, functions: List[str]) -> Dict[str, Any]:
    environment = dict(os.environ, PYTHONPATH=str(root / "actions" / "lib"))
    done = subprocess.run(
        [sys.executable, "-c", _LOOK],
        input=json.dumps(functions),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        timeout=_TIMEOUT_S,
        cwd=str(root),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["exit code %d" % done.returncode])[-1]
        return {function: {"error": last} for function in functions}
    return dict(json.loads(done.stdout))


def _signature_problems(
    place: str, action: Action, parameters: List[Mapping[str, Any]]
) -> Iterator[str]:
    if not parameters or parameters[0]["name"] != "ctx":
        yield "%s must take ctx first" % place
        return
    open_ended = [one["name"] for one in parameters if one["kind"].startswith("VAR_")]
    if open_ended:
        yield "%s must name its parameters, takes *%s" % (place, open_ended[0])
    takes = {one["name"]: one for one in parameters[1:] if one["name"] not in open_ended}
    declared = {
        name: schema
        for name, schema in action.parameters.items()
        if name != "function" and name not in action.runner_parameters
    }
    for name in declared:
        if name not in takes:
            yield "%s does not take the declared parameter %s" % (place, name)
    for name, one in takes.items():
        if name not in declared:
            yield "%s takes %s, which the action does not declare" % (place, name)
        elif _is_rendered(declared[name]) and one["default"] == repr(""):
            continue
        elif one["has_default"] and one["default"] != repr(declared[name].get("default")):
            # StackStorm passes every declared parameter, None where the YAML has no default.
            yield "%s: %s defaults to %s in Python, but StackStorm passes %r" % (
                place,
                name,
                one["default"],
                declared[name].get("default"),
            )


def _is_rendered(schema: Mapping[str, Any]) -> bool:
    """Whether a frozen default is a template: what is passed is what StackStorm makes of it."""
    return schema.get("immutable") is True and is_template(schema.get("default"))

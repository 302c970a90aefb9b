"""The few actions of StackStorm's `core` pack that packs like ours use: noop, ask, inject_trigger.

Only their metadata and what they mean; core.local and the like are not here, since the pack needs
no shell.
"""

from __future__ import annotations

from typing import Any, Dict

from standalone.packs import Action

NOOP_RESULT: Dict[str, Any] = {"failed": False, "succeeded": True, "return_code": 0}


def _core(name: str, runner_type: str, parameters: Dict[str, Dict[str, Any]], text: str) -> Action:
    return Action(
        ref="core." + name,
        name=name,
        pack="core",
        runner_type=runner_type,
        entry_point="",
        parameters=parameters,
        description=text,
    )


ACTIONS: Dict[str, Action] = {
    action.ref: action
    for action in (
        _core("noop", "noop", {}, "Does nothing."),
        _core("ask", "inquirer", {}, "Asks a person and waits for the answer."),
        _core(
            "inject_trigger",
            "python-script",
            {
                "trigger": {"type": "string", "required": False},
                "trigger_name": {"type": "string", "required": False},
                "payload": {"type": "object"},
                "trace_tag": {"type": "string", "required": False},
            },
            "Injects a trigger.",
        ),
    )
}


def python_result(result: Any) -> Dict[str, Any]:
    """What a python-script action that wrote nothing stores for `result`."""
    return {"result": result, "stdout": "", "stderr": "", "exit_code": 0}


def inquiry_result(parameters: Dict[str, Any]) -> Dict[str, Any]:
    """The result of a pending core.ask; the answer joins it as `response`."""
    return {key: parameters.get(key) for key in ("schema", "roles", "users", "route", "ttl")}

"""A line of chat from its typing to its answer, by the pack's own aliases and actions: what
StackStorm does between is the standalone engine's, the action runs in this process.
"""

from __future__ import annotations

import json
from pathlib import Path

from selfheal import door
from standalone import aliases
from standalone.packs import load_pack
from standalone.rendering import render_task_input
from standalone.templates import render

PACK = load_pack(Path(__file__).resolve().parents[2])
RUNNER = ("env", "content_version", "timeout", "function")


def takers(text):
    """[(alias, parameters)] of every format that takes the line."""
    found = []
    for alias in PACK.aliases.values():
        for form in aliases.format_strings(alias):
            try:
                found.append((alias, aliases.extract(form, text)))
            except aliases.NoMatch:
                continue
    return found


def result_of(ctx, text, who="ada"):
    """(alias, execution) of a line that starts a Python action."""
    (taken,) = takers(text)
    alias, parameters = taken
    context = {
        "user": "bot",
        "api_user": who,
        "action_alias_ref": {"name": alias.name, "ref": alias.ref},
    }
    action = PACK.actions[alias.action_ref]
    frozen = aliases.freeze(alias, parameters)
    given = render_task_input(action, frozen, {}, None, None, context)
    function = given["function"]
    own = {name: value for name, value in given.items() if name not in RUNNER}
    close, ctx.close = ctx.close, lambda: None  # the door closes what it is given
    try:
        is_done, result = door.call(function, own, context=ctx)
    finally:
        ctx.close = close
    execution = {
        "status": "succeeded" if is_done else "failed",
        "result": {"result": json.loads(json.dumps(result)), "exit_code": 0, "stderr": ""},
        "parameters": dict(parameters),
        "id": "1",
    }
    return alias, execution


def answer(alias, execution):
    """What chat shows for the execution."""
    return render(alias.result["format"], {"execution": execution})


def said(ctx, text, who="ada"):
    """The lines that chat answers to `text`, typed by `who`."""
    shown = answer(*result_of(ctx, text, who))
    return [line for line in shown.splitlines() if line.strip()]

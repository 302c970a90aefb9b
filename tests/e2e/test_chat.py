"""Chat through the real pack: an incident is looked at, explained and mended by lines of chat, each
started as StackStorm starts them.
"""

from __future__ import annotations

import pytest

from standalone import aliases
from standalone.templates import render
from tests.e2e.test_branches import asked
from tests.e2e.world import PATIENCE_S, World
from tests.remedy import scenes


@pytest.fixture
def world(tmp_path):
    table = scenes.write_command_table(tmp_path)
    with World(tmp_path, {"safety": {"command_table": table}}) as made:
        yield made


def said(world, text, who="ann"):
    """What chat answers to a line."""
    found = [
        (alias, form)
        for alias in world.engine.pack.aliases.values()
        for form in aliases.format_strings(alias)
        if _matches(form, text)
    ]
    (taken,) = found
    alias, form = taken
    context = {
        "user": "st2bot",
        "api_user": who,
        "source_channel": "ops",
        "action_alias_ref": {"name": alias.name, "ref": alias.ref},
    }
    parameters = aliases.freeze(alias, aliases.extract(form, text), None, context)
    execution = world.engine.run(
        alias.action_ref, parameters, timeout=PATIENCE_S, context=context
    )
    shown = render(alias.result["format"], {"execution": execution.as_json()})
    return [line for line in shown.splitlines() if line.strip()]


def _matches(form, text):
    try:
        aliases.extract(form, text)
    except aliases.NoMatch:
        return False
    return True


def test_a_question_is_seen_explained_and_answered_in_chat_alone(world):
    incident, _inquiry = asked(world)
    lines = said(world, "heal status")
    assert any(line.startswith(incident.id) for line in lines)
    assert lines[-1] == "Next: heal approvals"
    yes = said(world, "heal approvals")[-1].split(": ")[-1].split(" or ")[0]
    why = said(world, "heal why " + incident.id)
    assert why[1].startswith("A person is asked before")
    assert why[-1] == "Next: heal approvals " + incident.id
    answer = said(world, yes + " looks right")[0]
    assert answer.endswith(" is approved by ann: the response goes on")
    world.settle()
    assert world.incident(incident.id).resolution == "remediated"
    report = "\n".join(said(world, "heal report " + incident.id))
    assert incident.id in report and "looks right" in report

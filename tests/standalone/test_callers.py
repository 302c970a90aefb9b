"""Who started an action, as the action is told: known to the platform, never said by the caller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from standalone.datastore import Datastore
from standalone.packs import load_pack
from standalone.rendering import ParamError, render_rule_parameters, render_task_input

PACK = load_pack(Path(__file__).resolve().parents[2])
ANSWERS = ("approve", "reject")
TOLD = [action.name for action in PACK.actions.values() if "who" in action.parameters]
RBAC = {"user": "mallory", "roles": []}


def told(name, context, parent=None, **given):
    """The `who` that the action is given."""
    action = PACK.actions["selfheal." + name]
    needed = {key: one for key, one in action.parameters.items() if one.get("required")}
    given = dict({key: _value(one) for key, one in needed.items()}, **given)
    return render_task_input(action, given, {}, None, parent, context)["who"]


def _value(parameter):
    """Something that the parameter takes."""
    return parameter.get("enum", [1 if parameter["type"] == "number" else "inc-1"])[0]


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize(
    ("context", "who"),
    [
        ({"user": "alice"}, "alice"),
        ({"user": "st2bot", "api_user": "alice", "source_channel": "ops"}, "alice"),
        ({"user": "st2bot", "api_user": ""}, ""),  # never the bot's own name
        ({"user": "st2bot", "api_user": None}, ""),
        ({"user": "alice", "api_user": "alice", "rbac": RBAC}, "mallory"),
        ({"user": ""}, ""),
        ({"user": "{{ 6*7 }}"}, "{{ 6*7 }}"),
        ({"user": "Зоя"}, "Зоя"),
    ],
)
def test_the_platform_says_who_it_is(name, context, who):
    assert told(name, context) == who


@pytest.mark.parametrize("name", ANSWERS)
def test_nobody_says_it_for_themselves(name):
    for who in ("alice", "", None, "{{ action_context.user }}"):
        with pytest.raises(ParamError, match="who"):
            told(name, {"user": "mallory"}, who=who)
    with pytest.raises(ParamError):
        told(name, {"user": "mallory"}, action_context={"user": "alice"})


@pytest.mark.parametrize("name", ANSWERS)
def test_a_rule_is_the_system_and_a_task_whoever_started_its_workflow(name, tmp_path):
    action = PACK.actions["selfheal." + name]
    store = Datastore(tmp_path / "datastore.json")
    rule = render_rule_parameters(
        action, {"question": "{{ trigger.id }}"}, {"id": "inc-1", "user": "alice"}, store, {}
    )
    assert rule["who"] == "stanley"
    parent = {"user": "carol", "execution_id": "1"}
    assert told(name, {}, parent) == "carol"


@pytest.mark.parametrize("name", ANSWERS)
def test_a_template_in_a_comment_changes_nobody(name):
    comment = json.dumps({"who": "{{ action_context.user }}"})
    assert told(name, {"user": "mallory"}, comment=comment) == "mallory"

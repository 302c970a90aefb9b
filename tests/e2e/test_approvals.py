"""Approvals through the real pack: chat and API say who answers, and only the right yes acts."""

from __future__ import annotations

import pytest

from standalone import aliases
from standalone.api import post
from tests.e2e.test_branches import asked
from tests.e2e.world import PATIENCE_S, World
from tests.remedy import scenes


@pytest.fixture
def world(tmp_path):
    table = scenes.write_command_table(tmp_path)
    with World(tmp_path, {"safety": {"approvers": ["alice"], "command_table": table}}) as made:
        yield made


def typed(world, text, who):
    """What a line of chat comes to when `who` types it."""
    (alias, parameters), *more = [
        (one, found[1])
        for one in world.engine.pack.aliases.values()
        for found in [aliases.match(one, text)]
        if found
    ]
    assert not more
    context = {
        "user": "st2bot",
        "api_user": who,
        "source_channel": "ops",
        "action_alias_ref": {"name": alias.name, "ref": alias.ref},
    }
    parameters = aliases.freeze(alias, parameters)
    return world.engine.run(alias.action_ref, parameters, timeout=PATIENCE_S, context=context)


def question(world):
    return world.rows("SELECT * FROM approvals")[-1]


def test_in_chat_the_right_persons_yes_is_acted_on_once(world):
    incident, _inquiry = asked(world)
    (message,) = world.told("approval")
    approval_id = message["approval"]["approval_id"]
    (listed,) = world.act("approval_list")["approvals"]
    assert listed["approval_id"] == approval_id and listed["shown"]["what"]["steps"]

    refused = typed(world, "heal approve %s" % incident.id, "mallory")
    assert refused.status == "failed"
    assert refused.result["result"]["error_type"] == "Refused"
    assert "safety.approvers names alice" in refused.result["result"]["error"]
    assert question(world)["status"] == "pending" and not (world.directory / "well").exists()

    refused = typed(world, "heal approve %s looks right" % approval_id, "Alice")
    assert "is not the code of" in refused.result["result"]["error"]
    assert question(world)["status"] == "pending"

    yes = message["approval"]["answer"]["chat"]["yes"]
    assert yes == "heal approve %s %s" % (approval_id, listed["code"])
    done = typed(world, "%s looks right" % yes, "Alice")
    assert done.status == "succeeded", done.result
    world.settle()
    incident = world.incident(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "remediated")
    row = question(world)
    assert (row["decided_by"], row["comment"]) == ("Alice", "looks right")
    kinds = world.kinds(incident.id)
    order = ("approval_requested", "approval_refused", "approval_approved", "approval_settled")
    assert [kind for kind in kinds if kind in order] == list(order)
    assert len(world.told("approval")) == 1


def test_a_no_in_chat_hands_the_incident_to_a_person(world):
    incident, _inquiry = asked(world)
    assert typed(world, "heal reject %s" % incident.id, "mallory").status == "succeeded"
    world.settle()
    assert world.incident(incident.id).status == "escalated"
    assert world.runs("remediate") == []


def test_a_yes_without_a_name_is_no(world):
    incident, inquiry = asked(world)
    world.engine.answer_inquiry(inquiry.id, {"approved": True})
    world.settle()
    assert world.incident(incident.id).status == "escalated"
    assert world.runs("remediate") == []
    (message,) = world.told("escalation")
    assert message["reason"] == "rejected" and "cannot see who" in message["text"]


def test_over_the_api_nobody_names_themselves(world):
    incident, _inquiry = asked(world)
    headers = {"X-Auth-Token": world.engine.token}
    body = {
        "action": "selfheal.approve",
        "parameters": {"question": incident.id, "who": "alice"},
    }
    status, answer = post(world.engine.api_url + "/executions", body, headers)
    assert status == 400 and b"immutable" in answer
    del body["parameters"]["who"]
    status, _answer = post(world.engine.api_url + "/executions", body, headers)
    assert status == 201
    world.settle()
    (done,) = world.runs("approve")
    assert done.status == "failed" and "stanley may not approve" in str(done.result)
    assert question(world)["status"] == "pending"

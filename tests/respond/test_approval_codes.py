"""The code below a plan: a yes in chat says which plan it is for."""

from __future__ import annotations

import pytest

from selfheal.exceptions import Refused
from selfheal.incidents import registry
from selfheal.respond.approval import codes
from selfheal.respond.approval.answering import approve, reject
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.approval.listing import approval_list
from tests.remedy import scenes
from tests.respond.approval_scene import asked, context, row_of


@pytest.fixture
def ctx(tmp_path):
    made = context(tmp_path, "sqlite", approvers=["alice"])
    yield made
    made.close()


@pytest.fixture
def lax(tmp_path):
    """A site that wants no codes."""
    made = scenes.context_for(
        tmp_path, clock=scenes.StillClock(), values={"safety": {"chat_codes": False}}
    )
    scenes.write_runbook(tmp_path, risk="destructive")
    yield made
    made.close()


def code_of(ctx, approval_id):
    """The code as people see it below the plan."""
    (one,) = [
        row for row in approval_list(ctx)["approvals"] if row["approval_id"] == approval_id
    ]
    assert one["code"] == one["shown"]["code"]
    assert one["shown"]["answer"]["chat"]["yes"] == "heal approve %s %s" % (
        approval_id, one["code"],
    )
    return one["code"]


def in_chat(ctx, question, code="", comment=""):
    return approve(ctx, question, comment, "alice", code, via="chat")


@pytest.mark.parametrize("change", [str, str.upper, lambda code: " %s " % code.title()])
def test_the_code_below_the_plan_is_taken_however_it_is_typed(ctx, change):
    incident_id, approval_id = asked(ctx)
    code = code_of(ctx, approval_id)
    assert len(code) == 6 and set(code) <= set(codes.LETTERS)
    assert in_chat(ctx, incident_id, change(code), "go on")["status"] == "approved"
    assert row_of(ctx, approval_id)["comment"] == "go on"


@pytest.mark.parametrize("wrong", ["", "bcdfgh", "looks", "apr-1", "*", "b" * 100])
def test_without_its_code_a_yes_in_chat_does_not_count_and_says_how(ctx, wrong):
    _incident, approval_id = asked(ctx)
    with pytest.raises(Refused, match="heal approvals") as caught:
        in_chat(ctx, approval_id, wrong, "right")
    right = code_of(ctx, approval_id)
    assert right not in str(caught.value)  # whoever answers has to look at the plan
    assert row_of(ctx, approval_id)["status"] == "pending"


def test_the_code_of_a_plan_that_has_changed_is_refused(ctx, tmp_path):
    incident_id, first = asked(ctx)
    old = code_of(ctx, first)
    plan = dict(registry.get(ctx.store, incident_id).plan, scope="elsewhere")
    registry.update(ctx.store, incident_id, plan=plan)
    second = request_approval(ctx, incident_id, "run-1")["approval_id"]
    assert second != first and code_of(ctx, second) != old
    with pytest.raises(Refused, match="is not the code of"):
        in_chat(ctx, incident_id, old)


def test_each_question_has_a_code_of_its_own(ctx):
    found = {code_of(ctx, asked(ctx, run_id="run-%d" % number)[1]) for number in range(5)}
    assert len(found) == 5


def test_from_the_command_line_no_code_is_needed_but_a_wrong_one_is_refused(ctx):
    _incident, approval_id = asked(ctx)
    with pytest.raises(Refused, match="is not the code"):
        approve(ctx, approval_id, "", "alice", "bcdfgh")
    assert approve(ctx, approval_id, "", "alice")["status"] == "approved"


def test_a_no_needs_no_code(ctx):
    incident_id, _approval = asked(ctx)
    assert reject(ctx, incident_id, "", "anybody")["status"] == "rejected"


def test_where_codes_are_off_the_words_behind_the_question_are_the_comment(lax):
    incident_id, approval_id = asked(lax)
    (one,) = approval_list(lax)["approvals"]
    assert one["code"] == "" and one["shown"]["answer"]["chat"]["yes"] == (
        "heal approve " + approval_id
    )
    assert in_chat(lax, incident_id, "looks", "right to me")["status"] == "approved"
    assert row_of(lax, approval_id)["comment"] == "looks right to me"


@pytest.mark.parametrize("value", [None, "false", 0, "off"])
def test_a_setting_that_cannot_be_read_asks_for_codes(tmp_path, value):
    made = scenes.context_for(tmp_path, values={"safety": {"chat_codes": value}})
    assert codes.are_asked(made.config)
    made.close()


def test_a_question_that_is_over_says_so_before_it_asks_for_a_code(ctx):
    _incident, approval_id = asked(ctx)
    ctx.clock.advance(86400)
    with pytest.raises(Refused, match="was over at"):
        in_chat(ctx, approval_id)

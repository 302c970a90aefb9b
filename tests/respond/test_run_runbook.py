"""A runbook that a person chooses: the incident's plan, and then the road of every remedy."""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import Conflict, NotFound, Refused
from selfheal.incidents import registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.answering import approve
from selfheal.respond.approval.listing import approval_list
from selfheal.respond.remediate import undo_remediation
from selfheal.respond.runbooks import run_runbook, runbook_list
from tests.remedy import scenes

TOUCH = {"name": "touch", "command": {"argv": ["touch", "%s"]}}


@pytest.fixture
def ctx(tmp_path):
    made = scenes.context_for(tmp_path, values=scenes.UNBOUNDED)
    yield made
    made.close()


@pytest.fixture
def well(tmp_path):
    """The file that the runbook make_well makes."""
    path = tmp_path / "well"
    step = {
        "name": "touch",
        "command": {"argv": ["touch", str(path)]},
        "undo": {"command": {"argv": ["rm", "-f", str(path)]}},
    }
    scenes.write_runbook(tmp_path, name="make_well", steps=[step])
    return path


def test_the_chosen_runbook_is_carried_out_recorded_and_can_be_taken_back(ctx, well):
    incident_id = scenes.add_incident(ctx.store, status="escalated")
    answer = run_runbook(ctx, "make_well", incident_id, who="ann")
    assert answer["outcome"] == "done" and well.exists(), answer
    assert answer["undo_with"] == "heal undo " + incident_id
    assert answer["summary"] == "done: runbook make_well on shop (%s)" % incident_id
    (entry,) = scenes.timeline_of(ctx.store, incident_id, "runbook_chosen")
    assert entry["message"] == "ann chose runbook make_well by hand"
    assert registry.get(ctx.store, incident_id).status == "escalated"  # the alert has the last word
    (execution,) = scenes.rows_of(ctx.store, "execution_history")
    assert (execution["remedy"], execution["status"]) == ("runbook:make_well", "done")
    assert undo_remediation(ctx, incident_id)["outcome"] == "undone" and not well.exists()


def test_a_dry_run_shows_the_steps_and_touches_nothing(ctx, well):
    incident_id = scenes.add_incident(ctx.store)
    before = registry.get(ctx.store, incident_id)
    answer = run_runbook(ctx, "make_well", incident_id, dry_run=True, who="ann")
    assert answer["outcome"] == "planned" and not well.exists()
    assert "would run touch" in answer["summary"]
    assert registry.get(ctx.store, incident_id) == before
    assert [row["status"] for row in scenes.rows_of(ctx.store, "execution_history")] == ["planned"]


def test_another_plan_than_the_chosen_one_is_never_carried_out(ctx, tmp_path, well):
    """The plan that was there before is replaced, and what was decided for it does not count."""
    other = tmp_path / "other"
    scenes.write_runbook(
        tmp_path, name="a_other", steps=[{"name": "t", "command": {"argv": ["touch", str(other)]}}],
    )
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    assert registry.get(ctx.store, incident_id).plan["runbook"] == "a_other"
    assert run_runbook(ctx, "make_well", incident_id)["outcome"] == "done"
    assert well.exists() and not other.exists()
    assert registry.get(ctx.store, incident_id).plan["runbook"] == "make_well"


def test_what_fails_is_taken_back_at_once(ctx, tmp_path, well):
    steps = [
        {
            "name": "touch",
            "command": {"argv": ["touch", str(well)]},
            "undo": {"command": {"argv": ["rm", "-f", str(well)]}},
        },
        {"name": "break", "command": {"argv": ["false"]}},
    ]
    scenes.write_runbook(tmp_path, name="breaks", steps=steps)
    incident_id = scenes.add_incident(ctx.store)
    answer = run_runbook(ctx, "breaks", incident_id)
    assert (answer["outcome"], answer["undone"]) == ("failed", "undone"), answer
    assert "was undone" in answer["summary"] and not well.exists()


def test_what_cannot_be_taken_back_is_told_to_on_call(ctx, tmp_path):
    steps = [
        {
            "name": "touch",
            "command": {"argv": ["touch", str(tmp_path / "x")]},
            "undo": {"command": {"argv": ["false"]}},
        },
        {"name": "break", "command": {"argv": ["false"]}},
    ]
    scenes.write_runbook(tmp_path, name="breaks", steps=steps)
    incident_id = scenes.add_incident(ctx.store)
    answer = run_runbook(ctx, "breaks", incident_id)
    assert answer["undone"] == "partly" and "on-call was told" in answer["summary"]
    assert registry.get(ctx.store, incident_id).status == "escalated"


def test_a_mistyped_name_is_answered_with_the_nearest(ctx, well):
    incident_id = scenes.add_incident(ctx.store)
    with pytest.raises(NotFound, match="did you mean make_well"):
        run_runbook(ctx, "make_wel", incident_id)
    with pytest.raises(NotFound, match="heal runbooks"):
        run_runbook(ctx, "zzz", incident_id)


def test_one_for_other_alerts_needs_a_second_word(ctx, tmp_path, well):
    incident_id = scenes.add_incident(ctx.store, alert_type="DiskFull")
    with pytest.raises(Refused, match="it is for other alerts.*anyway=true"):
        run_runbook(ctx, "make_well", incident_id)
    assert not well.exists()
    answer = run_runbook(ctx, "make_well", incident_id, anyway=True, who="ann")
    assert answer["outcome"] == "done" and well.exists()
    (entry,) = scenes.timeline_of(ctx.store, incident_id, "runbook_chosen")
    assert entry["message"].endswith("by hand, although it is for other alerts")


@pytest.mark.parametrize("anyway", [False, True])
def test_one_whose_values_lack_is_refused_anyway(ctx, tmp_path, anyway):
    scenes.write_runbook(tmp_path, name="needs", values={"HOST": "labels.instance"})
    incident_id = scenes.add_incident(ctx.store)
    with pytest.raises(Refused, match="needs labels.instance"):
        run_runbook(ctx, "needs", incident_id, anyway=anyway)


def test_one_for_kubernetes_needs_a_cluster(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path, name="again", steps=[{"name": "r", "kubernetes": {"do": "restart_workload"}}]
    )
    incident_id = scenes.add_incident(ctx.store)
    with pytest.raises(Refused, match="kubernetes.url names no API"):
        run_runbook(ctx, "again", incident_id)


def test_a_closed_incident_gets_no_remedy(ctx, well):
    incident_id = scenes.add_incident(ctx.store, status="resolved", resolved_at=ctx.store.now())
    with pytest.raises(Refused, match="is closed"):
        run_runbook(ctx, "make_well", incident_id)
    assert not well.exists()


def test_when_the_alert_went_away_nothing_is_done(ctx, well):
    incident_id = scenes.add_incident(ctx.store)
    scenes.clear(ctx.store, incident_id)
    answer = run_runbook(ctx, "make_well", incident_id)
    assert answer["outcome"] == "cleared" and not well.exists()
    assert "nothing was done: the alert went away" in answer["summary"]


def test_while_a_response_is_at_work_a_hand_waits(ctx, well):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    with pytest.raises(Conflict, match="held by a running response"):
        run_runbook(ctx, "make_well", incident_id)
    assert not well.exists()


def test_a_pause_holds_for_a_hand_as_well(ctx, well):
    from selfheal.guard import pause as pauses

    incident_id = scenes.add_incident(ctx.store)
    pauses.begin(ctx.store, pauses.scope_of("global"), "bob", "", None, False)
    answer = run_runbook(ctx, "make_well", incident_id)
    assert answer["outcome"] == "refused" and not well.exists()
    assert "paused by bob" in answer["summary"]


def test_where_approvers_are_named_one_of_them_says_yes_first(tmp_path):
    ctx = scenes.context_for(tmp_path, values={"safety": {"approvers": ["alice"]}})
    path = tmp_path / "done"
    step = {"name": "touch", "command": {"argv": ["touch", str(path)]}}
    scenes.write_runbook(tmp_path, name="hard", risk="destructive", steps=[step])
    incident_id = scenes.add_incident(ctx.store)
    first = run_runbook(ctx, "hard", incident_id, who="bob")
    assert first["outcome"] == "awaiting_approval" and not path.exists()
    assert "say yes to %s first (heal approvals" % first["approval_id"] in first["summary"]
    again = run_runbook(ctx, "hard", incident_id, who="bob")
    assert again["approval_id"] == first["approval_id"]  # one question, however often it is asked
    (question,) = approval_list(ctx)["approvals"]
    code = question["code"]
    assert code not in first["summary"]  # it stands below the plan and nowhere else
    approve(ctx, incident_id, "", "alice", code, via="chat")
    done = run_runbook(ctx, "hard", incident_id, who="bob")
    assert done["outcome"] == "done" and path.exists(), done
    path.unlink()
    once_more = run_runbook(ctx, "hard", incident_id, who="bob")
    assert once_more["outcome"] == "awaiting_approval" and not path.exists()
    ctx.close()


def test_two_hands_at_once_never_carry_out_anothers_choice(ctx, tmp_path):
    """Each of two that choose at once carries out its own runbook, or is turned away."""
    made = {name: tmp_path / name for name in ("one", "two")}
    for name, path in made.items():
        step = {"name": "t", "command": {"argv": ["touch", str(path)]}}
        scenes.write_runbook(tmp_path, name=name, steps=[step])
    incident_id = scenes.add_incident(ctx.store)
    ended = {}

    def choose(name):
        own = scenes.context_for(tmp_path, values=scenes.UNBOUNDED)
        try:
            ended[name] = run_runbook(own, name, incident_id)["outcome"]
        except Conflict:
            ended[name] = "conflict"
        finally:
            own.close()

    hands = [threading.Thread(target=choose, args=(name,)) for name in made]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(180)
    assert set(ended) == set(made) and "done" in ended.values()
    for name, path in made.items():
        assert path.exists() == (ended[name] == "done"), ended


def test_the_list_tells_which_fit_an_incident_and_why_others_do_not(ctx, tmp_path, well):
    (tmp_path / "runbooks" / "broken.yaml").write_text("name: [")
    incident_id = scenes.add_incident(ctx.store)
    listed = runbook_list(ctx, incident_id)
    assert listed["runbooks"][0]["name"] == "make_well" and listed["runbooks"][0]["fits"]
    others = [one for one in listed["runbooks"] if one["name"] == "start_failed_unit"]
    assert others[0]["fits"] is False and others[0]["objection"]
    assert "broken.yaml" in listed["broken"][0]["path"]
    every = runbook_list(ctx)
    assert every["count"] == listed["count"] == len(every["runbooks"])
    assert {one["fits"] for one in every["runbooks"]} == {None}

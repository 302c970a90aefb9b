"""Incidents of one target that come together cost one act: the others wait and inherit how it
ended, in processes of their own as the platform runs them.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from selfheal.guard import locks
from selfheal.incidents import registry, timeline
from selfheal.remedy import journal
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.respond.verify import verify_resolution
from tests.remedy import scenes
from tests.respond.test_remediate_killed import ACTION, LIBRARY

PODS = 5


@pytest.fixture
def ctx(tmp_path, url):
    context = scenes.context_for(tmp_path, url=url)
    yield context
    context.close()


def prepared(ctx, number, **fields):
    incident_id = scenes.add_incident(ctx.store, title="pod %d crashes" % number, **fields)
    run_id = "run-%d" % number
    analyze_incident(ctx, incident_id, run_id)
    assert determine_response_strategy(ctx, incident_id, run_id)["strategy"] == "automated"
    return incident_id, run_id


def begin(ctx, tmp_path, incident_id, run_id):
    config = dict(scenes.config_for(tmp_path), database=dict(ctx.config.values["database"]))
    return subprocess.Popen(
        [sys.executable, "-c", ACTION, str(LIBRARY), json.dumps(config), incident_id, run_id],
        stdout=subprocess.PIPE,
        text=True,
    )


def outcomes(ctx, tmp_path, pods):
    children = [begin(ctx, tmp_path, *pod) for pod in pods]
    answers = [json.loads(one.communicate(timeout=180)[0].splitlines()[-1]) for one in children]
    assert all(succeeded for succeeded, _ in answers), answers
    return [answer for _, answer in answers]


def inherited_of(ctx):
    rows = scenes.rows_of(ctx.store, "execution_history")
    return [json.loads(row["outcome"]).get("inherited_from") for row in rows]


def test_five_pods_that_crash_together_cost_one_act_and_all_are_proven_by_themselves(
    ctx, tmp_path
):
    act = scenes.shell("echo acted >> %s/acts; sleep 1" % tmp_path)
    scenes.write_runbook(tmp_path, steps=[{"name": "act", "command": act}])
    pods = [prepared(ctx, number) for number in range(PODS)]
    answers = outcomes(ctx, tmp_path, pods)
    assert [answer["outcome"] for answer in answers] == ["done"] * PODS
    assert (tmp_path / "acts").read_text() == "acted\n"
    inherited = inherited_of(ctx)
    assert inherited.count(None) == 1 and len(set(inherited)) == 2
    # The budget of the target was charged once.
    sql = "SELECT MAX(many) FROM (SELECT COUNT(*) AS many FROM budgets GROUP BY name) AS counted"
    assert ctx.store.value(sql) == 1
    for incident_id, run_id in pods:
        scenes.clear(ctx.store, incident_id)
        assert verify_resolution(ctx, incident_id, run_id)["resolved"]
    successes = ctx.store.query("SELECT successes FROM solutions")
    assert sum(row["successes"] for row in successes) <= 1


def test_a_remedy_that_fails_is_not_tried_by_each_of_them_and_told_once(ctx, tmp_path):
    act = scenes.shell("echo acted >> %s/acts; sleep 1; exit 3" % tmp_path)
    scenes.write_runbook(tmp_path, steps=[{"name": "act", "command": act}])
    pods = [prepared(ctx, number) for number in range(PODS)]
    answers = outcomes(ctx, tmp_path, pods)
    assert [answer["outcome"] for answer in answers] == ["failed"] * PODS
    assert (tmp_path / "acts").read_text() == "acted\n"
    assert all("exit code 3" in answer["reason"] for answer in answers)
    for incident_id, run_id in pods:
        assert undo_remediation(ctx, incident_id, run_id)["outcome"] == "nothing"
        assert escalate_to_oncall(ctx, incident_id, run_id, "remediation_failed")["escalated"]
    assert ctx.store.value("SELECT COUNT(*) FROM outbox") == 1
    message = ctx.store.value("SELECT id FROM outbox")
    for incident_id, _ in pods:
        [entry] = scenes.timeline_of(ctx.store, incident_id, "escalated")
        assert entry["data"]["outbox_id"] == message


def test_the_same_runbook_with_other_values_is_another_remedy(ctx, tmp_path):
    act = scenes.shell('echo "$UNIT" >> %s/acts; sleep 0.5' % tmp_path)
    scenes.write_runbook(
        tmp_path, values={"UNIT": "labels.name"}, steps=[{"name": "act", "command": act}]
    )
    units = [
        prepared(ctx, number, labels={"name": name}) for number, name in enumerate(("web", "db"))
    ]
    assert [answer["outcome"] for answer in outcomes(ctx, tmp_path, units)] == ["done", "done"]
    assert sorted((tmp_path / "acts").read_text().split()) == ["db", "web"]
    assert inherited_of(ctx) == [None, None]


def test_another_remedy_waits_for_its_turn_and_acts(ctx, tmp_path):
    for name in ("One", "Two"):
        act = scenes.shell("echo %s >> %s/acts; sleep 0.5" % (name, tmp_path))
        scenes.write_runbook(
            tmp_path,
            name=name.lower(),
            metadata={"alert_type": name},
            steps=[{"name": "act", "command": act}],
        )
    pods = []
    for number, name in enumerate(("One", "Two")):
        incident_id = scenes.add_incident(ctx.store, labels={"alertname": name})
        run_id = "run-%d" % number
        analyze_incident(ctx, incident_id, run_id)
        determine_response_strategy(ctx, incident_id, run_id)
        pods.append((incident_id, run_id))
    answers = outcomes(ctx, tmp_path, pods)
    assert [answer["outcome"] for answer in answers] == ["done"] * 2
    assert sorted((tmp_path / "acts").read_text().split()) == ["One", "Two"]
    assert inherited_of(ctx) == [None, None]


def test_a_dead_one_is_not_inherited_from(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path)
    dead_id, _ = prepared(ctx, 1)
    incident_id, run_id = prepared(ctx, 2)
    plan = registry.get(ctx.store, dead_id).plan
    dead = journal.begin(ctx.store, dead_id, "run-1", plan)
    ctx.store.execute(
        "UPDATE execution_history SET outcome = ? WHERE id = ?",
        (json.dumps({"owner": dict(journal.this_process(), started="never")}), dead),
    )
    assert locks.acquire(ctx.store, "target:shop", dead, 20)
    answer = remediate(ctx, incident_id, run_id)
    assert answer["outcome"] == "done"
    assert inherited_of(ctx) == [None, None]
    ctx.close()


def test_an_end_that_says_nothing_for_others_is_not_inherited(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path)
    other_id, _ = prepared(ctx, 1)
    incident_id, run_id = prepared(ctx, 2)
    other = journal.begin(ctx.store, other_id, "run-1", registry.get(ctx.store, other_id).plan)
    assert locks.acquire(ctx.store, "target:shop", other, 3600)
    sleep = clock.sleep

    def ending(seconds):
        sleep(seconds)
        if len(clock.slept) == 3:
            journal.finish(ctx.store, other, journal.CLEARED, {"outcome": "cleared"})
            locks.release(ctx.store, "target:shop", other)

    clock.sleep = ending
    assert remediate(ctx, incident_id, run_id)["outcome"] == "done"
    assert inherited_of(ctx) == [None, None]
    ctx.close()


def test_who_follows_one_that_only_followed_inherits_from_who_acted(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path, steps=[{"name": "act", "command": scenes.shell("exit 3")}])
    first, first_run = prepared(ctx, 1)
    second, _ = prepared(ctx, 2)
    third, third_run = prepared(ctx, 3)
    assert remediate(ctx, first, first_run)["outcome"] == "failed"
    [acted] = scenes.rows_of(ctx.store, "execution_history")
    # The second has the target for the moment that it takes to see that it was done for it.
    plan = registry.get(ctx.store, second).plan
    followed = journal.begin(ctx.store, second, "run-2", plan)
    assert locks.acquire(ctx.store, "target:shop", followed, 3600)
    sleep = clock.sleep

    def ending(seconds):
        sleep(seconds)
        if len(clock.slept) == 1:
            outcome = {"outcome": "failed", "reason": "...", "inherited_from": acted["id"]}
            journal.finish(ctx.store, followed, journal.FAILED, outcome)
            locks.release(ctx.store, "target:shop", followed)

    clock.sleep = ending
    assert remediate(ctx, third, third_run)["outcome"] == "failed"
    assert inherited_of(ctx) == [None, acted["id"], acted["id"]]
    [entry] = scenes.timeline_of(ctx.store, third, "remediation_inherited")
    assert first in entry["message"] and "exit code 3" in entry["message"]
    ctx.close()


def test_waiting_for_the_same_remedy_ends_with_its_time(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock, timeout=120)
    scenes.write_runbook(tmp_path)
    other_id, _ = prepared(ctx, 1)
    incident_id, run_id = prepared(ctx, 2)
    other = journal.begin(ctx.store, other_id, "run-1", registry.get(ctx.store, other_id).plan)
    assert locks.acquire(ctx.store, "target:shop", other, 3600)
    answer = remediate(ctx, incident_id, run_id)
    assert answer["outcome"] == "refused" and "within 120 s" in answer["reason"]
    assert 119 <= sum(clock.slept) <= 121
    ctx.close()


def test_one_that_was_done_before_our_alert_came_is_not_inherited(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path)
    first, run_id = prepared(ctx, 1)
    assert remediate(ctx, first, run_id)["outcome"] == "done"
    clock.advance(5)
    second, run_id = prepared(ctx, 2)
    assert remediate(ctx, second, run_id)["outcome"] == "done"
    assert inherited_of(ctx) == [None, None]
    ctx.close()


def test_an_old_message_of_a_remedy_covers_no_later_opening(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    act = scenes.shell("exit 3")
    scenes.write_runbook(tmp_path, steps=[{"name": "act", "command": act}])
    first, first_run = prepared(ctx, 1)
    second, second_run = prepared(ctx, 2)
    assert remediate(ctx, first, first_run)["outcome"] == "failed"
    assert remediate(ctx, second, second_run)["outcome"] == "failed"
    assert escalate_to_oncall(ctx, second, second_run, "remediation_failed")["escalated"]
    assert escalate_to_oncall(ctx, first, first_run, "remediation_failed")["escalated"]
    assert ctx.store.value("SELECT COUNT(*) FROM outbox") == 1
    clock.advance(86400.0)
    for incident_id in (first, second):
        registry.resolve(ctx.store, incident_id, "manual", "closed by hand")
        registry.move(ctx.store, incident_id, "open", reopened=1, resolution=None)
        timeline.record(ctx.store, incident_id, "reopened", "the cause is back")
        assert escalate_to_oncall(ctx, incident_id, "", "remediation_failed")["escalated"]
    assert ctx.store.value("SELECT COUNT(*) FROM outbox") == 3
    ctx.close()


def test_an_undo_that_failed_is_told_by_itself_although_others_told_of_the_remedy(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path, steps=[{"name": "act", "command": scenes.shell("exit 3")}])
    first, first_run = prepared(ctx, 1)
    second, second_run = prepared(ctx, 2)
    remediate(ctx, first, first_run)
    remediate(ctx, second, second_run)
    escalate_to_oncall(ctx, second, second_run, "remediation_failed")
    escalate_to_oncall(ctx, first, first_run, "undo_failed")
    assert ctx.store.value("SELECT COUNT(*) FROM outbox") == 2
    ctx.close()


def test_a_target_is_the_same_in_any_letter_case():
    from selfheal.respond import targets

    assert targets.lock_name("prod/Web-1") == targets.lock_name("PROD/web-1")
    assert targets.lock_name("prod/web-1") != targets.lock_name("prod/web-2")


@pytest.mark.parametrize(
    "instance, scope",
    [
        ("web-1:9100", "web-1"),
        ("web-1", "web-1"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("[fe80::1]:9100", "[fe80::1]"),
        ("fe80::1", "fe80::1"),
        ("http://web-1:80/x", "http://web-1:80/x"),
        (":9100", ":9100"),
    ],
)
def test_the_port_of_an_exporter_makes_no_second_target(ctx, instance, scope):
    from selfheal.remedy import plan

    incident_id = scenes.add_incident(ctx.store, instance=instance, cluster=None, workload=None)
    assert plan.scope_of(registry.get(ctx.store, incident_id)) == scope

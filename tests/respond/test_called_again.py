"""Who is called again, and who is not: another wave of a storm whose message is over, what waited
for a remedy that others know to be over, a cause that is back and stays while somebody has it.
"""

from __future__ import annotations

import pytest

from selfheal.incidents import registry
from selfheal.incidents.dispatch import dispatch
from selfheal.operate.housekeeping import housekeeping
from selfheal.outbox import letters
from selfheal.respond import acknowledge, calls, escalate, finish, ladder
from tests import scene, stub_pagerduty, stub_slack
from tests.remedy import scenes
from tests.respond.test_flapping import living


@pytest.fixture
def pagerduty():
    with stub_pagerduty.Stub() as stub:
        yield stub


def wave(life, *names, severity="critical"):
    """Incidents of a storm come, and are handed over with it."""
    for name in names:
        scenes.add_incident(
            life.ctx.store, group_key=name, title="%s is down" % name, severity=severity
        )
    dispatch(life.ctx)
    life.work()


def close_all(ctx):
    for row in ctx.store.query("SELECT id FROM incidents WHERE status <> 'resolved'"):
        finish.close_incident(ctx, row["id"])


def test_another_wave_of_a_storm_whose_message_is_over_calls_again(tmp_path, url, pagerduty):
    life = living(tmp_path, url=url, storm_incidents=5, max_responses_per_batch=100)
    life.ctx.config.values["notify"] = {"pagerduty": pagerduty.settings(timeout_s=60)}
    wave(life, *("pod-%d" % number for number in range(6)))
    close_all(life.ctx)
    housekeeping(life.ctx)
    (first,) = pagerduty.alerts
    assert pagerduty.alerts[first]["status"] == "resolved"
    life.clock.advance(120)
    wave(life, "database", "queue")
    second = first + ":2"
    assert pagerduty.alerts[second]["status"] == "triggered" and len(pagerduty.alerts) == 2
    (event,) = pagerduty.alerts[second]["events"]
    assert "database is down" in str(event["payload"]["custom_details"]["storm"])
    assert "heal ack inc-" in str(event["payload"]["custom_details"]["commands"])
    close_all(life.ctx)
    housekeeping(life.ctx)
    assert pagerduty.alerts[second]["status"] == "resolved"


@pytest.mark.parametrize("is_over", [False, True])
def test_what_waited_for_a_remedy_calls_when_those_before_are_over(
    tmp_path, url, pagerduty, is_over
):
    ctx = scene.context(url, notify={"pagerduty": pagerduty.settings(timeout_s=60)})
    for incident_id in ("inc-1", "inc-2", "inc-3"):
        scene.incident(ctx.store, incident_id)
    scene.execution(ctx.store, "exe-1", status="failed")
    for number in (2, 3):
        outcome = {"inherited_from": "exe-1", "incident_id": "inc-1"}
        scene.execution(
            ctx.store, "exe-%d" % number, "inc-%d" % number, status="failed", outcome=outcome
        )
    escalate.escalate_to_oncall(ctx, "inc-1", reason="remediation_failed")
    if is_over:
        finish.close_incident(ctx, "inc-1")
    for incident_id in ("inc-2", "inc-3"):
        escalate.escalate_to_oncall(ctx, incident_id, reason="remediation_failed")
    keys = ["escalation:inc-1:0"] + ["escalation:execution:exe-1"] * is_over
    assert list(pagerduty.alerts) == keys
    assert pagerduty.alerts[keys[-1]]["status"] == "triggered"
    ctx.close()


@pytest.mark.parametrize("returns", [1, 6])  # told in the thread, and not even told there
@pytest.mark.parametrize("taken", [False, True])
def test_a_cause_that_is_back_and_stays_calls_nobody_when_somebody_has_it(
    tmp_path, taken, returns
):
    life = living(tmp_path, script="")
    incident_id = life.send(firing=True)
    life.minute()
    acknowledge.acknowledge(life.ctx, incident_id, who="ann")
    for _ in range(returns):
        life.send(firing=False)
        life.minute()
        life.send(firing=True)
        life.minute()
    if taken:
        result = acknowledge.acknowledge(life.ctx, incident_id, who="bob")
        assert result["is_new"] and result["by"] == "bob"
        assert acknowledge.acknowledge(life.ctx, incident_id, who="eve")["is_new"] is False
    for _ in range(2 * 70):
        life.minute()
    reasons = [one.get("reason") for one in life.told()]
    assert reasons.count("keeps_coming") == (0 if taken else 1)


def test_call_that_covers_another_incident_by_now_is_not_over(url, pagerduty, monkeypatch):
    ctx = scene.context(url, notify={"pagerduty": pagerduty.settings(timeout_s=60)})
    scene.incident(ctx.store, "inc-1")
    scene.incident(ctx.store, "inc-2", status="escalated")
    first = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")["outbox_id"]
    over = calls.over

    def joined_meanwhile(store):
        found = over(store)
        ladder.join(ctx, registry.get(store, "inc-2"), first)
        return found

    monkeypatch.setattr(calls, "over", joined_meanwhile)
    finish.close_incident(ctx, "inc-1")
    assert not calls.is_over(ctx.store, first)
    assert pagerduty.alerts["escalation:inc-1:0"]["status"] == "triggered"
    finish.close_incident(ctx, "inc-2")
    assert calls.is_over(ctx.store, first)
    ctx.close()


def test_acknowledging_what_came_back_is_told_in_its_thread(url):
    with stub_slack.Stub() as slack:
        ctx = scene.context(url, notify={"slack": slack.by_token(timeout_s=60)})
        scene.incident(ctx.store)
        first = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")["outbox_id"]
        acknowledge.acknowledge(ctx, "inc-1", who="ann")
        ctx.clock.at += 60
        finish.close_incident(ctx, "inc-1")
        ctx.clock.at += 60
        registry.update(ctx.store, "inc-1", status="escalated", reopened=1)
        with ctx.store.transaction("incidents"):
            ladder.join(ctx, registry.get(ctx.store, "inc-1"), first)
        ctx.clock.at += 60
        acknowledge.acknowledge(ctx, "inc-1", who="bob")
        housekeeping(ctx)
        said = [stub_slack.words(one).split("\n")[1] for one in slack.posted]
        assert said[1:] == [
            "Acknowledged by ann.",
            "Resolved: closed by hand.",
            "It is back. It keeps going away and coming back; somebody is called if it stays.",
            "Acknowledged by bob.",
        ]
        assert scene.kinds(ctx.store).count("acknowledged") == 2
        assert letters.is_delivered(ctx.store, first) and not calls.is_over(ctx.store, first)
        ctx.close()

"""A flapping alert costs the budgeted attempts and one call; a cause that stays is told anew; a
storm is told in one message.

Driven as the workflow would: attach and dispatch, then each step by what the one before answered.
The clock is simulated, the store and the remedies are real. SELFHEAL_FLAPPING_HOURS=24 is a whole
day; it is some hours always.
"""

from __future__ import annotations

import json
import os

import pytest

from selfheal.incidents import attach, flapping, registry
from selfheal.incidents.dispatch import dispatch
from selfheal.incidents.signal import Signal
from selfheal.respond import escalate, finish, waiting
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.respond.verify import verify_resolution
from tests.remedy import scenes

MINUTE = 60.0
HOURS = int(os.environ.get("SELFHEAL_FLAPPING_HOURS") or 9)


class Bus:
    """The platform as far as triggers go: what was injected and not yet answered."""

    execution_id = None

    def __init__(self):
        self.waiting = []
        self.runs = 0

    def inject(self, trigger, payload):
        self.waiting.append((trigger, payload))

    def answer_inquiry(self, *_):
        raise AssertionError("nobody is asked here")


class Life:
    """The pack under a simulated clock: `fire` and `end` an alert, then everything follows."""

    def __init__(self, ctx, clock, bus):
        self.ctx, self.clock, self.bus = ctx, clock, bus
        self.outcomes = []

    def send(self, firing, name="ServiceDown", severity="critical", cause="cause-1"):
        ctx = self.ctx
        number = ctx.config.number
        settings = attach.AttachSettings(
            number("incidents.reopen_minutes"),
            flap_quiet_minutes=number("safety.flap_quiet_minutes"),
        )
        if firing:
            self.started = "%017.3f" % self.clock.now()
        signal = Signal(
            fingerprint="f" * 15 + cause[-1],
            starts_at=self.started,
            group_key=cause,
            status="firing" if firing else "resolved",
            severity=severity,
            alert_name=name,
            title="%s is down" % cause,
            labels={"alertname": name, "service": "shop"},
            annotations={},
            service="shop",
            source="alertmanager",
        )
        done = attach.attach(ctx.store, [signal], settings)
        dispatch(ctx, cleared=done.cleared)
        self.work()
        return done.touched[0]

    def work(self):
        while self.bus.waiting:
            trigger, payload = self.bus.waiting.pop(0)
            if trigger == "selfheal.alert":
                self.bus.runs += 1
                self.respond(payload, "run-%d" % self.bus.runs)
            elif trigger == "selfheal.incident_resolved":
                finish.close_incident(self.ctx, payload["incident_id"], "", finish.SELF_RESOLVED)

    def respond(self, payload, run_id):
        """The workflow incident_response, branch by branch."""
        ctx, incident_id = self.ctx, payload["incident_id"]
        state = analyze_incident(ctx, incident_id, run_id, payload["dispatch"])["state"]
        if state == "cleared":
            finish.close_incident(ctx, incident_id, run_id, finish.SELF_RESOLVED)
        if state != "claimed":
            return self.outcomes.append(state)
        strategy = determine_response_strategy(ctx, incident_id, run_id)["strategy"]
        if strategy == "automated":
            return self.heal(incident_id, run_id)
        if strategy == "ignore":
            finish.observe_incident(ctx, incident_id, run_id)
        elif strategy == "manual":
            finish.create_incident_ticket(ctx, incident_id, run_id)
        else:
            assert strategy == "escalate"
            escalate.escalate_to_oncall(ctx, incident_id, run_id, "strategy")
        return self.outcomes.append(strategy)

    def heal(self, incident_id, run_id):
        ctx = self.ctx
        outcome = remediate(ctx, incident_id, run_id)["outcome"]
        if outcome == "done":
            # The alert is as it is: for the proof it must be gone, as it is a minute later.
            if verify_resolution(ctx, incident_id, run_id)["resolved"]:
                finish.close_incident(ctx, incident_id, run_id, finish.REMEDIATED)
                return self.outcomes.append("resolved")
            outcome = "not_resolved"
        if outcome in ("failed", "not_resolved"):
            undo_remediation(ctx, incident_id, run_id)
        reason = "remediation_failed" if outcome == "failed" else outcome
        escalate.escalate_to_oncall(ctx, incident_id, run_id, reason)
        return self.outcomes.append(reason)

    def minute(self):
        """What the timer does."""
        self.clock.advance(MINUTE / 2)
        waiting.take_up(self.ctx)
        dispatch(self.ctx)
        escalate.tell_of_lasting(self.ctx)
        self.work()

    def told(self):
        rows = self.ctx.store.query("SELECT payload FROM outbox ORDER BY id")
        return [json.loads(row["payload"]) for row in rows]

    def acts(self):
        sql = "SELECT COUNT(*) FROM execution_history WHERE status NOT IN ('refused', 'planned')"
        return self.ctx.store.value(sql)


def living(tmp_path, script="true", url="", **safety):
    clock, bus = scenes.StillClock(), Bus()
    ctx = scenes.context_for(
        tmp_path,
        clock=clock,
        url=url,
        values={"safety": safety},
        verify_timeout=1,
        verify_interval=1,
        healthy_hold=0,
    )
    ctx._platform = bus
    if script:
        scenes.write_runbook(
            tmp_path, steps=[{"name": "act", "command": scenes.shell(script)}]
        )
    return Life(ctx, clock, bus)


@pytest.mark.parametrize("verify, hours", [("proves", HOURS), ("does not prove", 3)])
def test_hours_of_flapping_cost_the_budgeted_attempts_and_one_call(
    tmp_path, monkeypatch, verify, hours
):
    life = living(tmp_path)
    if verify == "proves":
        check = lambda ctx, incident_id, run_id: {"resolved": True}  # noqa: E731
        monkeypatch.setattr("tests.respond.test_flapping.verify_resolution", check)
    incidents = set()
    for _ in range(hours * 60):
        incidents.add(life.send(firing=True))
        life.minute()
        life.send(firing=False)
        life.minute()
    assert 1 <= life.acts() <= 3  # safety.budgets.target_hour
    assert len(life.told()) == 1
    assert len(incidents) == 1
    assert life.bus.runs < 20  # what keeps coming back gets no response each minute
    [incident_id] = incidents
    folded = [
        entry
        for entry in scenes.timeline_of(life.ctx.store, incident_id, "escalated")
        if (entry["data"] or {}).get("folded") == "flapping"
    ]
    assert folded and folded[-1]["data"]["outbox_id"]


def test_without_a_runbook_it_is_one_call_as_well(tmp_path):
    life = living(tmp_path, script="")
    for _ in range(120):
        life.send(firing=True)
        life.minute()
        life.send(firing=False)
        life.minute()
    assert life.acts() == 0
    assert len(life.told()) == 1


def test_a_cause_that_stays_is_told_anew(tmp_path, url):
    life = living(tmp_path, script="", url=url)
    for _ in range(10):
        life.send(firing=True)
        life.minute()
        life.send(firing=False)
        life.minute()
    incident_id = life.send(firing=True)
    for _ in range(2 * 59):
        life.minute()
    assert len(life.told()) == 1
    for _ in range(4):
        life.minute()
    assert [message["reason"] for message in life.told()] == ["strategy", "keeps_coming"]
    for _ in range(300):
        life.minute()
    assert len(life.told()) == 2
    assert registry.get(life.ctx.store, incident_id).status == "escalated"


def test_a_cause_that_a_person_closed_is_told_anew(tmp_path):
    life = living(tmp_path, script="")
    incident_id = life.send(firing=True)
    life.minute()
    finish.close_incident(life.ctx, incident_id, resolution=finish.MANUAL)
    life.clock.advance(MINUTE)
    life.send(firing=True)
    assert len(life.told()) == 2


def test_a_cause_that_stayed_away_long_enough_is_told_anew(tmp_path):
    life = living(tmp_path, script="")
    life.send(firing=True)
    life.minute()
    life.send(firing=False)
    life.clock.advance(61 * MINUTE)
    life.send(firing=True)
    assert len(life.told()) == 2


def test_a_worse_severity_is_told_anew(tmp_path):
    life = living(tmp_path, script="")
    for severity in ("error", "error", "critical"):
        life.send(firing=True, severity=severity)
        life.minute()
        life.send(firing=False, severity=severity)
        life.minute()
    assert [message["severity"] for message in life.told()] == ["error", "critical"]


def test_an_undo_that_failed_is_never_folded(tmp_path):
    life = living(tmp_path, script="")
    incident_id = life.send(firing=True)
    life.minute()
    life.send(firing=False)
    life.minute()
    life.send(firing=True)
    assert len(life.told()) == 1
    ctx = life.ctx
    registry.update(ctx.store, incident_id, status="remediating")
    escalate.escalate_to_oncall(ctx, incident_id, reason="undo_failed")
    assert len(life.told()) == 2


@pytest.mark.parametrize("garbage", ['{"half', "[]", '{"severity": 3}', '{"nonsense": 1}', "null"])
def test_garbage_in_what_is_remembered_means_that_people_are_told(tmp_path, garbage):
    life = living(tmp_path, script="")
    life.send(firing=True)
    life.minute()
    life.send(firing=False)
    life.minute()
    life.ctx.store.execute(
        "UPDATE checkpoints SET value = ? WHERE name LIKE 'told:%'", (garbage,)
    )
    life.send(firing=True)
    assert len(life.told()) == 2
    assert flapping.lasting(life.ctx.store, 0.0) == []


def test_a_storm_is_told_in_one_message_that_lists_its_incidents(tmp_path, url):
    life = living(tmp_path, url=url, storm_incidents=5, max_responses_per_batch=100)
    store = life.ctx.store
    for number in range(8):
        scenes.add_incident(store, group_key="pod-%d" % number, title="pod %d is down" % number)
    dispatch(life.ctx)
    life.work()
    assert life.acts() == 0
    assert life.outcomes == ["escalate"] * 8
    [message] = life.told()
    assert message["reason"] == "storm" and message["storm"]["count"] == 8
    assert "pod 7 is down" in message["text"]
    key = store.value("SELECT dedupe_key FROM outbox")
    assert key == "storm:%s" % message["storm"]["id"]
    for row in store.query("SELECT id, status FROM incidents"):
        [entry] = scenes.timeline_of(store, row["id"], "escalated")
        assert row["status"] == "escalated"
        assert entry["data"]["storm_id"] == message["storm"]["id"]
        assert entry["data"]["outbox_id"] in entry["message"]

"""What the guards say reaches the decision, the remedy, the timeline and the person: each kind of
no, each way in which asking can fail, and nothing acts.
"""

from __future__ import annotations

import json

import pytest

from selfheal.exceptions import StoreError
from selfheal.guard import breaker, budgets, gate, pause
from selfheal.incidents import registry
from selfheal.remedy import journal
from selfheal.respond import deeds, waiting
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.respond.remediate import remediate
from selfheal.respond.verify import verify_resolution
from tests.remedy import scenes


@pytest.fixture
def clock():
    return scenes.StillClock()


@pytest.fixture
def ctx(tmp_path, clock):
    context = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(
        tmp_path, steps=[{"name": "act", "command": scenes.shell("touch %s/acted" % tmp_path)}]
    )
    yield context
    context.close()


def decide(ctx, incident_id, run_id="run-1"):
    analyze_incident(ctx, incident_id, run_id)
    return determine_response_strategy(ctx, incident_id, run_id)["strategy"]


def decided(ctx, run_id="run-1", **fields):
    incident_id = scenes.add_incident(ctx.store, **fields)
    assert decide(ctx, incident_id, run_id) == "automated"
    return incident_id


def stopped(ctx, scope="global"):
    pause.begin(ctx.store, pause.scope_of(scope), "ann", "we look at it", None, False)


def messages(ctx):
    rows = ctx.store.query("SELECT payload FROM outbox ORDER BY id")
    return [json.loads(row["payload"]) for row in rows]


def test_a_refusal_is_recorded_with_its_advice_and_told_to_the_person(ctx, tmp_path):
    incident_id = decided(ctx)
    stopped(ctx)
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "ann" in answer["reason"]
    assert "selfheal.resume" in answer["reason"]
    assert not (tmp_path / "acted").exists()
    row = scenes.rows_of(ctx.store, "execution_history")[0]
    assert (row["status"], json.loads(row["outcome"])["objection"]["rule"]) == ("refused", "pause")
    kinds = [entry["kind"] for entry in scenes.timeline_of(ctx.store, incident_id)]
    assert "guard_refused" in kinds and "remediation_started" not in kinds
    assert ctx.store.value("SELECT COUNT(*) FROM budgets") == 0
    escalate_to_oncall(ctx, incident_id, "run-1", "refused")
    [message] = messages(ctx)
    assert message["refused"]["rule"] == "pause"
    assert "selfheal.resume" in message["text"]


def test_a_hand_passes_the_same_gate(ctx, tmp_path):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    stopped(ctx)
    assert remediate(ctx, incident_id)["outcome"] == "refused"
    assert not (tmp_path / "acted").exists()


def test_what_is_let_in_says_so_with_all_that_was_asked(ctx):
    incident_id = decided(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    [entry] = scenes.timeline_of(ctx.store, incident_id, "guard_allowed")
    assert entry["data"]["asked"] == [*(name for name, _ in gate.GUARDS), "command"]


def test_a_pause_makes_it_a_matter_for_people_by_severity(ctx):
    stopped(ctx)
    assert decide(ctx, scenes.add_incident(ctx.store)) == "escalate"
    assert decide(ctx, scenes.add_incident(ctx.store, severity="warning")) == "manual"


def test_a_maintenance_window_only_records_and_a_freeze_asks(ctx):
    window = {"name": "move", "start": "2023-11-14T00:00", "end": "2023-11-16T00:00"}
    safety = ctx.config.values["safety"]
    safety["windows"] = [dict(window, kind="maintenance", timezone="UTC")]
    assert decide(ctx, scenes.add_incident(ctx.store)) == "ignore"
    safety["windows"] = [dict(window, kind="freeze", timezone="UTC")]
    assert decide(ctx, scenes.add_incident(ctx.store)) == "approve"


def test_quiet_hours_make_tickets_of_calls(ctx):
    ctx.config.values["safety"]["quiet_hours"] = [
        {
            "name": "night",
            "cron": "* * * * *",
            "minutes": 60,
            "timezone": "UTC",
            "severities": ["error"],
        }
    ]
    incident = scenes.add_incident(ctx.store, severity="error", alert_type="Unknown")
    assert decide(ctx, incident) == "manual"
    assert decide(ctx, scenes.add_incident(ctx.store, alert_type="Unknown")) == "escalate"


def test_a_used_up_budget_escalates_with_its_numbers(ctx):
    ctx.config.values["safety"]["budgets"] = {"target_hour": 0}
    incident_id = scenes.add_incident(ctx.store)
    assert decide(ctx, incident_id) == "escalate"
    reasons = "; ".join(registry.get(ctx.store, incident_id).reasons)
    assert "safety.budgets.target_hour" in reasons


def test_a_short_wait_is_recorded_and_taken_up_when_it_is_over(ctx, clock):
    class Bus:
        execution_id = None
        injected = []

        def inject(self, trigger, payload):
            self.injected.append(payload["incident_id"])

    ctx._platform = Bus()
    incident_id = decided(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    registry.release(ctx.store, incident_id, "run-1")
    assert decide(ctx, incident_id, "run-2") == "ignore"
    assert "its next turn is in 120 s" in "; ".join(registry.get(ctx.store, incident_id).reasons)
    registry.hand_over(ctx.store, incident_id, "observed", "recorded", run_id="run-2")
    clock.advance(60)
    assert waiting.take_up(ctx)["taken_up"] == 0
    clock.advance(61)
    assert waiting.take_up(ctx)["taken_up"] == 1
    assert Bus.injected == [incident_id]
    assert waiting.take_up(ctx)["taken_up"] == 0
    assert decide(ctx, incident_id, "run-3") == "automated"


def test_a_wait_of_an_incident_that_was_closed_is_forgotten(ctx, clock):
    incident_id = scenes.add_incident(ctx.store)
    waiting.until(ctx.store, incident_id, clock.now() + 5)
    registry.resolve(ctx.store, incident_id, "manual", "done")
    clock.advance(10)
    assert waiting.take_up(ctx)["taken_up"] == 0
    left = ctx.store.query("SELECT name FROM checkpoints WHERE name LIKE 'again:%'")
    assert left == []


def test_garbage_in_the_plan_is_a_no_and_a_person_is_called(ctx, tmp_path):
    for garbage in ('{"half', "[1]", '"text"', '{"remedy": 7}'):
        incident_id = decided(ctx)
        ctx.store.execute("UPDATE incidents SET plan = ? WHERE id = ?", (garbage, incident_id))
        answer = remediate(ctx, incident_id, "run-1")
        assert answer["outcome"] == "refused", garbage
        assert determine_response_strategy(ctx, incident_id, "run-1")["strategy"] == "escalate"
        assert escalate_to_oncall(ctx, incident_id, "run-1", "refused")["escalated"]
    assert not (tmp_path / "acted").exists()


@pytest.mark.parametrize("rule", ["budgets", "breakers"])
def test_garbage_in_the_rows_of_a_guard_is_a_no(ctx, tmp_path, rule):
    incident_id = decided(ctx)
    incident = registry.get(ctx.store, incident_id)
    deed = deeds.deed_of(incident, incident.plan, "exe-other")
    if rule == "budgets":
        for _, name in budgets.names(deed):
            ctx.store.insert("budgets", {"name": name, "execution_id": "x", "at": "soon"})
    else:
        breaker.settle(ctx, deed, False, 1.0)
        ctx.store.execute("UPDATE circuit_breakers SET data = ?", ('{"half',))
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and answer["reason"]
    assert not (tmp_path / "acted").exists()


@pytest.mark.parametrize("kind", ["guard_allowed", "remediation_started"])
def test_a_store_that_fails_between_the_gate_and_the_first_step_stops_it(ctx, tmp_path, kind):
    incident_id = decided(ctx)
    ctx.store.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON incident_events WHEN NEW.kind = '%s' "
        "BEGIN SELECT abs(-9223372036854775807 - (NEW.at > 0)); END" % kind
    )
    with pytest.raises(StoreError):
        remediate(ctx, incident_id, "run-1")
    assert not (tmp_path / "acted").exists()
    assert scenes.rows_of(ctx.store, "execution_history")[0]["status"] == "failed"
    assert ctx.store.query("SELECT * FROM locks WHERE name LIKE 'target:%'") == []


@pytest.mark.parametrize("table", ["budgets", "execution_history", "locks"])
def test_a_store_that_fails_before_the_gate_stops_it(ctx, tmp_path, table):
    incident_id = decided(ctx)
    ctx.store.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON %s WHEN %s "
        "BEGIN SELECT abs(-9223372036854775807 - (length(NEW.rowid) >= 0)); END"
        % (table, "NEW.name LIKE 'target:%'" if table == "locks" else "1")
    )
    try:
        assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"
    except StoreError:
        pass
    assert not (tmp_path / "acted").exists()


def test_a_pause_that_stops_what_runs_ends_it_before_the_next_step(ctx, tmp_path, clock):
    scenes.write_runbook(
        tmp_path,
        steps=[
            {"name": "rest", "wait": {"seconds": 30}},
            {"name": "act", "command": scenes.shell("touch %s/acted" % tmp_path)},
        ],
    )
    incident_id = decided(ctx)
    sleep = clock.sleep

    def pausing(seconds):
        sleep(seconds)
        if len(clock.slept) == 3:
            pause.begin(ctx.store, pause.scope_of("global"), "ann", "stop it", None, True)

    clock.sleep = pausing
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "failed" and "ann" in answer["reason"]
    assert not (tmp_path / "acted").exists()
    rows = ctx.store.query("SELECT * FROM circuit_breakers")
    assert not rows  # somebody called it off: that says nothing of the remedy


def test_success_counts_for_the_breaker_only_when_the_signal_proved_it(ctx, monkeypatch):
    told = []
    monkeypatch.setattr(gate, "leave", lambda _ctx, deed, *how: told.append((deed, *how)) or [])
    incident_id = decided(ctx)
    answer = remediate(ctx, incident_id, "run-1")
    assert told == []
    scenes.clear(ctx.store, incident_id)
    assert verify_resolution(ctx, incident_id, "run-1")["resolved"]
    [(deed, is_good, _)] = told
    assert (deed.execution_id, is_good) == (answer["execution_id"], True)


def test_a_dry_run_shows_plan_words_and_objections_and_touches_nothing(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path,
        steps=[
            {
                "name": "act",
                "command": {"argv": ["touch", str(tmp_path / "acted")]},
                "undo": {"command": {"argv": ["rm", "-f", str(tmp_path / "acted")]}},
            }
        ],
    )
    stopped(ctx)
    incident_id = scenes.add_incident(ctx.store, dry_run=1)
    assert decide(ctx, incident_id) == "ignore"
    [entry] = scenes.timeline_of(ctx.store, incident_id, "remediation_planned")
    [step] = entry["data"]["steps"]
    assert step["argv"][1:] == [str(tmp_path / "acted")]
    assert step["undo_argv"][1:] == ["-f", str(tmp_path / "acted")]
    assert [one["rule"] for one in entry["data"]["objections"]] == ["pause"]
    assert "selfheal.resume" in entry["message"]
    assert not (tmp_path / "acted").exists()
    assert ctx.store.value("SELECT COUNT(*) FROM outbox") == 0
    assert ctx.store.value("SELECT COUNT(*) FROM budgets") == 0
    answer = remediate(ctx, incident_id, "run-1", dry_run=True)
    assert answer["outcome"] in ("planned", "refused")


def test_a_dead_run_counts_as_a_failure_of_its_remedy_once(ctx):
    incident_id = decided(ctx)
    incident = registry.get(ctx.store, incident_id)
    gone = {"owner": dict(journal.this_process(), started="never")}
    for _ in range(3):
        execution_id = journal.begin(ctx.store, incident_id, "run-1", incident.plan)
        budgets.charge(ctx, deeds.deed_of(incident, incident.plan, execution_id))
        ctx.store.execute(
            "UPDATE execution_history SET outcome = ? WHERE id = ?",
            (json.dumps(gone), execution_id),
        )
        assert deeds.interrupted(ctx, incident_id) == [execution_id]
        assert deeds.interrupted(ctx, incident_id) == []
    [entry] = scenes.timeline_of(ctx.store, incident_id, "breaker_changed")
    assert "to open" in entry["message"]
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_policy_that_changed_since_the_decision_is_a_no(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path, steps=[{"name": "act", "command": {"argv": ["touch", str(tmp_path / "acted")]}}]
    )
    incident_id = decided(ctx)
    scenes.write_command_table(
        tmp_path, "programs:\n  touch: {replaces: touch, deny: not here, advice: do without}\n"
    )
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused"
    assert not (tmp_path / "acted").exists()


def test_words_that_were_never_judged_are_refused(ctx, tmp_path):
    incident_id = decided(ctx)
    plan = registry.get(ctx.store, incident_id).plan
    plan.pop("commands")
    registry.update(ctx.store, incident_id, plan=plan)
    registry.release(ctx.store, incident_id, "run-1")
    answer = remediate(ctx, incident_id)
    assert answer["outcome"] == "refused" and "analyze the incident again" in answer["reason"]
    assert not (tmp_path / "acted").exists()

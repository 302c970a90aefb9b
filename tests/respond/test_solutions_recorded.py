"""Steps of a response feed the record of what helped: once per execution, by the last verdict."""

from __future__ import annotations

import pytest

from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.finish import close_incident
from selfheal.respond.remediate import remediate
from selfheal.respond.verify import verify_resolution
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(
        tmp_path, clock=scenes.StillClock(), verify_timeout=60, verify_interval=5, healthy_hold=10
    )
    yield context
    context.close()


def remedied(ctx, run_id="run-1", **answer):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, run_id)
    determine_response_strategy(ctx, incident_id, run_id)
    assert remediate(ctx, incident_id, run_id)["outcome"] == answer.get("outcome", "done")
    return incident_id


def counts(ctx):
    rows = scenes.rows_of(ctx.store, "solutions")
    return [(row["fingerprint"], row["source"], row["successes"], row["failures"]) for row in rows]


def test_fix_that_the_signal_proves_is_a_success_once(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    scenes.clear(ctx.store, incident_id)
    for _ in range(2):
        assert verify_resolution(ctx, incident_id, "run-1")["resolved"]
    assert len(counts(ctx)) == 1 and counts(ctx)[0][2:] == (1, 0)
    assert counts(ctx)[0][1].startswith("runbook:")


def test_fix_that_did_not_help_is_a_failure_once_until_it_is_proven_after_all(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    for _ in range(2):
        assert not verify_resolution(ctx, incident_id, "run-1")["resolved"]
    assert [one[2:] for one in counts(ctx)] == [(0, 1)]
    scenes.clear(ctx.store, incident_id)
    assert verify_resolution(ctx, incident_id, "run-1")["resolved"]
    assert [one[2:] for one in counts(ctx)] == [(1, 0)]


def test_runbook_that_fails_is_a_failure(ctx, tmp_path):
    steps = [{"name": "break", "command": scenes.shell("exit 3")}]
    scenes.write_runbook(tmp_path, steps=steps)
    remedied(ctx, outcome="failed")
    assert [one[2:] for one in counts(ctx)] == [(0, 1)]


def test_closing_by_hand_proves_nothing(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    sleep = ctx.clock.sleep

    def closing(seconds):
        sleep(seconds)
        close_incident(ctx, incident_id)

    ctx.clock.sleep = closing
    assert verify_resolution(ctx, incident_id, "run-1")["reason"] == "ended"
    assert counts(ctx) == []

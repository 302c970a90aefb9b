"""Remedies and hands that come together: one at a time on one target."""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import Conflict
from selfheal.guard import locks
from selfheal.incidents import registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.remediate import remediate
from tests.remedy import scenes
from tests.respond.test_remediate import decided


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


def test_a_target_at_work_is_waited_for_and_then_refused(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path)
    locks.acquire(ctx.store, "target:shop", "another", 30)
    assert remediate(ctx, decided(ctx), "run-1")["outcome"] == "done"
    assert 29 <= sum(clock.slept) <= 31
    locks.acquire(ctx.store, "target:shop", "another", 3600)
    answer = remediate(ctx, decided(ctx, run_id="run-2"), "run-2")
    assert (
        answer["outcome"] == "refused" and "another remedy (another) is at work" in answer["reason"]
    )
    assert locks.holder(ctx.store, "target:shop") == "another"
    ctx.close()


def test_two_remedies_on_one_target_never_overlap(tmp_path):
    scenes.write_runbook(
        tmp_path,
        steps=[
            {
                "name": "alone",
                "command": scenes.shell(
                    "cd %s; mkdir busy || touch overlap; sleep 0.3; rmdir busy" % tmp_path
                ),
            }
        ],
    )
    outcomes = []

    def respond():
        ctx = scenes.context_for(tmp_path)
        outcomes.append(remediate(ctx, decided(ctx), "run-1")["outcome"])
        ctx.close()

    scenes.context_for(tmp_path).close()
    threads = [threading.Thread(target=respond) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["done"] * 3
    assert not (tmp_path / "overlap").exists()


def test_a_hand_keeps_off_while_a_response_is_at_work_and_the_other_way_round(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    with pytest.raises(Conflict, match="held by a running response"):
        remediate(ctx, incident_id)
    with pytest.raises(Conflict, match="held by another response"):
        remediate(ctx, incident_id, "run-2")


def test_a_hand_leaves_the_state_as_it_was_and_the_incident_free(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store, status="escalated")
    assert analyze_incident(ctx, incident_id)["state"] == "claimed"
    assert remediate(ctx, incident_id)["outcome"] == "done"
    assert registry.get(ctx.store, incident_id).status == "escalated"
    assert not registry.is_held(ctx.store, incident_id)
    assert registry.get(ctx.store, incident_id).attempts == 0

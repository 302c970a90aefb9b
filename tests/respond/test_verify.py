"""The proof: which checks are asked, how long health must hold, what is recorded, and what ends it
early.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import Conflict
from selfheal.guard import locks
from selfheal.incidents import model, registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from selfheal.respond.verify import verify_resolution
from tests import web
from tests.remedy import scenes


@pytest.fixture
def clock():
    return scenes.StillClock()


@pytest.fixture
def ctx(tmp_path, clock):
    context = scenes.context_for(
        tmp_path, clock=clock, verify_timeout=60, verify_interval=5, healthy_hold=10
    )
    yield context
    context.close()


@pytest.fixture
def site():
    with web.serving() as served:
        yield served


def remedied(ctx, run_id="run-1") -> str:
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, run_id)
    determine_response_strategy(ctx, incident_id, run_id)
    assert remediate(ctx, incident_id, run_id)["outcome"] == "done"
    return incident_id


def later(clock, after_s, event):
    """Let `event()` happen once `after_s` seconds have been slept."""
    sleep, done, start = clock.sleep, [], clock.now()

    def sleeping(seconds):
        sleep(seconds)
        if not done and clock.now() - start >= after_s:
            done.append(event())

    clock.sleep = sleeping


def verified_of(ctx):
    return scenes.rows_of(ctx.store, "execution_history")[-1]["verified"]


def test_the_runbooks_checks_are_asked_until_they_hold(ctx, tmp_path, site):
    scenes.write_runbook(
        tmp_path, verify=[{"http": {"url": site.url + "/health"}}, {"alert": "resolved"}]
    )
    incident_id = remedied(ctx)
    site.status = 503
    later(ctx.clock, 10, lambda: setattr(site, "status", 200))
    sleep = ctx.clock.sleep
    ctx.clock.sleep = sleep
    later(ctx.clock, 20, lambda: scenes.clear(ctx.store, incident_id))
    answer = verify_resolution(ctx, incident_id, "run-1")
    assert (answer["resolved"], answer["waited_s"]) == (True, 30.0)
    assert [(check["check"], check["answer"], check["healthy"]) for check in answer["checks"]] == [
        ("http", "answered 200", True),
        ("alert", "0 of 1 alert still firing", True),
    ]
    assert verified_of(ctx) == 1
    entry = scenes.timeline_of(ctx.store, incident_id, "verified")[0]
    assert entry["message"] == "all 2 checks stayed healthy for 10 s"
    assert [
        (item["check"], item["after_s"], item["healthy"]) for item in entry["data"]["history"]
    ] == [("http", 0.0, False), ("alert", 0.0, False), ("http", 10.0, True), ("alert", 20.0, True)]
    assert registry.get(ctx.store, incident_id).status == model.VERIFYING


def test_a_signal_that_stays_bad_is_not_resolved_and_says_what_was_asked(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    answer = verify_resolution(ctx, incident_id, "run-1")
    assert (answer["resolved"], answer["waited_s"]) == (False, 60.0)
    assert verified_of(ctx) == 0
    assert scenes.timeline_of(ctx.store, incident_id, "not_verified")[0]["message"] == (
        "not healthy within 60 s: the alerts received for this incident: does one still fire?: 1 "
        "of 1 alert still firing"
    )


def test_one_break_in_the_hold_starts_it_again(ctx, tmp_path, site):
    scenes.write_runbook(tmp_path, verify=[{"http": {"url": site.url}}])
    incident_id = remedied(ctx)
    later(ctx.clock, 5, lambda: setattr(site, "status", 500))
    later(ctx.clock, 10, lambda: setattr(site, "status", 200))
    assert verify_resolution(ctx, incident_id, "run-1")["waited_s"] == 20.0


def test_when_only_the_alert_is_asked_the_time_since_it_cleared_counts(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    scenes.clear(ctx.store, incident_id)
    ctx.clock.advance(4)
    assert verify_resolution(ctx, incident_id, "run-1")["waited_s"] == 6.0
    ctx.clock.advance(100)
    assert verify_resolution(ctx, incident_id, "run-1")["waited_s"] == 0.0


def test_with_other_checks_the_time_since_it_cleared_does_not_count(ctx, tmp_path, site):
    scenes.write_runbook(tmp_path, verify=[{"alert": "resolved"}, {"http": {"url": site.url}}])
    incident_id = remedied(ctx)
    scenes.clear(ctx.store, incident_id)
    ctx.clock.advance(100)
    assert verify_resolution(ctx, incident_id, "run-1")["waited_s"] == 10.0


def test_parameters_override_the_configuration(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    answer = verify_resolution(ctx, incident_id, "run-1", timeout_s=7, hold_s=0, interval_s=2)
    assert (answer["resolved"], answer["waited_s"]) == (False, 7.0)
    assert ctx.clock.slept[-4:] == [2, 2, 2, 1]


def test_closing_the_incident_ends_it_at_once(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)
    later(
        ctx.clock,
        10,
        lambda: registry.resolve(ctx.store, incident_id, "remediated", "closed by its alert"),
    )
    answer = verify_resolution(ctx, incident_id, "run-1")
    assert (answer["resolved"], answer["waited_s"]) == (True, 10.0)
    assert verified_of(ctx) == 1
    assert verify_resolution(ctx, incident_id, "run-1") == {
        "resolved": True,
        "checks": [],
        "waited_s": 0.0,
        "reason": "closed",
    }


def test_a_response_that_lost_the_incident_stops(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = remedied(ctx)

    def take_over():
        ctx.store.execute("DELETE FROM locks")
        locks.acquire(ctx.store, registry.lock_name(incident_id), "run-2", 60)

    later(ctx.clock, 10, take_over)
    with pytest.raises(Conflict, match="run-2"):
        verify_resolution(ctx, incident_id, "run-1")


def test_by_hand_without_any_remedy_the_alert_is_asked(ctx):
    incident_id = scenes.add_incident(ctx.store, status="escalated")
    assert not verify_resolution(ctx, incident_id, timeout_s=1)["resolved"]
    scenes.clear(ctx.store, incident_id)
    assert verify_resolution(ctx, incident_id, hold_s=0)["resolved"]
    assert registry.get(ctx.store, incident_id).status == "escalated"
    assert not registry.is_held(ctx.store, incident_id)


def test_checks_that_cannot_be_read_any_more_fall_back_to_the_alert_and_say_so(ctx, tmp_path, site):
    path = scenes.write_runbook(tmp_path, verify=[{"http": {"url": site.url}}])
    incident_id = remedied(ctx)
    path.unlink()
    assert not verify_resolution(ctx, incident_id, "run-1", timeout_s=1)["resolved"]
    assert (
        "only the alert is asked"
        in scenes.timeline_of(ctx.store, incident_id, "verification_note")[0]["message"]
    )

"""Claims, moves, hand-over and closing, on both databases and under races."""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import Conflict, NotFound
from selfheal.guard import locks
from selfheal.incidents import model, registry
from selfheal.store import open_store
from tests import scene


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def store(url, clock):
    return open_store(url, now=clock.now)


def test_missing_incident_is_not_found(store):
    with pytest.raises(NotFound, match="incident_list"):
        registry.get(store, "inc-none")


def test_claiming_begins_an_attempt_once_per_run(store):
    scene.incident(store)
    assert registry.claim(store, "inc-1", "run-1", 60) == registry.CLAIMED
    assert registry.claim(store, "inc-1", "run-1", 60) == registry.CLAIMED
    incident = registry.get(store, "inc-1")
    assert (incident.status, incident.run_id, incident.attempts) == ("analyzing", "run-1", 1)


def test_held_incident_is_taken_until_its_holder_shows_no_life(store, clock):
    scene.incident(store)
    registry.claim(store, "inc-1", "run-1", 60)
    assert registry.claim(store, "inc-1", "run-2", 60) == registry.TAKEN
    assert registry.get(store, "inc-1").run_id == "run-1"
    clock.at += 60
    assert registry.claim(store, "inc-1", "run-2", 60) == registry.CLAIMED
    assert registry.get(store, "inc-1").attempts == 2
    with pytest.raises(Conflict, match="run-2"):
        registry.hold(store, registry.get(store, "inc-1"), "run-1", 60)


def test_closed_incident_cannot_be_claimed(store):
    scene.incident(store, status="resolved")
    assert registry.claim(store, "inc-1", "run-1", 60) == registry.CLOSED
    assert store.query("SELECT * FROM locks") == []


def test_cleared_incident_is_claimed_as_cleared(store):
    scene.incident(store, cleared_at=1.0)
    assert registry.claim(store, "inc-1", "run-1", 60) == registry.CLEARED


def test_holding_again_prolongs_the_claim(store, clock):
    scene.incident(store)
    registry.claim(store, "inc-1", "run-1", 60)
    clock.at += 50
    registry.hold(store, registry.get(store, "inc-1"), "run-1", 60)
    clock.at += 50
    assert registry.is_held(store, "inc-1")
    registry.release(store, "inc-1", "run-2")
    assert registry.is_held(store, "inc-1")
    registry.release(store, "inc-1", "run-1")
    assert not registry.is_held(store, "inc-1")


def test_calling_by_hand_needs_no_claim(store):
    scene.incident(store)
    registry.claim(store, "inc-1", "run-1", 60)
    registry.hold(store, registry.get(store, "inc-1"), "", 60)
    assert locks.holder(store, "incident:inc-1") == "run-1"


@pytest.mark.parametrize("source", sorted(model.STATUSES))
@pytest.mark.parametrize("target", sorted(model.STATUSES))
def test_moves_follow_the_table(tmp_path, source, target):
    store = open_store(scene.store_url("sqlite", tmp_path))
    scene.incident(store, status=source)
    assert registry.move(store, "inc-1", target) is (target in model.TRANSITIONS[source])
    assert registry.get(store, "inc-1").status == (
        target if target in model.TRANSITIONS[source] else source
    )


def test_update_writes_json_and_the_time(store, clock):
    scene.incident(store)
    clock.at += 5
    registry.update(store, "inc-1", plan={"a": [1]}, reasons=None, strategy="manual")
    incident = registry.get(store, "inc-1")
    assert (incident.plan, incident.reasons, incident.strategy) == ({"a": [1]}, None, "manual")
    assert incident.updated_at == clock.at


def test_closing_happens_once_and_frees_the_claim(store):
    scene.incident(store)
    registry.claim(store, "inc-1", "run-1", 60)
    assert registry.resolve(store, "inc-1", "manual", "closed") is True
    assert registry.resolve(store, "inc-1", "manual", "closed") is False
    assert registry.hand_over(store, "inc-1", model.ESCALATED, "late") is False
    assert scene.kinds(store) == ["resolved"]
    assert not registry.is_held(store, "inc-1")
    incident = registry.get(store, "inc-1")
    assert (incident.resolution, incident.resolved_at) == ("manual", scene.START)


def test_failure_while_closing_leaves_the_incident_open(store):
    scene.incident(store)
    with pytest.raises(TypeError), store.transaction("incidents"):
        registry.resolve(store, "inc-1", "manual", "closed")
        raise TypeError
    assert registry.get(store, "inc-1").status == "open" and scene.kinds(store) == []


def test_stale_are_those_that_respond_without_a_living_run(store, clock):
    for number, status in enumerate(sorted(model.STATUSES)):
        scene.incident(store, "inc-%s" % status, status=status, opened_at=scene.START + number)
    assert {incident.status for incident in registry.stale(store)} == model.RESPONDING
    locks.acquire(store, "incident:inc-verifying", "run-1", 60)
    assert {incident.status for incident in registry.stale(store)} == model.RESPONDING - {
        "verifying"
    }
    assert registry.responding_count(store) == 1
    clock.at += 60
    assert {incident.status for incident in registry.stale(store)} == model.RESPONDING
    assert registry.responding_count(store) == 0


def test_database_allows_one_open_incident_per_cause(store):
    scene.incident(store, "inc-1", group_key="cause")
    with pytest.raises(Conflict):
        scene.incident(store, "inc-2", group_key="cause")
    registry.resolve(store, "inc-1", "manual", "closed")
    scene.incident(store, "inc-2", group_key="cause")
    assert registry.move(store, "inc-2", "resolved")


def test_of_racing_claims_one_wins(url):
    scene.incident(open_store(url))
    start = threading.Barrier(8)
    answers = []

    def race(number):
        mine = open_store(url)
        start.wait(180)
        answers.append(registry.claim(mine, "inc-1", "run-%d" % number, 60))
        mine.close()

    racers = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(180)
    assert sorted(answers) == [registry.CLAIMED] + [registry.TAKEN] * 7
    assert registry.get(open_store(url), "inc-1").attempts == 1


def test_request_for_a_response_is_good_for_one_run(store):
    scene.incident(store, dispatched_at=scene.START)
    number = registry.dispatch_number(scene.START)
    assert registry.claim(store, "inc-1", "run-1", 60, number) == registry.CLAIMED
    assert registry.claim(store, "inc-1", "run-1", 60, number) == registry.CLAIMED
    registry.hand_over(store, "inc-1", model.ESCALATED, "told")
    assert registry.claim(store, "inc-1", "run-2", 60, number) == registry.TAKEN
    assert registry.get(store, "inc-1").status == model.ESCALATED


def test_late_request_starts_nothing_once_another_was_sent(store):
    scene.incident(store, dispatched_at=scene.START)
    late = registry.dispatch_number(scene.START - 150)
    assert registry.claim(store, "inc-1", "run-1", 60, late) == registry.TAKEN
    number = registry.dispatch_number(scene.START)
    assert registry.claim(store, "inc-1", "run-2", 60, number) == registry.CLAIMED


def test_person_may_start_a_response_to_a_handed_over_incident(store):
    scene.incident(store, status=model.ESCALATED)
    assert registry.claim(store, "inc-1", "run-1", 60) == registry.CLAIMED

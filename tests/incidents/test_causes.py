"""The cause of an incident changes while nobody is at work on it, and its timeline says so."""

from __future__ import annotations

import pytest

from selfheal.incidents import causes, model, registry, timeline
from selfheal.incidents.attach import attach
from selfheal.store import open_store
from tests import alert_scene, stores

CAUSE = ("PodOOMKilled", "Deployment shop/cart: PodOOMKilled", {"pod": "cart-2"}, {"since": "now"})


@pytest.fixture
def store(tmp_path):
    return open_store(stores.sqlite_url(tmp_path), now=alert_scene.clock().now)


@pytest.fixture
def incident_id(store):
    signal = alert_scene.signal("PodNotReady", namespace="shop", pod="cart-1")
    return attach(store, [signal]).opened[0]


def kinds(store, incident_id):
    return [entry["kind"] for entry in timeline.entries(store, incident_id)]


def test_cause_changes_with_its_title_and_labels_and_is_told(store, incident_id):
    before = registry.get(store, incident_id)
    assert causes.change(store, incident_id, *CAUSE)
    after = registry.get(store, incident_id)
    assert (after.alert_type, after.title) == CAUSE[:2]
    assert after.labels == CAUSE[2] and after.annotations == CAUSE[3]
    assert after.signal["fingerprint"] == before.signal["fingerprint"]
    assert after.severity == before.severity and after.group_key == before.group_key
    assert kinds(store, incident_id) == ["opened", causes.CHANGED]
    told = timeline.entries(store, incident_id)[-1]
    assert told["data"] == {"before": "PodNotReady", "after": "PodOOMKilled"}


def test_same_cause_in_other_words_is_not_told(store, incident_id):
    assert causes.change(store, incident_id, "PodNotReady", "other words", {}, {})
    assert registry.get(store, incident_id).title == "other words"
    assert kinds(store, incident_id) == ["opened"]


def test_what_was_opened_just_now_need_not_tell(store, incident_id):
    assert causes.change(store, incident_id, *CAUSE, is_new=True)
    assert kinds(store, incident_id) == ["opened"]


@pytest.mark.parametrize("status", sorted(model.RESPONDING | {model.RESOLVED}))
def test_nothing_changes_while_somebody_is_at_work_or_when_it_is_over(store, incident_id, status):
    registry.update(store, incident_id, status=status)
    assert not causes.change(store, incident_id, *CAUSE)
    assert registry.get(store, incident_id).alert_type == "PodNotReady"


def test_only_the_response_that_holds_it_may_change_it(store, incident_id):
    registry.claim(store, incident_id, "run-1", 600)
    assert not causes.change(store, incident_id, *CAUSE)
    assert not causes.change(store, incident_id, *CAUSE, run_id="run-2")
    assert causes.change(store, incident_id, *CAUSE, run_id="run-1")
    assert timeline.entries(store, incident_id)[-1]["run_id"] == "run-1"


def test_incident_that_is_not_there_is_no_error(store):
    assert not causes.change(store, "inc-none", *CAUSE)

"""What is recorded of remedies: each execution once, by its last verdict, per cause and place."""

from __future__ import annotations

import pytest

from selfheal.diagnose import solutions
from selfheal.incidents import registry
from selfheal.store import load, open_store
from tests import scene

PLAN = {"remedy": "runbook", "runbook": "restart", "scope": "shop/web", "digest": "1"}


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path):
    return open_store(scene.store_url(request.param, tmp_path), now=scene.Clock().now)


@pytest.fixture
def incident(store):
    scene.incident(store)
    return registry.get(store, "inc-1")


def counts(store):
    return [
        (row["source"], row["successes"], row["failures"])
        for row in store.query("SELECT * FROM solutions ORDER BY source, fingerprint, scope")
    ]


def test_verdicts_add_up_in_one_row(store, incident):
    for helped in (True, False, True):
        solutions.record(store, incident, PLAN, helped, None)
    assert counts(store) == [("runbook:restart", 2, 1)]
    row = store.one("SELECT * FROM solutions")
    assert (row["fingerprint"], row["scope"], row["status"]) == ("inc-1", "shop/web", "active")
    assert row["last_success_at"] == row["last_failure_at"] == row["last_used_at"] == scene.START
    assert load(row["plan"]) == PLAN


def test_verdict_that_is_repeated_counts_once(store, incident):
    solutions.record(store, incident, PLAN, True, None)
    solutions.record(store, incident, PLAN, True, True)
    solutions.record(store, incident, PLAN, False, True)  # what was proven stays proven
    assert counts(store) == [("runbook:restart", 1, 0)]


def test_failure_that_proves_a_success_later_is_a_success(store, incident):
    solutions.record(store, incident, PLAN, False, None)
    solutions.record(store, incident, PLAN, True, False)
    assert counts(store) == [("runbook:restart", 1, 0)]


def test_success_after_a_failure_of_which_no_row_is_left_never_counts_below_zero(store, incident):
    solutions.record(store, incident, PLAN, True, False)
    assert counts(store) == [("runbook:restart", 1, 0)]


def test_causes_places_and_remedies_are_kept_apart(store, incident):
    scene.incident(store, "inc-2")
    other = registry.get(store, "inc-2")
    solutions.record(store, incident, PLAN, True, None)
    solutions.record(store, other, PLAN, True, None)
    solutions.record(store, incident, dict(PLAN, scope="shop/api"), True, None)
    solutions.record(store, incident, dict(PLAN, runbook="scale"), False, None)
    assert counts(store) == [("runbook:restart", 1, 0)] * 3 + [("runbook:scale", 0, 1)]


def test_errors_of_one_pattern_are_one_cause_wherever_they_are(store):
    signal = {"labels": {"fingerprint": "v1:0123"}, "annotations": {}, "generator_url": ""}
    for name in ("inc-1", "inc-2"):
        scene.incident(store, name, source="elk", signal=signal)
        solutions.record(store, registry.get(store, name), PLAN, True, None)
    assert counts(store) == [("runbook:restart", 2, 0)]
    assert store.value("SELECT fingerprint FROM solutions") == "v1:0123"


def test_label_of_an_alert_is_no_fingerprint_of_an_error(store):
    signal = {"labels": {"fingerprint": "v1:0123"}, "annotations": {}, "generator_url": ""}
    scene.incident(store, signal=signal)
    assert solutions.cause_of(registry.get(store, "inc-1")) == "inc-1"

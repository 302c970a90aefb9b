"""States, transitions and severities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.incidents import model
from selfheal.store import open_store
from tests import scene


def test_transitions_name_only_states():
    assert set(model.TRANSITIONS) == model.STATUSES
    for targets in model.TRANSITIONS.values():
        assert targets <= model.STATUSES


def test_every_state_is_reached_from_open_and_leads_to_resolved():
    reached = {model.OPEN}
    while True:
        further = reached.union(*(model.TRANSITIONS[state] for state in reached))
        if further == reached:
            break
        reached = further
    assert reached == model.STATUSES
    for state in model.STATUSES - {model.RESOLVED}:
        assert model.RESOLVED in model.TRANSITIONS[state]


def test_resolved_is_left_only_by_reopening():
    assert model.TRANSITIONS[model.RESOLVED] == {model.OPEN}


def test_groups_do_not_overlap():
    assert not model.ACTIVE & model.HANDED_OVER
    assert model.ACTIVE | model.HANDED_OVER | {model.RESOLVED} == model.STATUSES


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("critical", "critical"),
        (" PAGE ", "critical"),
        ("Sev1", "critical"),
        ("high", "error"),
        ("warn", "warning"),
        ("none", "info"),
        ("", "warning"),
        (None, "warning"),
        (7, "warning"),
    ],
)
def test_severity_names_of_others_are_understood(name, severity):
    assert model.severity_of(name) == severity


@given(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())))
def test_whatever_an_alert_calls_its_severity_is_one_of_ours(name):
    assert model.severity_of(name) in model.SEVERITIES


def test_unknown_severity_ranks_last():
    ranks = [model.severity_rank(severity) for severity in (*model.SEVERITIES, "strange")]
    assert ranks == sorted(ranks) and len(set(ranks)) == 5


@pytest.mark.parametrize("kind", scene.BOTH)
def test_row_becomes_the_same_value_on_both_databases(kind, tmp_path):
    store = open_store(scene.store_url(kind, tmp_path), now=scene.Clock().now)
    signal = {"labels": {"a": "\x00\ud800"}, "annotations": {}, "generator_url": "x"}
    scene.incident(store, signal=signal, reasons=["why"], dry_run=1, cleared_at=5.0)
    incident = model.from_row(store.one("SELECT * FROM incidents"))
    assert (
        incident.signal == signal and
        incident.labels == {"a": "\x00\ud800"} and
        incident.annotations == {}
    )
    assert incident.reasons == ["why"] and incident.plan is None
    assert incident.dry_run is True and incident.is_cleared
    assert incident.opened_at == scene.START and isinstance(incident.opened_at, float)

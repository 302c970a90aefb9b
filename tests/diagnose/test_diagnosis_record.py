"""Diagnoses in the store: the newest few are kept, bounded, and go with their incident."""

from __future__ import annotations

import json

import pytest

from selfheal.diagnose import record
from selfheal.store import open_store, retention
from tests import scene

DAY = 86400.0
FACTS = [{"what": "state", "found": "0 of 2 available"}]


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def store(url, clock):
    opened = open_store(url, now=clock.now)
    yield opened
    opened.close()


def diagnosis(subject="Deployment shop/web", **fields):
    return record.Diagnosis("kubernetes", subject, FACTS, **fields)


def test_what_was_kept_comes_back(store):
    scene.incident(store)
    missing = [{"part": "logs", "why": "403"}]
    content = {"logs": [{"pod": "web-1", "lines": ["\x1b[31m{{ x }}", "\u20ac \x00"]}]}
    kept = diagnosis(missing=missing, hidden={"jwt": 1}, content=content, took_s=1.5)
    found_id = record.keep(store, kept, "inc-1")
    found = record.latest(store, "inc-1")
    assert (found.id, found.facts, found.missing, found.hidden, found.content, found.took_s) == (
        found_id, FACTS, missing, {"jwt": 1}, content, 1.5,
    )
    assert record.latest(store, "inc-2") is None


def test_of_one_incident_only_the_newest_are_kept(store, clock):
    for number in range(record.KEPT + 3):
        clock.at += 1
        record.keep(store, diagnosis(took_s=float(number)), "inc-1")
        record.keep(store, diagnosis("Deployment shop/cart", took_s=float(number)))
    record.keep(store, diagnosis(), "inc-2")
    assert store.value(
        "SELECT COUNT(*) FROM diagnoses WHERE incident_id = ?", ("inc-1",)
    ) == record.KEPT
    assert store.value("SELECT COUNT(*) FROM diagnoses") == 2 * record.KEPT + 1
    assert record.latest(store, "inc-1").took_s == record.KEPT + 2


def test_the_last_look_at_a_subject_is_found_whichever_incident_it_was_for(store, clock):
    record.keep(store, diagnosis(took_s=1.0), "inc-1")
    clock.at += 10
    record.keep(store, diagnosis(took_s=2.0), "inc-2")
    record.keep(store, diagnosis("Deployment shop/cart", took_s=3.0), "inc-3")
    subject = "Deployment shop/web"
    assert record.latest_of(store, "kubernetes", subject, clock.at + 1).took_s == 2.0
    assert record.latest_of(store, "kubernetes", subject, clock.at).took_s == 1.0
    assert record.latest_of(store, "kubernetes", "Deployment shop/x", clock.at) is None


@pytest.mark.parametrize(
    "content",
    [
        {"logs": [{"lines": ["x" * 5000] * 500}] * 20},
        {"a": {str(number): "y" * 900 for number in range(5000)}},
    ],
)
def test_what_is_too_much_is_cut(store, content):
    record.keep(store, diagnosis(content=content), "inc-1")
    assert len(store.value("SELECT content FROM diagnoses")) <= record.MAX_CHARACTERS
    assert record.latest(store, "inc-1").content
    assert len(json.dumps(record.shown(record.latest(store, "inc-1")))) < 1_000_000


def test_a_row_written_by_a_hand_is_no_error(store):
    record.keep(store, diagnosis(), "inc-1")
    store.execute("UPDATE diagnoses SET facts = '7', missing = 'x', content = '[1]', hidden = '{'")
    found = record.latest(store, "inc-1")
    assert (found.facts, found.missing, found.content, found.hidden) == ([], [], {}, {})


def test_a_diagnosis_goes_with_its_incident_and_one_without_by_its_own_age(store, clock):
    old = scene.START - 91 * DAY
    clock.at = old
    scene.incident(store, "old", status="resolved", updated_at=old, resolved_at=old)
    scene.incident(store, "open", updated_at=old)
    for incident_id in ("old", "open", None):
        record.keep(store, diagnosis(), incident_id)
    clock.at = scene.START
    record.keep(store, diagnosis())
    gone = retention.sweep(store, 90)
    assert gone["diagnoses"] == 2 and gone["incidents"] == 1
    left = store.query("SELECT incident_id FROM diagnoses ORDER BY at")
    assert [row["incident_id"] for row in left] == ["open", None]

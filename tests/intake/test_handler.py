"""The entry for people: any form of an alert, and a response at once."""

from __future__ import annotations

import pytest

from selfheal import door
from selfheal.incidents import model, registry
from selfheal.store import load
from tests import alert_scene, stores
from tests.alert_scene import alert, body, incidents

HANDLER = "selfheal.intake.ingest.prometheus_alert_handler"


@pytest.fixture
def url(tmp_path):
    return stores.sqlite_url(tmp_path)


def handle(url, triggers, alert_data, **more):
    ctx = alert_scene.context(url, triggers=triggers)
    return door.call(HANDLER, {"alert_data": alert_data, **more}, context=ctx)


@pytest.mark.parametrize(
    "alert_data",
    [
        body(alert("DiskFull", instance="db-1")),
        alert("DiskFull", instance="db-1"),
        {"labels": {"alertname": "DiskFull", "severity": "critical", "instance": "db-1"}},
        {"alertname": "DiskFull", "severity": "critical", "instance": "db-1", "summary": "full"},
        {"alert_name": "DiskFull", "severity": "page", "instance": "db-1"},
        [alert("DiskFull", instance="db-1")],
    ],
)
def test_every_form_of_an_alert_opens_its_incident_and_starts_a_response(
    url, triggers, store, alert_data
):
    ok, result = handle(url, triggers, alert_data)
    assert ok, result
    incident = incidents(store)[0]
    assert (incident["alert_type"], incident["instance"], incident["severity"]) == (
        "DiskFull",
        "db-1",
        "critical",
    )
    assert (result["incident_id"], result["status"]) == (incident["id"], "open")
    assert triggers.ids("selfheal.alert") == [incident["id"]]


def test_only_a_whole_body_counts_as_alertmanagers_word(url, triggers, store):
    handle(url, triggers, body(alert("A")))
    handle(url, triggers, alert("B"))
    assert [row["source"] for row in incidents(store)] == ["alertmanager", "manual"]


def test_level_and_dry_run_are_set_on_the_incident(url, triggers, store):
    handle(url, triggers, {"alertname": "A"}, response_level="manual", dry_run=True)
    assert (incidents(store)[0]["response_level"], incidents(store)[0]["dry_run"]) == ("manual", 1)
    assert triggers.of("selfheal.alert")[0]["response_level"] == "manual"
    handle(url, triggers, {"alertname": "A"}, response_level="auto")
    assert (incidents(store)[0]["response_level"], incidents(store)[0]["dry_run"]) == ("auto", 0)


def test_incident_that_is_open_gets_its_response_now_unless_one_lives(url, triggers, store):
    first = handle(url, triggers, {"alertname": "A"})[1]["incident_id"]
    assert handle(url, triggers, {"alertname": "A"})[1]["incident_id"] == first
    assert triggers.ids("selfheal.alert") == [first, first]
    registry.claim(store, first, "run-1", 600)
    assert handle(url, triggers, {"alertname": "A"})[1]["status"] == "analyzing"
    assert len(triggers.ids("selfheal.alert")) == 2
    registry.hand_over(store, first, model.ESCALATED, "x", run_id="run-1")
    handle(url, triggers, {"alertname": "A"})
    assert len(triggers.ids("selfheal.alert")) == 3


def test_ended_alert_closes_and_starts_nothing(url, triggers, store):
    incident_id = handle(url, triggers, body(alert("A")))[1]["incident_id"]
    handle(url, triggers, body(alert("A", ends=-1.0)))
    assert (
        triggers.ids("selfheal.alert") ==
        triggers.ids("selfheal.incident_resolved") ==
        [incident_id]
    )


def test_plain_values_are_parted_into_labels_and_annotations(url, triggers, store):
    handle(
        url,
        triggers,
        {
            "name": "A",
            "team": "x",
            "port": 80,
            "description": "d",
            "startsAt": "2026-11-21T21:00:00Z",
        },
    )
    row = store.one("SELECT * FROM alerts")
    assert load(row["labels"]) == {"alertname": "A", "team": "x", "port": "80"}
    assert (
        load(row["annotations"]) == {"description": "d"} and
        row["starts_at"] == "2026-11-21T21:00:00.000Z"
    )


@pytest.mark.parametrize(
    "alert_data",
    [
        None,
        5,
        "x",
        {},
        {"severity": "critical"},
        {"labels": {}},
        {"alerts": []},
        {"alerts": [5]},
        {"labels": 5, "x": 1},
        [],
    ],
)
def test_what_names_no_alert_is_refused_with_the_forms_that_work(url, triggers, store, alert_data):
    ok, result = handle(url, triggers, alert_data)
    assert not ok and result["error_type"] == "InvalidInput" and "alert" in result["error"]
    assert incidents(store) == [] and triggers.sent == []


def test_unknown_level_is_refused(url, triggers):
    ok, result = handle(url, triggers, {"alertname": "A"}, response_level="loud")
    assert not ok and "info, auto, manual" in result["error"]


@pytest.mark.parametrize("status", ["open", "escalated", "remediating", "observed"])
def test_dry_run_does_not_touch_an_incident_that_is_real(url, triggers, store, status):
    first = handle(url, triggers, {"alertname": "A"})[1]["incident_id"]
    store.execute("UPDATE incidents SET status = ? WHERE id = ?", (status, first))
    before = [incidents(store), store.query("SELECT * FROM alerts ORDER BY starts_at")]
    ok, told = handle(url, triggers, {"alertname": "A"}, dry_run=True)
    assert not ok and told["error_type"] == "Refused"
    assert "selfheal.remediate incident_id=%s dry_run=true" % first in told["error"]
    assert [incidents(store), store.query("SELECT * FROM alerts ORDER BY starts_at")] == before
    assert triggers.ids("selfheal.alert") == [first]


def test_dry_run_of_what_was_resolved_opens_an_incident_of_its_own(url, triggers, store):
    first = handle(url, triggers, body(alert("A")))[1]["incident_id"]
    registry.resolve(store, first, "remediated", "closed", "")
    before = incidents(store)
    ok, told = handle(url, triggers, body(alert("A")), dry_run=True)
    assert not ok and "trial=1" in told["error"]
    ok, told = handle(url, triggers, {"alertname": "A"}, dry_run=True)
    assert ok and told["incident_id"] != first
    after = incidents(store)
    assert [one for one in after if one["id"] == first] == before
    assert [one["dry_run"] for one in after if one["id"] != first] == [1]
    assert handle(url, triggers, {"alertname": "A"}, dry_run=True)[1]["opened"] == 0

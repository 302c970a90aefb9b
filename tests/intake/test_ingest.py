"""The webhook's action through the one door: whatever the body, a typed error or a record, and
responses started.
"""

from __future__ import annotations

import pytest

from selfheal import door
from selfheal.incidents import timeline
from selfheal.store import load
from tests import alert_scene, scene, stores
from tests.alert_scene import alert, body, incidents

INGEST = "selfheal.intake.ingest.ingest_alertmanager"


@pytest.fixture
def url(tmp_path):
    return stores.sqlite_url(tmp_path)


def ingest(url, triggers, payload, **sections):
    ctx = alert_scene.context(url, triggers=triggers, **sections)
    return door.call(INGEST, {"payload": payload}, context=ctx)


def test_new_incident_is_stored_and_its_response_asked_for(url, triggers, store):
    ok, result = ingest(url, triggers, body(alert("A", instance="i"), alert("B", instance="i")))
    assert ok and result["opened"] == result["dispatched"] == 2
    assert [each["is_new"] for each in result["incidents"]] == [True, True]
    assert sorted(triggers.ids("selfheal.alert")) == [row["id"] for row in incidents(store)]


def test_all_real_bodies_open_five_incidents_of_which_three_are_over(url, triggers, store):
    for payload in alert_scene.real_bodies().values():
        assert ingest(url, triggers, payload)[0]
    found = {
        (row["alert_type"], row["namespace"]): row["cleared_at"] is not None
        for row in incidents(store)
    }
    assert found == {
        ("HighErrorRate", "prod"): True,
        ("HighErrorRate", "stage"): True,
        ("Flapping", None): True,
        ("AlwaysFiring", None): False,
        ("PodCrashLooping", "prod"): False,
    }
    assert set(triggers.ids("selfheal.incident_resolved")) == {
        row["id"] for row in incidents(store) if row["cleared_at"] is not None
    }


@pytest.mark.parametrize(
    "payload", [None, [], "x", 5, True, {}, {"alerts": 5}, {"version": "1", "alerts": []}]
)
def test_unusable_body_is_a_typed_error_and_kept_for_a_look(url, triggers, store, payload):
    ok, result = ingest(url, triggers, payload)
    assert not ok and result["error_type"] == "InvalidInput" and not result["retryable"]
    kept = store.query("SELECT * FROM rejected_signals")
    assert (
        len(kept) == 1 and
        kept[0]["source"] == "alertmanager" and
        load(kept[0]["sample"]) == payload
    )


def test_body_without_any_alert_is_fine_and_does_nothing(url, triggers, store):
    ok, result = ingest(url, triggers, body())
    assert ok and result["incidents"] == [] and incidents(store) == [] and triggers.sent == []


def test_bad_alerts_are_kept_with_their_reasons_and_the_others_become_incidents(
    url, triggers, store
):
    ok, result = ingest(
        url, triggers, body(alert("A"), 5, {"labels": {}, "x": "\x00\ud800"}, alert("B"))
    )
    assert ok and result["opened"] == 2
    assert [each["reason"].split(" (")[0] for each in result["rejected"]] == [
        "the alert is the value 5, not an object",
        "the alert has no labels",
    ]
    assert len(store.query("SELECT * FROM rejected_signals")) == 2


def test_thousands_of_bad_alerts_fill_neither_the_store_nor_the_result(url, triggers, store):
    ok, result = ingest(url, triggers, body(*[{"labels": {}}] * 5000, alert("A")))
    assert ok and result["opened"] == 1 and len(result["rejected"]) == 50
    assert len(store.query("SELECT * FROM rejected_signals")) == 51


def test_hostile_text_is_intact_in_the_store_and_nothing_of_it_in_triggers(url, triggers, store):
    evil = (
        "{{ config_context.jira_password }}<% ctx() %>{% raw %}`reboot`$(reboot)\x1b[2J\x00\ud800"
    )
    ok, result = ingest(
        url,
        triggers,
        body(alert(evil, annotations={evil: evil}, **{evil: evil, "namespace": evil})),
    )
    assert ok and result["opened"] == 1
    row = store.one("SELECT * FROM alerts")
    assert load(row["labels"])[evil] == evil and load(row["annotations"]) == {evil: evil}
    assert "{{" not in str(result)
    assert set(triggers.of("selfheal.alert")[0]) == {
        "incident_id",
        "severity",
        "alert_type",
        "status",
        "source",
        "alert_count",
        "response_level",
        "dispatch",
    }


@pytest.mark.parametrize("kind", scene.BOTH)
def test_hostile_text_fits_both_databases(kind, tmp_path, triggers):
    evil = "a\x00b\ud800\x1b'\"\\;--%s?"
    ok, result = ingest(
        scene.store_url(kind, tmp_path),
        triggers,
        body(
            alert(
                evil,
                annotations={"summary": evil, evil: evil},
                namespace=evil,
                pod=evil,
                instance=evil,
                cluster=evil,
            ),
            {"labels": {}, evil: evil},
        ),
    )
    assert ok and result["opened"] == 1, result


def test_a_thousand_alerts_become_a_thousand_incidents_twenty_responses_and_one_storm(
    url, triggers, store
):
    many = body(*[alert("A", namespace="p", deployment="app-%d" % n) for n in range(1000)])
    ok, result = ingest(url, triggers, many)
    assert ok and (result["opened"], result["dispatched"], result["waiting"]) == (1000, 20, 980)
    assert (
        len(triggers.ids("selfheal.alert")) == 20 and len(triggers.of("selfheal.alert_storm")) == 1
    )
    ok, result = ingest(url, triggers, many)
    assert ok and result["opened"] == result["dispatched"] == 0 and len(incidents(store)) == 1000


def test_stackstorm_down_after_storing_is_said_and_made_good_later(url, triggers, store):
    triggers.down = True
    ok, result = ingest(url, triggers, body(alert("A")))
    assert ok and result["opened"] == 1 and "StackStorm is down" in result["error"]
    triggers.down = False
    ok, result = ingest(url, triggers, body())
    assert result["dispatched"] == 1 and triggers.ids("selfheal.alert") == [
        incidents(store)[0]["id"]
    ]


def test_own_grouping_and_cluster_label_are_heeded(url, triggers, store):
    ingest(
        url,
        triggers,
        body(alert("A", team="x", region="eu"), alert("B", team="x", region="eu")),
        incidents={"group_by": ["team"]},
        routing={"cluster_label": "region"},
    )
    assert [(row["alert_count"], row["cluster"]) for row in incidents(store)] == [(2, "eu")]


def test_unreachable_database_is_a_typed_error_that_names_the_key(triggers):
    from selfheal.config import Config
    from selfheal.context import Context

    ctx = Context(
        Config({"database": {"url": "sqlite:////proc/none/selfheal.db"}}), platform=triggers
    )
    ok, result = door.call(INGEST, {"payload": body(alert("A"))}, context=ctx)
    assert not ok and result["error_type"] == "StoreError" and "database.url" in result["error"]


# What was left out of a body
# -------------------------------------------------------------------------------------


def api_alert(name, receiver="selfheal", state="active", **labels):
    """One alert as the API lists it."""
    raw = alert(name, **labels)
    return {
        **{
            key: raw[key]
            for key in ("labels", "annotations", "startsAt", "generatorURL", "fingerprint")
        },
        "endsAt": "2026-11-21T23:00:00.000Z",
        "updatedAt": "2026-11-21T21:59:59.000Z",
        "receivers": [{"name": receiver}],
        "status": {"state": state, "inhibitedBy": [], "silencedBy": []},
    }


def answers(*alerts):
    import json

    return scene.Receiver(
        (200, {"content-type": "application/json"}, json.dumps(alerts).encode("utf-8"))
    )


def missing_notes(store):
    return [
        entry["message"]
        for row in incidents(store)
        for entry in timeline.entries(store, row["id"])
        if entry["kind"] == "alerts_missing"
    ]


def truncated_body(left_out):
    return body(
        alert("A", instance="1"),
        alert("A", instance="2"),
        truncated=left_out,
        groupLabels={"alertname": "A"},
        commonLabels={"alertname": "A"},
    )


def test_truncated_alerts_are_fetched_from_the_api(url, triggers, store):
    with answers(
        *[api_alert("A", instance=str(n)) for n in range(1, 6)],
        api_alert("A", "others", instance="9"),
    ) as api:
        ok, result = ingest(url, triggers, truncated_body(3), alertmanager={"url": api.url})
    assert ok and (result["opened"], result["missing"]) == (5, 0) and missing_notes(store) == []
    assert (
        "filter=alertname%3D%22A%22" in api.requests[0]["path"] and
        "silenced=false" in api.requests[0]["path"]
    )


def test_truncated_alerts_that_the_api_does_not_list_are_said_to_be_missing(url, triggers, store):
    with answers(api_alert("A", instance="1"), api_alert("A", instance="3")) as api:
        ok, result = ingest(url, triggers, truncated_body(3), alertmanager={"url": api.url})
    assert ok and (result["opened"], result["missing"]) == (3, 2)
    assert len(missing_notes(store)) == 3 and "left 2 alerts out" in missing_notes(store)[0]


def test_without_an_api_the_timeline_says_so_once(url, triggers, store):
    for _ in range(2):
        ok, result = ingest(url, triggers, truncated_body(3))
    assert ok and result["missing"] == 3
    notes = missing_notes(store)
    assert len(notes) == 2 and "alertmanager.url is not set" in notes[0]


@pytest.mark.parametrize(
    "status, content, words",
    [
        (500, b"oops", "answered 500"),
        (401, b"", "password"),
        (200, b"<html>", "not JSON"),
        (200, b"{}", "list of alerts"),
    ],
)
def test_failing_api_costs_none_of_the_alerts_that_came(
    url, triggers, store, status, content, words
):
    with scene.Receiver((status, {}, content)) as api:
        ok, result = ingest(url, triggers, truncated_body(3), alertmanager={"url": api.url})
    assert ok and (result["opened"], result["missing"]) == (2, 3)
    assert words in missing_notes(store)[0]


def test_cluster_of_the_body_chooses_the_alertmanager(url, triggers):
    with answers(api_alert("A", instance="3", cluster="eu")) as eu, answers() as us:
        targets = {"eu": {"url": eu.url}, "us": {"url": us.url}}
        payload = dict(truncated_body(1), commonLabels={"cluster": "eu"})
        assert ingest(url, triggers, payload, alertmanager=targets)[1]["missing"] == 0
    assert len(eu.requests) == 1 and us.requests == []

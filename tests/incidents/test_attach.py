"""One open incident per cause: opening, duplicates, ends, returns, and two senders at once. On both
databases.
"""

from __future__ import annotations

import threading

import pytest

from selfheal.exceptions import StoreError
from selfheal.incidents import alerts, attach, model, registry, timeline
from selfheal.store import load, open_store
from tests import alert_scene
from tests.alert_scene import alert_states, incidents, signal

LEVELS = attach.AttachSettings


@pytest.fixture
def clock():
    return alert_scene.clock()


@pytest.fixture
def store(url, clock):
    return open_store(url, now=clock.now)


def bring(store, *signals, **settings):
    return attach.attach(store, list(signals), attach.AttachSettings(**settings))


def kinds(store, incident_id):
    return [entry["kind"] for entry in timeline.entries(store, incident_id)]


def only(store):
    found = incidents(store)
    assert len(found) == 1
    return found[0]


def test_alerts_of_one_cause_open_one_incident(store):
    done = bring(store, *[signal("PodDown", namespace="prod", pod="web-%d" % n) for n in range(3)])
    incident = only(store)
    assert done.opened == [incident["id"]] == done.touched and done.attached == done.cleared == []
    assert (incident["status"], incident["alert_count"], incident["workload"]) == ("open", 3, "web")
    entry = timeline.entries(store, incident["id"])[0]
    assert entry["kind"] == "opened" and entry["message"] == "opened by 3 alerts"


def test_incident_holds_what_raised_it_as_it_came(store):
    text = "{{ config_context.jira_password }} <% ctx() %> \x00 \ud800 $(reboot)"
    bring(store, signal("A", annotations={"summary": text, text: "x"}, evil=text))
    kept = load(only(store)["signal"])
    assert kept["labels"]["evil"] == text and kept["annotations"] == {"summary": text, text: "x"}
    row = alerts.alerts_of(store, only(store)["id"])[0]
    assert row["labels"]["evil"] == text and row["annotations"][text] == "x"


def test_duplicate_changes_nothing_but_when_it_was_seen(store, clock):
    first = bring(store, signal())
    before = only(store)
    clock.at += 30
    again = bring(store, signal())
    assert again.opened == again.attached == again.reopened == again.cleared == []
    assert again.touched == first.opened
    changed = {name for name, value in only(store).items() if value != before[name]}
    assert changed == {"updated_at", "last_seen_at"}
    assert kinds(store, before["id"]) == ["opened"]


def test_refiring_alert_attaches_to_the_open_incident_and_replaces_its_older_start(store):
    bring(store, signal(starts=-60.0))
    done = bring(store, signal(starts=-10.0))
    assert done.attached == [only(store)["id"]]
    assert sorted(alert_states(store).values()) == ["firing", "superseded"]
    assert only(store)["alert_count"] == 1 and "alert_resolved" not in kinds(
        store, only(store)["id"]
    )


def test_older_start_that_comes_late_does_not_fire(store):
    bring(store, signal(starts=-10.0))
    bring(store, signal(starts=-60.0))
    assert [alert_states(store)[key] for key in sorted(alert_states(store))] == [
        "superseded",
        "firing",
    ]


def test_last_end_clears_the_incident_and_leaves_closing_to_others(store, clock):
    bring(store, signal(pod="web-1", namespace="p"), signal(pod="web-2", namespace="p"))
    assert bring(store, signal(pod="web-1", namespace="p", ends=-5.0)).cleared == []
    clock.at += 5
    done = bring(store, signal(pod="web-2", namespace="p", ends=-5.0))
    incident = only(store)
    assert (
        done.cleared == [incident["id"]] and
        incident["cleared_at"] == clock.at and
        incident["status"] == "open"
    )
    messages = [
        e["message"]
        for e in timeline.entries(store, incident["id"])
        if e["kind"] == "alert_resolved"
    ]
    assert messages == ["1 alert ended, 1 still firing", "1 alert ended, 0 still firing"]
    assert bring(store, signal(pod="web-2", namespace="p", ends=-5.0)).cleared == []


def test_cause_that_fires_again_before_the_closing_is_not_cleared_any_more(store):
    bring(store, signal(starts=-60.0))
    bring(store, signal(starts=-60.0, ends=-30.0))
    bring(store, signal(starts=-20.0))
    assert only(store)["cleared_at"] is None and only(store)["reopened"] == 0


def test_end_before_its_start_leaves_a_tombstone(store):
    done = bring(store, signal(ends=-5.0))
    incident = only(store)
    assert done.opened == done.cleared == [] and done.touched == [incident["id"]]
    assert (incident["status"], incident["resolution"]) == ("resolved", "self_resolved")
    late = bring(store, signal())
    assert late.opened == late.reopened == late.attached == []
    assert only(store)["status"] == "resolved" and set(alert_states(store).values()) == {"resolved"}


def test_neighbour_of_a_tombstone_opens_the_recorded_incident_and_that_is_no_return(store):
    bring(store, signal(pod="web-1", namespace="p", ends=-5.0))
    done = bring(store, signal(pod="web-2", namespace="p"))
    assert done.opened == [only(store)["id"]] and done.reopened == []
    assert (only(store)["status"], only(store)["reopened"], only(store)["alert_count"]) == (
        "open",
        0,
        2,
    )


def test_end_covers_the_earlier_starts_of_its_alert(store):
    # Two Prometheus of a pair report one alert with different starts; Alertmanager merges them to
    # the earlier.
    bring(store, signal(starts=-50.0))
    bring(store, signal(starts=-60.0))
    assert bring(store, signal(starts=-60.0, ends=-5.0)).cleared == [only(store)["id"]]
    assert "firing" not in alert_states(store).values()


def test_cause_back_within_the_window_reopens_its_incident(store, clock):
    incident_id = bring(store, signal(starts=-60.0)).opened[0]
    store.execute("UPDATE incidents SET dispatched_at = ?, severity = 'critical'", (clock.at,))
    bring(store, signal(starts=-60.0, ends=-50.0))
    registry.resolve(store, incident_id, "remediated", "closed")
    clock.at += 29 * 60
    done = bring(
        store, signal(starts=-40.0, severity="warning"), signal(starts=-40.0, severity="info")
    )
    incident = only(store)
    assert done.reopened == [incident_id] and done.opened == []
    assert (incident["status"], incident["reopened"], incident["severity"]) == (
        "open",
        1,
        "warning",
    )
    assert (
        incident["dispatched_at"]
        is incident["cleared_at"]
        is incident["resolved_at"]
        is incident["resolution"]
        is None
    )
    assert kinds(store, incident_id)[-1] == "reopened"


def test_cause_back_after_the_window_is_a_new_incident(store, clock):
    old = bring(store, signal(starts=-60.0)).opened[0]
    bring(store, signal(starts=-60.0, ends=-50.0))
    registry.resolve(store, old, "self_resolved", "closed")
    clock.at += 31 * 60
    done = bring(store, signal(starts=-40.0))
    assert done.opened and done.opened != [old] and len(incidents(store)) == 2


def test_reopened_incident_is_for_real_even_if_it_was_a_dry_run(store, clock):
    incident_id = bring(store, signal(starts=-60.0), response_level="manual", dry_run=True).opened[
        0
    ]
    bring(store, signal(starts=-60.0, ends=-50.0))
    registry.resolve(store, incident_id, "self_resolved", "closed")
    bring(store, signal(starts=-40.0))
    assert (only(store)["dry_run"], only(store)["response_level"]) == (0, "auto")


def test_real_alert_ends_the_dry_run_of_an_open_incident(store):
    raw = signal(starts=-60.0)
    incident_id = bring(store, raw, dry_run=True).opened[0]
    registry.hand_over(store, incident_id, model.OBSERVED, "planned")
    bring(store, raw)
    assert only(store)["status"] == "observed"
    bring(store, signal(starts=-10.0))
    assert (only(store)["dry_run"], only(store)["status"], only(store)["dispatched_at"]) == (
        0,
        "open",
        None,
    )


def test_severity_rises_to_the_worst_and_never_falls_while_open(store):
    bring(store, signal(severity="warning", pod="web-1", namespace="p"))
    bring(store, signal(severity="critical", pod="web-2", namespace="p"))
    bring(store, signal(severity="info", pod="web-3", namespace="p"))
    bring(store, signal(severity="critical", pod="web-2", namespace="p", ends=-1.0))
    assert only(store)["severity"] == "critical"


@pytest.mark.parametrize("status", sorted(model.HANDED_OVER | model.RESPONDING))
def test_incident_in_any_open_state_attracts_and_keeps_its_state(store, status):
    incident_id = bring(store, signal(pod="web-1", namespace="p")).opened[0]
    registry.move(store, incident_id, status)
    done = bring(store, signal(pod="web-2", namespace="p"))
    assert done.attached == [incident_id] and only(store)["status"] == status
    done = bring(
        store,
        signal(pod="web-1", namespace="p", ends=-1.0),
        signal(pod="web-2", namespace="p", ends=-1.0),
    )
    assert done.cleared == [incident_id] and only(store)["status"] == status


def test_message_on_its_way_while_the_incident_was_closed_does_not_reopen_it(store, clock):
    incident_id = bring(store, signal()).opened[0]
    registry.resolve(
        store, incident_id, "remediated", "verified by the API; the end has not come yet"
    )
    clock.at += attach.LATE_MESSAGE_S - 1
    bring(store, signal())
    assert only(store)["status"] == "resolved"


def test_alert_that_goes_on_firing_reopens_what_was_closed_too_early(store, clock):
    incident_id = bring(store, signal()).opened[0]
    registry.resolve(store, incident_id, "remediated", "closed")
    clock.at += attach.LATE_MESSAGE_S
    assert bring(store, signal()).reopened == [incident_id]
    assert (
        timeline.entries(store, incident_id)[-1]["message"] ==
        "the cause is back: reopened by 1 alert"
    )


def test_incident_closed_by_hand_is_left_alone_for_the_whole_window(store, clock):
    incident_id = bring(store, signal()).opened[0]
    registry.resolve(store, incident_id, "manual", "closed by hand")
    clock.at += 29 * 60
    assert bring(store, signal()).reopened == []
    clock.at += 2 * 60
    assert bring(store, signal()).opened


def test_what_alertmanager_itself_confirms_fires_although_its_end_was_seen(store):
    bring(store, signal(starts=-60.0))
    bring(store, signal(starts=-60.0, ends=-30.0))
    assert bring(store, signal(starts=-60.0, confirmed_at=-31.0)).attached == []
    assert only(store)["cleared_at"] is not None
    assert bring(store, signal(starts=-60.0, confirmed_at=-29.0)).attached == [only(store)["id"]]
    assert only(store)["cleared_at"] is None and list(alert_states(store).values()) == ["firing"]


def test_alerts_of_deleted_incidents_open_new_ones(store):
    bring(store, signal())
    store.execute("DELETE FROM incidents")
    assert bring(store, signal()).opened == [only(store)["id"]]


def test_nothing_is_stored_when_the_batch_fails(store, monkeypatch):
    def fail(*_args):
        raise StoreError("disk full")

    monkeypatch.setattr(attach, "tally", fail)
    with pytest.raises(StoreError):
        bring(store, signal())
    assert incidents(store) == [] and alert_states(store) == {}


def test_empty_batch_touches_nothing(store):
    assert bring(store) == attach.Attachment() and incidents(store) == []


def test_senders_at_the_same_time_end_in_one_incident(url, clock):
    batches = [
        [signal("A", namespace="p", pod="web-%d" % (n % 5)), signal("B", instance=str(n % 3))]
        for n in range(12)
    ]
    errors = []

    def send(batch):
        try:
            mine = open_store(url, now=clock.now)
            bring(mine, *batch)
            mine.close()
        except Exception as error:
            errors.append(error)

    open_store(url, now=clock.now).close()
    threads = [threading.Thread(target=send, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = open_store(url, now=clock.now)
    assert errors == []
    assert sorted((row["alert_type"], row["alert_count"]) for row in incidents(store)) == [
        ("A", 5),
        ("B", 1),
        ("B", 1),
        ("B", 1),
    ]

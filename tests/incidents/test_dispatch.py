"""Who gets a response now: the worst first, never more than the limit, no trigger lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from selfheal.incidents import dispatch as dispatching
from selfheal.incidents import model, registry
from selfheal.incidents.attach import attach
from selfheal.incidents.dispatch import dispatch
from selfheal.store import open_store
from tests import alert_scene, scene
from tests.alert_scene import incidents, signal


@pytest.fixture
def clock():
    return alert_scene.clock()


@pytest.fixture
def triggers():
    return alert_scene.Triggers()


@pytest.fixture
def ctx(url, clock, triggers):
    return alert_scene.context(url, clock, triggers, safety={"max_responses_per_batch": 3})


def open_incidents(ctx, *severities):
    """One incident per severity; their ids, in that order."""
    known = len(incidents(ctx.store))
    return [
        attach(ctx.store, [signal("A", instance="i%d" % (known + n), severity=severity)]).opened[0]
        for n, severity in enumerate(severities)
    ]


def test_trigger_carries_ids_and_enums_only(ctx, triggers):
    (incident_id,) = open_incidents(ctx, "critical")
    result = dispatch(ctx)
    assert result == {
        "dispatched": [incident_id],
        "closing": [],
        "waiting": 0,
        "storm": False,
        "error": "",
    }
    assert triggers.sent == [
        (
            "selfheal.alert",
            {
                "incident_id": incident_id,
                "severity": "critical",
                "alert_type": "A",
                "status": "firing",
                "source": "alertmanager",
                "alert_count": 1,
                "response_level": "auto",
                "dispatch": registry.dispatch_number(ctx.clock.now()),
            },
        )
    ]
    assert incidents(ctx.store)[0]["dispatched_at"] == ctx.clock.now()


def test_errors_of_logs_have_a_trigger_of_their_own(ctx, triggers):
    text = "{{ config_context.jira_password }} <% ctx() %>" + "x" * 2000
    labels = {
        "error_type": "database",
        "fingerprint": "v1:00000000000000000001",
        "host": "web-1",
        "program": "shop",
        "namespace": text,
    }
    annotations = {
        "count": "7",
        "first_seen": "2026-11-21T21:59:00.000Z",
        "last_seen": "2026-11-21T21:59:30.000Z",
        "sample": text,
    }
    incident_id = scene.incident(
        ctx.store,
        source="elk",
        alert_type="DatabaseErrors",
        signal={"labels": labels, "annotations": annotations},
    )
    assert dispatch(ctx)["dispatched"] == [incident_id]
    [(trigger, payload)] = triggers.sent
    assert trigger == "selfheal.elk_error"
    assert len(payload.pop("sample")) == 500
    assert len(payload.pop("namespace")) == 253
    assert payload == {
        "incident_id": incident_id,
        "type": "database",
        "alert_type": "DatabaseErrors",
        "severity": "critical",
        "status": "firing",
        "source": "elk",
        "fingerprint": "v1:00000000000000000001",
        "count": 7,
        "first_seen": "2026-11-21T21:59:00.000Z",
        "last_seen": "2026-11-21T21:59:30.000Z",
        "host": "web-1",
        "program": "shop",
        "cluster": "",
        "workload": "",
        "pod": "",
        "alert_count": 1,
        "response_level": "auto",
        "dispatch": registry.dispatch_number(ctx.clock.now()),
    }


@pytest.mark.parametrize("signal_column", [{}, {"labels": None}, {"annotations": {"count": "x"}}])
def test_an_incident_of_logs_without_details_is_announced_all_the_same(
    ctx, triggers, signal_column
):
    scene.incident(ctx.store, source="elk", signal=signal_column)
    dispatch(ctx)
    [payload] = triggers.of("selfheal.elk_error")
    assert (payload["incident_id"], payload["count"], payload["sample"]) == ("inc-1", 0, "")


def test_most_severe_go_first_and_the_rest_waits_and_one_storm_is_told(ctx, triggers):
    ids = open_incidents(ctx, "info", "warning", "critical", "error", "warning")
    result = dispatch(ctx)
    assert triggers.ids("selfheal.alert") == [ids[2], ids[3], ids[1]]
    assert result["waiting"] == 2 and result["storm"]
    assert triggers.of("selfheal.alert_storm") == [
        {"count": 5, "dispatched": 3, "waiting": 2, "worst_severity": "warning"}
    ]
    assert dispatch(ctx)["dispatched"] == [] and len(triggers.of("selfheal.alert_storm")) == 1


def test_room_appears_when_a_response_ends_and_is_kept_while_one_lives(ctx, triggers):
    ids = open_incidents(ctx, *["critical"] * 5)
    first = dispatch(ctx)["dispatched"]
    for incident_id in first:
        registry.claim(ctx.store, incident_id, "run-" + incident_id, 600)
    assert dispatch(ctx)["dispatched"] == []
    registry.hand_over(ctx.store, first[0], model.ESCALATED, "done", run_id="run-" + first[0])
    assert dispatch(ctx)["dispatched"] == [ids[3]]


def test_responses_that_wait_for_an_answer_leave_room_for_others(ctx):
    ids = open_incidents(ctx, *["critical"] * 4)
    for incident_id in dispatch(ctx)["dispatched"]:
        registry.claim(ctx.store, incident_id, "run-" + incident_id, 600)
        registry.move(ctx.store, incident_id, model.AWAITING_APPROVAL)
    assert dispatch(ctx)["dispatched"] == [ids[3]]


def test_storm_is_told_again_only_after_a_calm(ctx, triggers):
    ids = open_incidents(ctx, *["critical"] * 4)
    dispatch(ctx)
    for incident_id in ids:
        registry.resolve(ctx.store, incident_id, "manual", "closed")
    dispatch(ctx)
    open_incidents(ctx, *["critical"] * 4)
    dispatch(ctx)
    assert len(triggers.of("selfheal.alert_storm")) == 2


def test_response_that_never_began_is_asked_for_again_after_two_minutes(ctx, clock, triggers):
    (incident_id,) = open_incidents(ctx, "critical")
    dispatch(ctx)
    clock.at += dispatching.CLAIM_WITHIN_S - 1
    assert dispatch(ctx)["dispatched"] == []
    clock.at += 1
    assert dispatch(ctx)["dispatched"] == [incident_id]
    registry.claim(ctx.store, incident_id, "run-1", 600)
    clock.at += 1000
    assert dispatch(ctx)["dispatched"] == []


def test_trigger_that_did_not_get_out_is_sent_by_the_next_call(ctx, triggers):
    ids = open_incidents(ctx, "critical", "warning")
    attach(ctx.store, [signal("Gone", ends=-1.0)])
    triggers.down = True
    result = dispatch(ctx)
    assert result["dispatched"] == [] and "StackStorm is down" in result["error"]
    assert all(row["dispatched_at"] is None for row in incidents(ctx.store))
    triggers.down = False
    assert dispatch(ctx)["dispatched"] == ids


def test_cleared_incident_is_told_once_at_once_and_again_until_it_is_closed(ctx, clock, triggers):
    (incident_id,) = open_incidents(ctx, "critical")
    done = attach(ctx.store, [signal("A", instance="i0", severity="critical", ends=-1.0)])
    assert done.cleared == [incident_id]
    result = dispatch(ctx, cleared=done.cleared)
    assert result["closing"] == [incident_id] and result["dispatched"] == []
    assert triggers.sent == [
        (
            "selfheal.incident_resolved",
            {"incident_id": incident_id, "severity": "critical", "source": "alertmanager"},
        )
    ]
    assert dispatch(ctx, cleared=[])["closing"] == dispatch(ctx)["closing"] == []
    clock.at += dispatching.CLOSE_WITHIN_S
    assert dispatch(ctx)["closing"] == [incident_id]
    registry.resolve(ctx.store, incident_id, "self_resolved", "closed")
    assert dispatch(ctx)["closing"] == []


def test_handed_over_incident_is_closed_too_when_its_alerts_end(ctx):
    (incident_id,) = open_incidents(ctx, "critical")
    registry.hand_over(ctx.store, incident_id, model.ESCALATED, "people look")
    done = attach(ctx.store, [signal("A", instance="i0", severity="critical", ends=-1.0)])
    assert dispatch(ctx, cleared=done.cleared)["closing"] == [incident_id]


def test_forced_incident_passes_the_limit_but_not_a_living_response(ctx, triggers):
    ids = open_incidents(ctx, *["critical"] * 5)
    dispatch(ctx)
    assert dispatch(ctx, force=[ids[4]])["dispatched"] == [ids[4]]
    assert dispatch(ctx, force=[ids[4]])["dispatched"] == [ids[4]]
    registry.claim(ctx.store, ids[4], "run-1", 600)
    assert dispatch(ctx, force=[ids[4]])["dispatched"] == []


@pytest.mark.parametrize(
    "status, expected",
    [
        (model.ESCALATED, True),
        (model.TICKETED, True),
        (model.OBSERVED, True),
        (model.RESOLVED, False),
    ],
)
def test_forced_incident_may_be_handed_over_but_not_closed(ctx, status, expected):
    (incident_id,) = open_incidents(ctx, "critical")
    registry.move(ctx.store, incident_id, status, resolved_at=ctx.clock.now())
    assert bool(dispatch(ctx, force=[incident_id])["dispatched"]) is expected


def test_limit_of_zero_starts_nothing_and_says_that_it_waits(url, clock, triggers):
    ctx = alert_scene.context(url, clock, triggers, safety={"max_responses_per_batch": 0})
    open_incidents(ctx, "critical")
    assert dispatch(ctx)["waiting"] == 1 and triggers.ids("selfheal.alert") == []


def test_processes_at_the_same_time_start_each_response_once_and_keep_the_limit(
    url, clock, triggers
):
    ids = open_incidents(alert_scene.context(url, clock), *["critical"] * 8)
    contexts = [
        alert_scene.context(url, clock, triggers, safety={"max_responses_per_batch": 5})
        for _ in range(6)
    ]
    threads = [threading.Thread(target=dispatch, args=(each,)) for each in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(triggers.ids("selfheal.alert")) == ids[:5]


KILLED = """
import os, sys
sys.path[:0] = sys.argv[2:]
from tests import alert_scene
from selfheal.incidents.dispatch import dispatch

class Dying(alert_scene.Triggers):
    def inject(self, trigger, payload):
        os._exit(9)

dispatch(alert_scene.context(sys.argv[1], triggers=Dying()))
"""


def test_process_killed_while_it_injects_loses_nothing(url, ctx, clock, triggers):
    ids = open_incidents(ctx, "critical", "warning")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, url, *sys.path],
        check=False,
        timeout=300,
        cwd=os.getcwd(),
        stderr=subprocess.PIPE,
    )
    assert killed.returncode == 9, killed.stderr.decode()
    assert dispatch(ctx)["dispatched"] == []  # both are marked; the marks lapse
    clock.at += dispatching.CLAIM_WITHIN_S
    assert dispatch(ctx)["dispatched"] == ids


def test_clock_that_is_set_back_holds_up_no_response_and_no_closing(ctx, clock, triggers):
    lost, over = open_incidents(ctx, "critical", "warning")
    ctx.store.execute("UPDATE incidents SET dispatched_at = ? WHERE id = ?", (clock.at, lost))
    registry.update(ctx.store, over, cleared_at=clock.at)
    clock.at -= 3 * 3600
    result = dispatch(ctx)
    assert (result["dispatched"], result["closing"]) == ([lost], [over])
    assert dispatch(ctx)["dispatched"] == []


def test_processes_in_one_storm_tell_it_once(url, clock):
    open_incidents(alert_scene.context(url, clock), *["critical"] * 3)
    start = threading.Barrier(4)

    class Slow(alert_scene.Triggers):
        def inject(self, trigger, payload):
            time.sleep(0.2)  # long enough for the others to come by
            super().inject(trigger, payload)

    triggers = Slow()

    def tell():
        mine = alert_scene.context(url, clock, triggers, safety={"max_responses_per_batch": 0})
        start.wait(180)
        dispatch(mine)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(triggers.of("selfheal.alert_storm")) == 1
    store = open_store(url)
    assert store.value("SELECT COUNT(*) FROM locks") == 0

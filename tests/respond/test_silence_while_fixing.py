"""The silence over an incident's own alerts while a remedy runs: there while it acts, gone when it
is over, and never in its way.
"""

from __future__ import annotations

import socket
import threading
import time

import pytest

from selfheal.incidents import registry
from selfheal.notify import silence_rows as rows
from selfheal.operate.housekeeping import housekeeping
from selfheal.outbox import letters
from selfheal.respond import finish, silences_by_hand, silencing, telling
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from selfheal.respond.verify import verify_resolution
from tests.live_alertmanager import Alertmanager, get_json
from tests.remedy import scenes

LABELS = {"alertname": "ServiceDown", "service": "shop"}
WITHIN_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        running.post_alerts(
            [{"labels": LABELS}, {"labels": dict(LABELS, service="other")}] +
            [{"labels": {"alertname": "Many", "n": str(number)}} for number in range(5)]
        )
        yield running


@pytest.fixture
def ctx(tmp_path, server):
    made = context(tmp_path, server.url)
    yield made
    made.close()
    for one in living(server):
        server.unsilence(one["id"])


def context(tmp_path, url, **safety):
    return scenes.context_for(
        tmp_path,
        values={
            "alertmanager": {"url": url, "timeout_s": 60},
            "safety": {"silence_while_fixing": True, **safety},
        },
        verify_timeout=1,
    )


def living(server):
    found = get_json(server.url + "/api/v2/silences")
    return [one for one in found if one["status"]["state"] != "expired"]


def muted(server):
    alerts = get_json(server.url + "/api/v2/alerts?active=false&silenced=true&inhibited=true")
    return sorted(alert["labels"]["service"] for alert in alerts)


def decided(ctx, run_id="run-1", labels=None, **fields):
    """An incident of Alertmanager's that is about to be remedied."""
    fields = {"source": "alertmanager", **fields}
    incident_id = scenes.add_incident(ctx.store, labels=labels or LABELS, **fields)
    assert analyze_incident(ctx, incident_id, run_id)["state"] == "claimed"
    assert determine_response_strategy(ctx, incident_id, run_id)["strategy"] == "automated"
    return incident_id


def waiting_runbook(tmp_path):
    """A runbook that says that it runs, and ends when it is told to."""
    script = "touch %s/runs; until [ -e %s/go ]; do sleep 0.02; done" % (tmp_path, tmp_path)
    scenes.write_runbook(tmp_path, steps=[{"name": "wait", "command": scenes.shell(script)}])


def until(is_so):
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kinds(ctx, incident_id):
    entries = scenes.timeline_of(ctx.store, incident_id)
    return [e["kind"] for e in entries if e["kind"].startswith("silence")]


def test_own_alerts_are_muted_while_the_remedy_acts_and_until_it_is_proven(ctx, server, tmp_path):
    waiting_runbook(tmp_path)
    incident_id = decided(ctx)
    seen = []

    def look():
        until((tmp_path / "runs").exists)
        until(lambda: muted(server))
        seen.append(muted(server))
        (tmp_path / "go").touch()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    finally:
        (tmp_path / "go").touch()
        looking.join()
    assert seen == [["shop"]]  # and not the other's
    (there,) = living(server)
    assert there["createdBy"] == "selfheal" and incident_id in there["comment"]
    known = [a["fingerprint"] for a in server.alerts() if a["labels"] == LABELS]
    ctx.store.execute("UPDATE alerts SET fingerprint = ?", known)
    assert verify_resolution(ctx, incident_id, "run-1")["resolved"] is False
    telling.deliver(ctx)
    assert living(server) == []
    assert kinds(ctx, incident_id) == ["silenced", "silence_ended"]


def test_silence_ends_with_the_incident(ctx, server, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    telling.deliver(ctx)
    assert muted(server) == ["shop"]
    finish.close_incident(ctx, incident_id, "run-1", "remediated")
    telling.deliver(ctx)
    assert living(server) == []


def test_silence_ends_with_a_remedy_that_fails(ctx, server, tmp_path):
    scenes.write_runbook(
        tmp_path, steps=[{"name": "break", "command": {"argv": ["false"]}}]
    )
    incident_id = decided(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "failed"
    telling.deliver(ctx)
    assert living(server) == []
    assert [one.status for one in rows.of_incident(ctx.store, incident_id)] == [rows.ENDED]


def test_silence_of_a_response_that_died_is_ended_by_housekeeping(ctx, server, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    telling.deliver(ctx)
    silencing.settle(ctx)
    assert len(living(server)) == 1  # the response is still at work
    registry.hand_over(ctx.store, incident_id, "escalated", "somebody took it")
    housekeeping(ctx)
    telling.deliver(ctx)
    assert living(server) == []


def test_silence_a_person_asked_for_outlasts_the_remedy_but_not_the_incident(
    ctx, server, tmp_path
):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    by_hand = silences_by_hand.silence_create(ctx, incident_id=incident_id, minutes=30)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    verify_resolution(ctx, incident_id, "run-1")
    telling.deliver(ctx)
    (there,) = living(server)
    assert by_hand["id"] in there["comment"]  # the same matchers: one silence
    finish.close_incident(ctx, incident_id, "run-1")
    telling.deliver(ctx)
    assert living(server) == []


def test_nothing_is_silenced_unless_that_is_switched_on(tmp_path, server):
    ctx = context(tmp_path, server.url, silence_while_fixing=False)
    scenes.write_runbook(tmp_path)
    assert remediate(ctx, decided(ctx), "run-1")["outcome"] == "done"
    assert scenes.rows_of(ctx.store, "silences") == scenes.rows_of(ctx.store, "outbox") == []
    ctx.close()


def test_nothing_is_silenced_by_a_dry_run_or_for_what_alertmanager_does_not_know(
    ctx, server, tmp_path
):
    scenes.write_runbook(tmp_path)
    assert remediate(ctx, decided(ctx), "run-1", dry_run=True)["outcome"] == "planned"
    by_hand = decided(ctx, source="manual", service="two")
    assert remediate(ctx, by_hand, "run-1")["outcome"] == "done"
    assert scenes.rows_of(ctx.store, "silences") == []


def test_too_many_alerts_are_not_silenced_and_remedied_all_the_same(tmp_path, server):
    ctx = context(tmp_path, server.url, max_silenced_alerts=0)
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    telling.deliver(ctx)
    assert living(server) == [] and kinds(ctx, incident_id) == ["silence_refused"]
    assert letters.pending_count(ctx.store) == letters.dead_count(ctx.store) == 0
    ctx.close()


def test_alerts_without_labels_in_common_are_not_silenced(ctx, server, tmp_path):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    ctx.store.execute("UPDATE alerts SET labels = '{}' WHERE incident_id = ?", (incident_id,))
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    assert kinds(ctx, incident_id) == ["silence_refused"]


def test_alertmanager_that_does_not_answer_holds_up_nothing(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        ctx = context(tmp_path, "http://127.0.0.1:9")
        scenes.write_runbook(tmp_path)
        incident_id = decided(ctx)
        silent_url = "http://127.0.0.1:%d" % silent.getsockname()[1]
        ctx.config.values["alertmanager"]["url"] = silent_url
        assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
        # It is waited for a minute, and nobody has waited with it.
        assert letters.pending_count(ctx.store) == 1
        assert [one.status for one in rows.of_incident(ctx.store, incident_id)] == [rows.ASKED]
        ctx.close()


def test_alertmanager_that_is_not_there_or_not_set_changes_nothing(tmp_path):
    for number, url in enumerate(("http://127.0.0.1:9", "")):
        ctx = context(tmp_path, url)
        scenes.write_runbook(tmp_path)
        incident_id = decided(ctx, run_id="run-%d" % number, service="s%d" % number)
        assert remediate(ctx, incident_id, "run-%d" % number)["outcome"] == "done"
        assert kinds(ctx, incident_id) == ([] if url else ["silence_refused"])
        ctx.close()

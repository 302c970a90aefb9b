"""The close look before anything is decided: kept, told, attached to messages, and the cause of the
incident follows what is wrong now, as long as it is ours to change.
"""

from __future__ import annotations

import json

import pytest

from selfheal.diagnose import record
from selfheal.incidents import queries, registry
from selfheal.notify import messages
from selfheal.respond import telling
from selfheal.respond.analyze import analyze_incident
from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy import scenes

LOG = "login with token=abc123xyz\nConnectionRefusedError: [Errno 111] Connection refused\n"


@pytest.fixture
def ctx(tmp_path, kubernetes, namespace, url):
    target = kubernetes.target(namespace, settle_s=0)
    context = scenes.context_for(tmp_path, values={"kubernetes": target}, url=url)
    yield context
    context.close()


@pytest.fixture
def crashing(kubernetes, namespace):
    with Kubelet(kubernetes, namespace):
        notes = {"test/previous-log": LOG, "test/log": LOG}
        kubernetes.create(manifests.deployment(namespace, "web", "bad:crash", 2, notes=notes))

        def have_crashed_often():
            restarts = [
                pod["status"]["containerStatuses"][0]["restartCount"]
                for pod in kubernetes.find("Pod", namespace)
            ]
            return len(restarts) == 2 and min(restarts) >= 3

        kubernetes.until(have_crashed_often)
        yield


def incident_for(ctx, namespace, source="kubernetes", alert_type="ReplicasShort", **more):
    labels = {
        "alertname": alert_type, "workload_kind": "Deployment", "namespace": namespace,
        "workload": "web", **more,
    }
    return scenes.add_incident(
        ctx.store, source=source, labels=labels, namespace=namespace, workload="web"
    )


def test_what_was_found_is_evidence_and_is_kept_and_told(ctx, namespace, crashing):
    incident_id = incident_for(ctx, namespace)
    assert analyze_incident(ctx, incident_id, "run-1")["state"] == "claimed"
    incident = registry.get(ctx.store, incident_id)
    evidence = "\n".join(messages.evidence(incident))
    assert "PodCrashLooping: " in evidence
    assert "Connection refused" in evidence
    assert evidence.index("Connection refused") < evidence.index("history: ")
    kept = record.latest(ctx.store, incident_id)
    assert kept.subject.startswith("Deployment %s/web" % namespace)
    (told,) = scenes.timeline_of(ctx.store, incident_id, "diagnosed")
    assert told["message"].startswith("looked at Deployment %s/web" % namespace)
    shown = queries.incident_get(ctx, incident_id)["diagnosis"]
    assert shown["diagnosis_id"] == kept.id and shown["logs"][0]["previous"] is True
    whole = json.dumps([shown, incident.analysis, told["data"]])
    assert "abc123xyz" not in whole


def test_a_ticket_and_an_escalation_carry_the_log_and_the_events(ctx, namespace, crashing):
    incident_id = incident_for(ctx, namespace)
    analyze_incident(ctx, incident_id, "run-1")
    account = telling.account_of(ctx.store, registry.get(ctx.store, incident_id))
    for payload in (messages.escalation(account, "not_resolved"), messages.ticket(account)):
        text = payload["text"]
        assert "of pod web-" in text and ", the run before, the end:" in text
        assert "  - ConnectionRefusedError: [Errno 111] Connection refused" in text
        assert "Events:" in text and "BackOff on Pod web-" in text
        assert payload["diagnosis"]["logs"] and len(json.dumps(payload)) < 200_000
        assert "abc123xyz" not in json.dumps(payload)


def test_the_cause_follows_what_is_wrong_now_before_a_runbook_is_chosen(
    ctx, namespace, crashing, tmp_path
):
    scenes.write_runbook(
        tmp_path, name="crashed", metadata={"alert_type": "PodCrashLooping"}
    )
    incident_id = incident_for(ctx, namespace)
    answer = analyze_incident(ctx, incident_id, "run-1")
    assert (answer["alert_type"], answer["runbook"]) == ("PodCrashLooping", "crashed")
    incident = registry.get(ctx.store, incident_id)
    assert incident.labels["container"] == "main"
    assert "web" in incident.title
    (changed,) = scenes.timeline_of(ctx.store, incident_id, "cause_changed")
    assert changed["data"] == {"before": "ReplicasShort", "after": "PodCrashLooping"}


def test_by_hand_it_follows_as_well(ctx, namespace, crashing):
    incident_id = incident_for(ctx, namespace)
    assert analyze_incident(ctx, incident_id)["alert_type"] == "PodCrashLooping"


def test_an_alert_keeps_the_name_that_its_runbooks_know(ctx, namespace, crashing):
    incident_id = incident_for(ctx, namespace, source="alertmanager", alert_type="ShopDown")
    answer = analyze_incident(ctx, incident_id, "run-1")
    assert answer["alert_type"] == "ShopDown"
    assert record.latest(ctx.store, incident_id) is not None
    assert scenes.timeline_of(ctx.store, incident_id, "cause_changed") == []


def test_what_only_the_sensor_sees_and_explains_more_stays(ctx, namespace, crashing):
    incident_id = incident_for(
        ctx, namespace, alert_type="PodRestartingOften", state="pod_restarting_often"
    )
    assert analyze_incident(ctx, incident_id, "run-1")["alert_type"] == "PodCrashLooping"
    incident_id = incident_for(ctx, namespace, alert_type="PodOOMKilled", state="pod_oom_killed")
    # That one the look would have seen: it is over.
    assert analyze_incident(ctx, incident_id, "run-2")["alert_type"] == "PodCrashLooping"


def test_a_workload_that_is_well_again_clears_the_incident(ctx, kubernetes, namespace):
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1))
        kubernetes.until(
            lambda: kubernetes.get("Deployment", "web", namespace)["status"].get("readyReplicas")
        )
        incident_id = incident_for(ctx, namespace, alert_type="PodCrashLooping")
        assert analyze_incident(ctx, incident_id, "run-1")["state"] == "cleared"
    assert registry.get(ctx.store, incident_id).alert_type == "PodCrashLooping"


def test_an_api_that_is_down_fails_no_analysis(tmp_path):
    dead = {"url": "https://127.0.0.1:1", "token": "t"}
    ctx = scenes.context_for(tmp_path, values={"kubernetes": dead})
    incident_id = incident_for(ctx, "shop")
    assert analyze_incident(ctx, incident_id, "run-1")["state"] == "claimed"
    evidence = "\n".join(messages.evidence(registry.get(ctx.store, incident_id)))
    assert "not found out: state: " in evidence
    ctx.close()


def test_an_incident_of_something_else_is_not_looked_at(tmp_path):
    ctx = scenes.context_for(tmp_path)
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    assert scenes.timeline_of(ctx.store, incident_id, "diagnosed") == []
    assert queries.incident_get(ctx, incident_id)["diagnosis"] is None
    ctx.close()

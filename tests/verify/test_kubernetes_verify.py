"""Is a workload or a node well, asked of a real cluster: proven, disproven, gone, or not known."""

from __future__ import annotations

import pytest

from selfheal.incidents import registry
from selfheal.store import dump
from selfheal.verify import alert, ask
from selfheal.verify.model import parse_checks
from selfheal.workloads.subject import subject_of
from tests import kubernetes_manifests as manifests
from tests import web
from tests.live_kubelet import Kubelet
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, kubernetes, namespace):
    target = kubernetes.target(namespace, settle_s=0)
    context = scenes.context_for(tmp_path, values={"kubernetes": target})
    yield context
    context.close()


def incident_for(ctx, namespace, name="web", source="kubernetes", **labels):
    labels = {"workload_kind": "Deployment", "namespace": namespace, "workload": name, **labels}
    incident_id = scenes.add_incident(
        ctx.store, source=source, labels=labels, alerts=(), namespace=namespace, workload=name
    )
    return registry.get(ctx.store, incident_id)


def firing(ctx, incident, state, name="PodRestartingOften", status="firing"):
    scenes.add_alert(ctx.store, incident.id, "kubernetes:x:%s" % state, status)
    ctx.store.execute(
        "UPDATE alerts SET labels = ? WHERE incident_id = ?",
        (dump({"state": state, "alertname": name}), incident.id),
    )


def ready(kubernetes, namespace, many, name="web"):
    kubernetes.until(
        lambda: kubernetes.get("Deployment", name, namespace)["status"].get(
            "readyReplicas", 0
        ) == many
    )


def look_at(ctx, incident, *checks):
    return ask.look(ctx, incident, parse_checks(checks or [{"alert": "resolved"}]))[0]


def test_a_workload_is_well_when_nothing_is_wrong_and_its_rollout_is_complete(
    kubernetes, namespace, ctx
):
    incident = incident_for(ctx, namespace)
    with Kubelet(kubernetes, namespace) as kubelet:
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 2))
        ready(kubernetes, namespace, 2)
        seen = look_at(ctx, incident)
        assert (seen.healthy, seen.is_known) == (True, True)
        assert seen.asked == "Kubernetes: is deployment %s/web well?" % namespace
        assert alert.is_believable(ctx, incident)
        pod = kubernetes.find("Pod", namespace)[0]["metadata"]["name"]
        kubelet.become(namespace, pod, "bad:crash")
        kubernetes.until(lambda: not look_at(ctx, incident).healthy)
        kubernetes.until(lambda: "PodCrashLooping" in look_at(ctx, incident).answer)
        assert look_at(ctx, incident).is_known
        kubelet.become(namespace, pod, "good:1")
        kubernetes.until(lambda: look_at(ctx, incident).healthy)


def test_a_rollout_under_way_is_not_well_yet(kubernetes, namespace, ctx):
    incident = incident_for(ctx, namespace)
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.deployment(namespace, "web", "slow:3600", 2))
        kubernetes.until(lambda: len(kubernetes.find("Pod", namespace)) == 2)
        seen = look_at(ctx, incident)
    assert (seen.healthy, seen.is_known) == (False, True)
    assert "not settled" in seen.answer


def test_what_is_gone_is_said_to_be_gone(kubernetes, namespace, ctx):
    incident = incident_for(ctx, namespace)
    seen = look_at(ctx, incident)
    assert (seen.healthy, seen.is_known) == (True, True)
    assert "Deployment %s/web is gone" % namespace in seen.answer
    seen = look_at(ctx, incident, {"workload": "healthy"})
    assert not seen.healthy and "is gone" in seen.answer


def test_a_runbook_may_ask_for_the_workload_whatever_raised_the_incident(
    kubernetes, namespace, ctx
):
    incident = incident_for(ctx, namespace, source="alertmanager", workload_kind="")
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1))
        ready(kubernetes, namespace, 1)
        seen = look_at(ctx, incident, {"workload": "healthy"})
    assert (seen.check, seen.healthy) == ("workload", True)
    assert seen.asked == "Kubernetes: is workload %s/web well?" % namespace


def test_an_incident_without_a_workload_is_unknown_to_that_check(ctx):
    incident = registry.get(ctx.store, scenes.add_incident(ctx.store))
    seen = look_at(ctx, incident, {"workload": "healthy"})
    assert (seen.healthy, seen.is_known) == (False, False)
    assert "names no workload" in seen.answer


def test_what_only_the_sensor_sees_is_over_when_the_sensor_says_so(kubernetes, namespace, ctx):
    incident = incident_for(ctx, namespace)
    firing(ctx, incident, "pod_restarting_often")
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1))
        ready(kubernetes, namespace, 1)
        seen = look_at(ctx, incident)
        assert not seen.healthy and "the sensor still sees PodRestartingOften" in seen.answer
        ctx.store.execute("UPDATE alerts SET status = 'resolved'")
        assert look_at(ctx, incident).healthy
        firing(ctx, incident, "pod_crash_looping", "PodCrashLooping")
        assert look_at(ctx, incident).healthy  # the look itself would have shown that one


def test_a_node_is_well_when_it_is_ready_and_under_no_pressure(kubernetes, namespace, ctx):
    with Kubelet(kubernetes, namespace) as kubelet:
        name = kubelet.name_of("node-a")
        incident_id = scenes.add_incident(
            ctx.store, source="kubernetes", labels={"workload_kind": "Node", "node": name},
            alerts=(), instance=name,
        )
        incident = registry.get(ctx.store, incident_id)
        assert look_at(ctx, incident).healthy
        kubelet.set_node("node-a", pressure="DiskPressure")
        seen = look_at(ctx, incident)
        assert not seen.healthy and "DiskPressure" in seen.answer
        kubelet.set_node("node-a", ready=False)
        seen = look_at(ctx, incident)  # however short it has been so
        assert not seen.healthy and "not ready" in seen.answer
        kubelet.set_node("node-a")
        assert look_at(ctx, incident).healthy


@pytest.mark.parametrize("rules", [[], [{"apiGroups": ["apps"], "resources": ["deployments"],
                                         "verbs": ["get"]}]])
def test_what_may_not_be_asked_is_unknown_and_never_well(
    kubernetes, namespace, tmp_path, rules
):
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1))
        ready(kubernetes, namespace, 1)
        token = kubernetes.account(namespace, rules)
        ctx = scenes.context_for(
            tmp_path, values={"kubernetes": kubernetes.target(namespace, token=token)}
        )
        seen = look_at(ctx, incident_for(ctx, namespace))
        ctx.close()
    assert (seen.healthy, seen.is_known) == (False, False)
    assert "answered 403" in seen.answer


def test_an_api_that_is_down_is_unknown(tmp_path):
    with web.nobody("https") as dead:
        ctx = scenes.context_for(tmp_path, values={"kubernetes": {"url": dead, "token": "t"}})
        seen = look_at(ctx, incident_for(ctx, "shop"))
        ctx.close()
    assert (seen.healthy, seen.is_known) == (False, False)


def test_without_a_target_it_is_unknown(tmp_path):
    ctx = scenes.context_for(tmp_path)
    seen = look_at(ctx, incident_for(ctx, "shop"))
    ctx.close()
    assert (seen.healthy, seen.is_known) == (False, False)
    assert "Kubernetes is off" in seen.answer


@pytest.mark.parametrize("name", ["../kube-system/pods/x", "Web", "*", "", "a" * 300, "web "])
def test_a_crafted_name_is_never_sent_and_never_well(ctx, namespace, name):
    seen = look_at(ctx, incident_for(ctx, namespace, name=name))
    assert (seen.healthy, seen.is_known) == (False, False)


def test_of_a_kind_that_cannot_be_read_the_sensor_has_the_word(ctx, namespace):
    incident = incident_for(ctx, namespace, workload_kind="Rollout.argoproj.io")
    assert not look_at(ctx, incident).healthy
    scenes.clear(ctx.store, incident.id)
    seen = look_at(ctx, registry.get(ctx.store, incident.id))
    assert seen.healthy and "the sensor does not see it any more" in seen.answer


def test_which_object_an_incident_is_about():
    class About:
        labels, alert_type, instance, namespace, workload = {}, "X", None, "shop", "web"

    def subject(**fields):
        about = About()
        for name, value in fields.items():
            setattr(about, name, value)
        found = subject_of(about)
        return found and (found.kind, found.namespace, found.name)

    assert subject() == ("", "shop", "web")
    assert subject(labels={"workload_kind": "StatefulSet"}) == ("StatefulSet", "shop", "web")
    assert subject(labels={"workload_kind": "Node", "node": "a1"}) == ("Node", "", "a1")
    assert subject(labels={"node": "a1"}, alert_type="KubeNodeNotReady") == ("Node", "", "a1")
    assert subject(labels={"node": "a1"}, alert_type="KubePodCrashLooping") == ("", "shop", "web")
    assert subject(alert_type="KubeNodeNotReady", instance="10.0.0.7:9100") is None
    assert subject(workload=None) is None
    assert subject(namespace=None) is None

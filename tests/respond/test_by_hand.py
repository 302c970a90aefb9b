"""Operations that a person starts, on a real Kubernetes API: done, refused, undone, on record."""

from __future__ import annotations

import json
import threading

import pytest

from selfheal.exceptions import Refused
from selfheal.guard import command_check, group_health
from selfheal.incidents import registry
from selfheal.remedy import journal
from selfheal.remedy.kubernetes import operations
from selfheal.respond import targets
from selfheal.respond.approval.answering import approve
from selfheal.respond.remediate import undo_remediation
from tests import kubernetes_manifests as manifests
from tests.guard.permits import deed
from tests.remedy import scenes
from tests.respond.hand_scene import (
    act,
    close_node,
    context,
    everything,
    ready,
    run,
    sick,
    without_noise,
)

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


@pytest.fixture
def ctx(tmp_path, kubernetes, namespace):
    made = context(tmp_path, kubernetes, namespace)
    yield made
    made.close()


@pytest.fixture
def web(kubernetes, namespace, kubelet):
    """A Deployment of three that is well."""
    kubernetes.create(manifests.deployment(namespace, replicas=3))
    ready(kubernetes, namespace, 3)
    return {"namespace": namespace, "name": "web"}


def incident_of(ctx, answer):
    return registry.get(ctx.store, answer["incident_id"])


def kinds_of(ctx, answer):
    return [one["kind"] for one in scenes.timeline_of(ctx.store, answer["incident_id"])]


def deployment(kubernetes, web):
    return kubernetes.get("Deployment", web["name"], web["namespace"])


def names_of_pods(kubernetes, namespace):
    return {pod["metadata"]["name"] for pod in kubernetes.find("Pod", namespace)}


def test_a_restart_is_done_recorded_and_can_be_taken_back(ctx, kubernetes, web):
    before = without_noise(deployment(kubernetes, web))
    answer = act(ctx, "restart_workload", **web, kind="deployment", who="ann")
    assert answer["outcome"] == "done" and answer["on"] == "Deployment %(namespace)s/web" % web
    assert "heal undo %s" % answer["incident_id"] in answer["summary"]
    ready(kubernetes, web["namespace"], 3)
    notes = deployment(kubernetes, web)["spec"]["template"]["metadata"]["annotations"]
    assert RESTARTED_AT in notes

    incident = incident_of(ctx, answer)
    assert (incident.status, incident.resolution) == ("resolved", "manual")
    assert (incident.source, incident.alert_type, incident.workload) == ("manual", "ByHand", "web")
    assert incident.labels["workload_kind"] == "Deployment" and "by ann" in incident.title
    kinds = kinds_of(ctx, answer)
    assert [kind for kind in kinds if kind in (
        "opened", "guard_allowed", "remediation_started", "remediation_step", "resolved"
    )] == ["opened", "guard_allowed", "remediation_started", "remediation_step", "resolved"]
    [execution] = scenes.rows_of(ctx.store, "execution_history")
    assert (execution["remedy"], execution["status"]) == ("kubernetes:restart_workload", "done")

    taken = undo_remediation(ctx, answer["incident_id"])
    assert taken["outcome"] == "undone", scenes.timeline_of(ctx.store, answer["incident_id"])
    ready(kubernetes, web["namespace"], 3)
    after = without_noise(deployment(kubernetes, web))
    assert after["spec"] == before["spec"] and after["metadata"] == before["metadata"]


def test_a_sick_pod_is_deleted_and_a_healthy_one_is_not(ctx, kubernetes, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace, image="sick:once", replicas=3))
    [bad] = sick(kubernetes, namespace)
    well = sorted(names_of_pods(kubernetes, namespace) - {bad})[0]
    given = {"namespace": namespace, "kind": "pod"}
    planned = act(ctx, "delete_pod", namespace=namespace, name="web", dry_run=True)
    assert bad in planned["detail"] and bad in planned["summary"], planned
    refused = act(ctx, "delete_pod", name=well, **given)
    assert refused["outcome"] == "refused", refused
    assert incident_of(ctx, refused).resolution == "manual"
    done = act(ctx, "delete_pod", name=bad, **given)
    assert done["outcome"] == "done" and bad in done["summary"], done
    ready(kubernetes, namespace, 3)
    kubernetes.until(lambda: bad not in names_of_pods(kubernetes, namespace), what="it goes")
    assert well in names_of_pods(kubernetes, namespace)


def test_a_rollout_that_makes_it_worse_is_taken_back_at_once(ctx, kubernetes, web):
    """Memory that is too little kills the new pods: the old template comes back by itself."""
    name, namespace = "shop", web["namespace"]
    pod = manifests.memory("bad:oom-256Mi", "512Mi")
    kubernetes.create(
        manifests.deployment(namespace, name, replicas=2, pod=pod, progressDeadlineSeconds=8)
    )
    ready(kubernetes, namespace, 2, name)
    before = without_noise(kubernetes.get("Deployment", name, namespace))
    answer = act(
        ctx, "set_resources", namespace=namespace, name=name, memory="64Mi", memory_request="64Mi"
    )
    assert answer["outcome"] == "failed" and answer["undone"] == "undone", answer
    assert "was undone" in answer["summary"]
    ready(kubernetes, namespace, 2, name)
    after = without_noise(kubernetes.get("Deployment", name, namespace))
    assert after["spec"] == before["spec"]
    assert incident_of(ctx, answer).resolution == "manual"
    assert [row["status"] for row in scenes.rows_of(ctx.store, "undo_log")] == ["undone"]


def test_what_cannot_be_undone_is_left_open_and_told(ctx, kubernetes, web, monkeypatch):
    name, namespace = "shop", web["namespace"]
    pod = manifests.memory("bad:oom-256Mi", "512Mi")
    kubernetes.create(
        manifests.deployment(namespace, name, replicas=2, pod=pod, progressDeadlineSeconds=8)
    )
    ready(kubernetes, namespace, 2, name)

    # By then the site has forbidden what would be taken back.
    def no(config, action):
        raise Refused("not any more")

    monkeypatch.setattr(command_check, "permitted_undo", no)
    answer = act(ctx, "set_resources", namespace=namespace, name=name, memory="64Mi")
    assert (answer["outcome"], answer["undone"]) == ("failed", "partly")
    incident = incident_of(ctx, answer)
    assert incident.status == "escalated"
    [told] = scenes.rows_of(ctx.store, "outbox")
    assert told["kind"] == "escalation" and json.loads(told["payload"])["reason"] == "undo_failed"


def test_a_dry_run_shows_everything_and_touches_nothing(ctx, kubernetes, web):
    before = everything(kubernetes, web["namespace"])
    for action, options in (
        ("restart_workload", {}),
        ("delete_pod", {}),
        ("evict_pod", {}),
        ("reschedule_pod", {"avoid_node": True}),
        ("scale_workload", {"to": 0}),
        ("rollback_workload", {}),
        ("set_resources", {"memory": "300Mi"}),
        ("apply_hpa", {"max_replicas": 5}),
    ):
        answer = act(ctx, action, **web, **options, dry_run=True)
        assert answer["outcome"] == "planned", answer
        incident = incident_of(ctx, answer)
        assert incident.dry_run and incident.status == "resolved"
        [entry] = scenes.timeline_of(ctx.store, incident.id, "remediation_planned")
        assert set(entry["data"]["steps"][0]["preview"]) & {"now", "refused"}, entry["data"]
    assert everything(kubernetes, web["namespace"]) == before
    assert kubernetes.find("HorizontalPodAutoscaler", web["namespace"]) == []
    assert scenes.rows_of(ctx.store, "undo_log") == []
    assert ctx.store.query("SELECT * FROM budgets") == []


def test_scaling_by_hand_and_back(ctx, kubernetes, web):
    answer = act(ctx, "scale_workload", **web, to=5, by=None)
    assert answer["outcome"] == "done", answer
    ready(kubernetes, web["namespace"], 5)
    assert undo_remediation(ctx, answer["incident_id"])["outcome"] == "undone"
    ready(kubernetes, web["namespace"], 3)


def test_who_would_leave_too_few_is_refused_with_the_numbers(ctx, kubernetes, web):
    answer = act(ctx, "scale_workload", **web, to=1)
    assert answer["outcome"] == "refused" and "kubernetes.min_healthy" in answer["reason"]
    assert deployment(kubernetes, web)["spec"]["replicas"] == 3
    assert act(ctx, "scale_workload", **web, to=2)["outcome"] == "done"


def test_a_budget_binds_hands_as_well(tmp_path, kubernetes, namespace, web):
    ctx = context(
        tmp_path, kubernetes, namespace, safety={"budgets": {"target_hour": 2}}
    )
    outcomes = [act(ctx, "restart_workload", **web)["outcome"] for _ in range(3)]
    assert outcomes == ["done", "done", "refused"]
    ctx.close()


def test_two_hands_at_once_make_one_restart(
    tmp_path, kubernetes, namespace, kubelet, web, monkeypatch
):
    answers, waits, same = [], threading.Event(), targets._is_same

    def is_same(*given):
        found = same(*given)
        waits.set()
        return found

    def hand():
        ctx = context(tmp_path, kubernetes, namespace)
        answers.append(act(ctx, "restart_workload", **web))
        ctx.close()

    monkeypatch.setattr(targets, "_is_same", is_same)
    context(tmp_path, kubernetes, namespace).store.close()  # migrated once
    close_node(kubernetes, kubelet)  # the first is not done before the second waits for it
    hands = [threading.Thread(target=hand) for _ in range(2)]
    for one in hands:
        one.start()
    assert waits.wait(180)
    close_node(kubernetes, kubelet, False)
    for one in hands:
        one.join()
    assert [answer["outcome"] for answer in answers] == ["done", "done"], answers
    assert sorted("counts here too" in answer["reason"] for answer in answers) == [False, True]
    # The revision counts rollouts: the first, and one restart.
    notes = deployment(kubernetes, web)["metadata"]["annotations"]
    assert notes["deployment.kubernetes.io/revision"] == "2"


def test_a_disruptive_one_needs_a_yes_where_approvers_are_named(
    tmp_path, kubernetes, namespace, web
):
    kubernetes.patch(
        "Deployment", "web", namespace,
        {"spec": {"template": {"metadata": {"annotations": {"release": "2"}}}}},
    )
    ready(kubernetes, namespace, 3)
    ctx = context(tmp_path, kubernetes, namespace, safety={"approvers": ["ann"]})
    asked = act(ctx, "rollback_workload", **web, who="bob")
    assert asked["outcome"] == "awaiting_approval" and asked["approval_id"] in asked["summary"]
    again = act(ctx, "rollback_workload", **web, who="bob")
    assert again["approval_id"] == asked["approval_id"], "the same question"
    notes = deployment(kubernetes, web)["spec"]["template"]["metadata"]["annotations"]
    assert notes["release"] == "2", "nothing was done yet"
    [row] = scenes.rows_of(ctx.store, "approvals")
    shown = json.loads(row["shown"])["what"]["steps"][0]
    assert "now: " in shown["what"] and shown["undo"]
    approve(ctx, asked["approval_id"], "", "ann")
    done = act(ctx, "rollback_workload", **web, who="bob")
    assert done["outcome"] == "done" and done["incident_id"] == asked["incident_id"], done
    ready(kubernetes, namespace, 3)
    assert "annotations" not in deployment(kubernetes, web)["spec"]["template"]["metadata"]
    assert act(ctx, "restart_workload", **web, who="bob")["outcome"] == "done", "reversible"
    ctx.close()


def test_a_node_is_cordoned_and_given_back(ctx, kubernetes, kubelet, web):
    kubelet.add_node("node-b")
    name = kubelet.name_of("node-b")
    target = dict(ctx.config.values["kubernetes"], min_ready_nodes="0%")
    ctx.config.values["kubernetes"] = target
    answer = act(ctx, "cordon_node", name=name, who="ann")
    assert answer["outcome"] == "done" and answer["on"] == "Node %s" % name, answer
    assert kubernetes.get("Node", name, "")["spec"]["unschedulable"] is True
    assert incident_of(ctx, answer).instance == name
    assert act(ctx, "uncordon_node", name=name)["outcome"] == "done"
    assert not kubernetes.get("Node", name, "")["spec"].get("unschedulable")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"name": "nobody"}, "Missing", "nobody"),
        ({"namespace": "no-such-namespace"}, "NotFound|Missing|Refused", "no-such-namespace"),
        ({"kind": "statefulset"}, "Missing", "web"),
        ({"kind": "secret"}, "InvalidInput", "kind must be one of"),
        ({"cluster": "prod"}, "NotFound", "no Kubernetes target is named prod"),
        ({"name": "../kube-system/pods/x"}, "InvalidInput", "kube-system"),
        ({"namespace": "Kube-System"}, "InvalidInput", "namespace"),
        ({"namespace": "kube-system "}, "InvalidInput", "namespace"),
        ({"namespace": "*"}, "InvalidInput", "namespace"),
    ],
)
def test_who_is_not_there_is_no_incident(ctx, web, given, error, said):
    ok, answer = run(ctx, "restart_workload", **{**web, **given})
    assert not ok and answer["error_type"] in error.split("|"), answer
    assert said in answer["error"]
    assert scenes.rows_of(ctx.store, "incidents") == []


def test_two_of_one_name_must_be_told_apart(ctx, kubernetes, web):
    kubernetes.create(manifests.statefulset(web["namespace"], "web"))
    ok, answer = run(ctx, "restart_workload", **web)
    assert not ok and answer["error_type"] == "Refused", answer
    assert "StatefulSet" in answer["error"] and "Deployment" in answer["error"]
    assert act(ctx, "restart_workload", **web, kind="deployment")["outcome"] == "done"


def test_a_cluster_that_is_off_is_said_so(tmp_path):
    ctx = scenes.context_for(tmp_path)
    ok, answer = run(ctx, "restart_workload", namespace="shop", name="web")
    assert not ok and answer["error_type"] == "ConfigError"
    assert "kubernetes.url" in answer["error"]
    assert scenes.rows_of(ctx.store, "incidents") == []
    ctx.close()


def test_what_others_take_of_the_same_workload_counts(ctx, kubernetes, web):
    """Another remedy, still at work, has taken two of the four away."""
    kubernetes.patch("Deployment", "web", web["namespace"], {"spec": {"replicas": 4}})
    ready(kubernetes, web["namespace"], 4)
    scale = operations.act_of("scale_workload", {"to": 2})
    plan = {"remedy": "kubernetes", "runbook": "scale_workload", "risk": "reversible"}
    other = journal.begin(ctx.store, scenes.add_incident(ctx.store), "run-1", plan)
    one = deed(
        other, cluster="", namespace=web["namespace"], workload="web", operations=(scale,)
    )
    measured = group_health.measure(ctx, one)
    assert [(taken.healthy, taken.takes) for taken in measured.taken] == [(4, 2)]
    group_health.charge(ctx, one, measured)
    refused = act(ctx, "scale_workload", **web, to=3)
    assert refused["outcome"] == "refused" and "2 more by others" in refused["reason"], refused
    journal.finish(ctx.store, other, journal.DONE, {})
    assert act(ctx, "scale_workload", **web, to=3)["outcome"] == "done"

"""A close look at a real cluster: what an engineer would ask first is in it, whatever is missing is
said, and nothing stops the rest.
"""

from __future__ import annotations

import json
import time

import pytest

from selfheal.diagnose.kubernetes import bundle
from selfheal.incidents import registry
from selfheal.respond import looking
from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy import scenes

LOOK_WITHIN_S = 180.0
IN_NAMESPACE = [
    {"apiGroups": [""], "resources": ["pods", "pods/log", "events", "configmaps", "services",
                                      "endpoints", "persistentvolumeclaims"],
     "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get", "list"]},
    {"apiGroups": ["batch"], "resources": ["*"], "verbs": ["get", "list"]},
    {"apiGroups": ["autoscaling"], "resources": ["*"], "verbs": ["get", "list"]},
]


@pytest.fixture
def context(tmp_path, kubernetes, namespace):
    made = []

    def make(**more):
        target = kubernetes.target(namespace, **{"settle_s": 0, **more})
        made.append(scenes.context_for(tmp_path, values={"kubernetes": target}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def incident_for(ctx, namespace, name="web", kind="Deployment", **fields):
    labels = {"workload_kind": kind, "namespace": namespace, "workload": name}
    incident_id = scenes.add_incident(
        ctx.store, source="kubernetes", labels=labels, alerts=(), namespace=namespace,
        workload=name, **fields,
    )
    return registry.get(ctx.store, incident_id)


def collect(ctx, about):
    """The whole look, however slow the machine."""
    return bundle.collect(ctx, about, deadline_s=LOOK_WITHIN_S)


def words(found):
    return "\n".join("%s: %s" % (one["what"], one["found"]) for one in found.notes.facts)


def crash(kubernetes, namespace, log, name="web", **more):
    kubernetes.create(
        manifests.deployment(
            namespace, name, "bad:crash", 2,
            notes={"test/previous-log": log, "test/log": log}, **more,
        )
    )

    def have_crashed_often():
        restarts = [
            pod["status"]["containerStatuses"][0]["restartCount"]
            for pod in kubernetes.find("Pod", namespace)
        ]
        return len(restarts) == 2 and min(restarts) >= 3

    kubernetes.until(have_crashed_often)


LOG = """starting
connecting with password=hunter2 to postgres://app:s3cr3t@db/shop
Traceback (most recent call last):
ConnectionRefusedError: [Errno 111] Connection refused
"""


def test_a_crash_loop_tells_its_exit_its_log_and_its_events(kubernetes, namespace, context):
    with Kubelet(kubernetes, namespace):
        crash(kubernetes, namespace, LOG)
        ctx = context()
        found = collect(ctx, incident_for(ctx, namespace))
    said = words(found)
    assert found.notes.missing == []
    assert "state of Deployment %s/web: 0 of 2 available" % namespace in said
    assert "PodCrashLooping: " in said, said
    assert "exit code 1" in said
    assert "ConnectionRefusedError: [Errno 111] Connection refused" in said
    assert "event BackOff: " in said
    assert "rollout: revision 1, since" in said and "of bad:crash" in said
    assert "ready, no pressure" in said
    kept = json.dumps(found.as_diagnosis().content)
    assert "hunter2" not in kept and "s3cr3t" not in kept and "hunter2" not in said
    assert found.notes.hidden["password"] >= 1 and found.notes.hidden["url"] >= 1
    assert [log["previous"] for log in found.notes.content["logs"]] == [True]
    assert 0 < found.took_s < LOOK_WITHIN_S


def test_the_new_revision_tells_what_it_changed_but_no_value(kubernetes, namespace, context):
    with Kubelet(kubernetes, namespace):
        spec = manifests.deployment(namespace, "web", "good:1", 1)
        kubernetes.create(spec)
        kubernetes.until(
            lambda: kubernetes.get("Deployment", "web", namespace)["status"].get("readyReplicas")
        )
        container = dict(spec["spec"]["template"]["spec"]["containers"][0])
        container.update(
            image="bad:crash", env=[{"name": "DB_URL", "value": "postgres://u:p4ss@h/x"}],
            resources={"limits": {"memory": "64Mi"}},
        )
        kubernetes.patch(
            "Deployment", "web", namespace,
            {"spec": {"template": {"spec": {"containers": [container]}}}},
        )
        ctx = context()
        kubernetes.until(lambda: len(kubernetes.find("ReplicaSet", namespace)) == 2)
        found = collect(ctx, incident_for(ctx, namespace))
    changed = found.notes.content["changed"]
    assert (changed["from_revision"], changed["to_revision"]) == (1, 2)
    name = container["name"]
    assert "image of %s: good:1 -> bad:crash" % name in changed["what"]
    assert "memory limit of %s: none -> 64Mi" % name in changed["what"]
    assert "variables of %s: DB_URL" % name in changed["what"]
    assert "p4ss" not in json.dumps(found.as_diagnosis().content)
    assert [one["revision"] for one in found.notes.content["revisions"]] == [2, 1]


def test_a_config_map_that_is_another_than_at_the_last_look_is_told(
    kubernetes, namespace, context
):
    from selfheal.diagnose import record

    pod = {"volumes": [{"name": "c", "configMap": {"name": "web-config"}}]}
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.configmap(namespace, "web-config", a="1"))
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1, pod=pod))
        ctx = context()
        incident = incident_for(ctx, namespace)
        first = collect(ctx, incident)
        record.keep(ctx.store, first.as_diagnosis(), incident.id)
        kubernetes.patch("ConfigMap", "web-config", namespace, {"data": {"a": "2"}})
        second = collect(ctx, incident)
        kubernetes.delete("ConfigMap", "web-config", namespace)
        third = collect(ctx, incident)
    assert "another than at the last look" not in words(first)
    assert "config map web-config: it is another than at the last look" in words(second)
    assert "config map web-config: it does not exist" in words(third)


def test_a_right_that_is_missing_is_noted_and_stops_nothing(kubernetes, namespace, context):
    rules = [dict(rule) for rule in IN_NAMESPACE]
    rules[0] = dict(rules[0], resources=["pods", "configmaps", "services", "endpoints",
                                         "persistentvolumeclaims"])
    with Kubelet(kubernetes, namespace):
        crash(kubernetes, namespace, LOG)
        ctx = context(token=kubernetes.account(namespace, rules))
        found = collect(ctx, incident_for(ctx, namespace))
    lacking = {one["part"]: one["why"] for one in found.notes.missing}
    assert set(lacking) == {"logs", "events", "nodes"}
    assert "the verb get on pods/log" in lacking["logs"]
    assert "the verb list on events" in lacking["events"]
    assert "PodCrashLooping: " in words(found) and "rollout: revision 1" in words(found)


def test_who_may_do_nothing_learns_that_and_no_more(kubernetes, namespace, context):
    ctx = context(token=kubernetes.account(namespace, []))
    found = collect(ctx, incident_for(ctx, namespace))
    assert [one["part"] for one in found.notes.missing] == ["state"]
    assert found.ref is None and not found.is_gone


def test_a_workload_that_is_gone_is_said_to_be_gone(kubernetes, namespace, context):
    ctx = context()
    found = collect(ctx, incident_for(ctx, namespace))
    assert found.is_gone and "there is no such object any more" in words(found)


def test_a_node_tells_its_conditions_and_its_pods(kubernetes, namespace, context):
    with Kubelet(kubernetes, namespace) as kubelet:
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 2))
        kubernetes.until(
            lambda: kubernetes.get("Deployment", "web", namespace)["status"].get(
                "readyReplicas"
            ) == 2
        )
        kubelet.set_node("node-a", pressure="MemoryPressure")
        name = kubelet.name_of("node-a")
        ctx = context()
        incident_id = scenes.add_incident(
            ctx.store, source="kubernetes", labels={"workload_kind": "Node", "node": name},
            alerts=(), instance=name,
        )
        found = collect(ctx, registry.get(ctx.store, incident_id))
    assert found.notes.missing == []
    assert "node %s: node %s: MemoryPressure" % (name, name) in words(found)
    assert "pods on the node: 2 pods, 0 not ready" in words(found)


def test_an_api_that_does_not_answer_costs_no_more_than_the_deadline(tmp_path):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        ctx = scenes.context_for(
            tmp_path,
            values={"kubernetes": {"url": "https://127.0.0.1:%d" % silent.getsockname()[1],
                                   "token": "t", "verify_tls": False,
                                   "timeout_s": 600}},
        )
        start = time.monotonic()
        found = bundle.collect(ctx, incident_for(ctx, "shop"), deadline_s=1.0)
        assert time.monotonic() - start < 200.0
    assert [one["part"] for one in found.notes.missing] == ["state"]
    ctx.close()


def test_without_a_target_only_incidents_of_kubernetes_itself_say_so(tmp_path):
    ctx = scenes.context_for(tmp_path)
    ours = incident_for(ctx, "shop")
    assert looking.applies(ctx, ours)
    found = collect(ctx, ours)
    assert [one["part"] for one in found.notes.missing] == ["everything"]
    assert "Kubernetes is off" in found.notes.missing[0]["why"]
    theirs = registry.get(
        ctx.store,
        scenes.add_incident(
            ctx.store, source="alertmanager", alerts=(), namespace="shop", workload="web"
        ),
    )
    assert not looking.applies(ctx, theirs)
    ctx.close()

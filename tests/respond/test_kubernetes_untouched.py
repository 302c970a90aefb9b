"""What must never be touched: system namespaces, the pack's own, and what people have annotated
out; for every operation, by hand and by alerts that were made to point there.
"""

from __future__ import annotations

import contextlib
import uuid

import pytest

from selfheal.intake.ingest import ingest_alertmanager
from selfheal.remedy.kubernetes import operations
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from tests import kubernetes_manifests as manifests
from tests.e2e.world import alert, body_of
from tests.kubernetes_access import Refused
from tests.live_kubelet import Kubelet
from tests.remedy import scenes
from tests.respond.hand_scene import act, context, everything, followed, ready, run, sick

IGNORE = {"selfheal/ignore": "true"}
OPTIONS = {
    "restart_workload": {},
    "delete_pod": {},
    "evict_pod": {},
    "reschedule_pod": {"avoid_node": True},
    "scale_workload": {"to": 2},
    "rollback_workload": {},
    "set_resources": {"memory": "300Mi"},
    "apply_hpa": {"max_replicas": 5},
}
OF_NODES = ("cordon_node", "uncordon_node")


def test_every_operation_is_tried_here():
    assert {*OPTIONS, *OF_NODES} == set(operations.OPERATIONS)


@pytest.fixture
def system(kubernetes):
    """A sick Deployment in kube-system, where nobody runs it; its name."""
    name = "web-%s" % uuid.uuid4().hex[:8]
    kubernetes.create(manifests.deployment("kube-system", name, image="bad:crash"))
    followed(kubernetes, "kube-system", name)
    yield name
    with contextlib.suppress(Refused):
        kubernetes.delete("Deployment", name, "kube-system")


@pytest.fixture
def web(kubernetes, namespace):
    """A Deployment of two, one of whose pods is sick; the kubelet that runs it."""
    with Kubelet(kubernetes, namespace) as kubelet:
        kubernetes.create(manifests.deployment(namespace, image="sick:once", replicas=2))
        sick(kubernetes, namespace)
        yield kubelet


@pytest.fixture(scope="module")
def still(kubernetes):
    """The same for tests in which nothing may change: (namespace, kubelet)."""
    namespace = kubernetes.namespace()
    with Kubelet(kubernetes, namespace) as kubelet:
        kubernetes.create(manifests.deployment(namespace, image="sick:once", replicas=2))
        sick(kubernetes, namespace)
        yield namespace, kubelet


def try_all(ctx, namespace, name, **more):
    """The outcomes of every operation on workloads, each with its words."""
    found = {}
    for action, options in OPTIONS.items():
        ok, answer = run(
            ctx, action, namespace=namespace, name=name, kind="deployment", **options, **more
        )
        found[action] = answer["reason"] if ok else answer["error"]
        assert not ok or answer["outcome"] == "refused", (action, answer)
    return found


def are_annotated_out(replica_sets):
    """Whether the controller has handed the annotation of its Deployment on to all of them."""
    return all(
        IGNORE.items() <= one["metadata"].get("annotations", {}).items() for one in replica_sets
    )


def test_nothing_in_a_system_namespace(tmp_path, kubernetes, system):
    ctx = context(tmp_path, kubernetes, "kube-system")
    del ctx.config.values["kubernetes"]["namespaces"]
    own = {"labelSelector": "app=%s" % system}
    before = everything(kubernetes, "kube-system", **own)
    for action, words in try_all(ctx, "kube-system", system).items():
        assert "kube-system" in words and "protected" in words, (action, words)
    # To say it twice does not help: by a setting nothing is taken off the list.
    ctx.config.values["kubernetes"]["protected_namespaces"] = []
    try_all(ctx, "kube-system", system)
    assert everything(kubernetes, "kube-system", **own) == before != {}
    refused = scenes.rows_of(ctx.store, "execution_history")
    assert {row["status"] for row in refused} == {"refused"}
    assert len(refused) == 2 * len(OPTIONS), "each is on record"
    ctx.close()


@pytest.mark.parametrize("setting", ["own_namespace", "protected_namespaces"])
def test_nothing_in_the_packs_own_namespace(tmp_path, kubernetes, still, setting):
    namespace = still[0]
    value = namespace if setting == "own_namespace" else [namespace]
    ctx = context(tmp_path, kubernetes, namespace, **{setting: value})
    before = everything(kubernetes, namespace)
    for action, words in try_all(ctx, namespace, "web").items():
        assert "protected" in words, (action, words)
    assert everything(kubernetes, namespace) == before
    ctx.close()


@pytest.mark.parametrize("marked", ["Namespace", "Deployment", "template"])
def test_nothing_that_is_annotated_out(tmp_path, kubernetes, namespace, web, marked):
    ctx = context(tmp_path, kubernetes, namespace)
    change = {"metadata": {"annotations": IGNORE}}
    if marked == "Namespace":
        kubernetes.patch("Namespace", namespace, "", change)
    elif marked == "Deployment":
        kubernetes.patch("Deployment", "web", namespace, change)
        kubernetes.until(lambda: are_annotated_out(kubernetes.find("ReplicaSet", namespace)))
    else:
        kubernetes.patch("Deployment", "web", namespace, {"spec": {"paused": True}})
        kubernetes.patch("Deployment", "web", namespace, {"spec": {"template": change}})
    before = everything(kubernetes, namespace)
    for action, words in try_all(ctx, namespace, "web").items():
        assert "selfheal/ignore" in words, (action, words)
    assert everything(kubernetes, namespace) == before
    ctx.close()


def test_no_pod_that_is_annotated_out(tmp_path, kubernetes, namespace, web):
    ctx = context(tmp_path, kubernetes, namespace)
    [bad] = sick(kubernetes, namespace)
    kubernetes.patch("Pod", bad, namespace, {"metadata": {"annotations": IGNORE}})
    before = everything(kubernetes, namespace)
    for action, options in OPTIONS.items():
        if action not in ("scale_workload", "apply_hpa"):  # those touch no pod that is there
            answer = act(ctx, action, namespace=namespace, name="web", **options)
            assert answer["outcome"] == "refused", (action, answer)
    for action in ("delete_pod", "evict_pod", "reschedule_pod"):
        answer = act(ctx, action, namespace=namespace, name=bad, kind="pod")
        assert answer["outcome"] == "refused" and answer["reason"], (action, answer)
    assert everything(kubernetes, namespace) == before
    ctx.close()


def test_no_node_that_is_annotated_out(tmp_path, kubernetes, namespace, web):
    web.add_node("node-b")
    name = web.name_of("node-b")
    kubernetes.patch("Node", name, "", {"metadata": {"annotations": IGNORE}})
    ctx = context(tmp_path, kubernetes, namespace, min_ready_nodes="0%")
    before = kubernetes.get("Node", name, "")["spec"]
    for action in OF_NODES:
        answer = act(ctx, action, name=name)
        assert answer["outcome"] == "refused" and "selfheal/ignore" in answer["reason"], answer
    assert kubernetes.get("Node", name, "")["spec"] == before
    ctx.close()


@pytest.mark.parametrize("name", [
    "../kube-system/deployments/x", "..", ".", "kube-system/x", "web/status", "web?force=true",
    "web%2f..%2fx", "web#x", " web", "web ", "Web", "wéb", "web\n", "*", "", "-web", "a" * 254,
])
def test_crafted_names_get_nowhere(tmp_path, kubernetes, still, name):
    namespace = still[0]
    ctx = context(tmp_path, kubernetes, namespace)
    before = everything(kubernetes, namespace)
    for action, options in OPTIONS.items():
        for given in ({"namespace": namespace, "name": name}, {"namespace": name, "name": "web"}):
            ok, answer = run(ctx, action, **given, **options)
            assert not ok and answer["error_type"] == "InvalidInput", (action, answer)
    for action in OF_NODES:
        ok, answer = run(ctx, action, name=name)
        assert not ok and answer["error_type"] == "InvalidInput", (action, answer)
    assert everything(kubernetes, namespace) == before
    assert scenes.rows_of(ctx.store, "incidents") == []
    ctx.close()


def answered(ctx, one):
    """What is decided about an alert, and what comes of it when a person carries its plan out all
    the same: (strategy, outcome).
    """
    told = ingest_alertmanager(ctx, body_of(one))
    found = (told["incidents"] or [{"incident_id": None}])[0]["incident_id"]
    if found is None:
        return "rejected", ""
    analyze_incident(ctx, found)
    strategy = determine_response_strategy(ctx, found)["strategy"]
    return strategy, remediate(ctx, found)["outcome"]


@pytest.mark.parametrize("labels", [
    {"namespace": "kube-system", "deployment": "SYSTEM"},
    {"namespace": "NAMESPACE", "exported_namespace": "kube-system", "deployment": "SYSTEM"},
    {"namespace": "kube-system ", "deployment": "SYSTEM"},
    {"namespace": "KUBE-SYSTEM", "deployment": "SYSTEM"},
    {"namespace": "kube-system\u200b", "deployment": "SYSTEM"},
    {"namespace": "kube-system/", "deployment": "SYSTEM"},
    {"namespace": "NAMESPACE/../kube-system", "deployment": "SYSTEM"},
    {"namespace": "NAMESPACE", "deployment": "../../kube-system/deployments/SYSTEM"},
    {"namespace": "NAMESPACE", "workload": "..%2f..%2fkube-system%2fdeployments%2fSYSTEM"},
    {"namespace": "NAMESPACE", "deployment": "*"},
    {"namespace": "*", "deployment": "SYSTEM"},
    {"namespace": "", "deployment": "SYSTEM"},
    {"deployment": "SYSTEM"},
    {"namespace": "kube-system", "deployment": "SYSTEM", "workload_kind": "Deployment"},
    {"namespace": "kube-system", "pod": "SYSTEM-abc", "workload": "SYSTEM", "workload_kind": "Pod"},
    {"namespace": "NAMESPACE", "workload": "web", "workload_kind": "Secret"},
    {"namespace": "NAMESPACE", "workload": "web", "workload_kind": "../secrets"},
    {"namespace": "NAMESPACE", "workload": "web", "workload_kind": "Node", "node": "NODE"},
    {"namespace": "NAMESPACE", "workload": "NODE", "workload_kind": "Node"},
    {"namespace": "{{ config_context.token }}", "deployment": "<% ctx() %>"},
])
def test_alerts_that_point_elsewhere_get_nowhere(tmp_path, kubernetes, still, system, labels):
    namespace, kubelet = still
    ctx = context(tmp_path, kubernetes, namespace)
    del ctx.config.values["kubernetes"]["namespaces"]
    words = {"NAMESPACE": namespace, "SYSTEM": system, "NODE": kubelet.name_of("node-a")}
    for word, value in words.items():
        labels = {key: one.replace(word, value) for key, one in labels.items()}
    own = {"labelSelector": "app=%s" % system}
    before = [everything(kubernetes, namespace), everything(kubernetes, "kube-system", **own)]
    for name in ("KubePodCrashLooping", "KubeDeploymentRolloutStuck", "PodPending", "PodCpuHigh"):
        one = alert(name, severity="warning", **labels)
        del one["labels"]["instance"]
        strategy, outcome = answered(ctx, one)
        assert (strategy, outcome) in (("manual", "refused"), ("rejected", "")), (name, strategy)
    assert [
        everything(kubernetes, namespace), everything(kubernetes, "kube-system", **own)
    ] == before
    assert ctx.store.query("SELECT * FROM budgets") == []
    ctx.close()


def test_the_same_alert_of_the_right_place_is_healed(tmp_path, kubernetes, namespace, web):
    """The control: else the tests above would hold if nothing were ever done."""
    ctx = context(tmp_path, kubernetes, namespace)
    [bad] = sick(kubernetes, namespace)
    one = alert("KubePodCrashLooping", severity="warning", namespace=namespace, pod=bad)
    del one["labels"]["instance"]
    assert answered(ctx, one) == ("automated", "done")
    ready(kubernetes, namespace, 2)
    ctx.close()


def test_alert_about_what_is_well_by_now_is_a_ticket(tmp_path, kubernetes, namespace, web):
    """Known at the decision already, so that nobody is called for a warning."""
    ctx = context(tmp_path, kubernetes, namespace)
    kubernetes.create(manifests.deployment(namespace, "fine", replicas=1))
    ready(kubernetes, namespace, 1, "fine")
    one = alert(
        "KubeDeploymentReplicasMismatch", severity="warning", namespace=namespace, deployment="fine"
    )
    del one["labels"]["instance"]
    assert answered(ctx, one) == ("manual", "refused")
    [row] = scenes.rows_of(ctx.store, "incidents")
    [decided] = scenes.timeline_of(ctx.store, row["id"], "decided")
    reasons = decided["message"]
    assert "the guard target: " in reasons and "by hand" in reasons
    ctx.close()

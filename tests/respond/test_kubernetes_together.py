"""A response and a hand on one workload, and hands that were cut off: never two at once on an
object, and nothing half done stays.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from selfheal.guard import locks
from selfheal.incidents import registry
from selfheal.intake.ingest import ingest_alertmanager
from selfheal.operate.housekeeping import housekeeping
from selfheal.remedy import journal
from selfheal.remedy.model import KubernetesAct
from selfheal.respond import left_by_hand, targets
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.answering import reject
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from tests import kubernetes_manifests as manifests
from tests.e2e.world import alert, body_of
from tests.guard.permits import deed
from tests.remedy import scenes
from tests.respond.hand_scene import act, close_node, context, ready

ROOT = Path(__file__).resolve().parents[2]
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
# A hand in a process of its own, which says when the cluster has taken its change.
HAND = """
import json, sys
sys.path[:0] = [{root!r}, {library!r}]
from selfheal import door
config = json.load(open({config!r}))
door.call("selfheal.respond.kubernetes.restart_workload",
          {{"namespace": {namespace!r}, "name": "web"}}, config=config)
"""


@pytest.fixture
def web(kubernetes, namespace, kubelet):
    """A Deployment of two whose pods take their time to be ready."""
    kubernetes.create(manifests.deployment(namespace, image="slow:1", replicas=2))
    ready(kubernetes, namespace, 2)
    return {"namespace": namespace, "name": "web"}


def template(kubernetes, namespace):
    found = kubernetes.get("Deployment", "web", namespace)
    return found["spec"]["template"]["metadata"].get("annotations", {})


def events(ctx, incident_id, kind):
    return [one["at"] for one in scenes.timeline_of(ctx.store, incident_id, kind)]


def test_a_hand_waits_for_the_response_at_work_there(
    tmp_path, kubernetes, namespace, web, monkeypatch
):
    """Also where the alert calls the cluster by a name that is no target's."""
    monkeypatch.setattr(targets, "TARGET_WAIT_S", 600.0)  # here a rollout may take longer
    ctx = context(tmp_path, kubernetes, namespace)
    told = alert("KubeDeploymentRolloutStuck", severity="warning", cluster="eu-1",
                 namespace=namespace, deployment="web")
    found = ingest_alertmanager(ctx, body_of(told))["incidents"][0]["incident_id"]
    analyze_incident(ctx, found, "run-1")
    assert determine_response_strategy(ctx, found, "run-1")["strategy"] == "automated"
    answers = {}

    def respond():
        own = context(tmp_path, kubernetes, namespace)
        answers["response"] = remediate(own, found, "run-1")
        own.close()

    response = threading.Thread(target=respond)
    response.start()
    kubernetes.until(lambda: RESTARTED_AT in template(kubernetes, namespace))
    answers["hand"] = act(ctx, "scale_workload", **web, to=3)
    response.join()
    assert [answers[one]["outcome"] for one in ("response", "hand")] == ["done", "done"], answers
    [ended] = events(ctx, found, "remediation_finished")
    [began] = events(ctx, answers["hand"]["incident_id"], "remediation_started")
    assert ended <= began
    ready(kubernetes, namespace, 3)
    ctx.close()


def test_alerts_and_hands_lock_the_same_object(tmp_path, kubernetes, namespace):
    ctx = context(tmp_path, kubernetes, namespace)
    acts = (KubernetesAct("restart_workload"),)

    def names(**fields):
        return set(targets.lock_names(ctx, deed(workload="web", operations=acts, **fields)))

    hand = names(cluster="", scope="shop/web")
    assert hand & names(cluster="eu-1", scope="eu-1/shop/web"), "the only target there is"
    assert not hand & names(cluster="", scope="pay/web", namespace="pay")
    plain = set(targets.lock_names(ctx, deed(workload="web", scope="shop/web")))
    assert plain < hand, "what is no operation is kept out by the scope"
    node = {"labels": {"workload_kind": "Node", "node": "web"}, "scope": "node/web"}
    assert not hand & names(cluster="", **node)
    target = ctx.config.values["kubernetes"]
    ctx.config.values["kubernetes"] = {"eu-1": target, "us-1": target}
    assert not names(cluster="eu-1", scope="a") & names(cluster="us-1", scope="b")
    ctx.close()


def test_a_target_of_two_locks_is_taken_whole_or_not_at_all(tmp_path):
    ctx = scenes.context_for(tmp_path)
    assert targets._acquire(ctx, ("target:a", "target:b"), "exe-1", 60) is None
    assert targets._acquire(ctx, ("target:c", "target:b"), "exe-2", 60) == "target:b"
    assert locks.holder(ctx.store, "target:c") is None, "what was taken is given back"
    targets.release(ctx, ("target:a", "target:b"), "exe-1")
    assert targets._acquire(ctx, ("target:c", "target:b"), "exe-2", 60) is None
    ctx.close()


def test_a_hand_that_is_killed_is_taken_back_by_housekeeping(
    tmp_path, kubernetes, namespace, kubelet, web
):
    ctx = context(tmp_path, kubernetes, namespace)
    ctx.platform.execution_id = None
    ctx.store.query("SELECT 1")
    (tmp_path / "config.json").write_text(json.dumps(ctx.config.values))
    program = HAND.format(
        root=str(ROOT), library=str(ROOT / "actions" / "lib"), namespace=namespace,
        config=str(tmp_path / "config.json"),
    )
    before = kubernetes.get("Deployment", "web", namespace)["spec"]
    close_node(kubernetes, kubelet)  # however late the kill comes, its rollout is under way
    hand = subprocess.Popen([sys.executable, "-c", program])
    kubernetes.until(lambda: RESTARTED_AT in template(kubernetes, namespace))
    os.kill(hand.pid, signal.SIGKILL)
    hand.wait()
    [execution] = scenes.rows_of(ctx.store, "execution_history")
    assert execution["status"] == journal.RUNNING
    assert registry.get(ctx.store, execution["incident_id"]).status == "observed"
    # What the dead one held expires; the claim of a hand is long.
    ctx.store.execute("DELETE FROM locks")
    told = housekeeping(ctx)
    assert told["parts"]["dead_executions"]["undone"] == 1, told
    assert kubernetes.get("Deployment", "web", namespace)["spec"] == before
    age(ctx, execution["incident_id"])
    assert housekeeping(ctx)["parts"]["left_by_hand"] == {"closed": 1, "escalated": 0}
    incident = registry.get(ctx.store, execution["incident_id"])
    assert (incident.status, incident.resolution) == ("resolved", "manual")
    ctx.close()


def age(ctx, incident_id, seconds=1000.0):
    ctx.store.execute(
        "UPDATE incidents SET updated_at = updated_at - ? WHERE id = ?", (seconds, incident_id)
    )


def test_what_nobody_said_yes_to_does_not_stay_open(tmp_path, kubernetes, namespace, web):
    ctx = context(tmp_path, kubernetes, namespace, safety={"approvers": ["ann"]})
    asked = act(ctx, "scale_workload", **web, to=0)
    assert asked["outcome"] == "awaiting_approval"
    assert left_by_hand.close_left(ctx)["closed"] == 0, "somebody may be at it just now"
    age(ctx, asked["incident_id"])
    assert left_by_hand.close_left(ctx)["closed"] == 0, "the question is still open"
    reject(ctx, asked["approval_id"], "", "ann")
    assert left_by_hand.close_left(ctx)["closed"] == 1
    again = act(ctx, "scale_workload", **web, to=0)
    assert again["incident_id"] != asked["incident_id"], "a no is not asked about for ever"
    ctx.close()


def test_housekeeping_leaves_other_incidents_alone(tmp_path):
    ctx = scenes.context_for(tmp_path)
    old = time.time() - 9e5
    for number, fields in enumerate(
        ({"alert_type": "ServiceDown"}, {"alert_type": "ByHand", "source": "alertmanager"},
         {"alert_type": "ByHand", "status": "escalated"})
    ):
        scenes.add_incident(ctx.store, **{
            "status": "observed", "group_key": "g%d" % number, "updated_at": old, **fields,
        })
    assert left_by_hand.close_left(ctx) == {"closed": 0, "escalated": 0}
    ctx.close()


def test_a_remedy_of_an_alert_that_makes_it_worse_is_taken_back_under_its_own_lock(
    tmp_path, kubernetes, namespace, kubelet
):
    """No workflow has to come by for that; when it does, there is nothing left to undo."""
    step = {"name": "cut", "kubernetes": {"do": "set_resources", "memory": "64Mi"}}
    ctx = context(tmp_path, kubernetes, namespace)
    scenes.write_runbook(
        tmp_path, name="cut", metadata={"alert_type": "TooMuchMemory"}, risk="disruptive",
        steps=[step],
    )
    pod = manifests.memory("bad:oom-256Mi", "512Mi", "32Mi")
    kubernetes.create(
        manifests.deployment(namespace, replicas=2, pod=pod, progressDeadlineSeconds=8)
    )
    ready(kubernetes, namespace, 2)
    before = kubernetes.get("Deployment", "web", namespace)["spec"]
    told = alert("TooMuchMemory", severity="warning", namespace=namespace, deployment="web")
    found = ingest_alertmanager(ctx, body_of(told))["incidents"][0]["incident_id"]
    assert analyze_incident(ctx, found)["runbook"] == "cut"
    assert remediate(ctx, found)["outcome"] == "failed"
    assert [row["status"] for row in scenes.rows_of(ctx.store, "undo_log")] == ["undone"]
    assert kubernetes.get("Deployment", "web", namespace)["spec"] == before
    assert undo_remediation(ctx, found)["outcome"] == "nothing"
    [undone] = events(ctx, found, "undo_step")
    [finished] = events(ctx, found, "remediation_finished")
    assert undone <= finished
    ctx.close()

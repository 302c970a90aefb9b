"""Many sick pods of many owners at once, on a real Kubernetes API: as many remedies as the budgets
allow and not one more, also when many responses race; in a storm none, and one message for all.

SELFHEAL_OWNERS=40 makes it 200 pods of 40 owners; there are fewer always.
"""

from __future__ import annotations

import os
import threading
from collections import Counter

import pytest

from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.respond.remediate import remediate
from tests import kubernetes_manifests as manifests
from tests import stores
from tests.kubernetes_scene import Scene
from tests.live_kubelet import Kubelet
from tests.remedy import scenes

OWNERS = int(os.environ.get("SELFHEAL_OWNERS") or 20)
EACH = 5 if OWNERS >= 40 else 3
ALLOWED = 10  # safety.budgets.namespace_hour, the least of the budgets that hold here
RACERS = 4


@pytest.fixture
def crowd(kubernetes):
    """A namespace in which all pods of many Deployments were evicted, and others run for them."""
    namespace = kubernetes.namespace()
    with Kubelet(kubernetes, namespace) as kubelet:
        kubelet.add_node("node-b")
        for number in range(OWNERS):
            kubernetes.create(
                manifests.deployment(
                    namespace, "app-%d" % number, "bad:evicted-%d" % EACH, replicas=EACH
                )
            )
        kubernetes.until(lambda: is_replaced(kubernetes, namespace), within_s=600)
        yield namespace


def is_replaced(kubernetes, namespace):
    """Whether all pods have failed, others do their work, and the controllers have counted them."""
    replicas = [
        (one["status"].get("replicas"), one["status"].get("availableReplicas"))
        for one in kubernetes.find("Deployment", namespace)
    ]
    wanted = {"Failed": OWNERS * EACH, "Running": OWNERS * EACH}
    return phases(kubernetes, namespace) == wanted and replicas == [(EACH, EACH)] * OWNERS


def phases(kubernetes, namespace):
    """How many pods are in each phase."""
    return Counter(pod["status"]["phase"] for pod in kubernetes.find("Pod", namespace))


def target(kubernetes, namespace):
    """What is evicted is sick at once; what is not there yet has its time, or a look between two
    writes of a busy controller would find more than the test has made.
    """
    return kubernetes.target(namespace, settle_s=0, rollout_timeout_s=180)


def context(tmp_path, kubernetes, namespace, **safety):
    values = {
        "database": {"url": stores.sqlite_url(tmp_path)},
        "kubernetes": target(kubernetes, namespace),
        "safety": safety,
    }
    return scenes.context_for(tmp_path, values=values)


def looked(tmp_path, kubernetes, namespace):
    """What the sensor makes of it: the ids of the incidents. Nodes are of the whole cluster, where
    other tests have theirs.
    """
    scene = Scene(stores.sqlite_url(tmp_path), target(kubernetes, namespace))
    scene.look()
    found = [incident.id for incident in scene.incidents(namespace=namespace)]
    scene.close()
    return found


def respond(ctx, incident_id, run_id):
    """A whole response as the workflow walks it; (strategy, how the remedy ended)."""
    analyze_incident(ctx, incident_id, run_id)
    strategy = determine_response_strategy(ctx, incident_id, run_id)["strategy"]
    outcome = ""
    if strategy == "automated":
        outcome = remediate(ctx, incident_id, run_id)["outcome"]
    if outcome != "done":
        escalate_to_oncall(ctx, incident_id, run_id, "refused" if outcome else "strategy")
    return strategy, outcome


def all_at_once(tmp_path, kubernetes, namespace, incidents, **safety):
    """Responses to all `incidents`, as many at a time as there are racers."""
    waiting, ended, broken = list(incidents), [], []

    def work():
        ctx = context(tmp_path, kubernetes, namespace, **safety)
        try:
            while waiting:
                incident_id = waiting.pop()
                ended.append(respond(ctx, incident_id, "run-%s" % incident_id))
        except Exception as error:  # told by the test itself
            broken.append(error)
        finally:
            ctx.close()

    racers = [threading.Thread(target=work) for _ in range(RACERS)]
    for one in racers:
        one.start()
    for one in racers:
        one.join()
    assert broken == []
    return Counter(ended)


def uids(kubernetes, namespace):
    """{uid of a pod: its owner}."""
    return {
        pod["metadata"]["uid"]: pod["metadata"]["labels"]["app"]
        for pod in kubernetes.find("Pod", namespace)
    }


def in_a_storm(tmp_path, kubernetes, crowd):
    incidents = looked(tmp_path, kubernetes, crowd)
    assert len(incidents) == OWNERS, "one for each owner"
    before = uids(kubernetes, crowd)
    ended = all_at_once(tmp_path, kubernetes, crowd, incidents, storm_incidents=OWNERS // 2)
    assert ended == {("escalate", ""): OWNERS}
    assert uids(kubernetes, crowd) == before
    ctx = context(tmp_path, kubernetes, crowd)
    [message] = scenes.rows_of(ctx.store, "outbox")
    assert message["kind"] == "escalation"
    assert ctx.store.query("SELECT * FROM budgets") == []
    ctx.close()


def within_budgets(tmp_path, kubernetes, crowd):
    incidents = looked(tmp_path, kubernetes, crowd)
    assert len(incidents) == OWNERS
    before = uids(kubernetes, crowd)
    ended = all_at_once(tmp_path, kubernetes, crowd, incidents)
    assert ended["automated", "done"] == ALLOWED, ended
    assert set(ended) <= {("automated", "done"), ("automated", "refused"), ("escalate", "")}
    assert phases(kubernetes, crowd)["Running"] == OWNERS * EACH, "no healthy one was touched"
    gone = Counter(before[uid] for uid in set(before) - set(uids(kubernetes, crowd)))
    assert len(gone) == ALLOWED, "so many owners were touched, and no other"
    assert set(gone.values()) == {EACH}
    ctx = context(tmp_path, kubernetes, crowd)
    rows = scenes.rows_of(ctx.store, "execution_history")
    assert Counter(row["status"] for row in rows)["done"] == ALLOWED
    ctx.close()


def test_budgets_hold_and_a_storm_stops_all_however_many_race(tmp_path, kubernetes, crowd):
    """One test, since the crowd is dear: first what a storm leaves alone, then what is healed."""
    for name, part in (("storm", in_a_storm), ("budgets", within_budgets)):
        (tmp_path / name).mkdir()
        part(tmp_path / name, kubernetes, crowd)

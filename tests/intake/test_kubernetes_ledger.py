"""One incident for each sick owner, whatever is wrong with it and however many of its pods; what
comes and goes does not resolve and reopen it, and nothing ends by a list that was not whole.
"""

from __future__ import annotations

import pytest

from selfheal.incidents import model, registry, timeline
from selfheal.intake.kubernetes import grouping, ledger
from selfheal.intake.kubernetes.grouping import Findings, Place
from selfheal.workloads import states
from selfheal.workloads.model import Finding, Ref
from tests import alert_scene, scene, stores

MINUTE = 60.0
CART = Ref("Deployment", "shop", "cart")
ALL = frozenset({"Pod", "Deployment", "ReplicaSet", "Node", "Service", "Endpoints"})


class Cluster:
    """What is wrong there, set by the test, looked at each minute."""

    def __init__(self, url, target="default", **config):
        self.clock = alert_scene.clock()
        self.ctx = alert_scene.context(url, self.clock, **config)
        self.store = self.ctx.store
        self.place = Place(target, "cluster")

    def look(self, *sick, complete=ALL, after_s=MINUTE, settle_s=60.0):
        """`sick` are (owner, state, names of pods)."""
        self.clock.at += after_s
        found = Findings()
        for owner, state, pods in sick:
            for pod in pods or [""]:
                found.add([Finding(state, owner, pod=pod, reason="Why", restarts=2)], "Pod")
        look = ledger.Look(self.clock.at, settle_s, complete)
        return ledger.settle(self.ctx, self.place, found, look)

    def incidents(self):
        return alert_scene.incidents(self.store)

    def incident(self):
        (row,) = self.incidents()
        return row

    def events(self, incident_id):
        return [entry["kind"] for entry in timeline.entries(self.store, incident_id)]


@pytest.fixture(params=scene.BOTH)
def cluster(request, tmp_path):
    return Cluster(scene.store_url(request.param, tmp_path))


CRASH = (CART, states.POD_CRASH_LOOPING, ["cart-1", "cart-2", "cart-3"])
UNREADY = (CART, states.POD_NOT_READY, ["cart-1", "cart-2", "cart-3"])
SHORT = (CART, states.REPLICAS_NONE, [])


def test_five_crashed_pods_are_one_incident(cluster):
    pods = ["cart-%d" % number for number in range(5)]
    done = cluster.look((CART, states.POD_CRASH_LOOPING, pods), SHORT)
    incident = cluster.incident()
    assert (done.opened, done.attached, incident["alert_count"]) == (1, 0, 2)
    assert incident["alert_type"] == "PodCrashLooping"
    assert incident["severity"] == "critical"  # that of the worst of what is wrong
    assert (incident["namespace"], incident["workload"]) == ("shop", "cart")
    assert incident["title"] == "Deployment shop/cart: PodCrashLooping (Why), 5 pods"
    found = registry.get(cluster.store, incident["id"])
    assert found.labels["deployment"] == "cart" and found.labels["workload_kind"] == "Deployment"
    assert found.labels["pod"] == "cart-0" and found.annotations["restarts"] == "10"
    assert found.annotations["pods"] == ", ".join(pods)


def test_names_of_many_pods_are_bounded(cluster):
    cluster.look((CART, states.POD_CRASH_LOOPING, ["cart-%d" % n for n in range(200)]))
    shown = registry.get(cluster.store, cluster.incident()["id"]).annotations["pods"]
    assert shown.endswith("and 180 more") and shown.count("cart-") == 20


def test_second_look_writes_nothing(cluster):
    cluster.look(CRASH, SHORT)
    before = cluster.store.query("SELECT * FROM alerts"), cluster.incident()
    for _ in range(5):
        done = cluster.look(CRASH, SHORT)
    assert (done.opened, done.attached, done.resolved) == (0, 0, 0)
    assert (cluster.store.query("SELECT * FROM alerts"), cluster.incident()) == before


def test_what_is_gone_for_long_enough_ends_and_clears_the_incident(cluster):
    cluster.look(CRASH)
    assert cluster.look().resolved == 0
    done = cluster.look()
    assert done.resolved == 1 and done.cleared == [cluster.incident()["id"]]
    assert cluster.look().resolved == 0


def test_state_that_comes_and_goes_neither_resolves_nor_reopens(cluster):
    cluster.look(CRASH)
    for _ in range(10):
        cluster.look()
        cluster.look(CRASH)
    incident = cluster.incident()
    assert incident["cleared_at"] is None and incident["reopened"] == 0
    assert cluster.events(incident["id"]) == ["opened"]


def test_one_look_is_never_enough_however_old_the_last_one_is(cluster):
    cluster.look(CRASH)
    assert cluster.look(after_s=86400.0, settle_s=0.0).resolved == 0
    assert cluster.look(after_s=1.0, settle_s=0.0).resolved == 1


@pytest.mark.parametrize("complete", [ALL - {"Pod"}, frozenset()])
def test_list_that_is_not_whole_ends_nothing(cluster, complete):
    cluster.look(CRASH)
    for _ in range(5):
        assert cluster.look(complete=complete).resolved == 0
    assert cluster.incident()["cleared_at"] is None


def test_clock_that_steps_back_ends_nothing_early(cluster):
    cluster.look(CRASH)
    cluster.look()
    cluster.clock.at -= 3600
    assert cluster.look(after_s=1.0).resolved == 0
    assert cluster.look(after_s=61.0).resolved == 1


def test_cause_follows_what_is_wrong_now(cluster):
    cluster.look(UNREADY)
    assert cluster.incident()["alert_type"] == "PodNotReady"
    cluster.look(UNREADY, CRASH)
    incident = cluster.incident()
    assert incident["alert_type"] == "PodCrashLooping"
    assert cluster.events(incident["id"]) == ["opened", "alert_attached", "cause_changed"]
    cluster.look(UNREADY)  # it runs for a moment and will crash again
    assert cluster.incident()["alert_type"] == "PodCrashLooping"
    cluster.look(UNREADY)
    cluster.look(UNREADY)
    assert cluster.incident()["alert_type"] == "PodNotReady"


def test_what_one_pod_of_many_has_is_not_the_cause(cluster):
    pods = ["cart-%d" % number for number in range(40)]
    cluster.look((CART, states.POD_OOM_KILLED, pods[:1]), (CART, states.POD_NOT_READY, pods[1:]))
    assert cluster.incident()["alert_type"] == "PodNotReady"


@pytest.mark.parametrize("status", sorted(model.RESPONDING))
def test_cause_stays_while_somebody_is_at_work(cluster, status):
    cluster.look(UNREADY)
    registry.update(cluster.store, cluster.incident()["id"], status=status)
    cluster.look(UNREADY, CRASH)
    assert cluster.incident()["alert_type"] == "PodNotReady"
    registry.update(cluster.store, cluster.incident()["id"], status=model.ESCALATED)
    cluster.look(UNREADY, CRASH)
    assert cluster.incident()["alert_type"] == "PodCrashLooping"


def test_response_that_holds_the_incident_keeps_its_cause(cluster):
    cluster.look(UNREADY)
    incident_id = cluster.incident()["id"]
    registry.claim(cluster.store, incident_id, "run-1", 3600)
    registry.update(cluster.store, incident_id, status=model.OPEN)
    cluster.look(UNREADY, CRASH)
    assert cluster.incident()["alert_type"] == "PodNotReady"


def test_same_name_of_another_kind_or_place_is_another_incident(cluster):
    others = [
        Ref("StatefulSet", "shop", "cart"),
        Ref("Deployment", "test", "cart"),
        Ref("Node", "", "cart"),
    ]
    cluster.look(*((owner, states.POD_NOT_READY, ["p"]) for owner in [CART, *others]))
    assert len(cluster.incidents()) == 4


def test_node_is_no_workload(cluster):
    cluster.look((Ref("Node", "", "a1"), states.NODE_NOT_READY, []))
    incident = cluster.incident()
    assert incident["workload"] is None and incident["namespace"] is None
    assert incident["instance"] == "a1"
    labels = registry.get(cluster.store, incident["id"]).labels
    assert labels["node"] == "a1" and labels["workload_kind"] == "Node"


def test_state_that_stays_after_its_incident_was_closed_opens_it_again(cluster):
    cluster.look(CRASH)
    incident_id = cluster.incident()["id"]
    registry.resolve(cluster.store, incident_id, "remediated", "proven")
    assert cluster.look(CRASH).reopened == 0  # the look may have been on its way
    for _ in range(6):
        done = cluster.look(CRASH)
        if done.reopened:
            break
    assert cluster.incident()["status"] == "open" and cluster.incident()["reopened"] == 1
    assert cluster.events(incident_id).count("reopened") == 1


def test_state_that_is_back_after_it_ended_reopens_at_once(cluster):
    cluster.look(CRASH)
    cluster.look()
    cluster.look()
    registry.resolve(cluster.store, cluster.incident()["id"], "self_resolved", "gone")
    assert cluster.look(CRASH).reopened == 1


def test_clusters_are_apart(tmp_path):
    url = stores.sqlite_url(tmp_path)
    one, other = Cluster(url, "one"), Cluster(url, "other")
    one.look(CRASH)
    other.clock.at = one.clock.at
    for _ in range(3):
        other.look()
    assert [row["cleared_at"] for row in one.incidents()] == [None]
    other.look(CRASH)
    assert sorted(row["cluster"] for row in one.incidents()) == ["one", "other"]


def test_two_sensors_open_one_incident(tmp_path):
    url = stores.sqlite_url(tmp_path)
    one, other = Cluster(url), Cluster(url)
    one.look(CRASH)
    other.clock.at = one.clock.at
    assert other.look(CRASH).opened == 0
    assert len(one.incidents()) == 1 and len(one.store.query("SELECT * FROM alerts")) == 1


def test_signals_that_a_hand_made_unreadable_stop_nothing(cluster):
    cluster.look(CRASH)
    cluster.store.execute("UPDATE alerts SET labels = '{nonsense'")
    cluster.store.execute("UPDATE incidents SET signal = 'nonsense'")
    cluster.look(UNREADY, CRASH)
    assert cluster.incident()["alert_type"] == "PodCrashLooping"


def test_cause_of_gives_what_an_incident_says():
    found = [Finding(states.POD_NOT_READY, CART, pod="a"), Finding(states.POD_OOM_KILLED, CART)]
    cause = grouping.cause_of(Place("prod", "cluster"), CART, found)
    assert cause.alert_type == "PodOOMKilled" and cause.labels["cluster"] == "prod"
    assert grouping.cause_of(Place("prod", "cluster"), CART, []) is None

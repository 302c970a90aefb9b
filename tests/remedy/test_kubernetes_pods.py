"""Sick pods taken away in a real cluster: which ones, by which way, what comes in their place."""

from __future__ import annotations

import threading

import pytest

from tests import kubernetes_manifests as manifests
from tests.remedy.kubernetes_scene import scene_for

OPERATIONS = ("delete_pod", "evict_pod", "reschedule_pod")


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


def uids(scene, name="web"):
    return {pod["metadata"]["uid"] for pod in scene.pods(name)}


def crashing(scene, count=1, name="web"):
    """Wait until so many pods have crashed for the third time; their uids."""
    def found():
        sick = {
            pod["metadata"]["uid"]
            for pod in scene.pods(name)
            for status in pod.get("status", {}).get("containerStatuses", ())
            if status["restartCount"] >= 2 and "waiting" in status["state"]
        }
        return sick if len(sick) >= count else None

    return scene.cluster.until(found)


def make_crash(scene, kubelet):
    """Let all pods crash that are there now; those that come later are well."""
    for pod in scene.pods():
        kubelet.become(scene.namespace, pod["metadata"]["name"], "bad:crash")
    crashing(scene, len(scene.pods()))
    scene.counted()


def web(scene, image="good:1", replicas=2, make=manifests.deployment, **more):
    scene.cluster.create(make(scene.namespace, "web", image, replicas=replicas, **more))
    if image.startswith("good"):
        scene.ready(replicas, {manifests.deployment: "Deployment"}.get(make, "StatefulSet"))


def budget(scene, **spec):
    scene.cluster.create(manifests.budget(scene.namespace, "web", **spec))
    scene.cluster.until(lambda: scene.cluster.get(
        "PodDisruptionBudget", "web", scene.namespace)["status"].get("expectedPods"))


@pytest.mark.parametrize("do", ("delete_pod", "evict_pod"))
def test_only_the_sick_pod_is_replaced(scene, kubelet, do):
    web(scene, "sick:once", 3)
    sick = crashing(scene)
    before = uids(scene)
    about = scene.incident()
    done = scene.do(do, about)
    assert done.outcome == "done", done
    assert before - uids(scene) == sick
    scene.ready(3)
    assert scene.owed(about) == []


def test_no_more_are_taken_than_was_said(scene, kubelet):
    web(scene, replicas=3)
    make_crash(scene, kubelet)
    before = uids(scene)
    done = scene.do("delete_pod", scene.incident(), most=2)
    assert len(before - uids(scene)) == 2
    assert done.outcome == "done", done


def test_pod_of_a_stateful_set_comes_back_under_its_name(scene, kubelet):
    web(scene, "sick:start", 1, manifests.statefulset)
    sick = crashing(scene)
    done = scene.do("delete_pod", scene.incident(kind="StatefulSet"))
    assert done.outcome == "done", done
    assert sick.isdisjoint(uids(scene))
    scene.ready(1, "StatefulSet")


def test_pod_of_a_daemon_set_is_replaced_on_its_node(scene, kubelet):
    scene.cluster.create(
        manifests.daemonset(scene.namespace, kubelet.selector, "web", "sick:start")
    )
    crashing(scene)
    about = scene.incident(kind="DaemonSet")
    assert scene.do("reschedule_pod", about).outcome == "refused"
    done = scene.do("evict_pod", about)
    assert done.outcome == "done", done


def test_pod_of_a_running_job_is_replaced_and_of_an_ended_one_not(scene, kubelet):
    from tests.kubernetes_access import path_of

    job = manifests.job(scene.namespace, "web", "bad:config", backoffLimit=3)
    job["spec"]["template"]["metadata"]["labels"] = {"app": "web"}
    scene.cluster.create(job)
    about = scene.incident(kind="Job")
    refused = scene.cluster.until(
        lambda: (lambda done: done if "fail alike" in done.reason else None)(
            scene.do("delete_pod", about)
        )
    )
    assert refused.outcome == "refused"
    ended = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    path = path_of("Job", scene.namespace, "web") + "/status"
    scene.cluster.ask("PATCH", path, ended, content_type="application/merge-patch+json")
    done = scene.do("delete_pod", about)
    assert (done.outcome, "has ended (Failed)" in done.reason) == ("refused", True), done


@pytest.mark.parametrize("do", OPERATIONS)
def test_healthy_pods_are_left_alone(scene, kubelet, do):
    web(scene)
    before = uids(scene)
    done = scene.do(do, scene.incident())
    assert (done.outcome, "is not sick" in done.reason) == ("refused", True), done
    assert uids(scene) == before


@pytest.mark.parametrize("do", OPERATIONS)
@pytest.mark.parametrize("kind", ["Pod", ""])
def test_bare_pod_is_never_taken_away(scene, kubelet, do, kind):
    scene.cluster.create(manifests.pod(scene.namespace, "web", "bad:crash"))
    crashing(scene)
    before = uids(scene)
    done = scene.do(do, scene.incident(kind=kind))
    assert (done.outcome, "no controller" in done.reason) == ("refused", True), done
    assert uids(scene) == before


@pytest.mark.parametrize("do", OPERATIONS)
@pytest.mark.parametrize("image, words", [("bad:missing", "image"), ("bad:config", "fail alike")])
def test_pod_whose_replacement_would_fail_alike_is_left(scene, kubelet, do, image, words):
    web(scene, image, 1)
    about = scene.incident()
    done = scene.cluster.until(
        lambda: (lambda one: one if "would fail alike" in one.reason else None)(scene.do(do, about))
    )
    assert (done.outcome, words in done.reason) == ("refused", True), done


def test_hand_may_name_the_very_pod(scene, kubelet):
    web(scene)
    make_crash(scene, kubelet)
    one = scene.pods()[1]["metadata"]
    done = scene.do("delete_pod", scene.incident(one["name"], "Pod"))
    assert done.outcome == "done", done
    assert one["uid"] not in uids(scene)
    other = scene.do("restart_workload", scene.incident(scene.pods()[0]["metadata"]["name"], "Pod"))
    assert (other.outcome, "not for a Pod" in other.reason) == ("refused", True), other


def test_eviction_waits_for_the_disruption_budget(scene, kubelet):
    web(scene, "sick:once", 2)
    sick = crashing(scene)
    budget(scene, minAvailable=2)
    waits = threading.Event()

    def stop():
        waits.set()
        return ""

    def allow():
        waits.wait(180)
        path = "/apis/policy/v1beta1/namespaces/%s/poddisruptionbudgets/web" % scene.namespace
        scene.cluster.ask("PATCH", path, {"spec": {"minAvailable": 0}},
                          content_type="application/merge-patch+json")

    helper = threading.Thread(target=allow)
    helper.start()
    done = scene.do("evict_pod", scene.incident(), stop=stop)
    helper.join()
    assert done.outcome == "done", done
    assert sick.isdisjoint(uids(scene))


def test_eviction_ends_when_the_budget_never_allows_it(scene, kubelet):
    web(scene, "sick:once", 2)
    crashing(scene)
    before = uids(scene)
    budget(scene, minAvailable=2)
    asked = []

    def has_waited():
        asked.append(1)
        return len(asked) == 8

    done = scene.do("evict_pod", scene.incident(), stop=scene.over_once(has_waited))
    assert done.outcome == "failed"
    assert "PodDisruptionBudget keeps this pod" in done.reason
    assert "before the time was over" in done.reason and len(asked) == 8
    assert uids(scene) == before


def test_eviction_that_waits_can_be_called_off(scene, kubelet):
    web(scene, "sick:once", 2)
    crashing(scene)
    budget(scene, minAvailable=2)
    asked = []

    def stop():
        asked.append(1)
        return "cleared" if len(asked) > 4 else ""

    done = scene.do("evict_pod", scene.incident(), stop=stop)
    assert done.outcome == "cleared", done


def test_pod_that_recovers_while_the_budget_keeps_it_is_left(scene, kubelet):
    web(scene, "sick:once", 2)
    sick = crashing(scene)
    budget(scene, minAvailable=2)
    asked = []

    def stop():
        asked.append(1)
        if len(asked) == 3:
            name = next(
                pod["metadata"]["name"] for pod in scene.pods() if pod["metadata"]["uid"] in sick
            )
            kubelet.become(scene.namespace, name, "good:1")
        return ""

    done = scene.do("evict_pod", scene.incident(), stop=stop)
    assert done.outcome == "done", done
    assert "is well again, and was left" in done.steps[0].detail
    assert sick <= uids(scene)


def test_reschedule_brings_the_pod_to_another_node(scene, kubelet):
    kubelet.add_node("node-b", pods=1)
    web(scene, "sick:node-a", 1)
    where = crashing(scene)
    assert where
    done = scene.do("reschedule_pod", scene.incident(), avoid_node=True)
    assert done.outcome == "done", done
    [pod] = scene.pods()
    assert pod["spec"]["nodeName"] == kubelet.name_of("node-b")
    node = scene.cluster.get("Node", kubelet.name_of("node-a"))
    assert "unschedulable" not in node["spec"]


def test_pod_of_a_stateful_set_moves_under_its_name(scene, kubelet):
    kubelet.add_node("node-b", pods=1)
    web(scene, "sick:node-a", 1, manifests.statefulset)
    crashing(scene)
    done = scene.do("reschedule_pod", scene.incident(kind="StatefulSet"), avoid_node=True)
    assert done.outcome == "done", done
    [pod] = scene.pods()
    assert (pod["metadata"]["name"], pod["spec"]["nodeName"]) == (
        "web-0", kubelet.name_of("node-b")
    )


def test_reschedule_that_comes_to_the_same_node_says_so(scene, kubelet):
    web(scene, "sick:node-a", 1)
    crashing(scene)
    done = scene.do("reschedule_pod", scene.incident())
    assert done.outcome == "failed"
    assert "the same node" in done.reason and "avoid_node" in done.reason


def test_node_is_opened_again_when_no_other_takes_the_pod(scene, kubelet):
    web(scene, "sick:node-a", 1)
    crashing(scene)
    about = scene.incident()
    stop = scene.over_once(lambda: "Unschedulable" in str(scene.pods()))
    done = scene.do("reschedule_pod", about, stop=stop, avoid_node=True)
    assert done.outcome == "failed", done
    node = scene.cluster.get("Node", kubelet.name_of("node-a"))
    assert "unschedulable" not in node["spec"]
    assert [status for status, _ in scene.owed(about)] == ["not_needed"]


def test_node_is_opened_again_when_it_is_called_off(scene, kubelet):
    web(scene, "sick:node-a", 1)
    crashing(scene)
    node = kubelet.name_of("node-a")

    def stop():
        closed = scene.cluster.get("Node", node)["spec"].get("unschedulable")
        return "cleared" if closed else ""

    done = scene.do("reschedule_pod", scene.incident(), stop=stop, avoid_node=True)
    assert done.outcome == "cleared", done
    assert "unschedulable" not in scene.cluster.get("Node", node)["spec"]


def test_node_that_somebody_else_closed_stays_closed(scene, kubelet):
    kubelet.add_node("node-b", pods=1)
    web(scene, "sick:node-a", 1)
    crashing(scene)
    node = kubelet.name_of("node-a")
    scene.cluster.patch("Node", node, "", {"spec": {"unschedulable": True}})
    done = scene.do("reschedule_pod", scene.incident(), avoid_node=True)
    assert done.outcome == "done", done
    assert scene.cluster.get("Node", node)["spec"]["unschedulable"] is True


def test_replacement_that_is_sick_again_is_a_failure(scene, kubelet):
    web(scene, "bad:crash", 1)
    crashing(scene)
    before = uids(scene)

    def is_sick_again():
        return scene.pods() and all(
            about["metadata"]["uid"] not in before and "CrashLoopBackOff" in str(about)
            for about in scene.pods()
        )

    done = scene.do("delete_pod", scene.incident(), stop=scene.over_once(is_sick_again))
    assert done.outcome == "failed"
    assert "0 of 1 pods were ready" in done.reason

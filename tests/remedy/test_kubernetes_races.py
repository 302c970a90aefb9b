"""What happens between two requests: a lost answer whose change shows late, somebody who calls it
off just then, pods that recover, objects that are gone, a server that keeps more than was sent.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from selfheal.apis.kubernetes.failures import Unsure
from selfheal.remedy.kubernetes import changes, replacing, rollouts
from selfheal.remedy.kubernetes import pods as podwork
from selfheal.remedy.kubernetes.patience import OutOfTime
from selfheal.workloads.model import Health, Ref
from tests import kubernetes_manifests as manifests
from tests.remedy.kubernetes_scene import scene_for

RIGHT = {"memory_percent": 0, "cpu_percent": 0, "queue_length": "3"}


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


def web(scene, image="good:1", replicas=2, make=manifests.deployment, **more):
    scene.cluster.create(make(scene.namespace, "web", image, replicas=replicas, **more))
    if image.startswith("good"):
        scene.ready(replicas, "Deployment" if make is manifests.deployment else "StatefulSet")


def crashing(scene, count=1):
    """Wait until so many pods crash again and again."""
    scene.cluster.until(lambda: count <= sum(
        status["restartCount"] > 1
        for pod in scene.pods() for status in pod["status"].get("containerStatuses", ())
    ))


def uids(scene):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in scene.pods()}


def when_sent(monkeypatch, happening):
    """Let `happening(make, change)` stand for what is sent; `make` sends it."""
    real = changes.apply

    def apply(client, change, live, dry_run=False):
        if dry_run:
            return real(client, change, live, dry_run)
        return happening(lambda: real(client, change, live), change)

    monkeypatch.setattr(changes, "apply", apply)


def test_lost_change_that_shows_late_is_not_made_twice(scene, kubelet, monkeypatch):
    web(scene)
    sent, read = [], changes.read

    def lost(make, change):
        sent.append(change)
        if len(sent) == 1:
            raise Unsure("no answer")
        return make()

    def late(client, change):
        found = read(client, change)
        if len(sent) == 1 and found["spec"]["replicas"] == 2:
            scene.cluster.patch("Deployment", "web", scene.namespace, {"spec": {"replicas": 3}})
            scene.ready(3)
        return found

    when_sent(monkeypatch, lost)
    monkeypatch.setattr(changes, "read", late)
    about = scene.incident()
    done = scene.do("scale_workload", about, by=1)
    assert done.outcome == "done", done
    assert scene.get()["spec"]["replicas"] == 3
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.get()["spec"]["replicas"] == 2


def test_node_is_opened_when_called_off_before_it_is_known_to_be_closed(
    scene, kubelet, monkeypatch
):
    web(scene, "bad:crash", 1)
    crashing(scene)
    node = kubelet.name_of("node-a")

    def lost(make, change):
        make()
        raise Unsure("no answer")

    def stop():
        is_closed = scene.cluster.get("Node", node)["spec"].get("unschedulable")
        return "cleared" if is_closed else ""

    when_sent(monkeypatch, lost)
    about = scene.incident()
    done = scene.do("reschedule_pod", about, stop=stop, avoid_node=True)
    assert done.outcome == "cleared", done
    assert "unschedulable" not in scene.cluster.get("Node", node)["spec"]
    assert [status for status, _ in scene.owed(about)] == ["not_needed"]


def test_pod_that_recovers_while_another_goes_is_left(scene, kubelet, monkeypatch):
    web(scene, "bad:crash")
    crashing(scene, 2)
    before, take_away, taken = uids(scene), podwork.take_away, []

    def slow(target, act, one, patience):
        taken.append(one.name)
        told = take_away(target, act, one, patience)
        [other] = set(before) - {one.name} or [None]
        kubelet.become(scene.namespace, other, "good:1")
        chosen = [each for each in podwork.choose(target, {"most": 2}) if each.name == other]
        scene.cluster.until(lambda: "well again" in podwork.why_left(target, chosen[0]))
        return told

    monkeypatch.setattr(replacing.podwork, "take_away", slow)
    done = scene.do("delete_pod", scene.incident(), most=2)
    assert len(taken) == 1, done
    [other] = set(before) - set(taken)
    assert uids(scene)[other] == before[other]
    assert "%s is well again, and was left" % other in done.steps[0].detail


def test_protection_that_comes_while_pods_go_keeps_the_rest(scene, kubelet, monkeypatch):
    web(scene, "bad:crash", 3)
    crashing(scene, 3)
    before, take_away, taken = uids(scene), podwork.take_away, []
    why_left, left = podwork.why_left, []
    ignored = {"metadata": {"annotations": {"selfheal/ignore": ""}}}

    def kept(target, act, one, patience):
        taken.append(one.name)
        told = take_away(target, act, one, patience)
        scene.cluster.patch("Deployment", "web", scene.namespace, ignored)
        return told

    def seen(target, one):
        left.append(why_left(target, one))
        return left[-1]

    monkeypatch.setattr(replacing.podwork, "take_away", kept)
    monkeypatch.setattr(replacing.podwork, "why_left", seen)
    stop = scene.over_once(lambda: len(left) == 2)  # the new pod crashes as well
    done = scene.do("delete_pod", scene.incident(), stop=stop, most=3)
    assert len(taken) == 1, done
    assert len(set(before.values()) & set(uids(scene).values())) == 2
    assert "annotated selfheal/ignore" in done.steps[0].detail


def test_pod_below_the_partition_is_not_deleted_again_and_again(scene, kubelet):
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    web(scene, make=manifests.statefulset, updateStrategy=update)
    kubelet.become(scene.namespace, "web-0", "bad:crash")
    crashing(scene)
    before = uids(scene)
    about = scene.incident(kind="StatefulSet")
    stop = scene.over_once_changed(looks=4, kind="StatefulSet")
    done = scene.do("restart_workload", about, stop=stop)
    assert (done.outcome, done.undo_now) == ("failed", True), done
    assert scene.undo(about).outcome == "undone", scene.told()
    assert uids(scene)["web-0"] == before["web-0"]


def test_what_the_server_keeps_otherwise_each_time_is_taken_back(scene, kubelet, monkeypatch):
    web(scene)
    before = scene.plain()

    def stamped(make, change):
        make()
        stamp = {"spec": {"template": {"metadata": {"annotations": {"stamp": "now"}}}}}
        return scene.cluster.patch("Deployment", "web", scene.namespace, stamp)

    when_sent(monkeypatch, stamped)
    about = scene.incident()
    assert scene.do("restart_workload", about).outcome == "done"
    monkeypatch.undo()
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain() == before


def autoscalers_of(scene):
    return scene.cluster.find("HorizontalPodAutoscaler", scene.namespace)


def test_autoscaler_that_somebody_made_since_stays(scene, kubelet):
    web(scene)
    about = scene.incident()
    assert scene.do("apply_hpa", about, **RIGHT).outcome == "done"
    [ours] = autoscalers_of(scene)
    scene.cluster.delete("HorizontalPodAutoscaler", "web", scene.namespace)
    about_it = {key: ours["metadata"][key] for key in ("name", "namespace", "annotations", "labels")
                if key in ours["metadata"]}
    kind = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    scene.cluster.create({**kind, "metadata": about_it, "spec": ours["spec"]})
    assert scene.undo(about).outcome == "undone", scene.told()
    assert len(autoscalers_of(scene)) == 1
    assert "is a new one since" in scene.told()


def test_autoscaler_that_is_deleted_while_it_is_taken_back_is_no_failure(
    scene, kubelet, monkeypatch
):
    web(scene)
    about = scene.incident()
    assert scene.do("apply_hpa", about, **RIGHT).outcome == "done"
    take_back = changes.take_back

    def late(client, change, live):
        scene.cluster.delete("HorizontalPodAutoscaler", "web", scene.namespace)
        return take_back(client, change, live)

    monkeypatch.setattr(changes, "take_back", late)
    assert scene.undo(about).outcome == "undone", scene.told()
    assert "is not there" in scene.told()


def seen(reason, is_settled=False, at="1"):
    """A Deployment as it is looked at: what its controller says of the rollout since when."""
    condition = {"type": "Progressing", "reason": reason, "lastUpdateTime": at}
    health = Health(1, 1, 1, 1, is_settled, "1 of 1 available")
    return SimpleNamespace(
        ref=Ref("Deployment", "shop", "web"),
        workload={"metadata": {"generation": 2},
                  "status": {"observedGeneration": 2, "conditions": [condition]}},
        health=health,
    )


class Looks:
    """As often as there is something to be seen."""

    def __init__(self, *looks):
        self.looks = list(looks)
        for one in looks:
            one.again = lambda: self.looks.pop(0)

    def pause(self, seconds, what):
        if not self.looks:
            raise OutOfTime(what)

    def check(self):
        pass


@pytest.mark.parametrize("later, status", [
    ([seen("ProgressDeadlineExceeded"), seen("NewReplicaSetAvailable", True)], "done"),
    ([seen("ReplicaSetUpdated"), seen("ProgressDeadlineExceeded", at="2")], "failed"),
])
def test_what_was_stuck_before_the_change_is_not_stuck_by_it(later, status):
    first = seen("ProgressDeadlineExceeded")
    looks = Looks(first, *later)
    looks.looks.pop(0)
    ending = rollouts.waited(first, first.health, "roll back", looks, is_back=True)
    assert ending.status == status, ending

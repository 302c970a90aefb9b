"""What goes wrong on the way: others who change the same, rights that are missing, answers that are
lost, an API server that stops and starts, rollouts that never end.
"""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import pytest

from selfheal.remedy.kubernetes import changes, rollouts
from selfheal.workloads.model import Health
from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy.kubernetes_scene import scene_for


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


@pytest.fixture
def before_each_try(monkeypatch):
    """Something that happens just before a change is sent; it is told how often."""
    def set_up(happening, times=1):
        real, tries = changes.apply, []

        def apply(client, change, live, dry_run=False):
            if not dry_run:
                tries.append(change)
                if len(tries) <= times:
                    happening(len(tries))
            return real(client, change, live, dry_run)

        monkeypatch.setattr(changes, "apply", apply)
        return tries

    return set_up


def web(scene, replicas=2, image="good:1", **more):
    manifest = manifests.deployment(scene.namespace, "web", image, replicas=replicas, **more)
    scene.cluster.create(manifest)
    if image.startswith("good"):
        scene.ready(replicas)


def note_of(scene, **notes):
    scene.cluster.patch(
        "Deployment", "web", scene.namespace, {"metadata": {"annotations": notes}}
    )


def test_change_of_others_is_read_again_and_tried_again(scene, kubelet, before_each_try):
    web(scene)
    tries = before_each_try(lambda count: note_of(scene, seen=str(count)), times=3)
    about = scene.incident()
    done = scene.do("scale_workload", about, by=1)
    assert done.outcome == "done", done
    assert len(tries) == 4
    found = scene.get()
    assert found["spec"]["replicas"] == 3
    assert found["metadata"]["annotations"]["seen"] == "3"
    assert len(scene.owed(about)) == 1


def test_what_was_scaled_meanwhile_is_judged_and_recorded_anew(scene, kubelet, before_each_try):
    web(scene)
    scale = {"spec": {"replicas": 4}}
    before_each_try(
        lambda _: scene.cluster.patch("Deployment", "web", scene.namespace, scale)
    )
    about = scene.incident()
    assert scene.do("scale_workload", about, by=1).outcome == "done"
    assert scene.get()["spec"]["replicas"] == 5
    assert scene.undo(about).outcome == "undone"
    assert scene.get()["spec"]["replicas"] == 4


def test_protection_that_comes_meanwhile_counts(scene, kubelet, before_each_try):
    web(scene)
    before_each_try(lambda _: note_of(scene, **{"selfheal/ignore": ""}))
    about = scene.incident()
    done = scene.do("scale_workload", about, by=1)
    assert (done.outcome, "annotated" in done.reason) == ("refused", True), done
    assert scene.get()["spec"]["replicas"] == 2
    assert [status for status, _ in scene.owed(about)] == ["not_needed"]


def test_others_who_never_stop_end_it_when_the_time_is_over(scene, kubelet, before_each_try):
    web(scene)
    tries = before_each_try(lambda count: note_of(scene, seen=str(count)), times=10**6)
    about = scene.incident()
    stop = scene.over_once(lambda: len(tries) == 3)
    done = scene.do("scale_workload", about, stop=stop, by=1)
    assert (done.outcome, "time was over" in done.reason) == ("failed", True), done
    assert len(tries) == 3
    assert not done.undo_now
    assert [status for status, _ in scene.owed(about)] == ["not_needed"]


READ = [{
    "apiGroups": ["", "apps", "autoscaling", "policy"], "resources": ["*"],
    "verbs": ["get", "list"],
}]


@pytest.mark.parametrize("do, options, right", [
    ("restart_workload", {}, "verb patch on deployments.apps in namespace"),
    ("scale_workload", {"by": 1}, "verb patch on deployments.apps in namespace"),
    ("delete_pod", {}, "verb delete on pods in namespace"),
    ("evict_pod", {}, "verb create on pods/eviction in namespace"),
    ("reschedule_pod", {"avoid_node": True}, "verb create on pods/eviction in namespace"),
    ("apply_hpa", {"memory_percent": 0, "cpu_percent": 0, "queue_length": "3"},
     "verb create on horizontalpodautoscalers.autoscaling in namespace"),
    ("cordon_node", {}, "verb patch on nodes in the whole cluster"),
])
def test_right_that_is_missing_is_named(
    tmp_path, kubernetes, namespace, kubelet, do, options, right
):
    token = kubernetes.account(namespace, cluster_rules=READ, name=do.replace("_", "-"))
    scene = scene_for(tmp_path, kubernetes, namespace, token=token)
    web(scene, 1, "bad:crash")
    scene.cluster.until(lambda: any(
        status["restartCount"] > 1
        for pod in scene.pods() for status in pod["status"].get("containerStatuses", ())
    ))
    node = kubelet.name_of("node-a")
    about = scene.incident(node, "Node") if do == "cordon_node" else scene.incident()
    before = scene.plain()
    done = scene.do(do, about, **options)
    assert (done.outcome, right in done.reason) == ("failed", True), done
    assert scene.plain() == before
    assert not done.undo_now


def test_rollout_that_never_ends_is_undone_at_once(scene, kubelet):
    web(scene, image="bad:unready")
    before = scene.plain()
    about = scene.incident()
    done = scene.do("restart_workload", about, stop=scene.over_once_changed())
    assert done.outcome == "failed"
    assert done.undo_now
    assert "had not followed" in done.reason
    assert scene.undo(about).outcome == "undone"
    assert scene.plain() == before


def test_rollout_that_is_given_up_is_not_waited_for(scene, kubelet):
    web(scene, image="bad:unready", progressDeadlineSeconds=1)
    done = scene.do("restart_workload", scene.incident(), timeout_s=1000)
    assert (done.outcome, "does not progress" in done.reason) == ("failed", True), done
    assert done.undo_now
    assert "time was over" not in done.reason


@pytest.mark.parametrize("reason, outcome", [
    ("interrupted", "interrupted"), ("cleared", "cleared"), ("paused", "failed"),
])
def test_waiting_for_a_rollout_can_be_called_off(scene, kubelet, reason, outcome):
    web(scene, image="bad:unready")
    about = scene.incident()

    def stop():
        generation = scene.get()["metadata"]["generation"]
        return reason if generation > 1 else ""

    done = scene.do("restart_workload", about, stop=stop)
    assert done.outcome == outcome, done
    assert [status for status, _ in scene.owed(about)] == ["pending"]


def test_told_to_end_before_anything_was_sent_owes_nothing(scene, kubelet, before_each_try):
    web(scene)
    asked = []
    before_each_try(lambda count: note_of(scene, seen=str(count)), times=10**6)

    def end():
        asked.append(1)
        return "interrupted" if len(asked) > 3 else ""

    about = scene.incident()
    assert scene.do("scale_workload", about, end=end, by=1).outcome == "interrupted"
    assert scene.get()["spec"]["replicas"] == 2
    assert [status for status, _ in scene.owed(about)] == ["not_needed"]


@pytest.mark.parametrize("before, after, is_worse", [
    ((3, 3), (3, 2), True), ((3, 2), (3, 2), False), ((3, 0), (3, 0), False),
    ((3, 3), (1, 1), False), ((3, 1), (3, 0), True), ((2, 2), (4, 2), False),
])
def test_worse_is_fewer_that_work_though_as_many_are_wanted(before, after, is_worse):
    def health(numbers):
        desired, ready = numbers
        return Health(desired, ready, ready, ready, True, "")

    assert rollouts.is_worse(health(before), health(after)) is is_worse


class Proxy:
    """Between us and the API server: passes on what we send, and loses the answer when told to."""

    def __init__(self, url):
        self.loses = False
        self._to = (urlsplit(url).hostname, urlsplit(url).port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = "https://127.0.0.1:%d" % self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            theirs = socket.create_connection(self._to)
            for one, other, is_answer in ((ours, theirs, False), (theirs, ours, True)):
                threading.Thread(
                    target=self._pass, args=(one, other, is_answer), daemon=True
                ).start()

    def _pass(self, one, other, is_answer):
        try:
            while True:
                data = one.recv(65536)
                if not data or (is_answer and self.loses):
                    break
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.loses = self.loses and not is_answer

    def close(self):
        self._listening.close()


@pytest.mark.parametrize("do, options", [
    ("scale_workload", {"by": 1}), ("restart_workload", {}),
    ("apply_hpa", {"memory_percent": 0, "cpu_percent": 0, "queue_length": "3"}),
])
def test_change_whose_answer_is_lost_is_made_once(
    tmp_path, kubernetes, namespace, kubelet, before_each_try, do, options
):
    proxy = Proxy(kubernetes.url)
    scene = scene_for(tmp_path, kubernetes, namespace, url=proxy.url)
    web(scene)
    before = scene.plain()
    tries = before_each_try(lambda _: setattr(proxy, "loses", True))
    about = scene.incident()
    done = scene.do(do, about, **options)
    proxy.close()
    assert done.outcome == "done", done
    assert len(tries) == 1
    if do == "scale_workload":
        assert scene.get()["spec"]["replicas"] == 3
    scene.ctx.config.values["kubernetes"]["url"] = kubernetes.url
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain() == before
    assert scene.cluster.find("HorizontalPodAutoscaler", scene.namespace) == []


def gone_for_a_second(cluster):
    """The API server is gone, and comes back after a second; the thread that starts it."""
    gone(cluster)
    starting = threading.Timer(1.0, back_again, [cluster])
    starting.start()
    return starting


def gone(cluster):
    """Stop the API server, and who cannot be without it."""
    cluster.kill_controllers()
    cluster.kill_api()


def back_again(cluster):
    """Start both again."""
    cluster.start_api()
    cluster.start_controllers()


def test_server_that_stops_and_starts_is_waited_for(tmp_path, own_kubernetes, monkeypatch):
    namespace = own_kubernetes.namespace()
    with Kubelet(own_kubernetes, namespace):
        scene = scene_for(tmp_path, own_kubernetes, namespace)
        web(scene)
        before = scene.plain()
        real, sent, back = changes.apply, [], []

        def apply(client, change, live, dry_run=False):
            if not dry_run and not sent:
                sent.append(1)
                back.append(gone_for_a_second(own_kubernetes))
            return real(client, change, live, dry_run)

        monkeypatch.setattr(changes, "apply", apply)
        about = scene.incident()
        done = scene.do("scale_workload", about, by=1)
        assert done.outcome == "done", done
        back[0].join()
        assert scene.get()["spec"]["replicas"] == 3

        coming = gone_for_a_second(own_kubernetes)
        assert scene.undo(about).outcome == "undone", scene.told()
        coming.join()
        assert scene.plain() == before


def test_server_that_stays_away_leaves_the_undo_owed(tmp_path, own_kubernetes, monkeypatch):
    namespace = own_kubernetes.namespace()
    with Kubelet(own_kubernetes, namespace):
        scene = scene_for(tmp_path, own_kubernetes, namespace)
        web(scene)
        before = scene.plain()
        about = scene.incident()

        def is_gone():
            if not looks and scene.get()["spec"]["replicas"] == 3:
                gone(own_kubernetes)
                looks.append(1)
            elif looks:
                looks.append(1)
            return len(looks) > 3

        looks = []
        done = scene.do("scale_workload", about, stop=scene.over_once(is_gone), by=1)
        assert (done.outcome, done.undo_now) == ("failed", True), done
        assert [status for status, _ in scene.owed(about)] == ["pending"]
        back_again(own_kubernetes)
        assert scene.undo(about).outcome == "undone", scene.told()
        assert scene.plain() == before

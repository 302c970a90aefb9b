"""The test bed itself: what tests of Kubernetes stand on must do what a cluster does."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import kubernetes_manifests as manifests
from tests.kubernetes_access import STRATEGIC, Refused, path_of
from tests.live_kubelet import Kubelet
from tests.live_kubernetes import binaries

ROOT = Path(__file__).resolve().parent.parent
# What a pod of each image comes to: (phase, where the container is, why).
ENDS = {
    "good:1": ("Running", "running", None),
    "bad:crash": ("Running", "waiting", "CrashLoopBackOff"),
    "bad:oom-256Mi": ("Running", "waiting", "CrashLoopBackOff"),
    "bad:missing": ("Pending", "waiting", "ImagePullBackOff"),
    "bad:config": ("Pending", "waiting", "CreateContainerConfigError"),
    "bad:unready": ("Running", "running", None),
    "registry.test/shop/job:ok": ("Succeeded", "terminated", "Completed"),
    "job:fail": ("Failed", "terminated", "Error"),
    "bad:exit": ("Failed", "terminated", "Error"),
}
RESTART = {
    "spec": {
        "template": {
            "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-22"}}
        }
    }
}
OWNER = """
import os, sys
from tests import live_kubernetes
live_kubernetes.shared(sys.argv[1], os.getpid())
print("up", flush=True)
sys.stdin.read()
"""


def condition(thing, kind):
    """(status, reason) of a condition."""
    for one in thing.get("status", {}).get("conditions", ()):
        if one["type"] == kind:
            return one["status"], one.get("reason")
    return None


def is_ready(pod):
    """Whether a pod says that it is ready."""
    return condition(pod, "Ready") == ("True", None)


def container(pod):
    """The status of a pod's only container."""
    return pod["status"]["containerStatuses"][0]


def wait_ready(kubernetes, namespace, count, name="web"):
    """Wait until `count` pods of a Deployment are ready, all of its present version."""
    wanted = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), count)

    def is_done():
        found = kubernetes.get("Deployment", name, namespace)
        status = found["status"]
        is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return is_seen and {part: status.get(part) for part in wanted} == wanted

    kubernetes.until(is_done, what="%d pods of %s are ready" % (count, name))


def test_rollout_of_a_deployment_becomes_ready(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace, replicas=3))
    kubernetes.create(manifests.service(namespace))
    wait_ready(kubernetes, namespace, 3)
    found = kubernetes.get("Deployment", "web", namespace)
    assert condition(found, "Available")[0] == "True"
    kubernetes.until(
        lambda: len(kubernetes.get("Endpoints", "web", namespace)["subsets"][0]["addresses"]) == 3
    )


def test_rollout_of_a_bad_image_misses_its_deadline(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace, replicas=2, progressDeadlineSeconds=1))
    wait_ready(kubernetes, namespace, 2)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main"}]}}}}
    change["spec"]["template"]["spec"]["containers"][0]["image"] = "bad:missing"
    kubernetes.patch("Deployment", "web", namespace, change, content_type=STRATEGIC)
    kubernetes.until(
        lambda: condition(kubernetes.get("Deployment", "web", namespace), "Progressing") ==
        ("False", "ProgressDeadlineExceeded")
    )
    assert kubernetes.get("Deployment", "web", namespace)["status"]["readyReplicas"] == 2


@pytest.mark.parametrize("image", ["sick:start", "sick:once"])
def test_restart_heals_what_a_restart_heals(kubernetes, namespace, kubelet, image):
    kubernetes.create(manifests.deployment(namespace, image=image, replicas=2))
    sick = 2 if image == "sick:start" else 1

    def restarting():
        pods = kubernetes.find("Pod", namespace)
        return sum(container(pod)["restartCount"] > 0 for pod in pods) == sick

    kubernetes.until(restarting, what="%d pods restart" % sick)
    kubernetes.patch("Deployment", "web", namespace, RESTART)
    wait_ready(kubernetes, namespace, 2)


def test_replacement_of_a_deleted_pod_is_fine(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace, image="sick:once", replicas=2))
    crashed = kubernetes.until(
        lambda: [
            one["metadata"]["name"]
            for one in kubernetes.find("Pod", namespace)
            if container(one)["restartCount"]
        ]
    )
    kubernetes.delete("Pod", crashed[0], namespace)
    wait_ready(kubernetes, namespace, 2)


def test_each_behaviour_shows_as_a_kubelet_writes_it(kubernetes, namespace, kubelet):
    for number, image in enumerate(ENDS):
        policy = "Never" if image in ("job:fail", "bad:exit") else "Always"
        made = manifests.pod(namespace, "pod-%d" % number, image, restartPolicy=policy)
        kubernetes.create(made)

    def seen():
        pods = kubernetes.find("Pod", namespace)
        states = {}
        for pod in pods:
            where, about = next(iter(container(pod)["state"].items()))
            found = (pod["status"]["phase"], where, about.get("reason"))
            states[container(pod)["image"]] = found
        return states

    with contextlib.suppress(AssertionError):
        kubernetes.until(lambda: seen() == ENDS)
    assert seen() == ENDS
    pods = {container(pod)["image"]: pod for pod in kubernetes.find("Pod", namespace)}
    killed = container(pods["bad:oom-256Mi"])["lastState"]["terminated"]
    assert (killed["reason"], killed["exitCode"]) == ("OOMKilled", 137)
    assert [image for image, pod in pods.items() if is_ready(pod)] == ["good:1"]
    told = {"BackOff", "Failed", "Unhealthy", "Started"}  # after the status that it is about
    kubernetes.until(
        lambda: told <= {one["reason"] for one in kubernetes.find("Event", namespace)}
    )


def test_memory_limit_ends_the_kills(kubernetes, namespace, kubelet):
    pod = manifests.memory("bad:oom-256Mi", "256Mi")
    kubernetes.create(manifests.deployment(namespace, replicas=1, pod=pod))
    wait_ready(kubernetes, namespace, 1)


def _only(found):
    """The only one of them; None when there are others."""
    return found[0] if len(found) == 1 else None


def test_pod_gets_well_on_another_node(kubernetes, namespace, kubelet):
    other = kubelet.add_node("node-b")
    kubernetes.create(manifests.deployment(namespace, image="sick:node-a"))
    sick = kubernetes.until(
        lambda: [
            one for one in kubernetes.find("Pod", namespace) if container(one)["restartCount"]
        ]
    )[0]
    assert sick["spec"]["nodeName"] == kubelet.name_of("node-a")
    kubernetes.patch("Node", kubelet.name_of("node-a"), "", {"spec": {"unschedulable": True}})
    kubernetes.delete("Pod", sick["metadata"]["name"], namespace)
    wait_ready(kubernetes, namespace, 1)
    # The old one goes when its kubelet says so.
    left = kubernetes.until(lambda: _only(kubernetes.find("Pod", namespace)))
    assert left["spec"]["nodeName"] == other


def test_pod_waits_for_room_and_runs_when_there_is_some(kubernetes, namespace, kubelet):
    resources = {"requests": {"cpu": "3"}}
    large = [{"name": "main", "image": "good:1", "resources": resources}]
    for name in ("first", "second"):
        kubernetes.create(manifests.pod(namespace, name, containers=large))
    found = kubernetes.until(
        lambda: [
            one
            for one in kubernetes.find("Pod", namespace)
            if condition(one, "PodScheduled") == ("False", "Unschedulable")
        ]
    )
    assert "Insufficient cpu" in found[0]["status"]["conditions"][0]["message"]
    kubernetes.delete("Pod", "first", namespace)
    kubernetes.until(lambda: is_ready(kubernetes.get("Pod", "second", namespace)))


def test_node_that_is_not_ready_serves_no_pod(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace))
    wait_ready(kubernetes, namespace, 1)
    kubelet.set_node("node-a", ready=False)
    kubernetes.until(
        lambda: kubernetes.get("Deployment", "web", namespace)["status"]["unavailableReplicas"] == 1
    )
    kubelet.set_node("node-a", ready=True)
    wait_ready(kubernetes, namespace, 1)


def test_job_daemonset_and_statefulset_come_to_their_ends(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.job(namespace))
    kubernetes.create(manifests.job(namespace, "never", "job:fail", backoffLimit=0))
    kubernetes.create(manifests.daemonset(namespace, kubelet.selector))
    kubernetes.create(manifests.statefulset(namespace, replicas=2))

    def state():
        return (
            condition(kubernetes.get("Job", "once", namespace), "Complete"),
            condition(kubernetes.get("Job", "never", namespace), "Failed"),
            kubernetes.get("DaemonSet", "agent", namespace)["status"]["numberReady"],
            kubernetes.get("StatefulSet", "db", namespace)["status"]["readyReplicas"],
        )

    wanted = (("True", None), ("True", "BackoffLimitExceeded"), 1, 2)
    kubernetes.until(lambda: state() == wanted, what=str(wanted))


def test_stuck_pod_goes_by_force_only(kubernetes, namespace, kubelet):
    for name, image in (("stuck", "bad:stuck"), ("good", "good:1")):
        kubernetes.create(manifests.pod(namespace, name, image))
        kubernetes.until(
            lambda name=name: is_ready(kubernetes.get("Pod", name, namespace))
        )
        kubernetes.delete("Pod", name, namespace)
    kubernetes.until(
        lambda: [one["metadata"]["name"] for one in kubernetes.find("Pod", namespace)] == ["stuck"]
    )
    kubernetes.delete("Pod", "stuck", namespace, gracePeriodSeconds=0)
    assert kubernetes.find("Pod", namespace) == []


def test_budget_refuses_an_eviction(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.deployment(namespace))
    kubernetes.create(manifests.budget(namespace, minAvailable=1))
    wait_ready(kubernetes, namespace, 1)
    kubernetes.until(
        lambda: kubernetes.get("PodDisruptionBudget", "web", namespace)["status"]["currentHealthy"]
    )
    (pod,) = kubernetes.find("Pod", namespace)
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1beta1", "kind": "Eviction"}
    eviction["metadata"] = {"name": name, "namespace": namespace}
    with pytest.raises(Refused) as refused:
        kubernetes.ask("POST", path_of("Pod", namespace, name) + "/eviction", eviction)
    assert refused.value.status == 429


def test_write_from_an_old_reading_conflicts(kubernetes, namespace):
    kubernetes.create(manifests.configmap(namespace, colour="red"))
    old = kubernetes.get("ConfigMap", "settings", namespace)
    kubernetes.patch("ConfigMap", "settings", namespace, {"data": {"colour": "blue"}})
    with pytest.raises(Refused) as refused:
        kubernetes.ask("PUT", path_of("ConfigMap", namespace, "settings"), old)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")


def test_rights_are_what_a_test_gives(kubernetes, namespace):
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    for token in (kubernetes.account(namespace, rules), kubernetes.token_for("observe")):
        kubernetes.allow("observe", rules, namespace)
        assert kubernetes.find("Pod", namespace, token=token) == []
        for refuse in (
            lambda token=token: kubernetes.find("Pod", "default", token=token),
            lambda token=token: kubernetes.find("Secret", namespace, token=token),
        ):
            with pytest.raises(Refused) as refused:
                refuse()
            assert refused.value.status == 403


def test_logs_come_through_the_api(kubernetes, namespace, kubelet):
    kubernetes.create(manifests.pod(namespace, "x", "bad:crash"))
    kubernetes.create(manifests.pod(namespace, "y", notes={"test/log": "one\ntwo\nthree\n"}))
    for name in "xy":
        kubernetes.until(lambda name=name: container(kubernetes.get("Pod", name, namespace)))

    def log(name, query):
        # The API answers 500 when the kubelet's port stands still for ten seconds.
        path = path_of("Pod", namespace, name) + "/log?" + query
        return kubernetes.until(lambda: kubernetes.ask("GET", path), what=path)

    assert "Connection refused" in log("x", "previous=true")
    assert log("y", "tailLines=2") == "two\nthree\n"
    with pytest.raises(Refused) as refused:
        kubernetes.ask("GET", path_of("Pod", namespace, "y") + "/log?previous=true")
    assert refused.value.status == 400


def test_api_comes_back_where_it_was(own_kubernetes):
    namespace = own_kubernetes.namespace()
    with Kubelet(own_kubernetes, namespace):
        own_kubernetes.create(manifests.deployment(namespace))
        wait_ready(own_kubernetes, namespace, 1)
        own_kubernetes.kill_api()
        with pytest.raises(OSError):
            own_kubernetes.get("Deployment", "web", namespace)
        own_kubernetes.start_api()
        own_kubernetes.patch("Deployment", "web", namespace, {"spec": {"replicas": 3}})
        wait_ready(own_kubernetes, namespace, 3)


def test_nothing_outlives_a_killed_owner(tmp_path):
    binaries()

    def running():
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                command = path.read_bytes().decode("utf-8", "replace")
                if str(tmp_path) in command and "-c" not in command.split("\0"):
                    found.append(Path(command.split("\0")[0]).name)
        return sorted(found)

    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "cluster")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=str(ROOT),
    )
    try:
        assert owner.stdout.readline() == b"up\n"
        servers = ["etcd", "kube-apiserver", "kube-controller-manager"]
        assert [name for name in running() if "python" not in name] == servers
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.communicate()
    deadline = time.monotonic() + 180
    while running():
        assert time.monotonic() < deadline, "still running: %s" % running()
        time.sleep(0.05)

"""What people have annotated out is not reported, whatever kind the annotation is on."""

from __future__ import annotations

from tests import kubernetes_manifests as manifests
from tests import stores
from tests.kubernetes_scene import CALM, Scene

IGNORE = {"selfheal/ignore": "true"}


def failed_job(kubernetes, namespace, cron_job, **notes):
    """A Job of `cron_job` that has given up."""
    kubernetes.create(manifests.cronjob(namespace, cron_job, "job:fail", suspend=True))
    owner = kubernetes.get("CronJob", cron_job, namespace)
    job = manifests.job(namespace, cron_job + "-1", "job:fail", backoffLimit=0)
    job["metadata"]["annotations"] = notes
    job["metadata"]["ownerReferences"] = [{
        "apiVersion": "batch/v1beta1", "kind": "CronJob", "name": cron_job,
        "uid": owner["metadata"]["uid"], "controller": True,
    }]
    kubernetes.create(job)
    kubernetes.until(lambda: any(
        one["type"] == "Failed"
        for one in kubernetes.get("Job", cron_job + "-1", namespace)["status"]["conditions"]
    ))


def replica_set(kubernetes, namespace, name, **notes):
    """A bare one whose only pod crashes in a loop."""
    made = manifests.deployment(namespace, name, "bad:crash")
    made["kind"] = "ReplicaSet"
    made["metadata"]["annotations"] = notes
    kubernetes.create(made)
    kubernetes.until(lambda: any(
        one["restartCount"] >= 2
        for pod in kubernetes.find("Pod", namespace, labelSelector="app=" + name)
        for one in pod["status"]["containerStatuses"]
    ))


def test_replica_set_and_job_that_are_annotated_are_left_out(
    kubernetes, namespace, kubelet, tmp_path
):
    scene = Scene(stores.sqlite_url(tmp_path), kubernetes.target(namespace, **CALM))
    failed_job(kubernetes, namespace, "nightly", **IGNORE)
    failed_job(kubernetes, namespace, "daily")
    replica_set(kubernetes, namespace, "mine", **IGNORE)
    replica_set(kubernetes, namespace, "web")
    try:
        scene.until(lambda: {("web", "PodCrashLooping"), ("daily", "JobFailed")} <= scene.firing())
        for _ in range(3):
            scene.look(after_s=5)
        assert {name for name, _ in scene.firing()} == {"web", "daily"}
        note = {"metadata": {"annotations": {"selfheal/ignore": None}}}
        kubernetes.patch("ReplicaSet", "mine", namespace, note)
        scene.until(lambda: ("mine", "PodCrashLooping") in scene.firing())
    finally:
        scene.close()

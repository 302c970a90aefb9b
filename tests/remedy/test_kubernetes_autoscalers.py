"""Autoscalers in a real cluster: made, replaced, taken back, and respected where they steer."""

from __future__ import annotations

import pytest

from selfheal.remedy.kubernetes import autoscalers
from selfheal.workloads.model import Ref
from tests.remedy.kubernetes_scene import made, scene_for


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


WITH_REQUESTS = {
    "containers": [{
        "name": "main", "image": "good:1",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }]
}
HPA = "/apis/autoscaling/v2beta2/namespaces/%s/horizontalpodautoscalers"


def hpa_of(scene, name="web"):
    return scene.cluster.ask("GET", HPA % scene.namespace + "/" + name)


def test_scale_of_what_an_autoscaler_steers_is_refused(scene, kubelet):
    made(scene, kubelet, "Deployment", pod=WITH_REQUESTS)
    assert scene.do("apply_hpa", scene.incident()).outcome == "done"
    done = scene.do("scale_workload", scene.incident(), by=1)
    assert done.outcome == "refused"
    assert "autoscaler web decides" in done.reason


def test_autoscaler_is_made_and_deleted_again(scene, kubelet):
    made(scene, kubelet, "Deployment", pod=WITH_REQUESTS)
    about = scene.incident()
    done = scene.do("apply_hpa", about, queue_length="30", request_seconds="0.5")
    assert done.outcome == "done", done
    spec = hpa_of(scene)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 20)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    found = {}
    for metric in spec["metrics"]:
        one = metric.get("pods") or metric.get("resource")
        name = one.get("name") or one["metric"]["name"]
        found[name] = one["target"].get("averageUtilization") or one["target"]["averageValue"]
    assert found == {
        "cpu": 70, "memory": 80, "queue_length": "30", "http_request_duration_seconds": "500m",
    }
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 60 and down["stabilizationWindowSeconds"] == 300
    assert {(one["type"], one["value"], one["periodSeconds"]) for one in up["policies"]} == {
        ("Percent", 50, 60), ("Pods", 4, 60),
    }
    assert [(one["value"], one["periodSeconds"]) for one in down["policies"]] == [(10, 60)]
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.cluster.find("HorizontalPodAutoscaler", scene.namespace) == []
    assert scene.undo(about).outcome == "nothing"


def test_autoscaler_that_is_there_is_replaced_and_restored(scene, kubelet):
    made(scene, kubelet, "Deployment", pod=WITH_REQUESTS)
    scene.cluster.create({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "theirs", "namespace": scene.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
        },
    })
    before = scene.plain("HorizontalPodAutoscaler", "theirs")
    about = scene.incident(alertname="AutoscalerAtMaximum")
    done = scene.do("apply_hpa", about, max_replicas=6, memory_percent=0)
    assert done.outcome == "done", done
    assert hpa_of(scene, "theirs")["spec"]["maxReplicas"] == 6
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.plain("HorizontalPodAutoscaler", "theirs") == before


@pytest.mark.parametrize("options, words", [
    ({}, "no request of memory"),
    ({"memory_percent": 0, "cpu_percent": 0}, "would never scale"),
    ({"memory_percent": 0, "cpu_percent": 0, "queue_length": "5", "max_replicas": 99},
     "more than kubernetes.max_replicas"),
])
def test_autoscaler_that_could_not_work_is_refused(scene, kubelet, options, words):
    made(scene, kubelet, "Deployment")
    done = scene.do("apply_hpa", scene.incident(), **options)
    assert (done.outcome, words in done.reason) == ("refused", True), done
    assert scene.cluster.find("HorizontalPodAutoscaler", scene.namespace) == []


def steers(name, api_version, kind="StatefulSet"):
    target = {"apiVersion": api_version, "kind": kind, "name": "web"}
    return {"metadata": {"name": name}, "spec": {"scaleTargetRef": target}}


def test_autoscaler_of_what_another_group_calls_so_is_not_ours():
    class Listed:
        """An API server with these autoscalers."""

        def collection(self, kind, namespace):
            return namespace

        def items(self, path):
            return [
                steers("a", "apps/v1"), steers("b", "apps.kruise.io/v1beta1"),
                steers("c", "extensions/v1beta1"), steers("d", "apps/v1", "Deployment"),
                {"metadata": {"name": "e"}, "spec": {"scaleTargetRef": {
                    "kind": "StatefulSet", "name": "web"}}},
            ]

    found = autoscalers.steering(Listed(), Ref("StatefulSet", "shop", "web"))
    assert [one["metadata"]["name"] for one in found] == ["a", "c", "e"]

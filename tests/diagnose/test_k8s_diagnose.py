"""The close look for a person: what was found, bounded and without secrets, or why it was not."""

from __future__ import annotations

import json

import pytest

from selfheal.diagnose.kubernetes.by_hand import k8s_diagnose
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, NotFound
from tests import kubernetes_manifests as manifests
from tests import web
from tests.live_kubelet import Kubelet
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, kubernetes, namespace):
    values = {"kubernetes": kubernetes.target(namespace, settle_s=0)}
    context = scenes.context_for(tmp_path, values=values)
    yield context
    context.close()


def test_a_sick_workload_is_told_and_kept(kubernetes, namespace, ctx):
    with Kubelet(kubernetes, namespace):
        log = "password=hunter2\nfatal: out of luck"
        notes = {"test/log": log, "test/previous-log": log}
        kubernetes.create(manifests.statefulset(namespace, "db", "bad:crash", 1, notes=notes))
        kubernetes.until(
            lambda: kubernetes.get("Pod", "db-0", namespace)["status"]["containerStatuses"][0][
                "restartCount"
            ] >= 3
        )
        found = k8s_diagnose(ctx, "db", namespace)
    assert found["summary"].startswith("StatefulSet %s/db" % namespace)
    assert "PodCrashLooping" in found["summary"]
    assert found["missing"] == [] and found["hidden"]["password"] >= 1
    assert found["logs"][0]["lines"][-1] == "fatal: out of luck"
    assert "hunter2" not in json.dumps(found)
    kept = ctx.store.one("SELECT * FROM diagnoses")
    assert kept["id"] == found["diagnosis_id"] and kept["incident_id"] is None
    assert "hunter2" not in kept["content"]


def test_a_workload_that_is_well_is_told_to_be(kubernetes, namespace, ctx):
    with Kubelet(kubernetes, namespace) as kubelet:
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1))
        kubernetes.until(
            lambda: kubernetes.get("Deployment", "web", namespace)["status"].get("readyReplicas")
        )
        assert "nothing is wrong with it" in k8s_diagnose(ctx, "web", namespace)["summary"]
        node = k8s_diagnose(ctx, kubelet.name_of("node-a"), kind="node")
        assert "nothing is wrong with it" in node["summary"]


def test_what_is_not_there_is_not_found(ctx, namespace):
    with pytest.raises(NotFound):
        k8s_diagnose(ctx, "web", namespace)
    with pytest.raises(NotFound, match="no Kubernetes target is named 'prod'"):
        k8s_diagnose(ctx, "web", namespace, cluster="prod")


@pytest.mark.parametrize(
    "wrong", [{"name": "*"}, {"name": ""}, {"name": "../x"}, {"namespace": ""},
              {"namespace": "kube-system "}, {"kind": "gate"}, {"name": "x" * 300}],
)
def test_what_is_no_name_is_refused(ctx, namespace, wrong):
    with pytest.raises(InvalidInput):
        k8s_diagnose(ctx, **{"name": "web", "namespace": namespace, **wrong})


def test_missing_namespace_is_named_as_such(ctx):
    with pytest.raises(InvalidInput, match="the namespace of web is missing"):
        k8s_diagnose(ctx, "web")


def test_who_cannot_look_says_why(tmp_path):
    ctx = scenes.context_for(tmp_path)
    with pytest.raises(ConfigError, match="Kubernetes is off"):
        k8s_diagnose(ctx, "web", "shop")
    with web.nobody("https") as url:
        ctx.config.values["kubernetes"] = {"url": url, "token": "t"}
        with pytest.raises(ExternalError, match="could not be looked at"):
            k8s_diagnose(ctx, "web", "shop")
    ctx.close()

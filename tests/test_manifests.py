"""The manifests are what a real API server takes, and give no more than they say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.kubernetes_access import ADMIN, Refused
from tests.live_kubernetes import binaries

MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
FILES = sorted(path.name for path in MANIFESTS.glob("*.yaml"))
# What the test server, Kubernetes 1.20, calls versions that came later with the same fields.
OLDER = {"autoscaling/v2": "autoscaling/v2beta2"}


def documents(name):
    return list(yaml.safe_load_all((MANIFESTS / name).read_text(encoding="utf-8")))


def rules():
    return [
        (role["metadata"]["name"], rule)
        for role in documents("rbac.yaml")
        if role["kind"] == "ClusterRole"
        for rule in role["rules"]
    ]


def ensure_namespace(kubernetes, name):
    try:
        kubernetes.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )
    except Refused as error:
        assert error.reason == "AlreadyExists"


def test_there_are_manifests():
    assert FILES == ["hpa.yaml", "networkpolicy.yaml", "rbac.yaml"]


@pytest.mark.parametrize("name", FILES)
def test_the_api_server_takes_it(kubernetes, tmp_path, name):
    kubectl = str(binaries() / "kubectl")
    found = documents(name)
    for namespace in sorted({one["metadata"].get("namespace", "selfheal") for one in found}):
        ensure_namespace(kubernetes, namespace)
    for one in found:
        one["apiVersion"] = OLDER.get(one["apiVersion"], one["apiVersion"])
    file = tmp_path / name
    file.write_text(yaml.safe_dump_all(found))
    ended = subprocess.run(
        [kubectl, "apply", "--dry-run=server", "-f", str(file)],
        env={"KUBECONFIG": str(kubernetes.kubeconfig(tmp_path / "config", ADMIN)),
             "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count("(server dry run)") == len(found), ended.stdout


def test_no_level_holds_more_than_it_says():
    for level, rule in rules():
        told = "%s: %r" % (level, rule)
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], told
        assert not {"secrets", "configmaps", "pods/exec", "pods/attach", "pods/portforward",
                    "serviceaccounts/token"}.intersection(rule["resources"]), told
        assert not {"escalate", "bind", "impersonate", "deletecollection"}.intersection(
            rule["verbs"]
        ), told
        assert not any("rbac" in group for group in rule["apiGroups"]), told


def test_only_observing_is_bound_for_the_whole_cluster():
    bound = [
        one["roleRef"]["name"]
        for one in documents("rbac.yaml")
        if one["kind"] == "ClusterRoleBinding"
    ]
    assert bound == ["selfheal-observe"]
    observing = [rule for level, rule in rules() if level == "selfheal-observe"]
    assert {verb for rule in observing for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_the_autoscaler_is_the_one_that_the_documents_promise():
    (autoscaler,) = documents("hpa.yaml")
    targets = {}
    for metric in autoscaler["spec"]["metrics"]:
        one = metric[metric["type"].lower()]
        name = one["name"] if "name" in one else one["metric"]["name"]
        targets[name] = one["target"].get("averageUtilization", one["target"].get("averageValue"))
    assert targets == {
        "cpu": 70, "memory": 80, "queue_length": "30", "http_request_duration_seconds": "500m",
    }
    behavior = autoscaler["spec"]["behavior"]
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 60 and down["stabilizationWindowSeconds"] == 300
    assert [(one["type"], one["value"], one["periodSeconds"]) for one in up["policies"]] == [
        ("Percent", 50, 60), ("Pods", 4, 60),
    ]
    assert [(one["type"], one["value"], one["periodSeconds"]) for one in down["policies"]] == [
        ("Percent", 10, 60),
    ]

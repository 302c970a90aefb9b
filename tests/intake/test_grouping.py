"""What is one cause and what is another, by the labels of kube-prometheus' own alerts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.intake.grouping import group_of, owner_of_pod, scope_of


def cause(group_by=(), **labels):
    scope = scope_of(labels)
    return group_of(labels.get("alertname", ""), labels, scope, group_by)


def parts(**labels):
    return {name: value for name, value in cause(**labels)[1].items() if name != "alertname"}


@pytest.mark.parametrize(
    "pod, owner",
    [
        ("web-7d9c5b6f4-x2x9z", "web"),
        ("coredns-5d78c9869d-8xkqp", "coredns"),
        ("api-server-66d8f9c4b8-k9xlp", "api-server"),
        ("web-1", "web"),
        ("kafka-broker-12", "kafka-broker"),
        ("node-exporter-x7k2p", "node-exporter"),
        ("fluentd-2fjk9", "fluentd"),
        ("backup-28374650-q4x7z", "backup"),
        ("backup-28374650-abcde", "backup"),
        ("migrate-x7k2z", "migrate"),
    ],
)
def test_owner_is_read_off_the_pod(pod, owner):
    assert owner_of_pod(pod) == owner


@pytest.mark.parametrize(
    "pod",
    [
        "redis-cache",
        "my-https",
        "apache-httpd",
        "db-mssql",
        "web",
        "a-queue",
        "payment-proxy",
        "front-nginx",
        "api-v2beta",
        "-",
        "",
        "10-20-30-12345",
        "x" * 300 + "-0",
    ],
)
def test_real_names_are_not_cut(pod):
    assert owner_of_pod(pod) is None


def test_static_pod_belongs_to_what_runs_on_every_node():
    assert owner_of_pod("kube-apiserver-cp-1.example", "cp-1.example") == "kube-apiserver"


@given(st.text(max_size=80))
def test_an_owner_is_a_true_beginning_of_the_name(pod):
    owner = owner_of_pod(pod)
    assert owner is None or (pod.startswith(owner) and 0 < len(owner) < len(pod))


def test_pods_of_one_deployment_are_one_cause_across_rollouts():
    one = cause(
        alertname="KubePodCrashLooping",
        namespace="prod",
        pod="web-7d9c5b6f4-x2x9z",
        instance="10.0.0.1:8080",
    )
    other = cause(
        alertname="KubePodCrashLooping",
        namespace="prod",
        pod="web-5c8f4d9b7b-k9xlp",
        instance="10.0.0.2:8080",
    )
    assert one == other


@pytest.mark.parametrize(
    "label, value, workload",
    [
        ("deployment", "web", "web"),
        ("statefulset", "db", "db"),
        ("daemonset", "logs", "logs"),
        ("workload", "web", "web"),
        ("cronjob", "backup", "backup"),
        ("job_name", "backup-28374650", "backup"),
        ("job_name", "import", "import"),
        ("replicaset", "web-7d9c5b6f4", "web"),
    ],
)
def test_workload_is_named_by_labels_first(label, value, workload):
    scope = scope_of(
        {"alertname": "A", "namespace": "prod", "pod": "other-7d9c5b6f4-x2x9z", label: value}
    )
    assert scope.workload == workload


def test_scrape_job_is_no_workload():
    assert scope_of({"alertname": "TargetDown", "job": "node-exporter"}).workload is None


def test_owner_reference_labels_count():
    assert scope_of({"owner_kind": "ReplicaSet", "owner_name": "web-7d9c5b6f4"}).workload == "web"
    assert (
        scope_of({"owner_kind": "Node", "owner_name": "<none>", "pod": "web-1"}).workload == "web"
    )


def test_exporters_own_labels_give_way_to_exported_ones():
    labels = {
        "alertname": "KubePodNotReady",
        "namespace": "monitoring",
        "pod": "kube-state-metrics-7d9c5b6f4-x2x9z",
        "instance": "10.0.0.9:8080",
        "exported_namespace": "prod",
        "exported_pod": "web-7d9c5b6f4-x2x9z",
    }
    assert parts(**labels) == {"namespace": "prod", "workload": "web"}


def test_instance_of_kube_state_metrics_does_not_part_one_cause():
    one = cause(
        alertname="KubeDeploymentReplicasMismatch",
        namespace="prod",
        deployment="web",
        instance="a:8080",
    )
    assert one == cause(
        alertname="KubeDeploymentReplicasMismatch",
        namespace="prod",
        deployment="web",
        instance="b:8080",
    )


def test_node_exporters_alerts_are_about_the_node():
    labels = {
        "alertname": "NodeFilesystemSpaceFillingUp",
        "namespace": "monitoring",
        "job": "node-exporter",
        "pod": "node-exporter-x7k2p",
        "container": "node-exporter",
    }
    assert parts(instance="node-1", **labels) == {"namespace": "monitoring", "instance": "node-1"}
    assert cause(instance="node-1", **labels) != cause(instance="node-2", **labels)


def test_crashing_exporter_is_a_workload_like_any_other():
    assert parts(
        alertname="KubePodCrashLooping",
        namespace="monitoring",
        pod="node-exporter-x7k2p",
        instance="10.0.0.9:8080",
        job="kube-state-metrics",
    ) == {"namespace": "monitoring", "workload": "node-exporter"}


@pytest.mark.parametrize(
    "name, label",
    [
        ("KubeNodeNotReady", "node"),
        ("KubePersistentVolumeFillingUp", "persistentvolumeclaim"),
        ("KubeHpaMaxedOut", "horizontalpodautoscaler"),
        ("KubePdbNotEnoughHealthyPods", "poddisruptionbudget"),
        ("KubeQuotaExceeded", "resourcequota"),
    ],
)
def test_objects_behind_one_exporter_are_causes_of_their_own(name, label):
    labels = {
        "alertname": name,
        "namespace": "prod",
        "instance": "10.0.0.9:8080",
        "job": "kube-state-metrics",
    }
    assert cause(**{**labels, label: "one"}) != cause(**{**labels, label: "two"})


def test_bare_pod_stands_for_itself():
    assert parts(alertname="A", namespace="prod", pod="redis-cache", instance="x") == {
        "namespace": "prod",
        "pod": "redis-cache",
    }


def test_without_kubernetes_the_instance_then_the_service_count():
    assert parts(alertname="HostDown", instance="db-1:9100", service="db") == {
        "instance": "db-1:9100"
    }
    assert parts(alertname="SlowApi", service="api") == {"service": "api"}
    assert parts(alertname="Watchdog") == {}


def test_clusters_and_alert_names_part_causes():
    base = {"namespace": "prod", "deployment": "web"}
    keys = {cause(alertname=a, cluster=c, **base)[0] for a in ("A", "B") for c in ("eu", "us")}
    assert len(keys) == 4


def test_cluster_comes_from_the_label_that_the_routing_names():
    assert scope_of({"region": "eu"}, "region").cluster == "eu"


def test_own_group_by_replaces_the_default():
    one = cause(("team",), alertname="A", team="x", instance="1")
    assert one == cause(("team",), alertname="B", team="x", instance="2")
    assert one != cause(("team",), alertname="A", team="y", instance="1")


def test_alert_without_any_group_by_label_is_not_thrown_together_with_strangers():
    one = cause(("team",), alertname="A", instance="1")
    assert one != cause(("team",), alertname="B", instance="2")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=2000), min_size=1, max_size=8))
def test_any_labels_give_a_bounded_key_and_printable_parts(labels):
    key, made_of = cause(**{"alertname": "A", **labels})
    assert len(key) <= 64 and key.isascii()
    assert all("\x00" not in value and len(value) <= 253 for value in made_of.values())

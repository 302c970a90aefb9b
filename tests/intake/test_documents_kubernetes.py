"""The place of a document in Kubernetes and in which cluster, as each shipper writes it."""

from __future__ import annotations

import pytest

from tests.intake.document_scene import document


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (
            {
                "kubernetes": {
                    "namespace_name": "shop",
                    "pod_name": "web-5d4f9c7b6-x2x4z",
                    "container_name": "c",
                    "host": "n1",
                }
            },
            ("shop", "web", "web-5d4f9c7b6-x2x4z", "c", "n1"),
        ),
        (
            {"kubernetes": {"namespace": "shop", "pod": {"name": "db-0"}}},
            ("shop", "db", "db-0", "", ""),
        ),
        (
            {
                "kubernetes": {
                    "namespace": "shop",
                    "pod": {"name": "single"},
                    "labels": {"app_kubernetes_io/name": "web"},
                }
            },
            ("shop", "web", "single", "", ""),
        ),
        (
            {
                "kubernetes": {
                    "namespace": "shop",
                    "pod": {"name": "single"},
                    "labels": {"app": {"kubernetes": {"io/name": "web"}}},
                }
            },
            ("shop", "web", "single", "", ""),
        ),
        (
            {
                "kubernetes": {
                    "namespace": "shop",
                    "pod": {"name": "x"},
                    "replicaset": {"name": "web-5d4f9c7b6"},
                }
            },
            ("shop", "web", "x", "", ""),
        ),
        (
            {
                "kubernetes": {
                    "namespace": "shop",
                    "pod": {"name": "x"},
                    "job": {"name": "backup-28374650"},
                }
            },
            ("shop", "backup", "x", "", ""),
        ),
        (
            {"kubernetes.namespace": "shop", "kubernetes.pod.name": "db-0"},
            ("shop", "db", "db-0", "", ""),
        ),
        (
            {
                "resource": {
                    "attributes": {
                        "k8s.namespace.name": "shop",
                        "k8s.pod.name": "p",
                        "k8s.deployment.name": "web",
                        "k8s.container.name": "c",
                        "k8s.node.name": "n1",
                    }
                }
            },
            ("shop", "web", "p", "c", "n1"),
        ),
        (
            {"resource.attributes.k8s.namespace.name": "shop"},
            ("shop", "", "", "", ""),
        ),
        (
            {
                "container": {
                    "name": "/web_1",
                    "labels": {"com_docker_compose_service": "web"},
                }
            },
            ("", "web", "", "web_1", ""),
        ),
        ({"container_name": "/web"}, ("", "", "", "web", "")),
        ({"kubernetes": "text"}, ("", "", "", "", "")),
        ({"kubernetes": {"pod": {"name": {}}}}, ("", "", "", "", "")),
    ],
)
def test_the_place_in_kubernetes_is_found_as_each_shipper_writes_it(source, place):
    found = document({"message": "it failed", **source})
    assert (found.namespace, found.workload, found.pod, found.container, found.node) == place


def test_the_cluster_of_the_document_counts_before_that_of_the_source():
    assert document({"message": "x", "orchestrator": {"cluster": {"name": "us"}}}).cluster == "us"
    assert document({"message": "x"}).cluster == "eu-1"

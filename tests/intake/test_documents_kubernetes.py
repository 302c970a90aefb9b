"""The place of a document in Kubernetes and in which cluster, as each shipper writes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.intake.documents import kubernetes_meta
from tests.intake.document_scene import document

names = st.sampled_from(["", " ", "web", "db-0", "web-5d4f9c7b6-x2x4z", "/c", "n" * 300, None, 5])
metas = st.fixed_dictionaries(
    {},
    optional={
        "namespace": names | st.fixed_dictionaries({"name": names}),
        "pod": names | st.fixed_dictionaries({"name": names}),
        "container": st.fixed_dictionaries({}, optional={"name": names}),
        "container_name": names,
        "node": st.fixed_dictionaries({"name": names}),
        "deployment": st.fixed_dictionaries({"name": names}),
        "replicaset": names,
        "labels": st.fixed_dictionaries({"app": names}),
    },
)


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


@given(st.lists(metas, min_size=2, max_size=5))
def test_a_place_does_not_depend_on_those_seen_before(all_metas):
    def place(meta):
        return document({"message": "x", "kubernetes": meta})[8:13]

    alone = []
    for meta in all_metas:
        kubernetes_meta._places.clear()
        alone.append(place(meta))
    assert [place(meta) for meta in all_metas] == alone


def test_a_pod_seen_before_has_the_workload_that_this_document_names():
    pod = {"namespace": "shop", "pod": {"name": "single"}}
    found = [
        document({"message": "x", "kubernetes": {**pod, **more}}).workload
        for more in (
            {"labels": {"app": "web"}},
            {"labels": {"app": "api"}},
            {},
            {"deployment": {"name": "db"}},
            {"statefulset": {"name": "queue"}},
        )
    ]
    assert found == ["web", "api", "", "db", "queue"]


def test_hostile_names_do_not_fill_the_memory():
    kubernetes_meta._places.clear()
    for number in range(12_000):
        document({"message": "x", "kubernetes": {"pod_name": "p%d-0" % number}})
    assert 0 < len(kubernetes_meta._places) <= 10_000
    before = len(kubernetes_meta._places)
    document({"message": "x", "kubernetes": {"pod_name": "p" * 100_000 + "-0"}})
    assert len(kubernetes_meta._places) == before

"""Large collections page by page, changes and dry runs, on a real API server."""

from __future__ import annotations

import json
import urllib.request

import pytest

from selfheal.apis.kubernetes import failures, paths
from selfheal.exceptions import ExternalError
from tests import kubernetes_manifests as manifests
from tests.apis.kubernetes_scene import Canned, client, status
from tests.live_kubelet import Kubelet


def write_many(api, namespace, count):
    collection = paths.collection("ConfigMap", namespace)
    for number in range(count):
        api.create(collection, {"metadata": {"name": "n-%05d" % number}})


def names(page):
    return [item["metadata"]["name"] for item in page["items"]]


def test_more_than_a_thousand_objects_come_in_pages(kubernetes):
    namespace = kubernetes.namespace()
    api = client(kubernetes.target())
    write_many(api, namespace, 1050)
    collection = paths.collection("ConfigMap", namespace)
    pages = list(api.pages(collection, limit=500))
    assert [len(page["items"]) for page in pages] == [500, 500, 50]
    found = [name for page in pages for name in names(page)]
    assert found == ["n-%05d" % number for number in range(1050)]
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
    assert len(api.items(collection)) == 1050
    (one,) = api.items(collection, {"fieldSelector": "metadata.name=n-00007"})
    assert one["metadata"]["name"] == "n-00007"


def forget(cluster, before):
    """Let etcd forget what was before the revision `before`, as it does every five minutes."""
    request = urllib.request.Request(
        "http://127.0.0.1:%d/v3/kv/compaction" % cluster._etcd,
        data=json.dumps({"revision": str(before)}).encode(),
    )
    urllib.request.urlopen(request, timeout=60).close()


def test_list_that_was_forgotten_half_way_begins_anew(own_kubernetes):
    namespace = own_kubernetes.namespace()
    api = client(own_kubernetes.target())
    write_many(api, namespace, 5)
    collection = paths.collection("ConfigMap", namespace)
    pages = api.pages(collection, limit=2)
    assert names(next(pages)) == ["n-00000", "n-00001"]
    last = api.create(collection, {"metadata": {"name": "n-00000a"}})
    forget(own_kubernetes, last["metadata"]["resourceVersion"])
    assert next(pages) is None
    assert [names(page) for page in pages] == [
        ["n-00000", "n-00000a"],
        ["n-00001", "n-00002"],
        ["n-00003", "n-00004"],
    ]


def test_list_that_is_forgotten_again_and_again_ends():
    first = {"items": [1], "metadata": {"continue": "x"}}
    gone = (410, status(410, "Expired", "too old"))
    with Canned({"GET /api/v1/pods": [first, gone] * 9}) as server:
        pages = client({"url": server.url}).pages("/api/v1/pods", {"labelSelector": "a=b"})
        found = []
        with pytest.raises(failures.Gone):
            for page in pages:
                found.append(page)
    assert found == [first, None, first, None, first, None, first]
    assert server.asked()[:2] == [
        "GET /api/v1/pods?labelSelector=a%3Db&limit=500",
        "GET /api/v1/pods?labelSelector=a%3Db&limit=500&continue=x",
    ]


def test_items_before_a_new_beginning_do_not_count_twice():
    routes = [
        {"items": [{"a": 1}], "metadata": {"continue": "x"}},
        (410, b""),
        {"items": [{"a": 1}, "no object", {"a": 2}], "metadata": {}},
    ]
    with Canned({"GET /api/v1/pods": routes}) as server:
        assert client({"url": server.url}).items("/api/v1/pods") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'"x"', b"7", b"null", b"{", b"[" * 100000, b"\xff\xfe"]
)
def test_answer_that_is_no_object_is_an_error(body):
    with Canned({"GET /api/v1/pods": (200, body)}) as server:
        with pytest.raises(ExternalError, match="is kubernetes.url the address of an API server"):
            client({"url": server.url}).get("/api/v1/pods")


@pytest.mark.parametrize("page", [{}, {"items": None}, {"items": {}, "metadata": []}])
def test_list_without_a_list_is_empty(page):
    with Canned({"GET /api/v1/pods": page}) as server:
        assert client({"url": server.url}).items("/api/v1/pods") == []


def test_dry_run_changes_nothing(kubernetes):
    namespace = kubernetes.namespace()
    api = client(kubernetes.target())
    collection = paths.collection("ConfigMap", namespace)
    path = paths.path("ConfigMap", namespace, "a")
    made = api.create(collection, {"metadata": {"name": "a"}, "data": {"x": "1"}}, dry_run=True)
    assert made["data"] == {"x": "1"}
    with pytest.raises(failures.Missing):
        api.get(path)
    made = api.create(collection, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    assert api.patch(path, {"data": {"x": "2"}}, dry_run=True)["data"] == {"x": "2"}
    assert api.replace(path, {**made, "data": {"x": "3"}}, dry_run=True)["data"] == {"x": "3"}
    api.delete(path, dry_run=True)
    assert api.get(path) == made


def test_patches_of_every_kind(kubernetes):
    namespace = kubernetes.namespace()
    api = client(kubernetes.target())
    path = paths.path("Service", namespace, "a")
    ports = [{"name": "one", "port": 1, "protocol": "TCP"}]
    api.create(
        paths.collection("Service", namespace),
        {"metadata": {"name": "a"}, "spec": {"ports": ports}},
    )
    change = {"spec": {"ports": [{"name": "two", "port": 2}]}}
    merged = api.patch(path, change, kind="strategic")["spec"]["ports"]
    assert {port["name"] for port in merged} == {"one", "two"}
    replaced = api.patch(path, change)["spec"]["ports"]
    assert [port["name"] for port in replaced] == ["two"]
    operations = [{"op": "replace", "path": "/spec/ports/0/name", "value": "three"}]
    assert api.patch(path, operations, kind="json")["spec"]["ports"][0]["name"] == "three"


def test_deletion_says_how(kubernetes):
    namespace = kubernetes.namespace()
    with Canned({"DELETE /api/v1/namespaces/a/pods/b": {"kind": "Status"}}) as server:
        client({"url": server.url}).delete(
            paths.path("Pod", "a", "b"), "u", "7", grace_s=0, propagation="Foreground"
        )
        assert json.loads(server.requests[0]["body"]) == {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "u", "resourceVersion": "7"},
            "gracePeriodSeconds": 0,
            "propagationPolicy": "Foreground",
        }
    api = client(kubernetes.target())
    api.create(
        paths.collection("ConfigMap", namespace),
        {"metadata": {"name": "a", "finalizers": ["test.example.net/keep"]}},
    )
    path = paths.path("ConfigMap", namespace, "a")
    api.delete(path)
    kept = api.get(path)["metadata"]
    assert kept["finalizers"] == ["test.example.net/keep"] and kept["deletionTimestamp"]
    api.patch(path, {"metadata": {"finalizers": None}})


def test_logs_of_a_container_and_of_its_run_before():
    with Canned({"GET /api/v1/namespaces/a/pods/b/log": (200, b"one\n\xfftwo\n")}) as server:
        api = client({"url": server.url})
        assert api.logs("a", "b", "main", previous=True, tail_lines=5) == "one\n\ufffdtwo\n"
        assert api.logs("a", "b")
    path = "GET /api/v1/namespaces/a/pods/b/log?"
    assert server.asked() == [
        path + "container=main&previous=true&tailLines=5&limitBytes=65536",
        path + "tailLines=200&limitBytes=65536",
    ]


def test_logs_of_a_real_pod(kubernetes):
    namespace = kubernetes.namespace()
    notes = {"test/log": "one\ntwo\nthree\n", "test/previous-log": "the end\n"}
    api = client(kubernetes.target(namespace))
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.pod(namespace, "web", "bad:crash", notes))
        kubernetes.until(
            lambda: (
                kubernetes.get("Pod", "web", namespace)["status"]["containerStatuses"][0][
                    "restartCount"
                ]
            )
        )
        assert "three" in api.logs(namespace, "web", tail_lines=1)
        assert "one" not in api.logs(namespace, "web", tail_lines=1)
        assert "the end" in api.logs(namespace, "web", "main", previous=True)
        with pytest.raises(failures.Unprocessable, match="container other is not valid"):
            api.logs(namespace, "web", "other")
        with pytest.raises(failures.Missing):
            api.logs(namespace, "none")

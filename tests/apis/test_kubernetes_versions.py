"""Which versions of an API are used: the newest that a server has, be it old or new."""

from __future__ import annotations

import json

import pytest

from selfheal.apis.kubernetes import failures
from selfheal.exceptions import InvalidInput
from tests import kubernetes_manifests as manifests
from tests.apis.kubernetes_scene import Canned, client


def group(*versions):
    """What a server says of one API group."""
    return {"kind": "APIGroup", "versions": [{"version": version} for version in versions]}


def having(*names):
    """What a server says of one version of a group."""
    return {"kind": "APIResourceList", "resources": [{"name": name} for name in names]}


def modern(**more):
    """A server as of today: none of the beta versions that 1.20 needs."""
    resources = [
        {"name": "pods", "kind": "Pod"},
        {"name": "pods/eviction", "kind": "Eviction", "group": "policy", "version": "v1"},
    ]
    return Canned(
        {
            "GET /api": {"kind": "APIVersions", "versions": ["v1"]},
            "GET /api/v1": {"kind": "APIResourceList", "resources": resources},
            "GET /apis/autoscaling": group("v2", "v1"),
            "GET /apis/autoscaling/v2": having("horizontalpodautoscalers"),
            "GET /apis/policy": group("v1"),
            "GET /apis/policy/v1": having("poddisruptionbudgets"),
            "GET /apis/batch": group("v1"),
            "GET /apis/batch/v1": having("jobs", "cronjobs"),
            **more,
        }
    )


def test_new_server_is_asked_in_its_newest_versions():
    with modern() as server:
        api = client({"url": server.url})
        assert api.path("HorizontalPodAutoscaler", "shop", "cart") == (
            "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/cart"
        )
        assert api.collection("PodDisruptionBudget") == "/apis/policy/v1/poddisruptionbudgets"
        assert api.collection("CronJob", "shop") == "/apis/batch/v1/namespaces/shop/cronjobs"
        assert api.newest("autoscaling", ("v2", "v2beta2", "v1")) == "v2"
        assert api.serves("policy/v1") and not api.serves("policy/v1beta1")
        assert api.serves("v1") and not api.serves("no.such.group/v1")
        api.path("CronJob", "shop", "cart")
        # Each is asked for once.
        assert len(server.asked()) == len(set(server.asked())) == 8


def test_old_server_is_asked_in_what_it_has(kubernetes):
    api = client(kubernetes.target())
    assert api.collection("HorizontalPodAutoscaler").startswith("/apis/autoscaling/v2beta2/")
    assert api.collection("PodDisruptionBudget").startswith("/apis/policy/v1beta1/")
    assert api.collection("CronJob").startswith("/apis/batch/v1beta1/")
    assert api.serves("apps/v1") and not api.serves("autoscaling/v2")
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget", "CronJob", "Deployment"):
        assert isinstance(api.items(api.collection(kind)), list)


def test_kinds_with_one_version_need_no_question():
    with Canned() as server:
        api = client({"url": server.url})
        assert api.path("Deployment", "a", "b") == "/apis/apps/v1/namespaces/a/deployments/b"
        assert server.asked() == []


def test_server_without_the_api_says_so():
    routes = {
        "GET /apis/autoscaling": group("v9", "v3"),
        "GET /apis/batch": group("v1"),
        "GET /apis/batch/v1": having("jobs"),
    }
    with Canned(routes) as server:
        api = client({"url": server.url})
        with pytest.raises(failures.NotServed, match="it serves v9, v3 of the group autoscaling"):
            api.collection("HorizontalPodAutoscaler")
        with pytest.raises(failures.NotServed, match="it serves nothing of the group policy"):
            api.path("PodDisruptionBudget", "a", "b")
        with pytest.raises(failures.NotServed, match="has no CronJob"):
            api.path("CronJob", "a", "b")
        with pytest.raises(InvalidInput):
            api.path("Secret", "a", "b")


@pytest.mark.parametrize("body", [{}, {"versions": None}, {"versions": [None, 7, {"a": 1}]}])
def test_odd_answer_to_the_question_for_versions_counts_as_none(body):
    with Canned({"GET /apis/policy": body}) as server:
        assert client({"url": server.url}).newest("policy", ("v1", "v1beta1")) == ""


@pytest.mark.parametrize(
    ("resources", "version"),
    [
        ([{"name": "pods/eviction", "group": "policy", "version": "v1"}], "policy/v1"),
        ([{"name": "pods/eviction", "group": "policy", "version": "v1beta1"}], "policy/v1beta1"),
        ([{"name": "pods/eviction"}, None], "policy/v1"),
        (None, "policy/v1"),
    ],
)
def test_eviction_is_sent_in_the_version_that_the_server_takes(resources, version):
    path = "/api/v1/namespaces/shop/pods/cart-1/eviction"
    routes = {"GET /api/v1": {"resources": resources}, "POST " + path: (201, {"kind": "Status"})}
    with Canned(routes) as server:
        api = client({"url": server.url})
        api.evict("shop", "cart-1", uid="u", dry_run=True)
        api.evict("shop", "cart-1")
        assert [request["path"] for request in server.requests] == [
            "/api/v1",
            path + "?dryRun=All",
            path,
        ]
        first, second = (json.loads(request["body"]) for request in server.requests[1:])
    assert first == {
        "apiVersion": version,
        "kind": "Eviction",
        "metadata": {"name": "cart-1", "namespace": "shop"},
        "deleteOptions": {"preconditions": {"uid": "u"}, "dryRun": ["All"]},
    }
    assert second["deleteOptions"] == {}


def test_pod_is_evicted_from_an_old_server(kubernetes):
    namespace = kubernetes.namespace()
    pod = kubernetes.create(manifests.pod(namespace, "web"))
    client(kubernetes.target()).evict(namespace, "web", uid=pod["metadata"]["uid"])
    kubernetes.until(lambda: not kubernetes.find("Pod", namespace))


def test_what_we_may_is_asked_of_the_server(kubernetes):
    namespace = kubernetes.namespace()
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/eviction"], "verbs": ["create", "get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
    ]
    api = client(kubernetes.target(token=kubernetes.account(namespace, rules)))
    assert api.can_i("get", "", "pods", namespace=namespace)
    assert api.can_i("create", "", "pods", "eviction", namespace)
    assert api.can_i("patch", "apps", "deployments", "", namespace, name="cart")
    assert not api.can_i("delete", "", "pods", namespace=namespace)
    assert not api.can_i("patch", "apps", "deployments", "scale", namespace)
    assert not api.can_i("get", "", "pods")
    assert not api.can_i("get", "", "pods", namespace="default")


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {"allowed": "true"}}])
def test_unclear_answer_to_what_we_may_is_no(body):
    path = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    with Canned({path: (201, body)}) as server:
        assert not client({"url": server.url}).can_i("get", "", "pods")


def test_version_of_the_server_is_shown_harmlessly():
    with Canned({"GET /version": {"gitVersion": "v1\x1b[31m" + "x" * 99}}) as server:
        shown = client({"url": server.url}).version()
    assert len(shown) <= 40 and shown.isprintable()

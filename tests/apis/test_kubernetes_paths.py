"""Where the API keeps what: only names that Kubernetes itself allows get into a path."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.apis.kubernetes import paths
from selfheal.exceptions import InvalidInput

CRAFTED = [
    "",
    " ",
    ".",
    "..",
    "*",
    "../kube-system/pods/x",
    "%2e%2e",
    "a/b",
    "a%2Fb",
    "a?watch=1",
    "a#b",
    "kube-system ",
    " kube-system",
    "Kube-System",
    "kube_system",
    "kube-system\n",
    "kube-system\x00",
    "-a",
    "a-",
    "a..b",
    ".a",
    "ａ",
    "é",
    "a" * 254,
    "a\\b",
    "a;b",
    None,
    7,
    ["a"],
    {"a": 1},
    b"a",
]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("Pod", "shop", "cart-1"), "/api/v1/namespaces/shop/pods/cart-1"),
        (("Pod", "shop", "cart-1", "log"), "/api/v1/namespaces/shop/pods/cart-1/log"),
        (("Deployment", "shop", "cart"), "/apis/apps/v1/namespaces/shop/deployments/cart"),
        (
            ("Deployment", "shop", "cart", "scale"),
            "/apis/apps/v1/namespaces/shop/deployments/cart/scale",
        ),
        (("Node", "", "node-1.example.net"), "/api/v1/nodes/node-1.example.net"),
        (("Namespace", "", "shop"), "/api/v1/namespaces/shop"),
        (("Endpoints", "shop", "a"), "/api/v1/namespaces/shop/endpoints/a"),
        (
            ("HorizontalPodAutoscaler", "shop", "a"),
            "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/a",
        ),
        (
            ("PodDisruptionBudget", "shop", "a", "", "v1beta1"),
            "/apis/policy/v1beta1/namespaces/shop/poddisruptionbudgets/a",
        ),
    ],
)
def test_an_object_is_found_at_its_path(arguments, expected):
    assert paths.path(*arguments) == expected


def test_a_collection_is_of_one_namespace_or_of_all():
    assert paths.collection("Pod") == "/api/v1/pods"
    assert paths.collection("Pod", "shop") == "/api/v1/namespaces/shop/pods"
    assert paths.collection("CronJob", "shop") == "/apis/batch/v1/namespaces/shop/cronjobs"
    assert paths.collection("Node") == "/api/v1/nodes"


@pytest.mark.parametrize("crafted", CRAFTED)
def test_what_is_no_name_gets_into_no_path(crafted):
    for arguments in [("Pod", "shop", crafted), ("Pod", crafted, "x"), ("Node", "", crafted)]:
        with pytest.raises(InvalidInput):
            paths.path(*arguments)
    if crafted != "":
        with pytest.raises(InvalidInput):
            paths.collection("Pod", crafted)
        with pytest.raises(InvalidInput):
            paths.path("Pod", "shop", "x", crafted)


@pytest.mark.parametrize("kind", ["pod", "pods", "", "Secret", "../x", None])
def test_a_kind_that_the_pack_does_not_know_is_refused(kind):
    with pytest.raises(InvalidInput, match="none of the kinds"):
        paths.collection(kind)


@pytest.mark.parametrize("version", ["v1/../..", "V1", "v1?x", "1", "../v1", "v"])
def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(InvalidInput, match="no version"):
        paths.collection("Job", "shop", version)


def test_an_object_of_a_namespace_needs_it_and_a_node_has_none():
    with pytest.raises(InvalidInput, match="which namespace"):
        paths.path("Pod", "", "x")
    with pytest.raises(InvalidInput, match="lives in no namespace"):
        paths.path("Node", "shop", "x")
    with pytest.raises(InvalidInput, match="no namespace"):
        paths.path("Pod", "with.dot", "x")
    with pytest.raises(InvalidInput, match="at most 63"):
        paths.path("Pod", "a" * 64, "x")


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_leads_out_of_its_namespace(namespace, name):
    try:
        path = paths.path("Pod", namespace, name)
    except InvalidInput:
        return
    assert re.match(r"/api/v1/namespaces/[a-z0-9-]+/pods/[a-z0-9.-]+\Z", path)
    assert ".." not in path
    asked = paths.asked_of(path)
    assert (asked.namespace, asked.resource, asked.name) == (namespace, "pods", name)


@pytest.mark.parametrize("kind", sorted(paths.KINDS))
def test_what_a_path_is_about_is_read_back(kind):
    resource = paths.KINDS[kind]
    namespace = "shop" if resource.is_namespaced else ""
    asked = paths.asked_of(paths.path(kind, namespace, "x", "status"))
    assert asked == (
        resource.group,
        resource.versions[0],
        namespace,
        resource.plural,
        "x",
        "status",
    )
    listed = paths.asked_of(paths.collection(kind, namespace) + "?limit=5")
    assert (listed.namespace, listed.resource, listed.name) == (namespace, resource.plural, "")


@pytest.mark.parametrize(
    ("method", "path", "verb", "words"),
    [
        ("GET", "/api/v1/pods", "list", "pods"),
        ("GET", "/api/v1/pods?watch=true", "watch", "pods"),
        ("GET", "/api/v1/namespaces/a/pods/b", "get", "pods"),
        ("POST", "/api/v1/namespaces/a/pods/b/eviction", "create", "pods/eviction"),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b", "patch", "deployments.apps"),
        ("DELETE", "/api/v1/namespaces/a", "delete", "namespaces"),
        ("GET", "/version", "list", ""),
        ("GET", "/", "list", ""),
        ("GET", "/api", "list", ""),
        ("GET", "/apis/apps", "list", ""),
    ],
)
def test_a_request_is_named_as_rbac_names_it(method, path, verb, words):
    assert paths.verb_of(method, path) == verb
    assert paths.asked_of(path).resource_words == words


@given(st.text(max_size=60))
def test_what_a_path_is_about_can_be_asked_of_any_text(text):
    for path in (text, "/api/v1/" + text, "/apis/" + text):
        assert isinstance(paths.asked_of(path).resource_words, str)


def test_a_query_is_written_as_the_api_reads_it():
    assert paths.with_query("/x", None) == "/x"
    assert paths.with_query("/x", {"a": None}) == "/x"
    assert (
        paths.with_query("/x", {"watch": True, "n": 5, "s": "a=b, c", "m": ["1", "2"]}) ==
        "/x?watch=true&n=5&s=a%3Db%2C%20c&m=1&m=2"
    )

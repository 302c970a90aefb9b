"""check_config about Kubernetes: reachable, and what we may, asked of a real API server."""

from __future__ import annotations

import pytest

from selfheal.apis.kubernetes import rights
from selfheal.config import Config
from selfheal.context import Context
from selfheal.operate import check_kubernetes
from tests.apis.kubernetes_scene import VERSION, Canned, write_kubeconfig

WAIT_S = 180.0


def check(section, wait_s=WAIT_S):
    """{what: (state, detail, do)}"""
    rows = check_kubernetes.lines(Context(Config({"kubernetes": section})), wait_s)
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows)
    for state, detail, do in found.values():
        assert state in ("on", "off", "warning", "error") and detail
        assert do or state in ("on", "off")
    return found


def rules(level):
    """The rights of a level as rules of a Role."""
    return [
        {
            "apiGroups": [one.group],
            "resources": [one.resource + ("/" + one.subresource if one.subresource else "")],
            "verbs": [one.verb],
        }
        for one in rights.of_level(level)
    ]


OBSERVE, HEAL, NODES = (rules(level) for level in rights.LEVELS)


def test_without_a_cluster_it_is_off():
    found = check({"timeout_s": 5})
    assert found["kubernetes"][0] == "off"
    assert "kubernetes.url, kubeconfig or in_cluster is not set" in found["kubernetes"][1]


def test_who_may_everything_has_all_levels_on(kubernetes):
    found = check(kubernetes.target())
    assert {what: row[0] for what, row in found.items()} == {
        "kubernetes": "on",
        "kubernetes: observe": "on",
        "kubernetes: heal": "on",
        "kubernetes: nodes": "on",
    }
    assert found["kubernetes"][1] == "%s answers, version v1.20.2" % kubernetes.url


def test_who_may_nothing_is_told_what_is_missing_and_what_to_apply(kubernetes):
    found = check({"prod": kubernetes.target(token=kubernetes.token_for("nobody"))})
    state, detail, do = found["kubernetes.prod: observe"]
    assert state == "error" and "selfheal-observe of manifests/rbac.yaml" in do
    assert "get, list pods" in detail and "get pods/log" in detail
    assert "watch" not in detail and "in the whole cluster" in detail
    assert found["kubernetes.prod: heal"][0] == found["kubernetes.prod: nodes"][0] == "off"
    assert "selfheal-heal" in found["kubernetes.prod: heal"][2]


def test_each_level_counts_by_itself(kubernetes):
    namespace = kubernetes.namespace()
    other = kubernetes.namespace()
    token = kubernetes.account(namespace, HEAL, OBSERVE)
    found = check(kubernetes.target(token=token, watch=True))
    assert found["kubernetes: observe"][0] == "on"
    assert found["kubernetes: nodes"][0] == "off"
    assert found["kubernetes: heal"][0] in ("on", "off")  # others have namespaces here, too
    found = check(kubernetes.target(namespace, other, token=token, watch=True))
    state, detail, _do = found["kubernetes: heal"]
    assert state == "on"
    assert detail == "may mend workloads in %s; not in 1 other namespace" % namespace
    found = check(kubernetes.target(token=kubernetes.account(other, [], OBSERVE + HEAL + NODES)))
    assert {row[0] for row in found.values()} == {"on"}


def test_right_that_one_namespace_lacks_is_named_with_it(kubernetes):
    namespace = kubernetes.namespace()
    few = [rule for rule in HEAL if rule["resources"] != ["pods/eviction"]]
    token = kubernetes.account(namespace, few, OBSERVE)
    state, detail, do = check(kubernetes.target(namespace, token=token))["kubernetes: heal"]
    assert state == "warning"
    assert detail == "may not create pods/eviction in %s" % namespace
    assert "selfheal-heal" in do


def test_rights_in_the_watched_namespaces_alone_are_enough(kubernetes):
    namespace, other = kubernetes.namespace(), kubernetes.namespace()
    reading = [rule for rule in OBSERVE if rule["resources"] != ["nodes"]]
    token = kubernetes.account(namespace, reading)
    state, detail, _ = check(kubernetes.target(namespace, token=token))["kubernetes: observe"]
    assert state == "warning" and detail == "may not get, list nodes in the whole cluster"
    nodes = [rule for rule in OBSERVE if rule["resources"] == ["nodes"]]
    token = kubernetes.account(namespace, reading, nodes, name="second")
    found = check(kubernetes.target(namespace, token=token))
    assert found["kubernetes: observe"][:2] == (
        "on",
        "may read all that it looks at in its 1 namespace",
    )
    state, detail, _ = check(kubernetes.target(namespace, other, token=token))[
        "kubernetes: observe"
    ]
    assert state == "error" and detail.endswith("in %s" % other) and "list pods" in detail


def test_watching_needs_its_own_right(kubernetes):
    namespace = kubernetes.namespace()
    without = [rule for rule in OBSERVE if rule["verbs"] != ["watch"]]
    token = kubernetes.account(namespace, [], without)
    assert check(kubernetes.target(token=token))["kubernetes: observe"][0] == "on"
    state, detail, _ = check(kubernetes.target(token=token, watch=True))["kubernetes: observe"]
    assert state == "error" and detail == "may not watch pods in the whole cluster"


def test_checking_changes_nothing_and_is_bounded(kubernetes):
    routes = {
        "GET /version": VERSION,
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews": (201, {"status": {}}),
        "GET /api/v1/namespaces": {
            "items": [{"metadata": {"name": "n-%d" % n}} for n in range(500)]
        },
    }
    with Canned(routes) as server:
        found = check({"url": server.url})
        assert "480 further namespaces not asked for" in found["kubernetes: heal"][1]
        assert len(server.requests) < 500
        kinds = {one.partition(" ")[2].partition("?")[0] for one in server.asked()}
        assert kinds == {key.partition(" ")[2] for key in routes}


def test_server_that_is_slow_is_not_asked_for_ever():
    with Canned({"GET /version": VERSION}) as server:
        found = check({"url": server.url}, wait_s=0.0)
    assert found["kubernetes"][0] == "error" and "no time is left" in found["kubernetes"][1]


@pytest.mark.parametrize(
    ("section", "what", "words"),
    [
        ("on", "kubernetes", "must be a map"),
        ({"url": "https://h", "timeout_s": "soon"}, "kubernetes", "kubernetes.timeout_s must be"),
        (
            {"edge": {"url": "https://h", "max_replicas": 0}},
            "kubernetes.edge",
            "kubernetes.edge.max_replicas must be a whole number from 1 to 1000, not 0",
        ),
        ({"url": "https://h", "namespaces": "shop"}, "kubernetes", "namespaces must be a list"),
        (
            {"edge": {"url": "https://h", "protected_namespaces": "shop"}},
            "kubernetes.edge",
            "kubernetes.edge.protected_namespaces must be a list, not 'shop'",
        ),
        ({"url": "https://h", "namespaces": ["a/b"]}, "kubernetes", "names 'a/b', which is no"),
        ({"url": "https://h", "min_healthy": 2}, "kubernetes", 'a share such as "50%", not 2'),
        ({"url": "https://h", "watch": "no"}, "kubernetes", "watch must be true or false"),
        ({"url": "https://h", "queries": {"up": 1}}, "kubernetes", "queries must be a map of t"),
        ({"url": "https://h", "own_namespace": "A"}, "kubernetes", "own_namespace must be a name"),
        ({"url": "https://h", "label_selector": []}, "kubernetes", "label_selector must be text"),
        ({"url": "https://h", "kubeconfig": "/k"}, "kubernetes", "names its server in several"),
        ({"kubeconfig": "/no/such"}, "kubernetes", "kubernetes.kubeconfig /no/such cannot be read"),
        ({"in_cluster": True}, "kubernetes", "runs in no pod"),
        ({"url": "https://127.0.0.1:1"}, "kubernetes", "check that the API server"),
    ],
)
def test_target_that_cannot_be_used_says_why(section, what, words, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    state, detail, do = check(section)[what]
    assert state == "error" and words in detail and do


def test_wrong_token_is_an_error_and_does_not_show(kubernetes):
    found = check(kubernetes.target(token="a-wrong-token"))
    assert found["kubernetes"][0] == "error" and "answered 401" in found["kubernetes"][1]
    assert "a-wrong-token" not in str(found)


def test_server_that_is_no_kubernetes_is_an_error():
    with Canned({"GET /version": (200, b"<html>")}) as server:
        state, detail, _ = check({"url": server.url})["kubernetes"]
    assert state == "error" and "is no answer of Kubernetes" in detail


def test_each_context_of_a_kubeconfig_has_its_lines(kubernetes, tmp_path):
    cluster = {"server": kubernetes.url, "certificate-authority": kubernetes.ca_file}
    user = {"token": kubernetes.token_for("admin")}
    target = write_kubeconfig(tmp_path / "config", cluster, user)
    found = check({**target, "prod": {"context": "one"}, "edge": {"context": "two"}})
    assert found["kubernetes.prod"][0] == "on"
    state, detail, _ = found["kubernetes.edge"]
    assert state == "error" and "no context 'two'" in detail
    assert "kubernetes" not in found

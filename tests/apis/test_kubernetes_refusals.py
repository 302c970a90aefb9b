"""What the API refuses, on a real API server: each refusal has its type and says what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.apis.kubernetes import failures, paths
from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.text import printable
from tests import kubernetes_manifests as manifests
from tests.apis.kubernetes_scene import Canned, Waits, client, status


@pytest.fixture
def api(kubernetes, namespace):
    return client(kubernetes.target(namespace))


def config_map(namespace, name="a", **data):
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def test_wrong_token_is_unauthorized(kubernetes, namespace):
    stranger = client(kubernetes.target(token="not-known"))
    with pytest.raises(failures.Unauthorized, match="401.*check kubernetes.token") as found:
        stranger.get(paths.collection("Pod", namespace))
    assert isinstance(found.value, ConfigError) and not found.value.retryable
    assert "not-known" not in str(found.value)


@pytest.mark.parametrize(
    ("ask", "verb", "resource"),
    [
        (lambda c, n: c.get(paths.path("Pod", n, "x")), "get", "pods"),
        (lambda c, n: c.items(paths.collection("Deployment", n)), "list", "deployments.apps"),
        (lambda c, n: next(c.watch(paths.collection("Pod", n))), "watch", "pods"),
        (
            lambda c, n: c.create(paths.collection("ConfigMap", n), config_map(n)),
            "create",
            "configmaps",
        ),
        (
            lambda c, n: c.patch(paths.path("Deployment", n, "x", "scale"), {}),
            "patch",
            "deployments.apps/scale",
        ),
        (
            lambda c, n: c.replace(paths.path("ConfigMap", n, "a"), config_map(n)),
            "update",
            "configmaps",
        ),
        (lambda c, n: c.delete(paths.path("Pod", n, "x")), "delete", "pods"),
        (lambda c, n: c.evict(n, "x"), "create", "pods/eviction"),
        (lambda c, n: c.logs(n, "x"), "get", "pods/log"),
    ],
)
def test_missing_right_names_verb_resource_and_namespace(
    kubernetes, namespace, ask, verb, resource
):
    nobody = client(kubernetes.target(token=kubernetes.token_for("nobody")))
    with pytest.raises(failures.Forbidden) as found:
        ask(nobody, namespace)
    error = found.value
    assert (error.verb, error.resource, error.namespace) == (verb, resource, namespace)
    assert error.is_access and not error.retryable
    assert "the verb %s on %s in namespace %s" % (verb, resource, namespace) in str(error)


def test_right_that_is_missing_everywhere_says_so(kubernetes):
    nobody = client(kubernetes.target(token=kubernetes.token_for("nobody")))
    with pytest.raises(failures.Forbidden, match="list on nodes in the whole cluster"):
        nobody.items(paths.collection("Node"))


def test_quota_is_no_missing_right(kubernetes, namespace, api):
    kubernetes.create(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": namespace},
            "spec": {"hard": {"count/configmaps": "0"}},
        }
    )
    kubernetes.until(
        lambda: "hard" in kubernetes.get("ResourceQuota", "none", namespace)["status"]
    )
    with pytest.raises(failures.Forbidden, match="it is no right that is missing") as found:
        api.create(paths.collection("ConfigMap", namespace), config_map(namespace))
    assert not found.value.is_access


def test_object_that_is_not_there_is_missing(namespace, api):
    with pytest.raises(failures.Missing, match='pods "x" not found') as found:
        api.get(paths.path("Pod", namespace, "x"))
    assert not isinstance(found.value, failures.NotServed)
    with pytest.raises(failures.Missing, match='namespaces "no-such" not found'):
        api.create(paths.collection("ConfigMap", "no-such"), config_map("no-such"))


def test_api_that_the_server_does_not_have_is_not_served(namespace, api):
    with pytest.raises(failures.NotServed, match="this server has no such API"):
        api.items(paths.collection("HorizontalPodAutoscaler", namespace, version="v2"))
    with pytest.raises(failures.NotServed):
        api.get("/apis/no.such.group")


def test_object_that_changed_since_it_was_read_is_not_overwritten(namespace, api):
    path = paths.path("ConfigMap", namespace, "a")
    old = api.create(paths.collection("ConfigMap", namespace), config_map(namespace, x="1"))
    api.patch(path, {"data": {"x": "2"}})
    with pytest.raises(failures.Changed) as found:
        api.replace(path, {**old, "data": {"x": "3"}})
    assert found.value.retryable
    assert api.get(path)["data"] == {"x": "2"}


def test_object_of_another_uid_or_version_is_not_deleted(namespace, api):
    path = paths.path("ConfigMap", namespace, "a")
    old = api.create(paths.collection("ConfigMap", namespace), config_map(namespace))
    with pytest.raises(failures.Changed):
        api.delete(path, uid="11111111-2222-3333-4444-555555555555")
    api.patch(path, {"data": {"x": "2"}})
    with pytest.raises(failures.Changed):
        api.delete(path, resource_version=old["metadata"]["resourceVersion"])
    assert api.get(path)["metadata"]["uid"] == old["metadata"]["uid"]
    api.delete(path, uid=old["metadata"]["uid"])
    with pytest.raises(failures.Missing):
        api.get(path)


def test_name_that_is_taken_is_already_there(namespace, api):
    collection = paths.collection("ConfigMap", namespace)
    api.create(collection, config_map(namespace))
    with pytest.raises(failures.AlreadyThere, match="already exists") as found:
        api.create(collection, config_map(namespace))
    assert not found.value.retryable


def test_what_breaks_the_rules_of_the_api_comes_with_its_words(namespace, api):
    collection = paths.collection("Deployment", namespace)
    broken = manifests.deployment(namespace, replicas=-1)
    with pytest.raises(failures.Unprocessable, match="422.*spec.replicas.*greater than or equal"):
        api.create(collection, broken)
    with pytest.raises(failures.Unprocessable, match="answered 400"):
        api.create(collection, {"kind": "Pod", "apiVersion": "v1"})


def test_patch_of_a_test_that_fails_changes_nothing(namespace, api):
    path = paths.path("ConfigMap", namespace, "a")
    api.create(paths.collection("ConfigMap", namespace), config_map(namespace, x="1"))
    change = [
        {"op": "test", "path": "/data/x", "value": "other"},
        {"op": "replace", "path": "/data/x", "value": "2"},
    ]
    with pytest.raises(failures.Unprocessable):
        api.patch(path, change, kind="json")
    assert api.get(path)["data"] == {"x": "1"}


def test_pod_under_a_disruption_budget_is_not_evicted(kubernetes, namespace, api):
    kubernetes.create(manifests.pod(namespace, "web"))
    kubernetes.create(manifests.budget(namespace, "web", minAvailable=1))
    kubernetes.until(
        lambda: (
            kubernetes.get("PodDisruptionBudget", "web", namespace)
            .get("status", {})
            .get("observedGeneration")
        )
    )
    kubernetes.patch(
        "Pod",
        "web",
        namespace,
        {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
        part="status",
    )
    waits = Waits()
    api._clock = waits
    with pytest.raises(failures.Throttled, match="PodDisruptionBudget keeps this pod") as found:
        api.evict(namespace, "web")
    assert found.value.is_disruption_budget and found.value.retryable
    assert waits.slept == []  # whether to wait is for who wants the pod gone
    assert api.get(paths.path("Pod", namespace, "web"))


def test_eviction_of_another_pod_of_that_name_is_refused(kubernetes, namespace, api):
    kubernetes.create(manifests.pod(namespace, "web"))
    with pytest.raises(failures.Changed):
        api.evict(namespace, "web", uid="11111111-2222-3333-4444-555555555555")
    api.evict(namespace, "web", dry_run=True)
    assert "deletionTimestamp" not in api.get(paths.path("Pod", namespace, "web"))["metadata"]


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (302, b"", ConfigError, "redirects are not followed"),
        (405, status(405, "MethodNotAllowed", "no"), ExternalError, "answered 405: no"),
        (413, b"too large", failures.Unprocessable, "too large"),
        (500, status(500, "InternalError", "etcd"), ExternalError, "etcd; the API server"),
        (503, b"<html>nope</html>", ExternalError, "nope"),
        (404, b"<html>nginx</html>", failures.NotServed, "check that kubernetes.url"),
        (403, b"<html>proxy</html>", failures.Forbidden, "give our user or service account"),
        (404, status(404, "NotFound", "no"), failures.NotServed, "no such part of it"),
        (410, status(410, "Expired", "too old"), failures.Gone, "too old"),
    ],
)
def test_other_refusals_are_typed_as_well(code, body, kind, words):
    with Canned({"GET /api/v1/pods": (code, body)}) as server, pytest.raises(kind, match=words):
        client({"url": server.url}).get("/api/v1/pods")


def test_server_that_says_itself_that_it_has_trouble_has_changed_nothing():
    answer = (503, status(503, "ServiceUnavailable", "not now"))
    with Canned({"POST /api/v1/pods": answer}) as server:
        with pytest.raises(ExternalError, match="not now") as found:
            client({"url": server.url}).create("/api/v1/pods", {})
    assert not isinstance(found.value, failures.Unsure)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 520])
def test_change_that_the_server_failed_at_may_have_been_made(code):
    with Canned({"POST /api/v1/pods": (code, b"")}) as server:
        with pytest.raises(failures.Unsure, match="whether the change was made is not known"):
            client({"url": server.url}).create("/api/v1/pods", {})
        assert len(server.requests) == 1


def test_server_without_room_is_asked_again_within_the_deadline():
    busy = (429, status(429, "TooManyRequests", "busy", retryAfterSeconds=200))
    waits = Waits()
    with Canned({"POST /api/v1/pods": [busy, busy, (201, {"kind": "Pod"})]}) as server:
        api = client({"url": server.url, "timeout_s": 600}, clock=waits)
        made = api.create("/api/v1/pods", {})
    assert made == {"kind": "Pod"} and waits.slept == [200.0, 200.0]


def test_patience_with_a_server_without_room_ends():
    waits = Waits()
    with Canned({"GET /api/v1/pods": (429, b"busy")}) as server:
        server.headers["Retry-After"] = "240"
        with pytest.raises(failures.Throttled, match="no room for more requests") as found:
            client({"url": server.url, "timeout_s": 600}, clock=waits).get("/api/v1/pods")
    assert waits.slept == [240.0, 240.0] and found.value.retry_after_s == 240.0
    assert not found.value.is_disruption_budget


@given(
    st.integers(100, 599),
    st.sampled_from(["GET", "POST", "DELETE", "PATCH"]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=10),
        lambda inner: st.dictionaries(
            st.sampled_from(["message", "reason", "details", "causes", "name", "kind", "code"]),
            inner | st.lists(inner, max_size=3),
        ),
    ),
)
def test_any_refusal_becomes_one_of_our_errors(code, method, body):
    for path in ("/api/v1/pods", "/", "/apis/x/y/z"):
        error = failures.failure(failures.Reply(code, {}, body), method, path, "edge")
        assert isinstance(error, SelfhealError)
        assert "answered %d" % code in str(error) and len(str(error)) < 2000
        assert str(error) == printable(str(error))
        assert isinstance(failures.of_status(body, method, path), SelfhealError)

"""Who is behind a service, and what does not fit when nobody is."""

from __future__ import annotations

import pytest

from selfheal.diagnose.kubernetes.service_health import judge, k8s_service_health
from selfheal.exceptions import InvalidInput, NotFound
from tests import kubernetes_manifests as manifests
from tests.live_kubelet import Kubelet
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, kubernetes, namespace):
    context = scenes.context_for(tmp_path, values={"kubernetes": kubernetes.target(namespace)})
    yield context
    context.close()


def pod(name="web-1", ready=True, labels=None, ports=(), **status):
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "main", "ports": list(ports)}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            **status,
        },
    }


def service(ports=({"port": 80, "targetPort": 8080},), **spec):
    spec = {"selector": {"app": "web"}, "ports": list(ports), **spec}
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def endpoints(ready=1, not_ready=0):
    return {
        "subsets": [
            {
                "addresses": [{"ip": "10.0.0.%d" % one} for one in range(ready)],
                "notReadyAddresses": [{"ip": "10.0.1.%d" % one} for one in range(not_ready)],
            }
        ]
    }


def test_a_service_of_a_real_cluster_with_ready_pods_is_healthy(kubernetes, namespace, ctx):
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.service(namespace))
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 2))
        kubernetes.until(
            lambda: k8s_service_health(ctx, namespace, "web")["endpoints"]["ready"] == 2
        )
        found = k8s_service_health(ctx, namespace, "web")
    assert (found["healthy"], found["problems"], found["missing"]) == (True, [], [])
    assert found["pods"] == {"selected": 2, "ready": 2}
    assert found["summary"] == "service %s/web: healthy, 2 addresses ready" % namespace


def test_a_service_of_a_real_cluster_whose_pods_are_not_ready_says_so(kubernetes, namespace, ctx):
    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.service(namespace))
        kubernetes.create(manifests.deployment(namespace, "web", "bad:unready", 1))
        kubernetes.until(
            lambda: k8s_service_health(ctx, namespace, "web")["endpoints"]["not_ready"] == 1
        )
        found = k8s_service_health(ctx, namespace, "web")
    assert found["healthy"] is False
    assert found["problems"][0].startswith("none of the 1 pod that it selects is ready (web-")


def test_a_service_that_is_not_there_is_not_found(ctx, namespace):
    with pytest.raises(NotFound):
        k8s_service_health(ctx, namespace, "web")


@pytest.mark.parametrize("name", ["", "*", "../web", "Web", "web "])
def test_what_is_no_name_is_refused(ctx, namespace, name):
    with pytest.raises(InvalidInput):
        k8s_service_health(ctx, namespace, name)
    with pytest.raises(InvalidInput):
        k8s_service_health(ctx, name, "web")


def test_a_selector_that_matches_nobody_names_the_label_that_is_in_the_way():
    found = judge(
        service(selector={"app": "web", "tier": "front"}),
        endpoints(0),
        [pod(labels={"app": "web", "tier": "back"}), pod("db-1", labels={"app": "db"})],
    )
    assert found.problems == ["its selector (app=web, tier=front) matches no pod"]
    assert found.hints == ["1 pod with tier: back, where the selector wants front"]
    assert not found.is_healthy


def test_a_named_port_that_no_container_has_is_a_problem():
    ports = [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": "metrics"}]
    found = judge(
        service(ports), endpoints(), [pod(ports=[{"name": "http", "containerPort": 8080}])]
    )
    assert [one["found"] for one in found.ports] == ["yes", "no"]
    (problem,) = found.problems
    assert problem == (
        "port 81 goes to the port named metrics, which no container of its pods has (they have "
        "http)"
    )


def test_a_number_that_no_container_declares_is_a_hint_only():
    found = judge(service(), endpoints(), [pod(ports=[{"containerPort": 9090}])])
    assert found.is_healthy
    assert found.hints == ["port 80 goes to 8080; the containers declare only 9090"]
    assert judge(service(), endpoints(), [pod()]).hints == []


def test_ready_pods_without_an_address_are_told():
    found = judge(service(), {}, [pod()])
    assert found.problems == ["1 pod is ready, but the service has no ready address yet"]


def test_some_that_are_not_ready_are_a_hint():
    found = judge(service(), endpoints(1, 1), [pod(), pod("web-2", ready=False)])
    assert found.is_healthy and found.hints == ["1 of 2 selected pods are ready"]


def test_pods_that_have_ended_do_not_count():
    found = judge(service(), endpoints(0), [pod(phase="Failed"), pod(phase="Succeeded")])
    assert found.pods == 0


def test_without_a_selector_others_write_the_endpoints():
    assert judge(service(selector={}), endpoints(1), []).is_healthy
    assert judge(service(selector={}), endpoints(0), []).problems == [
        "it has no selector and no ready address"
    ]


def test_an_alias_is_never_called_healthy():
    found = judge(service(type="ExternalName", externalName="db.example"), {}, [])
    assert not found.is_healthy
    assert found.problems == ["nothing here can say whether db.example answers"]


@pytest.mark.parametrize("odd", [None, [], "x", 7, {"spec": 1}, {"spec": {"ports": {}}}])
def test_an_object_of_an_odd_shape_is_no_error(odd):
    judge(odd, odd, [odd, pod()])

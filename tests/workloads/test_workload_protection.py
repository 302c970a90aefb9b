"""What must never be touched, however it is called."""

from __future__ import annotations

import pytest

from selfheal.workloads import protect
from selfheal.workloads.model import Ref
from selfheal.workloads.protect import Protection
from tests.workloads.objects import CART, deployment, meta, pod

OWN = Protection(own_namespace="stackstorm")
SHOP = {"metadata": meta("shop", namespace="")}


def why_not(ref=CART, namespace=SHOP, *objects, protection=OWN):
    return protect.why_not(ref, protection, namespace, objects)


def of(name):
    return {"metadata": meta(name, namespace="")}


def test_ordinary_workload_may_be_touched():
    assert why_not(CART, SHOP, deployment(), pod(), pod()) == ""
    assert why_not(Ref("Node", "", "node-a"), None, {"metadata": meta("node-a", "")}) == ""


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "kube-node-lease", "stackstorm"])
def test_namespaces_of_the_cluster_and_of_the_pack_are_protected(name):
    assert name in why_not(Ref("Deployment", name, "coredns"), of(name))


@pytest.mark.parametrize(
    "name",
    [
        "Kube-System",
        "kube-system ",
        " kube-system",
        "kube-system\n",
        "kube-system/../shop",
        "../kube-system",
        "shop/kube-system",
        "kube-system%2f",
        "kube-systém",
        "STACKSTORM",
        "*",
        "",
        "k" * 300,
    ],
)
def test_crafted_namespace_is_refused(name):
    assert why_not(Ref("Deployment", name, "coredns"), of(name))


@pytest.mark.parametrize("name", ["../../kube-system/pods/x", "Cart", "cart ", "*", "", "c" * 300])
def test_crafted_name_is_refused(name):
    assert why_not(Ref("Deployment", "shop", name), SHOP)
    assert why_not(Ref("Node", "", name), None)


def test_more_namespaces_are_protected_by_the_settings():
    settings = {
        "protected_namespaces": ["openshift-*", " Vault ", 7, ""],
        "own_namespace": "Automation",
    }
    protection = protect.of_settings(settings)

    for name in ("openshift-dns", "vault", "automation", "kube-system"):
        assert protect.is_protected_namespace(name, protection)
        assert why_not(Ref("Pod", name, "x"), of(name), protection=protection)
    assert not protect.is_protected_namespace("shop", protection)


def test_pack_that_runs_in_no_namespace_protects_none_by_it(monkeypatch):
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    protection = protect.of_settings({"own_namespace": "", "protected_namespaces": None})

    assert protection == Protection(protect.SYSTEM_NAMESPACES, "")
    assert not protect.is_protected_namespace("", protection)


def ignoring(value, mark="true"):
    value["metadata"]["annotations"] = {"selfheal/ignore": mark}
    return value


@pytest.mark.parametrize("mark", ["true", "", "yes", "TRUE", "0", "no", None, 1, ["false"]])
def test_annotation_protects_whatever_it_says(mark):
    assert "annotated selfheal/ignore" in why_not(CART, SHOP, ignoring(deployment(), mark))
    assert "annotated selfheal/ignore" in why_not(CART, SHOP, deployment(), ignoring(pod(), mark))
    assert "annotated selfheal/ignore" in why_not(CART, ignoring(of("shop"), mark))
    assert protect.is_ignored(ignoring(pod(), mark))


def test_annotation_false_protects_nothing():
    assert why_not(CART, ignoring(of("shop"), "false"), ignoring(deployment(), "False")) == ""


def test_annotation_in_the_template_protects_the_workload():
    value = deployment()
    ignoring(value["spec"]["template"])

    assert "annotated selfheal/ignore" in why_not(CART, SHOP, value)


def test_mirror_of_a_static_pod_is_refused():
    mirror = pod(name="etcd-a", annotations={"kubernetes.io/config.mirror": "1"})

    assert "static pod" in why_not(Ref("Pod", "shop", "etcd-a"), SHOP, mirror)


@pytest.mark.parametrize("namespace", [None, {}, {"metadata": None}, [], "shop", of("other")])
def test_namespace_that_cannot_be_read_protects(namespace):
    assert "cannot be read" in why_not(CART, namespace)


@pytest.mark.parametrize("value", [None, {}, [], "x", {"metadata": []}])
def test_object_that_cannot_be_read_protects(value):
    assert "cannot be read" in why_not(CART, SHOP, value)

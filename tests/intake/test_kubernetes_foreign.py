"""Pods of workloads that other operators make: seen, one incident for each owner, looked at as far
as their pods go, and over when they are well. No name of a kind makes a label say something else.
"""

from __future__ import annotations

import pytest

from selfheal.diagnose.kubernetes import bundle
from selfheal.incidents import registry
from selfheal.store import open_store
from selfheal.verify import kubernetes as looking
from tests import scene as scenes_of_time
from tests import stores
from tests.kubernetes_watchman import MINUTE, NOW, Watchman, pod
from tests.remedy import scenes

CLONE_SET = "CloneSet.apps.kruise.io"


def owned(name, kind="CloneSet", api="apps.kruise.io/v1alpha1", owner="cart", **more):
    owner = {"apiVersion": api, "kind": kind, "name": owner, "uid": "c", "controller": True}
    return pod(name, ownerReferences=[owner], **more)


def test_pods_of_another_operator_are_one_incident_that_ends(man, server):
    server.objects["pods"] = [owned("cart-%d" % number) for number in range(5)]
    man.poll()
    (incident,) = man.incidents()
    (told,) = man.service.of("selfheal.pod_unhealthy")
    assert (told["workload"], told["workload_kind"]) == ("cart", CLONE_SET)
    assert incident["workload"] == "cart"
    server.objects["pods"] = []
    man.poll(after_s=MINUTE, times=3)
    assert man.firing() == 0 and man.incidents()[0]["cleared_at"] is not None


@pytest.mark.parametrize(
    ("kind", "label"),
    [("Workload_kind", "workload_kind"), ("Severity", "severity"), ("State", "state"),
     ("Namespace", "namespace"), ("Seen_on", "seen_on"), ("Reason", "reason")],
)
def test_name_of_a_kind_makes_no_label_say_something_else(man, server, kind, label):
    server.objects["pods"] = [owned("cart-1", kind, "v1", "Node")]
    man.poll()
    (incident,) = man.incidents()
    labels = registry.get(open_store(man.url), incident["id"]).labels
    assert labels[label] != "Node"


def test_what_is_wrong_with_the_pods_of_another_operator_is_diagnosed(tmp_path, server):
    server.objects["pods"] = [owned("cart-1"), owned("cart-2"), pod("other-1", app="other")]
    server.objects["nodes"] = [{"metadata": {"name": "node-1"}}]
    target = {"url": server.url, "token": "s3cret"}
    ctx = scenes.context_for(
        tmp_path, values={"kubernetes": target}, clock=scenes_of_time.Clock(NOW)
    )
    incident = registry.get(
        ctx.store,
        scenes.add_incident(
            ctx.store, source="kubernetes", namespace="shop", workload="cart",
            labels={"workload_kind": CLONE_SET, "state": "pod_crash_looping"},
        ),
    )
    found = bundle.collect(ctx, incident)
    said = "\n".join("%s: %s" % (one["what"], one["found"]) for one in found.notes.facts)
    assert "state of %s shop/cart: 0 of 2 available" % CLONE_SET in said
    assert "PodCrashLooping" in said and "(and 1 more)" in said
    assert "state" not in {one["part"] for one in found.notes.missing}
    assert {one["pod"] for one in found.notes.content["containers"]} == {"cart-1", "cart-2"}
    seen = looking.look(ctx, incident)
    assert not seen.is_well and str(seen.ref) == "%s shop/cart" % CLONE_SET
    ctx.close()


def test_pod_of_a_new_job_waits_for_a_look_that_knows_whose_job_it_is(
    tmp_path, server, monkeypatch
):
    man = Watchman(
        stores.sqlite_url(tmp_path), {"default": server}, monkeypatch, {"watch": True}
    )
    one = owned("backup-1-x", "Job", "batch/v1", "backup-1", reason="InvalidImageName")
    one["spec"]["restartPolicy"] = "Never"
    server.watches = [[{"type": "ADDED", "object": one}]]
    man.poll()
    assert man.incidents() == []
    server.objects["pods"] = [one]
    server.objects["jobs"] = [
        {"metadata": {"name": "backup-1", "namespace": "shop",
                      "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob",
                                           "name": "backup", "uid": "b", "controller": True}]}}
    ]
    man.poll()
    assert [row["workload"] for row in man.incidents()] == ["backup"]

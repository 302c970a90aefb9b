"""Whose a pod is, read off the pod."""

from __future__ import annotations

import pytest

from selfheal.workloads import owners
from selfheal.workloads.model import Ref
from tests.workloads.objects import meta, owned, pod


@pytest.mark.parametrize(
    "owner, expected",
    [
        (owned("ReplicaSet", "cart-5d8c7f9b6"), "Deployment shop/cart"),
        (owned("ReplicaSet", "cart"), "ReplicaSet shop/cart"),
        (owned("ReplicaSet", "-5d8c7f9b6"), "ReplicaSet shop/-5d8c7f9b6"),
        (owned("StatefulSet", "db"), "StatefulSet shop/db"),
        (owned("DaemonSet", "agent"), "DaemonSet shop/agent"),
        (owned("ReplicationController", "old", api="v1"), "ReplicationController shop/old"),
        (owned("Job", "backup-28374650", api="batch/v1"), "CronJob shop/backup"),
        (owned("Job", "import", api="batch/v1"), "Job shop/import"),
        (owned("StatefulSet", "db", api="apps.kruise.io/v1"), "StatefulSet.apps.kruise.io shop/db"),
        (owned("DaemonSet", "agent", api="extensions/v1beta1"), "DaemonSet shop/agent"),
        (owned("Node", "node-a", api="v1"), "Pod shop/cart-0"),
        (None, "Pod shop/cart-0"),
        ({**owned("StatefulSet", "db"), "controller": False}, "Pod shop/cart-0"),
        ({**owned("StatefulSet", "db"), "name": None}, "Pod shop/cart-0"),
    ],
)
def test_pod_belongs_to_the_workload_that_a_person_would_name(owner, expected):
    jobs = {"shop/backup-28374650": "backup", "other/import": "import"}

    assert str(owners.of_pod(pod(name="cart-0", owner=owner), jobs)) == expected


def test_replica_set_of_another_operator_stands_for_itself():
    value = pod(owner="cart-5d8c7f9b6")
    value["metadata"]["labels"] = {"rollouts-pod-template-hash": "5d8c7f9b6"}

    assert owners.of_pod(value) == Ref("ReplicaSet", "shop", "cart-5d8c7f9b6")


def test_workload_made_by_a_workload_belongs_to_it():
    replica_set = {"metadata": meta("cart-1", owner=owned("Deployment", "cart"))}
    job = {"metadata": meta("backup-1", owner=owned("CronJob", "backup", api="batch/v1"))}
    operated = {"metadata": meta("db", owner=owned("Postgres", "db", api="acid.zalan.do/v1"))}

    assert owners.of_workload(replica_set, "ReplicaSet") == Ref("Deployment", "shop", "cart")
    assert owners.of_workload(job, "Job") == Ref("CronJob", "shop", "backup")
    assert owners.of_workload(operated, "StatefulSet") == Ref("StatefulSet", "shop", "db")


def test_mirror_of_a_static_pod_is_known_by_its_mark_or_its_owner():
    marked = pod(owner=None, annotations={"kubernetes.io/config.mirror": "5b1e"})

    assert owners.is_mirror(marked)
    assert owners.is_mirror(pod(owner=owned("Node", "node-a", api="v1")))
    assert not owners.is_mirror(pod(owner=None))
    assert not owners.is_mirror(pod())

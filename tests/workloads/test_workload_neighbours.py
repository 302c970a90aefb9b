"""Nodes, jobs, volume claims, autoscalers: what is wrong with them, and what is only so meant."""

from __future__ import annotations

import json

import pytest

from selfheal.workloads import nodes, others
from selfheal.workloads.model import Ref
from tests.workloads.objects import (
    CART,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    THRESHOLDS,
    condition,
    meta,
    owned,
    pod,
)


def node(*conditions, taints=(), **more):
    return {
        "kind": "Node",
        "metadata": meta("node-a", namespace="", **more),
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]},
        "status": {"conditions": list(conditions)},
    }


READY = condition("Ready", "True", DAY, "KubeletReady")
LOST = condition("Ready", "Unknown", 6 * MINUTE, "NodeStatusUnknown", "Kubelet stopped posting")
DOWN = condition("Ready", "False", 6 * MINUTE, "KubeletNotReady", "PLEG is not healthy")
DISK = condition("DiskPressure", "True", 2 * MINUTE, "KubeletHasDiskPressure")


def types_of(value):
    return [one.state.alert_type for one in nodes.findings_of(value, NOW, THRESHOLDS)]


@pytest.mark.parametrize(
    "value, expected",
    [
        (node(LOST), ["NodeNotReady"]),
        (node(DOWN), ["NodeNotReady"]),
        (node(DOWN, DISK), ["NodeNotReady"]),
        (node(DOWN, taints=["node.kubernetes.io/unschedulable"]), ["NodeNotReady"]),
        (node(READY, DISK), ["NodePressure"]),
        (node(READY, condition("ReadonlyFilesystem", "True", HOUR)), ["NodePressure"]),
        (node(READY), []),
        (node(READY, condition("MemoryPressure", "False", HOUR)), []),
        (node(READY, condition("MemoryPressure", "Unknown", HOUR)), []),
        (node(READY, condition("DiskPressure", "True", 20)), []),
        (node(condition("Ready", "Unknown", 2 * MINUTE)), []),
        (node(LOST, taints=["ToBeDeletedByClusterAutoscaler"]), []),
        (node(LOST, deletionTimestamp="2026-09-21T13:00:00Z"), []),
        (node(), []),
    ],
)
def test_node_is_judged_by_its_conditions(value, expected):
    assert types_of(value) == expected


def test_node_is_lost_from_the_first_moment():
    assert nodes.is_lost(node(condition("Ready", "Unknown", 1)))
    assert not nodes.is_lost(node(READY)) and not nodes.is_lost(node())


def test_finding_of_a_node_is_about_the_node():
    (finding,) = nodes.findings_of(node(LOST), NOW, THRESHOLDS)

    assert str(finding.owner) == "Node node-a" and finding.node == "node-a"
    assert finding.words == "node node-a no longer answers"


def job(name, *conditions, cron=None, **more):
    owner = owned("CronJob", cron, api="batch/v1") if cron else None
    return {
        "kind": "Job",
        "metadata": meta(name, owner=owner, **more),
        "spec": {"backoffLimit": 6},
        "status": {"conditions": list(conditions), "failed": 3},
    }


def gave_up(ended):
    return condition("Failed", "True", ended, "BackoffLimitExceeded", "Job has reached the limit")


def complete(ended):
    return condition("Complete", "True", ended)


def owners_of_failed(*jobs):
    ends = [one for one in map(others.ended, jobs) if one is not None]
    return [str(one.owner) for one in others.job_findings(ends, NOW)]


def test_job_that_gave_up_has_failed():
    assert owners_of_failed(job("import", gave_up(HOUR))) == ["Job shop/import"]


@pytest.mark.parametrize(
    "value",
    [
        job("retried"),
        job("done", complete(HOUR)),
        job("suspended", condition("Suspended", "True", HOUR)),
        job("about-to-fail", condition("FailureTarget", "True", 2)),
        job("deleted", gave_up(HOUR), deletionTimestamp="2026-09-21T13:00:00Z"),
        job("forgotten", gave_up(2 * DAY)),
    ],
)
def test_job_that_is_retried_done_or_long_past_has_no_finding(value):
    assert owners_of_failed(value) == []


def test_cron_job_is_judged_by_the_last_job_that_ended():
    first, second = job("b-1", gave_up(2 * HOUR), cron="b"), job("b-2", complete(HOUR), cron="b")
    third, runs = job("b-3", gave_up(MINUTE), cron="b"), job("b-4", cron="b")

    assert owners_of_failed(first, runs) == ["CronJob shop/b"]
    assert owners_of_failed(second, first) == []
    assert owners_of_failed(third, second, first) == ["CronJob shop/b"]


def claim(phase="Pending", age=HOUR, **more):
    return {
        "metadata": meta("data-0", age=age, **more),
        "spec": {"storageClassName": "fast"},
        "status": {"phase": phase},
    }


WAITS = [(CART, NOW - 6 * MINUTE)]


@pytest.mark.parametrize(
    "value, consumers, binds_at_once, is_found",
    [
        (claim(), WAITS, None, True),
        (claim(), WAITS, False, True),
        (claim(), [], True, True),
        (claim(), [], False, False),
        (claim(), [], None, False),
        (claim(age=60), [], True, False),
        (claim(age=DAY), [(CART, NOW - 60)], False, False),
        (claim("Lost"), [], None, True),
        (claim("Bound"), WAITS, True, False),
        (claim(deletionTimestamp="2026-09-21T13:00:00Z"), WAITS, None, False),
    ],
)
def test_claim_counts_when_somebody_waits_for_it(value, consumers, binds_at_once, is_found):
    found = others.claim_findings(value, consumers, binds_at_once, NOW, THRESHOLDS)

    assert [one.state.name for one in found] == ["volume_claim_pending"] * is_found


def test_claim_is_a_matter_of_who_waits_for_it():
    other = (Ref("StatefulSet", "shop", "db"), NOW - HOUR)
    (one,) = others.claim_findings(claim(), WAITS, None, NOW, THRESHOLDS)
    (both,) = others.claim_findings(claim(), [*WAITS, other], None, NOW, THRESHOLDS)

    assert one.owner == CART
    assert str(both.owner) == "PersistentVolumeClaim shop/data-0"


def test_claim_that_waits_is_told_from_one_that_lost_its_volume():
    (waits,) = others.claim_findings(claim(), WAITS, None, NOW, THRESHOLDS)
    (lost,) = others.claim_findings(claim("Lost"), [], None, NOW, THRESHOLDS)

    assert waits.words == "volume claim data-0 has no volume after 6 minutes"
    assert (waits.message, waits.since) == ("storage class fast", NOW - 6 * MINUTE)
    assert (lost.words, lost.since) == ("volume claim data-0 has lost its volume", 0.0)


def test_claims_of_a_pod_are_named_and_its_own():
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "data-0"}},
        {"name": "b", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "c", "emptyDir": {}},
    ]

    assert others.claims_of(pod(name="db-0", spec={"volumes": volumes})) == ["data-0", "db-0-b"]


def autoscaler(current=10, reason="TooManyReplicas", status="True", since=HOUR, written=False):
    conditions = [
        condition("AbleToScale", "True", DAY, "ReadyForNewScale"),
        condition("ScalingLimited", status, since, reason, "more than the maximum replica count"),
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}
    found = {
        "metadata": meta("cart-scaler"),
        "spec": {"minReplicas": 2, "maxReplicas": 10, "scaleTargetRef": target},
        "status": {"currentReplicas": current, "desiredReplicas": 10},
    }
    if written:  # autoscaling/v1 has no field for them
        found["metadata"]["annotations"] = {
            "autoscaling.alpha.kubernetes.io/conditions": json.dumps(conditions)
        }
    else:
        found["status"]["conditions"] = conditions
    return found


@pytest.mark.parametrize(
    "value, is_found",
    [
        (autoscaler(), True),
        (autoscaler(written=True), True),
        (autoscaler(current=9), False),
        (autoscaler(since=MINUTE), False),
        (autoscaler(reason="TooFewReplicas", current=10), False),
        (autoscaler(reason="DesiredWithinRange", status="False"), False),
    ],
)
def test_autoscaler_at_its_maximum_counts_when_it_wants_more(value, is_found):
    found = others.autoscaler_findings(value, NOW, THRESHOLDS)

    assert [one.owner for one in found] == [CART] * is_found


def test_autoscaler_whose_written_conditions_are_no_json_says_nothing():
    value = autoscaler(written=True)
    value["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/conditions": "[" * 99999}

    assert others.autoscaler_findings(value, NOW, THRESHOLDS) == ()

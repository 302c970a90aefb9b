"""Replicas that are missing and rollouts that do not go on, and all that only looks so."""

from __future__ import annotations

import pytest

from selfheal.workloads import controllers, pods
from selfheal.workloads.model import Ref
from tests.workloads.objects import (
    CART,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    THRESHOLDS,
    ago,
    condition,
    crashing,
    deployment,
    managed,
    meta,
    pod,
    unready,
)

DB = Ref("StatefulSet", "shop", "db")
AGENT = Ref("DaemonSet", "shop", "agent")


def briefs(*values):
    found = []
    for value in values:
        of_pod = pods.findings_of(value, CART, NOW, THRESHOLDS)
        found.append(pods.brief(value, of_pod))
    return found


def judged(workload, *values, owner=CART, lost=()):
    return controllers.findings_of(workload, owner, briefs(*values), NOW, THRESHOLDS, lost)


def types(*arguments, **more):
    return [one.state.alert_type for one in judged(*arguments, **more)]


def statefulset(desired=3, ready=3, updated=3, strategy="RollingUpdate", partition=0, **status):
    return {
        "kind": "StatefulSet",
        "metadata": meta("db", generation=1, managedFields=managed(HOUR)),
        "spec": {
            "replicas": desired,
            "updateStrategy": {"type": strategy, "rollingUpdate": {"partition": partition}},
        },
        "status": dict(
            {
                "observedGeneration": 1,
                "replicas": desired,
                "readyReplicas": ready,
                "updatedReplicas": updated,
                "currentRevision": "db-1",
                "updateRevision": "db-1" if updated == desired else "db-2",
            },
            **status
        ),
    }


def daemonset(desired=3, ready=3, updated=3, strategy="RollingUpdate"):
    return {
        "kind": "DaemonSet",
        "metadata": meta("agent", generation=1),
        "spec": {"updateStrategy": {"type": strategy}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired,
            "numberReady": ready,
            "numberAvailable": ready,
            "updatedNumberScheduled": updated,
        },
    }


def test_replica_unready_for_long_makes_a_workload_short():
    (finding,) = judged(deployment(3, ready=2), pod(), pod(), unready(6 * MINUTE))

    assert (finding.state.name, finding.state.severity) == ("replicas_short", "warning")
    assert finding.words == "2 of 3 replicas ready"
    assert finding.since == NOW - 6 * MINUTE


def test_workload_without_any_ready_replica_is_critical():
    (finding,) = judged(deployment(1, ready=0), unready(6 * MINUTE))

    assert (finding.state.name, finding.state.severity) == ("replicas_none", "critical")


def test_workload_all_of_whose_pods_are_sick_is_down_at_once():
    (finding,) = judged(deployment(2, ready=0), crashing(3), crashing(4))

    assert (finding.state.name, finding.reason) == ("replicas_none", "Error")
    assert judged(deployment(2, ready=0), crashing(3), unready(MINUTE)) == ()


BELOW = condition("Available", "False", 6 * MINUTE, "MinimumReplicasUnavailable")


def test_shortage_is_as_old_as_the_condition_says_though_each_pod_flaps():
    flaps = unready(10)
    (finding,) = judged(deployment(3, ready=1, conditions=[BELOW]), pod(), flaps, flaps)

    assert finding.since == NOW - 6 * MINUTE
    above = condition("Available", "True", HOUR, "MinimumReplicasAvailable")
    assert judged(deployment(3, ready=1, conditions=[above]), pod(), flaps, flaps) == ()
    assert types(deployment(3, ready=1, conditions=[BELOW]), pod()) == ["ReplicasShort"]


QUOTA = condition("ReplicaFailure", "True", 7 * MINUTE, "FailedCreate", "exceeded quota: small")


def test_pods_that_are_not_even_created_are_missing():
    (finding,) = judged(deployment(3, ready=1, total=1, conditions=[QUOTA]), pod())

    assert (finding.reason, finding.message) == ("FailedCreate", "exceeded quota: small")


def test_missing_pods_are_dated_by_the_last_writing_where_no_condition_tells():
    missing = statefulset(3, ready=2, replicas=2)
    changed = statefulset(3, ready=2, replicas=2)
    changed["metadata"]["managedFields"] = managed(MINUTE)

    assert types(missing, pod(), pod(), owner=DB) == ["ReplicasShort"]
    assert types(changed, pod(), pod(), owner=DB) == []


NOT_SHORT = {
    "complete": (deployment(), [pod()] * 3),
    "scaled to zero": (deployment(0), []),
    "short for a moment": (deployment(3, ready=2), [pod(), pod(), unready(MINUTE)]),
    "its surge is not ready": (deployment(3, total=4), [pod(), pod(), pod(), unready(HOUR)]),
    "spec not yet seen": (
        deployment(5, ready=2, annotations={}, age=DAY),
        [pod(), pod(), unready(HOUR)],
    ),
    "being deleted": (
        deployment(3, ready=0, deletionTimestamp="2026-09-21T13:00:00Z"),
        [unready(HOUR)],
    ),
    "waits for minReadySeconds": (
        deployment(3, conditions=[condition("Available", "False", HOUR)]),
        [pod()] * 3,
    ),
    "what is not ready is being deleted": (
        deployment(3, ready=2),
        [pod(), pod(), unready(HOUR, deletionTimestamp=ago(5)), unready(MINUTE)],
    ),
    "its status is behind its pods": (deployment(3, ready=2, conditions=[BELOW]), [pod()] * 3),
    "scales up": (deployment(9, ready=3), [pod()] * 3 + [unready(MINUTE)] * 6),
    "nothing is known of the missing one": (deployment(3, ready=2), [pod(), pod()]),
}
NOT_SHORT["spec not yet seen"][0]["metadata"]["generation"] = 4


@pytest.mark.parametrize("case", NOT_SHORT)
def test_workload_that_only_looks_short_has_no_finding(case):
    workload, of_it = NOT_SHORT[case]

    assert judged(workload, *of_it) == ()


def test_daemon_set_is_not_short_of_pods_on_lost_nodes():
    on_lost = unready(HOUR, node="node-z")

    assert types(daemonset(3, ready=2), pod(), pod(), on_lost, owner=AGENT) == ["ReplicasShort"]
    assert types(daemonset(3, 2), pod(), pod(), on_lost, owner=AGENT, lost={"node-z"}) == []
    both = [pod(), on_lost, unready(HOUR)]
    assert types(daemonset(3, 1), *both, owner=AGENT, lost={"node-z"}) == ["ReplicasShort"]


def test_stateful_set_lacks_what_its_lost_node_holds():
    on_lost = unready(HOUR, node="node-z")
    (finding,) = judged(statefulset(3, 2), pod(), pod(), on_lost, owner=DB, lost={"node-z"})

    assert (finding.reason, finding.node) == ("NodeNotReady", "node-z")


EXCEEDED = condition(
    "Progressing", "False", MINUTE, "ProgressDeadlineExceeded", 'ReplicaSet "cart-2" has timed out'
)


def test_rollout_past_its_deadline_is_stuck():
    (finding,) = judged(
        deployment(3, total=4, updated=1, conditions=[EXCEEDED]), pod(), pod(), pod()
    )

    assert finding.state.name == "rollout_stuck"
    assert finding.reason == "ProgressDeadlineExceeded"
    assert finding.words == "the rollout does not go on: 1 of 3 replicas updated, 3 available"


def test_pods_that_only_keep_room_for_others_are_not_missed():
    spare = pod(phase="Pending", node="", ready=False, ready_since=HOUR, spec={"priority": -10})
    value = deployment(2, ready=0, conditions=[EXCEEDED])

    assert pods.findings_of(spare, CART, NOW, THRESHOLDS) == ()
    assert judged(value, spare, spare) == ()
    assert types(value, spare, unready(HOUR)) == ["RolloutStuck", "ReplicasShort"]


def test_paused_deployment_is_not_stuck():
    value = deployment(3, updated=1, conditions=[EXCEEDED], spec={"paused": True})

    assert judged(value, pod(), pod(), pod()) == ()


@pytest.mark.parametrize(
    "workload, owner, expected",
    [
        (statefulset(3, 3, updated=1), DB, ["RolloutStuck"]),
        (statefulset(3, 3, updated=1, strategy="OnDelete"), DB, []),
        (statefulset(3, 3, updated=1, partition=2), DB, []),
        (statefulset(3, 3, updated=1, partition=1), DB, ["RolloutStuck"]),
        (statefulset(3, 3, updated=3), DB, []),
        (daemonset(3, 3, updated=1), AGENT, ["RolloutStuck"]),
        (daemonset(3, 3, updated=1, strategy="OnDelete"), AGENT, []),
        (daemonset(3, 3, updated=3), AGENT, []),
    ],
)
def test_rollout_without_a_deadline_is_stuck_on_a_pod_that_stays_unready(
    workload, owner, expected
):
    assert types(workload, pod(), unready(11 * MINUTE), owner=owner) == expected
    assert types(workload, pod(), unready(9 * MINUTE), owner=owner) == []


def test_older_stateful_sets_know_readiness_only():
    # Kubernetes 1.20 writes no availableReplicas for them; a Deployment leaves out its 0.
    assert controllers.numbers_of(statefulset(3, 2), "StatefulSet").available == 2
    assert controllers.numbers_of(deployment(3, ready=0), "Deployment").available == 0


def test_kinds_without_replicas_have_no_finding():
    assert judged(deployment(3, ready=0), unready(HOUR), owner=Ref("Job", "shop", "cart")) == ()

"""Was it the rollout: blamed when it is to blame, and never for what a rollback would not mend."""

from __future__ import annotations

import copy

import pytest

from selfheal.workloads import pods, rollouts
from selfheal.workloads.model import Ref
from tests.workloads.objects import (
    CART,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    THRESHOLDS,
    container,
    crashing,
    deployment,
    meta,
    owned,
    pod,
    replica_set,
    terminated,
    unready,
    waiting,
)

NEW, OLD = "hash2", "hash1"
RECENT = 10 * MINUTE


def of(mark, value):
    """A pod of the revision `mark`."""
    found = copy.deepcopy(value)
    found["metadata"]["labels"] = {"app": "cart", "pod-template-hash": mark}
    return found


def briefs(values):
    return [pods.brief(one, pods.findings_of(one, CART, NOW, THRESHOLDS)) for one in values]


def blamed(values, *replica_sets, workload=None):
    revisions = [rollouts.of_replica_set(one) for one in replica_sets]
    if workload is None:
        number = str(max(one.number for one in revisions))
        workload = deployment(annotations={"deployment.kubernetes.io/revision": number})
    return rollouts.broken(workload, CART, briefs(values), revisions, NOW, THRESHOLDS)


IMAGE = pod(
    container(waiting("ImagePullBackOff")), phase="Pending", ready=False, age=2 * MINUTE
)


@pytest.mark.parametrize(
    "sick, alert_type",
    [
        (crashing(), "PodCrashLooping"),
        (IMAGE, "PodImagePullFailed"),
        (unready(HOUR), "PodNotReady"),
    ],
)
def test_new_pods_sick_and_old_ones_well_is_the_rollout(sick, alert_type):
    finding = blamed(
        [of(NEW, sick), of(OLD, pod()), of(OLD, pod())],
        replica_set(1, 2 * RECENT),
        replica_set(2, RECENT),
    )

    assert finding.state.name == "rollout_broken"
    assert finding.since == NOW - RECENT
    assert finding.words == (
        "1 of 1 pod of revision 2 sick (%s) since it was rolled out; revision 1 was fine"
        % alert_type
    )


def test_rollout_that_replaced_all_before_it_crashed_is_blamed_when_the_old_had_stood():
    sick = [of(NEW, crashing()), of(NEW, crashing())]

    assert blamed(sick, replica_set(1, 2 * DAY), replica_set(2, RECENT)) is not None
    # The one before came minutes earlier itself: nobody knows whether it was any better.
    assert blamed(sick, replica_set(1, 2 * RECENT), replica_set(2, RECENT)) is None


def test_new_version_that_is_slow_to_become_ready_has_until_its_deadline():
    slow = deployment(
        spec={"progressDeadlineSeconds": 1800},
        annotations={"deployment.kubernetes.io/revision": "2"},
    )
    values = [of(NEW, unready(20 * MINUTE)), of(OLD, pod())]
    of_both = replica_set(1, DAY), replica_set(2, 20 * MINUTE)

    assert blamed(values, *of_both) is not None
    assert blamed(values, *of_both, workload=slow) is None
    assert blamed([of(NEW, unready(9 * MINUTE)), values[1]], *of_both) is None


def old_and_new(sick, well=True, new_age=RECENT, **more):
    old = pod() if well else crashing()
    values = [of(NEW, sick), of(OLD, old), of(OLD, old)]
    return blamed(values, replica_set(1, DAY), replica_set(2, new_age, **more))


def test_rollout_is_not_blamed_for_what_makes_the_old_pods_sick_too():
    assert old_and_new(crashing()) is not None
    assert old_and_new(crashing(), well=False) is None


def test_old_revision_of_which_half_is_sick_is_not_fine():
    halves = [of(OLD, pod()), of(OLD, crashing())]
    revisions = replica_set(1, DAY), replica_set(2, RECENT)

    assert blamed([of(NEW, crashing()), *halves], *revisions) is None
    assert blamed([of(NEW, crashing()), *halves, of(OLD, pod())], *revisions) is not None


def test_finding_shows_the_pod_nearest_to_the_cause():
    values = [of(NEW, crashing(name="a")), of(NEW, IMAGE), of(OLD, pod())]
    finding = blamed(values, replica_set(1, DAY), replica_set(2, RECENT))

    assert (finding.pod, finding.reason) == (IMAGE["metadata"]["name"], "ImagePullBackOff")


def test_rollout_of_long_ago_is_not_blamed():
    assert old_and_new(crashing(), new_age=2 * HOUR) is None


def test_rollout_is_not_blamed_for_evictions_nor_for_a_lack_of_nodes():
    evicted = pod(
        container(terminated()), phase="Failed", ready=False, status={"reason": "Evicted"}
    )
    unscheduled = pod(phase="Pending", node="", ready=False, age=HOUR)

    assert old_and_new(evicted) is None
    assert old_and_new(unscheduled) is None


def test_one_sick_pod_of_three_is_not_the_rollout():
    values = [of(NEW, crashing()), of(NEW, pod()), of(NEW, pod())]

    assert blamed(values, replica_set(1, DAY), replica_set(2, RECENT)) is None


@pytest.mark.parametrize(
    "mark", ["kubectl.kubernetes.io/restartedAt", "selfheal/restarted-at", "checksum/config"]
)
def test_restart_is_no_rollout(mark):
    # Only a mark in the template differs: to go back to it would bring back nothing.
    same = {"image": "registry.example/cart:1", "annotations": {mark: "2026-09-21T12:00:00Z"}}

    assert old_and_new(crashing(), **same) is None
    assert old_and_new(crashing(), annotations={mark: "x"}) is not None


def test_restart_of_a_broken_rollout_still_blames_the_rollout():
    marked = {"kubectl.kubernetes.io/restartedAt": "2026-09-21T12:00:00Z"}
    finding = blamed(
        [of("hash3", crashing()), of(OLD, pod())],
        replica_set(1, DAY),
        replica_set(2, RECENT),
        replica_set(3, MINUTE, image="registry.example/cart:2", annotations=marked),
    )

    assert finding.since == NOW - RECENT
    assert "revision 1 was fine" in finding.words


def test_what_was_rolled_back_to_is_not_blamed_in_turn():
    # Going back makes the old ReplicaSet the newest revision; its age stays.
    back = replica_set(3, DAY, mark=OLD, image="registry.example/cart:1")
    values = [of(OLD, crashing()), of(NEW, pod())]

    assert blamed(values, replica_set(2, RECENT), back) is None
    assert blamed(values, replica_set(2, RECENT), replica_set(3, MINUTE, mark=OLD)) is not None


def test_paused_deployment_is_left_to_who_paused_it():
    values = [of(NEW, crashing()), of(OLD, pod())]
    paused = deployment(spec={"paused": True})
    of_both = replica_set(1, DAY), replica_set(2, RECENT)

    assert blamed(values, *of_both) is not None
    assert blamed(values, *of_both, workload=paused) is None


def test_no_verdict_while_the_controller_lags_behind():
    values = [of(NEW, crashing()), of(OLD, pod())]
    of_both = replica_set(1, DAY), replica_set(2, RECENT)
    lagging = deployment()
    lagging["metadata"]["generation"] = 9
    elsewhere = deployment(annotations={"deployment.kubernetes.io/revision": "3"})

    assert blamed(values, *of_both, workload=lagging) is None
    assert blamed(values, *of_both, workload=elsewhere) is None


def test_going_back_skips_revisions_that_were_sick_too():
    revisions = [
        rollouts.of_replica_set(one)
        for one in (replica_set(1, DAY), replica_set(2, 2 * RECENT), replica_set(3, RECENT))
    ]
    values = [of("hash3", crashing()), of("hash2", crashing()), of("hash1", pod())]
    workload = deployment(annotations={"deployment.kubernetes.io/revision": "3"})
    chosen = rollouts.to_go_back_to(workload, CART, briefs(values), revisions, THRESHOLDS)

    assert chosen.name == "cart-hash1"


def test_first_revision_has_nothing_to_go_back_to():
    assert blamed([of(NEW, crashing())], replica_set(2, RECENT)) is None


def revision(kind, name, number, age, mark):
    return {
        "metadata": meta(
            name,
            age=age,
            owner=owned(kind, "db"),
            labels={"controller-revision-hash": mark},
        ),
        "revision": number,
        "data": {"spec": {"template": {"$patch": "replace", "spec": {"image": number}}}},
    }


@pytest.mark.parametrize(
    "kind, marks",
    [("StatefulSet", ("db-1f", "db-2f")), ("DaemonSet", ("1f", "2f"))],
)
def test_revisions_of_other_kinds_are_told_by_their_own_labels(kind, marks):
    owner = Ref(kind, "shop", "db")
    revisions = [
        rollouts.of_controller_revision(revision(kind, "db-1f", 1, DAY, "1f")),
        rollouts.of_controller_revision(revision(kind, "db-2f", 2, RECENT, "2f")),
    ]
    values = []
    for mark, value in zip(marks, (pod(), crashing())):
        value["metadata"]["labels"] = {"controller-revision-hash": mark}
        values.append(value)
    workload = {"status": {"updateRevision": "db-2f"}, "spec": {}}
    finding = rollouts.broken(workload, owner, briefs(values), revisions, NOW, THRESHOLDS)

    assert finding.owner == owner
    assert "revision 1 was fine" in finding.words


def test_what_is_nobodys_revision_is_none():
    stray = replica_set(1, DAY)
    del stray["metadata"]["ownerReferences"]
    unnumbered = replica_set(1, DAY)
    unnumbered["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "²"}

    assert rollouts.of_replica_set(stray) is None
    assert rollouts.of_replica_set(unnumbered) is None
    assert rollouts.of_controller_revision({"metadata": meta("x")}) is None

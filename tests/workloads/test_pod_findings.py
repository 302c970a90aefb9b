"""When a pod is sick, and when it only looks so; the pods are in pod_cases.py."""

from __future__ import annotations

import pytest

from selfheal.workloads import owners, pods
from tests.workloads.objects import (
    CART,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    THRESHOLDS,
    container,
    crashing,
    managed,
    pod,
    running,
    terminated,
    unready,
    waiting,
)
from tests.workloads.pod_cases import SICK, WELL, deleted, failed, pending


def found(value, recent=None, lost=(), now=NOW):
    return pods.findings_of(value, owners.of_pod(value), now, THRESHOLDS, recent, lost)


def types(value, **more):
    return [one.state.alert_type for one in found(value, **more)]


@pytest.mark.parametrize("case", SICK)
def test_sick_pod_has_one_finding(case):
    value, alert_type = SICK[case]

    assert types(value) == [alert_type]


@pytest.mark.parametrize("case", WELL)
def test_pod_that_only_looks_sick_has_no_finding(case):
    assert found(WELL[case]) == ()


@pytest.mark.parametrize("case", sorted({**SICK, **WELL}))
def test_pod_that_is_never_sick_later_is_not_sick_in_between(case):
    value = SICK[case][0] if case in SICK else WELL[case]
    sick_at = [bool(found(value, now=NOW + later)) for later in range(0, 3 * HOUR, 30)]

    if not sick_at[0] and not found(value, now=NOW + 30 * DAY):
        assert not any(sick_at)


def test_restarts_count_within_the_window_only():
    value = pod(container(running(100), terminated(ran=700, ended=101), 40), age=30 * DAY)

    assert types(value) == []
    assert types(value, recent={"app": 5}) == []
    (finding,) = found(value, recent={"app": 6, "other": 99})
    assert (finding.state.alert_type, finding.restarts) == ("PodRestartingOften", 6)


@pytest.mark.parametrize("value", [unready(HOUR), deleted(HOUR), crashing(9)])
def test_pod_on_a_lost_node_is_not_what_is_wrong(value):
    assert types(value) != []
    assert types(value, lost={"node-b"}) != []
    assert types(value, lost={"node-a"}) == []


def test_pod_that_its_lost_node_cannot_delete_waits_for_the_node():
    assert types(deleted(HOUR, status={"reason": "NodeLost"})) == []


def test_eviction_that_left_no_times_is_dated_by_the_last_writing():
    # Kubelets up to 1.21 drop conditions and containers; the pod itself is weeks old.
    bare_status = {"containerStatuses": [], "conditions": []}
    evicted = failed("Evicted", age=20 * DAY, managedFields=managed(2 * MINUTE))
    evicted["status"].update(bare_status)
    old = failed("Evicted", age=20 * DAY, managedFields=managed(DAY))
    old["status"].update(bare_status)

    assert types(evicted) == ["PodEvicted"]
    assert types(old) == []


def test_finding_tells_who_where_and_what_happened():
    (finding,) = found(crashing(4))

    assert finding.owner == CART
    assert (finding.pod, finding.container, finding.node) == (
        "cart-5d8c7f9b6-x2x9z",
        "app",
        "node-a",
    )
    assert (finding.reason, finding.exit_code, finding.restarts) == ("Error", 1, 4)
    assert finding.since == NOW - 30
    assert finding.words == "container app crashes again and again"


def test_exit_code_is_of_a_crash_only():
    (finding,) = found(SICK["image of a running pod was changed for the worse"][0])

    assert finding.exit_code is None


def test_text_from_outside_is_bounded_and_printable():
    hostile = "\x1b[2J{{ x }}\n" * 5000
    value = pending(container(waiting("ImagePullBackOff", hostile)), age=HOUR)
    (finding,) = found(value)

    assert len(finding.message) <= 500
    assert finding.message.isprintable() or "\u241b" in finding.message
    assert "\x1b" not in finding.message and "\n" not in finding.message


def test_stuck_deletion_names_what_holds_it():
    (finding,) = found(deleted(HOUR, finalizers=["example.com/backup"]))

    assert (finding.reason, finding.message) == ("Finalizers", "example.com/backup")


def test_pod_in_an_unknown_phase_is_told_by_its_node():
    (finding,) = found(SICK["its node is unknown"][0])

    assert finding.reason == "NodeLost"


def test_failed_pod_is_told_by_the_container_that_failed():
    value = pod(
        container(terminated("Completed", 0), name="one"),
        container(terminated("Error", 3, message="disk full"), name="two"),
        phase="Failed",
        owner=None,
    )
    (failing,) = found(value)
    (evicted,) = found(failed("Evicted"))

    assert (failing.container, failing.exit_code) == ("two", 3)
    assert (failing.reason, failing.message) == ("Error", "disk full")
    assert failing.words == "pod cart-5d8c7f9b6-x2x9z has failed"
    assert (evicted.reason, evicted.message) == ("Evicted", "what the kubelet says")
    assert evicted.words == "pod cart-5d8c7f9b6-x2x9z was evicted from its node"


@pytest.mark.parametrize(
    "case, reason",
    [
        ("finds no node", "Unschedulable"),
        ("no scheduler looks at it", "Unscheduled"),
        ("its volume is not mounted", "ContainerCreating"),
        ("its sidecar runs and nothing else begins", "PodInitializing"),
        ("its kubelet does not begin", "ContainerCreating"),
    ],
)
def test_pending_pod_says_what_it_waits_for(case, reason):
    (finding,) = found(SICK[case][0])

    assert finding.reason == reason


def test_every_container_has_its_own_finding():
    value = pod(
        container(waiting("CrashLoopBackOff"), terminated(), 4, name="one"),
        container(waiting("ImagePullBackOff"), name="two"),
        container(name="three"),
        ready=False,
    )

    assert [(one.container, one.state.alert_type) for one in found(value)] == [
        ("one", "PodCrashLooping"),
        ("two", "PodImagePullFailed"),
    ]


def test_clock_behind_the_cluster_does_not_put_findings_into_the_future():
    value = pending(container(waiting("InvalidImageName")), age=-90)

    assert [one.since for one in found(value)] == [NOW]


def test_restarts_are_counted_by_container():
    value = pod(
        container(restarts=3),
        container(name="other"),
        init=[container(restarts=1, name="proxy")],
    )

    assert pods.restarts_of(value) == {"app": 3, "proxy": 1}


def test_brief_keeps_what_a_workload_is_judged_by():
    value = unready(6 * MINUTE)
    brief = pods.brief(value, found(value))

    assert (brief.name, brief.node, brief.revision) == (
        "cart-5d8c7f9b6-x2x9z",
        "node-a",
        "5d8c7f9b6",
    )
    assert (brief.is_ready, brief.unready_since, brief.ready_since) == (False, NOW - 360, 0.0)
    assert brief.is_active and brief.sick.state.alert_type == "PodNotReady"
    assert not pods.brief(deleted(10)).is_active
    assert not pods.brief(failed("Evicted")).is_active
    assert pods.brief(pod(ready_since=50)).ready_since == NOW - 50

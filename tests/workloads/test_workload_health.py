"""How a workload stands: what it has, whether all was carried out, and who only looks ready."""

from __future__ import annotations

import pytest

from selfheal.workloads import controllers, picture
from selfheal.workloads.model import Ref
from selfheal.workloads.picture import Neighbours, Picture
from tests.workloads.objects import (
    CART,
    HOUR,
    MINUTE,
    NOW,
    THRESHOLDS,
    condition,
    container,
    deployment,
    meta,
    pod,
    running,
    terminated,
    unready,
)

DB = Ref("StatefulSet", "shop", "db")
BETWEEN_CRASHES = pod(container(running(20), terminated(ended=60), 3), name="a", ready_since=20)
EVICTED = pod(
    container(terminated(ended=60)), phase="Failed", ready=False, status={"reason": "Evicted"}
)


def look(workload, *values, of=CART, **more):
    return Picture(of, workload, values, NOW, THRESHOLDS, **more)


def health(*arguments, **more):
    return picture.health(look(*arguments, **more))


def statefulset(desired, updated, total=None, strategy=None):
    return {
        "metadata": meta("db", generation=1),
        "spec": {"replicas": desired, "updateStrategy": strategy or {"type": "RollingUpdate"}},
        "status": {
            "observedGeneration": 1,
            "replicas": desired if total is None else total,
            "readyReplicas": desired,
            "updatedReplicas": updated,
        },
    }


def test_workload_with_all_it_wants_is_well():
    found = health(deployment(3), pod(), pod(), pod())

    assert found.is_well and found.is_settled and found.is_steady
    assert (found.missing, found.sick, found.steady_since) == (0, 0, NOW - HOUR)


def test_pod_that_runs_between_two_crashes_is_not_ready():
    found = health(deployment(2), BETWEEN_CRASHES, pod())

    assert (found.ready, found.available, found.sick, found.missing) == (1, 1, 1, 1)
    assert not found.is_well
    assert found.words == "1 of 2 available, 1 ready, 2 up to date, 1 sick, not settled"


def test_workload_is_steady_once_its_last_pod_has_been_ready_for_a_while():
    assert not health(deployment(2), pod(), pod(ready_since=59)).is_steady
    assert health(deployment(2), pod(), pod(ready_since=60)).is_steady


def test_what_was_evicted_and_replaced_is_shown_and_does_not_make_it_sick():
    seen = look(deployment(2), pod(), pod(), EVICTED)
    found = picture.findings(seen)

    assert [one.state.alert_type for one in found] == ["PodEvicted"]
    assert picture.lasting(found) == ()
    assert picture.health(seen).is_well
    bare = picture.findings(look(EVICTED, EVICTED, of=Ref("Pod", "shop", "x")))
    assert picture.lasting(bare) == bare != ()


@pytest.mark.parametrize(
    "workload, of, is_settled",
    [
        (deployment(3, updated=1, total=4), CART, False),
        (deployment(3, total=4), CART, False),
        (deployment(3, ready=2), CART, False),
        (deployment(0), CART, True),
        (deployment(3, deletionTimestamp="2026-09-21T13:00:00Z"), CART, False),
        (statefulset(3, 3), DB, True),
        (statefulset(3, 1), DB, False),
        (statefulset(1, 1, total=3), DB, False),
        (statefulset(3, 0, strategy={"type": "OnDelete"}), DB, True),
        (statefulset(3, 1, strategy={"rollingUpdate": {"partition": 2}}), DB, True),
        (statefulset(3, 0, strategy={"rollingUpdate": {"partition": 2}}), DB, False),
    ],
)
def test_workload_is_settled_when_all_was_carried_out(workload, of, is_settled):
    assert health(workload, of=of).is_settled is is_settled


def test_workload_whose_controller_lags_is_not_settled():
    lagging = deployment(3)
    lagging["metadata"]["generation"] = 4

    assert not health(lagging, pod(), pod(), pod()).is_settled


def test_node_is_well_when_it_is_ready():
    def node(status):
        return {"metadata": meta("a", ""), "status": {"conditions": [condition("Ready", *status)]}}

    of = Ref("Node", "", "a")
    assert health(node(("True", HOUR)), of=of).is_well
    assert not health(node(("Unknown", 1)), of=of).is_well


def test_pod_stands_for_itself_and_pods_for_a_kind_of_others():
    alone, rollout = Ref("Pod", "shop", "x"), Ref("Rollout.argoproj.io", "shop", "x")

    assert health(pod(), pod(), of=alone).is_well
    assert not health(unready(HOUR), unready(HOUR), of=alone).is_well
    found = health({}, pod(), unready(MINUTE), of=rollout)
    assert (found.desired, found.available) == (2, 1)


def test_controller_that_is_not_read_is_as_well_as_its_pods():
    of = Ref("ReplicationController", "shop", "x")

    assert health({}, pod(), of=of).is_well
    assert not health({}, unready(HOUR), of=of).is_well
    assert controllers.findings_of({}, of, (), NOW, THRESHOLDS) == ()


def job(*conditions, **status):
    return {
        "metadata": meta("import"),
        "spec": {"completions": 4},
        "status": dict(status, conditions=list(conditions)),
    }


def test_job_stands_as_it_ended_and_until_then_as_far_as_it_came():
    of = Ref("Job", "shop", "import")
    runs, done, failed = (
        job(active=2, succeeded=1),
        job(condition("Complete", "True", MINUTE), succeeded=4),
        job(condition("Failed", "True", MINUTE), failed=1),
    )

    found = health(runs, of=of, jobs=(runs,))
    assert (found.desired, found.available, found.is_settled) == (4, 1, False)
    assert health(done, of=of, jobs=(done,)).is_well
    assert not health(failed, of=of, jobs=(failed,)).is_well


def test_service_is_well_with_a_ready_endpoint():
    of = Ref("Service", "shop", "cart")
    ready = {"subsets": [{"addresses": [{"ip": "10.0.0.1"}]}]}

    assert health({}, of=of, neighbours=Neighbours((({}, ready),))).is_well
    assert not health({}, of=of, neighbours=Neighbours((({}, {}),))).is_well


def test_service_in_front_of_one_workload_is_that_workloads_matter():
    service = {"metadata": meta("front"), "spec": {"selector": {"app": "cart"}}}
    around = Neighbours(((service, {}),))
    sick = [unready(HOUR), unready(HOUR, owner="other-1")]

    def found(of, workload, *values):
        seen = look(workload, *values, of=of, neighbours=around)
        return [one for one in picture.findings(seen) if one.words.startswith("service")]

    front = Ref("Service", "shop", "front")
    assert [one.owner for one in found(CART, deployment(1, ready=0), sick[0])] == [CART]
    assert found(front, service, sick[0]) == []
    assert [one.owner for one in found(front, service, *sick)] == [front]


def test_picture_says_of_which_states_it_says_nothing():
    states = {"service_without_endpoints", "volume_claim_pending", "autoscaler_at_maximum"}
    by_others = {"pod_restarting_often", "pod_cpu_high", "pod_memory_high", "pod_down"}

    assert not picture.sees(look(deployment())) & (states | by_others)
    seen = picture.sees(look(deployment(), neighbours=Neighbours((), (), ())))
    assert states <= seen and not by_others & seen

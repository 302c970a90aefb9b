"""Services with nobody behind them, and those that are meant to have nobody."""

from __future__ import annotations

import pytest

from selfheal.workloads import owners, pods, services
from selfheal.workloads.model import Ref
from tests.workloads.objects import (
    CART,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    THRESHOLDS,
    crashing,
    deployment,
    managed,
    meta,
    owned,
    pod,
    unready,
)

NONE = {"subsets": [{"notReadyAddresses": [{"ip": "10.244.1.7"}]}]}
TASK = {"owner": owned("Job", "import", api="batch/v1"), "spec": {"restartPolicy": "Never"}}


def service(age=DAY, selector=None, **spec):
    selector = {"app": "cart"} if selector is None else selector
    return {"metadata": meta("cart", age=age), "spec": dict(spec, selector=selector)}


def written(seconds_ago):
    return dict(NONE, metadata=meta("cart", managedFields=managed(seconds_ago)))


def found(value, *values, endpoints=None, workloads=()):
    selected = []
    for one in values:
        owner = owners.of_pod(one)
        selected.append((owner, pods.brief(one, pods.findings_of(one, owner, NOW, THRESHOLDS))))
    answered = [written(HOUR) if endpoints is None else endpoints]
    return services.findings_of(value, answered, selected, workloads, NOW, THRESHOLDS)


def test_service_whose_pods_are_not_ready_is_a_matter_of_their_workload():
    (finding,) = found(service(), unready(6 * MINUTE), unready(7 * MINUTE))

    assert finding.owner == CART
    assert finding.words == "service cart has no ready endpoint: none of 2 pods is"


def test_service_of_several_workloads_stands_for_itself():
    (finding,) = found(service(), unready(HOUR), unready(HOUR, owner=owned("StatefulSet", "db")))

    assert finding.owner == Ref("Service", "shop", "cart")


def test_service_all_of_whose_pods_are_sick_counts_at_once():
    assert len(found(service(), crashing(), endpoints=written(5))) == 1
    assert found(service(), unready(MINUTE), endpoints=written(5)) == ()


def test_selector_that_matches_nothing_is_a_mistake_when_new_and_left_over_when_old():
    (finding,) = found(service(age=300 * DAY))

    assert (finding.owner.kind, finding.reason) == ("Service", "NothingSelected")
    assert found(service(age=300 * DAY), endpoints=written(2 * DAY)) == ()
    assert found(service(age=300 * DAY), endpoints=written(MINUTE)) == ()
    assert found(service(age=MINUTE), endpoints={}) == ()


def test_service_of_a_workload_whose_pods_are_not_created_is_its_matter():
    (finding,) = found(service(), workloads=[(CART, 3)])

    assert finding.owner == CART


@pytest.mark.parametrize(
    "value, of_it, workloads",
    [
        (service(selector={}), [], []),
        (service(type="ExternalName", externalName="db.example"), [], []),
        (service(), [], [(CART, 0)]),
        (service(), [pod(phase="Succeeded", ready=False, **TASK)], []),
        (service(), [unready(HOUR, **TASK)], []),
    ],
)
def test_service_that_is_meant_to_have_nobody_has_no_finding(value, of_it, workloads):
    assert found(value, *of_it, workloads=workloads) == ()


@pytest.mark.parametrize(
    "endpoints, ready",
    [
        ({"subsets": [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}]}, 2),
        (NONE, 0),
        ({"subsets": None}, 0),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]}, 1),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {}}]}, 1),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}, 0),
    ],
)
def test_ready_addresses_are_counted_in_either_kind(endpoints, ready):
    assert services.ready_addresses([endpoints]) == ready
    assert bool(found(service(), unready(HOUR), endpoints=endpoints)) == (ready == 0)


def test_selector_matches_labels_as_the_api_does():
    labels = deployment()["spec"]["template"]["metadata"]["labels"]

    assert services.selects(service(), labels)
    assert not services.selects(service(selector={"app": "cart", "tier": "web"}), labels)
    assert not services.selects(service(selector={}), labels)

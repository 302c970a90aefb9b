"""min_healthy of Kubernetes: what an operation takes from its workload, with all others there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.guard import gate, group_health, tolls
from selfheal.guard.tolls import Taken
from selfheal.remedy import journal
from selfheal.remedy.model import KubernetesAct
from tests.guard.permits import context, deed

CART = "default/Deployment/shop/cart"


def taken(healthy=4, total=4, takes=1, keep="50%", group=CART, **fields):
    return Taken(group, healthy, total, takes, keep, **fields)


def judged(ctx, one, *of):
    measured = group_health.Measured(ctx.clock.now(), (), of)
    with ctx.store.transaction("guard"):
        refused = group_health.objection(ctx, one, measured)
        if refused is None:
            group_health.charge(ctx, one, measured)
    return refused


def begin(ctx, incident_id="inc-2"):
    """An execution that this process carries out; its id."""
    plan = {"remedy": "kubernetes", "runbook": "delete_pod", "risk": "reversible"}
    return journal.begin(ctx.store, incident_id, "run-1", plan)


@pytest.fixture
def ctx(url):
    return context(url)


@pytest.fixture
def quick():
    """Where the database does not matter."""
    return context("sqlite:///:memory:")


def test_too_few_that_stay_are_a_no_with_the_numbers(quick):
    assert judged(quick, deed(), taken(4, 4, 2)) is None
    refused = judged(quick, deed(), taken(3, 4, 2))
    assert refused.rule == "min_healthy" and CART in refused.reason
    assert "3 of 4" in refused.reason and "takes 2 away" in refused.reason
    assert "kubernetes.min_healthy" in refused.advice
    assert refused.data["keep"] == "50%" and refused.data["takes"] == 2


def test_what_takes_nothing_healthy_away_may(quick):
    assert judged(quick, deed(), taken(0, 5, 0)) is None
    assert judged(quick, deed(), taken(0, 0, 0, "100%")) is None


def test_each_member_that_others_take_counts(ctx):
    first = begin(ctx)
    assert judged(ctx, deed(first), taken(8, 8, 3)) is None
    assert judged(ctx, deed("exe-9"), taken(8, 8, 2)).data["in_flight"] == 3
    assert judged(ctx, deed("exe-9"), taken(8, 8, 1)) is None
    assert judged(ctx, deed("exe-9"), taken(8, 8, 4, group="other")) is None
    second = begin(ctx, "inc-3")
    assert judged(ctx, deed(second), taken(8, 8, 1)) is None
    assert judged(ctx, deed("exe-8"), taken(8, 8, 1)).data["in_flight"] == 4


def test_what_has_ended_shows_in_the_cluster_itself(ctx):
    first = begin(ctx)
    judged(ctx, deed(first), taken(4, 4, 2))
    ctx.clock.at += 1
    journal.finish(ctx.store, first, journal.DONE, {})
    ctx.clock.at += 1
    assert judged(ctx, deed("exe-9"), taken(4, 4, 2)) is None


def test_two_groups_of_one_deed_both_count(quick):
    refused = judged(quick, deed(), taken(4, 4, 1), taken(1, 4, 1, group="nodes"))
    assert "nodes" in refused.reason


def test_what_is_not_known_is_a_no(quick):
    refused = judged(quick, deed(), Taken(problem="no answer from https://10.0.0.1"))
    assert refused.rule == "min_healthy" and "no answer" in refused.reason
    assert "check_config" in refused.advice


def test_a_protected_target_is_a_no_of_its_own(quick):
    refused = judged(quick, deed(), Taken(refused="kube-system is protected"))
    assert refused.rule == tolls.TARGET and "kube-system" in refused.reason


def test_an_old_measurement_is_a_no(quick):
    measured = group_health.Measured(quick.clock.now(), (), (taken(),))
    quick.clock.at += 61
    assert "61 s ago" in group_health.objection(quick, deed(), measured).reason


@given(
    st.one_of(st.floats(), st.integers(-5, 50)),
    st.one_of(st.floats(), st.integers(-5, 50)),
    st.integers(-5, 50),
    st.sampled_from(["0", "1", "50%", "100%", "999999999"]),
)
def test_numbers_that_make_no_sense_are_a_no(healthy, total, takes, keep):
    ctx = context("sqlite:///:memory:")
    refused = judged(ctx, deed(), taken(healthy, total, takes, keep))
    if takes != 0 and not (0 < takes <= healthy <= total and total != float("inf")):
        assert refused is not None
    ctx.close()


def test_a_deed_on_a_cluster_that_is_not_configured_is_a_no(quick):
    one = deed(operations=(KubernetesAct("restart_workload"),), workload="web")
    found = {objection.rule: objection for objection in gate.look(quick, one)}
    assert "kubernetes.url" in found["min_healthy"].reason
    assert gate.enter(quick, one).rule == "min_healthy"
    assert gate.look(quick, deed()) == [], "what does nothing in Kubernetes is not asked about"


def test_who_only_reads_measures_nothing(quick):
    one = deed(risk="read-only", operations=(KubernetesAct("restart_workload"),))
    assert group_health.measure(quick, one).taken == ()

"""Which of the pack's runbooks is for which unhealthy state, and for which none is."""

from __future__ import annotations

import pytest

from selfheal.config import Config
from selfheal.guard import command_check
from selfheal.guard.commands import load_policy
from selfheal.incidents import registry
from selfheal.remedy import catalogue, match
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.workloads import states
from tests.remedy import scenes

KNOWN = catalogue.load([str(catalogue.PACK_RUNBOOKS)])
HEALED = {
    "kubernetes_delete_sick_pods": (
        "PodCrashLooping", "PodRestartingOften", "PodNotReady", "PodFailed", "PodEvicted",
        "ReplicasShort", "KubePodCrashLooping", "KubePodNotReady",
        "KubeDeploymentReplicasMismatch", "KubeStatefulSetReplicasMismatch",
        "KubernetesPodCrashLooping", "KubernetesPodNotHealthy",
        "KubernetesDeploymentReplicasMismatch", "KubernetesStatefulsetReplicasMismatch",
    ),
    "kubernetes_restart_workload": (
        "RolloutStuck", "KubeDeploymentRolloutStuck", "KubeStatefulSetUpdateNotRolledOut",
        "KubeDaemonSetRolloutStuck", "KubernetesStatefulsetUpdateNotRolledOut",
        "KubernetesDaemonsetRolloutStuck",
    ),
    "kubernetes_restart_unreachable": ("PodDown",),
    "kubernetes_roll_back": ("RolloutBroken",),
    "kubernetes_raise_memory": ("PodOOMKilled", "KubernetesContainerOomKiller"),
    "kubernetes_scale_out": ("PodCpuHigh",),
}
# A restart cannot mend these, or they are for people to decide.
FOR_PEOPLE = (
    "PodImagePullFailed", "PodConfigError", "JobFailed", "VolumeClaimPending", "NodeNotReady",
    "NodePressure", "AutoscalerAtMaximum", "PodMemoryHigh", "ServiceWithoutEndpoints",
    "PodTerminatingStuck", "PodPending",
)
ALSO_FOR_PEOPLE = (
    "KubeContainerWaiting", "KubeHpaMaxedOut", "KubeJobFailed", "KubeNodeNotReady",
    "KubeNodeUnreachable", "KubePersistentVolumeFillingUp", "KubeDeploymentGenerationMismatch",
    "KubeDaemonSetNotScheduled", "CPUThrottlingHigh", "KubeQuotaExceeded",
)
PAIRS = [(name, kind) for name, kinds in HEALED.items() for kind in kinds]
ASKED = {"kubernetes_roll_back", "kubernetes_raise_memory"}


@pytest.fixture
def ctx(tmp_path):
    kubernetes = {"url": "https://127.0.0.1:1", "token": "t"}
    made = scenes.context_for(tmp_path, values={"kubernetes": kubernetes})
    yield made
    made.close()


def incident(ctx, alert_type, labels=None, **fields):
    given = {"namespace": "shop", "workload": "cart", "severity": "warning", **fields}
    labels = {"alertname": alert_type, "namespace": "shop", **(labels or {})}
    return registry.get(ctx.store, scenes.add_incident(ctx.store, labels=labels, **given))


def chosen(ctx, alert_type, labels=None, **fields):
    found = match.find(KNOWN.runbooks, incident(ctx, alert_type, labels, **fields)).runbook
    return found and found.name


def test_all_of_them_can_be_read():
    assert KNOWN.broken == ()
    names = {runbook.name for runbook in KNOWN.runbooks if runbook.acts_in_kubernetes}
    assert names == {*HEALED, "kubernetes_reschedule_waiting_pods"}


@pytest.mark.parametrize(("name", "alert_type"), PAIRS)
def test_state_has_its_runbook(ctx, name, alert_type):
    assert chosen(ctx, alert_type) == name
    assert chosen(ctx, alert_type, workload=None) is None, "nothing is named, nothing is touched"


@pytest.mark.parametrize("alert_type", FOR_PEOPLE + ALSO_FOR_PEOPLE)
def test_state_is_for_people(ctx, alert_type):
    assert chosen(ctx, alert_type) is None


def test_every_state_that_the_sensor_knows_is_in_one_of_the_tables():
    ours = {state.alert_type for state in states.STATES.values()}
    assert ours - {kind for _, kind in PAIRS} - set(FOR_PEOPLE) == set()


@pytest.mark.parametrize("waiting", ["KubeContainerWaiting", "PodPending"])
def test_what_waits_is_moved_only_when_its_node_is_what_it_waits_for(ctx, waiting):
    assert chosen(ctx, waiting, {"reason": "ContainerCreating"}) == (
        "kubernetes_reschedule_waiting_pods"
    )
    for reason in ("ImagePullBackOff", "CreateContainerConfigError", "Unschedulable", ""):
        assert chosen(ctx, waiting, {"reason": reason}) is None


@pytest.mark.parametrize("runbook", [one for one in KNOWN.runbooks if one.acts_in_kubernetes])
def test_runbook_says_the_risk_that_the_policy_says(runbook):
    judged = command_check.judge_runbook(runbook, load_policy())
    assert judged.objections == () and judged.notes == () and judged.asks == ()
    assert judged.risk == runbook.risk
    assert (judged.risk == "disruptive") == (runbook.name in ASKED)
    least = Config().number("resolver.min_confidence")
    assert runbook.confidence >= least, "else it would never be done without asking"
    assert {"workload": "healthy"} in runbook.verify


def test_without_a_cluster_an_alert_goes_the_way_of_any_other(tmp_path):
    ctx = scenes.context_for(tmp_path)
    found = incident(ctx, "KubePodCrashLooping")
    told = analyze_incident(ctx, found.id)
    assert told["has_plan"] is False
    evidence = registry.get(ctx.store, found.id).analysis["evidence"]
    said = {one["what"]: one["found"] for one in evidence}
    assert "kubernetes.url" in said["runbook kubernetes_delete_sick_pods"]
    assert determine_response_strategy(ctx, found.id)["strategy"] == "manual"
    ctx.close()


def test_a_cluster_that_does_not_answer_is_a_person_s_matter(ctx):
    found = incident(ctx, "KubePodCrashLooping", severity="critical")
    assert analyze_incident(ctx, found.id)["runbook"] == "kubernetes_delete_sick_pods"
    decided = determine_response_strategy(ctx, found.id)
    assert decided["strategy"] == "escalate"
    assert any("min_healthy" in reason for reason in decided["reasons"]), decided

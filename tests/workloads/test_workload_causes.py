"""Which of several things wrong it is about."""

from __future__ import annotations

import itertools

from selfheal.workloads import causes, states
from selfheal.workloads.model import Finding
from tests.workloads.objects import CART


def finding(state, pod="", since=0.0):
    return Finding(state, CART, pod, since=since)


def cause(*findings):
    return causes.primary(findings).state.alert_type


def test_cause_comes_before_its_symptoms():
    symptoms = [finding(states.REPLICAS_SHORT), finding(states.SERVICE_WITHOUT_ENDPOINTS)]
    image = finding(states.POD_IMAGE_PULL_FAILED, "a")
    crash = finding(states.POD_CRASH_LOOPING, "b")

    assert cause(*symptoms) == "ReplicasShort"
    assert cause(*symptoms, crash) == "PodCrashLooping"
    assert cause(*symptoms, crash, image) == "PodImagePullFailed"
    assert cause(*symptoms, crash, image, finding(states.ROLLOUT_BROKEN, "a")) == "RolloutBroken"


def test_few_pods_do_not_speak_for_many():
    crashes = [finding(states.POD_CRASH_LOOPING, "pod-%d" % n) for n in range(30)]
    kills = [finding(states.POD_OOM_KILLED, "other-%d" % n) for n in range(10)]

    assert cause(*crashes, *kills[:3]) == "PodCrashLooping"
    assert cause(*crashes, *kills) == "PodOOMKilled"


def test_answer_does_not_depend_on_the_order():
    several = [
        finding(states.POD_CRASH_LOOPING, "b", 30.0),
        finding(states.POD_CRASH_LOOPING, "a", 20.0),
        finding(states.POD_CRASH_LOOPING, "c"),
        finding(states.REPLICAS_SHORT),
    ]
    answers = {causes.primary(one) for one in itertools.permutations(several)}

    assert answers == {several[1]}
    assert causes.primary([]) is None


def test_rows_are_told_apart_by_name_and_ranked_without_ties():
    rows = states.STATES.values()

    assert len({row.name for row in rows}) == len({row.priority for row in rows}) == len(rows)
    assert {row.severity for row in rows} <= {"critical", "error", "warning", "info"}
    assert all(row.seen and row.counts and row.settles for row in rows)
    assert {row.alert_type for row in rows} == set(
        "PodCrashLooping PodRestartingOften PodOOMKilled PodImagePullFailed PodConfigError "
        "PodFailed PodEvicted PodPending PodTerminatingStuck PodNotReady RolloutBroken "
        "RolloutStuck ReplicasShort JobFailed ServiceWithoutEndpoints NodeNotReady NodePressure "
        "VolumeClaimPending AutoscalerAtMaximum PodCpuHigh PodMemoryHigh PodDown".split()
    )

"""Whole pods as clusters of several years write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfheal.workloads import owners, pods
from tests.workloads.objects import HOUR, NOW, THRESHOLDS

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "kubernetes"


def found(name, now=NOW):
    pod = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return pods.findings_of(pod, owners.of_pod(pod), now, THRESHOLDS)


@pytest.mark.parametrize(
    "name, owner, alert_type, reason, exit_code",
    [
        ("pod_1_20_crash_loop.json", "Deployment shop/checkout", "PodCrashLooping", "Error", 2),
        ("pod_1_31_sidecar.json", "StatefulSet bank/ledger", "PodOOMKilled", "OOMKilled", 137),
        ("pod_1_20_evicted.json", "Deployment shop/search", "PodEvicted", "Evicted", None),
    ],
)
def test_whole_pod_is_understood(name, owner, alert_type, reason, exit_code):
    (finding,) = found(name)

    assert (str(finding.owner), finding.state.alert_type) == (owner, alert_type)
    assert (finding.reason, finding.exit_code) == (reason, exit_code)


def test_last_words_of_a_crash_are_kept_on_one_line():
    (finding,) = found("pod_1_20_crash_loop.json")

    assert finding.message.startswith("panic: dial tcp: lookup database on 10.96.0.10:53: no such")
    assert "\n" not in finding.message


def test_what_was_over_an_hour_ago_is_over():
    assert found("pod_1_31_sidecar.json", NOW + HOUR) == ()
    assert found("pod_1_20_evicted.json", NOW + HOUR) == ()
    assert len(found("pod_1_20_crash_loop.json", NOW + HOUR)) == 1

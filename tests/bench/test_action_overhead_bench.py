"""The measurement of what actions cost carries Kubernetes actions out in full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"


def test_actions_that_speak_to_a_cluster_are_measured_to_their_end():
    command = [
        sys.executable, str(BENCH / "action_overhead.py"), "--rounds", "1", "--only",
        "analyze_incident", "k8s_delete_pod", "k8s_diagnose", "k8s_restart_workload",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    result = json.loads(done.stdout.decode().splitlines()[-1])
    assert {name: row["outcome"] for name, row in result["actions"].items()} == {
        "selfheal.analyze_incident": "ok",
        "selfheal.analyze_incident (of a workload)": "ok",
        "selfheal.k8s_delete_pod": "done",
        "selfheal.k8s_delete_pod (dry run)": "planned",
        "selfheal.k8s_diagnose": "ok",
        "selfheal.k8s_restart_workload": "done",
        "selfheal.k8s_restart_workload (dry run)": "planned",
    }
    assert result["budget_cluster_cpu_ms"] == 250
    assert all(row["cpu_ms_over"] > 0 for row in result["actions"].values())

"""The measurement of a look at a cluster runs and tells what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"


def test_quick_run_measures_every_cluster():
    command = [sys.executable, str(BENCH / "kubernetes_look.py"), "--quick"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    result = json.loads(done.stdout.decode().splitlines()[-1])
    for name, owners in (("well", 0), ("sick", 30), ("sick_watched", 30)):
        looks = result[name]["looks"]
        assert [look["pods"] for look in looks] == [300] * 3
        assert [look["owners"] for look in looks] == [owners] * 3
        assert [look["opened"] for look in looks] == [owners, 0, 0]
        assert all(0 < look["cpu_s"] for look in looks)
        assert result[name]["most_mb"] > result[name]["before_mb"]
    assert set(result["within_budget"]) == {"cpu", "memory"}

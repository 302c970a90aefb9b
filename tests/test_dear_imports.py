"""What most runs of an action need not is not loaded with it: each module costs every start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parent.parent / "actions" / "lib"


@pytest.mark.parametrize(
    "module, dear",
    [
        ("operate.housekeeping", ("respond.remediate", "remedy.model", "guard.gate")),
        ("respond.finish", ("remedy.plan", "notify.messages", "outbox.carrying")),
        ("respond.escalate", ("remedy.plan",)),
        ("respond.runbooks", ("remedy.steps", "respond.remediate")),
        ("respond.analyze", ("remedy.steps", "remedy.undo", "diagnose.kubernetes.bundle")),
    ],
)
def test_action_starts_without(module, dear):
    code = "import sys, selfheal.%s; print(*sys.modules)" % module
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, PYTHONPATH=str(LIBRARY)),
        stdout=subprocess.PIPE,
        timeout=600,
        check=True,
    )
    loaded = set(run.stdout.decode("utf-8").split())
    assert "selfheal.%s" % module in loaded
    assert not loaded & {"selfheal.%s" % one for one in dear}

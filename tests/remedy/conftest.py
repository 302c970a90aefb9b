"""What a remedy in Kubernetes waits for in these tests is over after minutes, not seconds: on a
slow machine controllers, servers and this process stand still for a while.
"""

from __future__ import annotations

import pytest

from selfheal.remedy.kubernetes import attempts, undoing


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(attempts, "_UNDO_S", 600.0)
    monkeypatch.setattr(undoing, "_OBSERVED_WITHIN_S", 300.0)

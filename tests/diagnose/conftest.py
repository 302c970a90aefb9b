"""Looks of these tests end by themselves only after minutes: on a slow machine a server or this
process stands still for seconds at times, and that is not what they are about.
"""

from __future__ import annotations

import pytest

from selfheal.diagnose.kubernetes import bundle, service_health, usage

PATIENCE_S = 600.0


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(bundle, "REQUEST_S", PATIENCE_S)
    monkeypatch.setattr(bundle.collect, "__defaults__", (PATIENCE_S,))  # deadline_s
    monkeypatch.setattr(usage, "_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(service_health, "DEADLINE_S", PATIENCE_S)

"""A store with an outbox, and a carrier that says what a test wants it to."""

from __future__ import annotations

import pytest

from tests import letter_world, scene


@pytest.fixture(params=scene.BOTH)
def ctx(request, tmp_path):
    made = scene.context(
        scene.store_url(request.param, tmp_path),
        outbox={"give_up_hours": 72},
        notify={"world": {"max_per_minute": 0}},
    )
    yield made
    made.close()


@pytest.fixture
def said(monkeypatch):
    """(carriers, what the carrier raises or answers next, the letters it got)."""
    return letter_world.saying(monkeypatch)

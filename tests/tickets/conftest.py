"""A desk for each test of tickets, on each tracker and each database."""

from __future__ import annotations

import pytest

from tests.tickets import desk as desks


@pytest.fixture(params=desks.ALL)
def desk(request, tmp_path, monkeypatch):
    """On SQLite."""
    from tests import scene

    url = scene.store_url("sqlite", tmp_path)
    with desks.desk(request.param, url, monkeypatch) as found:
        yield found

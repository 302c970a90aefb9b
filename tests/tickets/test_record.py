"""A ticket's key and fields."""

from __future__ import annotations

import pytest

from selfheal.incidents import registry
from selfheal.store import open_store
from selfheal.tickets import record
from tests import scene


@pytest.fixture
def store(tmp_path):
    return open_store(scene.store_url("sqlite", tmp_path))


def test_each_reopening_makes_another_ticket(store):
    scene.incident(store)
    first = record.key(registry.get(store, "inc-1"))
    assert first == record.key(registry.get(store, "inc-1")) == "ticket:inc-1:0"
    registry.update(store, "inc-1", reopened=1)
    assert record.key(registry.get(store, "inc-1")) == "ticket:inc-1:1"


@pytest.mark.parametrize(
    ("severity", "priority"), [("critical", 1), ("error", 2), ("warning", 3), ("info", 4)]
)
def test_priority_follows_severity(store, severity, priority):
    scene.incident(store, severity=severity, title="web\nis down")
    fields = record.fields(registry.get(store, "inc-1"))
    assert fields["priority"] == priority
    assert fields["title"] == "web is down"
    assert fields["component"] == "web"

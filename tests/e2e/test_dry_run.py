"""A dry run through the whole workflow, in real action processes: the plan is shown, and whatever
those processes do is recorded to prove that nothing was touched.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from standalone import aliases
from tests.e2e.effects import Effects
from tests.e2e.world import World, alert
from tests.remedy import scenes

# What a dry run writes: what is known of the incident, and who holds it.
WRITABLE = {
    "alerts",
    "audit_heads",
    "checkpoints",
    "execution_history",
    "incident_events",
    "incidents",
    "locks",
    "system_status",
}
SCRIPT = {"name": "script", "command": scenes.shell("touch SCRIPTED")}


@pytest.fixture
def effects(tmp_path, monkeypatch):
    return Effects(tmp_path, monkeypatch)


@pytest.fixture
def world(tmp_path, effects):
    with World(tmp_path) as made:
        url = made.outside.url
        scripted = {"name": "script", "command": scenes.shell("touch %s/scripted" % tmp_path)}
        call = {"name": "call", "api_call": {"method": "POST", "url": url + "/messages"}}
        denied = {"name": "denied", "command": {"argv": ["mkfs", "/dev/sda"]}}
        needy = {
            "name": "needs",
            "command": {"argv": ["touch", str(tmp_path / "${{ labels.volume }}")]},
        }
        for name, steps in (("Every", [scripted, call]), ("Denied", [denied])):
            made.write_runbook(name, dict(_book(name), steps=steps))
        del needy
        yield made


def _book(name):
    return {
        "name": name.lower(),
        "metadata": {"alert_type": name},
        "risk": "reversible",
        "confidence": 0.95,
    }


def tables(world):
    names = world.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {
        one["name"]: world.rows('SELECT * FROM "%s"' % one["name"])
        for one in names
        if one["name"] not in WRITABLE
    }


def tried(world, name, **more):
    data = {"alertname": name, "severity": "critical", "instance": "web-9", **more}
    given = world.act("prometheus_alert_handler", alert_data=data, dry_run=True)
    world.settle()
    return world.incident(given["incident_id"])


def beyond(effects, world):
    return effects.beyond(world.database, urlsplit(world.engine.api_url).port)


def planned(world, incident):
    store = world.open_store()
    try:
        found = scenes.timeline_of(store, incident.id, "remediation_planned")
    finally:
        store.close()
    return found


def test_dry_run_of_every_kind_of_plan_touches_nothing(world, effects, tmp_path):
    # The control: the same plan for real, in the same processes.
    world.respond_to(alert("Every"))
    heard = {event for event, _ in beyond(effects, world)}
    assert {"subprocess.Popen", "socket.connect"} <= heard
    assert (tmp_path / "scripted").exists() and world.outside.messages != []
    (tmp_path / "scripted").unlink()
    world.outside.messages.clear()
    effects.forget()
    before = tables(world)
    assert before["circuit_breakers"] and before["budget_uses"]

    for name, strategy, steps in (
        ("Every", "automated", ["script", "call"]),
        ("Asked", "ignore", ["well"]),
        ("Disruptive", "ignore", ["well"]),
        ("Denied", "ignore", ["denied"]),
        ("Unfixable", "automated", ["tried"]),
        ("Unknown", "ignore", None),
    ):
        incident = tried(world, name)
        assert (incident.status, incident.strategy) == ("observed", strategy), name
        shown = planned(world, incident)
        if steps is None:
            assert shown == []
            continue
        [entry] = shown
        assert [step["name"] for step in entry["data"]["steps"]] == steps, name
        assert all("argv" in step or step["kind"] == "api_call" for step in entry["data"]["steps"])
        if name == "Denied":
            assert "mkfs" in entry["message"] and entry["data"]["objections"] != []
    assert {one["outcome"] for one in world.outcomes()[1:]} == {"observed"}
    world.housekeeping()

    assert effects.processes() > 20
    assert beyond(effects, world) == []
    assert tables(world) == before
    assert world.outside.messages == [] and world.engine.pending_inquiries() == []
    assert not any((tmp_path / name).exists() for name in ("scripted", "well", "tried"))

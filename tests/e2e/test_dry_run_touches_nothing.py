"""A dry run through the whole workflow, in real action processes: the plan is shown, and whatever
those processes do is recorded to prove that nothing was touched.
"""

from __future__ import annotations

import json
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
# What housekeeping writes besides, whether there was a dry run or not.
KEPT_UP = ("audit_seals", "statistics")


@pytest.fixture
def effects(tmp_path, monkeypatch):
    return Effects(tmp_path, monkeypatch)


@pytest.fixture
def world(tmp_path, effects):
    with World(tmp_path) as made:
        url = made.outside.url
        scripted = {"name": "script", "command": scenes.shell("touch %s/scripted" % tmp_path)}
        told = {"method": "POST", "url": url + "/act", "json": {"kind": "act"}}
        call = {"name": "call", "api_call": told}
        denied = {"name": "denied", "command": {"argv": ["mkfs", "/dev/sda"]}}
        for name, steps in (("Every", [scripted, call]), ("Denied", [denied])):
            made.write_runbook(name, dict(_book(name), steps=steps))
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


def heal_try(world, data):
    """The parameters that chat makes of `heal try ALERT`."""
    [alias] = [one for one in world.engine.pack.aliases.values() if one.name == "heal_try"]
    _, parameters = aliases.match(alias, "heal try %s" % json.dumps(data))
    return aliases.freeze(alias, parameters)


def tried(world, name, **more):
    data = {"alertname": name, "severity": "critical", "instance": "web-9", **more}
    return world.act("prometheus_alert_handler", **heal_try(world, data))["incident_id"]


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
    assert before["circuit_breakers"] and before["budgets"]

    kinds = (
        ("Every", "automated", ["script", "call"]),
        ("Asked", "ignore", ["well"]),
        ("Denied", "ignore", ["denied"]),
        ("Unknown", "ignore", None),
    )
    ids = [tried(world, name) for name, _, _ in kinds]
    world.settle()
    for (name, strategy, steps), incident_id in zip(kinds, ids):
        incident = world.incident(incident_id)
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
    assert tables(world) == before
    world.housekeeping()

    assert effects.processes() >= 4 * 4
    assert beyond(effects, world) == []
    after = tables(world)
    assert [name for name in after if after[name] != before[name] and name not in KEPT_UP] == []
    assert world.outside.messages == [] and world.engine.pending_inquiries() == []
    assert not any((tmp_path / name).exists() for name in ("scripted", "well"))


def test_dry_run_of_what_is_real_leaves_it_to_those_who_have_it(world, effects, tmp_path):
    incident = world.respond_to(alert("Denied"))
    assert incident.status == "escalated"
    world.outside.messages.clear()
    effects.forget()
    before = tables(world)
    execution = world.engine.run(
        "selfheal.prometheus_alert_handler",
        {"alert_data": alert("Denied", instance="web-1:9100"), "dry_run": True},
        timeout=300,
    )
    assert execution.status == "failed"
    assert execution.result["result"]["error_type"] == "Refused"
    told = world.act("remediate", incident_id=incident.id, dry_run=True)
    assert told["outcome"] == "planned" and told["objections"] != []
    after = world.incident(incident.id)
    assert (after.status, after.dry_run, after.attempts) == ("escalated", False, 1)
    assert tables(world) == before
    assert beyond(effects, world) == [] and world.outside.messages == []

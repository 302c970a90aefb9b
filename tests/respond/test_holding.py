"""Holding an incident for a step of its response, beside others who change it."""

from __future__ import annotations

import threading

from selfheal.incidents import model, registry
from selfheal.respond.holding import enter
from selfheal.store import open_store
from tests import scene


def test_state_does_not_move_under_the_hands_of_who_attaches_an_alert(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    attaching, ctx = open_store(url), scene.context(url)
    scene.incident(attaching, status=model.ANALYZING, run_id="run-1")
    incident = registry.get(ctx.store, "inc-1")
    step = threading.Thread(target=enter, args=(ctx, incident, "run-1", model.REMEDIATING))
    with attaching.transaction("incidents"):
        step.start()
        step.join(1)
        status = registry.get(attaching, "inc-1").status
    step.join(180)
    assert status == model.ANALYZING
    assert registry.get(attaching, "inc-1").status == model.REMEDIATING

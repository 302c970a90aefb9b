"""How each part fares, in one answer: who is well, who is not, who has fallen silent."""

from __future__ import annotations

import pytest

from selfheal.operate.system_status import system_status
from selfheal.store import checkpoints
from selfheal.store import status as states
from tests import alert_scene

ELASTICSEARCH = {"url": "http://127.0.0.1:9"}


@pytest.fixture
def ctx(url):
    return alert_scene.context(url, elasticsearch=ELASTICSEARCH)


def component(answer, name):
    return next(one for one in answer["components"] if one["component"] == name)


def test_parts_that_are_well_are_all_well(ctx):
    states.note(ctx.store, "housekeeping", "ok")
    states.note(ctx.store, "elk:default", "ok", {"new": 3})
    states.note(ctx.store, "alert_storm", "calm")
    answer = system_status(ctx)
    assert answer["ok"] and answer["amiss"] == []
    assert component(answer, "elk:default")["detail"]["new"] == 3


def test_part_that_is_not_well_says_why_and_since_when(ctx):
    states.note(ctx.store, "housekeeping", "ok")
    states.note(ctx.store, "elk:default", "failing", {"error": "401 from the server"})
    began = ctx.clock.at
    ctx.clock.at += 60
    states.note(ctx.store, "elk:default", "failing", {"error": "403 from the server"})
    answer = system_status(ctx)
    assert not answer["ok"] and answer["amiss"] == ["elk:default"]
    found = component(answer, "elk:default")
    assert found["summary"] == "403 from the server" and found["age_s"] == 0
    assert found["since"] == alert_scene.time_text(began)


def test_part_that_has_fallen_silent_is_not_well_whatever_it_said_last(ctx):
    states.note(ctx.store, "housekeeping", "ok")
    states.note(ctx.store, "elk:default", "ok")
    ctx.clock.at += 3600
    states.note(ctx.store, "housekeeping", "ok")
    answer = system_status(ctx)
    assert answer["amiss"] == ["elk:default"]
    assert component(answer, "elk:default")["status"] == "silent"
    assert "it was ok; is the sensor" in component(answer, "elk:default")["summary"]


def test_part_that_is_configured_and_never_said_anything_shows(ctx):
    answer = system_status(ctx)
    assert {one["component"]: one["status"] for one in answer["components"]} == {
        "housekeeping": "never",
        "elk:default": "never",
    }
    assert "rule selfheal.housekeeping" in component(answer, "housekeeping")["summary"]
    assert "sensor selfheal.ElkErrorSensor" in component(answer, "elk:default")["summary"]


def test_source_that_is_configured_no_more_is_left_out(url):
    ctx = alert_scene.context(url)
    states.note(ctx.store, "housekeeping", "ok")
    states.note(ctx.store, "elk:gone", "blind", {"error": "x"})
    states.note(ctx.store, "alertmanager_sensor:gone", "failing", {"error": "x"})
    assert system_status(ctx)["ok"]


def test_lag_is_as_of_now(ctx):
    states.note(ctx.store, "elk:default", "ok", {"lag_s": 0})
    checkpoints.write(ctx.store, "elk:default", {"until": ctx.clock.at})
    ctx.clock.at += 90
    assert component(system_status(ctx), "elk:default")["detail"]["lag_s"] == 90


def test_problems_of_housekeeping_are_named(ctx):
    states.note(ctx.store, "housekeeping", "degraded", [{"part": "messages", "error": "no route"}])
    assert component(system_status(ctx), "housekeeping")["summary"] == "messages: no route"


def test_row_that_a_hand_wrote_does_not_hide_the_others(ctx):
    ctx.store.execute(
        "INSERT INTO system_status (component, status, detail, since, updated_at) "
        "VALUES ('odd', 'ok', 'not json', 0, 0)"
    )
    states.note(ctx.store, "elk:default", "ok", "a word")
    assert component(system_status(ctx), "elk:default")["status"] == "ok"

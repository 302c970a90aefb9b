"""pause, resume and pause_list, as people use them: by action and in chat."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from selfheal import door
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.guard import clock as clocks
from selfheal.guard import pause as pauses
from selfheal.guard.verdict import Deed
from selfheal.operate import pausing
from standalone.packs import load_pack
from standalone.rendering import render_task_input
from tests import needs, scene

PACK = load_pack(Path(__file__).resolve().parents[2])
NOTHING = {"labels": {}, "annotations": {}}


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def ctx(url, clock):
    return scene.context(url, clock)


@pytest.fixture
def small(tmp_path, clock):
    """A context on SQLite alone, for what does not depend on the database."""
    return scene.context(scene.store_url("sqlite", tmp_path), clock)


def planned(runbook):
    return {"remedy": "runbook", "runbook": runbook, "risk": "reversible", "scope": "x"}


def people(store):
    """Four incidents: one at work under a remedy, two waiting elsewhere, one that people have."""
    scene.incident(store, "inc-1", status="remediating", plan=planned("restart"))
    scene.execution(store, "exe-1", "inc-1", status="running")
    scene.incident(store, "inc-2", namespace="bar", plan=planned("clean"))
    scene.incident(store, "inc-3", cluster="test", status="analyzing")
    scene.incident(store, "inc-4", status="escalated")
    scene.execution(store, "exe-4", "inc-4", status="done")


def ids(listed):
    return [one["incident_id"] for one in listed]


# What a pause tells.


@pytest.mark.parametrize(
    ("parameters", "waiting", "running"),
    [
        ({"scope": "global"}, ["inc-2", "inc-3"], ["inc-1"]),
        ({"namespace": "shop"}, ["inc-3"], ["inc-1"]),
        ({"namespace": "shop", "cluster": "test"}, ["inc-3"], []),
        ({"scope": "namespace=prod/shop"}, [], ["inc-1"]),
        ({"cluster": "prod"}, ["inc-2"], ["inc-1"]),
        ({"remedy": "restart"}, [], ["inc-1"]),
        ({"remedy": "clean"}, ["inc-2"], []),
        ({"incident": "inc-3"}, ["inc-3"], []),
    ],
)
def test_pause_tells_who_waits_and_what_is_under_way(small, parameters, waiting, running):
    people(small.store)
    told = pausing.pause(small, who="ada", **parameters)
    assert (ids(told["waiting"]), ids(told["running"])) == (waiting, running)
    assert (told["waiting_count"], told["running_count"]) == (len(waiting), len(running))
    assert [one["will_stop"] for one in told["running"]] == [False] * len(running)
    for incident_id in ("inc-1", "inc-2", "inc-3", "inc-4"):
        assert ("paused" in scene.kinds(small.store, incident_id)) is (incident_id in waiting)


def test_pause_with_stop_running_says_that_remedies_stop(ctx):
    people(ctx.store)
    told = pausing.pause(ctx, "global", stop_running=True, minutes=30, reason="fire", who="ada")
    assert told["running"] == [
        {
            "execution_id": "exe-1",
            "incident_id": "inc-1",
            "remedy": "runbook:restart",
            "will_stop": True,
        }
    ]
    assert told["summary"] == (
        "global is paused by ada since 2023-11-14T22:13:20.000Z, until 2023-11-14T22:43:20.000Z: "
        "fire; 2 incidents at work get no remedy; 1 execution under way: they stop before their "
        "next step"
    )
    deed = Deed("exe-1", "inc-1", "g", "runbook:restart", "reversible", "x", "prod", "shop")
    assert pauses.stops_running(ctx.store, deed)
    assert pauses.objection(ctx, deed) is not None


def test_storm_is_counted_whole_but_told_in_part(small, monkeypatch):
    monkeypatch.setattr(pausing, "MAX_TOLD", 3)
    for number in range(7):
        scene.incident(small.store, "inc-%d" % number)
    told = pausing.pause(small, "global")
    assert (told["waiting_count"], len(told["waiting"])) == (7, 3)
    noted = small.store.value("SELECT COUNT(*) FROM incident_events WHERE kind = 'paused'")
    assert noted == 3


def test_pausing_again_says_who_had_paused(ctx):
    pausing.pause(ctx, "global", who="ada", minutes=60, reason="first")
    told = pausing.pause(ctx, "global", who="bob", minutes=10)
    assert told["was_paused"]["who"] == "ada"
    assert told["until"] == "2023-11-14T23:13:20.000Z"
    assert "it was paused already" in told["summary"]


@pytest.mark.parametrize(
    ("parameters", "note"),
    [
        ({"namespace": "shpo"}, "no namespace shpo is known so far; did you mean shop?"),
        ({"namespace": "quite-other"}, "is known so far; it is paused all the same"),
        ({"cluster": "prdo"}, "did you mean prod?"),
        ({"remedy": "no_such_runbook"}, "no remedy no_such_runbook is known so far"),
        ({"namespace": "Shop"}, ""),
        ({"remedy": "runbook:start_failed_unit"}, ""),
        ({"scope": "global"}, ""),
    ],
)
def test_mistyped_name_is_paused_and_pointed_out(small, parameters, note):
    scene.incident(small.store)
    told = pausing.pause(small, **parameters)
    assert note in told["note"] and bool(told["note"]) is bool(note)
    assert len(pauses.live(small.store)) == 1


def test_pause_holds_even_if_what_it_stopped_cannot_be_told(small):
    small.store.execute("ALTER TABLE execution_history RENAME TO gone")
    told = pausing.pause(small, "global")
    assert "what it stopped cannot be told" in told["note"]
    assert len(pauses.live(small.store)) == 1


# What is refused.


EMPTY = [{}, {"scope": ""}, {"scope": " "}, {"namespace": ""}, {"scope": "*"}, {"scope": "all"}]
WRONG = [
    *EMPTY,
    {"namespace": "*"},
    {"namespace": "shop*"},
    {"namespace": "shop", "cluster": "*"},
    {"cluster": "?"},
    {"remedy": ".*"},
    {"incident": "*"},
    {"scope": "host=web-1"},
    {"scope": "global", "namespace": "shop"},
    {"namespace": "shop", "remedy": "restart"},
]


@pytest.mark.parametrize("parameters", WRONG)
@pytest.mark.parametrize("action", [pausing.pause, pausing.resume])
def test_empty_wildcard_and_several_scopes_are_refused(small, action, parameters):
    pausing.pause(small, "namespace=elsewhere")
    with pytest.raises(InvalidInput):
        action(small, **parameters)
    assert [one.words for one in pauses.live(small.store)] == ["namespace=elsewhere"]


@pytest.mark.parametrize("minutes", [-1, 527041, float("nan"), float("inf"), "5", True, None])
def test_senseless_minutes_are_refused(small, minutes):
    with pytest.raises(InvalidInput, match="minutes must be"):
        pausing.pause(small, "global", minutes=minutes)
    assert pauses.live(small.store) == []


def test_incident_that_there_is_not_is_not_paused(small):
    with pytest.raises(NotFound):
        pausing.pause(small, incident="inc-9")


# Resuming.


def test_resume_tells_who_had_paused_and_what_else_is_paused(ctx):
    people(ctx.store)
    pausing.pause(ctx, "global", who="ada", reason="fire")
    pausing.pause(ctx, namespace="bar", who="bob")
    told = pausing.resume(ctx, "global", who="eve")
    assert told["resumed"] and told["was"]["who"] == "ada" and told["was"]["reason"] == "fire"
    assert [one["scope"] for one in told["still_paused"]] == ["namespace=bar"]
    assert told["summary"] == (
        "global is resumed; it was paused by ada since 2023-11-14T22:13:20.000Z; still paused: "
        "namespace=bar"
    )
    assert scene.kinds(ctx.store, "inc-3") == ["paused", "resumed"]
    changes = pausing.pause_list(ctx)["changes"]
    assert [(one["change"], one["scope"], one["who"]) for one in changes] == [
        ("resumed", "global", "eve"),
        ("paused", "namespace=bar", "bob"),
        ("paused", "global", "ada"),
    ]


def test_resuming_what_is_not_paused_says_so(ctx):
    told = pausing.resume(ctx, namespace="shop")
    assert not told["resumed"] and told["was"] is None
    assert told["summary"] == (
        "namespace=shop is not paused, so nothing was changed; nothing is paused now"
    )
    pausing.pause(ctx, "global")
    assert "still paused: global" in pausing.resume(ctx, namespace="shop")["summary"]


def test_resuming_global_takes_away_what_cannot_be_read(small):
    pausing.pause(small, "namespace=shop")
    small.store.execute("UPDATE pauses SET scope = 'x'")
    assert pausing.pause_list(small)["pauses"][0]["scope"] == "global"
    assert pausing.resume(small, "global")["resumed"]
    assert pauses.live(small.store) == []


def test_resuming_the_clock_makes_it_count_as_right(ctx, clock):
    deed = Deed("exe-1", "inc-1", "g", "runbook:restart", "reversible", "x", "prod", "shop")
    assert clocks.objection(ctx, deed) is None
    clock.at += 86400
    clock.monotonic = lambda: scene.START  # a day by the wall, none by what passed
    assert clocks.objection(ctx, deed) is not None
    told = pausing.resume(ctx, " Clock ", who="ada")
    assert told["scope"] == "clock" and "says ada" in told["summary"]
    assert told["resumed"]
    assert clocks.objection(ctx, deed) is None


def test_clock_is_neither_paused_nor_resumed_by_nobody(small):
    with pytest.raises(InvalidInput):
        pausing.pause(small, "clock")
    with pytest.raises(InvalidInput, match="Give a name"):
        pausing.resume(small, "clock")


# The list.


def test_list_shows_pauses_windows_and_quiet_hours(tmp_path):
    needs.module("cronsim")
    night = datetime.fromisoformat("2026-11-27T22:30:00+01:00").timestamp()
    always = {"cron": "0 22 * * *", "minutes": 480, "timezone": "Europe/Berlin"}
    ctx = scene.context(
        scene.store_url("sqlite", tmp_path),
        scene.Clock(night),
        safety={
            "windows": [{"name": "night", "kind": "freeze", **always}, {"name": "bad"}],
            "quiet_hours": [{"severities": ["info"], **always}],
        },
    )
    pausing.pause(ctx, "cluster=prod", who="ada")
    told = pausing.pause_list(ctx)
    assert told["pauses"] == [
        {
            "scope": "cluster=prod",
            "who": "ada",
            "reason": "",
            "since": "2026-11-27T21:30:00.000Z",
            "until": None,
            "stop_running": False,
        }
    ]
    assert [one["is_open"] for one in told["windows"]] == [True, True]
    assert told["quiet_hours"][0]["is_quiet"]
    for words in ("cluster=prod is paused by ada", "freeze window night until", "frozen: safety"):
        assert words in told["summary"]


def test_empty_list_says_that_nothing_is_paused(ctx):
    assert pausing.pause_list(ctx)["summary"] == "nothing is paused, and no window is open"


# Who it was.


def parameters_of(action, given, **context):
    return render_task_input(PACK.actions["selfheal." + action], given, {}, None, context=context)


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize(
    ("context", "who"),
    [
        ({"user": "stanley"}, "stanley"),
        ({"user": "chatbot", "api_user": "ada"}, "ada"),
        ({"user": "chatbot", "api_user": ""}, ""),
        ({"user": "chatbot", "api_user": None}, ""),
        ({"user": ""}, ""),
        ({"user": "bob", "api_user": "{{ config_context.x }}"}, "{{ config_context.x }}"),
    ],
)
def test_who_is_the_person_in_chat_else_the_user_of_the_platform(action, context, who):
    assert parameters_of(action, {"scope": "global"}, **context)["who"] == who
    assert PACK.actions["selfheal." + action].parameters["who"]["immutable"] is True


def test_action_ends_in_plain_json(url):
    given = parameters_of("pause", {"scope": "global", "minutes": 5}, user="ada")
    function = given.pop("function")
    config = {"database": {"url": url}}
    succeeded, told = door.call(function, given, config=config)
    assert succeeded and told["who"] == "ada"
    given = parameters_of("resume", {"scope": "*"}, user="ada")
    succeeded, told = door.call(given.pop("function"), given, config=config)
    assert not succeeded and told["error_type"] == "InvalidInput"
    given = parameters_of("pause_list", {})
    succeeded, told = door.call(given.pop("function"), given, config=config)
    assert succeeded and len(told["pauses"]) == 1

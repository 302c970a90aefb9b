"""Breakers for people: listing, resetting, forcing; one at a time, never all by omission."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from selfheal import door
from selfheal.breakers import rows, service
from selfheal.breakers.settings import REMEDY, SERVICE, Name, settings_of
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.operate.breakers import breaker_force, breaker_list, breaker_reset
from standalone import aliases
from standalone.packs import load_pack
from standalone.rendering import render_task_input
from tests import scene

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600.0


@pytest.fixture
def ctx(url):
    return scene.context(url)


@pytest.fixture
def quick(tmp_path):
    """On SQLite alone: for what does not depend on the database."""
    return scene.context(scene.store_url("sqlite", tmp_path))


def used(ctx, kind, what, scope="", failures=0, successes=0):
    name = Name(kind, what, scope)

    def act(one):
        for number in range(successes + failures):
            one.record(ctx.clock.now(), number < successes, 2.0)

    rows.change(ctx.store, name, settings_of(ctx.config, kind), act, "exe-1")
    return name


def refused(ctx, name):
    one = rows.read(ctx.store, name, settings_of(ctx.config, name.kind))
    return one.refusal(ctx.clock.now())


def test_list_shows_what_is_amiss_first_with_its_figures(ctx):
    used(ctx, SERVICE, "prometheus", successes=20)
    ctx.clock.at += 10
    used(ctx, SERVICE, "alertmanager", successes=1)
    ctx.clock.at -= 10
    bad = used(ctx, REMEDY, "runbook:restart", "prod/web", successes=1, failures=4)
    found = breaker_list(ctx)
    assert [one["name"] for one in found["breakers"]] == [
        "runbook:restart|prod/web",
        "alertmanager",
        "prometheus",
    ]
    assert found["count"] == 3
    first = found["breakers"][0]
    assert first["key"] == bad.key and first["kind"] == "remedy"
    assert (first["state"], first["lets_through"]) == ("open", False)
    assert (first["calls"], first["failures"]) == (3, 2)
    assert first["until"] == "2023-11-14T22:43:20.000Z"
    assert first["why"] == "2 of 3 calls failed, from 50 % on it opens"
    assert first["last_change"] == {
        "at": "2023-11-14T22:13:20.000Z",
        "from": "closed",
        "to": "open",
        "reason": first["why"],
        "by": "exe-1",
    }
    last = found["breakers"][-1]
    assert (last["typical_s"], last["slow_over_s"], last["last_change"]) == (2.0, 6.0, None)
    amiss = breaker_list(ctx, state="amiss", kind="remedy", limit=1)
    assert amiss["count"] == len(amiss["breakers"]) == 1
    assert breaker_list(ctx, state="open", kind="service")["count"] == 0


def test_unreadable_row_is_listed_and_can_be_reset(ctx):
    name = used(ctx, SERVICE, "prometheus", failures=1)
    ctx.store.execute("UPDATE circuit_breakers SET data = 'x'")
    assert breaker_list(ctx)["breakers"][0]["state"] == "unreadable"
    assert breaker_reset(ctx, name.key, "ann")["state"] == "closed"


@pytest.mark.parametrize("by_key", [True, False])
def test_reset_closes_it_and_says_who(ctx, by_key):
    name = used(ctx, SERVICE, "prometheus", failures=5)
    other = used(ctx, SERVICE, "alertmanager", failures=5)
    shown = breaker_reset(ctx, name.key if by_key else name.shown, "ann", "it is mended")
    assert shown["state"] == "closed" and shown["failures"] == 0
    assert shown["last_change"]["by"] == "ann"
    assert shown["last_change"]["reason"] == "reset by a person: it is mended"
    assert refused(ctx, name) is None and refused(ctx, other) is not None


def test_forced_open_for_some_minutes(ctx):
    name = used(ctx, SERVICE, "prometheus", successes=1)
    shown = breaker_force(ctx, "prometheus", "open", "moving house", 60, "ann")
    assert shown["state"] == "forced_open" and shown["until"] == "2023-11-14T23:13:20.000Z"
    assert (shown["why"], shown["last_change"]["by"]) == ("moving house", "ann")
    with pytest.raises(service.LeftAlone, match="opened by a person.*moving house.*state=auto"):
        service.call(ctx, "prometheus", lambda: 1)
    ctx.clock.at += HOUR
    assert refused(ctx, name) is None


def test_forced_closed_until_auto(ctx):
    name = used(ctx, REMEDY, "r", "s", failures=3)
    breaker_force(ctx, name.key, "closed", "I watch it", who="ann")
    used(ctx, REMEDY, "r", "s", failures=30)
    assert refused(ctx, name) is None
    assert breaker_force(ctx, name.key, "auto", "done", who="ann")["state"] == "closed"
    used(ctx, REMEDY, "r", "s", failures=3)
    assert refused(ctx, name) is not None


EVERYTHING = ["", " ", "*", "?", "all", "ALL", "prom*", "%", "_", ".*", "\n", "everything", None]


@pytest.mark.parametrize("name", EVERYTHING)
def test_empty_and_wildcard_names_change_nothing(quick, name):
    kept = used(quick, SERVICE, "prometheus", failures=5)
    with pytest.raises(InvalidInput, match="does not name one"):
        breaker_reset(quick, name, "ann")
    with pytest.raises(InvalidInput, match="does not name one"):
        breaker_force(quick, name, "closed", "x", 0, "ann")
    assert refused(quick, kept) is not None
    assert quick.store.value("SELECT COUNT(*) FROM breaker_changes") == 1


@pytest.mark.parametrize("name", ["promethus", "Prometheus", "rometheu", "\x00prometheus"])
def test_unknown_name_lists_near_ones(quick, name):
    used(quick, SERVICE, "prometheus", failures=1)
    with pytest.raises(NotFound, match="did you mean prometheus"):
        breaker_reset(quick, name, "ann")


def test_unknown_name_without_near_ones(quick):
    with pytest.raises(NotFound, match="breaker_list"):
        breaker_force(quick, "jira", "open", "x", 0, "ann")


def test_name_that_several_have_asks_for_the_key(quick):
    one = used(quick, REMEDY, "a|b", "c", failures=1)
    two = used(quick, REMEDY, "a", "b|c", failures=1)
    assert one.shown == two.shown
    with pytest.raises(InvalidInput, match=one.key):
        breaker_reset(quick, one.shown, "ann")
    assert breaker_reset(quick, two.key, "ann")["key"] == two.key


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "half_open"},
        {"state": ""},
        {"minutes": -1},
        {"minutes": float("nan")},
        {"minutes": 1e9},
        {"minutes": True},
        {"reason": ""},
        {"reason": "\n"},
    ],
)
def test_senseless_force_is_refused(quick, wrong):
    used(quick, SERVICE, "prometheus", failures=1)
    meant = {"state": "open", "reason": "x", "minutes": 1, "who": "ann", **wrong}
    with pytest.raises(InvalidInput):
        breaker_force(quick, "prometheus", **meant)
    assert quick.store.value("SELECT COUNT(*) FROM breaker_changes") == 0


def test_words_of_people_are_capped_and_printable(ctx):
    used(ctx, SERVICE, "prometheus", failures=1)
    why = "\x1b[31m\x00" + "r" * 10**6
    shown = breaker_force(ctx, "prometheus", "open", why, 1, "\ud800" * 999)
    assert len(shown["why"]) <= 300 and len(shown["last_change"]["by"]) <= 80
    assert shown["why"].isprintable()


# ------------------------------------------------------------------------- as StackStorm sees them

PACK = load_pack(ROOT)


@pytest.mark.parametrize(
    ("context", "person"),
    [
        ({"api_user": "ann", "user": "bot"}, "ann"),
        ({"user": "st2admin"}, "st2admin"),
        ({}, "stanley"),
    ],
)
@pytest.mark.parametrize("action", ["breaker_reset", "breaker_force"])
def test_who_asks_is_known_in_chat_and_on_the_command_line(action, context, person):
    given = {"name": "prometheus"}
    if action == "breaker_force":
        given.update(state="open", reason="x")
    rendered = render_task_input(PACK.actions["selfheal." + action], given, None, {}, {}, context)
    assert rendered["who"] == person
    assert PACK.actions["selfheal." + action].parameters["who"]["immutable"] is True


def meant(text):
    found = [
        (alias, matched[1])
        for alias in PACK.aliases.values()
        for matched in [aliases.match(alias, text)]
        if matched is not None
    ]
    assert len(found) == 1, text
    return found[0][0].action_ref, aliases.freeze(*found[0])


@pytest.mark.parametrize(
    ("text", "action", "parameters"),
    [
        ("heal breaker list", "breaker_list", {"state": "amiss"}),
        ("heal breaker list closed", "breaker_list", {"state": "closed"}),
        ("heal breaker reset prometheus", "breaker_reset", {"name": "prometheus", "forget": False}),
        (
            "heal breaker force prometheus open 30 we move house",
            "breaker_force",
            {"name": "prometheus", "state": "open", "minutes": "30", "reason": "we move house"},
        ),
    ],
)
def test_chat(text, action, parameters):
    frozen = {"env": {}, "content_version": ""}  # as for every command, see tests/aliases
    assert meant(text) == ("selfheal." + action, {**parameters, **frozen})


@pytest.mark.parametrize("action", ["breaker_list", "breaker_reset", "breaker_force"])
def test_action_calls_its_function_with_what_it_declares(tmp_path, action):
    described = yaml.safe_load((ROOT / "actions" / ("%s.yaml" % action)).read_text())
    values = {"name": "nobody", "state": "open", "reason": "x"}
    given = {
        key: values.get(key, item.get("default"))
        for key, item in described["parameters"].items()
        if key not in ("function", "timeout")
    }
    config = {"database": {"url": scene.store_url("sqlite", tmp_path)}}
    ok, result = door.call(described["parameters"]["function"]["default"], given, config=config)
    assert ok is (action == "breaker_list") and result.get("error_type") in (None, "NotFound")

"""Pausing and resuming in chat: what a line means, how the answer reads."""

from __future__ import annotations

import pytest

from selfheal.exceptions import InvalidInput
from selfheal.guard import pause as pauses
from selfheal.operate import pausing
from standalone import aliases
from standalone.templates import render
from tests import scene
from tests.operate.test_pausing import PACK, parameters_of


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def small(tmp_path, clock):
    """A context on SQLite alone, for what does not depend on the database."""
    return scene.context(scene.store_url("sqlite", tmp_path), clock)


# In chat.


def understood(text):
    found = [(one, aliases.match(one, text)) for one in PACK.aliases.values()]
    taken = [(one, matched[1]) for one, matched in found if matched is not None]
    assert len(taken) == 1, "%r is taken by %s" % (text, [one.name for one, _ in taken])
    return taken[0]


@pytest.mark.parametrize(
    ("text", "action", "scope"),
    [
        ("heal pause global", "pause", "global"),
        ("heal pause namespace=shop", "pause", "namespace=shop"),
        ("heal pause namespace shop", "pause", "namespace=shop"),
        ("heal pause namespace=shop cluster=prod", "pause", "namespace=prod/shop"),
        ("heal pause remedy=restart minutes=30 reason='we move'", "pause", "remedy=restart"),
        ("heal pause global minutes=30 stop_running=true", "pause", "global"),
        ("heal resume cluster=prod", "resume", "cluster=prod"),
        ("heal resume global", "resume", "global"),
    ],
)
def test_chat_line_pauses_what_it_says(small, text, action, scope):
    alias, parameters = understood(text)
    given = parameters_of(action, aliases.freeze(alias, parameters), user="bot", api_user="ada")
    pausing.pause(small, scope)
    function = getattr(pausing, given.pop("function").rpartition(".")[2])
    told = function(small, **given)
    assert told["scope"] == scope
    assert (pauses.live(small.store) == []) is (action == "resume")
    shown = render(alias.result["format"], executed({"result": told}))
    assert told["summary"] in shown


@pytest.mark.parametrize("text", ["heal pause", "heal resume", "heal pause all", "heal pause *"])
def test_chat_line_without_a_scope_pauses_nothing_and_says_how(small, text):
    alias, parameters = understood(text)
    given = parameters_of(alias.action_ref.partition(".")[2], parameters, user="bot")
    function = getattr(pausing, given.pop("function").rpartition(".")[2])
    with pytest.raises(InvalidInput, match="say global for everything"):
        function(small, **given)


def test_person_cannot_be_named_in_chat():
    _, parameters = understood("heal pause global who=boss")
    assert parameters["who"] == "boss"  # and the platform refuses it, since it is immutable
    with pytest.raises(ValueError, match="immutable"):
        parameters_of("pause", parameters, user="bot")


def executed(result, status="succeeded"):
    return {"execution": {"status": status, "result": result, "parameters": {}, "id": "1"}}


def test_chat_lists_what_is_paused(small):
    alias, parameters = understood("heal pauses")
    assert (alias.action_ref, parameters) == ("selfheal.pause_list", {})
    told = pausing.pause_list(small)
    assert "Nothing is paused." in render(alias.result["format"], executed({"result": told}))
    pausing.pause(small, "namespace=shop", who="ada", reason="fire")
    shown = render(alias.result["format"], executed({"result": pausing.pause_list(small)}))
    assert "namespace=shop is paused by ada until it is resumed, fire" in shown
    window = {
        "kind": "freeze",
        "name": "friday",
        "is_open": False,
        "until": None,
        "next_start": "2026-12-04T21:00:00.000Z",
        "trouble": "",
    }
    windows = [
        window,
        dict(window, is_open=True, until="2026-12-04T23:00:00.000Z"),
        dict(window, next_start=None),
        dict(window, trouble="it is wrong"),
    ]
    result = {"pauses": [], "windows": windows, "quiet_hours": []}
    lines = render(alias.result["format"], executed({"result": result})).strip().splitlines()
    assert [line.strip() for line in lines if line.strip()] == [
        "Nothing is paused.",
        "freeze window friday: next at 2026-12-04T21:00:00.000Z",
        "freeze window friday: open until 2026-12-04T23:00:00.000Z",
        "freeze window friday: over",
        "freeze window friday: it is wrong",
        "Next: heal status",
    ]


@pytest.mark.parametrize("alias", ["heal_pause", "heal_resume", "heal_pauses"])
def test_chat_tells_of_a_failure(alias):
    template = PACK.aliases["selfheal." + alias].result["format"]
    for result in ({"result": {"error": "no such scope"}}, {"error": "no such scope"}):
        assert "no such scope" in render(template, executed(result, "failed"))

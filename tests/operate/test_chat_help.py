"""Help in chat: made from the aliases themselves."""

from __future__ import annotations

import pytest

from selfheal.operate import chat_help
from tests import scene
from tests.aliases.chat_scene import PACK


@pytest.fixture
def ctx(tmp_path):
    return scene.context(scene.store_url("sqlite", tmp_path))


def test_every_command_is_found_under_its_topic(ctx):
    found = chat_help.chat_help(ctx)
    assert sum(len(one["shown"]) for one in found["commands"]) == sum(
        len(alias.formats) for alias in PACK.aliases.values()
    )
    assert set(found["topics"]) == {alias.extra["topic"] for alias in PACK.aliases.values()}
    assert found["topics"][0] == "incidents" and chat_help.OTHERS not in found["topics"]
    assert len(found["lines"]) == len(found["topics"])
    for topic in found["topics"]:
        lines = chat_help.chat_help(ctx, topic)["lines"]
        wanted = [one for one in PACK.aliases.values() if one.extra["topic"] == topic]
        assert len(lines) == len(wanted)
        assert {line.partition(" - ")[2] for line in lines} == {one.description for one in wanted}


@pytest.mark.parametrize(
    ("topic", "line"),
    [
        ("restart", "heal restart deployment shop/cart [cluster=prod] [dry_run=true] - Restarts"),
        ("heal why", "heal why ID - Tells in sentences"),
        ("Breaker Reset", "heal breaker reset NAME - Closes"),
        ("runbooks for", "heal runbooks | heal runbooks for ID - Lists"),
    ],
)
def test_a_word_of_a_command_is_explained(ctx, topic, line):
    (shown,) = chat_help.chat_help(ctx, topic)["lines"]
    assert shown.startswith(line)


def test_several_commands_that_begin_alike_are_all_explained(ctx):
    lines = chat_help.chat_help(ctx, "breaker")["lines"]
    assert [line.split()[2] for line in lines] == ["force", "reset"]


def test_what_is_neither_topic_nor_command_is_answered_with_the_nearest(ctx):
    found = chat_help.chat_help(ctx, "aprovals <!channel>"[:8])
    assert found["lines"][0] == (
        "There is no topic or command 'aprovals'; did you mean approvals?"
    )
    assert len(found["lines"]) == 1 + len(found["topics"])
    assert "did you mean" not in chat_help.chat_help(ctx, "xxxxxxxx")["lines"][0]


def test_what_a_site_switches_off_or_breaks_is_left_out(tmp_path):
    (tmp_path / "a.yaml").write_text("name: a\nformats: ['heal a {{ x }}']\ndescription: Does a.")
    (tmp_path / "b.yaml").write_text("name: b\nenabled: false\nformats: ['heal b']")
    (tmp_path / "c.yaml").write_text("name: [")
    (tmp_path / "d.yaml").write_text("- not\n- an alias")
    assert chat_help.commands(tmp_path) == [(chat_help.OTHERS, ("heal a X",), "Does a.")]

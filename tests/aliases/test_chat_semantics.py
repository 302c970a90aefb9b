"""Lines of chat are understood here as StackStorm understands them, and as its Hubot plug-in does,
which looks for the format first and by looser rules.

tests/fixtures/aliases/parsed.json holds what StackStorm's own parser (3.10dev) made of formats and
lines: [{"format", "text", "parameters" (None: they do not match)}].
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from standalone import aliases
from tests.aliases.chat_lines import LINES
from tests.aliases.chat_scene import PACK

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "aliases" / "parsed.json"
RECORDED = json.loads(FIXTURE.read_text(encoding="utf-8"))


# In hubot-stackstorm (0.12) what a format's parameters stand for: white space around them may lack,
# letters may be in any case, and pairs may follow. The first format of all that fits is the one
# that StackStorm is then asked to read the line by, so no second one may.
ANYTHING = r"[\s\S]+?"
OPTIONAL = re.compile(r"(\s*){{\s*\S+\s*=.+?}}(\s*)")
REQUIRED = re.compile(r"\s*{{.+?}}\s*")
PAIR = r"\s+\S+\s*=(\"[\s\S]*?\"|'[\s\S]*?'|{[\s\S]*?}|\S+)\s*"


def in_hubot(form):
    """The expression by which the Hubot plug-in looks for a format."""
    loose = OPTIONAL.sub(
        lambda found: r"\s*(%s%s%s)?\s*" % (found.group(1), ANYTHING, found.group(2)), form
    )
    loose = REQUIRED.sub(lambda found: r"\s*(%s)\s*" % ANYTHING, loose)
    return re.compile(r"^\s*%s(%s)*\s*$" % (loose, PAIR), re.IGNORECASE)


IN_HUBOT = [
    (alias.name, form, in_hubot(form))
    for alias in PACK.aliases.values()
    for form in aliases.format_strings(alias)
]


def understood(form, text):
    try:
        return aliases.extract(form, text)
    except aliases.NoMatch:
        return None


def test_each_recorded_line_yields_what_it_yielded_in_stackstorm():
    wrong = [
        (one, found)
        for one in RECORDED
        for found in [understood(one["format"], one["text"])]
        if found != one["parameters"]
    ]
    assert wrong == []
    matched = [one for one in RECORDED if one["parameters"] is not None]
    assert len(matched) > 60 and len(RECORDED) - len(matched) > 20


def test_stackstorm_itself_understood_lines_of_every_alias_so():
    read = {one["text"]: one["parameters"] for one in RECORDED if one["parameters"] is not None}
    recorded = [(name, text, meant) for text, name, meant in LINES if text in read]
    assert [text for _, text, meant in recorded if read[text] != meant] == []
    assert {name for name, _, _ in recorded} == {alias.name for alias in PACK.aliases.values()}


@pytest.mark.parametrize(("text", "name", "parameters"), LINES, ids=[one[0] for one in LINES])
def test_hubot_hands_each_line_to_the_format_that_understands_it(text, name, parameters):
    (taken,) = [(alias, form) for alias, form, looks in IN_HUBOT if looks.search(text)]
    assert taken[0] == name and understood(taken[1], text) == parameters


def test_free_words_behind_a_line_are_no_other_command_to_hubot():
    tails = ["please", "for inc-1", "to 5", "because of a/b to c", "sync", "list"]
    for (text, name, _), tail in itertools.product(LINES, tails):
        line = "%s %s" % (text, tail)
        taken = [(alias, form) for alias, form, looks in IN_HUBOT if looks.search(line)]
        assert len(taken) <= 1 and {alias for alias, _ in taken} <= {name}, line

"""Commands of `st2 run` that people are told to type are ones that st2 takes: it knows no
positional arguments, so every word after the action is NAME=VALUE, with a name that the action has.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from standalone.packs import load_pack

ROOT = Path(__file__).resolve().parents[1]
PACK = load_pack(ROOT)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("manifests/*.md")])
SOURCES = sorted((ROOT / "actions" / "lib" / "selfheal").rglob("*.py"))
OPTIONS = re.compile(r"^-{1,2}[a-z]")


def commands_of(text):
    """[(action, words)] of what code spans and blocks say that st2 shall run."""
    text = text.replace("\\\n", " ")
    spans = re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL)
    spans = [line for span in spans for line in span.splitlines()]
    spans += [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    found = []
    for span in spans:
        told = re.match(r"\s*(?:sudo )?st2 run selfheal\.([a-z0-9_]+)\b(.*)", span)
        if told:
            quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "QUOTED", told.group(2))
            found.append((told.group(1), quoted.split()))
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_the_docs_are_taken(path):
    for action, words in commands_of(path.read_text(encoding="utf-8")):
        declared = set(PACK.actions["selfheal." + action].parameters)
        for word in words:
            name, sign, _ = word.partition("=")
            told = "st2 run selfheal.%s %s" % (action, " ".join(words))
            assert OPTIONS.match(word) or word == "..." or (sign and name in declared), told


def test_commands_are_found_where_they_stand():
    text = "`st2 run selfheal.approve\napr-1`\n```\nst2 run selfheal.stats hours=1 \\\n  x\n```\n"
    assert commands_of(text) == [("stats", ["hours=1", "x"]), ("approve", ["apr-1"])]


def test_commands_of_messages_are_taken():
    for path in SOURCES:
        text = re.sub(r'"\s*\n\s*"', "", path.read_text(encoding="utf-8"))
        bare = re.findall(r"selfheal\.[a-z0-9_]+ (?:%[sdr]|inc-|apr-)", text)
        assert not bare, "%s: %s" % (path, bare)
        for action, name in re.findall(r"run selfheal\.([a-z0-9_]+) ([a-z_]+)=", text):
            assert name in PACK.actions["selfheal." + action].parameters, (path, action, name)

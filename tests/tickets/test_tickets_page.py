"""The page about tickets promises outcomes: each is tested, and each tested one is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from selfheal.tickets import findings, links, planning

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tickets.md").read_text(encoding="utf-8")
SOURCES = [
    ROOT / "tests" / "tickets" / "test_what_people_do.py",
    ROOT / "tests" / "tickets" / "test_lifecycle.py",
    ROOT / "tests" / "tickets" / "test_missing.py",
    ROOT / "tests" / "respond" / "test_ticket_sync.py",
]


def names_in(path):
    return re.findall(r"^def test_(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)


def named_tests():
    """The names in the last column of each row of the tables of outcomes."""
    tables = [line for line in PAGE.splitlines() if line.startswith("|")]
    rows = [line for line in tables if line.count("|") in (4, 6)]
    cells = [row.rstrip("| ").rpartition("|")[2] for row in rows]
    return [name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)]


@pytest.mark.parametrize("name", named_tests())
def test_outcome_on_the_page_is_tested(name):
    assert any(name in test for path in SOURCES for test in names_in(path))


def test_everything_that_people_do_is_on_the_page():
    names = named_tests()
    assert len(names) > 15
    lacking = [
        test
        for test in names_in(SOURCES[0])
        if not any(name in test for name in names)
    ]
    assert lacking == []


@pytest.mark.parametrize("kind", findings.KINDS)
def test_each_entry_of_the_timeline_is_on_the_page_or_follows_from_it(kind):
    unsaid = (findings.CREATED,)
    assert "`%s`" % kind in PAGE or kind in unsaid


@pytest.mark.parametrize("word", [*links.STATUSES, *planning.OPENERS])
def test_each_word_of_the_settings_and_the_list_is_explained(word):
    assert "| `%s` |" % word in PAGE


def test_words_of_the_settings_are_those_of_the_plan():
    schema = yaml.safe_load((ROOT / "config.schema.yaml").read_text(encoding="utf-8"))
    allowed = schema["tickets"]["properties"]["open_for"]["items"]["enum"]
    assert allowed == list(planning.OPENERS)

"""Markdown: text from outside shows as it is and does nothing, judged by a real Markdown reader
where there is one.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.document import Block, bullets, code, heading, links, text
from selfheal.report.markdown import escaped, rendered

HOSTILE = (
    "# heading", "## x", "- item", "+ item", "* item", "1. item", "12) item", "> quote", "---",
    "===", "**bold**", "_it_", "`code`", "```", "~~~", "![i](http://x/i.png)", "[l](javascript:x)",
    "<script>alert(1)</script>", "<img src=x onerror=y>", "&lt;b&gt;", "a | b", "[ref]: http://x",
    "\\", "\\*", "    indented", "\tindented", "<http://x>", "<!-- x -->", "|---|", "a  ", "![",
)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_begins_nothing_and_marks_nothing_up(words):
    shown = escaped(words)
    assert not re.match(r"\s*(#|[-+*>=]|\d+[.)])(\s|$|[-=>])", shown.strip() or "x")
    assert "<" not in shown and ">" not in shown
    for sign in "*_`[]~|!":
        assert re.search(r"(?<!\\)(?:\\\\)*" + re.escape(sign), shown) is None


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60))
def test_escaped_text_comes_back_when_it_is_read(words):
    read = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped(words))
    read = read.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert read == words


def test_code_ends_where_it_ends():
    lines = rendered((code("a\n```\n````\nb"),)).splitlines()
    assert lines == ["`````", "a", "```", "````", "b", "`````"]


def test_only_addresses_of_the_web_become_links():
    block = links(
        {"good": "https://x.example/a_b(c)", "bad": "javascript:alert(1)", "]x": "http://a b"}
    )
    assert rendered((block,)).splitlines() == [
        "- [good](<https://x.example/a_b(c)>)",
        "- bad: javascript:alert(1)",
        "- \\]x: http://a b",
    ]


def test_blocks_stand_apart_and_empty_ones_are_left_out():
    blocks = (heading("T"), text("a", "b"), Block("list", ()), heading("S"), bullets(["c"]))
    found = rendered(blocks)
    assert found == "# T\n\na\n\nb\n\n## S\n\n- c\n"

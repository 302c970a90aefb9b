"""Documents in Jira's two markups: whatever they hold is text, fits the limits, and can be read
back.
"""

import html
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selfheal.apis.jira import adf, wiki
from selfheal.apis.jira.lengths import LONGEST_TEXT, cut, fitted, head, units
from selfheal.document import Block, bullets, code, heading, links, plain, text
from tests import stub_jira_rules as rules

NASTY = [
    "{code}rm -rf{code}", "{noformat}", "[~admin] [http://evil|x] [^file]", "!http://x/a.png!",
    "h1. big", "bq. quote", "* list", "# one", "-- gone --", "||a||b||", "----", "\\\\ \\{",
    "{{ config }} <% 1 %>", ":) (!) (/) :D", "<script>alert(1)</script>", "&#123; &amp;",
    "\x1b[31mred", "\ud800", "\u202egnp.exe", "{color:red}", "a\\", "@ann", "_x_ *y* +z+ ^a^ ~b~",
    "??cite??", "{panel}\\{quote}", "(on)", "\u2028", "x" * 500, "\U0001f4a5" * 300,
]
LINES = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=60),
    st.text(alphabet="{}[]|!*_+^~?-#h1.bq:;()\\&#x; \t\n", max_size=60),
)
BLOCKS = st.one_of(
    st.builds(heading, LINES),
    st.lists(LINES, max_size=5).map(lambda lines: text(*lines)),
    st.lists(LINES, max_size=5).map(bullets),
    st.lists(LINES, max_size=5).map("\n".join).map(code),
    st.dictionaries(LINES, LINES, max_size=3).map(links),
    st.builds(Block, st.sampled_from(["text", "list", "code", "links", "heading"]),
              st.lists(LINES, max_size=4).map(tuple)),
)
DOCUMENTS = st.lists(BLOCKS, max_size=8).map(tuple)


def live_markup(written):
    """What Jira would act on in the text outside of blocks that we made."""
    found = []
    outside = re.sub(r"(?s)\{noformat\}\n.*?\n\{noformat\}", "", written)
    if "{noformat}" in outside:
        found.append("a block that does not end where it should")
    for line in outside.split("\n"):
        line = re.sub(r"\A(h3\. |\* )", "", line)
        line = re.sub(r"\A\[((?:\\.|[^\\\[\]|])*)\|(https?://[^\s|\[\]{}\\!^\"]*)\]\Z", r"\1", line)
        line = re.sub(r"\\[^A-Za-z0-9\s]", "¤", line)  # an escaped sign is none
        if "\\" in line:
            found.append("backslash: %r" % line)
        line = re.sub(r"&#\d+;|&amp;", "¤", line)
        if re.search(r"[{}\[\]|!*+^~]", line):
            found.append("sign: %r" % line)
        if re.search(r"(?<!\w)[_-]|[_-](?!\w)", line):
            found.append("phrase: %r" % line)
        if re.search(r"(?:\A\s*)(?:h[1-6]\.|bq\.|#)|\?\?", line):
            found.append("start: %r" % line)
        if re.search(r"[:;]-?[)(PDp](?!\w)|\((?:[!?/xiyn*+-]|on|off|flag)", line):
            found.append("emoticon: %r" % line)
    return found


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
@example((text("h1. x"), text(" bq. y"), text("#1")))
@example((links({"x": "javascript:alert(1)", "y": "http://a/b|c]{code}"}),))
@example((code("{noformat}\n{NoFormat:x}"),))
@example((heading(":)_ ;)_x_"),))
def test_wiki_markup_holds_no_markup_from_outside(document):
    written, is_cut = wiki.rendered(document)
    assert not is_cut
    assert live_markup(written) == []
    written.encode("utf-8")


def test_the_judge_of_markup_sees_live_markup():
    for nasty in ("{code}x", "*b*", "[~ann]", "!x!", "a \\", "h1. x", "(!)", "a -b- c", "??x??"):
        assert live_markup(nasty), nasty


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_an_escaped_line_reads_as_it_was(line):
    shown = wiki.escaped(line)
    read = html.unescape(re.sub(r"\\([^A-Za-z0-9\s])", r"\1", shown))
    from selfheal.text import printable
    expected = printable(line).replace("\n", " ")
    if "&" not in line:  # an entity of the text's own is shown as its letters
        assert read == expected


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_adf_fits_the_schema_whatever_it_holds(document):
    made, is_cut = adf.rendered(document)
    assert not is_cut
    assert rules.adf_problem(made) == ""
    json.dumps(made).encode("utf-8")


def test_the_judge_of_adf_sees_what_does_not_fit():
    good = {"type": "paragraph", "content": [{"type": "text", "text": "x"}]}
    for bad in (
        {"type": "paragraph", "content": [{"type": "text", "text": ""}]},
        {"type": "bulletList", "content": [good]},
        {"type": "bulletList", "content": []},
        {"type": "script"},
        {**good, "onclick": "x"},
        {"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [
            {"type": "link", "attrs": {"href": "javascript:alert(1)"}}]}]},
    ):
        assert rules.adf_problem({"type": "doc", "version": 1, "content": [bad]}), bad
    assert rules.adf_problem({"type": "doc", "version": 1, "content": [good]}) == ""
    assert rules.adf_problem({"type": "doc", "content": [good]})


def test_what_a_document_says_arrives_in_both():
    document = (
        heading("Why"), text("one", "two"), bullets(["a", "b"]), code("  x\n  y"),
        links({"report": "https://st2.example/#/x"}),
    )
    read = adf.text_of(adf.rendered(document)[0])
    assert read.splitlines() == ["Why", "one", "two", "a", "b", "  x", "  y", "report"]
    assert wiki.rendered(document)[0] == (
        "h3. Why\n\none\n\ntwo\n\n* a\n* b\n\n{noformat}\n  x\n  y\n{noformat}\n\n"
        "* [report|https://st2.example/#/x]"
    )


@pytest.mark.parametrize("words, url", [
    ("x", "javascript:alert(1)"), ("x", "data:text/html,x"), ("x", "http://" + "y" * 3000),
    ("x", ""), ("x", " http://a"),
])
def test_what_is_no_web_address_is_no_link(words, url):
    document = (links({words: url}),)
    made = adf.rendered(document)[0]
    assert "marks" not in json.dumps(made)
    assert "[x|" not in wiki.rendered(document)[0]


@pytest.mark.parametrize("rendered", [adf.rendered, wiki.rendered])
@pytest.mark.parametrize("sign", ["a", "\U0001f4a5", "{", "\""])
def test_a_long_document_is_cut_at_the_limit_and_says_so(rendered, sign):
    many = tuple(text(sign * 900) for _ in range(200))
    tail = (text("selfheal: msg-1"),)
    made, is_cut = rendered(many, tail)
    written = made if isinstance(made, str) else json.dumps(
        made, ensure_ascii=False, separators=(",", ":"))
    assert is_cut
    assert rules.length(written) <= LONGEST_TEXT
    words = adf.text_of(made).strip().splitlines()
    assert words[-1] == "selfheal: msg-1"
    assert "attachment" in adf.text_of(made)
    if sign == "a":
        assert rules.length(written) > LONGEST_TEXT * 0.9  # as much as fits


def test_one_line_that_is_too_long_alone_leaves_only_the_note():
    document = (code("x" * 50000),)
    made, is_cut = wiki.rendered(document)
    assert is_cut and "attachment" in made


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.integers(min_value=80, max_value=400))
def test_what_is_kept_is_the_beginning(document, most):
    kept, is_cut = fitted(document, lambda one: units(plain(one)), most)
    assert units(plain(kept)) <= most or not kept[:-1]
    if is_cut:
        before = [line for block in document for line in block.lines]
        after = [line for block in kept[:-1] for line in block.lines]
        assert before[:len(after)] == after
    else:
        assert kept == document


@given(st.text(max_size=200), st.integers(min_value=0, max_value=120))
def test_lengths_are_javas(value, most):
    assert units(value) == rules.length(value)
    assert units(head(value, most)) <= most
    assert value.startswith(head(value, most))
    assert units(cut(value, most)) <= most

"""Text from outside is harmless to StackStorm's evaluators, to terminals and to the reader; secrets
never show.
"""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal import text
from standalone import wrapper
from tests import scene

RESULT_MARK = wrapper.DELIMITER
HOSTILE = (
    "{{ config_context.jira_password }}",
    "{{ .Values.x }}",
    "<% ctx() %>",
    "<%= erb %>",
    "{% raw %}",
    "{# note #}",
    "<% 6*7 %>",
    "{{ 6*7 }}",
    "$(reboot)",
    "`reboot`",
    "\x1b[2J\x1b[31mred",
    "{{{{ nested }}}}",
    "{%{{<%%>}}%}",
    "{{{{{",
    "<%<%<%",
    "%}%}%}",
    "{\u2060{ x }\u2060}",
    "{{\n6*7\n}}",
    "{{-6*7-}}",
    "<%\n6*7\n%>",
    "{%set x=1%}{{x}}",
    "#}{#",
    "}}%>{{<%",
    "\u202e drow",
    "\ud800",
    "\x00",
    "{\x00{ x }}",
    RESULT_MARK,
    RESULT_MARK * 2,
)
MARKERS = ("{{", "}}", "{%", "%}", "{#", "#}", "<%", "%>", RESULT_MARK)
hostile_text = st.one_of(
    st.text(),
    st.sampled_from(HOSTILE),
    st.lists(
        st.sampled_from(["{", "}", "%", "<", ">", "#", "\u2060", " ", "6*7", "x", "\n", "-"]),
        max_size=14,
    ).map("".join),
    st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join),
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | hostile_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile_text, inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_no_marker_is_left_in_any_string_or_key(value):
    for found in scene.strings(text.neutralise(value)):
        assert not any(marker in found for marker in MARKERS)


@given(plain)
def test_doing_it_twice_changes_nothing(value):
    once = text.neutralise(value)
    assert text.neutralise(once) == once


@given(plain)
def test_result_is_storable_and_printable(value):
    for found in scene.strings(text.neutralise(value)):
        found.encode("utf-8")
        assert not any(
            ord(c) < 32 and c not in "\t\n" or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066"
            for c in found
        )


@given(hostile_text)
def test_reader_sees_the_same_text(value):
    shown = text.neutralise(value).replace(text.WORD_JOINER, "")
    assert shown == text.printable(value).replace(text.WORD_JOINER, "")


@given(
    st.text(
        alphabet=st.characters(
            blacklist_characters="{}<>%#", blacklist_categories=("Cc", "Cs", "Cf")
        )
    )
)
def test_ordinary_text_is_left_alone(value):
    assert text.neutralise({"k": [value]}) == {"k": [value]}


def test_values_that_are_no_text_keep_their_type():
    value = {"a": 1, "b": 1.5, "c": True, "d": None, "e": [1, {"f": False}]}
    assert text.neutralise(value) == value
    assert text.neutralise({1: (2, "{{")}) == {"1": [2, "{\u2060{"]}


def test_depth_is_bounded():
    value = "x"
    for _ in range(500):
        value = [value]
    assert "…" in json.dumps(text.neutralise(value), ensure_ascii=False)


# Against the evaluators themselves


@pytest.fixture(scope="module")
def orquesta():
    """Orquesta's evaluator of expressions, as conductor and engine use it."""
    from tests import needs

    needs.module("orquesta")
    from standalone import orquesta_compat

    orquesta_compat.prepare()
    from orquesta.expressions import base

    return base


@pytest.mark.parametrize("value", HOSTILE)
def test_orquesta_leaves_it_as_it_is(orquesta, value):
    harmless = text.neutralise({value: [value, {"deep": value}], "x": value})
    context = {"config_context": {"jira_password": "s3cret"}, "x": "evaluated", "__vars": {}}
    assert orquesta.evaluate(harmless, context) == harmless
    for found in scene.strings(harmless):
        assert orquesta.evaluate(found, context) == found
        assert not orquesta.extract_vars(found)


@given(value=hostile_text)
def test_orquesta_leaves_any_text_as_it_is(orquesta, value):
    harmless = text.neutralise(value)
    assert orquesta.evaluate(harmless, {"x": "evaluated"}) == harmless


def test_orquesta_would_evaluate_the_original(orquesta):
    assert orquesta.evaluate("<% 6*7 %>", {}) == 42  # else the tests above prove nothing
    assert str(orquesta.evaluate("{{ 6*7 }}", {})) == "42"


@given(hostile_text)
def test_jinja_renders_it_as_it_is(value):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    harmless = text.neutralise(value)
    assert environment.from_string(harmless).render(x="evaluated") == harmless


def test_jinja_would_render_the_original():
    assert jinja2.Template("{{ 6*7 }}").render() == "42"


# Cutting and hiding


@given(st.text(max_size=300), st.integers(0, 200))
def test_cut_text_is_never_longer_than_asked(value, limit):
    cut = text.truncate(value, limit)
    if len(value) <= limit:
        assert cut == value
    elif limit >= 40:
        assert len(cut) == limit and ("[+%d characters]" % (len(value) - limit)) in cut


@given(st.text(), st.integers(40, 200))
def test_one_line_is_one_line(value, limit):
    line = text.one_line(value, limit)
    assert len(line) <= limit and len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pw@host/x", "http://***@host/x"),
        ("http://host/x?a=1&api_key=abc&b=2", "http://host/x?a=1&api_key=***&b=2"),
        ("https://host/hook?Token=abc", "https://host/hook?Token=***"),
        ("http://host/a@b", "http://host/a@b"),
        ("postgresql://me:s3cret@db/x", "postgresql://***@db/x"),
        ("http://me:p@ss@host/a@b?c@d", "http://***@host/a@b?c@d"),
    ],
)
def test_credentials_in_urls_are_hidden(url, shown):
    assert text.without_credentials(url) == shown


def test_secrets_are_hidden_everywhere_longest_first():
    value = {"key-s3cret": ["x s3cret-longer y", {"s3cret": 1}], "n": 5}
    assert text.scrub(value, ["s3cret", "s3cret-longer", "abc", ""]) == {
        "key-********": ["x ******** y", {"********": 1}],
        "n": 5,
    }
    assert text.scrub("abc", ["abc"]) == "abc"  # so short that hiding it would eat ordinary words


@given(plain, st.text(alphabet="abcdef0123456789", min_size=6, max_size=12))
def test_no_secret_is_left(value, secret):
    marked = {"before %s after" % secret: [value, secret]}
    assert not any(
        secret in found
        for found in scene.strings(text.scrub(marked, [secret]))
        if secret not in text.HIDDEN
    )


@pytest.mark.parametrize(
    "secret",
    ['pa ss/w"rd&', "back\\slash\\", "grün+gelb", "with-newline\n", "it's=100%", "a\tb\tc"],
)
def test_secrets_are_hidden_however_they_are_spelled(secret):
    plain_form = secret.strip()
    for spelling in (
        plain_form,
        quote(plain_form, safe=""),
        quote(plain_form, safe="").replace("%2F", "%2f"),
        quote_plus(plain_form),
        json.dumps(plain_form)[1:-1],
        repr(secret)[1:-1],
    ):
        left = text.scrub("<%s>" % spelling, [secret])
        assert text.HIDDEN in left and plain_form not in left, spelling


def test_capping_marks_what_it_cuts():
    capped = text.cap(
        {"list": list(range(10)), "text": "x" * 100, "map": {str(n): n for n in range(10)}}, 40, 3
    )
    assert capped["list"] == [0, 1, 2, "… [+7 items]"]
    assert len(capped["text"]) == 40
    assert capped["map"]["…"] == "[+7 items]" and len(capped["map"]) == 4
    assert text.cap([1, None, True], 1, 9) == [1, None, True]

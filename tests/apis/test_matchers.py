"""Matchers: read as Alertmanager reads them, with a real one as the judge, and never too wide."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.apis import silences
from selfheal.apis.matchers import (
    EQUAL,
    NOT_EQUAL,
    NOT_REGEX,
    REGEX,
    Matcher,
    as_api,
    canonical,
    from_api,
    of_labels,
    parse,
    shown,
    too_wide,
)
from selfheal.exceptions import InvalidInput
from selfheal.http import HttpClient
from tests.live_alertmanager import Alertmanager

VALUES = ("shop", "web-1", "a,b", 'say "hi"', "C:\\new", "two\nlines", "ü", "a{b}", "x y", "1.5")
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r"), max_size=12)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
OPERATORS = st.sampled_from((EQUAL, NOT_EQUAL, REGEX, NOT_REGEX))


def one(text):
    (matcher,) = parse(text)
    return matcher.name, matcher.operator, matcher.value


@pytest.mark.parametrize(
    "text, matchers",
    [
        ('alertname="X",namespace="shop"', [("alertname", "=", "X"), ("namespace", "=", "shop")]),
        ('{ a != "b" , c =~ "x|y" , }', [("a", "!=", "b"), ("c", "=~", "x|y")]),
        ("a=b c", [("a", "=", "b c")]),
        ("a=~.*(b|c)", [("a", "=~", ".*(b|c)")]),
        ('a="x,y",b!~z', [("a", "=", "x,y"), ("b", "!~", "z")]),
        (r'a="\"\\\n\t"', [("a", "=", '"\\\n\\t')]),  # what is no escape stays as it is
        ('"ü.x"="a\\tb"', [("ü.x", "=", "a\tb")]),  # quoted names take the escapes of Go
        ('{"a b"=~"\\u00e4\\x41\\101"}', [("a b", "=~", "äAA")]),
        ("ü=x", [("ü", "=", "x")]),
        ("a==b", [("a", "=", "=b")]),
        ('b="1",a="2",b="1"', [("a", "=", "2"), ("b", "=", "1")]),
        ("", []),
        ("{}", []),
    ],
)
def test_matchers_are_read(text, matchers):
    assert [(m.name, m.operator, m.value) for m in parse(text)] == matchers


@pytest.mark.parametrize(
    "text",
    [
        "a", "a!b", 'a="b', 'a=b"c', 'a="b" c="d"', 'a="b",,c="d"', '"a="b"', '{"ü"="b"',
        '"ü"="b"}', '{"ü"="b"} x', '"\\xff"="a"', '"ü"="\\q"', '"ü"="\\ud800"', '""="a"',
        '"ü"', '"ü"=', "=b", ",", "a=b," * 31 + "a=b0", "a=" + "b" * 4000,
    ],
)
def test_what_is_no_matcher_is_an_error_that_shows_it(text):
    with pytest.raises(InvalidInput) as caught:
        if text.startswith("a=b,"):
            text = ",".join("a%d=b" % number for number in range(31))
        parse(text)
    assert "matcher" in str(caught.value)


@given(st.lists(st.builds(Matcher, st.one_of(NAMES, TEXTS.filter(bool)), OPERATORS, TEXTS),
                min_size=1, max_size=4))
def test_what_is_shown_is_read_back(matchers):
    assert parse(shown(matchers)) == canonical(matchers)
    assert from_api(as_api(canonical(matchers))) == canonical(matchers)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        assert parse(shown(parse(text))) == parse(text)
    except InvalidInput:
        pass


@pytest.mark.parametrize(
    "text",
    [
        "", 'a=""', "a!=b", 'a!=""', "a!~b", 'a=~".*"', 'a=~".+"', 'a=~""', 'a=~"[a-z].*"',
        'a=~"(?s).*"', 'a=~"x|.*"', 'a=~"[^x]+"', 'a=~".{1,}"', 'a=~"\\\\w+",b!=c', 'a=~"("',
        'a=~"[[:alpha:]]+|.*"', 'a=~".*",b=~".*"', 'a=~"(web)?.*"',
    ],
)
def test_matchers_that_match_just_anything_are_too_wide(text):
    assert too_wide(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "a=b", 'a=~"web.*"', 'a=~"web|shop",b!=c', 'a=~".*",b=c', 'a=~"(?i)web"', 'a=~".*-db"',
        'a=~"(web|shop)-[0-9]+(-(a|b))?"', 'a=~"[*+|(]+web(x)+"',
    ],
)
def test_matchers_that_say_what_is_meant_are_not(text):
    assert too_wide(parse(text)) == ""


@pytest.mark.parametrize(
    "expression",
    [
        "((((.*)*)*)*)*!", "(((a+)+)+)+b", "(.|.|.|.|.|.|.|.|.|.){8}!", ".*" * 100 + "!",
        "((.|.)(.|.)){8}", "(?:(x*)y?)*!", "(((.*)))*!",
    ],
)
def test_expression_that_would_take_ages_is_not_judged_and_does_not_count(expression):
    assert too_wide((Matcher("a", REGEX, expression),))
    assert too_wide((Matcher("a", REGEX, expression), Matcher("b", EQUAL, "c"))) == ""


def test_labels_of_one_alert_match_it_exactly():
    labels = {"alertname": "A", "path": 'C:\\x "y"', "empty": ""}
    assert shown(of_labels([labels])) == 'alertname="A",path="C:\\\\x \\"y\\""'


def test_labels_of_several_alerts_match_what_they_share():
    sets = [
        {"alertname": "A", "job": "x", "instance": "a.b:1", "only": "1"},
        {"alertname": "A", "job": "x", "instance": "c|d"},
    ]
    assert shown(of_labels(sets)) == (
        'alertname="A",instance=~"a\\\\.b:1|c\\\\|d",job="x"'
    )
    assert of_labels([]) == () and of_labels([{"a": "1"}, {"b": "1"}]) == ()


def test_many_long_labels_keep_the_name_of_the_alert():
    labels = {"label%02d" % number: "v" * 200 for number in range(60)}
    found = of_labels([dict(labels, alertname="A", half="\ud800", long="v" * 201)])
    assert Matcher("alertname", "=", "A") in found
    assert parse(shown(found)) == found
    assert not {"half", "long"} & {matcher.name for matcher in found}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        running.post_alerts(
            [{"labels": {"alertname": "A", "x": value}} for value in VALUES] +
            [{"labels": {"alertname": "B"}}, {"labels": {"alertname": "C", "y": "1"}}]
        )
        yield running


def named(alerts):
    return sorted((a["labels"]["alertname"], a["labels"].get("x", "")) for a in alerts)


def raw(server, text):
    """What Alertmanager makes of one matcher as it is written; None when it does not read it."""
    query = urlencode({"filter": text})
    answer = HttpClient().request("GET", "%s/api/v2/alerts?%s" % (server.url, query))
    return named(answer.json()) if answer.ok else None


@pytest.mark.parametrize(
    "text",
    [
        "x=shop", 'x="shop"', ' x = "shop" ', "x=a,b", 'x="a,b"', r'x="say \"hi\""', r"x=C:\new",
        r'x="C:\\new"', r'x="C:\new"', r'x="two\nlines"', r"x=two\nlines", "x=ü", 'x="a{b}"',
        "x=x y", 'x=""', "x!=shop", 'x!=""', 'x=~"shop|ü"', 'x=~"sho"', 'x!~"shop|ü"', 'x=~""',
        'x!~""', 'x=~".+"', r'x=~"1\\.5"', r'x=~"1\.5"', "x", 'x=a"b', 'x="a', "x!a", "=a", '"x"=a',
    ],
)
def test_each_matcher_means_here_what_it_means_there(server, text):
    there = raw(server, text)
    try:
        if "," in text and '"' not in text:
            raise InvalidInput("a comma outside of quotes parts matchers here")
        here = one(text)
    except InvalidInput:
        assert there is None or "," in text
        return
    if there is None:
        assert text.startswith('"')  # names in quotes are read from 0.27 on
        return
    matchers = (Matcher(*here),)
    assert named(silences.caught(HttpClient(), {"url": server.url}, matchers)) == there


def test_values_of_any_kind_are_found_by_their_labels(server):
    for value in VALUES:
        matchers = of_labels([{"alertname": "A", "x": value}])
        found = silences.caught(HttpClient(), {"url": server.url}, matchers)
        assert named(found) == [("A", value)]
    several = of_labels([{"alertname": "A", "x": value} for value in VALUES])
    assert len(silences.caught(HttpClient(), {"url": server.url}, several)) == len(VALUES)

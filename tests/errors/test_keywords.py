"""Which lines are errors by their words, and that the list and its search stay quick."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.apis.elasticsearch.query import errors_between, query_string
from selfheal.errors.keywords import KEYWORDS, LEVELS, TEXT_FIELDS, completed, matcher
from selfheal.exceptions import ConfigError

ISSUE = (
    "error",
    "exception",
    "failed",
    "crash",
    "panic",
    "fatal",
    "killed",
    "timeout",
    "OOM",
    "segfault",
    "I/O error",
    "task a:1 blocked for more than 120 seconds",
    "soft lockup",
    "MCE",
    "EXT4-fs error",
    "XFS (sda): Corruption",
    "link down",
)


@pytest.mark.parametrize("line", ISSUE)
def test_words_that_were_asked_for_are_errors(line):
    assert matcher()("some %s here" % line) and matcher()(line.upper()) and matcher()(line.lower())


@pytest.mark.parametrize(
    "keyword, hits, misses",
    [
        ("killed", ["Killed!", "was killed", "x.killed:"], ["skilled", "killed_by", "unkilled"]),
        ("fail*", ["failover", "FAIL", "a.fail"], ["unfailing"]),
        ("*error*", ["MyErrorHandler", "errors=3", "terror"], ["eror"]),
        ("*exception", ["IOException: x", "exception"], ["exceptions"]),
        ("a*c", ["abbc", "AC", "x ac"], ["abc1 ab", "a c"]),
        (
            "link down",
            ["eth0 Link   Down", "link-down", "link\tdown."],
            ["linkdown", "link is down"],
        ),
        ("i/o error", ["I/O error", "i o error", "I/O-Error"], ["io error"]),
        ("out of mem*", ["Out of memory", "out of mem"], ["out of the mem"]),
        ("código 7", ["CÓDIGO 7", "código  7!"], ["código 77", "codigo 7"]),
        ("(?:", ["(?:"], ["x"]),
        ("*", ["anything", ""], []),
    ],
)
def test_keyword_is_a_word_a_phrase_or_has_stars(keyword, hits, misses):
    is_error = matcher([keyword])
    assert [line for line in hits if not is_error(line)] == []
    assert [line for line in misses if is_error(line)] == []


def test_empty_lists_mean_the_packs_own_and_others_stay():
    filled = completed({"keywords": [], "levels": None, "url": "u"})
    assert filled["keywords"] == list(KEYWORDS) and filled["levels"] == list(LEVELS)
    assert filled["text_fields"] == list(TEXT_FIELDS) and filled["url"] == "u"
    own = completed({"keywords": ["a", " "], "levels": "x", "text_fields": ["f"]})
    assert (own["keywords"], own["levels"], own["text_fields"]) == (["a"], ["x"], ["f"])


@given(st.lists(st.text(max_size=30), max_size=4), st.text(max_size=300))
def test_any_keyword_and_any_line_are_survived(keywords, line):
    is_error = matcher(keywords)
    assert is_error(line) in (True, False)
    query = errors_between(completed({"keywords": keywords}), 0, 1, {"message": ["text"]})
    assert query["bool"]["filter"][0] == {
        "range": {"@timestamp": {"gte": 0, "lt": 1, "format": "epoch_millis"}}
    }


@given(st.text(alphabet="ab. *", min_size=1, max_size=8), st.text(alphabet="ab. ", max_size=30))
def test_a_line_that_holds_the_keyword_as_it_is_matches(keyword, around):
    if keyword.strip(" .*"):
        plain = keyword.replace("*", "")
        assert matcher([keyword])("%s %s %s" % (around, plain, around))


@pytest.mark.parametrize(
    "line",
    [
        "a" * 1000000,
        "link " * 200000,
        "out of " * 150000,
        "i/" * 500000,
        "blocked for more " * 60000,
    ],
)
def test_time_is_linear_in_the_line(line):
    is_error = matcher()
    before = time.process_time()
    is_error(line[: len(line) // 10])
    short = time.process_time() - before
    is_error(line)
    assert time.process_time() - before - short < 40 * short + 0.5


def test_query_strings_have_nothing_of_their_own():
    assert query_string(["plain", "oom*", "i/o error", 'say "x" \\']) == (
        'plain OR oom* OR "i/o error" OR "say \\"x\\" \\\\"'
    )
    assert query_string(["a (b) c*"]) == r"(a AND \(b\) AND c*)"


def test_unknown_mapping_is_asked_in_ways_that_no_field_refuses():
    query = errors_between(completed({}), 0, 1)
    for clause in query["bool"]["filter"][1]["bool"]["should"]:
        (inner,) = clause.values()
        assert inner["lenient"] is True


def test_known_mapping_asks_only_of_fields_that_are_there():
    kinds = {
        "message": ["text"],
        "body": ["keyword"],
        "msg": ["long", "text"],
        "level": ["byte"],
        "log": ["object"],
    }
    should = errors_between(completed({}), 0, 1, kinds)["bool"]["filter"][1]["bool"]["should"]
    regexps = {field for clause in should for field in clause.get("regexp", {})}
    assert regexps == {"message", "body"}  # of msg, some indices would refuse it
    terms = {
        field: values for clause in should for field, values in clause.get("terms", {}).items()
    }
    assert set(terms) == {"level"} and all(isinstance(value, int) for value in terms["level"])
    for clause in should:
        for inner in clause.values():
            assert set(inner.get("fields", [])) <= set(kinds)


def test_expressions_stay_below_the_length_that_services_take():
    many = completed({"keywords": ["word%d*" % n for n in range(500)]})
    should = errors_between(many, 0, 1, {"message": ["text"]})["bool"]["filter"][1]["bool"][
        "should"
    ]
    expressions = [clause["regexp"]["message"]["value"] for clause in should if "regexp" in clause]
    assert len(expressions) > 3 and max(map(len, expressions)) <= 1000
    assert sum(one.count("word") for one in expressions) == 500


def test_search_without_keywords_is_refused():
    with pytest.raises(ConfigError, match="completed"):
        errors_between({"text_fields": ["message"]}, 0, 1)

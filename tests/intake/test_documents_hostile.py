"""Any JSON value is a bounded Document that can be judged and stored, and nothing raises."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors.classify import SEVERITIES, TYPES
from selfheal.errors.judge import Judge
from selfheal.errors.record import Document
from selfheal.errors.severity import LEVELS
from selfheal.intake.documents import reading as documents
from selfheal.intake.documents.kubernetes_meta import ELSEWHERE
from selfheal.intake.documents.meanings import DETAIL, MEANINGS
from selfheal.intake.documents.reading import MAX_MESSAGE, MAX_SAMPLE, MAX_STACK, Reading, read
from tests.examples import examples

READING = Reading("prod", now=1795309323.0)
MOST_TEXT = MAX_MESSAGE + MAX_STACK + MAX_SAMPLE + 5000
TEXTS = (
    "",
    " ",
    "\0",
    "\ud800",
    "{{ 7 * 7 }}",
    "<% $.x %>",
    '{"message": "a"}',
    "{" * 2000,
    '{"message": ' * 500,
    "msg=" + '"' * 3000,
    "Traceback (most recent call last):\n",
    "\n\tat a.b(C.java:1)\n" * 200,
    "ERROR:root:",
    "<34>1 - - - - - -",
    "[" * 3000,
    "2026-11-22T01:02:03.123Z",
    "1" * 5000,
    "\u202e\u0661\u0662",
)

leaves = (
    st.none() |
    st.booleans() |
    st.integers() |
    st.floats() |
    st.text(max_size=30) |
    st.sampled_from(TEXTS)
)
# Keys that mean something, whole and in parts, so that the values end up where they hurt.
paths = sorted(
    {
        path
        for table in (MEANINGS, DETAIL, ELSEWHERE)
        for names in table.values()
        for path in names.split()
    }
)
keys = st.sampled_from(sorted({*paths, *(part for path in paths for part in path.split("."))}))
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
hits = st.fixed_dictionaries(
    {"_source": st.dictionaries(keys, anything, max_size=8) | anything},
    optional={"_id": anything, "_index": anything, "sort": anything, "fields": anything},
)


@pytest.fixture(scope="module")
def judge():
    return Judge()


def check(found, judge):
    assert type(found) is Document and len(found) == len(Document._fields)
    rest = ("logged_at", "detail")
    texts = [value for name, value in found._asdict().items() if name not in rest]
    assert all(type(text) is str for text in texts)
    bounded = sum(map(len, texts)) - len(found.document_id)
    assert bounded <= MOST_TEXT and found.message and found.document_id
    assert found.level in ("", *LEVELS) and found.origin == "prod"
    assert type(found.logged_at) is float and 0 < found.logged_at < 1e10
    assert len(json.dumps(found.detail)) < 20000
    judged = judge.judge(found)
    assert judged.error_type in TYPES and judged.severity in SEVERITIES and judged.rule
    assert judged.fingerprint.startswith("v1:") and judged == judge.judge(found)
    return judged


@settings(max_examples=examples(100))
@given(raw=hits | anything)
def test_any_json_is_a_document_that_can_be_judged(judge, raw):
    found = read(raw, READING)
    check(found, judge)
    assert read(raw, READING) == found


@settings(max_examples=examples(60))
@given(raw=hits)
def test_the_answer_does_not_depend_on_what_was_read_before(judge, raw):
    before = read(raw, READING)
    documents._shapes._plans.clear()
    assert read(raw, READING) == before
    assert Judge(judge._rules).judge(before) == judge.judge(before)


def nested(depth, key):
    value = "x"
    for _ in range(depth):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    "source",
    [
        nested(900, "message"),
        nested(900, "kubernetes"),
        nested(900, "error"),
        {"message": [[[[[["deep"]]]]]]},
        {"message": ["x"] * 100_000},
        {"stack_trace": ["x" * 1000] * 100_000},
        {str(number): number for number in range(100_000)},
        {"message": "x", "kubernetes": {str(number): number for number in range(10_000)}},
        {"message": "\0\ud800\udfff" * 1000},
        {"message": "x" * 5_000_000},
        {"message": '{"message": "' + "x" * 100_000 + '"}'},
        {"message": '{"message": ' * 20_000 + "1" + "}" * 20_000},
        {"message": json.dumps({"msg": json.dumps({"msg": json.dumps({"msg": '{"msg": 1}'})})})},
        {"message": "a=" + '"\\' * 30_000 + " msg=1"},
        {"message": " ".join('k%d="' % number for number in range(9000)) + " msg=1"},
        {"@timestamp": "2026-" * 10_000, "message": "x"},
        {"@timestamp": 10**300, "message": "x"},
        {"message": "x\n" * 30_000},
        {"message": "x: y\n\tat " * 10_000},
    ],
    ids=lambda source: ascii(source)[:30],
)
def test_a_monster_is_read_in_bounded_time(judge, source):
    raw = {"_index": "i", "_id": "1", "_source": source}
    started = time.process_time()
    found = read(raw, READING)
    took = time.process_time() - started
    check(found, judge)
    assert took < 2.0  # these are megabytes; anything quadratic would take minutes


def test_a_source_too_deep_for_json_is_known_by_its_sample():
    value = nested(100_000, "a")
    found = read({"_source": value}, READING)
    assert found.trouble.startswith("unreadable: no field has text")
    assert found.document_id.startswith("prod//#")
    while isinstance(value, dict):  # taken apart by hand: Python's own way recurses
        value = value.popitem()[1]


def test_hostile_keys_do_not_fill_the_memory():
    documents._shapes._plans.clear()
    for number in range(5000):
        read({"_source": {"message": "x", "key%d" % number: 1}}, READING)
    assert len(documents._shapes._plans) <= 2000

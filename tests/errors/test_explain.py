"""People see why an error has its fingerprint."""

from __future__ import annotations

import pytest

from selfheal.errors.explain import error_explain, explain
from selfheal.errors.fingerprint import Fingerprinter
from selfheal.errors.judge import Judge
from selfheal.errors.record import Document
from selfheal.exceptions import InvalidInput, NotFound
from tests import book_scene, event_table

MESSAGE = "GET /a/b HTTP/1.1 status: 503 for user alice from 10.2.3.4, plan [a, b], SHA256 used"


def test_names_the_rule_and_what_it_replaced():
    steps = explain(MESSAGE)["steps"]
    assert {"rule": "address", "found": "10.2.3.4", "became": "<ip>"} in steps
    user = {"rule": "name after its kind", "found": "for user alice", "became": "for user <name>"}
    assert user in steps
    assert {"rule": "list in brackets", "found": "[a, b]", "became": "[<list>]"} in steps


def test_names_what_was_kept_and_why():
    kept = explain(MESSAGE)["kept"]
    assert {"rule": "number with a meaning, kept", "text": "status: 503"} in kept
    assert {"rule": "technical term, kept", "text": "SHA256"} in kept


@pytest.mark.parametrize("message", event_table.messages(), ids=lambda message: message[:40])
def test_tells_of_the_very_same_fingerprint(message):
    told = explain(message)
    assert (told["fingerprint"], told["template"]) == Fingerprinter().of(message)
    assert told["key"] == explain(told["line"])["key"]


def test_tells_of_the_trace():
    trace = 'Traceback (most recent call last):\n  File "/a/b/c.py", line 1, in f\nValueError: x'
    told = explain("boom\n" + trace)
    assert told["exceptions"] == ["ValueError"] and told["frames"] == ["b/c.f"]
    assert told["frames_are_own"] is True
    assert any("line numbers" in note for note in told["left_out"])


def test_says_what_did_not_count():
    assert any("first 2000 of 5000" in note for note in explain("x" * 5000)["left_out"])
    assert any("no trace" in note for note in explain("x", "gibberish")["left_out"])


def test_asks_for_something_to_explain():
    with pytest.raises(InvalidInput, match="give a message"):
        error_explain(None)
    with pytest.raises(InvalidInput, match="not both"):
        error_explain(None, "x", "", "v1:0")


def test_explains_the_latest_document_of_a_stored_fingerprint(url):
    ctx = book_scene.context(url)
    judge = Judge()
    stored = [
        Document(
            "prod/logs/%d" % number,
            "prod",
            book_scene.NOW - 60 + number,
            "order %d failed" % number,
            stack="ValueError: x\n    at run (/app/src/a.js:1:2)",
        )
        for number in range(3)
    ]
    book_scene.book(ctx).store([(one, judge.judge(one)) for one in stored])
    fingerprint = judge.judge(stored[0]).fingerprint
    told = error_explain(ctx, fingerprint=fingerprint)
    assert (told["document_id"], told["fingerprint"]) == ("prod/logs/2", fingerprint)
    assert told["frames"] == ["src/a.run"] and told["exceptions"] == ["ValueError"]


def test_an_unknown_fingerprint_is_said_to_be_so(url):
    with pytest.raises(NotFound, match="error_pattern_list"):
        error_explain(book_scene.context(url), fingerprint="v1:" + "0" * 20)

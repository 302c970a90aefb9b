"""What travels through the workflows: ids, words from fixed lists, numbers and truth values, never
text from outside.
"""

from __future__ import annotations

import re

import pytest

from tests.workflows import plays
from tests.workflows.plays import document

WORD = re.compile(r"^[a-z_]+$")
ALLOWED = (
    re.compile(
        r"^<% ctx\(\)\.(incident_id|run_id|dispatch|approval_id|answer|reason|resolution|failure|"
        r"outcome|strategy) %>$"
    ),
    re.compile(r"^<% ctx\(\)\.st2\.action_execution_id %>$"),
    re.compile(r"^<% concat\('selfheal\.', ctx\(\)\.approval_id\) %>$"),
    re.compile(r"^<% result\(\)\.result\.get\('approval_id'\) %>$"),
)
# The only results whose value is carried on; all others are compared with words.
CARRIED = {"approval_id"}
COMPARED = {
    "state",
    "strategy",
    "verdict",
    "outcome",
    "resolved",
    "approval_id",
    "response",
    "approved",
    "escalated",
    "status",
}

PASSED_ON = (int, float, bool, type(None))


def cargo():
    """(workflow, task, name, value) of all that a workflow publishes, passes on or puts out."""
    for name in plays.NAMES:
        body = document(name)
        for item in body["vars"] + body["output"]:
            for key, value in item.items():
                yield name, "", key, value
        for task, described in body["tasks"].items():
            for key, value in (described.get("input") or {}).items():
                if (task, key) != ("ask", "schema"):
                    yield name, task, key, value
            for transition in described["next"]:
                for item in transition.get("publish") or []:
                    for key, value in item.items():
                        yield name, task, key, value


def test_publish_is_always_a_list_of_mappings():
    for name in plays.NAMES:
        for task, described in document(name)["tasks"].items():
            assert isinstance(described["input"], dict), (name, task)
            for transition in described["next"]:
                published = transition.get("publish", [])
                assert isinstance(published, list), (name, task)
                assert all(isinstance(item, dict) for item in published), (name, task)


@pytest.mark.parametrize(("name", "task", "key", "value"), list(cargo()))
def test_only_ids_words_and_numbers_are_carried(name, task, key, value):
    if isinstance(value, str):
        assert WORD.match(value) or any(pattern.match(value) for pattern in ALLOWED)
    else:
        assert isinstance(value, PASSED_ON)


def test_conditions_look_only_at_known_keys_and_results_carried_on_are_ids():
    for name in plays.NAMES:
        text = (plays.WORKFLOWS / ("%s.yaml" % name)).read_text(encoding="utf-8")
        assert set(re.findall(r"\.get\('(\w+)'\)", text)) <= COMPARED
        assert set(re.findall(r"- \w+: <% result\(\)\.result\.get\('(\w+)'\) %>", text)) <= CARRIED
        # No other way into a result, and no template language besides YAQL.
        assert not re.findall(r"result\(\)(?!\.(?:result|output|get)\b)", text)
        assert "{{" not in text and "{%" not in text


def test_every_condition_is_written_and_none_is_left_to_default():
    for name in plays.NAMES:
        for task, described in document(name)["tasks"].items():
            for transition in described["next"]:
                assert transition.get("when"), (name, task)
                assert transition.get("do"), (name, task)

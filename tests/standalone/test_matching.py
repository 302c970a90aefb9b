"""Criteria as StackStorm reads them: paths, order, patterns with templates, reasons, backstops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone import matching
from standalone.datastore import Datastore
from tests.standalone import minipack

ALERT = {
    "body": {
        "status": "firing",
        "count": 2,
        "alerts": [
            {
                "status": "firing",
                "labels": {"severity": "critical", "app.kubernetes.io/name": "web"},
            },
            {"status": "resolved", "labels": {"severity": "info"}},
        ],
    },
    "headers": {"X-Foo": "bar"},
    "limit": 2,
}


def matches(criteria, payload=ALERT, kv=None):
    return matching.rule_matches(minipack.rule(criteria), payload, kv)[0]


@pytest.mark.parametrize(
    "key, value",
    [
        ("trigger.body.status", "firing"),
        ("trigger.body.alerts[0].labels.severity", "critical"),
        ("trigger.body.alerts[1].labels.severity", "info"),
        ("trigger.headers.X-Foo", "bar"),
        ('trigger.body.alerts[0].labels["app.kubernetes.io/name"]', "web"),
        ("trigger.body.alerts[*].status", "firing"),
    ],
)
def test_keys_are_paths_and_the_first_match_counts(key, value):
    assert matches({key: {"type": "equals", "pattern": value}})
    assert not matches({key: {"type": "nequals", "pattern": value}})


@pytest.mark.parametrize(
    "key",
    [
        "trigger.nope",
        "trigger.body.nope.deeper",
        "trigger.body.alerts[9].status",
        "other.thing",
    ],
)
def test_a_missing_place_is_none(key):
    assert matches({key: {"type": "nexists", "pattern": True}})
    assert matches({key: {"type": "nequals", "pattern": "x"}})
    assert not matches({key: {"type": "equals", "pattern": "x"}})


def test_a_criterion_that_raises_does_not_match_and_says_why():
    rule = minipack.rule({"trigger.nope": {"type": "contains", "pattern": "x"}})
    is_match, reason = matching.rule_matches(rule, ALERT, None)
    assert not is_match
    assert "trigger.nope contains 'x'" in reason
    assert "TypeError" in reason


@pytest.mark.parametrize("key", ["trigger.[", "trigger..", ""])
def test_a_path_that_does_not_parse_does_not_match(key):
    assert not matches({key: {"type": "nexists", "pattern": True}})


def test_all_criteria_must_hold_and_a_hash_keeps_two_on_one_place_apart():
    between = {
        "trigger.body.count#1": {"type": "gt", "pattern": 1},
        "trigger.body.count#2": {"type": "lt", "pattern": 3},
    }
    assert matches(between)
    between["trigger.body.count#2"]["pattern"] = 2
    assert not matches(between)


def test_the_first_failing_criterion_ends_it():
    rule = minipack.rule(
        {
            "trigger.nope": {"type": "exists", "pattern": True},
            "trigger.nope#2": {"type": "contains", "pattern": "x"},
        }
    )
    assert "exists" in matching.rule_matches(rule, ALERT, None)[1]


@pytest.mark.parametrize("payload", [None, {}, [], ""])
def test_an_empty_payload_matches_only_a_rule_without_criteria(payload):
    assert not matches({"trigger.x": {"type": "nexists", "pattern": True}}, payload)
    assert matches({}, payload)


def test_a_criterion_without_operator_or_with_an_unknown_one_does_not_match():
    assert not matches({"trigger.limit": {"pattern": 2}})
    assert not matches({"trigger.limit": {"type": "like", "pattern": 2}})


def test_a_pattern_that_is_one_expression_keeps_its_type():
    assert matches({"trigger.body.count": {"type": "equals", "pattern": "{{ trigger.limit }}"}})
    assert not matches({"trigger.body.count": {"type": "equals", "pattern": "2"}})


def test_a_pattern_with_text_around_its_expression_is_text():
    payload = {"name": "web-2", "n": 2}
    assert matches({"trigger.name": {"type": "equals", "pattern": "web-{{ trigger.n }}"}}, payload)


def test_patterns_inside_lists_are_not_rendered():
    criteria = {"trigger.limit": {"type": "inside", "pattern": ["{{ trigger.limit }}"]}}
    assert not matches(criteria)


def test_a_pattern_that_cannot_be_rendered_does_not_match():
    rule = minipack.rule({"trigger.limit": {"type": "equals", "pattern": "{{ trigger.nope.x }}"}})
    is_match, reason = matching.rule_matches(rule, ALERT, None)
    assert not is_match
    assert "cannot be rendered" in reason


def test_a_datastore_key_in_a_pattern_needs_the_string_filter(tmp_path):
    # StackStorm (st2#4043, #5260) adds `| to_complex`, and a bare key is no JSON: the rule
    # never fires. `| string` turns it into text first.
    kv = Datastore(tmp_path / "kv.json")
    kv.set("selfheal.enabled", "yes")
    bare = {"trigger.on": {"type": "equals", "pattern": "{{ st2kv.system.selfheal.enabled }}"}}
    filtered = {
        "trigger.on": {"type": "equals", "pattern": "{{ st2kv.system.selfheal.enabled | string }}"}
    }
    assert not matches(bare, {"on": "yes"}, kv)
    assert matches(filtered, {"on": "yes"}, kv)
    kv.delete("selfheal.enabled")
    assert not matches(filtered, {"on": "yes"}, kv)


def test_search_looks_into_the_items_of_a_list():
    criteria = {
        "trigger.body.alerts": {
            "type": "search",
            "condition": "any",
            "pattern": {
                "item.status": {"type": "equals", "pattern": "firing"},
                "item.labels.severity#1": {"type": "equals", "pattern": "critical"},
            },
        },
    }
    assert matches(criteria)
    criteria["trigger.body.alerts"]["condition"] = "all"
    assert not matches(criteria)
    criteria["trigger.body.alerts"]["condition"] = "some"
    assert not matches(criteria)


def test_rules_are_chosen_by_trigger_and_by_its_parameters(tmp_path):
    rule = (
        "name: %s\ntrigger: {type: core.st2.webhook, parameters: {url: %s}}\naction: {ref: a.b}\n"
    )
    pack = minipack.load(
        tmp_path,
        {
            "rules/a.yaml": rule % ("a", "one"),
            "rules/b.yaml": rule % ("b", "two"),
            "rules/c.yaml": "name: c\ntrigger: {type: mini.event}\naction: {ref: a.b}\n",
        },
    )

    def names(*arguments):
        return [found.name for found in matching.rules_for(pack, *arguments)]

    assert names("core.st2.webhook") == ["a", "b"]
    assert names("core.st2.webhook", {"url": "two"}) == ["b"]
    assert names("core.st2.webhook", {}) == []
    assert names("mini.event", {}) == ["c"]


def test_a_backstop_rule_fires_only_when_no_other_matched():
    first = minipack.rule({"trigger.a": {"type": "equals", "pattern": 1}}, ref="mini.first")
    rest = minipack.rule({}, ref="mini.rest", is_backstop=True)
    off = minipack.rule({}, ref="mini.off", enabled=False)

    def fired(payload):
        verdicts = matching.matching_rules([rest, off, first], payload, None)
        return [rule.ref for rule, is_match, _ in verdicts if is_match]

    assert fired({"a": 1}) == ["mini.first"]
    assert fired({"a": 2}) == ["mini.rest"]


hostile = st.text() | st.sampled_from(
    [
        "{{ config_context.jira_password }}",
        "{{ .Values.x }}",
        "<% ctx() %>",
        "{% raw %}",
        "{{ 6*7 }}",
    ]
)


@given(hostile)
def test_text_of_the_payload_is_compared_never_evaluated(text):
    assert matches({"trigger.t": {"type": "inside", "pattern": [text]}}, {"t": text})

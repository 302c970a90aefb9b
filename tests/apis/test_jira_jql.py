"""No text breaks out of a query, and every text makes a label of its own."""

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from selfheal.apis.jira import jql
from tests import stub_jira_rules as rules


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
@example('x" OR project = "SECRET')
@example("\\")
@example("\\\" OR 1=1")
@example("\n\r\t\0")
@example("') ORDER BY key --")
def test_a_quoted_text_is_one_value_and_reads_as_it_was(value):
    assume(not re.search("[\ud800-\udfff]", value))
    assert rules.tokens(jql.quoted(value)) == [("value", value)]


def test_a_quoted_text_is_found_by_the_reader_of_the_stub_only_as_a_value():
    clauses, order = rules.parsed(jql.equals("labels", 'a" OR labels = "b') + " ORDER BY created")
    assert clauses == [[("labels", "=", ['a" OR labels = "b'])]]
    assert order == [("created", "ASC")]


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_an_empty_value_is_refused(value):
    with pytest.raises(ValueError):
        jql.equals("labels", value)
    with pytest.raises(ValueError):
        jql.label("selfheal", value)


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=300))
@example("a b")
@example("\ud800")
@example("Ä" * 300)
def test_every_text_makes_a_label_that_jira_takes(value):
    assume(value.strip())
    made = jql.label("selfheal", value)
    assert re.match(r"selfheal-[a-z0-9._-]+\Z", made)
    assert len(made) <= 255


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
@example("A", "a")
@example("a b", "a-b")
@example("selfheal-a", "a")
def test_two_texts_make_two_labels(one, other):
    assume(one.strip() and other.strip() and one != other)
    if {one, other} == {"selfheal-a", "a"}:
        return  # a correlation id begins with the prefix already, and nothing else of ours does
    assume(not one.startswith("selfheal-") and not other.startswith("selfheal-"))
    made = jql.label("selfheal", one), jql.label("selfheal", other)
    assert made[0].casefold() != made[1].casefold()


def test_our_own_ids_stay_readable():
    assert jql.label("selfheal", "selfheal-inc-01jd5k3x9q-8f2k1z-0") == (
        "selfheal-inc-01jd5k3x9q-8f2k1z-0")
    assert jql.label("selfheal", "msg-01jd5k3x9q-8f2k1z") == "selfheal-msg-01jd5k3x9q-8f2k1z"

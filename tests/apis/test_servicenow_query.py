"""Encoded queries: no value becomes a condition, none means everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.apis.servicenow.query import encoded, exactly, one_of, shown_of, text_of
from selfheal.exceptions import InvalidInput
from tests.stub_servicenow_tables import matches, select, split


def test_conditions_are_joined_and_sorted():
    query = encoded([("number", "=", "INC1"), one_of("state", ["1", "2"])], ["sys_created_on"])
    assert query == "number=INC1^stateIN1,2^ORDERBYsys_created_on"


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_an_empty_value_would_find_everything(value):
    with pytest.raises(InvalidInput, match="empty value would find every record"):
        encoded([("correlation_id", "=", value)])
    with pytest.raises(InvalidInput):
        one_of("sys_id", ["a", value])


def test_no_conditions_would_find_everything():
    with pytest.raises(InvalidInput, match="whole table"):
        encoded([])
    with pytest.raises(InvalidInput, match="empty value"):
        encoded([one_of("sys_id", [])])


@pytest.mark.parametrize(
    "value", ["NULL", "null", "EMPTYSTRING", "javascript:gs.getUserID()", " JavaScript: 1", "a\0b",
              "two\nlines", "half \ud800"]
)
def test_a_value_that_means_something_else_is_refused(value):
    with pytest.raises(InvalidInput):
        encoded([("name", "=", value)])


def test_a_caret_is_not_sent():
    """Whether an instance knows ^^ as a caret depends on its release."""
    assert encoded([("name", "=", "Network^NQactive=true")]) == "nameSTARTSWITHNetwork"
    assert encoded([("name", "LIKE", "Network^ORx=1")]) == "nameLIKENetwork"
    with pytest.raises(InvalidInput, match="begins with"):
        encoded([("name", "=", "^NQactive=true")])


@pytest.mark.parametrize("field", ["", "a b", "a^b", "Name", "x=1", "javascript:1"])
def test_a_field_is_a_name(field):
    with pytest.raises(InvalidInput):
        encoded([(field, "=", "1")])
    with pytest.raises(InvalidInput):
        encoded([("a", "=", "1")], [field])


def test_only_known_operators_are_written():
    with pytest.raises(ValueError, match="is no operator"):
        encoded([("a", "ISEMPTY^NQb=", "1")])


@given(st.text(max_size=40))
def test_no_text_adds_a_condition(value):
    rows = [{"name": value, "secret": "0"}, {"name": "another", "secret": "1"}]
    try:
        query = encoded([("name", "=", value), ("secret", "=", "0")])
    except InvalidInput:
        return
    parts = split(query)
    assert len(parts) == 2
    assert parts[1] == "secret=0"
    assert parts[0].startswith(("name=", "nameSTARTSWITH"))
    assert select(rows, query) == rows[:1]
    assert exactly(select(rows, query), "name", value) == rows[:1]


@given(st.lists(st.text(max_size=20), max_size=4))
def test_no_list_adds_a_value(values):
    try:
        field, operator, text = one_of("name", values)
        query = encoded([(field, operator, text)])
    except InvalidInput:
        return
    assert split(query) == ["nameIN" + text]
    assert text.split(",") == values


def test_the_stand_in_compares_as_the_real_one():
    row = {"name": "Shop", "state": "6"}
    assert matches(row, "name=SHOP")
    assert matches(row, "nosuchfield=1")
    assert not matches(row, "state=7")


def test_rows_are_compared_letter_by_letter():
    rows = [{"id": {"value": "inc-A", "display_value": "x"}}, {"id": "inc-a"}, {}]
    assert exactly(rows, "id", "inc-a") == [rows[1]]
    assert text_of(rows[0]["id"]) == "inc-A"
    assert shown_of(rows[0]["id"]) == "x"
    assert (text_of(None), shown_of(None)) == ("", "")

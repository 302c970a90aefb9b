"""StackStorm's operators, value by value, with their behaviour on None and on mixed types."""

import datetime

import pytest

from standalone import operators

HOLDS, FAILS = True, False
RAISES = "raises"

TABLE = [
    # name, value, pattern, outcome
    ("equals", 5, 5, HOLDS),
    ("equals", 5, "5", FAILS),
    ("eq", "a", "a", HOLDS),
    ("equals", None, "a", FAILS),
    ("equals", None, None, FAILS),
    ("equals", True, 1, HOLDS),
    ("equals", b"a", "a", HOLDS),
    ("nequals", None, "a", HOLDS),
    ("neq", "a", "a", FAILS),
    ("nequals", None, None, FAILS),
    ("nequals", "a", None, HOLDS),
    ("iequals", "ABC", "abc", HOLDS),
    ("ieq", "a", "b", FAILS),
    ("iequals", None, "a", RAISES),
    ("iequals", 5, "5", RAISES),
    ("contains", "abc", "b", HOLDS),
    ("contains", ["a", "b"], "b", HOLDS),
    ("contains", {"k": 1}, "k", HOLDS),
    ("contains", None, "b", RAISES),
    ("contains", 5, "5", RAISES),
    ("contains", "abc", None, FAILS),
    ("icontains", "ABC", "b", HOLDS),
    ("icontains", None, "b", RAISES),
    ("ncontains", "abc", "z", HOLDS),
    ("ncontains", "abc", None, FAILS),
    ("incontains", "ABC", "b", FAILS),
    ("incontains", "ABC", "z", HOLDS),
    ("startswith", "abc", "a", HOLDS),
    ("startswith", None, "a", RAISES),
    ("startswith", "Abc", "a", FAILS),
    ("istartswith", "Abc", "aB", HOLDS),
    ("endswith", "abc", "c", HOLDS),
    ("endswith", "abC", "c", FAILS),
    ("iendswith", "abC", "c", HOLDS),
    ("iendswith", 1, "c", RAISES),
    ("lt", 1, 2, HOLDS),
    ("lessthan", 2, 2, FAILS),
    ("lt", None, 2, RAISES),
    ("lt", "1", 2, RAISES),
    ("lt", 1, None, FAILS),
    ("gt", 3, 2, HOLDS),
    ("greaterthan", 2, 2, FAILS),
    ("gt", None, 2, RAISES),
    ("gt", "3", 2, RAISES),
    ("gt", "b", "a", HOLDS),
    ("matchwildcard", "server-1", "server-*", HOLDS),
    ("matchwildcard", "x", "y*", FAILS),
    ("matchwildcard", None, "*", RAISES),
    ("matchregex", "abc\nd", "a.*d", HOLDS),
    ("matchregex", "xabc", "abc", FAILS),
    ("regex", "xabc", "abc", HOLDS),
    ("regex", "abc\nd", "a.*d", FAILS),
    ("regex", 5, "5", RAISES),
    ("regex", None, "a", RAISES),
    ("regex", "a", "(", RAISES),
    ("iregex", "xABC", "abc", HOLDS),
    ("iregex", None, "a", RAISES),
    ("exists", 0, "any", HOLDS),
    ("exists", "", "any", HOLDS),
    ("exists", None, "any", FAILS),
    ("nexists", None, "any", HOLDS),
    ("nexists", False, "any", FAILS),
    ("inside", "a", ["a", "b"], HOLDS),
    ("in", "b", "abc", HOLDS),
    ("inside", None, ["a"], FAILS),
    ("inside", None, "abc", RAISES),
    ("inside", "a", None, FAILS),
    ("ninside", "z", ["a"], HOLDS),
    ("nin", "a", ["a"], FAILS),
    ("ninside", None, ["a"], HOLDS),
]


@pytest.mark.parametrize("name, value, pattern, outcome", TABLE)
def test_operator(name, value, pattern, outcome):
    operator = operators.operator_named(name)
    if outcome is RAISES:
        with pytest.raises(Exception):  # noqa: B017 - which one does not matter, that it does does
            operator(value, pattern)
    else:
        assert operator(value, pattern) is outcome


def test_the_names_are_those_of_stackstorm():
    assert sorted(operators.OPERATORS) == sorted(
        "matchwildcard matchregex regex iregex eq equals neq nequals ieq iequals contains "
        "icontains ncontains incontains startswith istartswith endswith iendswith lt lessthan gt "
        "greaterthan "
        "td_lt timediff_lt td_gt timediff_gt exists nexists inside in ninside nin search".split()
    )


def test_a_name_may_be_written_in_capitals_and_an_unknown_one_lists_the_known():
    assert operators.operator_named("Equals") is operators.OPERATORS["equals"]
    with pytest.raises(KeyError, match="matchwildcard"):
        operators.operator_named("like")


@pytest.mark.parametrize(
    "age_s, name, period, holds",
    [
        (30, "timediff_lt", 60, True),
        (90, "timediff_lt", 60, False),
        (90, "td_gt", 60, True),
        (30, "td_gt", "60", False),
        (30, "td_lt", "60", True),
    ],
)
@pytest.mark.parametrize(
    "form", ["%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00"]
)
def test_timediff_measures_the_age_of_a_date_in_utc(monkeypatch, age_s, name, period, holds, form):
    now = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)
    monkeypatch.setattr(operators, "utc_now", lambda: now)
    then = (now - datetime.timedelta(seconds=age_s)).strftime(form)
    assert operators.OPERATORS[name](then, period) is holds


def test_timediff_reads_a_date_that_came_as_a_number(monkeypatch):
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    monkeypatch.setattr(operators, "utc_now", lambda: now)
    assert operators.OPERATORS["td_gt"](20260101, 86399) is True
    assert operators.OPERATORS["td_lt"](20260101, 86399) is False


def test_timediff_of_nothing_or_nonsense_raises_but_a_missing_pattern_fails():
    assert operators.OPERATORS["timediff_gt"](None, None) is False
    for value in (None, "yesterday-ish", {}):
        with pytest.raises(Exception):  # noqa: B017
            operators.OPERATORS["timediff_gt"](value, 5)


def _equals(key, criterion, item):
    return item.get(key) == criterion


@pytest.mark.parametrize(
    "condition, items, holds",
    [
        ("any", [{"a": 1, "b": 2}, {}], True),
        ("any", [{"a": 1}, {"b": 2}], False),
        ("all", [{"a": 1, "b": 2}], True),
        ("all", [{"a": 1, "b": 2}, {"a": 1}], False),
        ("all", [], True),
        ("all2any", [{"a": 1}, {"b": 2}], True),
        ("all2any", [{"a": 1}, {}], False),
        ("any2any", [{}, {"b": 2}], True),
        ("any2any", [{}, {}], False),
        ("any", [], False),
        ("any", {"a": 1, "b": 2}, True),
    ],
)
def test_search_combines_items_and_patterns(condition, items, holds):
    assert operators.search(items, {"a": 1, "b": 2}, condition, _equals) is holds


def test_search_needs_a_known_condition_and_a_list():
    with pytest.raises(operators.UnknownCondition, match="any2any"):
        operators.search([], {}, "some", _equals)
    with pytest.raises(TypeError):
        operators.search(None, {}, "any", _equals)

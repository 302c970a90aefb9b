"""Levels as every logging library spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.errors.severity import (
    LEVELS,
    SEVERITY_OF,
    level_of,
    level_of_otel,
    level_of_priority,
)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("error", "error"),
        ("ERROR", "error"),
        (" Error ", "error"),
        ("[err]", "error"),
        ("ERRO", "error"),
        ("E", "error"),
        ("fail", "error"),
        ("SEVERE", "critical"),
        ("FATAL", "critical"),
        ("fata", "critical"),
        ("crit", "critical"),
        ("dpanic", "critical"),
        ("PANIC", "emergency"),
        ("emerg", "emergency"),
        ("ALERT", "alert"),
        ("WARN", "warning"),
        ("wrn", "warning"),
        ("W", "warning"),
        ("notice", "notice"),
        ("Information", "info"),
        ("LOG", "info"),
        ("dbug", "debug"),
        ("FINEST", "debug"),
        ("trace", "debug"),
        ("daemon.err", "error"),
        ("Severity.CRITICAL", "critical"),
        ("3-error", "error"),
        ("4 (warning)", "warning"),
        (0, "emergency"),
        (3, "error"),
        ("3", "error"),
        (3.0, "error"),
        ("3.0", "error"),
        (7, "debug"),
        (30, "info"),
        (50, "error"),
        (60, "critical"),
        (40000, "error"),
        (["", "warn"], "warning"),
        (None, ""),
        (True, ""),
        (-1, ""),
        (8, ""),
        (3.5, ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (10**400, ""),
        ("", ""),
        ("unknown", ""),
        ("error" * 100, ""),
        ({}, ""),
        ([[[["error"]]]], ""),
    ],
)
def test_a_level_is_known_in_each_spelling(value, level):
    assert level_of(value) == level


@pytest.mark.parametrize(
    ("priority", "level"), [(34, "critical"), ("11", "error"), (191, "debug"), (192, ""), ("x", "")]
)
def test_a_syslog_priority_holds_the_level_in_its_last_three_bits(priority, level):
    assert level_of_priority(priority) == level


@pytest.mark.parametrize(
    ("number", "level"),
    [(1, "debug"), (9, "info"), (13, "warning"), (17, "error"), ("21", "critical"), (0, "")],
)
def test_a_severity_number_of_opentelemetry_is_none_of_syslog(number, level):
    assert level_of_otel(number) == level


def test_each_level_means_a_severity():
    assert set(SEVERITY_OF) == set(LEVELS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
def test_anything_has_a_known_level_or_none(value):
    assert level_of(value) in (*LEVELS, "")
    assert level_of(value) == level_of(value)

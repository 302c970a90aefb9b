"""Which runbook an incident gets: the most specific, the same each time, each no with a reason."""

from __future__ import annotations

import fnmatch
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.incidents import registry
from selfheal.remedy import match
from tests.remedy import scenes
from tests.remedy.test_parsing import parsed


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


def book(name, alert_type="ServiceDown", severity=None, labels=None, values=None):
    metadata = {"alert_type": alert_type}
    metadata.update(
        {"severity": severity} if severity else {}, **({"labels": labels} if labels else {})
    )
    return parsed(scenes.runbook(name=name, metadata=metadata, values=values or {}))


def incident_of(ctx, **fields):
    return registry.get(ctx.store, scenes.add_incident(ctx.store, **fields))


def test_the_most_specific_runbook_wins_in_any_order_of_search(ctx):
    incident = incident_of(ctx)
    books = [
        book("glob", "Service*"),
        book("longer_glob", "ServiceDow?"),
        book("exact"),
        book("exact_and_label", labels={"service": "sh*"}),
        book("exact_label_and_severity", labels={"service": "shop"}, severity=["critical"]),
    ]
    for order in itertools.permutations(books):
        assert match.find(order, incident).runbook.name == "exact_label_and_severity"
    for count in range(len(books), 0, -1):
        assert match.find(books[:count], incident).runbook.name == books[count - 1].name


def test_among_equals_the_first_in_order_of_search_wins(ctx):
    incident = incident_of(ctx)
    assert match.find([book("b"), book("a")], incident).runbook.name == "b"


def test_nothing_fits_and_each_near_one_says_why(ctx):
    incident = incident_of(ctx, severity="warning")
    found = match.find(
        [
            book("other", "DiskFull"),
            book("severe", severity="critical"),
            book("labelled", labels={"tier": "web"}),
            book("valued", values={"HOST": "labels.host"}),
        ],
        incident,
    )
    assert found.runbook is None
    assert found.considered == (
        ("severe", "it is for severity critical only"),
        ("labelled", "the label tier does not match web"),
        ("valued", "it needs labels.host, which this incident does not have"),
    )


def test_case_counts_and_the_whole_name_is_matched(ctx):
    incident = incident_of(ctx)
    for pattern in ("servicedown", "Service", "Down"):
        assert match.find([book("a", pattern)], incident).runbook is None


def test_a_type_of_any_length_is_matched_in_no_time(ctx):
    incident = incident_of(ctx, alert_type="a" * 100000)
    assert match.find([book("a", "*a*a*a*a*a*a*b")], incident).runbook is None


@given(text=st.text("ab[]!*-\n", max_size=12), pattern=st.text("ab[]!*?-\n", max_size=8))
def test_patterns_mean_what_they_mean_to_fnmatch(text, pattern):
    assert match._matches(text, pattern) == fnmatch.fnmatchcase(text, pattern)

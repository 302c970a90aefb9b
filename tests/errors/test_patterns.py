"""What people ask about patterns of errors, and what they get."""

from __future__ import annotations

import pytest

from selfheal import door
from selfheal.errors import patterns
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents.signal import time_text
from tests import book_scene
from tests.book_scene import NOW, evaluate, judgement, pair, pairs


@pytest.fixture
def ctx(url):
    ctx = book_scene.context(url)
    book_scene.book(ctx).store(
        pairs(5, -50, pattern="often", severity="critical", error_type="database") +
        pairs(2, -10, first=50, pattern="late", host="node-2") +
        [pair(90, -7200, pattern="early", error_type="storage")]
    )
    evaluate(ctx)
    return ctx


def print_of(pattern):
    return judgement(pattern).fingerprint


def names(result):
    return [one["template"].split()[0] for one in result["patterns"]]


def test_most_frequent_first(ctx):
    result = patterns.error_pattern_list(ctx)
    assert names(result) == ["often", "late", "early"] and result["count"] == 3
    first = result["patterns"][0]
    assert (first["occurrences"], first["open_incidents"], first["merged"]) == (5, 1, 0)
    assert (first["error_type"], first["severity"]) == ("database", "critical")
    assert first["last_seen_at"] == time_text(NOW - 46)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"order": "last_seen"}, ["late", "often", "early"]),
        ({"order": "first_seen", "limit": 1}, ["late"]),
        ({"type": "storage"}, ["early"]),
        ({"severity": "critical"}, ["often"]),
        ({"hours": 1}, ["often", "late"]),
        ({"hours": 0, "type": "network"}, []),
    ],
)
def test_each_filter_narrows(ctx, asked, found):
    assert names(patterns.error_pattern_list(ctx, **asked)) == found


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"type": "odd"}, "storage"),
        ({"severity": "awful"}, "critical, error, warning, info"),
        ({"order": "rank"}, "first_seen, last_seen, occurrences"),
        ({"limit": 0}, "from 1 to 200"),
        ({"limit": True}, "limit"),
        ({"hours": -1}, "hours"),
    ],
)
def test_wrong_filter_says_what_is_allowed(ctx, filters, named):
    with pytest.raises(InvalidInput, match=named):
        patterns.error_pattern_list(ctx, **filters)


def test_everything_about_one_pattern(ctx):
    found = patterns.error_pattern_get(ctx, print_of("often"))
    assert found["sample"] == "often 4" and found["merged_into"] is None and found["merged"] == []
    assert found["rate"] == {"last_5_minutes": 5, "last_hour": 5, "last_day": 5}
    (group,) = found["groups"]
    assert group["scope"] == "host=node-1, program=web" and group["occurrences"] == 5
    assert [one["document_id"] for one in found["samples"]] == [
        "logs/index/%d" % n for n in (4, 3, 2, 1, 0)
    ]
    (incident,) = found["incidents"]
    assert incident["incident_id"] == group["incident_id"] and incident["status"] == "open"


def test_samples_of_several_groups_are_the_latest_of_all(ctx):
    book_scene.book(ctx).store(
        [pair(200 + n, -n, "wide", host="node-%d" % (n % 3)) for n in range(30)]
    )
    samples = patterns.error_pattern_get(ctx, print_of("wide"))["samples"]
    assert [one["document_id"] for one in samples] == [
        "logs/index/%d" % (200 + n) for n in range(10)
    ]


def test_patterns_that_read_alike_are_suggested(ctx):
    words = "connection to server lost while reading the answer of shard"
    book_scene.book(ctx).store([pair(300, pattern="1 " + words), pair(301, pattern="2 " + words)])
    found = patterns.error_pattern_get(ctx, print_of("1 " + words))["similar"]
    assert [one["fingerprint"] for one in found] == [print_of("2 " + words)]
    assert 0 < found[0]["likeness"] <= 1 and found[0]["merged_into"] is None


def test_unknown_pattern_is_not_found(ctx):
    with pytest.raises(NotFound, match="error_pattern_list"):
        patterns.error_pattern_get(ctx, "v1:00000000000000000000")


def test_actions_answer_through_the_door(ctx, url):
    config = {"database": {"url": url}}
    ok, listed = door.call(
        "selfheal.errors.patterns.error_pattern_list", {"hours": 0}, config=config
    )
    assert ok and listed["count"] == 3
    ok, found = door.call(
        "selfheal.errors.patterns.error_pattern_get", {"fingerprint": print_of("late")},
        config=config,
    )
    assert ok and found["occurrences"] == 2

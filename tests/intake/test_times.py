"""Moments in every form that logs write them in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.intake.documents.times import epoch_of

MOMENT = datetime(2026, 11, 22, 1, 2, 3, tzinfo=timezone.utc).timestamp()
NOW = MOMENT + 600


@pytest.mark.parametrize(
    ("text", "after_s"),
    [
        ("2026-11-22T01:02:03Z", 0),
        ("2026-11-22t01:02:03z", 0),
        ("2026-11-22T01:02:03", 0),
        ("2026-11-22T01:02:03.5Z", 0.5),
        ("2026-11-22T01:02:03.123456789Z", 0.123456789),
        ("2026-11-22T01:02:03,25Z", 0.25),
        ("2026-11-22 01:02:03,125", 0.125),
        ("2026-11-22T02:02:03+01:00", 0),
        ("2026-11-22T02:02:03+0100", 0),
        ("2026-11-22T02:02:03+01", 0),
        ("2026-11-21T21:32:03-03:30", 0),
        ("2026-11-22 01:02:03 UTC", 0),
        ("2026-11-22 01:02:03 +0000", 0),
        ("2026-11-22 02:02:03 CET", 0),
        ("2026-11-21 20:02:03 EST", 0),
        ("2026-11-22 01:02:03.5 +0000 UTC", 0.5),
        ("2026-11-22 01:02:03.5 +0000 UTC m=+12.345", 0.5),
        ("2026/11/22 01:02:03", 0),
        ("2026-11-22_01:02:03", 0),
        ("2026.11.22 01:02:03", 0),
        ("20261122T010203Z", 0),
        ("20261122010203", 0),
        ("2026-11-22T01:02Z", -3),
        ("2026-11-22", -3723),
        ("Sun, 22 Nov 2026 01:02:03 GMT", 0),
        ("Sun, 22 Nov 2026 01:02:03 +0000", 0),
        ("Sun, 22 Nov 2026 02:02:03 +0100 (CET)", 0),
        ("Sunday, 22-Nov-2026 01:02:03 UTC", 0),
        ("22 Nov 2026 01:02:03.25", 0.25),
        ("22-Nov-2026 01:02:03", 0),
        ("22/Nov/2026:01:02:03 +0000", 0),
        ("[22/Nov/2026:02:02:03 +0100]", 0),
        ("Nov 22 01:02:03", 0),
        ("Nov 22 01:02:03.5", 0.5),
        ("Nov 22 2026 01:02:03", 0),
        ("Nov 22, 2026 1:02:03 AM", 0),
        ("Nov 22, 2026 @ 01:02:03.125", 0.125),
        ("November 22, 2026 01:02:03", 0),
        ("Sun Nov 22 01:02:03 2026", 0),
        ("Sun Nov 22 01:02:03.5 2026", 0.5),
        ("Sun Nov 22 01:02:03 UTC 2026", 0),
        ("E1122 01:02:03.500000", 0.5),
        ("1122 01:02:03.500000", 0.5),
        ("11/22/2026 01:02:03", 0),
        ("22/11/2026 01:02:03", 0),
        ("22.11.2026 01:02:03", 0),
        ("11/22/2026 01:02:03 AM", 0),
        ("11/22/2026, 01:02:03 PM", 12 * 3600),
        ("1795309323", 0),
        ("1795309323.5", 0.5),
        ("1795309323500", 0.5),
        (1795309323, 0),
        (1795309323.5, 0.5),
        (1795309323500, 0.5),
        (1795309323500000, 0.5),
        (1795309323500000000, 0.5),
        (["no time", None, "2026-11-22T01:02:03Z"], 0),
        ({"$date": "2026-11-22T01:02:03Z"}, 0),
    ],
)
def test_a_moment_is_read_in_each_form(text, after_s):
    assert epoch_of(text, NOW) == pytest.approx(MOMENT + after_s, abs=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "Z",
        "yesterday",
        "0001-01-01T00:00:00Z",
        "2026-13-22T01:02:03Z",
        "2026-02-30T01:02:03Z",
        "2026-11-22T25:02:03Z",
        "2026-11-22T01:60:03Z",
        "2026-11-22T01:02:61Z",
        "2026-11-22T01:02:03 XYZ",
        "2026-11-22T01:02:03+99:00",
        "03/04/2026 01:02:03",
        "13/13/2026 01:02:03",
        "13/22/2026 01:02:03 AM",
        "11/22/2026 13:02:03 PM",
        "2026-11-22T01:02:03Z" * 100,
        20261122,
        0,
        -1795309323,
        float("nan"),
        float("inf"),
        10**400,
        True,
        [],
        {},
        {"$date": {"$date": "2026-11-22T01:02:03Z"}},
        [[["2026-11-22T01:02:03Z"]]],
    ],
)
def test_what_is_no_moment_or_could_be_two_is_none(value):
    assert epoch_of(value, NOW) is None


def test_the_missing_year_is_the_latest_that_is_not_in_the_future():
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=timezone.utc).timestamp()
    assert epoch_of("Dec 31 23:59:59", new_year) == new_year - 6
    # A clock that is a little ahead over there is no reason to go back a year.
    assert epoch_of("Jan  1 00:00:10", new_year - 10) == new_year + 5


def test_the_29th_of_february_is_in_a_leap_year():
    in_2024 = datetime(2024, 2, 29, tzinfo=timezone.utc).timestamp()
    assert epoch_of("Feb 29 00:00:00", NOW) == in_2024
    in_2103 = datetime(2103, 1, 1, tzinfo=timezone.utc).timestamp()
    # 2100 is no leap year
    assert epoch_of("Feb 29 00:00:00", in_2103) == datetime(
        2096, 2, 29, tzinfo=timezone.utc
    ).timestamp()


def test_the_callers_zone_counts_only_where_the_text_names_none():
    assert epoch_of("2026-11-22T01:02:03", NOW, 3600.0) == MOMENT - 3600
    assert epoch_of("Nov 22 01:02:03", NOW, 3600.0) == MOMENT - 3600
    assert epoch_of("2026-11-22T01:02:03Z", NOW, 3600.0) == MOMENT


@given(
    st.integers(2 * 10**8, 7 * 10**9),
    st.integers(0, 999_999),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["milliseconds", "microseconds", "seconds"]),
)
def test_iso_text_is_read_as_python_reads_it(second, microsecond, offset_minutes, precision):
    zone = timezone(timedelta(minutes=offset_minutes))
    moment = datetime.fromtimestamp(second, zone).replace(microsecond=microsecond)
    text = moment.isoformat(timespec=precision)
    assert epoch_of(text) == pytest.approx(datetime.fromisoformat(text).timestamp(), abs=1e-5)


@given(st.from_regex(r"2026-11-22T01:0[0-9]:([0-9.,]{1,6}|6[01]\.9{1,30})Z", fullmatch=True))
def test_what_was_read_before_changes_nothing(text):
    import selfheal.intake.documents.times as times

    times._minutes.clear()
    alone = epoch_of(text)
    epoch_of(text[:17] + "00Z")
    assert epoch_of(text) == alone


@given(st.text(max_size=60) | st.floats() | st.integers())
def test_nothing_raises(value):
    found = epoch_of(value, NOW)
    assert found is None or -1e10 < found < 1e10

"""Schedules: cron lines and single times, by the clock of a time zone, against walking the minutes.

The oracle knows no cron library: it walks real minutes and compares wall-clock fields. What it says
of the two days on which the clock changes is what the documentation promises.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selfheal.exceptions import ConfigError
from selfheal.guard import schedule
from tests import needs

if sys.version_info >= (3, 9):
    from zoneinfo import ZoneInfo
else:
    from backports.zoneinfo import ZoneInfo

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
ZONES = (BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu", "America/Santiago")


@pytest.fixture(autouse=True)
def cronsim():
    needs.module("cronsim")


def at(text):
    """Seconds since the epoch of an ISO time with offset."""
    return datetime.fromisoformat(text).timestamp()


def told(seconds, zone):
    """What the clock of `zone` shows then, with its offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds, ZoneInfo(zone)).isoformat()


def recurring(cron, minutes=60, zone=BERLIN):
    return schedule.read({"cron": cron, "minutes": minutes, "timezone": zone}, "here")


def once(start, end, zone):
    entry = {"start": start, "end": end}
    return schedule.read({**entry, "timezone": zone} if zone else entry, "here")


# The oracle.


def values(field, least, most):
    """The numbers that a cron field (numbers, ranges, lists, steps) names."""
    found = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            low, high = least, most
        elif step and not high:
            high = most
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return found


def fits(cron, wall):
    minute, hour, day, month, weekday = cron.split()
    is_day = wall.day in values(day, 1, 31)
    is_weekday = wall.isoweekday() % 7 in {one % 7 for one in values(weekday, 0, 7)}
    both = day.startswith("*") or weekday.startswith("*")
    return (
        wall.minute in values(minute, 0, 59) and
        wall.hour in values(hour, 0, 23) and
        wall.month in values(month, 1, 12) and
        ((is_day and is_weekday) if both else (is_day or is_weekday))
    )


def walked(cron, zone, start, end):
    """The starts of `cron` from `start` to `end` (whole minutes, epoch seconds), by walking."""
    here = ZoneInfo(zone)
    is_rhythm = any(field.startswith("*") for field in cron.split()[:2])
    found, before = set(), datetime.fromtimestamp(start - 60, here)
    for moment in range(int(start), int(end), 60):
        now = datetime.fromtimestamp(moment, here)
        wall, last = now.replace(tzinfo=None), before.replace(tzinfo=None)
        skipped = [
            last + timedelta(minutes=minutes)
            for minutes in range(1, int((wall - last).total_seconds() // 60))
        ]
        if fits(cron, wall) and (is_rhythm or not now.fold):
            found.add(float(moment))
        if not is_rhythm and any(fits(cron, one) for one in skipped):
            found.add(float(moment))
        before = now
    return sorted(found)


MINUTES = st.sampled_from(("0", "30", "59", "*", "*/20", "5-10", "15,45", "0-59"))
HOURS = st.sampled_from(("2", "0", "23", "*", "*/2", "1-3", "2,14", "0-23", "3"))
DAYS = st.sampled_from(("*", "1", "29", "31", "*/7", "1-7", "28-31", "30"))
MONTHS = st.sampled_from(("*", "2", "12", "1", "3,10,11", "*/3"))
WEEKDAYS = st.sampled_from(("*", "0", "7", "5", "1-5", "*/2", "6,0"))
CRONS = st.builds(
    lambda *fields: " ".join(fields), MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS
).filter(lambda cron: not re.search(r" 3[01] 2 ", cron))  # refused: no calendar has it
DAYS_TO_WATCH = st.sampled_from(
    (
        "2026-03-29",  # Berlin: 02:00 becomes 03:00
        "2026-10-25",  # Berlin: 03:00 becomes 02:00
        "2026-03-08",
        "2026-11-01",  # New York
        "2026-04-05",
        "2026-10-04",  # Lord Howe: half an hour
        "2026-09-06",  # Santiago: midnight becomes one o'clock
        "2024-02-29",
        "2023-02-28",
        "2026-12-31",
        "2027-01-01",
        "2026-06-15",
    )
)


@given(CRONS, st.sampled_from(ZONES), DAYS_TO_WATCH, st.integers(0, 1439), st.integers(1, 4000))
@example("30 2 * * *", BERLIN, "2026-03-29", 60, 30)
@example("30 2 * * *", BERLIN, "2026-10-25", 80, 60)
@example("*/30 2 * * *", BERLIN, "2026-10-25", 80, 10)
@example("30 * * * *", BERLIN, "2026-03-29", 70, 90)
@example("0-59 0-23 * * *", LORD_HOWE, "2026-04-05", 900, 1)
def test_schedule_is_what_walking_the_minutes_finds(cron, zone, day, minute, minutes):
    now = at(day + "T00:00:00+00:00") + 60.0 * minute
    found = recurring(cron, minutes, zone)
    reach = 60.0 * minutes
    starts = walked(cron, zone, now - reach, now + 2 * 86400)
    inside = [start for start in starts if start <= now < start + reach]
    assert schedule.span_at(found, now) == (
        (inside[-1], inside[-1] + reach) if inside else None
    )
    later = [start for start in starts if start > now]
    following = schedule.next_start(found, now)
    if later:
        assert following == later[0]
    else:
        assert following is None or following >= now + 2 * 86400


@given(CRONS, st.sampled_from(ZONES), DAYS_TO_WATCH, st.floats(0, 59.999))
def test_seconds_within_a_minute_change_nothing(cron, zone, day, seconds):
    """Starts lie on whole minutes, so all of a minute is inside or all of it is outside."""
    now = at(day + "T01:30:00+00:00")
    found = recurring(cron, 7, zone)
    assert schedule.span_at(found, now + seconds) == schedule.span_at(found, now)


# The two days on which the clock changes, and the calendar's corners, in words.


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # 02:30 does not exist: it begins as the clock jumps.
        ("30 2 * * *", BERLIN, "2026-03-29T00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", BERLIN, "2026-03-29T03:00+02:00", "2026-03-30T02:30:00+02:00"),
        ("30 2 * * *", NEW_YORK, "2026-03-08T00:00-05:00", "2026-03-08T03:00:00-04:00"),
        ("15 2 * * *", LORD_HOWE, "2026-10-04T00:00+10:30", "2026-10-04T02:30:00+11:00"),
        # 02:30 comes twice: only the first one counts.
        ("30 2 * * *", BERLIN, "2026-10-25T00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", BERLIN, "2026-10-25T02:30+02:00", "2026-10-26T02:30:00+01:00"),
        # A rhythm goes on in real time.
        ("30 * * * *", BERLIN, "2026-03-29T01:30+01:00", "2026-03-29T03:30:00+02:00"),
        ("30 * * * *", BERLIN, "2026-10-25T02:30+02:00", "2026-10-25T02:30:00+01:00"),
        ("*/30 2 * * *", BERLIN, "2026-10-25T02:30+02:00", "2026-10-25T02:00:00+01:00"),
        ("0 12 29 2 *", BERLIN, "2026-01-01T00:00+01:00", "2028-02-29T12:00:00+01:00"),
        ("0 0 31 * *", BERLIN, "2026-01-31T00:00+01:00", "2026-03-31T00:00:00+02:00"),
        ("0 0 1 1 *", BERLIN, "2026-12-31T23:59+01:00", "2027-01-01T00:00:00+01:00"),
        ("0 0 L * *", BERLIN, "2028-02-01T00:00+01:00", "2028-02-29T00:00:00+01:00"),
        ("0 22 * * FRI", BERLIN, "2026-11-22T00:00+01:00", "2026-11-27T22:00:00+01:00"),
    ],
)
def test_next_start(cron, zone, after, expected):
    assert told(schedule.next_start(recurring(cron, 60, zone), at(after)), zone) == expected


@pytest.mark.parametrize(
    ("cron", "now", "is_inside"),
    [
        ("30 2 * * *", "2026-03-29T01:59+01:00", False),
        ("30 2 * * *", "2026-03-29T03:00+02:00", True),
        ("30 2 * * *", "2026-03-29T03:59+02:00", True),
        ("30 2 * * *", "2026-03-29T04:00+02:00", False),
        ("30 2 * * *", "2026-10-25T02:29+02:00", False),
        ("30 2 * * *", "2026-10-25T02:30+02:00", True),
        ("30 2 * * *", "2026-10-25T02:20+01:00", True),  # 50 minutes later, in the second hour
        ("30 2 * * *", "2026-10-25T02:30+01:00", False),
        ("59 23 31 12 *", "2027-01-01T00:58+01:00", True),
        ("59 23 31 12 *", "2027-01-01T00:59+01:00", False),
    ],
)
def test_an_hour_from_then(cron, now, is_inside):
    assert (schedule.span_at(recurring(cron, 60), at(now)) is not None) is is_inside


@pytest.mark.parametrize(
    ("evening", "end"),
    [
        ("2026-03-28T22:00+01:00", "2026-03-29T07:00:00+02:00"),
        ("2026-10-24T22:00+02:00", "2026-10-25T05:00:00+01:00"),
        ("2026-06-01T22:00+02:00", "2026-06-02T06:00:00+02:00"),
    ],
)
def test_length_is_in_real_minutes(evening, end):
    night = recurring("0 22 * * *", 480)
    assert told(schedule.end_at(night, at(evening)), BERLIN) == end


def test_long_window_is_open_long_after_its_start():
    week = recurring("0 18 * * 5", 7 * 24 * 60 - 1)
    assert schedule.span_at(week, at("2026-11-27T17:58+01:00")) is not None
    assert schedule.span_at(week, at("2026-11-27T17:59+01:00")) is None
    year = recurring("0 0 1 3 *", 364 * 24 * 60)
    assert schedule.span_at(year, at("2027-02-27T00:00+01:00")) is not None
    assert schedule.span_at(year, at("2027-02-28T00:00+01:00")) is None


def test_occurrences_that_overlap_or_touch_end_together():
    mornings = recurring("0,45 8 * * *", 60)
    assert told(schedule.end_at(mornings, at("2026-06-01T08:10+02:00")), BERLIN) == (
        "2026-06-01T09:45:00+02:00"
    )
    touching = recurring("0 8,9 * * *", 60)
    assert told(schedule.end_at(touching, at("2026-06-01T08:10+02:00")), BERLIN) == (
        "2026-06-01T10:00:00+02:00"
    )


def test_what_never_ends_is_told_to_last_at_least_for_a_while():
    now = at("2026-06-01T08:10+02:00")
    assert schedule.end_at(recurring("*/5 * * * *", 10), now) > now + 3600


def test_day_that_no_calendar_has_never_comes():
    never = recurring("0 0 */20 1 1L")  # the 1st and the 21st are never a month's last Monday
    now = at("2026-06-01T08:10+02:00")
    assert schedule.next_start(never, now) is None
    assert schedule.span_at(never, now) is None


# Once.


@pytest.mark.parametrize(
    ("start", "end", "zone", "first", "last"),
    [
        ("2026-12-24 18:00", "2026-12-27 06:00", BERLIN, "2026-12-24T17:00", "2026-12-27T05:00"),
        ("2026-12-24T18:00+01:00", "2026-12-24 19:00Z", "", "2026-12-24T17:00", "2026-12-24T19:00"),
        ("2026-07-01 00:00", "2026-07-01 00:01", "UTC", "2026-07-01T00:00", "2026-07-01T00:01"),
        # A skipped time is when the clock jumps; of one that comes twice, a start is the first and
        # an end the last.
        ("2026-03-29 02:30", "2026-03-29 04:00", BERLIN, "2026-03-29T01:00", "2026-03-29T02:00"),
        ("2026-10-25 02:30", "2026-10-25 02:45", BERLIN, "2026-10-25T00:30", "2026-10-25T01:45"),
    ],
)
def test_once_from_then_to_then(start, end, zone, first, last):
    found = once(start, end, zone)
    begins, ends = at(first + "+00:00"), at(last + "+00:00")
    assert schedule.span_at(found, begins - 0.001) is None
    assert schedule.span_at(found, begins) == (begins, ends)
    assert schedule.span_at(found, ends - 0.001) == (begins, ends)
    assert schedule.span_at(found, ends) is None
    assert schedule.end_at(found, begins) == ends
    assert schedule.next_start(found, begins - 1) == begins
    assert schedule.next_start(found, begins) is None


# What cannot be read.


def entry(**changes):
    full = {"cron": "0 22 * * 5", "minutes": 60, "timezone": BERLIN, **changes}
    return {key: value for key, value in full.items() if value is not ...}


def single(**changes):
    full = {"start": "2026-12-24 18:00", "end": "2026-12-25 18:00", "timezone": BERLIN, **changes}
    return {key: value for key, value in full.items() if value is not ...}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (entry(cron="0 22 * *"), r"here\.cron must be five fields .*not '0 22 \* \*'"),
        (entry(cron="0 0 22 * * 5"), r"here\.cron must be five fields"),
        (entry(cron="@daily"), r"here\.cron must be five fields"),
        (entry(cron=None), r"here\.cron must be five fields .*not None"),
        (entry(cron=5), r"here\.cron must be five fields"),
        (entry(cron="61 * * * *"), r"here\.cron '61 .*cannot be read .*Bad minute"),
        (entry(cron="0 24 * * *"), r"here\.cron .*Bad hour"),
        (entry(cron="* * * * XYZ"), r"here\.cron .*Bad day-of-week"),
        (entry(cron="0 0 31 2 *"), r"here\.cron .*Bad day"),
        (entry(cron="*/0 * * * *"), r"here\.cron .*cannot be read"),
        (entry(cron="\x00 * * * *"), r"here\.cron .*cannot be read"),
        (entry(minutes=...), r"here\.minutes must be how long it lasts"),
        (entry(minutes=0), r"here\.minutes must be .*not 0"),
        (entry(minutes=-5), r"here\.minutes must be"),
        (entry(minutes=527041), r"here\.minutes must be .*at most 527040"),
        (entry(minutes="60"), r"here\.minutes must be .*not '60'"),
        (entry(minutes=True), r"here\.minutes must be"),
        (entry(minutes=float("nan")), r"here\.minutes must be"),
        (entry(minutes=float("inf")), r"here\.minutes must be"),
        (entry(timezone=...), r"here\.timezone must name the time zone"),
        (entry(timezone=""), r"here\.timezone must name the time zone"),
        (entry(timezone="Berlin"), r"here\.timezone 'Berlin' is not a time zone"),
        (entry(timezone="../../etc/passwd"), r"here\.timezone .*is not a time zone"),
        (entry(timezone="/etc/localtime"), r"here\.timezone .*is not a time zone"),
        (entry(timezone="Europe"), r"here\.timezone 'Europe' is not a time zone"),
        (entry(timezone="Europe/\x00Berlin"), r"here\.timezone .*is not a time zone"),
        (entry(cron=..., minutes=...), r"here says no time: give it cron and minutes"),
        (entry(start="2026-12-24 18:00"), r"here must have either cron and minutes, or start"),
        (single(minutes=5), r"here must have either cron and minutes, or start"),
        (single(end=...), r"here\.end must be a time to the minute"),
        (single(start=...), r"here\.start must be a time to the minute"),
        (single(start="tomorrow"), r"here\.start must be a time .*not 'tomorrow'"),
        (single(start="2026-12-24"), r"here\.start must be a time"),
        (single(start="2026-13-24 18:00"), r"here\.start '2026-13-24 18:00' is no time"),
        (single(start="2026-02-29 18:00"), r"here\.start .*is no time"),
        (single(start="0000-01-01 00:00"), r"here\.start .*is no time"),
        (single(end="2026-12-24 18:00"), r"here\.end .*must be after here\.start"),
        (single(timezone=...), r"here\.timezone must name the time zone"),
        # Made by YAML from a time with seconds, or by StackStorm's store from that: it may have
        # lost its offset.
        (single(start="2026-12-24T18:00:00"), r"here\.start must be .*without seconds"),
        (single(start=datetime(2026, 12, 24, tzinfo=timezone.utc)), r"here\.start .*in quotes"),
    ],
)
def test_bad_entry_is_named_with_its_key(written, said):
    with pytest.raises(ConfigError, match=said):
        schedule.read(written, "here")


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_a_schedule_or_a_mistake_in_the_configuration(cron, zone):
    for words in (cron, "0 0 * * " + cron, re.sub(r"\s", "", cron) + " 1 * * *"):
        for name in (zone, "UTC"):
            try:
                found = schedule.read({"cron": words, "minutes": 5, "timezone": name}, "here")
            except ConfigError as error:
                assert str(error).startswith("here.")
            else:
                schedule.span_at(found, 1.7e9)


def test_cron_library_and_zones_are_not_imported_for_a_time_with_an_offset():
    import subprocess

    lines = (
        "import sys; sys.path.insert(0, 'actions/lib')",
        "from selfheal.guard import pause, quiet, schedule, windows",
        "one = {'start': '2026-12-24T18:00Z', 'end': '2026-12-24T19:00Z'}",
        "schedule.span_at(schedule.read(one, 'here'), 0.0)",
        "sys.exit(any(name in sys.modules for name in ('cronsim', 'zoneinfo')))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False)
    assert done.returncode == 0

"""Above the limit errors are counted by the search instead of read: the cost stays bounded, the
totals stay true, and it says so.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.errors.judge import Judge
from selfheal.intake.documents.reading import Reading
from selfheal.intake.elk import storm
from tests.elk_scene import NOW, Bucket, Monitor, Shelf

MINUTE = 60.0
LIMIT = 50


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def monitor(url, shelf):
    return Monitor(url, shelf, max_documents_per_poll=LIMIT)


def within(shelf, start):
    """How many documents the shelf has from `start` on."""
    return sum(1 for at, _ in shelf.documents.values() if at >= start)


def test_storm_is_counted_exactly_without_reading_it_and_says_so(monitor, shelf):
    monitor.poll()
    shelf.put_many(400, NOW + 1, step=0.1)
    found = monitor.poll(MINUTE)
    assert monitor.total() == 400 and len(monitor.stored()) < LIMIT
    assert found["storm"]["documents"] == found["storm"]["new"] == 400
    assert "counted by aggregation" in found["storm"]["note"]
    assert len(monitor.incidents()) == 1 and found["dispatched"] == 1


def test_looks_at_a_storm_again_add_only_what_is_new(monitor, shelf):
    monitor.poll()
    shelf.put_many(300, NOW + 1, step=0.1)
    monitor.poll(MINUTE)
    monitor.restart()
    assert monitor.poll(30)["storm"]["new"] == 0
    shelf.put_many(7, NOW + 5, step=0.1, prefix="late")
    assert monitor.poll(30)["storm"]["new"] == 7
    assert monitor.total() == 307


def test_minute_that_was_read_in_part_before_the_storm_counts_each_error_once(monitor, shelf):
    monitor.poll()
    early = shelf.put_many(20, NOW + 1, step=0.1, prefix="early")
    monitor.poll(5)
    assert monitor.stored() == sorted(early)
    shelf.put_many(200, NOW + 6, step=0.1)
    monitor.poll(40)
    assert monitor.total() == 220


def test_after_a_storm_errors_are_read_one_by_one_again(monitor, shelf):
    monitor.poll()
    shelf.put_many(300, NOW + 1, step=0.1)
    monitor.poll(MINUTE)
    assert len(monitor.stored()) == 0
    ids = []
    for turn in range(8):
        ids += shelf.put_many(4, monitor.clock.at + MINUTE + 1, prefix="after%d-" % turn)
        monitor.poll(2 * MINUTE)
    assert monitor.total() == 300 + len(ids)
    assert set(monitor.stored()) <= set(ids) and len(monitor.stored()) >= len(ids) - 4


def test_storm_that_arrives_late_is_counted_as_well(monitor, shelf):
    monitor.poll()
    read = shelf.put_many(10, NOW + 1, step=1, prefix="read")
    monitor.poll(MINUTE)
    shelf.put_many(300, NOW + 2, step=0.1, prefix="late")
    monitor.poll(MINUTE)
    assert monitor.stored() == sorted(read) and monitor.total() == 310
    shelf.put_many(200, NOW + 3, step=0.1, prefix="later")
    monitor.poll(30 * MINUTE)
    assert monitor.total() == 510


def test_two_sensors_in_a_storm_count_it_once(url, shelf):
    one = Monitor(url, shelf, max_documents_per_poll=LIMIT)
    other = Monitor(url, shelf, one.clock, one.triggers, max_documents_per_poll=LIMIT)
    one.poll()
    for turn in range(6):
        shelf.put_many(90, one.clock.at + 1, step=0.2, prefix="t%d-" % turn)
        (one if turn % 2 else other).poll(MINUTE)
        (other if turn % 2 else one).poll()
    assert one.total() == 540 and len(one.incidents()) == 1


def test_errors_in_several_programs_become_groups_of_their_own(monitor, shelf):
    monitor.poll()
    shelf.put_many(100, NOW + 1, step=0.1, prefix="a", program="api", message="disk is full")
    shelf.put_many(60, NOW + 1, step=0.1, prefix="b", program="worker", message="no route to host")
    shelf.put_many(3, NOW + 1, step=0.1, prefix="c", program="cron", message="exit status 7")
    monitor.poll(MINUTE)
    rows = monitor.store.query("SELECT program, occurrences FROM error_groups")
    assert {row["program"]: row["occurrences"] for row in rows} == {
        "api": 100,
        "worker": 60,
        "cron": 3,
    }
    assert len(monitor.incidents()) == 2


def test_storm_that_breaks_off_leaves_the_checkpoint(monitor, shelf):
    monitor.poll()
    shelf.put_many(400, NOW + 1, step=0.1)
    real = shelf.minutes

    def broken(start, end):
        yield from list(real(start, end))[:1]
        raise RuntimeError("cut off")

    shelf.minutes = broken
    with pytest.raises(RuntimeError):
        monitor.poll(MINUTE)
    assert monitor.until() == NOW
    shelf.minutes = real
    monitor.poll(MINUTE)
    assert monitor.total() == 400


def test_bucket_without_a_sample_is_counted_all_the_same():
    reading = Reading("default", now=NOW)
    shares = storm.shares_of(Bucket(int(NOW), "program=x", 12, []), Judge(), reading)
    assert [count for _, _, count in shares] == [12]


def test_documents_are_shared_out_over_what_the_samples_are():
    hits = [
        {"_index": "i", "_id": str(number), "_source": {"message": text}}
        for number, text in enumerate(["disk is full", "disk is full", "no route to host"])
    ]
    shares = storm.shares_of(
        Bucket(int(NOW), "program=x", 100, hits), Judge(), Reading("default", now=NOW)
    )
    assert sorted(count for _, _, count in shares) == [33, 67]


@given(
    st.integers(0, 10**6),
    st.integers(1, 7200),
    st.sets(st.integers(-5, 125), max_size=20),
    st.integers(0, 59),
)
def test_splitting_covers_the_time_exactly_once(offset, length, minutes, fraction):
    start = offset * 60.0 + fraction
    end = start + length
    first = int(start // 60)
    inside_minutes = {first + minute for minute in minutes}
    outside, inside = storm.split(start, end, inside_minutes)
    for moment in range(int(start), int(end), 7):
        is_storm = moment // 60 in inside_minutes
        assert sum(a <= moment < b for a, b in inside) == int(is_storm)
        assert sum(a <= moment < b for a, b in outside) == int(not is_storm)
    assert all(a % 60 == 0 and b % 60 == 0 for a, b in inside)
    assert all(start <= a < b <= end for a, b in outside)

"""Errors that came too late for every look: found by counting, read once, and not asked about in
vain.
"""

from __future__ import annotations

import pytest

from tests.elk_scene import NOW, Monitor, Shelf

MINUTE = 60.0


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def monitor(url, shelf):
    return Monitor(url, shelf)


def test_errors_beyond_every_overlap_are_found_counted_and_stored_once(monitor, shelf):
    monitor.poll()
    monitor.poll(40 * MINUTE)
    late = shelf.put_many(6, NOW + 10 * MINUTE, step=5, prefix="late")
    assert monitor.poll(MINUTE)["late"] == 0  # not each minute
    found = monitor.poll(10 * MINUTE)
    assert found["late"] == 6 and monitor.stored() == sorted(late)
    assert len(monitor.incidents()) == 1
    assert monitor.poll(10 * MINUTE)["late"] == 0


def test_errors_from_before_the_first_look_are_nobodys_late_ones(monitor, shelf):
    shelf.put_many(6, NOW - 30 * MINUTE, step=5)
    monitor.poll()
    assert monitor.poll(11 * MINUTE)["late"] == 0 and monitor.stored() == []


def test_what_is_counted_alike_is_not_read_again(monitor, shelf):
    shelf.put_many(10, NOW - 100)
    monitor.poll()
    monitor.poll(11 * MINUTE)
    pages = shelf.times("pages")
    monitor.poll(11 * MINUTE)
    assert shelf.times("pages") == pages + 1  # the look itself


def test_difference_that_reading_does_not_explain_is_read_once(monitor, shelf):
    shelf.put_many(10, NOW - 100)
    monitor.poll()
    # Rows that the search does not know any more: an index that has expired.
    for document_id in list(shelf.documents)[:4]:
        del shelf.documents[document_id]
    monitor.poll(11 * MINUTE)
    before = shelf.times("pages")
    monitor.poll(11 * MINUTE)
    monitor.poll(11 * MINUTE)
    assert shelf.times("pages") == before + 2
    late = shelf.put_many(2, NOW - 90, prefix="late")
    assert monitor.poll(11 * MINUTE)["late"] == 2
    assert set(late) <= set(monitor.stored())


def test_storms_are_compared_by_their_counts(url, shelf):
    monitor = Monitor(url, shelf, max_documents_per_poll=50)
    monitor.poll()
    shelf.put_many(300, NOW + 1, step=0.1)
    monitor.poll(MINUTE)
    shelf.put_many(5, NOW + 3, step=0.1, prefix="late")
    found = monitor.poll(20 * MINUTE)
    assert monitor.total() == 305 and found["storm"]["new"] == 5


def test_nothing_is_compared_when_there_is_nothing_to_compare(url):
    shelf = Shelf(late_minutes=0)
    monitor = Monitor(url, shelf)
    shelf.put_many(3, NOW - 30 * MINUTE)
    monitor.poll()
    monitor.poll(11 * MINUTE)
    assert monitor.stored() == []

"""A look at the errors: from where the last one ended, nothing lost, nothing twice, and it says
what it did.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import ExternalError, StoreError
from selfheal.intake.elk import poll as elk
from selfheal.intake.elk import reached
from tests.elk_scene import NOW, Monitor, Shelf

MINUTE = 60.0


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def monitor(url, shelf):
    return Monitor(url, shelf)


def test_first_look_covers_the_window_and_sets_the_checkpoint(monitor, shelf):
    shelf.put("old", NOW - 8 * MINUTE)
    shelf.put("within", NOW - 4 * MINUTE)
    found = monitor.poll()
    assert monitor.stored() == ["within"]
    assert (found["found"], found["new"], found["checkpoint"]) == (1, 1, NOW)
    assert monitor.until() == NOW


def test_documents_of_a_window_polled_every_minute_are_counted_once(monitor, shelf):
    ids = shelf.put_many(4, NOW - 4 * MINUTE, prefix="a")
    for _ in range(5):
        monitor.poll(MINUTE)
    assert monitor.stored() == sorted(ids) and monitor.total() == 4
    assert monitor.incidents() == []  # four in the window, not four for each poll


def test_threshold_opens_one_incident_and_asks_for_its_response(monitor, shelf):
    shelf.put_many(5, NOW - 60, step=2)
    found = monitor.poll()
    assert len(monitor.incidents()) == 1 and found["opened"] == 1 and found["dispatched"] == 1
    assert [trigger for trigger, _ in monitor.triggers.sent] == ["selfheal.elk_error"]
    assert monitor.poll(MINUTE)["opened"] == 0
    assert len(monitor.triggers.sent) == 1


def test_restarted_sensor_reads_again_and_changes_nothing(monitor, shelf):
    ids = shelf.put_many(20, NOW - 100)
    monitor.poll()
    monitor.restart()
    found = monitor.poll()
    assert found["found"] == 20 and found["new"] == 0
    assert monitor.stored() == sorted(ids) and len(monitor.incidents()) == 1


def test_documents_indexed_up_to_the_delay_late_are_found(monitor, shelf):
    monitor.poll()
    shelf.put("late", NOW - shelf.settings["query_delay_s"] + 1)
    found = monitor.poll(MINUTE)
    assert monitor.stored() == ["late"] and found["late"] == 0


def test_documents_later_than_the_delay_are_counted_when_seen_and_only_once(monitor, shelf):
    monitor.poll()
    shelf.put("late", NOW - shelf.settings["query_delay_s"] - 10)
    assert monitor.poll(MINUTE)["late"] == 1
    monitor.restart()
    assert monitor.poll(MINUTE)["late"] == 0
    assert monitor.stored() == ["late"]


def test_outage_is_caught_up_in_slices_from_the_last_success(url, shelf):
    monitor = Monitor(url, shelf)
    monitor.poll()
    ids = shelf.put_many(200, NOW, step=30)  # 100 minutes in which nobody looked
    found = monitor.poll(100 * MINUTE)
    assert monitor.stored() == sorted(ids)
    assert found["slices"] == 7 and found["late"] == 0 and found["lag_s"] == 0
    spans = [asked[2] - asked[1] for asked in shelf.asked if asked[0] == "pages"][1:]
    assert max(spans) <= 15 * MINUTE + shelf.settings["query_delay_s"] + elk.AHEAD_S


def test_look_that_takes_too_long_stops_and_the_next_goes_on_from_its_checkpoint(url, shelf):
    monitor = Monitor(url, shelf)
    monitor.poll()
    ids = shelf.put_many(200, NOW, step=30)
    real = shelf.pages

    def slow(start, end, page_size=None):
        monitor.clock.at += 30  # the wall clock and the monotonic one are one here
        return real(start, end, page_size)

    shelf.pages = slow
    first = monitor.poll(100 * MINUTE)
    assert first["behind"] and first["slices"] == 2 and first["lag_s"] > 0
    reached = monitor.until()
    assert NOW + 30 * MINUTE == reached
    for _ in range(10):
        if not monitor.poll(30)["behind"]:
            break
    assert monitor.stored() == sorted(ids) and monitor.until() > reached


def test_catching_up_takes_smaller_slices_when_there_is_much(url, shelf):
    monitor = Monitor(url, shelf, max_documents_per_poll=150)
    monitor.poll()
    ids = shelf.put_many(1200, NOW, step=3)  # 300 in a slice of 15 minutes, 100 in a window
    found = monitor.poll(60 * MINUTE)
    looks = 1
    while found["behind"] and looks < 20:
        assert found["storm"] is None
        found = monitor.poll()
        looks += 1
    assert 1 < looks < 20 and monitor.stored() == sorted(ids)


def test_answer_that_breaks_off_leaves_the_checkpoint_and_loses_nothing(url):
    shelf = Shelf(page_size=10)
    monitor = Monitor(url, shelf)
    monitor.poll()
    ids = shelf.put_many(50, NOW, step=1)
    shelf.fails_after = 3
    with pytest.raises(ExternalError):
        monitor.poll(MINUTE)
    assert len(monitor.stored()) == 30 and monitor.until() == NOW
    shelf.fails_after = None
    found = monitor.poll(MINUTE)
    assert found["new"] == 20 and monitor.stored() == sorted(ids)
    assert len(monitor.incidents()) == 1


def test_triggers_that_do_not_get_out_hold_the_checkpoint_but_not_the_documents(monitor, shelf):
    monitor.poll()
    shelf.put_many(6, NOW, step=1)
    monitor.triggers.down = True
    found = monitor.poll(MINUTE)
    assert "StackStorm is down" in found["error"]
    assert len(monitor.stored()) == 6 and monitor.until() == NOW
    shelf.put_many(6, NOW + 70, step=1, prefix="more", program="other")
    monitor.poll(MINUTE)
    assert len(monitor.stored()) == 12 and monitor.until() == NOW
    monitor.triggers.down = False
    monitor.poll(MINUTE)
    assert monitor.until() == NOW + 3 * MINUTE
    assert len(monitor.incidents()) == 2 and len(monitor.triggers.sent) == 2


def test_triggers_that_do_not_get_out_for_long_do_not_stop_the_reading(url):
    shelf = Shelf()
    monitor = Monitor(url, shelf)
    monitor.poll()
    shelf.put_many(6, NOW, step=1)
    monitor.triggers.down = True
    monitor.poll(MINUTE)
    before = shelf.times("pages")
    monitor.poll(60 * MINUTE)
    monitor.poll(MINUTE)
    assert shelf.times("pages") - before < 8  # it goes on where it was, not at the checkpoint


def test_clock_that_is_set_back_never_moves_the_checkpoint_back(monitor, shelf, caplog):
    monitor.poll()
    shelf.put("then", NOW - 30)
    monitor.poll(-10 * MINUTE)
    assert monitor.until() == NOW and monitor.stored() == ["then"]
    assert reached.looked_until(monitor.store, "default") == NOW - 10 * MINUTE
    assert "set back" in caplog.text
    shelf.put("now", NOW + 20)
    monitor.poll(11 * MINUTE)
    assert monitor.stored() == ["now", "then"] and monitor.until() == NOW + MINUTE


def test_outage_after_the_clock_was_set_back_is_caught_up_from_the_last_look(monitor, shelf):
    monitor.poll(300 * MINUTE)  # a clock that was wrong for one look
    monitor.poll(-300 * MINUTE)
    ids = shelf.put_many(100, NOW, step=60)
    monitor.poll(120 * MINUTE)
    assert monitor.stored() == sorted(ids)


def test_incident_is_not_over_because_the_clock_was_set_back(monitor, shelf):
    monitor.poll(60 * MINUTE)
    shelf.put_many(6, NOW - 30)
    found = monitor.poll(-60 * MINUTE)
    assert (found["opened"], found["resolved"], found["late"]) == (1, 0, 0)


@pytest.mark.parametrize(
    "value",
    (
        "{",
        "[]",
        '{"until": "then"}',
        '{"until": true}',
        '{"until": NaN}',
        '{"until": -Infinity, "looked_at": NaN, "since": Infinity}',
        '{"until": 1%s, "looked_at": 1%s}' % ("0" * 400, "0" * 400),
        '{"until": 4102444800}',
        '{"until": 4102444800, "looked_at": 4102444800, "since": 4102444800, "more": {}}',
    ),
)
def test_checkpoint_that_somebody_spoiled_does_not_blind_the_look(monitor, shelf, value):
    monitor.store.execute(
        "INSERT INTO checkpoints (name, value, updated_at) VALUES (?, ?, ?)",
        (reached.checkpoint_name("default"), value, NOW),
    )
    ids = shelf.put_many(6, NOW - 60)
    found = monitor.poll()
    assert (found["opened"], found["resolved"]) == (1, 0)
    assert monitor.stored() == sorted(ids)
    shelf.put("next", NOW + 10)
    assert monitor.poll(MINUTE)["new"] == 1


def test_server_whose_clock_is_ahead_is_heard_now(monitor, shelf):
    shelf.put("ahead", NOW + 5 * MINUTE)
    monitor.poll()
    assert monitor.stored() == ["ahead"]


def test_unreadable_documents_are_counted_sampled_and_stored(monitor, shelf):
    shelf.put("fine", NOW - 10)
    shelf.documents["odd"] = (NOW - 9, {"message": {"deep": ["[1]", 7]}, "@timestamp": []})
    shelf.documents["empty"] = (NOW - 8, {})
    found = monitor.poll()
    assert found["rejected"] >= 1 and len(monitor.stored()) == 3
    samples = monitor.store.query("SELECT reason, sample FROM rejected_signals")
    assert len(samples) == found["rejected"]
    monitor.restart()
    assert monitor.poll(MINUTE)["rejected"] == 0
    assert len(monitor.store.query("SELECT id FROM rejected_signals")) == len(samples)


def test_overlap_costs_no_search_in_the_store(url, monkeypatch):
    shelf = Shelf()
    monitor = Monitor(url, shelf)
    shelf.put_many(100, NOW - 100)
    monitor.poll()
    stored = []
    monkeypatch.setattr(
        elk.ErrorBook, "store", lambda _book, pairs: stored.extend(pairs)  # must not be called
    )
    assert monitor.poll(30)["found"] == 100 and stored == []


def test_store_that_fails_in_the_middle_is_made_good_by_the_next_look(url, monkeypatch):
    shelf = Shelf(page_size=10)
    monitor = Monitor(url, shelf)
    ids = shelf.put_many(40, NOW - 60)
    real, calls = elk.ErrorBook.store, []

    def failing(book, pairs):
        calls.append(1)
        if len(calls) == 3:
            raise StoreError("the disk is full")
        return real(book, pairs)

    monkeypatch.setattr(elk.ErrorBook, "store", failing)
    with pytest.raises(StoreError):
        monitor.poll()
    assert monitor.until() is None and len(monitor.stored()) == 20
    monitor.poll(1)
    assert monitor.stored() == sorted(ids) and len(monitor.incidents()) == 1


def test_two_sensors_end_in_the_same_rows_and_one_incident(url, shelf):
    one, other = Monitor(url, shelf), None
    other = Monitor(url, shelf, one.clock, one.triggers)
    ids = []
    for turn in range(10):
        ids += shelf.put_many(3, one.clock.at + 1, prefix="t%d-" % turn)
        (one if turn % 2 else other).poll(MINUTE)
        if turn % 3 == 0:
            (other if turn % 2 else one).poll()
    assert one.stored() == sorted(ids) and one.total() == 30
    assert len(one.incidents()) == 1
    assert {name for name, _ in one.triggers.sent} == {"selfheal.elk_error"}
    assert len(set(one.triggers.ids("selfheal.elk_error"))) == 1


def test_health_that_cannot_be_asked_does_not_hinder_the_look(monitor, shelf):
    shelf.put("one", NOW - 10)
    shelf.health = lambda: (_ for _ in ()).throw(ExternalError("403 for the health"))
    found = monitor.poll()
    assert found["new"] == 1 and found["health"]["status"] == "unknown"


def test_new_patterns_are_told_once_where_that_is_wanted(url, shelf):
    monitor = Monitor(url, shelf, new_patterns=True)
    shelf.put_many(3, NOW - 60, message="disk is full")
    shelf.put("other", NOW - 50, message="no route to host")
    assert monitor.poll()["new_patterns"] == 2
    shelf.put("again", NOW + 10, message="disk is full")
    assert monitor.poll(MINUTE)["new_patterns"] == 0
    told = monitor.triggers.of("selfheal.new_error_pattern")
    assert len({one["fingerprint"] for one in told}) == len(told) == 2


def test_warnings_of_the_search_are_in_the_result(monitor, shelf):
    shelf.warnings = lambda: ["two indices map level differently"]
    assert monitor.poll()["warnings"] == ["two indices map level differently"]

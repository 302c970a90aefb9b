"""What a breaker learns of how long its calls take, and when that opens it."""

from __future__ import annotations

import pytest

from selfheal.breakers import saved
from selfheal.breakers.learned import LEARN_AFTER
from selfheal.breakers.machine import (
    CLOSED,
    OPEN,
    Breaker,
)
from tests.breakers.breaker_scene import (
    HOUR,
    NOW,
    breaker,
    learned,
)


def test_mean_over_the_learned_threshold_opens_it():
    one, now = learned(typical=2.0)
    for _ in range(3):
        one.record(now, True, 30.0)
    assert one.state == OPEN and "on average" in one.reason
    numbers = one.changes[-1].numbers
    assert 1.9 < numbers["typical_s"] < 2.1 and 5.5 < numbers["slow_over_s"] < 7


def test_one_outlier_opens_nothing_and_teaches_nothing():
    one, now = learned(typical=2.0)
    before = one.numbers(now)["slow_over_s"]
    for seconds in (2.0, 1e6, 2.0, 2.0):
        one.record(now, True, seconds)
    assert one.state == CLOSED
    assert one.numbers(now)["slow_over_s"] == pytest.approx(before, rel=0.1)


def test_outlier_among_the_first_does_not_throw_the_scale_over():
    one = breaker()
    for seconds in [1.0, 1.1, 0.9, 1.0, 1.0, 10_000.0, *([1.0] * 20)]:
        one.record(NOW, True, seconds)
    assert one.numbers(NOW)["slow_over_s"] < 10


def test_burst_outweighs_no_past():
    """Thousands of calls within a minute are one look at the service, not its whole past."""
    one = breaker(window_s=300.0, min_calls=10**9)
    for number in range(200):
        one.record(NOW + 15 * number, True, 2.0)
    for _ in range(5000):
        one.record(NOW + 3000, True, 4.0)
    assert one.numbers(NOW + 3000)["calls"] > 5000
    assert one.learned.typical_s < 2.2


def test_quick_successes_are_counted_as_all_others():
    """The short way that is taken while all is well ends with the part, a failure or a change."""
    one, now = learned(typical=2.0, window_s=300.0)
    other = Breaker(one.settings, NOW)
    other.learned = saved.Learned(*one.learned.as_list())
    for number in range(3000):
        at, is_ok, seconds = now + number / 10, number % 500 != 499, (2.0, 2.5, 40.0)[number % 3]
        seconds = 2.0 if seconds > 30 and number % 700 else seconds
        one.record(at, is_ok, seconds)
        other.record(at, is_ok, seconds)
        again = saved.loaded(saved.dumped(other), one.settings, at)  # never on the short way
        again.changes = other.changes
        other = again
    first, second = one.numbers(now + 300), other.numbers(now + 300)
    assert first["failures"] == second["failures"] > 0 and first["slow"] == second["slow"] > 0
    assert first["calls"] == second["calls"]
    assert first["mean_s"] == pytest.approx(second["mean_s"], rel=0.01)


def test_failures_teach_nothing():
    one, now = learned(typical=2.0)
    samples = one.learned.samples
    one.record(now, False, 2.0)
    assert one.learned.samples == samples


def test_nothing_is_slow_before_enough_was_learned():
    one = breaker()
    for _ in range(LEARN_AFTER - 1):
        one.record(NOW, True, 1.0)
    for _ in range(1):
        one.record(NOW, True, 9.0)
    assert one.state == CLOSED
    assert one.numbers(NOW)["samples"] == LEARN_AFTER


def test_quick_services_may_vary_by_fractions_of_a_second():
    one, now = learned(typical=0.005, window_s=300.0, min_calls=5)
    for _ in range(50):
        one.record(now, True, 0.2)
    assert one.state == CLOSED


def test_slow_drift_is_followed():
    one = breaker()
    for number in range(2000):
        one.record(NOW + number * HOUR, True, 2.0 * 1.002**number)
    assert one.state == CLOSED and not one.changes
    assert one.numbers(NOW + 2000 * HOUR)["typical_s"] > 50


def test_threshold_stays_within_its_bounds_however_wild_the_past():
    one = breaker(min_calls=10**9)
    for number in range(500):
        one.record(NOW + number * HOUR, True, (0.5, 4.0, 1.0, 9.0)[number % 4])
    numbers = one.numbers(NOW + 500 * HOUR)
    assert numbers["slow_over_s"] <= 10.1 * numbers["typical_s"]


def test_slower_for_good_becomes_the_new_normal():
    one, now = learned(typical=2.0)
    for _ in range(3):
        one.record(now, True, 30.0)
    for number in range(3):
        assert one.state == OPEN
        now = one.until + 1
        assert one.permit(now, "p%d" % number) is None
        one.record(now, True, 30.0, "p%d" % number)
    assert one.state == CLOSED
    assert "new normal" in one.changes[-1].reason
    for number in range(40):
        one.record(now + number, True, 30.0)
    assert one.state == CLOSED and 29 < one.numbers(now)["typical_s"] < 31


def test_slow_probes_between_failed_ones_are_no_new_normal():
    one, now = learned(typical=2.0)
    for _ in range(3):
        one.record(now, True, 30.0)
    for number in range(12):
        now = one.until + 1
        one.permit(now, "p")
        one.record(now, number % 3 != 2, 30.0, "p")
        assert one.state == OPEN

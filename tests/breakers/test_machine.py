"""The state machine of a breaker: when it opens, how it tries again, what it learns. Its time is
passed in; whole days cost nothing.
"""

from __future__ import annotations

from selfheal.breakers import saved
from selfheal.breakers.machine import (
    CLOSED,
    FORCED_CLOSED,
    FORCED_OPEN,
    HALF_OPEN,
    OPEN,
)
from tests.breakers.breaker_scene import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    breaker,
    learned,
    moves,
    opened,
    settings,
)

# ---------------------------------------------------------------------------------- opening


def test_opens_at_the_failure_rate_and_not_below_min_calls():
    one = breaker()
    one.record(NOW, False)
    one.record(NOW, False)
    assert one.refusal(NOW) is None
    one.record(NOW, True)
    assert one.state == OPEN  # two of three, known once there are three
    refusal = one.refusal(NOW + 1)
    assert refusal.until == NOW + 30 * MINUTE
    assert "2 of 3 calls failed" in refusal.reason


def test_stays_closed_below_the_failure_rate():
    one = breaker()
    for number in range(100):
        one.record(NOW + number, number % 5 != 4)
    assert one.state == CLOSED and not one.changes


def test_outcomes_older_than_the_window_do_not_count():
    one = breaker()
    for day in range(30):
        one.record(NOW + day * DAY, False)
        one.record(NOW + day * DAY + 60, False)
    assert one.state == CLOSED
    assert one.numbers(NOW + 29 * DAY + 61)["failures"] == 2
    assert one.numbers(NOW + 30 * DAY)["calls"] == 0


def test_window_holds_what_is_within_it():
    one = breaker()
    one.record(NOW, False)
    one.record(NOW + 2 * HOUR, False)
    one.record(NOW + 5.6 * HOUR, False)
    assert one.state == OPEN


def test_memory_of_a_window_is_bounded():
    one = breaker(window_s=300.0, min_calls=10**6)
    for number in range(20_000):
        one.record(NOW + number, number % 2 == 0, 0.1)
    assert len(one.parts) <= 20
    assert one.numbers(NOW + 20_000)["calls"] <= 300


def test_slow_calls_open_it_when_a_rate_is_set():
    one = breaker(slow_rate=0.6, slow_s=10.0, adaptive=False)
    for seconds in (1, 11, 1, 11):
        one.record(NOW, True, seconds)
    assert one.state == CLOSED
    one.record(NOW, True, 10.5)
    assert one.state == OPEN and "3 of 5 calls were slow" in one.reason


def test_slow_calls_are_no_matter_without_adaptive_and_rate():
    one = breaker(adaptive=False)
    for seconds in [1.0] * 20 + [500.0] * 20:
        one.record(NOW, True, seconds)
    assert one.state == CLOSED and one.numbers(NOW)["slow_over_s"] is None


# ---------------------------------------------------------------------------------- trying again


def test_waits_double_to_the_longest_and_shrink_after_success():
    one = opened()
    waits, now = [one.until - NOW], NOW
    for _ in range(8):
        now = one.until
        assert one.permit(now, "p") is None and one.state == HALF_OPEN
        one.record(now, False, None, "p")
        waits.append(one.until - now)
    minutes = [wait / MINUTE for wait in waits]
    assert minutes == [30, 60, 120, 240, 480, 960, 1440, 1440, 1440]
    now = one.until
    shorter = []
    for _ in range(7):
        one.permit(now, "p")
        one.record(now, True, None, "p")
        assert one.state == CLOSED
        for _ in range(3):
            one.record(now, False)
        shorter.append((one.until - now) / MINUTE)
        now = one.until
    assert shorter == [960, 480, 240, 120, 60, 30, 30]


def test_a_window_spent_closed_takes_all_doublings_back():
    one = opened()
    one.level = 5
    now = one.until
    one.permit(now, "p")
    one.record(now, True, None, "p")
    now += 7 * HOUR
    for _ in range(3):
        one.record(now, False)
    assert one.until - now == 30 * MINUTE


def test_one_probe_at_a_time_and_its_owner_may_ask_again():
    one = opened()
    now = one.until
    assert one.permit(now, "a") is None
    assert one.permit(now, "b").state == HALF_OPEN
    assert one.permit(now + 1, "a") is None
    one.record(now + 2, True, None, "b")  # nobody asked b
    assert one.state == HALF_OPEN
    one.record(now + 2, True, None, "a")
    assert one.state == CLOSED and one.permit(now + 3, "b") is None


def test_several_probes_must_all_succeed():
    one = opened(probes=3)
    now = one.until
    assert [one.permit(now, name) for name in "abc"] == [None] * 3
    assert one.permit(now, "d") is not None
    one.record(now, True, None, "a")
    one.record(now, True, None, "b")
    assert one.state == HALF_OPEN
    assert one.permit(now, "d") is None
    one.record(now, True, None, "c")
    assert one.state == CLOSED


def test_probes_of_the_round_before_still_count_as_alive():
    one = opened(probes=2)
    now = one.until
    one.permit(now, "a")
    one.permit(now, "b")
    one.record(now, False, None, "a")
    assert one.state == OPEN
    one.settings = settings(probes=2, probe_s=10 * HOUR)
    now = one.until
    assert one.permit(now, "c") is None
    assert one.permit(now, "d") is not None  # b still runs


def test_probe_that_never_comes_back_sticks_nowhere():
    one = opened()
    now = one.until
    one.permit(now, "dead")
    assert one.refusal(now + HOUR - 1).until == now + HOUR
    refusal = one.refusal(now + HOUR)
    assert refusal.state == OPEN and "never came back" in refusal.reason
    assert refusal.until == now + 2 * HOUR  # from then on, twice as long
    assert one.permit(now + 2 * HOUR, "next") is None
    one.record(now + 2 * HOUR, True, None, "dead")  # it does after all: too late to count
    assert one.state == HALF_OPEN


def test_released_probe_is_free_at_once():
    one = opened()
    now = one.until
    one.permit(now, "a")
    one.release("a")
    assert one.permit(now, "b") is None


def test_outcomes_while_open_change_nothing():
    one = opened()
    before = saved.dumped(one)
    one.record(NOW + 5, True, 1.0, "late")
    one.record(NOW + 6, False, 1.0, "late")
    assert saved.dumped(one) == before


def test_old_failures_do_not_open_it_again_after_a_success():
    one = opened()
    now = one.until
    one.permit(now, "a")
    one.record(now, True, None, "a")
    one.record(now, False)
    one.record(now, False)
    assert one.state == CLOSED


def test_same_execution_counts_once():
    one = breaker()
    assert [one.settle(NOW, False, 1.0, "exe-1") for _ in range(5)] == [True] + [False] * 4
    assert one.numbers(NOW)["calls"] == 1 and one.state == CLOSED


def test_urgent_success_closes_it():
    one = opened()
    one.prove(NOW + 1)
    assert one.state == CLOSED and "could not wait" in one.changes[-1].reason


# ---------------------------------------------------------------------------------- people, clocks


def test_forced_states_are_obeyed_until_their_time():
    one = breaker()
    one.force(FORCED_OPEN, NOW, NOW + HOUR, "moving house")
    one.record(NOW, True)
    refusal = one.refusal(NOW + HOUR - 1)
    assert (refusal.state, refusal.until, refusal.reason) == (
        FORCED_OPEN,
        NOW + HOUR,
        "moving house",
    )
    assert one.refusal(NOW + HOUR) is None and one.state == CLOSED
    one.force(FORCED_CLOSED, NOW, None, "I know")
    for number in range(50):
        one.record(NOW + number, False)
    assert one.permit(NOW + 400 * DAY, "x") is None
    assert one.state == FORCED_CLOSED
    one.reset(NOW, "auto")
    assert one.state == CLOSED
    assert moves(one) == [
        (CLOSED, FORCED_OPEN),
        (FORCED_OPEN, CLOSED),
        (CLOSED, FORCED_CLOSED),
        (FORCED_CLOSED, CLOSED),
    ]


def test_reset_forgets_what_was_learned_only_when_told():
    one, now = learned()
    one.reset(now, "x")
    assert one.learned.samples
    one.reset(now, "x", forget=True)
    assert not one.learned.samples and one.slow_s is None


def test_clock_set_back_does_not_lock_it():
    one = opened(at=NOW + 400 * DAY)
    assert one.permit(NOW, "a") is None and one.state == HALF_OPEN
    assert one.permit(NOW + HOUR, "b") is None or one.state == OPEN


def test_small_step_back_keeps_it_open_and_loses_no_outcome():
    one = opened()
    assert one.refusal(NOW - 5) is not None
    other = breaker()
    other.record(NOW + 1000, False)
    other.record(NOW - 1000, False)
    assert other.numbers(NOW)["failures"] == 2

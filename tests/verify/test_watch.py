"""Waiting for health: the clock stands still unless somebody sleeps, so every wait is exact."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfheal.verify.model import Look
from selfheal.verify.watch import watch
from tests.remedy.scenes import StillClock


def watched(healthy_at, clock=None, timeout_s=60.0, hold_s=10.0, interval_s=5.0, **more):
    """Watch a signal that is healthy when `healthy_at(seconds since start)` says so."""
    clock = clock or StillClock()
    start = clock.now()

    def look():
        is_healthy = healthy_at(clock.now() - start)
        return [Look("http", "asked", "answer %s" % is_healthy, is_healthy)]

    return watch(clock, look, timeout_s=timeout_s, hold_s=hold_s, interval_s=interval_s, **more)


def test_healthy_from_the_start_is_held_and_then_proven():
    found = watched(lambda at: True)
    assert (found.resolved, found.reason, found.waited_s) == (True, "held", 10.0)


def test_without_a_hold_the_first_healthy_look_is_enough():
    found = watched(lambda at: True, hold_s=0)
    assert (found.resolved, found.waited_s, found.rounds) == (True, 0.0, 1)


def test_a_break_starts_the_hold_again():
    found = watched(lambda at: at != 5)
    assert (found.resolved, found.waited_s) == (True, 20.0)


def test_never_healthy_is_not_resolved_at_the_deadline():
    found = watched(lambda at: False)
    assert (found.resolved, found.reason, found.waited_s) == (False, "unhealthy", 60.0)


def test_healthy_too_late_to_be_held_is_not_resolved():
    found = watched(lambda at: at >= 55)
    assert (found.resolved, found.reason, found.waited_s) == (False, "not long enough", 60.0)


def test_the_hold_may_end_exactly_at_the_deadline():
    assert watched(lambda at: at >= 50).resolved


def test_one_unhealthy_check_of_several_is_unhealthy():
    clock = StillClock()
    looks = [Look("http", "a", "200", True), Look("alert", "b", "fires", False)]
    assert not watch(clock, lambda: looks, timeout_s=5, hold_s=0, interval_s=1).resolved


def test_no_checks_at_all_prove_nothing():
    assert not watch(StillClock(), list, timeout_s=5, hold_s=0, interval_s=1).resolved


def test_a_signal_known_to_be_well_for_long_needs_no_more_waiting():
    found = watched(lambda at: True, hold_s=30, healthy_since=lambda: 40.0)
    assert (found.resolved, found.waited_s) == (True, 0.0)
    found = watched(lambda at: True, hold_s=30, healthy_since=lambda: 20.0, interval_s=60)
    assert (found.resolved, found.waited_s) == (True, 10.0)


def test_it_may_be_ended_from_outside():
    answers = iter([None, None, True])
    found = watched(lambda at: False, ended=lambda: next(answers))
    assert (found.resolved, found.reason, found.rounds) == (True, "ended", 2)


def test_only_changes_of_an_answer_are_kept():
    found = watched(lambda at: at >= 30)
    assert [(after_s, look.healthy) for after_s, look in found.history] == [
        (0.0, False),
        (30.0, True),
    ]


def test_slow_looks_do_not_stretch_the_deadline_beyond_one_look():
    clock = StillClock()
    found = watched(lambda at: clock.advance(7.0) or False, clock=clock, timeout_s=20)
    assert found.waited_s <= 20 + 7


@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.integers(0, 12),
    st.integers(1, 7),
    st.integers(1, 60),
)
def test_resolved_means_held_without_a_break_in_time(states, hold_s, interval_s, timeout_s):
    seen = []

    def healthy_at(at):
        is_healthy = states[min(int(at), len(states) - 1)]
        seen.append((at, is_healthy))
        return is_healthy

    found = watched(healthy_at, timeout_s=timeout_s, hold_s=hold_s, interval_s=interval_s)
    assert found.waited_s <= timeout_s
    run = []
    for at, is_healthy in seen:
        run = run + [at] if is_healthy else []
    assert found.resolved == bool(run and run[-1] - run[0] >= hold_s)

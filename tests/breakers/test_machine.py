"""The state machine of a breaker: when it opens, how it tries again, what it learns. Its time is
passed in; whole days cost nothing.
"""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.breakers import saved, words
from selfheal.breakers.learned import LEARN_AFTER
from selfheal.breakers.machine import (
    CLOSED,
    FORCED_CLOSED,
    FORCED_OPEN,
    HALF_OPEN,
    OPEN,
    Breaker,
)
from selfheal.breakers.settings import Name, Settings
from tests import scene

NOW = scene.START
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
REMEDY = Settings(
    window_s=6 * HOUR,
    min_calls=3,
    failure_rate=0.5,
    slow_rate=0.0,
    slow_s=0.0,
    open_s=30 * MINUTE,
    max_open_s=DAY,
    probes=1,
    adaptive=True,
    probe_s=HOUR,
)


def settings(**changed):
    return dataclasses.replace(REMEDY, **changed)


def breaker(**changed):
    return Breaker(settings(**changed), NOW)


def opened(at=NOW, **changed):
    one = breaker(**changed)
    for _ in range(one.settings.min_calls):
        one.record(at, False)
    assert one.state == OPEN
    return one


def moves(one):
    return [(change.from_state, change.to_state) for change in one.changes]


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


# ---------------------------------------------------------------------------------- adaptive


def learned(typical=2.0, calls=40, **changed):
    """A breaker that has seen so many calls around `typical` seconds, its window then empty."""
    one = breaker(**changed)
    for number in range(calls):
        one.record(NOW + number, True, typical * (0.9 + 0.2 * (number % 3) / 2))
    return one, NOW + calls + 7 * HOUR


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


# ---------------------------------------------------------------------------------- saved


def test_saved_and_loaded_is_the_same():
    one = opened(probes=2)
    one.permit(one.until, "a\x00\ud800")
    one.settle(one.since + 1, True, 1.0, "exe")
    text = saved.dumped(one)
    again = saved.loaded(text, one.settings, NOW + HOUR)
    assert saved.dumped(again) == text
    assert again.refusal(NOW + HOUR, "c") == one.refusal(NOW + HOUR, "c")


def test_other_window_starts_counting_anew():
    one = breaker()
    one.record(NOW, False)
    again = saved.loaded(saved.dumped(one), settings(window_s=HOUR), NOW)
    assert again.numbers(NOW)["calls"] == 0


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**18) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = sorted(saved.load(saved.dumped(Breaker(REMEDY, NOW))))


@given(st.sampled_from(FIELDS), JUNK)
def test_garbage_in_a_row_is_an_error_or_harmless(field, junk):
    found = saved.load(saved.dumped(opened()))
    found[field] = junk
    try:
        one = saved.loaded(saved.dump(found), REMEDY, NOW)
    except ValueError:
        return
    for at in (NOW - DAY, NOW, NOW + 400 * DAY):
        refused = one.permit(at, "x")
        if refused is None:
            one.record(at, False, 1.0, "x")
        else:
            assert words.reason(Name("service", "s"), refused)
        one.numbers(at)
    saved.loaded(saved.dumped(one), REMEDY, NOW)


@pytest.mark.parametrize(
    ("field", "junk"),
    [
        ("learned", [10, 710, 0]),
        ("learned", [10, 0, -1]),
        ("since", 1e300),
        ("until", 1e300),
        ("until", None),
        ("state", "half-open"),
        ("level", 10**400),
        ("parts", [[1, 2, 3]]),
        ("parts", [[1, 10**400, 0, 0, 0, 0.0]]),
        ("probes", {"x": None}),
        ("settled", 5),
    ],
)
def test_row_that_makes_no_sense_is_refused(field, junk):
    found = saved.load(saved.dumped(opened()))
    found[field] = junk
    with pytest.raises(ValueError, match="no |out of|is |not |has "):
        saved.loaded(saved.dump(found), REMEDY, NOW)


def test_open_row_without_an_end_still_ends():
    found = saved.load(saved.dumped(opened()))
    found["until"] = 1e11
    one = saved.loaded(saved.dump(found), REMEDY, NOW)
    assert one.refusal(NOW + DAY - 1) is not None and one.refusal(NOW + DAY) is None


# ---------------------------------------------------------------------------------- properties


@dataclasses.dataclass
class Call:
    owner: str
    begun: float
    is_probe: bool


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "end", "end", "end", "wait", "die"]),
        st.booleans(),
        st.floats(0, 100),
        st.sampled_from([1.0, 60.0, 1800.0, 4000.0, 90000.0]),
    ),
    max_size=80,
)


@given(
    STEPS,
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5]),
)
def test_whatever_happens(steps, probes, min_calls, failure_rate, slow_rate):
    """Never more probes alive than allowed, never open below min_calls, always out of open again;
    and what is written and read back goes on alike.
    """
    one = breaker(
        probes=probes, min_calls=min_calls, failure_rate=failure_rate, slow_rate=slow_rate
    )
    now, running, counted, number = NOW, [], 0, 0
    for kind, is_ok, seconds, pause in steps:
        was = one.state
        if kind == "wait":
            now += pause
        elif kind == "begin":
            number += 1
            owner = "o%d" % number
            if one.permit(now, owner) is None:
                running.append(Call(owner, now, owner in one.probes))
        elif running:
            call = running.pop(0 if is_ok else -1)
            if kind == "end":
                counted += was == CLOSED
                one.record(now, is_ok, seconds, call.owner)
        alive = [c for c in running if c.is_probe and now - c.begun < one.settings.probe_s]
        assert len(alive) <= probes
        assert len(one.probes) <= probes
        for change in one.changes:
            if (change.from_state, change.to_state) == (CLOSED, OPEN):
                assert change.numbers["calls"] >= min_calls
        if was == CLOSED and one.state == OPEN:
            assert counted >= min_calls
        if one.state == CLOSED and was != CLOSED:
            counted = 0
        text = saved.dumped(one)
        again = saved.loaded(text, one.settings, now)
        again.changes = one.changes
        one = again
    assert one.refusal(now + one.settings.max_open_s + 2 * one.settings.probe_s, "last") is None


@given(STEPS, st.sampled_from([FORCED_OPEN, FORCED_CLOSED]))
def test_forced_state_is_obeyed_whatever_happens(steps, state):
    one = opened()
    one.force(state, NOW, None, "because")
    now = NOW
    for kind, is_ok, seconds, pause in steps:
        now += pause
        refused = one.permit(now, kind)
        assert (refused is not None) is (state == FORCED_OPEN)
        one.record(now, is_ok, seconds, kind)
        assert one.state == state

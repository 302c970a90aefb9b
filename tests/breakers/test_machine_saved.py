"""A breaker that is written and read back, and whatever happens to it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.breakers import saved, words
from selfheal.breakers.machine import (
    CLOSED,
    FORCED_CLOSED,
    FORCED_OPEN,
    OPEN,
    Breaker,
)
from selfheal.breakers.settings import Name
from tests.breakers.breaker_scene import (
    DAY,
    HOUR,
    NOW,
    REMEDY,
    breaker,
    opened,
    settings,
)

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

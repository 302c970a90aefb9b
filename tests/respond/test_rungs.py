"""The ladder as a pure function: who is due, by what was told, whether somebody acknowledged, and
the time.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import ConfigError
from selfheal.respond import rungs

CONFIGURED = ("pagerduty:default", "slack:oncall", "email:lead", "webhook")
LADDER = [
    {"after_minutes": 0, "by": ["pagerduty", "slack.oncall"]},
    {"after_minutes": 15, "by": ["email.lead"]},
    {"after_minutes": 30, "by": ["pagerduty", "webhook"]},
]


def due(ladder, told, minutes, acknowledged=False):
    found = rungs.due(ladder, 1000.0, told, acknowledged, 1000.0 + 60 * minutes)
    return [rung.number for rung in found]


def test_each_rung_is_due_once_its_minutes_have_passed():
    ladder = rungs.ladder(LADDER, CONFIGURED)
    assert [rung.by for rung in ladder] == [
        ("pagerduty:default", "slack:oncall"), ("email:lead",), ("pagerduty:default", "webhook")
    ]
    assert due(ladder, [], 0) == [0]
    assert due(ladder, [0], 14.9) == [] and due(ladder, [0], 15) == [1]
    assert due(ladder, [0, 1], 29) == [] and due(ladder, [0, 1], 31) == [2]
    assert due(ladder, [0, 1, 2], 9999) == []


def test_ladder_without_end_is_one_of_many_repeats():
    ladder = rungs.ladder(LADDER, CONFIGURED, 10**12)
    assert 100 < len(ladder) < 10_000 and ladder[3].after_s == 60 * 60


def test_what_became_due_while_nobody_looked_is_due_together():
    assert due(rungs.ladder(LADDER, CONFIGURED), [0], 200) == [1, 2]


def test_acknowledged_means_that_nobody_more_is_called():
    assert due(rungs.ladder(LADDER, CONFIGURED), [0], 200, acknowledged=True) == []


def test_clock_that_is_set_back_calls_nobody_early():
    assert due(rungs.ladder(LADDER, CONFIGURED), [0], -500) == []
    assert due(rungs.ladder(LADDER, CONFIGURED), [], -500) == [0]


def test_repeating_begins_anew_after_the_last_rung():
    ladder = rungs.ladder(LADDER, CONFIGURED, repeat=1, repeat_minutes=10)
    assert [rung.number for rung in ladder] == [0, 1, 2, 3, 4, 5]
    assert [rung.after_s / 60 for rung in ladder] == [0, 15, 30, 40, 55, 70]


@pytest.mark.parametrize("written", [None, [], [{"after_minutes": 5, "by": []}]])
def test_no_ladder_is_one_rung_with_all_channels(written):
    (only,) = rungs.ladder(written, CONFIGURED)
    assert (only.number, only.after_s, only.by) == (0, 0.0, CONFIGURED)


def test_first_rung_is_told_at_once_whatever_stands_there():
    ladder = rungs.ladder([{"after_minutes": 20, "by": ["webhook"]}], CONFIGURED)
    assert ladder[0].after_s == 0


def test_first_rung_of_channels_that_are_not_configured_calls_all_that_are():
    written = [{"after_minutes": 0, "by": ["slack.gone"]}, {"after_minutes": 9, "by": ["webhook"]}]
    ladder = rungs.ladder(written, CONFIGURED)
    assert ladder[0].by == CONFIGURED and ladder[1].by == ("webhook",)
    assert rungs.unknown(written, CONFIGURED) == ["slack.gone"]


@pytest.mark.parametrize(
    "written",
    [
        "pagerduty",
        ["pagerduty"],
        [{"after_minutes": "5", "by": ["webhook"]}],
        [{"after_minutes": -1, "by": ["webhook"]}],
        [{"after_minutes": True, "by": ["webhook"]}],
        [{"after_minutes": 1}],
        [{"after_minutes": 1, "by": [1]}],
        [{"after_minutes": float("nan"), "by": ["webhook"]}],
    ],
)
def test_what_is_no_ladder_names_the_setting(written):
    with pytest.raises(ConfigError, match=r"escalation\.ladder"):
        rungs.ladder(written, CONFIGURED)


RUNG = st.fixed_dictionaries(
    {
        "after_minutes": st.integers(0, 500),
        "by": st.lists(st.sampled_from(["pagerduty", "slack.oncall", "email.lead", "x"]),
                       max_size=3),
    }
)


@given(
    st.lists(RUNG, max_size=5),
    st.integers(0, 3),
    st.lists(st.floats(0, 5000), min_size=1, max_size=30),
    st.floats(0, 5000),
)
def test_whoever_looks_whenever_tells_each_rung_once_and_none_early(
    written, repeat, times, acknowledged_at
):
    ladder = rungs.ladder(written, CONFIGURED, repeat)
    assert ladder[0].by and ladder[0].after_s == 0
    assert [rung.after_s for rung in ladder] == sorted(rung.after_s for rung in ladder)
    told = []
    for minutes in sorted(times):
        is_acknowledged = minutes >= acknowledged_at
        for rung in rungs.due(ladder, 0.0, told, is_acknowledged, 60 * minutes):
            assert rung.after_s <= 60 * minutes and not is_acknowledged and rung.number not in told
            told.append(rung.number)
    before = [minutes for minutes in times if minutes < acknowledged_at]
    if before:  # nothing that was due at the last look is missing
        assert set(told) == {one.number for one in ladder if one.after_s <= 60 * max(before)}

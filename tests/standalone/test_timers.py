"""When timers are due, and that rules on them run."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.packs import Rule
from standalone.timers import CRON, DATE, INTERVAL, Timer, TimerError, Timers, next_due
from tests.standalone.miniature import Heard, Miniature

UTC = datetime.timezone.utc


def at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def due(parameters: Dict[str, Any], after: str, trigger: str = CRON) -> Optional[str]:
    found = next_due(Timer(trigger, parameters), at(after))
    return None if found is None else datetime.datetime.fromtimestamp(found, UTC).isoformat()[:19]


@pytest.mark.parametrize(
    "unit, seconds",
    [("seconds", 3), ("minutes", 180), ("hours", 10800), ("days", 259200), ("weeks", 1814400)],
)
def test_interval_is_due_one_delta_later(unit: str, seconds: int) -> None:
    assert next_due(Timer(INTERVAL, {"unit": unit, "delta": 3}), 1000.0) == 1000.0 + seconds


def test_date_is_due_once() -> None:
    assert (
        due({"date": "2026-03-01 10:00:00"}, "2026-02-01T00:00:00", DATE) == "2026-03-01T10:00:00"
    )
    assert due({"date": "2026-03-01 10:00:00"}, "2026-03-01T10:00:00", DATE) is None


def test_date_in_a_zone_is_that_zones() -> None:
    parameters = {"date": "2026-07-01 10:00:00", "timezone": "Europe/Berlin"}
    assert due(parameters, "2026-01-01T00:00:00", DATE) == "2026-07-01T08:00:00"


@pytest.mark.parametrize(
    "parameters, after, expected",
    [
        ({"minute": "*/5"}, "2026-01-01T10:02:03", "2026-01-01T10:05:00"),
        ({"minute": "*/5"}, "2026-01-01T10:05:00", "2026-01-01T10:10:00"),
        ({"hour": 3}, "2026-01-01T10:00:00", "2026-01-02T03:00:00"),
        ({"hour": "3", "minute": "30"}, "2026-01-01T03:29:59", "2026-01-01T03:30:00"),
        ({"day_of_week": "mon-fri", "hour": 9}, "2026-01-02T09:00:00", "2026-01-05T09:00:00"),
        ({"day_of_week": 6, "hour": 0}, "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ({"month": "feb", "day": 29}, "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ({"second": "10,40"}, "2026-01-01T00:00:10", "2026-01-01T00:00:40"),
        ({"year": 2030}, "2026-01-01T00:00:00", "2030-01-01T00:00:00"),
        ({"year": 2020}, "2026-01-01T00:00:00", None),
        (
            {"minute": "58-59/1", "hour": "23", "day": "31", "month": "12"},
            "2026-12-31T23:58:00",
            "2026-12-31T23:59:00",
        ),
    ],
)
def test_cron_is_due_at(parameters: Dict[str, Any], after: str, expected: Optional[str]) -> None:
    assert due(parameters, after) == expected


@given(
    minute=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hour=st.sets(st.integers(0, 23), min_size=1),
    day_of_week=st.sets(st.integers(0, 6), min_size=1),
    after=st.integers(1_600_000_000, 1_900_000_000),
)
def test_cron_is_due_at_the_first_minute_that_fits(
    minute: Any, hour: Any, day_of_week: Any, after: int
) -> None:
    def text(values: Any) -> str:
        return ",".join(str(value) for value in values)

    parameters = {"minute": text(minute), "hour": text(hour), "day_of_week": text(day_of_week)}
    found = next_due(Timer(CRON, parameters), float(after))
    moment = datetime.datetime.fromtimestamp(after - after % 60, UTC) + datetime.timedelta(
        minutes=1
    )
    while not (moment.minute in minute and moment.hour in hour and moment.weekday() in day_of_week):
        moment += datetime.timedelta(minutes=1)
    assert found == moment.timestamp()


@pytest.mark.parametrize(
    "trigger, parameters, field",
    [
        (INTERVAL, {"unit": "years", "delta": 1}, "unit"),
        (INTERVAL, {"unit": "seconds", "delta": 0}, "delta"),
        (INTERVAL, {"unit": "seconds", "delta": "5"}, "delta"),
        (DATE, {"date": "someday"}, "date"),
        (DATE, {"date": "2026-01-01", "timezone": "Moon/Base"}, "timezone"),
        (CRON, {}, "at least one"),
        (CRON, {"minute": "60"}, "minute"),
        (CRON, {"hour": "x"}, "hour"),
        (CRON, {"hour": "*/0"}, "hour"),
    ],
)
def test_parameters_that_make_no_sense_are_named(
    trigger: str, parameters: Dict[str, Any], field: str
) -> None:
    with pytest.raises(TimerError, match=field):
        next_due(Timer(trigger, parameters), 0.0)


def rule(name: str, parameters: Dict[str, Any]) -> Rule:
    return Rule(
        ref="mini." + name,
        name=name,
        pack="mini",
        trigger_type=INTERVAL,
        trigger_parameters=parameters,
        criteria={},
        action_ref="mini.echo",
        action_parameters={},
        enabled=True,
    )


def test_rules_on_the_same_timer_share_one_and_what_was_missed_is_not_made_up() -> None:
    now = [1000.0]
    fired: List[Any] = []
    minute, hour = {"unit": "minutes", "delta": 1}, {"unit": "hours", "delta": 1}
    timers = Timers(
        [rule("a", minute), rule("b", minute), rule("c", hour)],
        lambda trigger, payload, parameters: fired.append(parameters),
        lambda: now[0],
    )
    timers.fire_due()
    assert fired == []
    now[0] += 60
    timers.fire_due()
    assert fired == [minute]
    now[0] += 600
    timers.fire_due()
    assert fired == [minute, minute]
    now[0] += 60
    timers.fire_due()
    assert fired == [minute] * 3


def test_rule_on_an_interval_runs_its_action_while_timers_are_on(tmp_path: Path) -> None:
    mini = Miniature(tmp_path)
    mini.rule(
        "tick",
        """
        trigger: {type: core.st2.IntervalTimer, parameters: {unit: seconds, delta: 1}}
        action: {ref: mini.echo, parameters: {value: "{{ trigger.executed_at }}"}}
        """,
    )
    mini.rule(
        "other",
        """
        trigger: {type: core.st2.IntervalTimer, parameters: {unit: hours, delta: 1}}
        action: {ref: mini.fail}
        """,
    )
    heard = Heard()
    with mini.engine(on_event=heard, timers=True):
        first = heard.wait_for("execution_finished", 1)[0]
    assert (first["ref"], first["status"]) == ("mini.echo", "succeeded")
    assert first["parameters"]["value"].startswith("20")

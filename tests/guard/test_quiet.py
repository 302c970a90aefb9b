"""Quiet hours: for whom nobody is woken, and that an unreadable entry wakes people."""

from __future__ import annotations

from datetime import datetime

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.guard import quiet
from selfheal.incidents import model
from tests import needs, scene

NIGHT = datetime.fromisoformat("2026-11-27T23:30:00+01:00").timestamp()
NOON = datetime.fromisoformat("2026-11-27T12:00:00+01:00").timestamp()


@pytest.fixture(autouse=True)
def cronsim():
    needs.module("cronsim")


def hours(**changes):
    entry = {
        "cron": "0 22 * * *",
        "minutes": 480,
        "timezone": "Europe/Berlin",
        "severities": ["info", "Warning"],
        **changes,
    }
    return {key: value for key, value in entry.items() if value is not None}


def context(*entries, at=NIGHT, safety=None):
    section = {"quiet_hours": list(entries)} if safety is None else safety
    return Context(Config({"safety": section}), clock=scene.Clock(at))


@pytest.mark.parametrize(
    ("severity", "now", "is_quiet"),
    [
        ("info", NIGHT, True),
        ("warning", NIGHT, True),
        ("error", NIGHT, False),
        ("critical", NIGHT, False),
        ("", NIGHT, False),
        ("info", NOON, False),
        ("info", NIGHT + 6.5 * 3600 - 1, True),
        ("info", NIGHT + 6.5 * 3600, False),
    ],
)
def test_only_listed_severities_only_then(severity, now, is_quiet):
    ctx = context(hours())
    assert (quiet.is_quiet(ctx, severity, now) is not None) is is_quiet


def test_clock_of_the_context_is_asked_and_the_answer_names_the_hours():
    assert quiet.is_quiet(context(hours(name="nights")), "info") == (
        "the quiet hours nights, until 2026-11-28T05:00:00.000Z"
    )
    assert quiet.is_quiet(context(hours(name="nights"), at=NOON), "info") is None
    unnamed = quiet.is_quiet(context(hours()), "info")
    assert "0 22 * * * for 480 minutes (Europe/Berlin)" in unnamed


def test_none_configured_none_quiet():
    for section in ({}, {"quiet_hours": []}, {"quiet_hours": None}):
        assert quiet.is_quiet(context(safety=section), "info") is None


BROKEN = [
    (hours(cron="0 22 * *"), "safety.quiet_hours[0].cron"),
    (hours(minutes=0), "safety.quiet_hours[0].minutes"),
    (hours(timezone="Berlin"), "safety.quiet_hours[0].timezone"),
    (hours(severities=None), "safety.quiet_hours[0].severities must list"),
    (hours(severities=[]), "safety.quiet_hours[0].severities must list"),
    (hours(severities="info"), "safety.quiet_hours[0].severities must list"),
    (hours(severities=["info", 5]), "safety.quiet_hours[0].severities must list"),
    (hours(severity="info"), "safety.quiet_hours[0].severity is not a setting"),
    (hours(name=5), "safety.quiet_hours[0].name must be a text"),
    ("nights", "safety.quiet_hours[0] must be a map"),
]


@pytest.mark.parametrize(("entry", "said"), BROKEN)
def test_unreadable_hours_are_not_quiet_but_the_readable_ones_beside_them(entry, said):
    ctx = context(entry)
    assert quiet.is_quiet(ctx, "info") is None
    problems = quiet.problems(ctx.config, NIGHT, model.SEVERITIES)
    assert len(problems) == 1 and problems[0].startswith(said)
    assert quiet.is_quiet(context(entry, hours()), "info") is not None


@pytest.mark.parametrize("value", ["nights", {"cron": "x"}, 5])
def test_hours_that_are_no_list_are_not_quiet(value):
    ctx = context(safety={"quiet_hours": value})
    assert quiet.is_quiet(ctx, "info") is None
    assert len(quiet.problems(ctx.config, NIGHT, model.SEVERITIES)) == 1


def test_time_that_makes_no_sense_is_not_quiet():
    for now in (1e300, float("nan"), float("inf")):
        assert quiet.is_quiet(context(hours()), "info", now) is None


def test_problems_name_a_severity_that_no_incident_has():
    fine = context(hours(), hours(severities=list(model.SEVERITIES)))
    assert quiet.problems(fine.config, NIGHT, model.SEVERITIES) == []
    wrong = context(hours(severities=["info", "sev1"]))
    assert quiet.problems(wrong.config, NIGHT, model.SEVERITIES) == [
        "safety.quiet_hours[0].severities must be of critical, error, warning, info, not sev1"
    ]


def test_description_tells_what_is_quiet_and_what_comes_next():
    ctx = context(hours(name="nights"), hours(minutes=0))
    lines = quiet.describe(ctx.config, NIGHT)
    assert lines[0] == {
        "name": "nights",
        "severities": ["info", "warning"],
        "when": "0 22 * * * for 480 minutes (Europe/Berlin)",
        "is_quiet": True,
        "until": "2026-11-28T05:00:00.000Z",
        "next_start": "2026-11-28T21:00:00.000Z",
        "trouble": "",
    }
    assert not lines[1]["is_quiet"] and "safety.quiet_hours[1].minutes" in lines[1]["trouble"]

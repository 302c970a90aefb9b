"""Maintenance and freeze windows: whom they hold, when, and that an unreadable one freezes."""

from __future__ import annotations

import re
import sys
from datetime import datetime

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.guard import windows
from tests import needs, scene
from tests.guard import permits

FRIDAY = datetime.fromisoformat("2026-11-27T22:30:00+01:00").timestamp()
LABELS = {"alertname": "ServiceDown", "namespace": "shop", "service": "web", "team": "blue"}


@pytest.fixture(autouse=True)
def cronsim():
    needs.module("cronsim")


def window(**changes):
    entry = {
        "name": "friday",
        "kind": "freeze",
        "cron": "0 22 * * 5",
        "minutes": 60,
        "timezone": "Europe/Berlin",
        **changes,
    }
    return {key: value for key, value in entry.items() if value is not None}


def deed(**changes):
    return permits.deed(**{"labels": LABELS, **changes})


def context(*entries, at=FRIDAY, safety=None):
    section = {"windows": list(entries)} if safety is None else safety
    return Context(Config({"safety": section}), clock=scene.Clock(at))


# Which deeds pass.


@pytest.mark.parametrize(
    ("kind", "changes", "passes"),
    [
        ("freeze", {}, False),
        ("freeze", {"risk": "destructive"}, False),
        ("freeze", {"risk": "read-only"}, True),
        ("freeze", {"is_approved": True}, True),
        ("freeze", {"is_by_hand": True}, True),
        ("maintenance", {}, False),
        ("maintenance", {"risk": "read-only"}, False),
        ("maintenance", {"is_approved": True}, False),
        ("maintenance", {"is_by_hand": True}, True),
    ],
)
def test_who_passes_an_open_window(kind, changes, passes):
    found = windows.objection(context(window(kind=kind)), deed(**changes))
    assert (found is None) is passes


@pytest.mark.parametrize(
    ("clock", "is_open"),
    [
        ("2026-11-27T21:59:59+01:00", False),
        ("2026-11-27T22:00:00+01:00", True),
        ("2026-11-27T22:59:59+01:00", True),
        ("2026-11-27T23:00:00+01:00", False),
        ("2026-11-26T22:30:00+01:00", False),
    ],
)
def test_open_from_its_start_until_its_end(clock, is_open):
    ctx = context(window(), at=datetime.fromisoformat(clock).timestamp())
    assert (windows.is_frozen(ctx, deed()) is not None) is is_open
    assert (windows.objection(ctx, deed()) is not None) is is_open


def test_objection_reads_like_advice():
    frozen = windows.objection(context(window()), deed())
    assert frozen.rule == "window"
    assert str(frozen) == (
        "it is the freeze window friday, until 2026-11-27T22:00:00.000Z; approve the plan when you "
        "are asked, or change safety.windows"
    )
    assert frozen.until == FRIDAY + 1800
    kept = windows.objection(context(window(kind="maintenance")), deed())
    assert "st2 run selfheal.remediate incident_id=inc-1" in kept.advice
    assert kept.data == {"window": "friday", "kind": "maintenance"}


def test_of_a_freeze_and_a_maintenance_that_are_open_the_stricter_one_speaks():
    both = context(window(name="a"), window(name="b", kind="maintenance"))
    assert windows.objection(both, deed(is_approved=True)).data["window"] == "b"
    assert windows.is_frozen(both, deed()).name == "a"
    assert windows.is_maintenance(both, deed()).name == "b"


def test_single_window():
    entry = {
        "name": "move",
        "kind": "freeze",
        "start": "2026-11-27 22:00",
        "end": "2026-11-27T23:00+01:00",
        "timezone": "Europe/Berlin",
    }
    assert windows.is_frozen(context(entry), deed()).until == FRIDAY + 1800
    assert windows.is_frozen(context(entry, at=FRIDAY + 1800), deed()) is None


def test_no_windows_no_objection():
    for section in ({}, {"windows": []}, {"windows": None}):
        ctx = context(safety=section)
        assert windows.objection(ctx, deed()) is None
        assert windows.is_frozen(ctx, deed()) is windows.is_maintenance(ctx, deed()) is None


# Which incidents it is for.


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        (None, True),
        ({}, True),
        ({"namespace": "shop"}, True),
        ({"namespace": "shop*", "team": "blue"}, True),
        ({"namespace": "shop", "team": "red"}, False),
        ({"namespace": "Shop"}, True),  # names of hosts and clusters come in any case
        ({"namespace": "sho"}, False),
        ({"cluster": "prod"}, True),  # not a label, but what selfheal understood
        ({"alertname": "Service*"}, True),
        ({"service": "*"}, True),
        ({"nothing": "*"}, True),
        ({"nothing": "?*"}, False),
    ],
)
def test_all_labels_must_match(match, matches):
    assert (windows.is_frozen(context(window(match=match)), deed()) is not None) is matches


def test_incident_and_its_deed_are_in_the_same_windows(tmp_path):
    from selfheal.incidents import registry
    from selfheal.store import open_store

    store = open_store(scene.store_url("sqlite", tmp_path))
    scene.incident(store, signal={"labels": LABELS, "annotations": {}})
    incident = registry.get(store, "inc-1")
    for match in ({"namespace": "shop"}, {"cluster": "prod"}, {"team": "b*"}, {"team": "red"}):
        ctx = context(window(match=match))
        assert windows.is_frozen(ctx, incident) == windows.is_frozen(ctx, deed())


@pytest.mark.parametrize("value", ["x" * 2_000_000, "\x00%'\"\ud800", "[", "*" * 400, "a\nb", ""])
def test_hostile_label_breaks_nothing(value):
    ctx = context(window(match={"team": "*a*a*a*a*b", "namespace": "shop"}))
    found = windows.is_frozen(ctx, deed(labels=dict(LABELS, team=value)))
    assert (found is not None) is (len(value) > 1000)  # too long to compare counts as matching


# What cannot be read.


BROKEN = [
    (window(cron="0 25 * * *"), r"safety\.windows\[1\]\.cron '0 25"),
    (window(minutes=None), r"safety\.windows\[1\]\.minutes"),
    (window(timezone="Mars/Phobos"), r"safety\.windows\[1\]\.timezone 'Mars/Phobos'"),
    (window(kind="frozen"), r"safety\.windows\[1\]\.kind must be maintenance .*not 'frozen'"),
    (window(kind=None), r"safety\.windows\[1\]\.kind must be"),
    (window(name=None), r"safety\.windows\[1\]\.name must be"),
    (window(name="  "), r"safety\.windows\[1\]\.name must be"),
    (window(match=["shop"]), r"safety\.windows\[1\]\.match must be a map"),
    (window(match={"namespace": ""}), r"safety\.windows\[1\]\.match\.namespace must be a text"),
    (window(match={"namespace": 5}), r"safety\.windows\[1\]\.match\.namespace must be a text"),
    (window(matches={"a": "b"}), r"safety\.windows\[1\]\.matches is not a setting"),
    ("friday", r"safety\.windows\[1\] must be a map"),
    (None, r"safety\.windows\[1\] must be a map"),
]


@pytest.mark.parametrize(("entry", "said"), BROKEN)
def test_unreadable_window_freezes_everything_and_says_why(entry, said):
    ctx = context(window(match={"namespace": "elsewhere"}), entry)
    found = windows.objection(ctx, deed(namespace="x", labels={}))
    assert found.rule == "window" and found.until is None
    assert re.search(said, found.reason) and "check_config" in found.advice
    assert windows.is_frozen(ctx, deed()) is not None
    assert windows.is_maintenance(ctx, deed()) is None
    assert windows.objection(ctx, deed(risk="read-only")) is None
    problems = windows.problems(ctx.config, FRIDAY)
    assert len(problems) == 1 and re.match(said, problems[0])


@pytest.mark.parametrize("value", ["friday", {"name": "x"}, 5])
def test_windows_that_are_no_list_freeze_everything(value):
    ctx = context(safety={"windows": value})
    assert "safety.windows must be a list" in str(windows.objection(ctx, deed()))
    assert len(windows.problems(ctx.config, FRIDAY)) == 1


def test_time_that_makes_no_sense_freezes():
    ctx = context(window(), at=1e300)
    assert windows.objection(ctx, deed()).data["kind"] == "freeze"
    ctx = context(window(), at=float("nan"))
    assert windows.objection(ctx, deed()).data["kind"] == "freeze"


def test_missing_cron_library_freezes_and_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cronsim", None)
    found = windows.objection(context(window()), deed())
    assert "the package cronsim is not installed" in found.reason


# What check_config and pause_list tell.


def test_problems_of_fine_windows_are_none():
    ctx = context(window(), window(name="other", kind="maintenance", match={"a": "b"}))
    assert windows.problems(ctx.config, FRIDAY) == []


def test_problem_of_a_day_that_never_comes_and_of_a_name_twice():
    never = window(name="never", cron="0 0 */20 1 1L")
    found = windows.problems(context(never, window(), window()).config, FRIDAY)
    assert [text.split(" ")[0] for text in found] == [
        "safety.windows[0].cron",
        "safety.windows[2].name",
    ]
    assert "never comes" in found[0]


def test_description_tells_what_is_open_and_what_comes_next():
    ctx = context(
        window(match={"namespace": "shop"}),
        window(name="sunday", kind="maintenance", cron="0 3 * * 0"),
        window(name="bad", minutes=0),
    )
    lines = windows.describe(ctx.config, FRIDAY)
    assert lines[0] == {
        "name": "friday",
        "kind": "freeze",
        "when": "0 22 * * 5 for 60 minutes (Europe/Berlin)",
        "match": {"namespace": "shop"},
        "is_open": True,
        "until": "2026-11-27T22:00:00.000Z",
        "next_start": "2026-12-04T21:00:00.000Z",
        "trouble": "",
    }
    assert (lines[1]["is_open"], lines[1]["next_start"]) == (False, "2026-11-29T02:00:00.000Z")
    assert lines[2]["is_open"] and "safety.windows[2].minutes" in lines[2]["trouble"]

"""Times and fingerprints: the same as Alertmanager's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.incidents.signal import canonical_time, epoch_of, time_text
from selfheal.intake.alertmanager import fingerprint_of
from tests import alert_scene


def _real_alerts():
    for path in sorted(alert_scene.FIXTURES.glob("*/*alerts.json")):
        content = json.loads(path.read_text())
        yield from content if isinstance(content, list) else content["alerts"]


def test_fingerprints_are_those_of_real_alertmanagers():
    alerts = list(_real_alerts())
    assert len(alerts) == 38
    assert [fingerprint_of(a["labels"]) for a in alerts] == [a["fingerprint"] for a in alerts]


def test_fingerprint_does_not_depend_on_the_order_of_labels():
    assert fingerprint_of({"a": "1", "b": "2"}) == fingerprint_of({"b": "2", "a": "1"})
    assert fingerprint_of({"a": "1b"}) != fingerprint_of({"a1": "b"})


def test_webhook_and_api_write_one_moment_differently_and_mean_the_same():
    assert canonical_time("2026-11-21T22:54:25.628483578Z") == canonical_time(
        "2026-11-21T22:54:25.628Z"
    )


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2026-11-21T21:22:11.568Z", "2026-11-21T21:22:11.568Z"),
        ("2026-11-21T23:22:11.5+02:00", "2026-11-21T21:22:11.500Z"),
        ("2026-11-21t21:22:11z", "2026-11-21T21:22:11.000Z"),
        ("2026-11-21 16:22:11-0500", "2026-11-21T21:22:11.000Z"),
    ],
)
def test_times_become_utc_text_of_fixed_width(text, expected):
    assert canonical_time(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "now",
        "0001-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-21T21:22:60Z",
        "2026-11-21",
        "9999-12-31T23:59:59-23:59",
        "2026-11-21T21:22:11",
        "٢٠٢٦-11-21T21:22:11Z",
        ["x"],
        {},
        "2026-11-21T21:22:11Z\n",
        "2" * 100000,
    ],
)
def test_what_is_no_time_is_none(value):
    assert canonical_time(value) is None


@given(st.integers(0, 4_000_000_000_000))
def test_times_go_there_and_back_and_sort_as_numbers(milliseconds):
    text = time_text(milliseconds / 1000)
    assert canonical_time(text) == text
    assert abs(epoch_of(text) * 1000 - milliseconds) <= 1
    assert len(text) == 24

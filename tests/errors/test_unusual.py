"""Triggers for spikes and new patterns: off by default, each at most once, with their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from selfheal.errors.unusual import MOST_AT_ONCE, unusual
from tests import alert_scene, book_scene, scene
from tests.book_scene import NOW, judgement, pair, pairs

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600.0
NEW, SPIKE = "selfheal.new_error_pattern", "selfheal.error_spike"


@pytest.fixture
def triggers():
    return alert_scene.Triggers()


@pytest.fixture
def clock():
    return scene.Clock(NOW + 2 * HOUR)


@pytest.fixture
def ctx(url, clock, triggers):
    return book_scene.context(url, clock, triggers, spikes=True, new_patterns=True)


def described(trigger):
    """What the trigger's file says that its payload holds: people write rules by it."""
    content = (ROOT / "triggers" / ("%s.yaml" % trigger)).read_text(encoding="utf-8")
    return set(yaml.safe_load(content)["payload_schema"]["properties"])


def stored(ctx, found):
    return unusual(ctx, book_scene.book(ctx).store(found))


def test_nothing_is_sent_unless_it_is_switched_on(url, clock, triggers):
    ctx = book_scene.context(url, clock, triggers)
    assert stored(ctx, pairs(50, 2 * HOUR - 60)) == {"spikes": 0, "new_patterns": 0}
    assert triggers.sent == []


def test_pattern_is_new_once(ctx, triggers):
    assert stored(ctx, pairs(3, severity="critical", error_type="storage"))["new_patterns"] == 1
    assert stored(ctx, pairs(3, first=9))["new_patterns"] == 0
    (payload,) = triggers.of(NEW)
    assert payload["fingerprint"] == judgement().fingerprint and payload["sample"] == "boom 2"
    assert (payload["error_type"], payload["severity"]) == ("storage", "critical")
    assert set(payload) == described("new_error_pattern")


def test_second_sensor_does_not_send_it_again(ctx, triggers):
    done = book_scene.book(ctx).store(pairs(3))
    assert unusual(ctx, done)["new_patterns"] == 1
    assert unusual(ctx, done)["new_patterns"] == 0
    assert len(triggers.of(NEW)) == 1


def test_flood_of_new_patterns_is_cut(ctx, triggers):
    found = [pair(n, pattern="p%d" % n) for n in range(MOST_AT_ONCE + 5)]
    assert stored(ctx, found)["new_patterns"] == MOST_AT_ONCE == len(triggers.of(NEW))


def test_platform_that_is_down_is_no_failure(ctx, triggers):
    triggers.down = True
    assert stored(ctx, pairs(3)) == {"spikes": 0, "new_patterns": 0}


def past(ctx, per_window):
    """An hour and a half of `per_window` errors in each five minutes, until 100 s ago."""
    found = []
    for window in range(1, 19):
        at = 2 * HOUR - 100 - 300 * window
        found += pairs(per_window, at, 1.0, 1000 * window)
    book_scene.book(ctx).store(found)


def test_rate_far_above_its_own_past_is_a_spike_once_an_hour(ctx, triggers, clock):
    past(ctx, 3)
    now = 2 * HOUR - 60
    assert stored(ctx, pairs(9, now))["spikes"] == 0
    assert stored(ctx, pairs(21, now, 0.1, first=100))["spikes"] == 1
    (payload,) = triggers.of(SPIKE)
    assert payload["usual_per_minute"] == 0.6 and payload["rate_per_minute"] >= 6
    assert set(payload) == described("error_spike")
    assert (payload["host"], payload["program"]) == ("node-1", "web")
    assert stored(ctx, pairs(50, now, 0.1, first=200))["spikes"] == 0
    clock.at += HOUR
    assert stored(ctx, pairs(900, now + HOUR, 0.1, first=300))["spikes"] == 1


def test_steady_rate_is_no_spike(ctx):
    past(ctx, 30)
    assert stored(ctx, pairs(30, 2 * HOUR - 60, 0.1))["spikes"] == 0


def test_group_without_a_past_is_no_spike(ctx):
    assert stored(ctx, pairs(500, 2 * HOUR - 60, 0.1))["spikes"] == 0


def test_errors_of_an_outage_that_is_caught_up_are_no_spike(ctx, clock):
    past(ctx, 3)
    clock.at += 2 * HOUR
    assert stored(ctx, pairs(100, 2 * HOUR - 60, 0.1))["spikes"] == 0

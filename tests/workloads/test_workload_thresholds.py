"""Thresholds are the settings of a target, each of which has its default in the schema."""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError
from selfheal.workloads.model import Ref, Thresholds
from tests.workloads.objects import SETTINGS


def test_settings_in_minutes_become_seconds():
    thresholds = Thresholds.from_settings({**SETTINGS, "pending_minutes": 2.5, "settle_s": 7})

    assert (thresholds.pending_s, thresholds.settle_s, thresholds.max_restarts) == (150.0, 7.0, 5)
    assert (thresholds.rollout_blame_s, thresholds.restart_window_s) == (3600.0, 600.0)


@pytest.mark.parametrize("value", [None, "5", True, -1, float("nan"), float("inf"), [5]])
def test_setting_that_is_no_number_is_named(value):
    with pytest.raises(ConfigError, match=r"kubernetes\.short_minutes must be a number from 0"):
        Thresholds.from_settings({**SETTINGS, "short_minutes": value})


def test_missing_setting_is_named():
    with pytest.raises(ConfigError, match=r"kubernetes\.max_restarts"):
        Thresholds.from_settings({})


def test_reference_reads_as_people_name_things():
    assert str(Ref("Deployment", "shop", "cart")) == "Deployment shop/cart"
    assert str(Ref("Node", "", "node-a")) == "Node node-a"

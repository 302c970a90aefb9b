"""What check_config says about silences."""

from __future__ import annotations

import time

import pytest

from selfheal.config import Config
from selfheal.operate import check_silences, configuration
from selfheal.respond import silences_by_hand
from tests import scene
from tests.live_alertmanager import Alertmanager


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


def lines(tmp_path, **sections):
    ctx = scene.context(scene.store_url("sqlite", tmp_path), **sections)
    try:
        return check_silences.lines(ctx, 60.0)
    finally:
        ctx.close()


def test_nothing_is_said_where_there_is_no_alertmanager(tmp_path):
    assert lines(tmp_path) == []
    [(what, state, detail, do)] = lines(tmp_path, safety={"silence_while_fixing": True})
    assert (what, state) == ("silences", "warning") and "alertmanager.url" in do


def test_our_silences_are_counted(tmp_path, server):
    target = {"url": server.url, "timeout_s": 60}
    ctx = scene.context(
        scene.store_url("sqlite", tmp_path), scene.Clock(time.time()), alertmanager=target
    )
    server.silence("a", "theirs")
    silences_by_hand.silence_create(ctx, "a=ours")
    ctx.close()
    [(what, state, detail, _)] = lines(tmp_path, alertmanager=target)
    assert (what, state) == ("silences", "on") and "1 silence of ours" in detail
    assert "remedy runs: off" in detail
    named = lines(tmp_path, alertmanager={"edge": target}, safety={"silence_while_fixing": True})
    assert [one[0] for one in named] == ["silences: edge"] and "remedy runs: on" in named[0][2]


@pytest.mark.parametrize("status, is_on", [(403, True), (500, False)])
def test_alertmanager_that_shows_none_is_named(tmp_path, status, is_on):
    with scene.Receiver((status, {}, b"no")) as receiver:
        [(_, state, detail, _)] = lines(
            tmp_path,
            alertmanager={"url": receiver.url, "timeout_s": 60},
            safety={"silence_while_fixing": is_on},
        )
    assert state == ("error" if is_on else "warning") and str(status) in detail


@pytest.mark.parametrize(
    "values", [{"max_silenced_alerts": -1}, {"max_silence_hours": 0}, {"max_silence_hours": 9999}]
)
def test_figures_that_make_no_sense_are_problems(values):
    assert configuration.problems({"safety": values}, Config({}).schema)

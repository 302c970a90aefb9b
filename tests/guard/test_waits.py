"""The growing wait between remedies for one cause on one target."""

from __future__ import annotations

import pytest

from selfheal.guard import budgets, waits
from tests import scene
from tests.guard.permits import context, deed


@pytest.fixture
def clock():
    return scene.Clock()


def attempt(ctx, number, **fields):
    """Permit a deed by its wait alone; the objection, or None."""
    one = deed("exe-%d" % number, **fields)
    with ctx.store.transaction("guard"):
        refused = waits.objection(ctx, one)
        if refused is None:
            budgets.charge(ctx, one)
    return refused


def test_each_wait_is_twice_the_one_before(url, clock):
    ctx = context(url, clock, retry_wait_minutes=2)
    for number, minutes in enumerate((2, 4, 8, 16, 32)):
        begun = clock.at
        assert attempt(ctx, number) is None
        refused = attempt(ctx, 100)
        assert refused.rule == "wait" and refused.until == begun + 60 * minutes
        assert "waits %d minutes" % minutes in refused.reason
        clock.at = refused.until - 0.001
        assert attempt(ctx, 100) is not None
        clock.at = refused.until


def test_after_a_day_without_one_the_count_begins_anew(url, clock):
    ctx = context(url, clock, retry_wait_minutes=2)
    for number in range(4):
        assert attempt(ctx, number) is None
        clock.at += 3600
    clock.at += 86400 - 3600
    assert attempt(ctx, 4) is None
    assert attempt(ctx, 5).until == clock.at + 120


def test_no_wait_is_longer_than_the_quiet_day(clock):
    ctx = context("sqlite:///:memory:", clock, retry_wait_minutes=1000)
    begun = clock.at
    attempt(ctx, 1)
    clock.at += 60000
    attempt(ctx, 2)
    assert attempt(ctx, 3).until == begun + 60000 + 86400


@pytest.mark.parametrize("other", [{"scope": "prod/shop/db"}, {"group_key": "web is slow"}])
def test_another_target_or_cause_does_not_wait(other):
    ctx = context("sqlite:///:memory:")
    assert attempt(ctx, 1) is None and attempt(ctx, 2) is not None
    assert attempt(ctx, 3, **other) is None


def test_what_only_reads_neither_waits_nor_makes_wait():
    ctx = context("sqlite:///:memory:")
    assert attempt(ctx, 1, risk="read-only") is None
    assert attempt(ctx, 2) is None
    assert attempt(ctx, 3, risk="read-only") is None


def test_its_own_charge_does_not_make_a_deed_wait(url):
    ctx = context(url)
    assert attempt(ctx, 1) is None and attempt(ctx, 1) is None


def test_no_wait_is_configured_as_zero():
    ctx = context("sqlite:///:memory:", retry_wait_minutes=0)
    assert [attempt(ctx, number) for number in range(5)] == [None] * 5


def test_a_clock_that_was_set_back_shortens_nothing(url, clock):
    ctx = context(url, clock, retry_wait_minutes=2)
    attempt(ctx, 1)
    clock.at -= 7200
    assert attempt(ctx, 2).until == scene.START + 120


@pytest.mark.parametrize("garbage", ["nan", "inf", -1, "soon"])
def test_a_wait_that_is_none_is_a_no(garbage):
    ctx = context("sqlite:///:memory:", retry_wait_minutes=garbage)
    refused = attempt(ctx, 1)
    assert refused.rule == "wait" and "safety.retry_wait_minutes" in refused.reason


def test_a_time_that_is_none_and_a_database_that_is_gone_are_a_no(tmp_path):
    ctx = context(scene.store_url("sqlite", tmp_path))
    attempt(ctx, 1)
    ctx.store.execute("UPDATE budgets SET at = 'soon'")
    assert attempt(ctx, 2).rule == "store"
    ctx.store.close()
    assert waits.objection(ctx, deed("exe-3")).rule == "store"


def test_times_in_a_row_end_at_a_quiet_time():
    assert waits.in_a_row([], 100.0, 10.0) == 0
    assert waits.in_a_row([95.0, 90.0, 79.9], 100.0, 10.0) == 2
    assert waits.in_a_row([90.0], 100.0, 10.0) == 0
    assert waits.in_a_row([200.0, 95.0], 100.0, 10.0) == 1, "of the future: later than all"

"""The guard's breaker: a remedy that keeps failing on a scope is not repeated there, and what
cannot be read stops it.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import StoreError
from selfheal.guard import breaker
from selfheal.guard.verdict import Deed
from selfheal.store import open_store
from tests import scene

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@pytest.fixture
def ctx(url):
    return scene.context(url)


@pytest.fixture
def quick(tmp_path):
    """On SQLite alone: for what does not depend on the database."""
    return scene.context(scene.store_url("sqlite", tmp_path))


def deed(number=1, **changed):
    described = {
        "execution_id": "exe-%s" % number,
        "incident_id": "inc-1",
        "group_key": "g",
        "remedy": "runbook:start_failed_unit",
        "risk": "reversible",
        "scope": "prod/web-1",
    }
    return Deed(**{**described, **changed})


def fail(ctx, times=3, **changed):
    changes = []
    for number in range(times):
        one = deed("f%d-%s" % (number, ctx.clock.at), **changed)
        with ctx.store.transaction("guard"):
            assert breaker.permit(ctx, one) is None
        changes = breaker.settle(ctx, one, False, 1.0)
    return changes


def test_remedy_that_keeps_failing_is_refused_with_advice(ctx):
    changes = fail(ctx)
    assert breaker.sentence(deed(), changes[0]) == (
        "the circuit breaker of runbook:start_failed_unit|prod/web-1 went from closed to open: "
        "3 of 3 calls failed, from 50 % on it opens"
    )
    for ask in (breaker.objection, breaker.permit):
        with ctx.store.transaction("guard"):
            found = ask(ctx, deed())
        assert found.rule == "breaker"
        assert found.until == scene.START + 30 * MINUTE
        assert "3 of 3 calls failed" in found.reason
        assert "since 2023-11-14T22:13:20.000Z, until 2023-11-14T22:43:20.000Z" in found.reason
        assert "breaker_reset name=%s" % found.data["breaker"] in found.advice
        assert found.data["state"] == "open"


@pytest.mark.parametrize(
    "other", [{"scope": "prod/web-2"}, {"remedy": "runbook:restart"}, {"scope": "prod/web-1/x"}]
)
def test_other_scopes_and_remedies_are_not_concerned(quick, other):
    fail(quick)
    assert breaker.permit(quick, deed(**other)) is None


def test_the_case_of_letters_makes_no_second_scope(quick):
    fail(quick)
    assert breaker.permit(quick, deed(scope="Prod/WEB-1")).rule == "breaker"


def test_read_only_remedies_have_breakers_too(quick):
    fail(quick, risk="read-only")
    assert breaker.permit(quick, deed(risk="read-only")).rule == "breaker"


def test_one_probe_decides(ctx):
    fail(ctx)
    ctx.clock.at += 30 * MINUTE
    assert breaker.objection(ctx, deed(1)) is None  # a look takes nothing
    with ctx.store.transaction("guard"):
        assert breaker.permit(ctx, deed(2)) is None
    with ctx.store.transaction("guard"):
        assert "being tried" in breaker.permit(ctx, deed(3)).reason
        assert breaker.permit(ctx, deed(2)) is None  # it is the one
    assert breaker.objection(ctx, deed(3)).data["state"] == "half_open"
    breaker.settle(ctx, deed(2), False, 1.0)
    assert breaker.objection(ctx, deed(3)).until == ctx.clock.at + HOUR
    ctx.clock.at += HOUR
    assert breaker.permit(ctx, deed(4)) is None
    assert breaker.settle(ctx, deed(4), True, 1.0)[0].to_state == "closed"
    assert breaker.permit(ctx, deed(5)) is None and breaker.permit(ctx, deed(6)) is None


def test_dead_probe_makes_room_after_its_time(quick):
    fail(quick)
    quick.clock.at += 30 * MINUTE
    assert breaker.permit(quick, deed(1)) is None
    quick.clock.at += 2 * HOUR - 1
    assert breaker.permit(quick, deed(2)) is not None
    quick.clock.at += 1 + HOUR
    assert breaker.permit(quick, deed(2)) is None


def test_probe_that_did_not_begin_is_given_back(quick):
    fail(quick)
    quick.clock.at += 30 * MINUTE
    breaker.permit(quick, deed(1))
    breaker.release(quick, deed(1))
    assert breaker.permit(quick, deed(2)) is None


def test_outcome_of_one_execution_counts_once(ctx):
    for _ in range(10):
        breaker.settle(ctx, deed(1), False, 1.0)
    assert breaker.permit(ctx, deed(2)) is None


def test_refused_gate_takes_the_probe_back_with_its_transaction(ctx):
    fail(ctx)
    ctx.clock.at += 30 * MINUTE
    with pytest.raises(RuntimeError), ctx.store.transaction("guard"):
        assert breaker.permit(ctx, deed(1)) is None
        raise RuntimeError
    assert breaker.permit(ctx, deed(2)) is None


def test_failing_for_a_week_is_tried_less_and_less(quick):
    tries = 0
    for minute in range(0, 7 * 24 * 60, 5):
        quick.clock.at = scene.START + minute * MINUTE
        one = deed("m%d" % minute)
        if breaker.permit(quick, one) is None:
            tries += 1
            breaker.settle(quick, one, False, 1.0)
    assert 3 + 7 <= tries <= 3 + 5 + 8  # doubling to a day, then once a day


@pytest.mark.parametrize("data", ["", "{", '{"v":1,"state":"closed"}', '{"v":9}', "\u00e9"])
def test_garbage_in_its_row_is_an_objection(ctx, data):
    fail(ctx, 1)
    ctx.store.execute("UPDATE circuit_breakers SET data = ?", (data,))
    for ask in (breaker.objection, breaker.permit):
        found = ask(ctx, deed())
        assert found.rule == "store" and "breaker_reset" in found.reason
    with pytest.raises(StoreError):
        breaker.settle(ctx, deed(), False, 1.0)


def test_store_that_fails_is_an_objection(quick):
    quick.store.close()
    for ask in (breaker.objection, breaker.permit):
        assert ask(quick, deed()).rule == "store"


def test_missing_table_is_an_objection(ctx):
    ctx.store.execute("DROP TABLE circuit_breakers")
    assert breaker.objection(ctx, deed()).rule == "store"
    assert breaker.permit(ctx, deed()).rule == "store"


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -float("inf")])
def test_time_that_makes_no_sense_is_an_objection(quick, at):
    fail(quick)
    quick.clock.at = at
    for ask in (breaker.objection, breaker.permit):
        assert ask(quick, deed()) is not None


@pytest.mark.parametrize("field", ["execution_id", "remedy", "scope"])
def test_nameless_deed_is_refused(quick, field):
    assert breaker.permit(quick, deed(**{field: ""})).rule == "breaker"


def test_senseless_setting_is_an_objection(quick):
    quick.config.values["safety"] = {"breaker": {"probes": 0}}
    assert "safety.breaker.probes" in breaker.permit(quick, deed()).reason


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a' OR '1'='1", "%", "{{ 6*7 }}", "x" * 10**6])
def test_hostile_scope_has_a_breaker_of_its_own(ctx, text):
    fail(ctx, scope=text)
    assert breaker.permit(ctx, deed(scope=text)) is not None
    assert breaker.permit(ctx, deed(scope=text + "!")) is None
    assert len(breaker.permit(ctx, deed(scope=text)).reason) < 1000


def test_other_process_sees_the_same(ctx, url):
    fail(ctx)
    other = scene.context(url, ctx.clock)
    assert breaker.objection(other, deed()) is not None
    assert open_store(url).value("SELECT COUNT(*) FROM breaker_changes") == 1

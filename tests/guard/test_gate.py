"""The gate: every guard is asked, what cannot be found out is a no, and a no costs nothing."""

from __future__ import annotations

import dataclasses

import pytest

from selfheal.exceptions import ConfigError, StoreError
from selfheal.guard import breaker, budgets, gate, pause
from selfheal.guard.verdict import Deed, Objection
from tests import scene

DEED = Deed(
    execution_id="exe-1",
    incident_id="inc-1",
    group_key="cause-1",
    remedy="runbook:restart",
    risk="reversible",
    scope="prod/shop/web",
    cluster="prod",
    namespace="shop",
    alert_type="ServiceDown",
    severity="critical",
)
NO = Objection("command", "the words are forbidden", "write others")


@pytest.fixture
def ctx(url):
    context = scene.context(url, safety={"retry_wait_minutes": 0})
    yield context
    context.close()


@pytest.fixture
def one(tmp_path):
    context = scene.context(scene.store_url("sqlite", tmp_path))
    yield context
    context.close()


def charged(ctx):
    return ctx.store.value("SELECT COUNT(*) FROM budgets")


def again(number):
    return dataclasses.replace(DEED, execution_id="exe-%d" % number)


def test_a_deed_that_nobody_objects_to_is_let_in_and_charged_once(ctx):
    assert gate.look(ctx, DEED) == []
    assert charged(ctx) == 0
    assert gate.enter(ctx, DEED) is None
    first = charged(ctx)
    assert first > 0
    assert gate.enter(ctx, DEED) is None
    assert charged(ctx) == first


def test_the_guards_are_asked_in_their_order_and_the_first_no_decides(ctx):
    names = [name for name, _ in gate.GUARDS]
    assert names == [
        "store",
        "clock",
        "pause",
        "window",
        "storm",
        "wait",
        "budget",
        "min_healthy",
        "breaker",
    ]
    pause.begin(ctx.store, pause.scope_of("global"), "ann", "why not", None, False)
    found = gate.look(ctx, DEED, [NO])
    assert [one.rule for one in found] == ["pause", "command"]
    assert gate.enter(ctx, DEED, [NO]) == found[0]
    assert charged(ctx) == 0


def test_a_forbidden_command_is_refused_last_and_costs_nothing(ctx):
    assert gate.enter(ctx, DEED, [NO]) is NO
    assert charged(ctx) == 0


def test_the_budget_ends_and_the_no_says_how_to_allow_it(ctx):
    for number in range(3):
        assert gate.enter(ctx, again(number)) is None
    objection = gate.enter(ctx, again(9))
    assert objection.rule == "budget"
    assert "safety.budgets.target_hour" in objection.advice
    assert objection.until > ctx.clock.now()


@pytest.mark.parametrize("name", [name for name, _ in gate.GUARDS if name != "min_healthy"])
@pytest.mark.parametrize(
    "error",
    [StoreError("disk full"), ConfigError("x must be y"), KeyError("z"), ZeroDivisionError()],
)
def test_a_guard_that_breaks_has_said_no(one, monkeypatch, name, error):
    def broken(*_):
        raise error

    guards = tuple((known, broken if known == name else guard) for known, guard in gate.GUARDS)
    monkeypatch.setattr(gate, "GUARDS", guards)
    objection = gate.enter(one, DEED)
    assert objection.rule == ("store" if isinstance(error, StoreError) else name)
    assert objection.advice and objection.reason
    assert charged(one) == 0
    assert [found.rule for found in gate.look(one, DEED)] == [objection.rule]


@pytest.mark.parametrize("part", ["measure", "objection", "charge"])
def test_a_measurement_that_breaks_is_a_no_and_nothing_is_charged(ctx, monkeypatch, part):
    def broken(*_):
        raise RuntimeError("no such group")

    monkeypatch.setattr(gate.group_health, part, broken)
    assert gate.enter(ctx, DEED) is not None
    assert charged(ctx) == 0


def test_a_charge_that_fails_gives_the_probe_back(ctx, monkeypatch):
    def broken(*_):
        raise StoreError("disk full")

    taken = []
    permit = breaker.permit
    monkeypatch.setattr(breaker, "permit", lambda *given: taken.append(1) or permit(*given))
    monkeypatch.setattr(budgets, "charge", broken)
    objection = gate.enter(ctx, DEED)
    assert taken and objection.rule == "store" and "disk full" in objection.reason


def test_a_database_that_is_gone_is_a_no_with_the_way_to_mend_it(ctx):
    ctx.store.close()
    objection = gate.enter(ctx, DEED)
    assert objection.rule == "store"
    assert "database" in objection.advice
    assert {one.rule for one in gate.look(ctx, DEED)} == {"store"}


@pytest.mark.parametrize("table", ["budgets", "circuit_breakers", "pauses", "locks", "checkpoints"])
def test_a_table_that_is_gone_is_a_no(ctx, table):
    ctx.store.execute("DROP TABLE %s" % table)
    assert gate.enter(ctx, DEED) is not None


@pytest.mark.parametrize("at", ["yesterday", float("inf"), 1e300])
def test_garbage_in_the_budgets_is_a_no(tmp_path, at):
    context = scene.context(scene.store_url("sqlite", tmp_path))
    for _, name in budgets.names(DEED):
        context.store.execute(
            "INSERT INTO budgets (name, execution_id, at) VALUES (?, ?, ?)", (name, "exe-0", at)
        )
    objection = gate.enter(context, DEED)
    assert objection.rule in ("store", "budget")
    assert charged(context) == len(budgets.names(DEED))
    context.close()


def test_what_only_reads_costs_no_budget_and_heeds_a_pause(ctx):
    reading = dataclasses.replace(DEED, risk="read-only")
    assert gate.enter(ctx, reading) is None
    assert charged(ctx) == 0
    pause.begin(ctx.store, pause.scope_of("global"), "ann", "why not", None, False)
    assert gate.enter(ctx, reading).rule == "pause"


def test_failures_open_the_breaker_and_its_change_is_told(ctx):
    ctx.config.values.setdefault("safety", {})["budgets"] = {
        "target_hour": 100,
        "target_day": 100,
    }
    changes = []
    for number in range(3):
        assert gate.enter(ctx, again(number)) is None
        changes += gate.leave(ctx, again(number), False, 1.0)
        assert gate.leave(ctx, again(number), False, 1.0) == []
    assert len(changes) == 1 and "open" in changes[0]
    objection = gate.enter(ctx, again(9))
    assert objection.rule == "breaker" and objection.until > ctx.clock.now()


def test_a_deed_that_says_nothing_of_its_remedy_leaves_the_breaker_as_it_was(ctx):
    ctx.config.values.setdefault("safety", {})["budgets"] = {"target_hour": 100, "target_day": 100}
    for number in range(5):
        assert gate.enter(ctx, again(number)) is None
        assert gate.leave(ctx, again(number), None) == []
    assert gate.enter(ctx, again(99)) is None

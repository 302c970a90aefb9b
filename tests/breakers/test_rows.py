"""Breakers in SQL: shared, never two permits for one probe, every change on record, garbage never
taken for closed.
"""

from __future__ import annotations

import multiprocessing
import os

import pytest

from selfheal.breakers import rows
from selfheal.breakers.machine import CLOSED, HALF_OPEN, OPEN
from selfheal.breakers.settings import REMEDY, SERVICE, Name, settings_of
from selfheal.config import Config
from selfheal.exceptions import ConfigError, StoreError
from selfheal.store import load, open_store
from selfheal.store.retention import sweep
from tests import scene

SETTINGS = settings_of(Config(), REMEDY)
NAME = Name(REMEDY, "runbook:restart", "prod/shop/web")
DAY = 86400.0


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def store(url, clock):
    return open_store(url, now=clock.now)


def fail(store, times=3, name=NAME, by="exe"):
    for _ in range(times):
        rows.change(store, name, SETTINGS, lambda one: one.record(store.now(), False), by)


def test_unknown_breaker_is_closed_and_asking_writes_nothing(store):
    assert rows.read(store, NAME, SETTINGS).state == CLOSED
    answer, changes = rows.change(store, NAME, SETTINGS, lambda one: one.permit(store.now(), "a"))
    assert answer is None and changes == []
    assert store.value("SELECT COUNT(*) FROM circuit_breakers") == 0


def test_what_one_connection_writes_the_other_sees(store, url, clock):
    fail(store)
    other = open_store(url, now=clock.now)
    assert rows.read(other, NAME, SETTINGS).state == OPEN
    row = other.one("SELECT * FROM circuit_breakers")
    assert (row["state"], row["kind"], row["name"]) == (
        OPEN,
        REMEDY,
        "runbook:restart|prod/shop/web",
    )


def test_every_change_is_recorded_with_its_numbers(store, clock):
    fail(store, by="exe-7")
    clock.at += SETTINGS.open_s
    rows.change(store, NAME, SETTINGS, lambda one: one.permit(clock.at, "exe-8"), "exe-8")
    rows.change(store, NAME, SETTINGS, lambda one: one.record(clock.at, True, 2.0, "exe-8"))
    changes = store.query("SELECT * FROM breaker_changes ORDER BY id")
    assert [(row["from_state"], row["to_state"]) for row in changes] == [
        (CLOSED, OPEN),
        (OPEN, HALF_OPEN),
        (HALF_OPEN, CLOSED),
    ]
    assert [row["changed_by"] for row in changes] == ["exe-7", "exe-8", ""]
    assert "3 of 3 calls failed" in changes[0]["reason"]
    assert load(changes[0]["numbers"])["failure_rate"] == 1.0
    assert rows.last_changes(store, [NAME.key])[NAME.key]["to_state"] == CLOSED


def test_a_rolled_back_transaction_takes_the_change_with_it(store):
    fail(store, 2)
    with pytest.raises(RuntimeError), store.transaction("guard"):
        fail(store, 1)
        assert rows.read(store, NAME, SETTINGS).state == OPEN
        raise RuntimeError
    assert rows.read(store, NAME, SETTINGS).state == CLOSED
    assert store.value("SELECT COUNT(*) FROM breaker_changes") == 0


@pytest.mark.parametrize(
    "data",
    ["", "{", "[]", "null", '{"v": 1}', '{"v": 2, "state": "closed"}', "x" * 100, "[" * 100_000],
)
def test_garbage_is_an_error_that_names_the_way_out(store, data):
    fail(store, 1)
    store.execute("UPDATE circuit_breakers SET data = ?", (data,))
    with pytest.raises(StoreError, match="breaker_reset name=%s" % NAME.key):
        rows.read(store, NAME, SETTINGS)
    with pytest.raises(StoreError):
        fail(store, 1)
    rows.change(store, NAME, SETTINGS, lambda one: one.reset(store.now(), "x"), anew=True)
    assert rows.read(store, NAME, SETTINGS).state == CLOSED


HOSTILE = ["", "a", "a|b", "a/b", "é", "\x00", "%s", "'", '"', "\ud800", "x" * 1_000_000]


def test_no_two_names_share_a_key_and_all_can_be_stored(store):
    names = [Name(REMEDY, what, scope) for what in HOSTILE for scope in HOSTILE]
    names += [Name(SERVICE, what) for what in HOSTILE]
    assert len({name.key for name in names}) == len(names)
    for name in names[::7]:
        fail(store, 1, name, by="\x00\ud800")
        assert len(name.shown) <= 300
    assert store.value("SELECT COUNT(*) FROM circuit_breakers") == len(names[::7])


def test_old_changes_and_idle_closed_breakers_are_swept(store, clock):
    fail(store)
    other = Name(SERVICE, "prometheus")
    fail(store, 1, other)
    clock.at += 40 * DAY
    fresh = Name(SERVICE, "alertmanager")
    fail(store, 1, fresh)
    assert sweep(store, 30) == {"breaker_changes": 1, "circuit_breakers": 1}
    assert rows.read(store, NAME, SETTINGS).state == OPEN
    left = {row["key"] for row in store.query("SELECT key FROM circuit_breakers")}
    assert left == {NAME.key, fresh.key}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_calls", 0),
        ("failure_rate", 0),
        ("failure_rate", float("nan")),
        ("open_minutes", -1),
        ("probes", 0),
        ("window_minutes", "soon"),
    ],
)
def test_senseless_settings_are_named(key, value):
    config = Config({"safety": {"breaker": {key: value}}})
    with pytest.raises(ConfigError, match=r"safety\.breaker\.%s" % key):
        settings_of(config, REMEDY)


# ------------------------------------------------------------------------------------------- races
# Small by default; SELFHEAL_RACE_ROUNDS=1000 is the full scale, with 50 processes.

ROUNDS = int(os.environ.get("SELFHEAL_RACE_ROUNDS", "0"))
RACERS = 50 if ROUNDS else 6
START = scene.START


def _racer(url, number, rounds, barrier, answers):
    store = open_store(url)
    won = []
    for turn in range(rounds):
        name = Name(REMEDY, "race", "round %d" % turn)
        barrier.wait(180)
        refused, _ = rows.change(
            store, name, SETTINGS, lambda one: one.permit(START + 3600, "o%d" % number)
        )
        if refused is None:
            won.append(turn)
    answers.put(won)
    store.close()


def test_of_racing_processes_one_gets_the_probe(url):
    rounds = ROUNDS or 10
    store = open_store(url, now=lambda: START)
    for turn in range(rounds):
        fail(store, 3, Name(REMEDY, "race", "round %d" % turn))
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(RACERS), context.Queue()
    racers = [
        context.Process(target=_racer, args=(url, number, rounds, barrier, answers))
        for number in range(RACERS)
    ]
    for racer in racers:
        racer.start()
    won = [turn for _ in racers for turn in answers.get(timeout=180 + 5 * rounds)]
    for racer in racers:
        racer.join(180)
    assert sorted(won) == list(range(rounds))
    assert store.value("SELECT COUNT(*) FROM circuit_breakers WHERE state = ?", (HALF_OPEN,)) == (
        rounds
    )
    moved = store.value("SELECT COUNT(*) FROM breaker_changes WHERE to_state = ?", (HALF_OPEN,))
    assert moved == rounds


def _counter(url, times, barrier, answers):
    store = open_store(url, now=lambda: START)
    barrier.wait(180)
    for _ in range(times):
        rows.change(store, NAME, SETTINGS, lambda one: one.record(START, True, 1.0))
    answers.put(times)


def test_racing_processes_lose_no_outcome(url):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(4), context.Queue()
    open_store(url)
    racers = [
        context.Process(target=_counter, args=(url, 15, barrier, answers)) for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    assert sum(answers.get(timeout=180) for _ in racers) == 60
    for racer in racers:
        racer.join(180)
    found = rows.read(open_store(url, now=lambda: START), NAME, SETTINGS)
    assert found.numbers(START)["calls"] == 60

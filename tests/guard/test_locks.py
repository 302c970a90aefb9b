"""Locks: one holder, freed by its owner or by time."""

from __future__ import annotations

import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import InvalidInput, StoreError
from selfheal.guard import locks
from selfheal.store import open_store
from tests import scene


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def store(url, clock):
    return open_store(url, now=clock.now)


def test_second_owner_waits_for_release(store):
    assert locks.acquire(store, "x", "a", 60)
    assert not locks.acquire(store, "x", "b", 60)
    assert locks.holder(store, "x") == "a"
    assert not locks.release(store, "x", "b")
    assert locks.release(store, "x", "a")
    assert locks.holder(store, "x") is None
    assert locks.acquire(store, "x", "b", 60)


def test_locks_do_not_know_each_other(store):
    assert locks.acquire(store, "x", "a", 60) and locks.acquire(store, "y", "b", 60)


def test_expired_lock_is_free(store, clock):
    locks.acquire(store, "x", "a", 60)
    clock.at += 59.9
    assert not locks.acquire(store, "x", "b", 60)
    clock.at += 0.1
    assert locks.holder(store, "x") is None
    assert locks.acquire(store, "x", "b", 60)
    assert not locks.acquire(store, "x", "a", 60)


def test_renewing_prolongs_and_keeps_the_beginning(store, clock):
    locks.acquire(store, "x", "a", 60)
    clock.at += 30
    assert locks.acquire(store, "x", "a", 60)
    row = store.one("SELECT * FROM locks")
    assert (row["acquired_at"], row["expires_at"]) == (scene.START, scene.START + 90)
    clock.at += 70
    locks.acquire(store, "x", "b", 60)
    assert store.one("SELECT * FROM locks")["acquired_at"] == clock.at


@pytest.mark.parametrize(
    ("name", "owner", "ttl_s"),
    [
        ("", "a", 60),
        ("x", "", 60),
        ("x", "a", 0),
        ("x", "a", -1),
        ("x", "a", float("nan")),
        ("x", "a", float("inf")),
    ],
)
def test_a_lock_of_nobody_or_for_no_time_is_an_error(store, name, owner, ttl_s):
    with pytest.raises(InvalidInput):
        locks.acquire(store, name, owner, ttl_s)
    assert store.value("SELECT COUNT(*) FROM locks") == 0


def test_an_expiry_that_is_no_time_is_not_free(tmp_path):
    store = open_store(scene.store_url("sqlite", tmp_path))
    locks.acquire(store, "x", "a", 60)
    store.execute("UPDATE locks SET expires_at = 'soon'")
    assert not locks.acquire(store, "x", "b", 60)
    other = open_store(scene.store_url("postgresql", tmp_path))
    locks.acquire(other, "x", "a", 60)
    other.execute("UPDATE locks SET expires_at = 'NaN'")
    assert not locks.acquire(other, "x", "b", 60)


def test_a_store_that_is_gone_is_an_error_never_a_lock(store):
    store.close()
    with pytest.raises(StoreError):
        locks.acquire(store, "x", "a", 60)


def test_a_full_disk_takes_no_lock(tmp_path):
    store = open_store(scene.store_url("sqlite", tmp_path))
    store.query("PRAGMA max_page_count = %d" % store.value("PRAGMA page_count"))
    taken = 0
    with pytest.raises(StoreError, match="full"):
        for number in range(10_000):
            taken += locks.acquire(store, "lock-%d" % number, "a", 60)
    assert store.value("SELECT COUNT(*) FROM locks") == taken


def _race(url, number, start, answers):
    store = open_store(url)
    start.wait(180)
    answers.put(
        [
            name
            for name in ("p", "q", "r")
            for _ in range(5)
            if locks.acquire(store, name, "o%d" % number, 3600)
        ]
    )


def test_of_racing_processes_one_gets_each_lock(url):
    open_store(url)
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(4), context.Queue()
    racers = [
        context.Process(target=_race, args=(url, number, start, answers)) for number in range(4)
    ]
    for racer in racers:
        racer.start()
    won = [answers.get(timeout=180) for _ in racers]
    for racer in racers:
        racer.join(180)
    for name in ("p", "q", "r"):
        assert sorted(names.count(name) for names in won) == [0, 0, 0, 5]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "release", "wait"]), st.sampled_from("ab"), st.integers(1, 30)
    ),
    max_size=30,
)


@given(STEPS)
def test_never_two_holders(steps):
    """Against a model: a name, its owner and the time at which it is free."""
    clock = scene.Clock()
    store = open_store("sqlite:///:memory:", now=clock.now)
    owner, free_at = None, 0.0
    for step, who, amount in steps:
        if step == "wait":
            clock.at += amount
        elif step == "release":
            had = owner == who
            assert locks.release(store, "x", who) is had
            owner = None if had else owner
        else:
            may = owner in (None, who) or free_at <= clock.at
            assert locks.acquire(store, "x", who, amount) is may
            if may:
                owner, free_at = who, clock.at + amount
        living = owner if owner and free_at > clock.at else None
        assert locks.holder(store, "x") == living
    store.close()

"""Under several workers at a time, random faults and death at any place: each letter of a queue is
written once, in the order in which it was posted, by one carrier at a time.
"""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfheal.exceptions import Conflict
from selfheal.outbox import letters
from selfheal.outbox.carrying import deliver
from selfheal.store import open_store
from tests import letter_world, scene

WORKERS = 3
ROUNDS = 400


@pytest.fixture(params=scene.BOTH)
def office(request, tmp_path, monkeypatch):
    """(the store, its URL, a function that lets workers loose on a world until nothing waits)."""
    url = scene.store_url(request.param, tmp_path)
    clock = scene.Clock()
    config = {}
    contexts = [scene.context(url, clock) for _ in range(WORKERS)]

    def work(world, chance, meddle=lambda: None):
        known = letter_world.carriers(monkeypatch, carry=world.carry)
        store = contexts[0].store
        for ctx in contexts:
            ctx.config.values.update(config)

        def one(ctx):
            try:
                deliver(ctx, known)
            except letter_world.Killed:
                pass

        for _ in range(ROUNDS):
            threads = [threading.Thread(target=one, args=(ctx,)) for ctx in contexts]
            threads.append(threading.Thread(target=meddle))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(600)
            if not letters.pending_count(store):
                return
            clock.at += chance.choice((1, 20, 60, 400))
        raise AssertionError("letters still wait: %s" % letters.listing(store, limit=5))

    work.config = config
    yield open_store(url, now=clock.now), work
    for ctx in contexts:
        ctx.close()


@settings(
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    loose=st.integers(0, 4),
    seed=st.integers(0, 10**6),
)
def test_each_letter_of_a_queue_is_written_once_and_in_order(office, sizes, loose, seed):
    store, work = office
    chance = random.Random(seed)
    mood = threading.Lock()

    def fault_of(_letter):
        with mood:
            is_well = chance.random() < 0.5
            return "" if is_well else chance.choice(letter_world.FAULTS)

    world = letter_world.World(fault_of)
    prefix = "%d-%d" % (seed, int(store.value("SELECT COUNT(*) FROM outbox")))
    wanted = {}
    waiting = [("%s-q%d" % (prefix, n), size) for n, size in enumerate(sizes)]
    waiting += [("", loose)] if loose else []
    while waiting:  # posted in any mixture
        at = chance.randrange(len(waiting))
        queue, left = waiting[at]
        words = wanted.setdefault(queue, [])
        words.append(len(words))
        key = "%s:%s:%d" % (prefix, queue, len(words))
        letters.post(
            store, "ticket_comment", None, key, {"words": words[-1]}, channel="world", queue=queue
        )
        waiting[at:at + 1] = [(queue, left - 1)] if left > 1 else []
    work(world, chance)
    assert world.overlaps == []
    for queue, words in wanted.items():
        written = [said for where, said in world.written if where == queue]
        assert (written if queue else sorted(written)) == words
    assert letters.dead_count(store) == 0


@settings(
    max_examples=8, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10**6))
def test_people_who_retry_and_discard_meanwhile_cause_no_second_carrier(office, seed):
    store, work = office
    chance, mood = random.Random(seed), threading.Lock()
    prefix = "%d-%d" % (seed, int(store.value("SELECT COUNT(*) FROM outbox")))
    meddled = []

    def fault_of(letter):
        never = "" if letter.payload["is_base"] else "never"  # a dead base would hold the rest
        with mood:
            return chance.choice((*letter_world.FAULTS, "", "", "", never))

    def meddle():
        if len(meddled) > 30:
            return
        person = open_store(url_of(store), now=store.now)
        for one in random.Random(seed + len(meddled)).sample(ids, 4):
            meddled.append(one)
            try:
                letters.retry(person, one, "ann")
            except Conflict:
                continue
            if len(meddled) % 7 == 0:
                letters.discard(person, one, "ann", "a test")
        person.close()

    world = letter_world.World(fault_of)
    ids = [
        letters.post(
            store, "ticket_comment", None, "%s:%d" % (prefix, number),
            {"words": "%s:%d" % (prefix, number), "is_base": number == 0},
            channel="world", queue="%s:%d" % (prefix, number % 2),
        )
        for number in range(10)
    ]
    work(world, chance, meddle)
    assert world.overlaps == []
    said = [words for _, words in world.written]
    assert len(set(said)) == len(said)
    sent = {"%s:%d" % (prefix, number) for number, one in enumerate(ids)
            if letters.is_delivered(store, one)}
    assert sent <= set(said)


def test_limit_of_a_channel_holds_for_all_workers_together(office):
    store, work = office
    for number in range(40):
        letters.post(
            store, "ticket_comment", None, "k%d" % number, {"words": number}, channel="world"
        )
    began = {}

    def fault_of(_letter):
        began[store.now()] = began.get(store.now(), 0) + 1
        return ""

    work.config["notify"] = {"world": {"max_per_minute": 10}}
    work(letter_world.World(fault_of), random.Random(3))
    times = sorted(began)
    for at in times:
        assert sum(began[other] for other in times if at <= other < at + 60) <= 8
    assert sum(began.values()) == 40


def test_numbers_rise_in_the_order_in_which_transactions_end(office):
    """What is posted later by another worker is never carried before what waits to be committed."""
    store, work = office
    url_store = store

    def post_many(worker):
        other = open_store(url_of(url_store), now=url_store.now)
        for number in range(10):
            with other.transaction("incidents"):
                words = "%d-%d" % (worker, number)
                letters.post(
                    other, "ticket_comment", None, words, {"words": words}, channel="world",
                    queue="one",
                )
        other.close()

    threads = [threading.Thread(target=post_many, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    numbers = [
        row["queue_number"]
        for row in store.query("SELECT queue_number FROM outbox WHERE queue = 'one'")
    ]
    assert len(set(numbers)) == len(numbers) == 30
    world = letter_world.World()
    work(world, random.Random(1))
    for worker in range(3):
        mine = [said for _, said in world.written if said.startswith("%d-" % worker)]
        assert mine == ["%d-%d" % (worker, number) for number in range(10)]
    assert len(world.written) == 30 and world.overlaps == []


def url_of(store):
    """The URL by which `store` was opened."""
    return getattr(store.dialect, "_url", store.dialect.shown_url)

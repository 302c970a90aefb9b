"""Writers of one chain: however many race, and however they die, it never forks and loses nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest

from selfheal.incidents import evidence, timeline
from selfheal.remedy import journal
from selfheal.store import chain, open_store, seals
from tests import audit_scene, scene

WRITERS = 20
EACH = int(os.environ.get("SELFHEAL_RACE_ROUNDS", "4"))
_processes = multiprocessing.get_context("fork")


@pytest.fixture
def store(url):
    return open_store(url)


def links(store, incident_id="inc-1"):
    return [
        row["link"]
        for row in store.query(
            "SELECT link FROM incident_events WHERE incident_id = ? ORDER BY link", (incident_id,)
        )
    ]


def write_many(url, name, count, gate):
    """What a writer's process does: entries of its own, and one that all of them want to write."""
    store = open_store(url)
    gate.wait(180)
    for number in range(count):
        timeline.record(store, "inc-1", "note", "%s %d" % (name, number))
        timeline.record(store, "inc-1", "note", "of all", once="number %d" % number)
        pair = [chain.entry(store, "inc-%d" % n, "note", "pair") for n in (2, 1)]
        timeline.record_many(store, pair if number % 2 else pair[::-1])


def test_twenty_processes_on_one_incident_neither_fork_nor_lose(store, url):
    gate = _processes.Barrier(WRITERS)
    writers = [
        _processes.Process(target=write_many, args=(url, "writer-%d" % n, EACH, gate))
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    own, common, pairs = WRITERS * EACH, EACH, WRITERS * EACH
    assert links(store) == list(range(1, own + common + pairs + 1))
    assert links(store, "inc-2") == list(range(1, pairs + 1))
    report = evidence.examine_all(store)
    assert report.is_ok and report.events == own + common + 2 * pairs


def write_until_killed(url, name):
    """Events, executions and seals without an end."""
    store = open_store(url)
    number = 0
    while True:
        number += 1
        timeline.record(store, "inc-1", "note", "%s %d" % (name, number))
        execution = journal.begin(store, "inc-1", name, audit_scene.PLAN)
        journal.finish(store, execution, journal.DONE, {"number": number})
        if name == "killed-0":
            seals.seal_changed(store)


def test_killed_writers_leave_a_whole_chain(store, url):
    for wave in range(3):
        writers = [
            _processes.Process(target=write_until_killed, args=(url, "killed-%d" % n))
            for n in range(3)
        ]
        before = len(links(store))
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 180
        while len(links(store)) < before + 25 + 7 * wave:
            assert time.monotonic() < deadline, "the writers write nothing"
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
        for writer in writers:
            writer.join(180)
        report = evidence.examine_all(store)
        assert report.is_ok, report.broken
    assert links(store) == list(range(1, len(links(store)) + 1))


def test_who_verifies_while_others_write_finds_nothing(store, url):
    writer = _processes.Process(target=write_until_killed, args=(url, "killed-0"))
    writer.start()
    try:
        deadline = time.monotonic() + 180
        looks = 0
        while looks < 12:
            assert time.monotonic() < deadline
            report = evidence.examine_all(store)
            assert report.is_ok, report.broken
            looks += report.events > 0
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(180)


def test_loser_of_a_race_waits_and_writes_the_next_link(tmp_path):
    url = scene.store_url("postgresql", tmp_path)
    first, second = open_store(url), open_store(url)
    wrote = []
    loser = threading.Thread(
        target=lambda: wrote.append(timeline.record(second, "inc-1", "note", "b", once="key"))
    )
    with first.transaction():
        timeline.record(first, "inc-1", "note", "a", once="key")
        loser.start()
        loser.join(0.5)
        assert loser.is_alive()
    loser.join(180)
    assert wrote == [False]
    timeline.record(second, "inc-1", "note", "c", once="other")
    assert links(first) == [1, 2]
    assert evidence.examine_all(first).is_ok


def test_event_of_a_transaction_that_fails_leaves_no_link(store):
    timeline.record(store, "inc-1", "note", "a")
    with audit_scene.taken_back(store):
        timeline.record(store, "inc-1", "note", "never")
    timeline.record(store, "inc-1", "note", "b")
    assert links(store) == [1, 2]
    assert evidence.examine_all(store).is_ok


def test_batch_leaves_out_what_was_there_and_what_it_holds_twice(store):
    timeline.record(store, "inc-1", "note", "a", once="a")
    batch = [
        chain.entry(store, incident, "note", "b", once=key)
        for incident, key in (("inc-1", "a"), ("inc-1", "b"), ("inc-1", "b"), ("inc-2", "a"))
    ]
    assert timeline.record_many(store, batch) == 2
    assert (links(store), links(store, "inc-2")) == ([1, 2], [1])
    assert timeline.record_many(store, []) == 0
    assert evidence.examine_all(store).is_ok

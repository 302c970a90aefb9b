"""kill -9 at any statement of a poll: nothing lost, nothing counted twice, one incident per group.

A child process plays the sensor: it stores batches, evaluates, moves its checkpoint, and kills
itself with SIGKILL before its n-th statement. The next child goes on from the checkpoint.
"""

from __future__ import annotations

import os
import random
import signal
import traceback

import pytest

from selfheal.errors import watch
from selfheal.store import checkpoints, open_store
from tests import book_scene, needs, scene
from tests.book_scene import NOW, pair
from tests.errors.test_watch_oracle import NEVER, expected, outcome

BATCH = 40
KILLS = 60


def documents():
    chance = random.Random(3)
    return [
        pair(n, chance.random() * 4000, "p%d" % (n % 29), host="h%d" % (n % 2))
        for n in range(1600)
    ]


def sensor(url, pairs, statements):
    """Poll to the end, or until `statements` were run."""
    ctx = book_scene.context(url, scene.Clock(NOW + 7200))
    store, book = ctx.store, book_scene.book(ctx)
    left = [statements]
    execute, insert_many = store._execute, store.dialect.insert_many

    def counted(run):
        def counting(*args):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return run(*args)

        return counting

    store._execute = counted(execute)
    store.dialect.insert_many = counted(insert_many)
    while True:
        done = checkpoints.read(store, "poll") or 0
        if done >= len(pairs):
            return
        book.store(pairs[max(0, done - 7):done + BATCH])
        watch.evaluate(ctx, book_scene.ORIGIN, NEVER)
        checkpoints.write(store, "poll", done + BATCH)


def start(url, pairs, statements):
    """The process id of a child that polls."""
    child = os.fork()
    if child:
        return child
    try:
        sensor(url, pairs, statements)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def was_killed(child):
    status = os.waitpid(child, 0)[1]
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the sensor failed by itself"
    return os.WIFSIGNALED(status)


def check(url, pairs):
    store = open_store(url)
    ids = {row["document_id"] for row in store.query("SELECT document_id FROM error_logs")}
    assert ids == {document.document_id for document, _ in pairs}
    for table, column in (("error_counts", "stored"), ("error_groups", "occurrences"),
                          ("error_patterns", "occurrences"), ("error_intake", "documents")):
        assert store.value("SELECT SUM(%s) FROM %s" % (column, table)) == len(pairs), table
    truth = expected(pairs, 5, 300)
    assert set(outcome(store)) == set(truth) and 10 < len(truth) < 58
    store.close()


@pytest.mark.parametrize("sensors", [1, 2])
def test_killed_at_any_statement_everything_counts_once(url, sensors):
    needs.linux()
    pairs = documents()
    chance = random.Random(sensors)
    book_scene.context(url).close()  # the migrations are another test's matter
    kills = 0
    while kills < KILLS:
        lives = [start(url, pairs, chance.randint(1, 60)) for _ in range(sensors)]
        dead = [was_killed(child) for child in lives]
        kills += sum(dead)
        if not all(dead):
            break
    assert kills >= 50
    assert not was_killed(start(url, pairs, 0))
    check(url, pairs)

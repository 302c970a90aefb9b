"""Fifty processes want one thing at once, and one of them gets it, each time.

SELFHEAL_RACE_ROUNDS=1000 runs as many rounds as the promise was made for; a few are run always.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time

from selfheal.config import Config
from selfheal.context import Context
from selfheal.guard import budgets, locks
from selfheal.store import open_store
from tests.guard.permits import deed

RACERS = 50
ROUNDS = int(os.environ.get("SELFHEAL_RACE_ROUNDS") or 4)
READY_S = 600.0
FORK = multiprocessing.get_context("fork")  # fifty new interpreters would take a minute to start
PLENTY = 10 * RACERS * ROUNDS


def want_lock(ctx, number, round_):
    return locks.acquire(ctx.store, "target:%d" % round_, "racer-%d" % number, 600)


def want_budget(ctx, number, round_):
    """As the gate does it: ask and take, alone among all who ask."""
    one = deed("exe-%d-%d" % (round_, number), scope="prod/shop/web-%d" % round_)
    with ctx.store.transaction("guard"):
        may = budgets.objection(ctx, one) is None
        if may:
            budgets.charge(ctx, one)
    return may


WANTED = (want_lock, want_budget)


def _racer(url, number, start, answers):
    limits = {
        "%s_%s" % (kind, window): PLENTY
        for kind in ("target", "namespace", "cluster", "remedy", "global")
        for window in ("hour", "day")
    }
    limits["target_hour"] = 1
    ctx = Context(Config({"safety": {"budgets": limits}}), store=open_store(url))
    try:
        won = []
        for round_ in range(ROUNDS):
            for want in WANTED:
                start.wait(READY_S)
                if want(ctx, number, round_):
                    won.append((want.__name__, round_))
        answers.put(won)
    except BaseException as error:
        start.abort()
        answers.put(repr(error))
        raise
    finally:
        ctx.close()


def test_of_fifty_one_gets_the_lock_and_one_the_budget(url):
    open_store(url).close()
    start, answers = FORK.Barrier(RACERS), FORK.Queue()
    racers = [
        FORK.Process(target=_racer, args=(url, number, start, answers), daemon=True)
        for number in range(RACERS)
    ]
    began = time.monotonic()
    for racer in racers:
        racer.start()
    won = [answers.get(timeout=READY_S * (1 + ROUNDS)) for _ in racers]
    for racer in racers:
        racer.join(180)
    assert [one for one in won if isinstance(one, str)] == []
    wins = sorted(win for one in won for win in one)
    assert wins == sorted((want.__name__, round_) for want in WANTED for round_ in range(ROUNDS))
    winners = len([one for one in won if one])
    assert winners > 1 or ROUNDS < 10, "it was no race: one won them all"
    seconds = time.monotonic() - began
    words = "%d rounds of %d processes in %.1f s: one winner each, %d different ones"
    logging.getLogger(__name__).info(words, ROUNDS, RACERS, seconds, winners)  # for --log-cli-level

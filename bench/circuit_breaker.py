"""What a circuit breaker costs per call: the state machine alone, with SQL, and others beside it.

    python bench/circuit_breaker.py [--seconds S] [--directory DIR]

Nanoseconds of CPU per successful call that does nothing, the median of many short turns; those of
each kind take turns, so that a noisy machine disturbs all alike. `machine` is ask and record with
our window, slow calls and learning; `service` is `breakers.service.call` with SQLite beneath, once
while all is well and once for the worst case, each outcome written. The others (fabfuel's
circuitbreaker, pybreaker, purgatory) are measured where they are installed: none of them keeps a
window of time, slow calls or its state in SQL.
"""

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "actions" / "lib"))

from selfheal.breakers import rows, service
from selfheal.breakers.machine import OPEN, Breaker
from selfheal.breakers.settings import REMEDY, SERVICE, Name, settings_of
from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import ExternalError

TURN = 2000  # calls per turn
WRITES = 50


def nothing():
    """What is called."""


def ours(config):
    """{name: a function of a number of calls} for the state machine."""
    clock = time.monotonic
    settings = settings_of(config, SERVICE)
    breaker = Breaker(settings, clock())
    refused = Breaker(settings, clock())
    while refused.state != OPEN:
        refused.record(clock(), False)
    refused.until = float("inf")

    def closed(calls):
        permit, record = breaker.permit, breaker.record
        for _ in range(calls):
            begun = clock()
            if permit(begun, "") is None:
                nothing()
                ended = clock()
                record(ended, True, ended - begun)

    def rejected(calls):
        refusal = refused.refusal
        for _ in range(calls):
            refusal(clock())

    return {"machine": closed, "machine_open": rejected}


def bare(calls):
    """The loop itself."""
    for _ in range(calls):
        nothing()


def others():
    """{name: a function of a number of calls} of the libraries that are installed here."""
    found = {}
    fabfuel = installed("circuitbreaker")
    if fabfuel:
        found["circuitbreaker"] = repeated(fabfuel.circuit(nothing))
    pybreaker = installed("pybreaker")
    if pybreaker:
        found["pybreaker"] = repeated(pybreaker.CircuitBreaker()(nothing))
    purgatory = installed("purgatory")
    if purgatory:
        factory = purgatory.SyncCircuitBreakerFactory()
        found["purgatory"] = repeated(factory("bench")(nothing))
    return found


def installed(name):
    """The module, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def repeated(guarded):
    """A function that calls `guarded` so many times."""

    def run(calls):
        for _ in range(calls):
            guarded()

    return run


def nanoseconds(kinds, seconds):
    """{name: median CPU nanoseconds per call} of functions that take turns."""
    turns = {name: [] for name in kinds}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(turns["bare"]) < 5:
        for name, run in kinds.items():
            begun = time.process_time_ns()
            run(TURN)
            turns[name].append((time.process_time_ns() - begun) / TURN)
    return {name: round(statistics.median(found)) for name, found in turns.items()}


def with_sql(directory):
    """Calls a second through `service.call`, and of the remedy's row: by the clock on the wall."""
    ctx = Context(Config({"database": {"url": "sqlite:///%s/bench.db" % directory}}))
    found = {"service_calls_s": rate(lambda: service.call(ctx, "well", nothing), 20000)}

    def fail():
        raise ExternalError("no answer")

    def failing():
        try:
            service.call(ctx, "ill", fail)
        except ExternalError:
            pass

    name, settings = Name(REMEDY, "bench", "bench"), settings_of(ctx.config, REMEDY)
    found["refused_calls_s"] = rate(failing, 500)  # open after five

    def written():
        rows.change(ctx.store, name, settings, lambda one: one.record(time.time(), True, 1.0))

    found["written_outcomes_s"] = rate(written, WRITES)
    found["asked_s"] = rate(lambda: rows.read(ctx.store, name, settings), 1000)
    ctx.close()
    return found


def rate(work, times):
    """How many of `work` a second."""
    work()
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return round(times / (time.perf_counter() - begun))


def main():
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for the costs per call")
    parser.add_argument("--directory", help="where the database is made (default: temporary)")
    given = parser.parse_args()
    cost = nanoseconds({"bare": bare, **ours(Config()), **others()}, given.seconds)
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        sql = with_sql(directory)
    beside = [cost[name] for name in ("circuitbreaker", "pybreaker", "purgatory") if name in cost]
    print(
        json.dumps(
            {
                "bench": "circuit_breaker",
                "ns_per_call": cost,
                "times_the_quickest_other": (
                    round(cost["machine"] / min(beside), 2) if beside else None
                ),
                **sql,
            }
        )
    )


if __name__ == "__main__":
    main()

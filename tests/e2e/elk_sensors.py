"""Processes of the real error monitor for a test to kill: each line on stdin forks one more, whose
process id is written to stdout.

Started as `python elk_sensors.py DIRECTORY`. The directory holds `config.json`; `shift`, how many
seconds the clock is ahead; and takes `polls`, a line "PID WHAT" for each poll that ended (ok,
failed) and for each of its parts that begins (STAGES), and `triggers`, a line of JSON for each
trigger. Forked from one parent that has imported all, a process costs a few milliseconds; it opens
its own connections and remembers nothing of another.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sensors"), str(ROOT)]
sys.path.append(str(ROOT / "standalone" / "stand_ins"))

PAUSE_S = 0.02
# What a poll does with documents, in this order: (name, module, what is called).
STAGES = (
    ("storing", "selfheal.errors.book", "ErrorBook.store"),
    ("evaluating", "selfheal.errors.watch", "evaluate"),
    ("attaching", "selfheal.errors.watch", "attach"),
    ("dispatching", "selfheal.intake.elk.poll", "dispatch"),
    ("advancing", "selfheal.store.checkpoints", "write"),
)
PR_SET_PDEATHSIG = 1


class Clock:
    """Real time, shifted by what the file says now."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> float:
        return time.time() + float(self._path.read_text() or 0)


class Service:
    """A sensor service that now and then is down."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chance = random.Random(os.getpid())

    def get_logger(self, name: str) -> logging.Logger:
        return logging.getLogger(name)

    def dispatch(self, trigger: str, payload: object = None, trace_tag: object = None) -> None:
        if self._chance.random() < 0.1:
            raise RuntimeError("RabbitMQ is down")
        append(self._path, json.dumps([trigger, payload]))


def append(path: Path, line: str) -> None:
    """Add one line, whole or not at all."""
    file = os.open(str(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (line + "\n").encode("utf-8"))
    os.close(file)


def announce(path: Path) -> None:
    """Say when each stage begins."""
    import importlib

    for name, module, what in STAGES:
        owner = importlib.import_module(module)
        *parents, last = what.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, last, announced(path, name, getattr(owner, last)))


def announced(path: Path, name: str, function: Any) -> Any:
    """`function`, which says so first."""

    def call(*arguments: Any, **more: Any) -> Any:
        append(path, "%d %s" % (os.getpid(), name))
        return function(*arguments, **more)

    return call


def watch(directory: Path) -> None:
    """Poll until killed."""
    from elk_error_sensor import ElkErrorSensor

    announce(directory / "polls")
    config = json.loads((directory / "config.json").read_text())
    sensor = ElkErrorSensor(Service(directory / "triggers"), config=config, poll_interval=60)
    sensor._polling._clock = Clock(directory / "shift")
    sensor.setup()
    while True:
        sensor.poll()
        state = "failed" if sensor._troubles else "ok"
        append(directory / "polls", "%d %s" % (os.getpid(), state))
        time.sleep(PAUSE_S)


def main(directory: Path) -> None:
    """Fork at each line, until stdin ends."""
    import elasticsearch  # noqa: F401
    import psycopg2.extras  # noqa: F401

    import elk_error_sensor  # noqa: F401
    import selfheal.apis.elasticsearch.search
    import selfheal.intake.sources
    import selfheal.store.dialects

    selfheal.store.dialects.BUSY_TIMEOUT_S = 0.3  # a locked database fails while the test waits
    logging.basicConfig(filename=str(directory / "log"), level=logging.WARNING)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                watch(directory)
            os._exit(0)
        sys.stdout.write("%d\n" % child)
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

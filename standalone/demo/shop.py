"""The demo's machine: a directory with one service in it, the tool that manages it, and customers
who order.

Everything here acts on the real process and the real files; nothing is pretended. What breaks the
service is in `faults`, what mends it is the runbook: this module never does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from standalone.demo import loopback, service, servicectl

NAME = "orders"
ORDER_EVERY_S = 0.15
PRICES = {"tea": 250, "bread": 320, "honey": 780}
_TOOL = Path(servicectl.__file__).resolve()


@dataclass(frozen=True)
class Health:
    """One answer of /health; `status` 0 means that nobody answered."""

    status: int
    problem: str
    waiting: int = 0
    handled: int = 0
    pid: int = 0

    @property
    def is_healthy(self) -> bool:
        """Orders are worked off."""
        return self.status == 200

    def __str__(self) -> str:
        if not self.status:
            return "no answer (%s)" % self.problem
        words = [self.problem] if self.problem else []
        return "%d %s" % (self.status, "; ".join(words + [_orders(self.waiting) + " waiting"]))


class Shop:
    """The service `orders` under `home`. `control` is the service manager, called as the runbook
    calls it.
    """

    def __init__(self, home: Path) -> None:
        self.services = home / "services"
        self.directory = self.services / NAME
        self.log = self.directory / servicectl.LOG
        self.bin = home / "bin"
        self.port = free_port()
        self.url = "http://127.0.0.1:%d" % self.port

    def prepare(self) -> None:
        """Writes the service's directory and the tool `servicectl`."""
        (self.directory / service.SPOOL).mkdir(parents=True)
        self.bin.mkdir()
        settings = {"port": self.port, "spool_limit": 5000, "owner_pid": os.getpid()}
        (self.directory / service.SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
        self.write_prices()
        tool = self.bin / "servicectl"
        command = [sys.executable, "-S", "-E", str(_TOOL)]
        line = "SERVICES=%s exec %s" % (
            shlex.quote(str(self.services)),
            " ".join(shlex.quote(part) for part in command),
        )
        tool.write_text('#!/bin/sh\n%s "$@"\n' % line, encoding="utf-8")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def write_prices(self) -> None:
        """Puts the price list there."""
        (self.directory / service.PRICES).write_text(json.dumps(PRICES), encoding="utf-8")

    def control(self, command: str) -> str:
        """Runs `servicectl command orders` and returns what it says. Raises RuntimeError when it
        fails.
        """
        done = subprocess.run(
            [str(self.bin / "servicectl"), command, NAME],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                "servicectl %s: %s" % (command, done.stderr.decode("utf-8", "replace").strip())
            )
        return done.stdout.decode("utf-8", "replace").strip()

    def pid(self) -> Optional[int]:
        """The service's process, or None."""
        number = servicectl.number_in(self.directory / servicectl.PID)
        return number if number and servicectl.is_running(number) else None

    def health(self, timeout_s: float = 3.0) -> Health:
        """One GET /health."""
        try:
            status, found = loopback.request("GET", self.url + "/health", timeout_s=timeout_s)
        except OSError as error:
            return Health(0, loopback.reason_of(error))
        return Health(status, found["problem"], found["waiting"], found["handled"], found["pid"])

    def ledger(self) -> int:
        """How many orders were ever worked off."""
        try:
            return (self.directory / service.LEDGER).read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def stop(self) -> None:
        """Ends the service for good."""
        if self.directory.exists():
            servicectl.stop(self.directory)
        for pid in processes_of(self.directory, Path(service.__file__).name):
            # Started by a runbook that was interrupted before it had written down whom it started.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Customers:
    """Order something every ORDER_EVERY_S seconds and try again until it is taken: no order may get
    lost.
    """

    def __init__(self, shop: Shop) -> None:
        self.placed = 0
        self._shop = shop
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)

    def start(self) -> None:
        """The shop opens."""
        self._thread.start()

    def stop(self) -> None:
        """The shop closes; whoever still waits goes home."""
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        for item in itertools.cycle(PRICES):
            while not self._is_stopping.wait(ORDER_EVERY_S) and not self._order({"item": item}):
                continue
            if self._is_stopping.is_set():
                return

    def _order(self, order: Dict[str, Any]) -> bool:
        try:
            status, _answer = loopback.request(
                "POST", self._shop.url + "/orders", order, timeout_s=1.0
            )
        except OSError:
            return False
        self.placed += status == 202
        return status == 202


def _orders(number: int) -> str:
    return "%d order%s" % (number, "" if number == 1 else "s")


def free_port() -> int:
    """A loopback port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], timeout_s: float, every_s: float = 0.05) -> bool:
    """Whether `condition()` turned true within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def processes_of(directory: Path, program: str = "") -> List[int]:
    """Processes with `directory` (and the file `program`) in their command line; Linux only."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
        except OSError:
            continue
        is_here = any(str(directory) in word for word in words)
        is_program = any(word.endswith(program) for word in words)
        if is_here and is_program and entry.name != str(os.getpid()):
            found.append(int(entry.name))
    return found

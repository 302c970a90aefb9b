"""A real server for tests: a process on a free loopback port, stopped by whoever started it."""

from __future__ import annotations

import contextlib
import functools
import random
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_WITHIN_S = 180.0
_LOWEST_PORT = 10240


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now. It lies below those that the system gives
    to whoever connects or asks for any: between this and its use it would be somebody else's.
    """
    chance = random.SystemRandom()  # the same seed everywhere would be the same ports everywhere
    while True:
        port = chance.randrange(_LOWEST_PORT, _first_given_port())
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@functools.lru_cache(maxsize=1)
def _first_given_port() -> int:
    try:
        given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except OSError:
        return 32768
    return max(int(given[0]), 2 * _LOWEST_PORT)  # where a machine gives nearly all, it must do


class Server:
    """A process that keeps its data in `directory` and is up once it answers `ready_path`."""

    ready_path = "/"

    def __init__(self, directory) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.process = None
        self.log = None
        self._has_started = False  # from then on the port stays

    def command(self):
        """The program and its arguments."""
        raise TypeError("%s is only the common part" % type(self).__name__)

    def start(self):
        """Start the process and wait until it answers; returns self. Where somebody else has taken
        the port before it, `port` and `url` are others from then on.
        """
        try:
            self._start()
        except RuntimeError as error:
            if self._has_started or "address already in use" not in str(error).lower():
                raise
            self.port = free_port()
            self.url = "http://127.0.0.1:%d" % self.port
            self._start()
        self._has_started = True
        return self

    def _start(self) -> None:
        command = self.command()
        self.log = open(str(self.directory / "server.log"), "ab")
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, cwd=str(self.directory)
        )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(
                    "%s did not start:\n%s"
                    % (type(self).__name__, (self.directory / "server.log").read_text()[-2000:])
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the process; its data stay. Nothing happens when it is not running."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.kill()
            return
        self._gone()

    def kill(self) -> None:
        """Kill the process; what it had not written yet is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(180)
            self._gone()

    def restart(self):
        """Stop and start on the same port and data; returns self."""
        self.stop()
        return self.start()

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_error) -> None:
        self.stop()

    def _gone(self) -> None:
        self.process = None
        self.log.close()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + self.ready_path, timeout=30):
                return True
        except (urllib.error.URLError, OSError):
            return False

"""A real server for tests: a process on a free loopback port, stopped by whoever started it."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_WITHIN_S = 20.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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

    def command(self):
        """The program and its arguments."""
        raise TypeError("%s is only the common part" % type(self).__name__)

    def start(self):
        """Start the process and wait until it answers; returns self."""
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
        return self

    def stop(self) -> None:
        """Stop the process; its data stay. Nothing happens when it is not running."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            return
        self._gone()

    def kill(self) -> None:
        """Kill the process; what it had not written yet is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
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
            with urllib.request.urlopen(self.url + self.ready_path, timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False

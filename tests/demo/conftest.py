"""Runs of the whole demo in processes of their own, started as `make demo` starts them."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from standalone.demo.shop import processes_of
from tests import needs

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 600
RESPONSE_S = 500
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Run:
    """One demo with its own place for temporary files; `text` is what it printed so far."""

    def __init__(self, directory, *arguments):
        needs.linux()
        self.directory = directory
        environment = {**os.environ, "TMPDIR": str(directory), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "standalone", "demo", "--timeout", str(RESPONSE_S), *arguments],
            cwd=str(ROOT),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_heed_interrupts,
        )
        self.text = ""

    def read_until(self, wanted):
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.text:
            ready, _, _ = select.select([self.process.stdout], [], [], 1)
            content = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert content or not ready, "ended without %r: %s" % (wanted, self.text)
            self.text += content.decode("utf-8")
            assert time.monotonic() < deadline, "no %r in time: %s" % (wanted, self.text)

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def finish(self):
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        self.text += output.decode("utf-8")
        return self

    @property
    def code(self):
        return self.process.returncode

    @property
    def result(self):
        return json.loads(self.text.rstrip("\n").split("\n")[-1])

    def is_gone(self):
        ports = {int(port) for port in ADDRESS.findall(self.text)}
        assert ports, self.text
        return (
            processes_of(self.directory) == [] and
            not any(self._listens(port) for port in ports) and
            not list(self.directory.glob("selfheal-demo-*"))
        )

    def _listens(self, port):
        """Whether anything that this run began listens on `port`: the system may have given it to
        another test since.
        """
        sockets = {"socket:[%s]" % inode for inode in _listening(port)}
        return any(
            _holds(entry, sockets) and self._began(entry)
            for entry in (Path("/proc").glob("[0-9]*") if sockets else ())
        )

    def _began(self, entry):
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            return False
        return str(self.directory).encode() in told


def _heed_interrupts():
    # What a shell starts in the background ignores Ctrl-C, and so would all it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _listening(port):
    """The inodes of the sockets that listen on a TCP port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[9] for row in rows if row[3] == "0A" and row[1].endswith(":%04X" % port)]


def _holds(entry, sockets):
    try:
        return any(os.readlink(str(one)) in sockets for one in (entry / "fd").iterdir())
    except OSError:
        return False


@pytest.fixture
def demo(tmp_path):
    runs = []

    def start(*arguments):
        runs.append(Run(tmp_path, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        for stream in (run.process.stdin, run.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

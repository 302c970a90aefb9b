"""A sensor that is killed again and again while its files are rotated: each error once.

SELFHEAL_KILLS=100 kills it as often as that; a few kills are done always.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from selfheal.store import open_store
from tests import stores

KILLS = int(os.environ.get("SELFHEAL_KILLS") or 12)
PATIENCE_S = 240.0
FOLLOWER = Path(__file__).with_name("log_follower.py")


class Writer:
    """A program that logs into a file which is rotated in one of two ways."""

    def __init__(self, path, rotate):
        self.path = path
        self._rotate = rotate
        self.written = 0

    def write(self, many):
        """Log `many` errors, and as many lines that are none."""
        with open(self.path, "a", encoding="utf-8") as log:
            for _ in range(many):
                self.written += 1
                log.write("%s error number %05d\nall is well\n" % (self.path.stem, self.written))

    def rotate(self):
        """app.log becomes app.log.1, app.log.1 becomes app.log.2, and so on."""
        numbers = sorted((int(old.suffix[1:]) for old in self._old()), reverse=True)
        for number in numbers:
            os.rename("%s.%d" % (self.path, number), "%s.%d" % (self.path, number + 1))
        self._rotate(self.path, Path("%s.1" % self.path))

    def _old(self):
        return self.path.parent.glob(self.path.name + ".*")

    def expected(self):
        return ["%s error number %05d" % (self.path.stem, n + 1) for n in range(self.written)]


def by_rename(path, to):
    os.rename(str(path), str(to))
    path.touch()


def by_copy(path, to):
    to.write_bytes(path.read_bytes())
    os.truncate(str(path), 0)


def start(url, pattern, statements=0):
    return subprocess.Popen(
        [sys.executable, str(FOLLOWER), url, pattern, str(statements)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def end(process):
    process.kill()
    _, problems = process.communicate()
    assert process.returncode == -signal.SIGKILL, problems


def test_each_error_once_whatever_dies_and_whenever_files_rotate(tmp_path):
    chance = random.Random(7)
    url = stores.sqlite_url(tmp_path)
    pattern = str(tmp_path / "*.log")
    writers = [Writer(tmp_path / "one.log", by_rename), Writer(tmp_path / "two.log", by_copy)]
    for writer in writers:
        writer.path.touch()
    follower = start(url, pattern)
    assert follower.stdout.readline()  # it has begun with both files
    end(follower)
    for _ in range(KILLS):
        for _ in range(chance.randrange(1, 6)):
            writer = chance.choice(writers)
            writer.write(chance.randrange(1, 60))
            if chance.random() < 0.4:
                writer.rotate()
                writer.write(chance.randrange(0, 10))
        follower = start(url, pattern, chance.randrange(1, 90))
        for _ in iter(follower.stdout.readline, ""):
            if chance.random() < 0.3:
                chance.choice(writers).rotate()
            chance.choice(writers).write(2)
        end(follower)
    follower = start(url, pattern)
    deadline = time.monotonic() + PATIENCE_S
    expected = sorted(line for writer in writers for line in writer.expected())
    store = open_store(url)
    while True:
        follower.stdout.readline()
        found = [row["message"] for row in store.query("SELECT message FROM error_logs")]
        if len(found) >= len(expected) or time.monotonic() > deadline:
            break
    follower.stdout.readline()
    end(follower)
    found = [row["message"] for row in store.query("SELECT message FROM error_logs")]
    assert sorted(found) == expected
    total = store.value("SELECT SUM(stored) FROM error_counts")
    assert total == len(expected)
    store.close()

"""A machine with log files, looked at by hand: real files, a clock that is set."""

from __future__ import annotations

import functools
import os

from selfheal.errors.book import ErrorBook
from selfheal.errors.judge import Judge
from selfheal.intake.files.poll import poll_files
from tests import alert_scene

SCOPE = ["cluster", "namespace", "workload", "host", "program"]


@functools.lru_cache(maxsize=1)
def judge():
    """The pack's judge, made once."""
    return Judge()


class Machine:
    """`directory/logs` is followed; `look` is one poll. Time passes only between looks."""

    def __init__(self, url, directory, triggers=None, **log_files):
        self.directory = directory / "logs"
        self.directory.mkdir(exist_ok=True)
        self.clock = alert_scene.clock()
        self.triggers = triggers or alert_scene.Triggers()
        settings = {"paths": [str(self.directory / "*.log")], **log_files}
        self.ctx = alert_scene.context(url, self.clock, self.triggers, log_files=settings)
        self.state = {}

    def look(self, passes_s=60.0):
        """Let time pass, then look once."""
        self.clock.at += passes_s
        book = ErrorBook(self.ctx.store, SCOPE)
        return poll_files(self.ctx, judge(), book, self.state)

    def path(self, name):
        return str(self.directory / name)

    def write(self, name, *lines, mode="a", end="\n"):
        """Append lines, now."""
        content = "".join(line + end for line in lines)
        self.write_bytes(name, content.encode("utf-8"), mode)

    def write_bytes(self, name, content, mode="a"):
        with open(self.path(name), mode + "b") as log:
            log.write(content)
        self.touch(name)

    def touch(self, name):
        os.utime(self.path(name), (self.clock.at, self.clock.at))

    def rename(self, name, to):
        os.rename(self.path(name), self.path(to))

    def copy_and_truncate(self, name, to):
        """As logrotate's copytruncate."""
        with open(self.path(name), "rb") as source:
            self.write_bytes(to, source.read(), mode="w")
        os.truncate(self.path(name), 0)
        self.touch(name)

    def stored(self):
        """The messages that are stored, in order of the lines' numbers or text."""
        rows = self.ctx.store.query("SELECT message, detail FROM error_logs ORDER BY message")
        return [row["message"] for row in rows]

    def rows(self):
        return self.ctx.store.query("SELECT * FROM error_logs ORDER BY message, document_id")


def errors(first, last):
    """The error lines of these numbers."""
    return ["error number %02d" % number for number in range(first, last + 1)]

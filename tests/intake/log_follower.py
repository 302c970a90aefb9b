"""A process that follows log files until it is killed: log_follower.py URL PATTERN [STATEMENTS].

With a number of STATEMENTS it kills itself before it sends the next one to the database.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "actions" / "lib"))

from selfheal.config import Config
from selfheal.context import Context
from selfheal.errors.book import ErrorBook
from selfheal.errors.judge import Judge
from selfheal.intake.files.poll import poll_files


class Deaf:
    """StackStorm, as far as this process knows."""

    execution_id = None

    def inject(self, _trigger, _payload):
        """Takes everything."""


def dies_after(store, statements):
    """Have this process killed once so many statements were sent."""
    translate, left = store.dialect.sql, [statements]

    def counted(sql):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return translate(sql)

    store.dialect.sql = counted


def main(url, pattern, statements="0"):
    """Look, for ever; a line is printed after each look."""
    config = Config({"database": {"url": url}, "log_files": {"paths": [pattern]}})
    ctx = Context(config, platform=Deaf())
    if int(statements):
        dies_after(ctx.store, int(statements))
    book = ErrorBook(ctx.store, ["host", "program"])
    judge, state = Judge(), {}
    while True:
        found = poll_files(ctx, judge, book, state)
        sys.stdout.write("%d %d\n" % (found["new"], found["behind"]))
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

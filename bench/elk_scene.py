"""What the measurements of the error pipeline stand on: a clock, a search, empty stores."""

import atexit
import contextlib
import json
import shutil
import sys
import tempfile
import time

import elk_documents

from selfheal.config import Config
from selfheal.intake.elk import settings as elk_settings
from selfheal.store import open_store

NOW = 1_790_000_000.0
WINDOW_S = 300.0


class Clock:
    """A time that stands still."""

    @staticmethod
    def now():
        """The end of the documents' times."""
        return NOW

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


class Silent:
    """A platform that takes every trigger at once: what StackStorm costs is measured elsewhere."""

    execution_id = None

    def inject(self, trigger, payload):
        """Take it."""


class Search:
    """A search that answers with made pages, each parsed from its bytes as the client does."""

    def __init__(self, count, page):
        self.settings = elk_settings.completed(Config(), "default", {})
        self._count, self._page = count, page

    def health(self):
        """All is well."""
        return {"status": "green"}

    def count(self, start, end):
        """All of them, in whatever time there was."""
        return self._count

    def pages(self, start, end, page_size=None):
        """The documents, in pages."""
        source = elk_documents.Documents(7, NOW - WINDOW_S, self._count / WINDOW_S)
        for done in range(0, self._count, self._page):
            yield json.loads(source.page(min(self._page, self._count - done)))["hits"]["hits"]

    def warnings(self):
        """Nothing hides documents."""
        return []

    def close(self):
        """Nothing is open."""


class Stopwatch:
    """CPU and wall seconds of named stages."""

    def __init__(self):
        self.cpu, self.wall = {}, {}

    @contextlib.contextmanager
    def of(self, stage):
        """Measure what is inside."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu[stage] = self.cpu.get(stage, 0.0) + time.process_time() - cpu
        self.wall[stage] = self.wall.get(stage, 0.0) + time.perf_counter() - wall


def say(text):
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def new_store(kind):
    """An empty store, gone at exit."""
    if kind == "postgresql":
        from tests import stores

        return open_store(stores.postgresql_url(), now=Clock.now)
    directory = tempfile.mkdtemp(prefix="selfheal-bench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return open_store("sqlite:///%s/bench.db" % directory, now=Clock.now)

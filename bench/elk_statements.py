"""What the database's work for one poll costs when it holds few documents, and when many."""

import random
import statistics
import time

import elk_documents
from elk_scene import NOW, WINDOW_S, Clock, Silent, new_store, say

from selfheal.config import Config
from selfheal.context import Context
from selfheal.errors import watch
from selfheal.errors.book import ErrorBook
from selfheal.errors.judge import Judge
from selfheal.intake.documents.reading import Reading, read

COLUMNS = (
    "document_id, origin, group_key, fingerprint, logged_at, seen_at, error_type, severity, host, "
    "program, message, detail"
).split(", ")


class Timed:
    """A connection or cursor that adds up the seconds in which the database is at work."""

    seconds = 0.0

    def __init__(self, inner):
        self.__dict__["_inner"] = inner

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name == "cursor":
            return lambda *given: Timed(found(*given))
        if name not in ("execute", "executemany", "fetchall", "fetchone"):
            return found

        def timed(*given):
            began = time.perf_counter()
            try:
                return found(*given)
            finally:
                Timed.seconds += time.perf_counter() - began

        return timed


def filled(kind, rows):
    """A store with `rows` documents of the thirty days before, in the groups of all patterns."""
    store, source, judge = new_store(kind), elk_documents.Documents(3, NOW - 40 * 86400), Judge()
    book = ErrorBook(store, Config().get("monitoring.scope_by"))
    reading = Reading("default", "", "@timestamp", NOW)
    documents = [read(hit, reading) for hit in source.hits(min(rows, 8000) // 2)]
    book.store([(document, judge.judge(document)) for document in documents])
    there = store.query("SELECT %s FROM error_logs" % ", ".join(COLUMNS[1:]))
    dice = random.Random(5)
    step_s = 30 * 86400 / rows
    made = elk_documents.Documents(4, NOW - 30 * 86400 - WINDOW_S, 1 / step_s)
    for start in range(len(there), rows, 20_000):
        batch = []
        for _ in range(min(20_000, rows - start)):
            row, (document_id, at) = dice.choice(there), made.key()
            batch.append(("default/" + document_id, *dict(row, logged_at=at, seen_at=at).values()))
        store.insert_many("error_logs", COLUMNS, batch)
    store.execute("UPDATE error_groups SET pending_from = NULL, last_logged_at = ?", (NOW - 600,))
    store.execute("ANALYZE")
    return store


def statements(size, kind):
    """Seconds of the statements of one poll with few and many rows, and their ratio."""
    scope_by = Config().get("monitoring.scope_by")
    sides = []
    for rows in size["rows"]:
        began = time.perf_counter()
        store = filled(kind, rows)
        store._connection = Timed(store._connection)
        context = Context(Config(), clock=Clock(), store=store, platform=Silent())
        sides.append((context, ErrorBook(store, scope_by), Judge().judge, []))
        say("%s: %d rows after %.0f s" % (kind, rows, time.perf_counter() - began))
    reading = Reading("default", "", "@timestamp", NOW)
    source = elk_documents.Documents(9, NOW - WINDOW_S, size["polls"] * size["poll"] / WINDOW_S)
    for number in range(size["polls"]):
        hits = source.hits(size["poll"])
        for context, book, judge, seconds in sides[:: 1 if number % 2 else -1]:
            documents = [read(hit, reading) for hit in hits]
            pairs = [(document, judge(document)) for document in documents]
            Timed.seconds = 0.0
            book.store(pairs)
            book.store(pairs)  # as the next poll's overlap, or another sensor, finds them again
            watch.evaluate(context, "default", NOW)
            seconds.append(Timed.seconds)
    few, many = (statistics.median(side[3]) for side in sides)
    for context, _, _, _ in sides:
        context.store.close()
    return {
        "rows": list(size["rows"]),
        "ms": [round(1000 * few, 1), round(1000 * many, 1)],
        "ratio": round(many / few, 2),
    }

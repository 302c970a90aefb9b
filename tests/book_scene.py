"""The scene of the error book's tests: documents with their judgements, and contexts on a store."""

from __future__ import annotations

from selfheal.errors import watch
from selfheal.errors.book import ErrorBook
from selfheal.errors.record import Document, Judgement
from selfheal.exceptions import StoreError
from tests import alert_scene, scene

NOW = scene.START
ORIGIN = "logs"
SCOPE_BY = ("cluster", "namespace", "workload", "host", "program")


def judgement(pattern="boom", error_type="application", severity="error", rule="rule"):
    """What a judge would say of a document of `pattern`."""
    digits = "".join("%02x" % ord(char) for char in pattern).ljust(20, "0")[:20]
    return Judgement("v1:" + digits, "%s <num>" % pattern, error_type, severity, rule)


def pair(number, at=0.0, pattern="boom", origin=ORIGIN, message=None, **more):
    """Document `number`, logged `at` seconds from NOW, with its judgement."""
    judged = {name: more.pop(name) for name in ("error_type", "severity", "rule") if name in more}
    document = Document(
        document_id="%s/index/%s" % (origin, number),
        origin=origin,
        logged_at=NOW + at,
        message=message or "%s %s" % (pattern, number),
        **{"program": "web", "host": "node-1", **more},
    )
    return document, judgement(pattern, **judged)


def pairs(count, at=0.0, every=1.0, first=0, **more):
    """`count` documents, one each `every` seconds."""
    return [pair(first + n, at + n * every, **more) for n in range(count)]


def context(url, clock=None, triggers=None, **monitoring):
    """A context whose platform only listens; `monitoring` overrides settings of that section."""
    return alert_scene.context(
        url, clock or scene.Clock(NOW), triggers, monitoring=dict(monitoring)
    )


def book(ctx):
    return ErrorBook(ctx.store, SCOPE_BY)


def evaluate(ctx, looked_until=None, origin=ORIGIN):
    """An evaluation that has looked until the context's own time, where nothing else is said."""
    until = ctx.clock.now() if looked_until is None else looked_until
    return watch.evaluate(ctx, origin, until)


def table(store, name, order, leave_out=()):
    """All rows of a table in a fixed order, without the columns that may differ."""
    rows = store.query("SELECT * FROM %s ORDER BY %s" % (name, order))
    return [{k: v for k, v in row.items() if k not in leave_out} for row in rows]


def contents(store):
    """What the error tables say, whenever it was written and by whom."""
    return {
        "logs": table(store, "error_logs", "document_id", ("seen_at",)),
        "patterns": table(store, "error_patterns", "fingerprint"),
        "groups": table(store, "error_groups", "group_key", ("updated_at",)),
        "counts": table(store, "error_counts", "group_key, minute"),
    }


def patiently(call, *values, turns=8):
    """What `call(*values)` returns; a database that was busy for too long is asked again, as the
    next poll does.
    """
    for _ in range(turns - 1):
        try:
            return call(*values)
        except StoreError as error:
            if not error.retryable:
                raise
    return call(*values)

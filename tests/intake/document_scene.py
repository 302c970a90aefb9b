"""Documents for tests: a hit at a fixed time, and how it is read."""

from __future__ import annotations

from selfheal.intake.documents.reading import Reading, read
from selfheal.intake.documents.times import epoch_of

AT = "2026-11-22T01:02:03.125Z"
MOMENT = epoch_of(AT)
READING = Reading("prod", cluster="eu-1", now=MOMENT + 60)


def hit(source, **more):
    """A hit of the search with `source`."""
    return {"_index": "logstash-1", "_id": "a1", "_source": {"@timestamp": AT, **source}, **more}


def document(source, **more):
    """The document of that hit."""
    return read(hit(source, **more), READING)

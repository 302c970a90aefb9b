"""What tests of the search share: a search that waits for nobody, and its failures."""

from __future__ import annotations

import pytest

from selfheal.apis.elasticsearch.search import Search
from selfheal.errors.keywords import completed

DOCUMENTS = [(1000 * n, {"message": "error %d" % n}) for n in range(10)]


class Waits:
    """A clock that only counts."""

    def __init__(self):
        self.slept = []

    def __call__(self, seconds):
        self.slept.append(seconds)


def search(url, **settings):
    settings.setdefault("timeout_s", 60)
    waits = settings.pop("waits", lambda _s: None)
    return Search(completed({"url": url, **settings}), sleep=waits, spread=lambda: 0.5)


def failure(one, kind, ask=lambda one: one.count(0, 10)):
    with pytest.raises(kind) as caught:
        ask(one)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1200
    return caught.value, message


def read_all(one):
    return [hit["_id"] for page in one.pages(0, 10) for hit in page]


NOW = 1795000000.0  # documents' times need no clock
FEW = ["error", "failed"]  # the real server of the tests looks at every document for every word


def live(server, **settings):
    """A search of a real server."""
    return Search(completed({"url": server.url, "timeout_s": 120, **settings}))


def document(number, at=NOW, message="error", **more):
    return ("id%d" % number, {"@timestamp": int(at * 1000), "message": message, **more})


def ids(pages):
    return [hit["_id"] for page in pages for hit in page]

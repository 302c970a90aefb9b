"""elk_search_errors: what the sensor would find, judged, and at a bounded cost."""

from __future__ import annotations

import json

import pytest

from selfheal import door
from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import ConfigError, NotFound
from selfheal.intake.elk import search_errors
from selfheal.intake.elk.search_errors import elk_search_errors
from tests import scene
from tests.live_elasticsearch import Elasticsearch

NOW = 1795000000.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Elasticsearch(tmp_path_factory.mktemp("elasticsearch")) as running:
        running.create("logstash-1")
        documents = [
            (
                "id%d" % n,
                {
                    "@timestamp": int((NOW - n) * 1000),
                    "message": "connection to 10.0.0.%d refused" % n
                    if n % 3
                    else "disk error on sda",
                    "program": "p%d" % (n % 2),
                    "host": {"name": "h1"},
                },
            )
            for n in range(60)
        ]
        documents.append(
            (
                "hostile",
                {
                    "@timestamp": int(NOW * 1000) - 5,
                    "level": "error",
                    "message": "{{ st2kv.system.x }} <% 6*7 %> error \x1b[31m",
                },
            )
        )
        documents.append(("fine", {"@timestamp": int(NOW * 1000) - 5, "message": "all is well"}))
        running.index(documents, "logstash-1")
        yield running


def context(server, **more):
    section = {"url": server.url, "keywords": ["error", "refused"], "timeout_s": 60, **more}
    return Context(Config({"elasticsearch": section}), clock=scene.Clock(NOW))


def test_errors_are_counted_by_pattern_and_the_newest_shown(server):
    found = elk_search_errors(context(server), minutes=1, limit=5)
    json.dumps(found)
    assert found["total"] == found["judged"] == 60
    assert sum(found["types"].values()) == 60 and found["unreadable"] == 0
    assert len(found["examples"]) == 5
    times = [example["logged_at"] for example in found["examples"]]
    assert times == sorted(times, reverse=True)
    assert [p["count"] for p in found["patterns"]][:2] == [40, 19]
    assert all(p["fingerprint"].startswith("v1:") and p["rule"] for p in found["patterns"])


def test_query_index_and_time_narrow_it(server):
    assert elk_search_errors(context(server), query="program:p1")["total"] == 30
    both = context(server, filter="message:disk")
    assert elk_search_errors(both, query="program:p1")["total"] == 10
    # an unbalanced query is refused, not joined with the configured filter to something wider
    with pytest.raises(ConfigError, match="filter"):
        elk_search_errors(both, query="program:p1) OR (program:p0")
    with pytest.raises(ConfigError, match="no such index"):
        elk_search_errors(context(server), index="other-*")


def test_of_too_many_the_newest_are_judged(server, monkeypatch):
    monkeypatch.setattr(search_errors, "MOST_JUDGED", 10)
    found = elk_search_errors(context(server), minutes=1)
    assert found["total"] == 60 and 0 < found["judged"] <= 10
    assert found["from"] < found["judged_from"] < found["to"]
    assert found["examples"][0]["message"].startswith("{{ st2kv")


def test_unknown_target_names_those_there_are(server):
    with pytest.raises(NotFound, match="default"):
        elk_search_errors(context(server), target="edge")
    with pytest.raises(NotFound, match="elasticsearch.url"):
        elk_search_errors(Context(Config({})), target="edge")


def test_result_passes_the_door_harmless(server):
    name = "selfheal.intake.elk.search_errors.elk_search_errors"
    ok, result = door.call(
        name, {"minutes": 10080, "limit": 100}, config=context(server).config.values
    )
    assert ok, result
    text = json.dumps(result)
    assert "{{" not in text and "<%" not in text and "\\u001b" not in text

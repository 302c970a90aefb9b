"""check_config and the rules of the configuration, for the section elasticsearch."""

from __future__ import annotations

import pytest

from selfheal.config import Config, load_schema
from selfheal.context import Context
from selfheal.operate import check_elasticsearch, configuration
from tests import scene
from tests.apis.stub_elasticsearch import Stub, error_body

NOW = 1795000000.0


def lines(**section):
    values = {"elasticsearch": section} if section else {}
    ctx = Context(Config(values), clock=scene.Clock(NOW))
    return check_elasticsearch.lines(ctx, 60.0)


def test_nothing_configured_is_off():
    ((what, state, detail, _),) = lines()
    assert (what, state) == ("elasticsearch", "off") and "elasticsearch.url" in detail


def test_target_that_answers_is_on_and_says_what_it_has():
    with Stub("8.15.0", documents=[((NOW - 60) * 1000, {"message": "error"})]) as stub:
        ((what, state, detail, do),) = lines(url=stub.url)
        assert (what, state, do) == ("elasticsearch", "on", "")
        assert "8.15.0" in detail and "1 error in logstash-*" in detail and "green" in detail


def test_each_named_target_has_its_line():
    with Stub() as stub:
        found = {
            line[0]: line[1]
            for line in lines(
                prod={"url": stub.url}, edge={"url": "http://127.0.0.1:1", "timeout_s": 1}
            )
        }
        assert found == {"elasticsearch.prod": "on", "elasticsearch.edge": "error"}


def test_what_the_service_refuses_is_told_with_what_to_do():
    with Stub() as stub:
        stub.credentials = "Basic x"
        ((_, state, detail, do),) = lines(url=stub.url)
        assert state == "error" and "401" in detail and "api_key" in detail and do


def test_red_cluster_is_an_error_and_forbidden_health_a_warning():
    with Stub() as stub:
        stub.health = {"cluster_name": "logs", "status": "red", "unassigned_shards": 2}
        ((_, state, detail, do),) = lines(url=stub.url)
        assert state == "error" and "2 shards unassigned" in detail and do
        stub.fail("/_cluster/health/logstash-*", 403, error_body(403, "security_exception", "no"))
        ((_, state, detail, do),) = lines(url=stub.url)
        assert state == "warning" and "privilege monitor" in detail and do


def test_index_without_time_is_a_warning():
    with Stub() as stub:
        stub.caps["@timestamp"] = {
            "date": {"type": "date"},
            "unmapped": {"type": "unmapped", "indices": ["logstash-odd"]},
        }
        ((_, state, detail, _),) = lines(url=stub.url)
        assert state == "warning" and "logstash-odd" in detail


@pytest.mark.parametrize(
    "section",
    [
        {"url": "nowhere"},
        {"url": "http://h:1", "index": "_all"},
        {"url": "http://h:1", "page_size": "many"},
    ],
)
def test_unusable_setting_is_an_error_not_an_exception(section):
    ((_, state, detail, do),) = lines(**section)
    assert state == "error" and detail and do


def problems(**section):
    return configuration.problems({"elasticsearch": section}, load_schema())


@pytest.mark.parametrize(
    "section, words",
    [
        ({"url": "http://h:9200", "page_size": 10001}, "elasticsearch.page_size must be from 1 to"),
        ({"url": "http://h:9200", "slice_minutes": 0}, "elasticsearch.slice_minutes"),
        ({"url": "http://h:9200", "query_delay_s": -1}, "elasticsearch.query_delay_s"),
        ({"url": "http://a:1,ftp://b"}, "elasticsearch.url 'ftp://b'"),
        ({"url": "http://u:p@a:1"}, "user and password into settings"),
        ({"url": "http://a:1", "flavour": "solr"}, "elasticsearch, opensearch"),
        ({"url": "http://a:1", "password": "x"}, "elasticsearch.username is not"),
        (
            {"url": "http://a:1", "username": "u", "password": "x", "api_key": "k"},
            "both api_key and username",
        ),
        ({"url": "http://a:1", "keywords": "error"}, "write [error]"),
        ({"url": "http://a:1", "indx": "x"}, "did you mean index"),
        ({"edge": {"url": "http://a:1", "page_size": 0}}, "elasticsearch.edge.page_size"),
    ],
)
def test_mistakes_are_named(section, words):
    found = problems(**section)
    assert len(found) == 1 and words in found[0], found


def test_what_is_right_has_no_problems():
    assert (
        problems(
            url="https://a:9200, https://b:9200/es",
            username="u",
            password="p",
            keywords=["error", "out of memory"],
            page_size=10000,
        ) ==
        []
    )
    for name, value in (
        ("quiet_minutes", 0),
        ("realert_minutes", 2000),
        ("blind_minutes", 0),
        ("max_documents_per_poll", 0),
        ("spike_factor", 1),
    ):
        found = configuration.problems({"monitoring": {name: value}}, load_schema())
        assert len(found) == 1 and name in found[0]

"""Each way in which a search can fail has its own message, and half an answer is never a whole
one.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, ExternalError
from tests.apis.search_scene import DOCUMENTS, Waits, failure, read_all, search
from tests.apis.stub_elasticsearch import Stub, error_body


@pytest.mark.parametrize(
    "status, body, kind, retryable, words",
    [
        (
            401,
            error_body(401, "security_exception", "unable to authenticate"),
            ConfigError,
            False,
            ("401", "unable to authenticate", "username", "api_key"),
        ),
        (
            403,
            error_body(403, "security_exception", "action is unauthorized"),
            ConfigError,
            False,
            ("403", "unauthorized", "privilege read"),
        ),
        (
            404,
            error_body(404, "index_not_found_exception", "no such index [logstash-*]"),
            ConfigError,
            False,
            ("no such index", "elasticsearch.index"),
        ),
        (404, b"<html>nothing here</html>", ConfigError, False, ("404", "elasticsearch.url")),
        (302, b"", ConfigError, False, ("302", "elasticsearch.url")),
        (
            400,
            error_body(400, "index_closed_exception", "closed"),
            ConfigError,
            False,
            ("open the index",),
        ),
        (
            400,
            error_body(400, "query_shard_exception", "Failed to parse query [a AND]"),
            ConfigError,
            False,
            ("Failed to parse", "filter"),
        ),
        (
            400,
            error_body(400, "illegal_argument_exception", "request [/x] contains"),
            ExternalError,
            False,
            ("400", "contains"),
        ),
        (
            400,
            error_body(
                400,
                "illegal_argument_exception",
                "[regexp] queries cannot be executed when 'search.allow_expensive_queries' is set "
                "to false.",
            ),
            ConfigError,
            False,
            ("without a star",),
        ),
        (
            400,
            error_body(400, "too_many_nested_clauses", "maxClauseCount is set to 1024"),
            ConfigError,
            False,
            ("fewer elasticsearch.keywords",),
        ),
        (
            403,
            error_body(403, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE]"),
            ExternalError,
            True,
            ("blocked", "recovered"),
        ),
        (
            406,
            error_body(406, "status_exception", "not supported"),
            ConfigError,
            False,
            ("plain JSON",),
        ),
        (
            500,
            error_body(500, "null_pointer_exception", "oops"),
            ExternalError,
            True,
            ("500", "oops", "own log"),
        ),
        (502, b"<html>Bad Gateway</html>", ExternalError, True, ("502", "Bad Gateway")),
        (
            503,
            error_body(503, "search_phase_execution_exception", "all shards failed"),
            ExternalError,
            True,
            ("503", "all shards failed"),
        ),
        (
            504,
            error_body(504, "timeout_exception", "took too long"),
            ExternalError,
            True,
            ("504", "took too long"),
        ),
    ],
)
@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
def test_refusal_says_what_was_asked_what_came_back_and_what_to_do(
    status, body, kind, retryable, words, flavour
):
    with Stub(is_opensearch=flavour == "opensearch", documents=DOCUMENTS) as stub:
        one = search(stub.url, flavour=flavour)
        one.count(0, 1)  # the fields are known
        stub.fail("_search", status, body, times=99)
        error, message = failure(one, kind)
        assert error.retryable is retryable
        assert "POST %s/logstash-*/_search" % stub.url in message
        assert all(word in message for word in words), message


def test_each_cause_has_its_own_message():
    told = set()
    causes = [
        (401, "security_exception"),
        (403, "security_exception"),
        (404, "index_not_found_exception"),
        (429, "es_rejected_execution_exception"),
        (500, "exception"),
        (400, "query_shard_exception"),
    ]
    for status, kind in causes:
        with Stub() as stub:
            stub.fail("_search", status, error_body(status, kind, "reason"), times=99)
            told.add(failure(search(stub.url), (ConfigError, ExternalError))[1].split(";", 1)[1])
    assert len(told) == len(causes)


def test_full_service_is_asked_again_and_then_answers(stub):
    waits = Waits()
    one = search(stub.url, waits=waits)
    body = error_body(429, "es_rejected_execution_exception", "queue is full")
    stub.fail("_search", 429, body, {"Retry-After": "2"})
    stub.fail("_search", 429, body, times=2)
    assert one.count(0, 10) == 10
    assert waits.slept[0] == 2.5  # what it asked for, and a little of our own
    assert waits.slept[1] < waits.slept[2]


def test_full_service_is_not_asked_for_ever(stub):
    waits = Waits()
    one = search(stub.url, waits=waits)
    one.count(0, 1)
    stub.fail(
        "_search", 429, error_body(429, "circuit_breaking_exception", "Data too large"), times=99
    )
    error, message = failure(one, ExternalError)
    assert error.retryable and "no room" in message and "Data too large" in message
    assert 2 <= len(waits.slept) <= 6 and sum(waits.slept) <= 30


def test_wait_longer_than_our_patience_is_left_to_the_next_look(stub):
    waits = Waits()
    one = search(stub.url, waits=waits)
    one.count(0, 1)
    stub.fail("_search", 429, {}, {"Retry-After": "600"}, times=99)
    _, message = failure(one, ExternalError)
    assert "wait 600 s" in message and waits.slept == []


@pytest.mark.parametrize("said", ["soon", "-5", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_any_retry_after_is_survived(stub, said):
    waits = Waits()
    one = search(stub.url, waits=waits)
    one.count(0, 1)
    stub.fail("_search", 429, {}, {"Retry-After": said}, times=1)
    try:
        assert one.count(0, 10) == 10
    except ExternalError:
        assert said == "inf"
    assert all(0 <= slept <= 30 for slept in waits.slept)


@pytest.mark.parametrize(
    "ask", [lambda one: one.count(0, 10), read_all, lambda one: list(one.minutes(0, 10))]
)
@pytest.mark.parametrize(
    "change, words",
    [
        (
            {
                "_shards": {
                    "total": 5,
                    "successful": 3,
                    "failed": 2,
                    "failures": [
                        {
                            "shard": 1,
                            "index": "logstash-7",
                            "reason": {
                                "type": "illegal_argument_exception",
                                "reason": "Fielddata is disabled on [level]",
                            },
                        },
                    ],
                }
            },
            ("2 of 5 shards", "logstash-7", "Fielddata", "map a field differently"),
        ),
        (
            {
                "_shards": {
                    "total": 5,
                    "successful": 4,
                    "failed": 1,
                    "failures": [
                        {
                            "shard": 1,
                            "index": "logstash-7",
                            "reason": {
                                "type": "no_shard_available_action_exception",
                                "reason": "null",
                            },
                        },
                    ],
                }
            },
            ("1 of 5 shards", "missing nodes"),
        ),
        ({"_shards": {"total": 5, "successful": 4, "failed": 1}}, ("1 of 5 shards",)),
        ({"timed_out": True}, ("ran out of its time", "timeout_s")),
        (
            {
                "_clusters": {
                    "total": 2,
                    "successful": 1,
                    "skipped": 1,
                    "details": {"eu": {"status": "skipped"}, "(local)": {"status": "successful"}},
                }
            },
            ("remote clusters", "1 skipped", "eu"),
        ),
    ],
)
def test_partial_answer_is_a_failure(stub, ask, change, words):
    stub.reshape = lambda body: {**body, **change}
    error, message = failure(search(stub.url), ExternalError, ask)
    assert error.retryable and all(word in message for word in words), message


def test_no_shard_at_all_is_a_missing_index(stub):
    shards = {"total": 0, "successful": 0, "skipped": 0, "failed": 0}
    stub.reshape = lambda body: {**body, "_shards": shards}
    assert "no index matches" in failure(search(stub.url), ConfigError)[1]


def test_red_cluster_is_named_with_what_it_lacks(stub):
    stub.health = {"cluster_name": "logs", "status": "red", "unassigned_shards": 7}
    one = search(stub.url)
    health = one.health()
    assert health["status"] == "red" and "7 shards unassigned" in health["detail"]
    one.count(0, 1)
    stub.fail("_search", 503, error_body(503, "search_phase_execution_exception", "Partial shards"))
    _, message = failure(one, ExternalError)
    assert "the cluster logs is red: 7 shards unassigned" in message and "503" in message
    stub.fail("_search", 503, error_body(503, "search_phase_execution_exception", "Partial shards"))
    assert "7 shards unassigned" in failure(one, ExternalError, read_all)[1]


def test_health_that_we_may_not_see_does_not_stop_the_search(stub):
    forbidden = error_body(403, "security_exception", "cluster:monitor/health is unauthorized")
    stub.fail("/_cluster/health/logstash-*", 403, forbidden)
    health = search(stub.url).health()
    assert health["status"] == "unknown" and "privilege monitor" in health["detail"]


def test_health_with_wrong_credentials_is_an_error(stub):
    stub.credentials = "Basic x"
    assert "401" in failure(search(stub.url), ConfigError, lambda one: one.health())[1]


@pytest.mark.parametrize(
    "caps, words",
    [
        (
            {
                "@timestamp": {
                    "text": {"type": "text", "indices": ["logstash-old"]},
                    "date": {"type": "date", "indices": ["logstash-new"]},
                }
            },
            ("mapping conflict", "text in logstash-old", "template"),
        ),
        ({"@timestamp": {"keyword": {"type": "keyword"}}}, ("mapping conflict", "keyword")),
        ({"@timestamp": {"long": {"type": "long"}}}, ("mapping conflict", "long")),
        ({"@timestamp": {"unmapped": {"type": "unmapped"}}}, ("no index", "time_field")),
        ({"message": {"long": {"type": "long"}}}, ("text_fields", "message (long)")),
    ],
)
def test_mapping_that_hides_documents_is_named(stub, caps, words):
    stub.caps.update(caps)
    _, message = failure(search(stub.url), ConfigError)
    assert all(word in message for word in words), message


def test_missing_time_or_text_field_is_named(stub):
    stub.caps.pop("@timestamp")
    assert "time_field" in failure(search(stub.url), ConfigError)[1]
    stub.caps = {"@timestamp": {"date": {"type": "date"}}}
    assert "text_fields" in failure(search(stub.url), ConfigError)[1]


def test_index_without_the_time_field_is_a_warning(stub):
    stub.caps["@timestamp"] = {
        "date": {"type": "date"},
        "unmapped": {"type": "unmapped", "indices": ["logstash-odd"]},
    }
    assert "logstash-odd" in search(stub.url).warnings()[0]

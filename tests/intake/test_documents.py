"""Documents of every shipper, read into one form."""

from __future__ import annotations

import pytest

from selfheal.intake.documents.reading import MAX_MESSAGE, MAX_STACK, read
from tests.intake.document_scene import AT, MOMENT, READING, document


def test_a_document_of_filebeat_is_read_whole():
    found = document(
        {
            "message": "cannot open order 17",
            "log": {"level": "ERROR", "file": {"path": "/var/log/containers/a.log"}, "offset": 1},
            "host": {"name": "node-1"},
            "agent": {"type": "filebeat", "hostname": "agent-1"},
            "trace": {"id": "abc"},
            "kubernetes": {
                "namespace": "shop",
                "pod": {"name": "orders-5d4f9c7b6-x2x4z", "uid": "1-2"},
                "container": {"name": "web"},
                "node": {"name": "node-1"},
                "labels": {"app": "all-of-orders"},
                "deployment": {"name": "orders"},
            },
        }
    )
    assert found._asdict() == {
        "document_id": "prod/logstash-1/a1",
        "origin": "prod",
        "logged_at": MOMENT,
        "message": "cannot open order 17",
        "level": "error",
        "program": "web",
        "host": "node-1",
        "cluster": "eu-1",
        "namespace": "shop",
        "workload": "orders",
        "pod": "orders-5d4f9c7b6-x2x4z",
        "container": "web",
        "node": "node-1",
        "error_class": "",
        "stack": "",
        "detail": {"file": "/var/log/containers/a.log", "trace_id": "abc"},
        "trouble": "",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"message": " it failed\n"}, "it failed"),
        ({"message": ["it failed"]}, "it failed"),
        ({"message": ["Nov 22 01:02:03 h p: it failed", "it failed"]}, "it failed"),
        ({"message": ["it failed", "Nov 22 01:02:03 h p: it failed"]}, "it failed"),
        ({"message": [None, {}, "it failed"]}, "it failed"),
        ({"message": 404}, "404"),
        ({"message": "", "event": {"original": "it failed"}}, "it failed"),
        ({"event.original": "it failed"}, "it failed"),
        ({"msg": "it failed"}, "it failed"),
        ({"log": "it failed\n"}, "it failed"),
        ({"MESSAGE": "it failed"}, "it failed"),
        ({"body": {"text": "it failed"}}, "it failed"),
        ({"body": {"stringValue": "it failed"}}, "it failed"),
        ({"error": {"message": "it failed"}}, "it failed"),
        ({"error": "it failed"}, "it failed"),
        ({"message": {"message": "it failed"}}, "it failed"),
        ({"message": '{"msg": "it failed"}'}, "it failed"),
        ({"message": 'ts=1 level=error msg="it failed" caller=a.go:1'}, "it failed"),
        ({"message": "order", "error": {"message": "it failed"}}, "order: it failed"),
        ({"message": "so it failed", "error": {"message": "it failed"}}, "so it failed"),
        ({"message": "failed", "error": {"message": "it failed"}}, "it failed"),
        ({"message": "it failed", "error": "null"}, "it failed"),
        ({"message": '{"msg": "order", "error": "it failed"}'}, "order: it failed"),
        ({"message": '{"a": 1}'}, '{"a": 1}'),
        ({"message": "{not json}"}, "{not json}"),
        ({"message": "[1, 2]"}, "[1, 2]"),
        ({"message": 'msg="open'}, 'msg="open'),
    ],
)
def test_the_message_is_found_wherever_it_is(source, message):
    found = document(source)
    assert (found.message, found.trouble) == (message, "")


@pytest.mark.parametrize(
    ("source", "level"),
    [
        ({"log": {"level": "ERROR"}}, "error"),
        ({"log.level": "WARN"}, "warning"),
        ({"level": "fatal"}, "critical"),
        ({"level": ["error"]}, "error"),
        ({"severity": 3}, "error"),
        ({"severity": "no level", "levelname": "ERROR"}, "error"),
        ({"log": {"syslog": {"severity": {"code": 4}}}}, "warning"),
        ({"log": {"syslog": {"priority": 165}}}, "notice"),
        ({"PRIORITY": "3"}, "error"),
        ({"severity_number": 17}, "error"),
        ({"level": True}, ""),
        ({}, ""),
    ],
)
def test_the_level_is_found_wherever_it_is(source, level):
    assert document({"message": "it failed", **source}).level == level


def test_what_the_program_wrote_counts_before_what_carried_it():
    assert document({"message": '{"level": "error", "msg": "x"}', "level": "info"}).level == "error"
    assert document({"message": "ERROR it failed", "PRIORITY": 6}).level == "error"
    assert document({"message": "INFO it failed", "level": "error"}).level == "info"


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ({"host": "a"}, "a"),
        ({"host": {"name": "a", "hostname": "b"}}, "a"),
        ({"host": {"hostname": "b"}}, "b"),
        ({"host": ["a"]}, "a"),
        ({"host": [{"name": "a"}]}, "a"),
        ({"host.name": "a"}, "a"),
        ({"hostname": "a"}, "a"),
        ({"host": {}, "agent": {"hostname": "a"}}, "a"),
        ({"beat": {"hostname": "a"}}, "a"),
        ({"_HOSTNAME": "a"}, "a"),
        ({"host": {"ip": ["10.0.0.1"]}}, "10.0.0.1"),
        ({"host": 7}, "7"),
        ({"message": "Nov 22 01:02:03 a sshd[1]: it failed"}, "a"),
        ({}, ""),
    ],
)
def test_the_host_is_found_wherever_it_is(source, host):
    assert document({"message": "it failed", **source}).host == host


@pytest.mark.parametrize(
    ("source", "program"),
    [
        ({"program": "a"}, "a"),
        ({"process": {"name": "a"}}, "a"),
        ({"service": {"name": "a"}}, "a"),
        ({"service": "a"}, "a"),
        ({"syslog": {"appname": "a"}}, "a"),
        ({"SYSLOG_IDENTIFIER": "a"}, "a"),
        ({"_SYSTEMD_UNIT": "a.service"}, "a.service"),
        ({"application": "a"}, "a"),
        ({"log": {"logger": "a"}}, "a"),
        ({"logger_name": "a"}, "a"),
        ({"kubernetes": {"container": {"name": "a"}}}, "a"),
        ({"container": {"name": "/a"}}, "a"),
        ({"program": " ", "app": "a"}, "a"),
        ({"message": "Nov 22 01:02:03 h a[1]: it failed"}, "a"),
        ({"message": "2026-11-22 01:02:03 ERROR [x] a.b.C - it failed"}, "a.b.C"),
        ({"program": "a", "message": "Nov 22 01:02:03 h b[1]: it failed"}, "a"),
        ({}, ""),
    ],
)
def test_the_program_is_found_wherever_it_is(source, program):
    assert document({"message": "it failed", **source}).program == program


JAVA = (
    "java.lang.IllegalStateException: bad order\n"
    "\tat com.shop.Orders.open(Orders.java:17)\n"
    "\tat com.shop.Main.main(Main.java:3)"
)


@pytest.mark.parametrize(
    ("source", "message", "stack", "error_class"),
    [
        ({"message": "it failed", "stack_trace": JAVA}, "it failed", JAVA, ""),
        ({"message": "it failed\n" + JAVA}, "it failed", JAVA, ""),
        ({"message": "2026-11-22 01:02:03,1 ERROR [a] it failed\n" + JAVA}, "it failed", JAVA, ""),
        ({"message": JAVA}, "java.lang.IllegalStateException: bad order", JAVA, ""),
        (
            {"message": "it failed", "error": {"type": "X", "message": "y", "stack_trace": JAVA}},
            "it failed: y",
            JAVA,
            "X",
        ),
        ({"message": "it failed", "exception": JAVA}, None, JAVA, ""),
        (
            {"message": "it failed", "exception": {"exception_class": "X", "stacktrace": JAVA}},
            "it failed",
            JAVA,
            "X",
        ),
        (
            {"message": '{"msg": "it failed", "err": {"type": "X", "message": "y", "stack": "z"}}'},
            "it failed: y",
            "z",
            "X",
        ),
        ({"message": "a", "stack_trace": JAVA.split("\n")}, "a", JAVA, ""),
        ({"stack_trace": JAVA}, "java.lang.IllegalStateException: bad order", JAVA, ""),
        (
            {"message": 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: 5'},
            "ValueError: 5",
            'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: 5',
            "",
        ),
    ],
)
def test_a_stack_trace_is_parted_from_the_message(source, message, stack, error_class):
    found = document(source)
    assert found.stack == stack and found.error_class == error_class
    assert message is None or found.message == message


@pytest.mark.parametrize(
    ("time", "sort", "logged_at", "words"),
    [
        ([AT], None, MOMENT, ""),
        (int(MOMENT * 1000), None, MOMENT, ""),
        ("no time", [int(MOMENT * 1000)], MOMENT, "the search's own was taken"),
        (None, [int(MOMENT * 1000), 5], MOMENT, "the search's own was taken"),
        (None, ["no time"], READING.now, "that of reading it was taken"),
        ({}, None, READING.now, "that of reading it was taken"),
    ],
)
def test_a_document_without_a_readable_time_says_so(time, sort, logged_at, words):
    found = document({"message": "x", "@timestamp": time}, sort=sort)
    assert found.logged_at == pytest.approx(logged_at, abs=1e-6) and words in found.trouble
    assert bool(words) == bool(found.trouble) and found.message == "x"


def test_a_line_without_a_time_field_has_that_of_its_header():
    line = {"message": "Nov 22 01:02:03 h p[1]: it failed"}
    found = read({"_index": "f", "_id": "1", "_source": line}, READING)
    assert found.logged_at == MOMENT - 0.125 and found.trouble == ""
    one_minute_east = READING._replace(utc_offset_s=60.0)
    shifted = read({"_index": "f", "_id": "1", "_source": line}, one_minute_east)
    assert shifted.logged_at == MOMENT - 60.125


def test_the_time_field_is_the_one_that_is_set():
    reading = READING._replace(time_field="event.created")
    for source in ({"event": {"created": AT}}, {"event.created": AT}):
        found = read({"_index": "i", "_id": "1", "_source": {"message": "x", **source}}, reading)
        assert (found.logged_at, found.trouble) == (MOMENT, "")


@pytest.mark.parametrize(
    ("raw", "trouble"),
    [
        (None, "unreadable: the hit has no _source"),
        ([], "unreadable: the hit has no _source"),
        ("text", "unreadable: the hit has no _source"),
        ({"_index": "i", "_id": "1"}, "unreadable: the hit has no _source"),
        ({"_index": "i", "_id": "1", "_source": []}, "unreadable: the hit has no _source"),
        ({"_index": "i", "_id": "1", "_source": {}}, "unreadable: the hit has no _source"),
        ({"_index": "i", "_id": "1", "_source": {"a": "b"}}, "unreadable: no field has text"),
        (
            {"_index": "i", "_id": "1", "_source": {"message": None}},
            "unreadable: no field has text",
        ),
    ],
)
def test_what_has_no_text_is_unreadable_and_shown_as_a_sample(raw, trouble):
    found = read(raw, READING)
    assert found.trouble.startswith(trouble) and found.message
    assert found.logged_at == READING.now


def test_fields_stand_in_for_a_source_that_is_off():
    raw = {"_index": "i", "_id": "1", "fields": {"message": ["x"], "@timestamp": [AT]}}
    assert read(raw, READING)[:4] == ("prod/i/1", "prod", MOMENT, "x")


def test_a_hit_without_an_id_is_known_again_by_what_it_holds():
    one, same, other = (
        read({"_source": {"message": "x", "n": number}}, READING).document_id
        for number in (1, 1, 2)
    )
    assert one == same != other
    assert document({"message": "x"}, _id=7).document_id == "prod/logstash-1/7"


def test_text_is_cut_to_a_bounded_length():
    found = document(
        {
            "message": "x" * 10**6,
            "stack_trace": "y" * 10**6,
            "program": "p" * 10**6,
            "host": "h" * 10**6,
            "error": {"type": "t" * 10**6},
            "trace_id": "i" * 10**6,
            "kubernetes": {"namespace": "n" * 10**6, "pod": {"name": "p" * 10**6}},
        }
    )
    assert (len(found.message), len(found.stack)) == (MAX_MESSAGE, MAX_STACK)
    texts = [text for text in found if isinstance(text, str)]
    assert sum(map(len, texts)) < MAX_MESSAGE + MAX_STACK + 3000
    assert len(str(found.detail)) < 1000

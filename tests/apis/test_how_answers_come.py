"""Answers that are right and look otherwise than our stand-ins' own: compressed, with a byte order
mark, in pages of which one is empty; and pages for people where a machine was asked.
"""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from selfheal.apis.declined import Declined, after_a_write
from selfheal.apis.jira.connection import connect
from selfheal.apis.jira.search import search
from selfheal.exceptions import ExternalError
from selfheal.http import HttpClient
from tests.stub_jira import Stub as JiraStub
from tests.stub_server import Server
from tests.tickets import desk as desks

MARK = b"\xef\xbb\xbf"


class Said(Server):
    """Answers every request with `status`, `headers` and `body`."""

    def __init__(self, body, status=200, **headers):
        self.said = status, {name.replace("_", "-"): value for name, value in headers.items()}, body
        super().__init__()

    def answer(self, request):
        return self.said


def asked(server, **limits):
    return HttpClient(**limits).request("GET", server.url)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", lambda text: gzip.compress(text[:5]) + gzip.compress(text[5:])),
        ("deflate", zlib.compress),
        ("identity", bytes),
    ],
)
def test_compression_that_nobody_asked_for_is_undone(encoding, packed):
    with Said(packed(b'{"a": "\xc3\xa9"}'), Content_Encoding=encoding) as server:
        assert asked(server).json() == {"a": "é"}


def test_a_compressed_answer_is_bounded_by_what_it_unpacks_to():
    with Said(gzip.compress(b"x" * 100000), Content_Encoding="gzip") as server:
        assert len(asked(server, max_body_bytes=100000).body) == 100000
        with pytest.raises(ExternalError, match="more than 99999 bytes"):
            asked(server, max_body_bytes=99999)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"x" * 1000)[:-20],
        gzip.compress(b"x" * 1000)[:-8] + b"12345678",
        gzip.compress(b"") * 101,  # each costs a copy of all that follow
    ],
    ids=["cut off", "damaged", "in too many parts"],
)
def test_a_compressed_answer_that_is_damaged_is_no_answer(body):
    with Said(body, Content_Encoding="gzip") as server:
        with pytest.raises(ExternalError):
            asked(server)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [b'{"a": 1}', b'\r\n{"a": 1}', MARK + b'{"a": 1}'])
def test_an_answer_that_is_only_called_compressed_is_read_as_it_is(encoding, body):
    with Said(body, Content_Encoding=encoding) as server:
        assert asked(server).body == body
    with Said(body, 401, Content_Encoding=encoding) as server:
        assert asked(server).status == 401


@pytest.mark.parametrize("tail", [b"\n", b"\0" * 16])
def test_what_follows_a_compressed_answer_is_no_part_of_it(tail):
    with Said(gzip.compress(b'{"a": 1}') + tail, Content_Encoding="gzip") as server:
        assert asked(server).json() == {"a": 1}


def test_a_byte_order_mark_is_no_part_of_an_answer():
    with Said(MARK + b'{"a": 1}') as server:
        assert asked(server).json() == {"a": 1}


def compressed(status, headers, body):
    headers = {"Content-Type": "application/json", **headers, "Content-Encoding": "gzip"}
    return status, headers, gzip.compress(json.dumps(body).encode("utf-8"))


def marked(status, headers, body):
    headers = {"Content-Type": "application/json", **headers}
    return status, headers, MARK + json.dumps(body).encode("utf-8")


@pytest.mark.parametrize("otherwise", [compressed, marked])
@pytest.mark.parametrize("kind", ["servicenow", "jira", "jira datacenter"])
def test_a_ticket_lives_behind_a_proxy_that_changes_how_answers_look(
    tmp_path, monkeypatch, kind, otherwise
):
    url = "sqlite:///%s/selfheal.db" % tmp_path
    with desks.desk(kind, url, monkeypatch) as desk:
        plain = desk.stub.answer

        def answer(request):
            said = plain(request)
            return said if said[2] is None or isinstance(said[2], bytes) else otherwise(*said)

        desk.stub.answer = answer
        desk.incident()
        desk.escalated()
        desk.work()
        desk.resolved()
        desk.work()
        desk.reopened()
        desk.work()
        assert desk.headings()[-2:] == ["Resolved", "The cause is back"]
        assert desk.ticket()["state"] in ("open", "in_progress")


def test_a_search_of_cloud_goes_on_behind_an_empty_page():
    with JiraStub() as stub:
        for number in range(3):
            stub.make("OPS", "Task", {"summary": "t%d" % number, "labels": ["x"]})
        plain = stub.answer

        def answer(request):
            status, headers, body = plain(request)
            if request["path"].endswith("/search/jql") and not json.loads(
                request["body"].decode("utf-8")
            ).get("nextPageToken"):
                body = {"issues": [], "nextPageToken": "page-0", "isLast": False}
            return status, headers, body

        stub.answer = answer
        site = connect(HttpClient(), stub.settings(), "jira")
        assert len(search(site, 'labels = "x"', ("summary",))) == 3


def test_a_search_of_cloud_ends_where_it_is_sent_back_to_the_same_page():
    with JiraStub() as stub:
        asked = []

        def answer(request):
            asked.append(request["path"])
            return 200, {}, {"issues": [], "nextPageToken": "again", "isLast": False}

        stub.answer = answer
        site = connect(HttpClient(), stub.settings(), "jira")
        assert search(site, 'labels = "x"', ("summary",)) == []
        assert len(asked) == 2


def test_rest_that_is_asked_for_after_a_write_is_kept():
    def declined():
        raise Declined("429", 40.0)

    with pytest.raises(ExternalError) as caught:
        after_a_write(declined)
    assert caught.value.rest_s == 40.0 and not isinstance(caught.value, Declined)

"""Pages: how large they are, and that a view which is lost loses no document."""

from __future__ import annotations

from selfheal.exceptions import ExternalError
from tests.apis.search_scene import failure, read_all, search
from tests.apis.stub_elasticsearch import error_body


def test_pages_become_smaller_when_the_service_has_no_room(stub):
    stub.documents = [(n, {"message": "error"}) for n in range(4000)]
    one = search(stub.url, page_size=1000)
    pages = one.pages(0, 10)
    assert len(next(pages)) == 500
    body = error_body(429, "circuit_breaking_exception", "[parent] Data too large")
    stub.fail("_search", 429, body, times=2)
    rest = list(pages)
    assert 500 + sum(map(len, rest)) == 4000
    assert len(rest[0]) == 250  # of 1000, halved twice


def test_pages_keep_to_the_window_of_the_index(stub):
    stub.documents = [(n, {"message": "error"}) for n in range(900)]
    stub.window = 120
    pages = list(search(stub.url, page_size=5000).pages(0, 10))
    assert sum(map(len, pages)) == 900 and max(map(len, pages)) == 120


def test_large_documents_come_in_smaller_pages(stub):
    stub.documents = [(n, {"message": "error " + "x" * 100000}) for n in range(1000)]
    pages = list(search(stub.url, page_size=5000).pages(0, 10))
    assert sum(map(len, pages)) == 1000
    assert max(map(len, pages[1:])) <= 42  # 4 MiB


def test_missing_page_is_noticed(stub):
    stub.reshape = lambda body: {
        **body,
        "hits": {**body["hits"], "hits": body["hits"]["hits"][:-1]},
    }
    _, message = failure(search(stub.url, page_size=4), ExternalError, read_all)
    assert "10 documents" in message and "read again" in message


def test_expired_view_is_opened_again_behind_what_was_read(stub):
    stub.documents = [(n // 7, {"message": "error"}) for n in range(3000)]  # many at one time
    pages = search(stub.url, page_size=600).pages(0, 10)
    got = [hit["_id"] for hit in next(pages)]
    for page in pages:
        got += [hit["_id"] for hit in page]
        if len(got) < 2400:
            stub.expire()
    assert len(got) == len(set(got)) == 3000


def test_view_that_expires_at_once_ends_in_an_error(stub):
    stub.reshape = lambda body: body
    missing = error_body(404, "search_context_missing_exception", "No search context found")
    one = search(stub.url)
    one.count(0, 1)
    stub.fail("/_search", 404, missing, times=99)
    _, message = failure(one, ExternalError, read_all)
    assert "expired" in message and "nothing was skipped" in message


def test_expired_scroll_is_opened_again_behind_what_was_read(stub):
    stub.documents = [(n // 7, {"message": "error"}) for n in range(900)]
    stub.has_pit = False
    pages = search(stub.url, page_size=100).pages(0, 10)
    got = [hit["_id"] for hit in next(pages)]
    for page in pages:
        got += [hit["_id"] for hit in page]
        if 300 < len(got) < 500:
            stub.expire()
    assert len(got) == len(set(got)) == 900

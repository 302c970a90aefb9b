"""One client speaks to every version: what it really sends, and what each server makes of it."""

from __future__ import annotations

import base64

import pytest

from selfheal.apis.elasticsearch.search import Search
from selfheal.errors.keywords import completed
from selfheal.exceptions import ConfigError
from tests import needs
from tests.apis.search_scene import DOCUMENTS, ids, search
from tests.apis.stub_elasticsearch import COMPATIBLE, Stub

SERVERS = [("7.17.24", False), ("8.15.0", False), ("9.1.0", False), ("2.11.0", True)]


@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
@pytest.mark.parametrize("version, is_opensearch", SERVERS)
def test_every_version_is_searched_with_plain_json(version, is_opensearch, flavour):
    needs.module("elasticsearch" if flavour == "elasticsearch" else "opensearchpy")
    with Stub(version, is_opensearch, DOCUMENTS) as stub:
        if (flavour == "opensearch") != is_opensearch:
            stub.has_pit = False  # each client knows the paths of its own product only
        one = search(stub.url, flavour=flavour)
        assert version in one.health()["version"]
        assert one.count(0, 5) == 5
        assert ids(one.pages(2, 8)) == ["d%d" % n for n in range(2, 8)]
        one.close()
        for request in stub.requests:
            kinds = request["headers"].get("accept", "") + request["headers"].get(
                "content-type", ""
            )
            assert "vnd." not in kinds
            assert "application/json" in request["headers"]["accept"]


def test_the_official_client_itself_is_refused_by_an_older_server():
    """Why its transport is asked directly; when this fails, that is no longer needed."""
    elasticsearch = needs.module("elasticsearch")
    with Stub("7.17.24") as stub:
        client = elasticsearch.Elasticsearch(stub.url).options(
            headers={"accept": "application/json"}
        )
        with pytest.raises(elasticsearch.BadRequestError, match="media_type"):
            client.info()
        client.close()
        assert COMPATIBLE in stub.requests[0]["headers"]["accept"]


@pytest.mark.parametrize(
    "version, is_opensearch, path",
    [("8.15.0", False, "/_pit"), ("3.8.0", True, "/_search/point_in_time")],
)
def test_point_in_time_is_renewed_and_closed(version, is_opensearch, path):
    flavour = "opensearch" if is_opensearch else "elasticsearch"
    with Stub(version, is_opensearch, DOCUMENTS) as stub:
        one = search(stub.url, flavour=flavour, page_size=3)
        assert ids(one.pages(0, 10)) == ["d%d" % n for n in range(10)]
        assert [r["method"] for r in stub.asked(path)] == ["POST", "DELETE"]
        assert stub.views == {}
        used = [r["body"]["pit"]["id"] for r in stub.asked("_search") if "pit" in r["body"]]
        assert len(set(used)) == len(used) > 3


def test_point_in_time_is_closed_when_the_reader_stops_early():
    with Stub(documents=DOCUMENTS) as stub:
        pages = search(stub.url, page_size=2).pages(0, 10)
        assert ids([next(pages)]) == ["d0", "d1"]
        pages.close()
        assert stub.views == {}


def test_opensearch_without_a_total_order_is_scrolled():
    with Stub("2.11.0", True, DOCUMENTS) as stub:
        stub.has_shard_doc = False
        one = search(stub.url, flavour="opensearch", page_size=4)
        for _ in range(2):
            assert ids(one.pages(0, 10)) == ["d%d" % n for n in range(10)]
        assert len(stub.asked("/point_in_time")) == 2  # opened and closed, once and never again
        assert stub.views == {}


@pytest.mark.parametrize(
    "settings, header",
    [
        (
            {"username": "u", "password": "p:ä"},
            "Basic " + base64.b64encode("u:p:ä".encode()).decode(),
        ),
        ({"api_key": "a2V5OnNlY3JldA=="}, "ApiKey a2V5OnNlY3JldA=="),
    ],
)
@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
def test_credentials_are_sent_with_every_request(settings, header, flavour):
    with Stub(is_opensearch=flavour == "opensearch", documents=DOCUMENTS) as stub:
        stub.credentials = header
        one = search(stub.url, flavour=flavour, **settings)
        assert len(ids(one.pages(0, 10))) == 10 and one.health()["status"] == "green"
        assert all(r["headers"]["authorization"] == header for r in stub.requests)


@pytest.mark.parametrize(
    "flavour, module", [("elasticsearch", "elasticsearch"), ("opensearch", "opensearchpy")]
)
def test_missing_client_says_what_to_install(flavour, module, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    with Stub() as stub, pytest.raises(ConfigError, match="pip install"):
        search(stub.url, flavour=flavour).count(0, 1)


def test_another_node_answers_for_a_dead_one():
    with Stub(documents=DOCUMENTS) as stub:
        for _ in range(4):  # whichever is asked first
            one = Search(completed({"url": "http://127.0.0.1:1, %s/" % stub.url}))
            assert one.count(0, 10) == 10

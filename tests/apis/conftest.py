"""Search servers for the tests of this room."""

from __future__ import annotations

import itertools

import pytest

from tests.apis.search_scene import DOCUMENTS
from tests.apis.stub_elasticsearch import Stub
from tests.live_elasticsearch import Elasticsearch, SecondOpinion

_numbers = itertools.count(1)


@pytest.fixture
def stub():
    """The strict stand-in, with ten errors."""
    with Stub(documents=DOCUMENTS) as server:
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A real search server."""
    with Elasticsearch(tmp_path_factory.mktemp("elasticsearch")) as running:
        yield running


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def other(request, tmp_path_factory):
    """(server, flavour): the second opinion, asked with each client."""
    with SecondOpinion(tmp_path_factory.mktemp("other")) as running:
        yield running, request.param


@pytest.fixture
def index(server):
    """A new index of its own."""
    name = "logstash-%d" % next(_numbers)
    server.create(name)
    yield name
    server.delete(name)

"""What changes, as it happens: on a real API server, and on one that breaks off."""

from __future__ import annotations

import json
import time

import pytest

from selfheal.apis.kubernetes import failures, paths
from selfheal.exceptions import ExternalError
from tests.apis.kubernetes_scene import (
    END,
    STREAM,
    Ahead,
    Wire,
    answer,
    chunk,
    client,
    event,
    read_request,
    status,
    stop_api,
)


def config_map(api, namespace, name):
    collection = paths.collection("ConfigMap", namespace)
    return api.create(collection, {"metadata": {"name": name}})


def told(watch, count):
    """The next `count` events but bookmarks: (type, name)."""
    found = []
    for kind, item in watch:
        if kind != "BOOKMARK":
            found.append((kind, item["metadata"]["name"]))
        if len(found) == count:
            return found
    return found


@pytest.fixture
def stub():
    """A function that starts a server and gives a client of it."""
    running = []

    def start(serve, **settings):
        running.append(Wire(serve))
        return client({"url": running[-1].url, **settings}), running[-1]

    yield start
    for server in running:
        server.__exit__()


def test_changes_are_told_in_order_and_the_next_watch_goes_on(kubernetes):
    namespace = kubernetes.namespace()
    api = client(kubernetes.target())
    collection = paths.collection("ConfigMap", namespace)
    start = api.get(collection)["metadata"]["resourceVersion"]
    made = config_map(api, namespace, "a")
    with api.watch(collection, resource_version=start) as watch:
        assert told(watch, 1) == [("ADDED", "a")]
        assert watch.resource_version == made["metadata"]["resourceVersion"]
        api.patch(paths.path("ConfigMap", namespace, "a"), {"data": {"x": "1"}})
        api.delete(paths.path("ConfigMap", namespace, "a"))
        assert told(watch, 2) == [("MODIFIED", "a"), ("DELETED", "a")]
    config_map(api, namespace, "b")  # while nobody watches
    with api.watch(collection, resource_version=watch.resource_version) as again:
        assert told(again, 1) == [("ADDED", "b")]


def test_watch_ends_quietly_when_its_time_is_over(kubernetes, monkeypatch):
    # It is the server that ends it, however long it stands still before.
    monkeypatch.setattr("selfheal.apis.kubernetes.watching._GRACE_S", 300.0)
    namespace = kubernetes.namespace()
    api = client(kubernetes.target())
    collection = paths.collection("ConfigMap", namespace)
    start = api.get(collection)["metadata"]["resourceVersion"]
    assert told(api.watch(collection, None, start, timeout_s=1), 1) == []
    assert api.get(collection)  # the connection of other requests is another


def test_watch_of_labels_tells_of_no_others(kubernetes):
    namespace = kubernetes.namespace()
    api = client(kubernetes.target())
    collection = paths.collection("ConfigMap", namespace)
    start = api.get(collection)["metadata"]["resourceVersion"]
    config_map(api, namespace, "a")
    api.create(collection, {"metadata": {"name": "b", "labels": {"team": "shop"}}})
    with api.watch(collection, {"labelSelector": "team=shop"}, start) as watch:
        assert told(watch, 1) == [("ADDED", "b")]


def test_watch_from_a_place_that_is_forgotten_is_gone(own_kubernetes):
    namespace = own_kubernetes.namespace()
    api = client(own_kubernetes.target())
    collection = paths.collection("ConfigMap", namespace)
    start = api.get(collection)["metadata"]["resourceVersion"]
    for number in range(5):
        config_map(api, namespace, "n-%d" % number)
    stop_api(own_kubernetes)
    own_kubernetes.start_api()  # it remembers no events from before
    with pytest.raises(failures.Gone, match="too old resource version"):
        told(api.watch(collection, None, start), 1)


def test_server_that_stops_breaks_the_watch_and_it_goes_on_afterwards(own_kubernetes):
    namespace = own_kubernetes.namespace()
    api = client(own_kubernetes.target())
    collection = paths.collection("ConfigMap", namespace)
    start = api.get(collection)["metadata"]["resourceVersion"]
    config_map(api, namespace, "a")
    watch = api.watch(collection, None, start)
    assert told(watch, 1) == [("ADDED", "a")]
    stop_api(own_kubernetes)
    with pytest.raises(ExternalError, match="broke off") as found:
        told(watch, 1)
    assert found.value.retryable
    with pytest.raises(ExternalError, match="check that the API server runs"):
        told(api.watch(collection, None, watch.resource_version), 1)
    own_kubernetes.start_api()
    config_map(api, namespace, "b")
    assert "b" in seen_after(api, collection, watch.resource_version)


def seen_after(api, collection, version):
    """The names that whoever follows changes learns next. A server that was started anew may have
    forgotten the place or not: then the list tells.
    """
    try:
        with api.watch(collection, None, version) as watch:
            return [name for _, name in told(watch, 1)]
    except failures.Gone:
        return [item["metadata"]["name"] for item in api.items(collection)]


def test_what_is_asked_of_the_server(stub):
    requests = []

    def serve(connection, _number):
        requests.append(read_request(connection))
        connection.sendall(STREAM + END)

    api, _server = stub(serve)
    assert list(api.watch("/api/v1/pods", {"labelSelector": "a"}, "77", timeout_s=30)) == []
    assert requests[0].split(b" ")[1] == (
        b"/api/v1/pods?allowWatchBookmarks=true&labelSelector=a&watch=true&resourceVersion=77"
        b"&timeoutSeconds=30"
    )


def test_events_come_whole_however_they_are_cut(stub):
    events = [event("ADDED", "a", 5), event("BOOKMARK", "", 9), event("DELETED", "é", 12)]
    content = "\n".join(json.dumps(one, ensure_ascii=False) for one in events).encode() + b"\n"

    def serve(connection, _number):
        read_request(connection)
        connection.sendall(STREAM)
        for position in range(len(content)):
            connection.sendall(b"1\r\n%s\r\n" % content[position:position + 1])
        connection.sendall(END)

    api, _server = stub(serve)
    watch = api.watch("/api/v1/pods")
    assert [kind for kind, _ in watch] == ["ADDED", "BOOKMARK", "DELETED"]
    assert watch.resource_version == "12"


def test_events_of_kinds_to_come_are_passed_over(stub):
    odd = [{"type": "NEW", "object": {}}, {"type": "ADDED", "object": 7}]

    def serve(connection, _number):
        read_request(connection)
        connection.sendall(STREAM + chunk(*odd, event("ADDED", "a", 1)) + END)

    api, _server = stub(serve)
    assert told(api.watch("/api/v1/pods"), 9) == [("ADDED", "a")]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"type": "ERROR", "object": status(410, "Expired", "too old")}, failures.Gone),
        ({"type": "ERROR", "object": status(403, "Forbidden", "no")}, failures.Forbidden),
        ({"type": "ERROR", "object": {}}, ExternalError),
        ({"type": "ERROR", "object": None}, ExternalError),
        ({"kind": "Status"}, ExternalError),
        ([], ExternalError),
        (None, ExternalError),
    ],
)
def test_event_that_is_an_error_ends_the_watch(stub, sent, kind):
    def serve(connection, _number):
        read_request(connection)
        connection.sendall(STREAM + chunk(event("ADDED", "a", 1), sent) + END)

    api, _server = stub(serve)
    watch = api.watch("/api/v1/pods")
    assert next(watch)[0] == "ADDED"
    with pytest.raises(kind):
        next(watch)
    assert watch.resource_version == "1"


@pytest.mark.parametrize(
    "rest", [b"", b"5\r\n", b"ff\r\n{", b'8\r\n{"type":\r\n' + END, b"zz\r\n"]
)
def test_watch_that_breaks_off_raises(stub, rest):
    def serve(connection, _number):
        read_request(connection)
        connection.sendall(STREAM + chunk(event("ADDED", "a", 1)) + rest)

    api, _server = stub(serve)
    watch = api.watch("/api/v1/pods")
    assert next(watch)[0] == "ADDED"
    with pytest.raises(ExternalError, match="broke off"):
        next(watch)
    with pytest.raises(StopIteration):
        next(watch)


def test_silent_server_is_given_up_shortly_after_the_watch_should_have_ended(stub, monkeypatch):
    clock = Ahead(monkeypatch)

    def serve(connection, _number):
        read_request(connection)
        connection.sendall(STREAM + chunk(event("ADDED", "a", 1)))
        server.stopped.wait(300)

    api, server = stub(serve)
    watch = api.watch("/api/v1/pods", timeout_s=300)
    assert next(watch)[0] == "ADDED"
    clock.let_pass(309)  # ten seconds are given to a server that ends it late
    with pytest.raises(ExternalError, match="broke off"):
        next(watch)


def test_watch_without_the_rights_or_of_nothing_says_so(stub):
    def serve(connection, _number):
        read_request(connection)
        says = 'pods is forbidden: User "a" cannot watch resource "pods"'
        connection.sendall(answer(status(403, "Forbidden", says), "HTTP/1.1 403 Forbidden"))

    api, _server = stub(serve)
    with pytest.raises(failures.Forbidden, match="the verb watch on pods"):
        next(api.watch("/api/v1/pods"))


def test_closed_watch_ends_its_connection(stub):
    ended = []

    def serve(connection, _number):
        read_request(connection)
        connection.sendall(STREAM + chunk(event("ADDED", "a", 1)))
        ended.append(connection.recv(1))

    api, _server = stub(serve)
    watch = api.watch("/api/v1/pods")
    next(watch)
    watch.close()
    watch.close()
    deadline = time.monotonic() + 180
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == [b""]

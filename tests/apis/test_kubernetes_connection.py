"""The connection to an API server: one deadline, one size, TLS, and no change sent twice."""

from __future__ import annotations

import ssl
import time

import pytest

from selfheal.apis.kubernetes import failures, paths
from selfheal.exceptions import ConfigError, DeadlineExceeded, ExternalError
from tests import web
from tests.apis.kubernetes_scene import (
    Ahead,
    Canned,
    Wire,
    answer,
    client,
    client_certificate,
    read_request,
    stop_api,
)
from tests.tls import self_signed

PODS = {"kind": "PodList", "items": []}


def test_connection_is_kept_for_many_requests():
    def serve(connection, _number):
        while read_request(connection):
            connection.sendall(answer(PODS))

    with Wire(serve) as server:
        api = client({"url": server.url})
        for _ in range(5):
            assert api.get("/api/v1/pods") == PODS
        assert server.connections == 1
        api.close()
        assert api.get("/api/v1/pods") == PODS
        assert server.connections == 2


def test_connection_that_the_server_closed_is_opened_anew():
    def serve(connection, _number):
        read_request(connection)
        connection.sendall(answer(PODS))  # and closes without having said so

    with Wire(serve) as server:
        api = client({"url": server.url})
        for _ in range(3):
            assert api.get("/api/v1/pods") == PODS
        assert server.connections == 3
        deadline = time.monotonic() + 180
        while not api._wire._kept.is_stale():
            assert time.monotonic() < deadline
        assert api.create("/api/v1/pods", {}) == PODS  # a change, too: nothing was sent in vain


@pytest.mark.parametrize("method", ["get", "create"])
def test_reading_is_asked_again_on_a_new_connection_and_a_change_is_not(method):
    seen = []

    def serve(connection, number):
        while True:
            request = read_request(connection)
            if not request:
                return
            seen.append(request.split(b" ")[0])
            if number == 1 and len(seen) == 2:
                return  # it reads the second request and closes without a word
            connection.sendall(answer(PODS))

    with Wire(serve) as server:
        api = client({"url": server.url})
        assert api.get("/api/v1/pods") == PODS
        if method == "get":
            assert api.get("/api/v1/pods") == PODS
            assert seen == [b"GET", b"GET", b"GET"]
        else:
            with pytest.raises(failures.Unsure, match="whether the change was made is not known"):
                api.create("/api/v1/pods", {})
            assert seen == [b"GET", b"POST"]


def test_nobody_listens():
    with web.nobody("https") as url:
        api = client({"url": url})
        for ask in (api.get, lambda path: api.create(path, {})):
            with pytest.raises(ExternalError, match="check that the API server runs") as found:
                ask("/api/v1/pods")
            assert found.value.retryable
        assert not isinstance(found.value, failures.Unsure)  # nothing was sent


def test_server_that_drips_is_given_up_at_the_deadline(monkeypatch):
    clock = Ahead(monkeypatch)

    def serve(connection, _number):
        read_request(connection)
        clock.let_pass(299.5)
        for byte in answer({"items": ["x" * 5000]}):
            connection.sendall(bytes([byte]))
            if server.stopped.wait(0.05):
                return

    with Wire(serve) as server:
        api = client({"url": server.url, "timeout_s": 300})
        with pytest.raises(ExternalError, match=r"no whole answer within 300 s") as found:
            api.get("/api/v1/pods")
        assert found.value.retryable
        with pytest.raises(failures.Unsure, match="not known"):
            api.create("/api/v1/pods", {})


def test_hurry_bounds_all_that_is_asked_afterwards(monkeypatch):
    def serve(connection, _number):
        while read_request(connection):
            if server.connections == 1 and not asked:
                connection.sendall(answer(PODS))
                asked.append(1)
            else:
                server.stopped.wait(300)

    asked = []
    clock = Ahead(monkeypatch)
    with Wire(serve) as server:
        api = client({"url": server.url, "timeout_s": 600})
        api.hurry(300)
        assert api.get("/api/v1/pods") == PODS
        clock.let_pass(299)
        with pytest.raises(ExternalError, match="no whole answer"):
            api.get("/api/v1/pods")
        with pytest.raises(DeadlineExceeded, match="no time is left"):
            api.create("/api/v1/pods", {})


def test_server_that_takes_connections_and_says_nothing_is_given_up():
    with Wire(lambda connection, _number: server.stopped.wait(300)) as server:
        for url in (server.url, server.url.replace("http:", "https:")):
            with pytest.raises(ExternalError, match="no whole answer within 1 s"):
                client({"url": url, "timeout_s": 1}).get("/api/v1/pods")


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"nothing of the kind\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"",
    ],
)
def test_half_an_answer_is_none(sent):
    def serve(connection, _number):
        read_request(connection)
        connection.sendall(sent)

    with Wire(serve) as server:
        api = client({"url": server.url})
        with pytest.raises(ExternalError, match="GET http://127.*failed|GET /api.*no JSON"):
            api.get("/api/v1/pods")
        with pytest.raises(failures.Unsure):
            api.delete("/api/v1/namespaces/a/pods/b")


def test_answer_beyond_the_cap_is_not_read_further():
    with Canned({"GET /api/v1/pods": (200, b"x" * 5000)}) as server:
        api = client({"url": server.url})
        api._wire.max_body_bytes = 4000
        with pytest.raises(ExternalError, match="more than 4000 bytes") as found:
            api.get("/api/v1/pods")
        assert not found.value.retryable
        api._wire.max_body_bytes = 5000
        with pytest.raises(ExternalError, match="no JSON object"):
            api.get("/api/v1/pods")


def test_server_that_is_stopped_and_started_is_found_again(own_kubernetes):
    namespace = own_kubernetes.namespace()
    api = client(own_kubernetes.target())
    path = paths.path("ConfigMap", namespace, "a")
    api.create(paths.collection("ConfigMap", namespace), {"metadata": {"name": "a"}})
    stop_api(own_kubernetes)
    with pytest.raises(ExternalError):
        api.get(path)
    with pytest.raises(ExternalError):
        api.patch(path, {"data": {"x": "1"}})
    own_kubernetes.start_api()
    assert "data" not in api.get(path)
    assert api.patch(path, {"data": {"x": "2"}})["data"] == {"x": "2"}


def test_unknown_authority_is_not_trusted(kubernetes):
    target = kubernetes.target()
    target.pop("ca_file")
    with pytest.raises(ConfigError, match=r"not trusted.*set kubernetes.edge.ca_file"):
        client(target, name="edge").get("/version")
    assert client({**target, "verify_tls": False}).version() == "v1.20.2"


def test_other_host_name_than_the_certificates_is_not_trusted(tmp_path):
    context, certificate = self_signed(tmp_path, "DNS:other.example.net")

    def serve(connection, _number):
        read_request(connection)
        connection.sendall(answer({"gitVersion": "v9"}))

    with Wire(serve, tls=context) as server:
        with pytest.raises(ConfigError, match="not trusted.*or correct the host name"):
            client({"url": server.url, "ca_file": certificate}).version()


def test_server_without_tls_is_not_taken_for_one_with():
    with Canned() as server:
        api = client({"url": server.url.replace("http:", "https:")})
        with pytest.raises(ConfigError, match="no TLS connection.*meant to be http://"):
            api.get("/version")


def test_connection_that_breaks_in_the_handshake_may_be_tried_again():
    with Wire(lambda connection, _number: connection.recv(65536)) as server:
        api = client({"url": server.url.replace("http:", "https:")})
        for ask in (api.get, lambda path: api.create(path, {})):
            with pytest.raises(ExternalError, match="check that the API server runs") as found:
                ask("/api/v1/pods")
            assert found.value.retryable and not isinstance(found.value, failures.Unsure)


def test_interrupted_request_leaves_nothing_behind(monkeypatch):
    def interrupted(_answer, _limit):
        raise KeyboardInterrupt

    with Canned({"POST /api/v1/pods": PODS, "GET /api": {"versions": ["v1"]}}) as server:
        api = client({"url": server.url})
        with monkeypatch.context() as patched:
            patched.setattr("selfheal.apis.kubernetes.connection.read_whole", interrupted)
            with pytest.raises(KeyboardInterrupt):
                api.get("/api")
        assert api.create("/api/v1/pods", {}) == PODS


def test_files_that_are_no_certificates_are_named(tmp_path, kubernetes):
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for settings, words in [
        ({"ca_file": str(junk)}, "cannot read the CA file .*junk.pem"),
        ({"ca_file": str(tmp_path / "none")}, "cannot read the CA file .*none"),
        ({"client_cert_file": str(junk)}, "check kubernetes.client_cert_file"),
        ({"client_key_file": str(junk)}, "client_cert_file is not"),
    ]:
        with pytest.raises(ConfigError, match=words):
            client(kubernetes.target(**settings)).get("/version")


def test_client_certificate_is_shown(tmp_path):
    context, authority = self_signed(tmp_path, "IP:127.0.0.1")
    certificate, key = client_certificate(tmp_path, authority)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    seen = []

    def serve(connection, _number):
        seen.append(connection.getpeercert()["subject"])
        read_request(connection)
        connection.sendall(answer({"gitVersion": "v9"}))

    with Wire(serve, tls=context) as server:
        target = {"url": server.url, "ca_file": authority}
        files = {"client_cert_file": certificate, "client_key_file": key}
        assert client({**target, **files}).version() == "v9"
        assert seen == [((("commonName", "a"),),)]
        with pytest.raises((ConfigError, ExternalError)):
            client(target).version()


def test_proxy_of_the_environment_is_used_unless_it_is_told_not_to(tmp_path, monkeypatch):
    context, authority = self_signed(tmp_path, "DNS:kubernetes.test")
    seen = []

    def serve(connection, _number):
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection = context.wrap_socket(connection, server_side=True)
        seen.append(read_request(connection))
        connection.sendall(answer({"gitVersion": "v9"}))
        connection.close()

    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Wire(serve) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", "http://me:p%%40ss@127.0.0.1:%d" % proxy.port)
        target = {"url": "https://kubernetes.test:6443/prefix", "ca_file": authority, "token": "t"}
        assert client(target).version() == "v9"
        assert seen[0].startswith(b"CONNECT kubernetes.test:6443 HTTP/1.")
        assert b"Proxy-Authorization: Basic bWU6cEBzcw==" in seen[0] and b"Bearer" not in seen[0]
        assert seen[1].startswith(b"GET /prefix/version HTTP/1.1\r\nHost: kubernetes.test")
        monkeypatch.setenv("NO_PROXY", "kubernetes.test")
        with pytest.raises(ExternalError):
            client(target).version()
        assert len(seen) == 2


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:6443",
        "ftp://host",
        "https://",
        "https://host:x",
        "https://me:pw@host",
        "https://host/?a=b",
        "https://host/#a",
        "https://ho st",
        "https://host\n",
    ],
)
def test_address_that_cannot_be_used_is_named(url):
    with pytest.raises(ConfigError, match=r"kubernetes[.:]") as found:
        client({"url": url})
    assert "pw" not in str(found.value).replace("pw@", "")


@pytest.mark.parametrize("token", ["geh eim", "geh\neim", "gehéim"])
def test_token_that_cannot_be_sent_is_not_shown(token):
    with pytest.raises(ConfigError, match="kubernetes.token holds") as found:
        client({"url": "https://127.0.0.1", "token": token})
    assert "geh" not in str(found.value)

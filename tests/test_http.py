"""The HTTP client against real servers: any answer comes back, any failure is typed and names the
URL.
"""

from __future__ import annotations

import os
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.http import HttpClient, Response
from tests import scene
from tests.tls import self_signed


class RawServer:
    """Answers every connection with the same bytes, then closes it (or keeps it open)."""

    def __init__(self, content, keep_open=False, pause_s=0.0):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(5)
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._content, self._keep_open, self._open = content, keep_open, []
        self._pause_s = pause_s  # after each byte
        self._stopped = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.recv(65536)
            if self._pause_s:
                self._drip(connection)
            else:
                connection.sendall(self._content)
            if self._keep_open:
                self._open.append(connection)
            else:
                connection.close()

    def _drip(self, connection):
        try:
            for byte in self._content:
                connection.sendall(bytes([byte]))
                if self._stopped.wait(self._pause_s):
                    return
        except OSError:
            pass  # the client has had enough

    def __enter__(self):
        return self

    def __exit__(self, *_ignored):
        self._stopped.set()
        self._listener.close()
        for connection in self._open:
            connection.close()


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 401, 404, 409, 429, 500, 503])
def test_every_status_comes_back_as_an_answer(receiver, status):
    receiver.answers = [
        (
            status,
            {"X-Thing": "a", "Location": "http://127.0.0.1:1/"},
            b"" if status == 204 else b"body",
        )
    ]
    answer = HttpClient().request("GET", receiver.url + "/x")
    assert answer.status == status and answer.ok is (status < 300)
    assert answer.headers["x-thing"] == "a"
    assert len(receiver.requests) == 1  # redirects are not followed


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_json_goes_out_as_ascii(receiver, method):
    HttpClient().request(
        method, receiver.url + "/x?y=1", json={"t": "\ud800 é"}, headers={"X-A": "b"}
    )
    (request,) = receiver.requests
    assert request["method"] == method and request["path"] == "/x?y=1"
    assert (
        request["headers"]["content-type"] == "application/json" and
        request["headers"]["x-a"] == "b"
    )
    assert request["body"] == b'{"t": "\\ud800 \\u00e9"}'


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://host/x",
        "file:///etc/passwd",
        "//host",
        "http://",
        "http:///x",
        "javascript:alert(1)",
        "HTTP//x",
    ],
)
def test_only_http_urls_are_asked(url):
    with pytest.raises(ConfigError, match="not an http"):
        HttpClient().request("GET", url)


@given(st.text(max_size=30))
def test_any_other_url_is_a_typed_error(rest):
    with pytest.raises((ConfigError, ExternalError)):
        HttpClient().request(
            "GET",
            "http://127.0.0.1:1" + rest if rest[:1] in ("", "/", "?") else "x" + rest,
            timeout_s=2,
        )


def test_refused_connection_is_retryable_and_hides_credentials():
    with pytest.raises(ExternalError, match="refused") as caught:
        HttpClient().request("GET", "http://127.0.0.1:1/x?api_key=s3cret")
    assert (
        caught.value.retryable and
        "s3cret" not in str(caught.value) and
        "127.0.0.1:1/x" in str(caught.value)
    )


def test_unknown_host_is_typed():
    with pytest.raises(ExternalError, match="no-such-host.invalid") as caught:
        HttpClient().request("GET", "http://no-such-host.invalid/", timeout_s=5)
    assert caught.value.concerns_all


def test_no_connection_is_told_from_no_answer(tls):
    with pytest.raises(ExternalError) as refused:
        HttpClient().request("GET", "http://127.0.0.1:1/")
    with pytest.raises(ExternalError) as untrusted:
        HttpClient().request("GET", tls[0])
    with RawServer(b"", keep_open=True) as server, pytest.raises(ExternalError) as silent:
        HttpClient().request("GET", server.url, timeout_s=0.2)
    with RawServer(b"") as server, pytest.raises(ExternalError) as dropped:
        HttpClient().request("GET", server.url)
    caught = (refused, untrusted, silent, dropped)
    assert [one.value.concerns_all for one in caught] == [True, True, False, False]


def test_silent_server_is_given_up():
    with RawServer(b"", keep_open=True) as server, pytest.raises(ExternalError, match="timed out"):
        HttpClient().request("GET", server.url, timeout_s=0.2)


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + b"x" * 400,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 400,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 80 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    ],
)
def test_dripping_answer_is_given_up_in_time(content):
    with RawServer(content, pause_s=0.05) as server, pytest.raises(
        ExternalError, match="timed out"
    ) as caught:
        HttpClient().request("GET", server.url, timeout_s=0.5)
    assert caught.value.retryable


def test_timeout_longer_than_the_system_can_count_is_none(receiver):
    assert HttpClient().request("GET", receiver.url, timeout_s=1e15).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://me:s3cret@127.0.0.1/x",
        "http://me:s3cret@127.0.0.1:1/x",
        "https://s3cret@127.0.0.1",
        "http://me:a@s3cret@127.0.0.1/?a@b",
    ],
)
def test_url_with_credentials_is_refused_before_its_host_is_looked_up(url):
    with pytest.raises(ConfigError, match="holds credentials") as caught:
        HttpClient().request("GET", url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/x", {"Authorization": "Bearer s3cret\n"}),
        ("/x", {"Authorization": "Bearer s3cret\u20ac"}),
        ("/x?token=s3cret and", {}),
    ],
)
def test_what_cannot_be_sent_is_not_quoted(receiver, path, headers):
    with pytest.raises(ExternalError, match="cannot be sent") as caught:
        HttpClient().request("GET", receiver.url + path, headers=headers)
    assert "s3cret" not in str(caught.value) and not caught.value.retryable
    assert receiver.requests == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_broken_answer_is_typed(content):
    with RawServer(content) as server, pytest.raises(ExternalError, match="127.0.0.1"):
        HttpClient().request("GET", server.url, timeout_s=5)


def test_endless_answer_is_cut_off(receiver):
    receiver.answers = [(200, {}, b"x" * 2000)]
    with pytest.raises(ExternalError, match="more than 1000 bytes") as caught:
        HttpClient(max_body_bytes=1000).request("GET", receiver.url)
    assert not caught.value.retryable
    receiver.answers = [(200, {}, b"x" * 1000)]
    assert len(HttpClient(max_body_bytes=1000).request("GET", receiver.url).body) == 1000


@pytest.mark.parametrize("headers", [{"X": "a\r\nInjected: yes"}, {"X\n": "a"}, {"X": "\u20ac"}])
def test_header_that_cannot_be_sent_is_typed_and_injects_nothing(receiver, headers):
    with pytest.raises(ExternalError):
        HttpClient().request("GET", receiver.url, headers=headers)
    assert receiver.requests == []


def test_answer_that_is_no_json_shows_its_beginning():
    with pytest.raises(
        ExternalError, match="http://x answered 200 with something that is not JSON.*<html>"
    ):
        Response(200, {}, b"<html>" + b"x" * 1000, "http://x").json()
    for body in (b"\xff\xfe", b"[" * 200000):
        with pytest.raises(ExternalError):
            Response(200, {}, body, "http://x").json()
    assert Response(200, {}, b'{"a": 1}', "http://x").json() == {"a": 1}
    assert Response(200, {}, b"\xff" * 1000, "http://x").text(5) == "\ufffd" * 5


@pytest.fixture
def tls(tmp_path):
    """(url, certificate file) of a TLS server with a certificate of its own."""
    context, certificate = self_signed(tmp_path, "IP:127.0.0.1")
    with scene.Receiver() as server:
        server.wrap(context)
        yield "https://127.0.0.1:%d" % server.port, certificate


def test_certificate_is_checked_unless_told_otherwise(tls):
    url, certificate = tls
    client = HttpClient()
    with pytest.raises(ExternalError, match="(?i)certificate"):
        client.request("GET", url)
    assert client.request("GET", url, ca_file=certificate).status == 200
    assert client.request("GET", url, verify_tls=False).status == 200


def test_missing_ca_file_names_it():
    with pytest.raises(ConfigError, match="/no/such/file"):
        HttpClient().request("GET", "https://127.0.0.1:1", ca_file="/no/such/file")


def test_proxy_of_the_environment_is_not_asked_for_loopback(receiver, monkeypatch):
    monkeypatch.setitem(os.environ, "http_proxy", "http://127.0.0.1:1")
    monkeypatch.setitem(os.environ, "no_proxy", "127.0.0.1")
    assert HttpClient().request("GET", receiver.url).status == 200


def test_credentials_that_a_server_repeats_are_not_shown():
    headers = {"Authorization": "Bearer t0ken-of-ours", "X-Api-Key": "k3y-of-ours", "X-Run": "1"}
    said = b"who is Bearer t0ken-of-ours, k3y-of-ours of 1? " + b"x" * 600
    with scene.Receiver((401, {}, said)) as receiver:
        answer = HttpClient().request("GET", receiver.url, headers=headers)
    assert answer.text(100).startswith("who is ********, ******** of 1? x")
    assert len(answer.text(100)) == 100 and answer.body == said
    assert "t0ken" not in answer.text(20)  # nor a part of it, where the text is cut
    with pytest.raises(ExternalError) as caught:
        answer.json()
    assert "ours" not in str(caught.value)

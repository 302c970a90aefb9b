"""What is said when the service cannot be spoken to: address, credentials, TLS, silence."""

from __future__ import annotations

import socket

import pytest

from selfheal.exceptions import ConfigError, ExternalError
from tests import scene, web
from tests.apis.search_scene import failure, search
from tests.tls import self_signed


def test_credentials_never_show(stub):
    stub.credentials = "Basic other"
    one = search(stub.url, username="user", password="s3cret-word")
    assert "s3cret" not in failure(one, ConfigError)[1]
    _, message = failure_at("http://user:s3cret-word@127.0.0.1:9200")
    assert "s3cret" not in message and "username" in message


def failure_at(url):
    with pytest.raises(ConfigError) as caught:
        search(url)
    return caught.value, str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "elasticsearch:9200", "ftp://x:1", "http://", "http://h:99999"]
)
def test_what_is_no_address_is_said_before_anything_is_asked(url):
    assert "elasticsearch.url" in failure_at(url)[1]


@pytest.mark.parametrize("url", ["http://h:9200/?api_key=s3cret-word", "https://h/#s3cret-word"])
def test_what_would_not_be_sent_is_refused_unshown(url):
    message = failure_at(url)[1]
    assert "never sent" in message and "s3cret" not in message


@pytest.mark.parametrize("index", ["_all", "a/b", "logs?x", " ", "a#b", "x,_search", ".."])
def test_what_is_no_index_pattern_is_said_before_anything_is_asked(stub, index):
    with pytest.raises(ConfigError, match="no index pattern"):
        search(stub.url, index=index)
    assert stub.requests == []


@pytest.mark.parametrize("content", [b"<html>welcome</html>", b"[1, 2]", b'"text"', b"{}", b"{"])
def test_what_is_no_search_service_is_said(content):
    with scene.Receiver((200, {"Content-Type": "application/json"}, content)) as other:
        one = search(other.url)
        error, message = failure(one, (ConfigError, ExternalError))
        assert "elasticsearch.url" in message and not error.retryable
        assert "elasticsearch.url" in failure(one, ExternalError, lambda one: one.health())[1]


def test_nobody_there_is_worth_another_try():
    with web.nobody() as url:
        error, message = failure(search(url), ExternalError)
    assert error.retryable and "refused" in message and "runs" in message


@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
def test_silent_service_is_given_up_in_time(flavour):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        url = "http://127.0.0.1:%d" % listener.getsockname()[1]
        error, message = failure(search(url, timeout_s=0.3, flavour=flavour), ExternalError)
    assert error.retryable and "within 0.3 s" in message


@pytest.fixture
def tls(stub, tmp_path):
    """(url, certificate file) of the stub behind TLS with a certificate of its own."""
    context, certificate = self_signed(tmp_path, "DNS:localhost")
    stub.wrap(context)
    return "https://localhost:%d" % stub.port, certificate


@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
def test_certificate_is_checked_and_its_faults_are_told_apart(tls, tmp_path, flavour):
    url, certificate = tls
    assert search(url, ca_file=certificate, flavour=flavour).count(0, 10) == 10
    assert search(url, verify_tls=False, flavour=flavour).count(0, 10) == 10
    _, message = failure(search(url, flavour=flavour), ConfigError)
    assert "not trusted" in message and "ca_file" in message
    other_name = url.replace("localhost", "127.0.0.1")
    one = search(other_name, ca_file=certificate, flavour=flavour)
    assert "certificate" in failure(one, ConfigError)[1]
    missing = search(url, ca_file=str(tmp_path / "none.pem"), flavour=flavour)
    assert "cannot read elasticsearch.ca_file" in failure(missing, ConfigError)[1]
    (tmp_path / "none.pem").write_text("no certificate")
    assert "ca_file" in failure(missing, ConfigError)[1]


@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
def test_tls_to_a_plain_service_is_told(stub, flavour):
    one = search(stub.url.replace("http:", "https:"), flavour=flavour)
    assert "http://" in failure(one, ConfigError)[1]


def test_plain_http_to_a_tls_service_is_told(tls):
    url, _ = tls
    _, message = failure(search(url.replace("https:", "http:")), ExternalError)
    assert "https://" in message

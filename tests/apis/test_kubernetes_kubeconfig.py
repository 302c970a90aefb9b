"""Kubeconfig files: what kubectl reads from them is read, and what cannot be used says why."""

from __future__ import annotations

import pytest

from selfheal.apis.kubernetes import failures, paths
from selfheal.exceptions import ConfigError
from tests.apis.kubernetes_scene import (
    VERSION,
    Canned,
    client,
    client_certificate,
    encoded,
    write_kubeconfig,
)
from tests.kubernetes_access import ADMIN
from tests.tls import self_signed


def test_kubeconfig_with_files(kubernetes, tmp_path):
    target = {"kubeconfig": kubernetes.kubeconfig(tmp_path / "config")}
    assert client(target).items(paths.collection("Namespace"))


def test_kubeconfig_with_data_inline_and_another_context(kubernetes, tmp_path):
    file = tmp_path / "config"
    target = write_kubeconfig(
        file,
        {"server": kubernetes.url, "certificate-authority-data": encoded(kubernetes.ca_file)},
        {"token": ADMIN},
        contexts=[
            {"name": "two", "context": {"cluster": "one", "user": "one"}},
            {"name": "nobody", "context": {"cluster": "one"}},
        ],
        **{"current-context": ""},
    )
    assert client({**target, "context": "two"}).items(paths.collection("Namespace"))
    with pytest.raises(failures.Forbidden, match="anonymous"):
        client({**target, "context": "nobody"}).items(paths.collection("Namespace"))
    with pytest.raises(ConfigError, match="no current-context: .* one of nobody, two"):
        client(target)


def test_paths_in_a_kubeconfig_are_relative_to_it(kubernetes, tmp_path, monkeypatch):
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "token").write_text(ADMIN)
    with open(kubernetes.ca_file) as file:
        (tmp_path / "pki" / "ca.pem").write_text(file.read())
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(tmp_path))
    write_kubeconfig(
        tmp_path / "config",
        {"server": kubernetes.url, "certificate-authority": "pki/ca.pem"},
        {"tokenFile": "./pki/token", "token": "older"},
    )
    assert client({"kubeconfig": "~/config"}).items(paths.collection("Namespace"))


def test_settings_go_before_the_kubeconfig(kubernetes, tmp_path):
    target = write_kubeconfig(tmp_path / "config", {"server": kubernetes.url}, {"token": "other"})
    with pytest.raises(ConfigError, match="certificate is not trusted"):
        client(target).version()
    api = client({**target, "ca_file": kubernetes.ca_file, "token": ADMIN})
    assert api.items(paths.collection("Namespace"))
    insecure = {"server": kubernetes.url, "insecure-skip-tls-verify": True}
    target = write_kubeconfig(tmp_path / "config", insecure, {"token": ADMIN})
    assert client(target).items(paths.collection("Namespace"))


def test_kubeconfig_with_a_client_certificate(tmp_path):
    context, authority = self_signed(tmp_path, "DNS:kubernetes.test")
    certificate, key = client_certificate(tmp_path, authority)
    context.load_verify_locations(authority)
    context.verify_mode = 2
    with Canned({"GET /version": VERSION}) as server:
        server.wrap(context)
        cluster = {
            "server": server.url.replace("http:", "https:"),
            "certificate-authority-data": encoded(authority),
            "tls-server-name": "kubernetes.test",
        }
        files = {"client-certificate": "c.crt", "client-key": "c.key"}
        data = {
            "client-certificate-data": encoded(certificate),
            "client-key-data": encoded(key),
        }
        mixed = {"client-certificate": "c.crt", "client-key-data": encoded(key)}
        for user in (files, data, mixed, {**files, **data}):
            target = write_kubeconfig(tmp_path / "config", cluster, user)
            assert client(target).version() == "v1.20.2"
        assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("selfheal")) == []
        with pytest.raises(ConfigError, match="without its key"):
            client(write_kubeconfig(tmp_path / "config", cluster, {"client-certificate": "c.crt"}))
        wrong = {**data, "client-key-data": encoded(certificate)}
        with pytest.raises(ConfigError, match="client certificate of kubernetes cannot be used"):
            client(write_kubeconfig(tmp_path / "config", cluster, wrong)).version()


def test_who_is_impersonated_is_sent(kubernetes, tmp_path):
    cluster = {"server": kubernetes.url, "certificate-authority": kubernetes.ca_file}
    target = write_kubeconfig(tmp_path / "config", cluster, {"token": ADMIN, "as": "nobody"})
    with pytest.raises(failures.Forbidden, match='User "nobody" cannot list'):
        client(target).items(paths.collection("Node"))
    user = {"token": ADMIN, "as": "nobody", "as-groups": ["one", "system:masters"]}
    target = write_kubeconfig(tmp_path / "config", cluster, user)
    assert client(target).items(paths.collection("Namespace"))


BAD = [
    ({"clusters": []}, "has no cluster 'one'; there are none"),
    ({"clusters": "x"}, "has no cluster 'one'"),
    ({"users": [None, {"name": "two"}]}, "has no user 'one'; there are two"),
    ({"contexts": [{"name": "two"}]}, "has no context 'one'; there are two"),
    ({"cluster": {"server": ""}}, "has no server"),
    ({"cluster": {"server": "https://me:pw@h"}}, "holds credentials"),
    ({"cluster": {"server": "https://h", "proxy-url": "socks5://h:1"}}, "only proxies with http"),
    (
        {"cluster": {"server": "https://h", "certificate-authority-data": "é"}},
        "certificate-authority-data is not PEM",
    ),
    ({"user": {"auth-provider": {"name": "gcp"}}}, "auth-provider, which Kubernetes has dropped"),
    ({"user": {"as-user-extra": {"a": ["b"]}}}, "as-user-extra"),
    ({"user": {"as-groups": ["system:masters"]}}, "without as"),
    ({"user": {"as": "a\nb"}}, "cannot be sent"),
    ({"user": {"token": "a b"}}, "the token of"),
    ({"user": {"exec": {"apiVersion": "v1"}}}, "names no command"),
    ({"user": {"exec": {"command": "x"}}}, "no apiVersion client.authentication"),
]


@pytest.mark.parametrize(("content", "words"), BAD)
def test_kubeconfig_that_cannot_be_used_says_why(tmp_path, content, words):
    content = {"cluster": {"server": "https://127.0.0.1"}, **content}
    with pytest.raises(ConfigError, match=words) as found:
        client(write_kubeconfig(tmp_path / "config", **content), name="edge")
    assert "pw" not in str(found.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("token: secret: x", "is no YAML"),
        ("- a", "holds no map"),
        ("", "holds no map"),
        ("x" * 5000000, "larger than"),
        ("\x00secret", "is no YAML"),
    ],
)
def test_file_that_is_no_kubeconfig_is_named_and_not_quoted(tmp_path, text, words):
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match=words) as found:
        client({"kubeconfig": str(tmp_path / "config")})
    assert "secret" not in str(found.value)
    with pytest.raises(ConfigError, match="none cannot be read: No such file"):
        client({"kubeconfig": str(tmp_path / "none")})

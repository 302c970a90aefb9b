"""Who we are to a cluster: tokens in files and the pod's own account."""

from __future__ import annotations

import json
import os

import pytest

from selfheal.apis.kubernetes import access, failures, paths
from selfheal.apis.kubernetes.client import connect
from selfheal.config import Config
from selfheal.context import Context
from selfheal.door import call
from selfheal.exceptions import ConfigError
from tests.apis.kubernetes_scene import UNAUTHORIZED, VERSION, Canned, client
from tests.kubernetes_access import ADMIN


def tokens(server):
    """The tokens that a stub was asked with, one after the other."""
    return [
        one["headers"].get("authorization", "").replace("Bearer ", "") for one in server.requests
    ]


# A token in a file


def test_token_file_is_read_again_when_it_changes(kubernetes, tmp_path):
    file = tmp_path / "token"
    target = kubernetes.target(token=None, token_file=str(file))
    api = client(target)
    with pytest.raises(ConfigError, match="token file .*cannot be read"):
        api.version()
    file.write_text("")
    with pytest.raises(ConfigError, match="holds no token"):
        api.version()
    file.write_text("expired\n")
    with pytest.raises(failures.Unauthorized):
        api.items(paths.collection("Node"))
    file.write_text(ADMIN + "\n")
    api.items(paths.collection("Node"))


def test_token_is_read_again_when_the_server_no_longer_knows_it(tmp_path):
    file = tmp_path / "token"
    file.write_text("one")
    at = os.stat(str(file))

    def rotate(request):
        choose(request)
        if request["headers"]["authorization"] == "Bearer one":
            file.write_text("two")
            os.utime(str(file), ns=(at.st_atime_ns, at.st_mtime_ns))  # nothing to see from outside

    with Canned({"POST /api/v1/pods": [UNAUTHORIZED, (201, {"kind": "Pod"})]}) as server:
        choose, server.on_request = server.on_request, rotate
        api = client({"url": server.url, "token_file": str(file)})
        assert api.create("/api/v1/pods", {}) == {"kind": "Pod"}
        assert tokens(server) == ["one", "two"]


def test_token_that_stays_the_same_is_tried_once(tmp_path):
    file = tmp_path / "token"
    file.write_text("one")
    with Canned({"GET /version": UNAUTHORIZED}) as server:
        for target in ({"token_file": str(file)}, {"token": "one"}, {}):
            with pytest.raises(failures.Unauthorized):
                client({"url": server.url, **target}).version()
        assert tokens(server) == ["one", "one", ""]


def test_watch_renews_its_token_as_well(tmp_path):
    file = tmp_path / "token"
    file.write_text("one")
    with Canned({"GET /api/v1/pods": [UNAUTHORIZED, (200, b"")]}) as server:
        choose = server.on_request
        server.on_request = lambda request: (choose(request), file.write_text("two2"))
        api = client({"url": server.url, "token_file": str(file)})
        assert list(api.watch("/api/v1/pods")) == []
        assert tokens(server) == ["one", "two2"]


def test_learned_tokens_are_scrubbed_from_results(tmp_path):
    file = tmp_path / "token"
    file.write_text("token-from-a-file\n")
    with Canned({"GET /version": VERSION}) as server:
        settings = {"url": server.url, "token_file": str(file)}
        context = Context(Config({"kubernetes": settings}))
        connect(context).version()
    assert context.config.secrets() == ["token-from-a-file"]
    done, result = call("selfheal.nothing.at_all", {"token-from-a-file": 1}, context=context)
    assert not done and "token-from-a-file" not in json.dumps(result)


def test_many_renewed_tokens_do_not_pile_up():
    config = Config()
    for number in range(1000):
        config.hide("token-%d" % number)
        config.hide("token-%d" % number)
    assert config.secrets()[-1] == "token-999" and len(config.secrets()) <= 20


# The pod's own account


@pytest.fixture
def pod(kubernetes, tmp_path, monkeypatch):
    """The files and the environment of a pod."""
    port = kubernetes.url.rpartition(":")[2]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # never for the pod's own cluster
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    monkeypatch.setattr(access, "POD_FILES", str(tmp_path))
    with open(kubernetes.ca_file) as file:
        (tmp_path / "ca.crt").write_text(file.read())
    (tmp_path / "token").write_text(ADMIN)
    (tmp_path / "namespace").write_text("ours\n")
    return tmp_path


def test_pod_uses_its_own_account(pod):
    assert client({"in_cluster": True}).version() == "v1.20.2"
    assert access.own_namespace({}) == "ours"
    assert access.own_namespace({"own_namespace": "set"}) == "set"


def test_namespace_of_the_pod_may_come_from_the_environment(pod, monkeypatch):
    monkeypatch.setenv("POD_NAMESPACE", "told")
    assert access.own_namespace({"own_namespace": ""}) == "told"


def test_outside_of_a_pod_there_is_no_such_account(pod, monkeypatch):
    (pod / "ca.crt").unlink()
    with pytest.raises(ConfigError, match="runs in no pod with a service account.*ca.crt"):
        client({"in_cluster": True})
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST is not set"):
        client({"in_cluster": True})
    (pod / "namespace").unlink()
    assert access.own_namespace({}) == ""

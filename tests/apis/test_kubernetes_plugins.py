"""Plugins of a kubeconfig: run without a shell, for a bounded time, and no more often than needed.
"""

from __future__ import annotations

import stat
import sys
import textwrap
import time
from datetime import datetime, timezone

import pytest

from selfheal.apis.kubernetes import failures, paths, plugins
from selfheal.exceptions import ConfigError, ExternalError
from tests.apis.kubernetes_scene import (
    UNAUTHORIZED,
    VERSION,
    Ahead,
    Canned,
    client,
    client_certificate,
    write_kubeconfig,
)
from tests.kubernetes_access import ADMIN
from tests.tls import self_signed


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A function that writes a plugin of this Python code next to a kubeconfig, and gives the
    user's part of that.
    """
    monkeypatch.setattr(plugins, "_kept", {})
    monkeypatch.setattr(plugins, "LONGEST_RUN_S", 300.0)  # a slow machine takes long to begin it

    def make(code, **more):
        file = tmp_path / "plugin"
        head = "#!%s\nimport json, os, sys, time\n" % sys.executable
        file.write_text(head + textwrap.dedent(code))
        file.chmod(stat.S_IRWXU)
        version = "client.authentication.k8s.io/v1"
        return {"exec": {"command": "./plugin", "apiVersion": version, **more}}

    return make


HAND_OUT = """
def hand_out(version="client.authentication.k8s.io/v1", **status):
    print(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
count = open(os.path.join(os.path.dirname(sys.argv[0]), "count"), "a")
count.write("x")
count.close()
"""


def times_run(tmp_path):
    return len((tmp_path / "count").read_text())


def at(seconds):
    """A moment so many seconds from now, as Kubernetes writes it."""
    moment = datetime.fromtimestamp(time.time() + seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_plugin_is_run_without_a_shell_and_once_for_all_clients(kubernetes, tmp_path, plugin):
    code = HAND_OUT + (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert sys.argv[1:] == ['--for', '$(id); `id`'], sys.argv\n"
        "assert info['spec']['interactive'] is False and 'server' in info['spec']['cluster']\n"
        "print('said to nobody', file=sys.stderr)\n"
        "hand_out(token=os.environ['WHO'])\n"
    )
    user = plugin(
        code,
        args=["--for", "$(id); `id`"],
        env=[{"name": "WHO", "value": ADMIN}],
        provideClusterInfo=True,
    )
    cluster = {"server": kubernetes.url, "certificate-authority": kubernetes.ca_file}
    target = write_kubeconfig(tmp_path / "config", cluster, user)
    hidden = []
    for _ in range(3):
        assert client(target, hide=hidden.append).items(paths.collection("Namespace"))
    assert times_run(tmp_path) == 1 and set(hidden) == {ADMIN}


def test_plugin_is_run_again_when_its_token_has_expired(tmp_path, plugin):
    with Canned({"GET /version": VERSION}) as server:
        for lives_s, expected in ((3600, 1), (5, 3)):
            (tmp_path / "count").write_text("")
            code = HAND_OUT + "hand_out(token='t', expirationTimestamp=%r)\n" % at(lives_s)
            target = write_kubeconfig(tmp_path / "config", {"server": server.url}, plugin(code))
            api = client(target)
            plugins._kept.clear()
            for _ in range(3):
                api.version()
            assert times_run(tmp_path) == expected


def test_plugin_is_run_again_once_when_the_server_does_not_know_its_token(tmp_path, plugin):
    user = plugin(HAND_OUT + "hand_out(token='t')\n")
    with Canned({"GET /version": [UNAUTHORIZED, VERSION]}) as server:
        target = write_kubeconfig(tmp_path / "config", {"server": server.url}, user)
        assert client(target).version() == "v1.20.2"
        assert times_run(tmp_path) == 2
        server.routes["GET /version"] = UNAUTHORIZED
        with pytest.raises(failures.Unauthorized):
            client(target).version()
        assert times_run(tmp_path) == 3


FAILING = [
    ("print('secret-output'); sys.exit(3)", "ended with code 3"),
    ("print('secret-output')", "is no ExecCredential"),
    ("print('[]')", "is no ExecCredential"),
    ("sys.stdout.buffer.write(b'\\xff')", "is no ExecCredential"),
    ("hand_out()", "neither a token nor a certificate"),
    ("hand_out(clientCertificateData='x')", "neither a token nor a certificate"),
    ("hand_out(token='t', expirationTimestamp='soon')", "expirationTimestamp that is no time"),
    ("hand_out('client.authentication.k8s.io/v1beta1', token='t')", "answered in version"),
    ("hand_out(token='x' * 2000000)", "more than 1048576 bytes"),
    ("hand_out(token='secret output')", "the token of"),
    ("os.kill(os.getpid(), 9)", "ended with code -9"),
]


@pytest.mark.parametrize(("code", "words"), FAILING)
def test_plugin_that_fails_says_so_without_its_output(tmp_path, plugin, code, words):
    user = plugin(HAND_OUT + code + "\n")
    api = client(write_kubeconfig(tmp_path / "config", {"server": "https://127.0.0.1:1"}, user))
    with pytest.raises((ExternalError, ConfigError), match=words) as found:
        api.version()
    assert "secret" not in str(found.value).replace("is a secret", "")


def test_plugin_that_hangs_is_killed_with_what_it_started(tmp_path, plugin, monkeypatch):
    code = """
        child = os.fork()
        with open(os.path.join(os.path.dirname(sys.argv[0]), "pid-%d" % os.getpid()), "w"):
            pass
        time.sleep(900)
    """
    target = write_kubeconfig(tmp_path / "config", {"server": "https://127.0.0.1:1"}, plugin(code))
    for seconds in (3, 60, 180):  # a slow machine may need longer to begin than the plugin is given
        monkeypatch.setattr(plugins, "LONGEST_RUN_S", float(seconds))
        began = time.monotonic()
        with pytest.raises(ExternalError, match="took longer than %d s" % seconds):
            client(target).version()
        assert time.monotonic() - began < seconds + 300
        pids = [int(found.name[4:]) for found in tmp_path.glob("pid-*")]
        if len(pids) >= 2:
            break
    assert len(pids) >= 2
    deadline = time.monotonic() + 180
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_plugin_is_given_no_longer_than_who_asks_has_time(tmp_path, plugin):
    target = write_kubeconfig(
        tmp_path / "config", {"server": "https://127.0.0.1:1"}, plugin("time.sleep(900)")
    )
    api = client(target)
    api.hurry(1)
    began = time.monotonic()
    with pytest.raises(ExternalError, match="took longer than"):
        api.version()
    assert time.monotonic() - began < 300


def test_slow_plugin_takes_nothing_of_the_requests_own_time(tmp_path, plugin, monkeypatch):
    clock, end = Ahead(monkeypatch), plugins._end
    monkeypatch.setattr(plugins, "_end", lambda process: (end(process), clock.let_pass(200)))
    user = plugin(HAND_OUT + "hand_out(token='t')\n")
    with Canned({"GET /version": VERSION}) as server:
        target = write_kubeconfig(tmp_path / "config", {"server": server.url}, user)
        assert client({**target, "timeout_s": 150}).version() == "v1.20.2"


def test_plugin_that_is_not_there_is_named_with_its_hint(tmp_path, plugin):
    user = plugin("", command="./no-such", installHint="get it from the cloud")
    api = client(write_kubeconfig(tmp_path / "config", {"server": "https://127.0.0.1:1"}, user))
    with pytest.raises(ConfigError, match="cannot be run: No such file.*get it from the cloud"):
        api.version()


def test_plugin_that_would_ask_somebody_is_refused(tmp_path, plugin):
    user = plugin("", interactiveMode="Always")
    with pytest.raises(ConfigError, match="nobody is here"):
        client(write_kubeconfig(tmp_path / "config", {"server": "https://127.0.0.1:1"}, user))


def test_plugin_may_hand_out_a_certificate(tmp_path, plugin):
    context, authority = self_signed(tmp_path, "IP:127.0.0.1")
    certificate, key = client_certificate(tmp_path, authority)
    context.load_verify_locations(authority)
    context.verify_mode = 2
    code = HAND_OUT + "read = lambda path: open(path).read()\n"
    code += "hand_out(clientCertificateData=read(%r), clientKeyData=read(%r))\n"
    with Canned({"GET /version": VERSION}) as server:
        server.wrap(context)
        url = server.url.replace("http:", "https:")
        cluster = {"server": url, "certificate-authority": authority}
        target = write_kubeconfig(tmp_path / "config", cluster, plugin(code % (certificate, key)))
        assert client(target).version() == "v1.20.2"

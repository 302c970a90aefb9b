"""check_config: what is on, reachable and permitted, asked of real servers; nothing is changed."""

from __future__ import annotations

import json
import socket
import stat

import pytest

from selfheal import door
from selfheal.config import Config
from selfheal.context import Context
from selfheal.operate import check_config as module
from selfheal.operate.check_config import check_config
from selfheal.store import open_store
from tests import live_alertmanager, scene

ALERTMANAGER = (200, {}, b'{"versionInfo": {"version": "0.28.1"}, "uptime": "x"}')
PROMETHEUS = (200, {}, b'{"status": "success", "data": {"version": "2.42.0"}}')


@pytest.fixture
def url(tmp_path):
    return scene.store_url("sqlite", tmp_path / "store")


def check(url, **sections):
    """The answer and its table by name."""
    ctx = Context(Config({"database": {"url": url}, **sections}))
    answer = check_config(ctx)
    ctx.close()
    json.dumps(answer)
    assert answer["ok"] == (not answer["problems"])
    assert answer["ok"] == all(line["state"] != "error" for line in answer["table"])
    for line in answer["table"]:
        assert set(line) == {"what", "state", "detail", "do"} and line["state"] in (
            "on",
            "off",
            "error",
            "warning",
        )
        assert line["do"] or line["state"] in ("on", "off")
    return answer, {line["what"]: line for line in answer["table"]}


def test_bare_configuration_is_fine_and_says_what_is_off(url):
    answer, table = check(url)
    assert answer["ok"] and answer["problems"] == []
    assert table["configuration"]["state"] == table["store"]["state"] == "on"
    assert (
        table["alertmanager"]["state"] ==
        table["prometheus"]["state"] ==
        table["notify.webhook"]["state"] ==
        "off"
    )
    assert "notify.webhook.url" in table["notify.webhook"]["detail"]
    assert table["runbooks"]["state"] == "on"


def test_sqlite_says_what_a_second_node_would_mean(url):
    _, table = check(url)
    assert table["store: one node"]["state"] == "warning"
    assert "postgresql://" in table["store: one node"]["do"]


def test_postgresql_needs_no_such_warning(tmp_path):
    answer, table = check(scene.store_url("postgresql", tmp_path))
    assert answer["ok"] and "store: one node" not in table
    assert "schema version" in table["store"]["detail"]


def test_store_that_sensors_cannot_write_is_a_warning(url, tmp_path, monkeypatch):
    import os
    import pwd

    open_store(url)
    stranger = pwd.getpwnam("nobody")
    monkeypatch.setattr(module, "PLATFORM_USER", stranger.pw_name)
    directory = tmp_path / "store"
    directory.chmod(0o700)
    if os.geteuid() == stranger.pw_uid:
        pytest.skip("the tests run as nobody")
    _, table = check(url)
    assert (
        table["store: rights"]["state"] == "warning" and "700" in table["store: rights"]["detail"]
    )
    directory.chmod(0o777)
    (directory / "selfheal.db").chmod(0o666)
    assert "store: rights" not in check(url)[1]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o777


def test_checking_changes_nothing(url, receiver):
    check(url, notify=scene.webhook(receiver))
    store = open_store(url)
    for table in ("checkpoints", "outbox", "incidents", "system_status", "locks"):
        assert store.query("SELECT * FROM %s" % table) == []
    assert receiver.requests == []  # no message was sent


@pytest.mark.parametrize(
    ("section", "answer", "path", "version"),
    [
        ("alertmanager", ALERTMANAGER, "/pre/api/v2/status", "0.28.1"),
        ("prometheus", PROMETHEUS, "/pre/api/v1/status/buildinfo", "2.42.0"),
    ],
)
def test_service_that_answers_is_on(url, receiver, section, answer, path, version):
    receiver.answers = [answer]
    result, table = check(url, **{section: {"url": receiver.url + "/pre/", "token": "tok-1234"}})
    assert result["ok"] and table[section]["state"] == "on" and version in table[section]["detail"]
    assert receiver.requests[0]["path"] == path
    assert receiver.requests[0]["headers"]["authorization"] == "Bearer tok-1234"


def test_each_named_target_has_its_line(url, receiver):
    receiver.answers = [ALERTMANAGER]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = "http://127.0.0.1:%d" % unused.getsockname()[1]
        answer, table = check(
            url,
            alertmanager={
                "edge": {"url": receiver.url, "username": "me", "password": "pa55"},
                "prod": {"url": closed},
            },
        )
    assert receiver.requests[0]["headers"]["authorization"] == "Basic bWU6cGE1NQ=="
    assert (
        table["alertmanager.edge"]["state"] == "on" and
        table["alertmanager.prod"]["state"] == "error"
    )
    (problem,) = answer["problems"]
    assert "alertmanager.prod.url" in problem and closed in problem and "refused" in problem


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"", "set alertmanager.token, or alertmanager.username"),
        (403, b"", "not permitted"),
        (404, b"not here", "with its path prefix"),
        (500, b"boom", "answered 500: boom"),
        (302, b"", "answered 302"),
        (200, b"<html>", "but not as alertmanager does"),
        (200, b"[]", "but not as alertmanager does"),
        (200, b'{"versionInfo": 5}', "but not as alertmanager does"),
    ],
)
def test_service_that_answers_badly_says_what_to_do(url, receiver, status, body, expected):
    receiver.answers = [(status, {"Location": "http://127.0.0.1:1"}, body)]
    answer, table = check(url, alertmanager={"url": receiver.url})
    assert table["alertmanager"]["state"] == "error"
    (problem,) = answer["problems"]
    assert expected in problem and problem.startswith("alertmanager: ")


def test_service_that_never_answers_is_given_up(url, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        address = "http://127.0.0.1:%d" % silent.getsockname()[1]
        answer, _ = check(url, prometheus={"url": address, "timeout_s": 1})
    assert "timed out" in answer["problems"][0] and "prometheus.url" in answer["problems"][0]


def test_webhook_is_only_connected_to(url, receiver):
    _, table = check(url, notify=scene.webhook(receiver))
    assert table["notify.webhook"]["state"] == "on"
    receiver.stop()
    answer, table = check(url, notify=scene.webhook(receiver))
    assert table["notify.webhook"]["state"] == "error"
    assert (
        "notify.webhook.url" in answer["problems"][0] and "no connection" in answer["problems"][0]
    )


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"nonsense": {}}, "nonsense is not a setting"),
        ({"resolver": {"timeout": "soon"}}, "resolver.timeout must be a whole number"),
        ({"alertmanager": "http://a"}, "alertmanager must be a map"),
        ({"notify": "http://a"}, "notify must be a map"),
        ({"notify": {"webhook": "http://a"}}, "notify.webhook must be a map"),
        ({"notify": {"webhook": {"url": 5}}}, "notify.webhook.url must be text"),
        ({"alertmanager": {"url": 5}}, "alertmanager.url must be text"),
        ({"prometheus": {"url": "nonsense"}}, "prometheus.url"),
        (
            {
                "alertmanager": {
                    "url": "http://127.0.0.1:1",
                    "ca_file": "/no/such/file",
                    "timeout_s": "x",
                }
            },
            "alertmanager.timeout_s",
        ),
        (
            {"prometheus": {"url": "https://127.0.0.1:1", "ca_file": "/no/such/file"}},
            "/no/such/file",
        ),
        ({"resolver": {"runbook_paths": "x"}}, "resolver.runbook_paths must be a list"),
    ],
)
def test_every_mistake_is_a_problem_never_a_crash(url, sections, expected):
    answer, _ = check(url, **sections)
    assert any(expected in problem for problem in answer["problems"])


def test_broken_runbook_is_named_and_the_others_count(url, tmp_path):
    books = tmp_path / "books"
    books.mkdir()
    (books / "bad.yaml").write_text("name: bad\nsteps: 5\n")
    answer, table = check(url, resolver={"runbook_paths": [str(books), str(tmp_path / "none")]})
    assert table["runbook %s" % (books / "bad.yaml")]["state"] == "error"
    assert any("bad.yaml" in problem for problem in answer["problems"])
    assert any(str(tmp_path / "none") in problem for problem in answer["problems"])
    assert table["runbooks"]["state"] == "on"


def test_classification_rules_that_would_blind_the_sensor_are_a_problem(url, tmp_path):
    own = tmp_path / "own.yaml"
    what = "monitoring.classification_paths"
    answer, table = check(url, monitoring={"classification_paths": [str(own)]})
    assert not answer["ok"] and "own.yaml: No such file" in table[what]["detail"]
    own.write_text("rules: [{name: one, type: network, text: [flux capacitor]}]")
    answer, table = check(url, monitoring={"classification_paths": [str(own)]})
    assert answer["ok"] and table[what]["state"] == "on"


def test_secrets_do_not_show(url, receiver):
    receiver.answers = [(401, {}, b"wrong token tok-s3cret")]
    succeeded, answer = door.call(
        "selfheal.operate.check_config.check_config",
        {},
        config={
            "database": {"url": url},
            "alertmanager": {"url": receiver.url, "token": "tok-s3cret"},
        },
    )
    assert succeeded and "tok-s3cret" not in json.dumps(answer)


def test_real_alertmanager_and_prometheus(url, tmp_path):
    alertmanager = live_alertmanager.Alertmanager(tmp_path / "am")
    alertmanager.start()
    try:
        answer, table = check(url, alertmanager={"url": alertmanager.url})
        assert answer["ok"] and "version" in table["alertmanager"]["detail"]
        answer, _ = check(url, prometheus={"url": alertmanager.url})
        assert not answer["ok"] and "prometheus.url" in answer["problems"][0]
    finally:
        alertmanager.stop()

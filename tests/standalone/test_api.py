"""The HTTP API: who is let in, which bodies are taken, and what is answered."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

import pytest

from standalone import api
from standalone.engine import Engine
from tests.standalone.miniature import Heard, Miniature


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[Engine, Heard]]:
    mini = Miniature(tmp_path_factory.mktemp("pack"))
    mini.rule(
        "hook",
        """
        trigger: {type: core.st2.webhook, parameters: {url: /deep/alerts/}}
        criteria: {trigger.body.never: {type: equals, pattern: true}}
        action: {ref: mini.echo}
        """,
    )
    mini.workflow("asks", "version: 1.0\ntasks: {ask: {action: core.ask}}\n")
    heard = Heard()
    with mini.engine(on_event=heard, api_keys=["k3y"]) as engine:
        yield engine, heard


def ask(
    engine: Engine,
    method: str,
    path: str,
    body: Any = None,
    headers: Optional[Dict[str, str]] = None,
    token: bool = True,
) -> Tuple[int, Any]:
    parts = urllib.parse.urlsplit(engine.api_url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=180)
    given = {"X-Auth-Token": engine.token} if token else {}
    given.update(headers or {})
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, content, given)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


HOOK = "/v1/webhooks/deep/alerts"


@pytest.mark.parametrize(
    "path, headers, status",
    [
        (HOOK, {}, 401),
        (HOOK, {"St2-Api-Key": "wrong"}, 401),
        (HOOK, {"Authorization": "Bearer k3y"}, 401),
        (HOOK, {"St2-Api-Key": "k3y"}, 202),
        (HOOK + "?st2-api-key=k3y", {}, 202),
        ("/api" + HOOK + "?st2-api-key=k3y", {}, 202),
        (HOOK + "/", {"St2-Api-Key": "k3y"}, 202),
        ("/v1/webhooks/other", {"St2-Api-Key": "k3y"}, 404),
        ("/v1/webhooks/st2", {}, 401),
        ("/elsewhere", {"St2-Api-Key": "k3y"}, 404),
    ],
)
def test_webhook_lets_in_who_has_a_key(
    served: Tuple[Engine, Heard], path: str, headers: Dict[str, str], status: int
) -> None:
    assert (
        ask(served[0], "POST", path, {"trigger": "mini.alert"}, headers, token=False)[0] == status
    )


def test_token_of_the_engine_is_a_key_too(served: Tuple[Engine, Heard]) -> None:
    assert ask(served[0], "POST", HOOK, {})[0] == 202


def test_open_webhooks_need_no_key_but_nothing_else_is_open(tmp_path: Path) -> None:
    with Miniature(tmp_path).engine(open_webhooks=True) as engine:
        assert ask(engine, "POST", "/v1/webhooks/alerts", {"numbers": []}, token=False)[0] == 202
        for path in ("/v1/webhooks/st2", "/v1/executions"):
            assert ask(engine, "POST", path, {}, token=False)[0] == 401


@pytest.mark.parametrize(
    "body, kind, status",
    [
        (b'{"a": 1}', "application/json", 202),
        (b"[1, 2]", "application/json; charset=utf-8", 202),
        (b"a=1&a=2", "application/x-www-form-urlencoded", 202),
        (b'"text"', "application/json", 400),
        (b'{"a": ', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "text/plain", 400),
    ],
)
def test_body_is_taken_or_refused_by_what_it_is(
    served: Tuple[Engine, Heard], body: bytes, kind: str, status: int
) -> None:
    assert ask(served[0], "POST", HOOK, body, {"Content-Type": kind})[0] == status


def test_payload_has_body_and_headers_without_the_credentials(served: Tuple[Engine, Heard]) -> None:
    engine, heard = served
    headers = {
        "St2-Api-Key": "k3y",
        "Cookie": "c",
        "X-Scope": "S",
        "Content-Type": "application/json",
    }
    assert ask(engine, "POST", HOOK, {"n": "payload"}, headers) == (202, {"n": "payload"})
    payload = [each["payload"] for each in heard.of("trigger_injected")][-1]
    assert payload["body"] == {"n": "payload"}
    assert payload["headers"]["X-Scope"] == payload["headers_lower"]["x-scope"] == "S"
    assert not {"st2-api-key", "x-auth-token", "cookie"} & set(payload["headers_lower"])


def test_body_over_sixteen_megabytes_is_accepted_and_lost(served: Tuple[Engine, Heard]) -> None:
    engine, heard = served
    before = len(heard.of("trigger_injected"))
    body = json.dumps({"a": "x" * api.MAX_TRIGGER_BYTES}).encode()
    assert ask(engine, "POST", HOOK, body)[0] == 202
    assert [each["bytes"] for each in heard.of("webhook_lost")] == [len(body)]
    assert len(heard.of("trigger_injected")) == before


def test_connection_is_used_again_after_a_refusal(served: Tuple[Engine, Heard]) -> None:
    engine = served[0]
    parts = urllib.parse.urlsplit(engine.api_url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=180)
    statuses = []
    for key in ("wrong", "k3y", "wrong", "k3y"):
        connection.request("POST", HOOK, b'{"a": 1}', {"St2-Api-Key": key})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [401, 202, 401, 202]


@pytest.mark.parametrize(
    "body, status",
    [
        ({"trigger": "mini.alert", "payload": {"incident_id": "x", "status": "quiet"}}, 202),
        ({"trigger": "mini.alert", "payload": {"incident_id": None}}, 202),
        ({"trigger": "elsewhere.thing", "payload": {}}, 202),
        ({"trigger": "mini.alert", "payload": {"incident_id": 5}}, 400),
        ({"payload": {}}, 400),
        ([], 400),
    ],
)
def test_generic_injection_checks_the_payload(
    served: Tuple[Engine, Heard], body: Any, status: int
) -> None:
    assert ask(served[0], "POST", "/v1/webhooks/st2", body)[0] == status


def test_execution_can_be_started_watched_and_listed(served: Tuple[Engine, Heard]) -> None:
    engine = served[0]
    status, started = ask(
        engine, "POST", "/v1/executions", {"action": "mini.echo", "parameters": {"value": "v"}}
    )
    assert status == 201
    assert engine.wait_idle(180)
    status, ended = ask(engine, "GET", "/v1/executions/" + started["id"])
    assert (status, ended["status"], ended["result"]["result"]) == (
        200,
        "succeeded",
        {"value": "v"},
    )
    listed = ask(engine, "GET", "/v1/executions?action=mini.echo&limit=1")[1]
    assert [each["id"] for each in listed] == [started["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "mini.none"},
        {"action": "mini.echo", "parameters": {"nope": 1}},
        {"parameters": {}},
        [],
    ],
)
def test_execution_that_cannot_be_is_a_bad_request(served: Tuple[Engine, Heard], body: Any) -> None:
    status, answer = ask(served[0], "POST", "/v1/executions", body)
    assert status == 400
    assert answer["faultstring"]


def test_inquiry_is_listed_and_answered(served: Tuple[Engine, Heard]) -> None:
    engine = served[0]
    execution = engine.run("mini.asks", wait=False)
    assert engine.wait_idle(180)
    (inquiry,) = ask(engine, "GET", "/v1/inquiries")[1]
    path = "/v1/inquiries/" + inquiry["id"]
    assert ask(engine, "GET", path)[1]["ttl"] == 1440
    assert (
        ask(engine, "PUT", path, {"id": inquiry["id"], "response": {"continue": "maybe"}})[0] == 400
    )
    assert ask(engine, "PUT", path, {"id": inquiry["id"], "response": {"continue": True}})[0] == 200
    assert ask(engine, "PUT", path, {"id": inquiry["id"], "response": {"continue": True}})[0] == 400
    assert ask(engine, "PUT", "/v1/inquiries/none", {"response": {}})[0] == 404
    assert engine.wait_idle(180)
    assert engine.execution(execution.id).status == "succeeded"


def test_execution_can_be_canceled(served: Tuple[Engine, Heard]) -> None:
    engine = served[0]
    execution = engine.run("mini.asks", wait=False)
    assert engine.wait_idle(180)
    ask(engine, "DELETE", "/v1/executions/" + execution.id)
    assert ask(engine, "GET", "/v1/executions/" + execution.id)[1]["status"] == "canceled"
    assert ask(engine, "DELETE", "/v1/executions/none")[0] == 404


def test_datastore_key_comes_and_goes(served: Tuple[Engine, Heard]) -> None:
    engine = served[0]
    assert ask(engine, "PUT", "/v1/keys/a.b", {"name": "a.b", "value": {"x": 1}})[0] == 200
    assert ask(engine, "GET", "/v1/keys/a.b")[1]["value"] == "{'x': 1}"
    assert [each["name"] for each in ask(engine, "GET", "/v1/keys?prefix=a.")[1]] == ["a.b"]
    assert ask(engine, "DELETE", "/v1/keys/a.b")[0] == 204
    assert ask(engine, "GET", "/v1/keys/a.b")[0] == 404


def test_secret_key_shows_its_value_only_when_asked_to(served: Tuple[Engine, Heard]) -> None:
    engine = served[0]
    ask(engine, "PUT", "/v1/keys/s", {"value": "hush", "secret": True})
    assert ask(engine, "GET", "/v1/keys/s")[1]["value"] != "hush"
    assert ask(engine, "GET", "/v1/keys/s?decrypt=true")[1]["value"] == "hush"


def test_health_needs_no_key(served: Tuple[Engine, Heard]) -> None:
    assert ask(served[0], "GET", "/v1/healthz", token=False) == (
        200,
        {"status": "ok", "pack": "mini", "webhooks": ["deep/alerts"]},
    )

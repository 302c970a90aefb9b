"""What goes to StackStorm: neutral payloads, with the token, and typed failures."""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.http import HttpClient
from selfheal.platform import ApiPlatform, SensorPlatform
from tests import scene


@pytest.fixture
def api():
    with scene.Receiver((202, {}, b"{}")) as server:
        yield server


@pytest.fixture
def platform(api):
    http = HttpClient()
    return ApiPlatform(
        lambda: http,
        {
            "ST2_ACTION_API_URL": api.url + "/v1/",
            "ST2_ACTION_AUTH_TOKEN": "tok",
            "ST2_ACTION_EXECUTION_ID": "5f1",
        },
    )


def test_trigger_is_posted_with_the_token(platform, api):
    platform.inject("selfheal.alert", {"incident_id": "inc-1", "text": "{{ x }}"})
    (request,) = api.requests
    assert (request["method"], request["path"]) == ("POST", "/v1/webhooks/st2")
    assert request["headers"]["x-auth-token"] == "tok"
    assert api.messages == [
        {
            "trigger": "selfheal.alert",
            "payload": {"incident_id": "inc-1", "text": "{\u2060{ x }\u2060}"},
        }
    ]


def test_inquiry_is_answered_by_put(platform, api):
    platform.answer_inquiry("inq-1", {"approved": False})
    assert (api.requests[0]["method"], api.requests[0]["path"]) == ("PUT", "/v1/inquiries/inq-1")
    assert api.messages == [{"id": "inq-1", "response": {"approved": False}}]


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(400, False), (401, False), (404, False), (500, True), (503, True)]
)
def test_refusal_is_typed_and_says_what_was_refused(platform, api, status, is_retryable):
    api.answers = [(status, {}, b'{"faultstring": "no such trigger"}')]
    with pytest.raises(
        ExternalError, match="selfheal.alert.*%d.*no such trigger" % status
    ) as caught:
        platform.inject("selfheal.alert", {})
    assert caught.value.retryable is is_retryable


def test_api_that_is_down_is_retryable(platform, api):
    api.stop()
    with pytest.raises(ExternalError) as caught:
        platform.inject("selfheal.alert", {})
    assert caught.value.retryable


def test_without_stackstorm_it_says_so(api):
    platform = ApiPlatform(lambda: pytest.fail("nothing may be sent"), {})
    assert platform.execution_id is None
    with pytest.raises(ConfigError, match="ST2_ACTION_API_URL"):
        platform.inject("selfheal.alert", {})


def test_execution_id_comes_from_the_environment(platform, monkeypatch):
    assert platform.execution_id == "5f1"
    monkeypatch.setenv("ST2_ACTION_EXECUTION_ID", "6a2")
    assert ApiPlatform(HttpClient).execution_id == "6a2"


def test_sensor_dispatches_neutral_payloads():
    sent = []
    platform = SensorPlatform(lambda trigger, payload: sent.append((trigger, payload)))
    platform.inject("selfheal.alert", {"text": "<% x %>"})
    assert sent == [("selfheal.alert", {"text": "<\u2060% x %\u2060>"})]
    assert platform.execution_id is None


def test_whatever_the_sensor_service_raises_is_typed():
    def fail(_trigger, _payload):
        raise OSError("rabbit is gone")

    with pytest.raises(ExternalError, match="rabbit is gone"):
        SensorPlatform(fail).inject("selfheal.alert", {})
    with pytest.raises(ConfigError, match="inq-1"):
        SensorPlatform(fail).answer_inquiry("inq-1", {})

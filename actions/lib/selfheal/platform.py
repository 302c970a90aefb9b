"""What the pack asks of StackStorm: start a trigger, answer an inquiry.

Actions speak to StackStorm's API with the token that every action process is given in its
environment; sensors hand triggers to their sensor service instead. Payloads are neutralised here,
so no caller can forget it.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Mapping, Optional

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.text import neutralise

TIMEOUT_S = 10.0


class ApiPlatform:
    """StackStorm's API as seen from an action process (`ST2_ACTION_API_URL`,
    `ST2_ACTION_AUTH_TOKEN`).
    """

    def __init__(
        self, http: Callable[[], Any], environment: Optional[Mapping[str, str]] = None
    ) -> None:
        self._http = http
        env = os.environ if environment is None else environment
        self._url = env.get("ST2_ACTION_API_URL", "").rstrip("/")
        self._token = env.get("ST2_ACTION_AUTH_TOKEN", "")
        self.execution_id = env.get("ST2_ACTION_EXECUTION_ID") or None

    def inject(self, trigger: str, payload: Dict[str, Any]) -> None:
        """Create one instance of `trigger`. Raises ExternalError when it is not taken."""
        self._send(
            "POST", "/webhooks/st2", {"trigger": trigger, "payload": neutralise(payload)}, trigger
        )

    def answer_inquiry(self, inquiry_id: str, response: Dict[str, Any]) -> None:
        """Answer the waiting `core.ask`. Raises ExternalError when it is gone or answered."""
        body = {"id": inquiry_id, "response": neutralise(response)}
        self._send("PUT", "/inquiries/%s" % inquiry_id, body, "inquiry %s" % inquiry_id)

    def _send(self, method: str, path: str, body: Dict[str, Any], what: str) -> None:
        if not self._url:
            raise ConfigError(
                "cannot hand %s to StackStorm: ST2_ACTION_API_URL is not set; "
                "run this as a StackStorm action" % what
            )
        answer = self._http().request(
            method,
            self._url + path,
            json=body,
            headers={"X-Auth-Token": self._token},
            timeout_s=TIMEOUT_S,
        )
        if not answer.ok:
            raise ExternalError(
                "StackStorm refused %s: %s answered %d: %s"
                % (what, answer.url, answer.status, answer.text(300)),
                retryable=answer.status >= 500,
            )


class SensorPlatform:
    """StackStorm as seen from a sensor: `dispatch` is the sensor service's own."""

    execution_id = None

    def __init__(self, dispatch: Callable[[str, Dict[str, Any]], Any]) -> None:
        self._dispatch = dispatch

    def inject(self, trigger: str, payload: Dict[str, Any]) -> None:
        """Create one instance of `trigger`. Raises ExternalError whatever the sensor service
        raises.
        """
        try:
            self._dispatch(trigger, neutralise(payload))
        except Exception as error:  # the service's own errors are not ours to know
            raise ExternalError(
                "the sensor service did not take %s: %s" % (trigger, error)
            ) from error

    def answer_inquiry(self, inquiry_id: str, response: Dict[str, Any]) -> None:
        """A sensor has no token to answer with. Raises ConfigError."""
        raise ConfigError(
            "inquiry %s can only be answered from an action, not from a sensor" % inquiry_id
        )

"""A strict stand-in for PagerDuty's Events API v2, as its public documentation describes it: which
fields an event has, their limits, what is answered; alerts as they would stand on the service.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

import json
import re

from tests import stub_server

KEY = "0123456789abcdef0123456789abcdef"
_TOP = {"routing_key", "event_action", "dedup_key", "payload", "images", "links", "client",
        "client_url"}
_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class",
            "custom_details"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")


class Stub(stub_server.Receiver):
    """`alerts` are {dedup_key: {"status": triggered|acknowledged|resolved, "events": [...]}}.
    fail_next knows 429 and 500 besides.
    """

    def __init__(self):
        self.alerts, self.events = {}, []
        super().__init__()

    def settings(self, **more):
        """The section notify.pagerduty that reaches it."""
        return {"routing_key": KEY, "url": self.url, **more}

    def _taken(self, request, fault):
        headers, body = request["headers"], request["body"]
        if (request["method"], request["path"]) != ("POST", "/v2/enqueue"):
            return 404, {}, None
        if fault == "429":
            return 429, {"Retry-After": "23"}, None
        if fault == "500":
            return 500, {}, None
        if len(body) > 512 * 1024:
            return 413, {}, None
        errors = _wrong(headers, body)
        if errors:
            return 400, {}, {
                "status": "invalid event", "message": "Event object is invalid", "errors": errors
            }
        event = json.loads(body.decode("utf-8"))
        key = event.get("dedup_key") or "made-up-%d" % len(self.events)
        self.events.append(event)
        self._keep(key, event)
        return 202, {}, {"status": "success", "message": "Event processed", "dedup_key": key}

    def _keep(self, key, event):
        alert, action = self.alerts.get(key), event["event_action"]
        if action == "trigger":
            if alert is None or alert["status"] == "resolved":
                alert = self.alerts[key] = {"status": "triggered", "events": []}
            alert["events"].append(event)
        elif alert is not None and alert["status"] != "resolved":  # else it is ignored
            alert["status"] = "acknowledged" if action == "acknowledge" else "resolved"


def _wrong(headers, body):
    if not str(headers.get("content-type", "")).startswith("application/json"):
        return ["Content-Type is not JSON"]
    try:
        event = json.loads(body.decode("utf-8"))
    except ValueError:
        return ["JSON is malformed"]
    errors = ["unknown field '%s'" % name for name in set(event) - _TOP]
    if len(str(event.get("routing_key", ""))) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif event["routing_key"] != KEY:
        errors.append("'routing_key' is invalid")
    action = event.get("event_action")
    if action not in ("trigger", "acknowledge", "resolve"):
        errors.append("'event_action' is missing or invalid")
    if len(str(event.get("dedup_key", ""))) > 255:
        errors.append("'dedup_key' is longer than 255 characters")
    if action in ("acknowledge", "resolve"):
        return errors + ([] if event.get("dedup_key") else ["'dedup_key' is missing or blank"])
    return errors + _wrong_alert(event)


def _wrong_alert(event):
    alert = event.get("payload")
    if not isinstance(alert, dict):
        return ["'payload' is missing or invalid"]
    errors = ["unknown field 'payload.%s'" % name for name in set(alert) - _PAYLOAD]
    for name in ("summary", "source"):
        if not isinstance(alert.get(name), str) or not alert[name]:
            errors.append("'payload.%s' is missing or blank" % name)
    if len(str(alert.get("summary", ""))) > 1024:
        errors.append("'payload.summary' is longer than 1024 characters")
    if alert.get("severity") not in ("critical", "error", "warning", "info"):
        errors.append("'payload.severity' is invalid (must be one of the following: 'critical', "
                      "'warning', 'error' or 'info')")
    if "timestamp" in alert:
        if not _TIME.match(str(alert["timestamp"])):
            errors.append("'payload.timestamp' is invalid")
    for link in event.get("links", []):
        if not set(link) <= {"href", "text"} or not str(link.get("href", "")).startswith("http"):
            errors.append("'links' is invalid")
    return errors

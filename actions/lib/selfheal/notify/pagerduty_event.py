"""A message as an event of PagerDuty's Events API v2, within its limits. Pure.

All events of one escalation have the same dedup_key, so that telling twice is telling once, and
acknowledging or resolving meets the alert that was triggered. Limits and fields:
https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ (summary 1,024 characters,
dedup_key 255, an event 512 KB).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Dict, List, Mapping

from selfheal.notify import layout
from selfheal.text import cap, one_line, truncate

TRIGGER, ACKNOWLEDGE, RESOLVE = "trigger", "acknowledge", "resolve"
MAX_SUMMARY = 1024
MAX_KEY = 255
MAX_EVENT = 500 * 1024  # of 512 KB
_SEVERITIES = ("critical", "error", "warning", "info")
_CAPS = ((8000, 200), (2000, 50), (500, 20), (200, 10), (60, 5))
_DETAILS = (
    "why", "first", "reasons", "refused", "tried", "not_undone", "plan", "evidence", "diagnosis",
    "timeline", "incident", "storm", "approval", "subject", "status", "commands",
)
_NAMES = {"first": "do_first"}
_URL = re.compile(r"https?://\S+\Z")


def event(
    payload: Mapping[str, Any], routing_key: str, action: str, dedup_key: str
) -> Dict[str, Any]:
    """The event: `action` is TRIGGER, ACKNOWLEDGE or RESOLVE of what `dedup_key` names."""
    found: Dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": key_of(dedup_key),
    }
    if action != TRIGGER:
        return found
    urls = {str(name): str(url) for name, url in _map(payload.get("links")).items()}
    found.update(client="selfheal", links=_links(urls), payload=_alert(payload))
    if _URL.match(urls.get("execution", "")):
        found["client_url"] = urls["execution"]
    details = _details(payload)
    for strings, items in _CAPS:
        found["payload"]["custom_details"] = cap(details, strings, items)
        if len(json.dumps(found)) <= MAX_EVENT:
            break
    return found


def key_of(dedup_key: str) -> str:
    """The key within PagerDuty's limit, different for different keys."""
    if len(dedup_key) <= MAX_KEY:
        return dedup_key
    digest = hashlib.sha256(dedup_key.encode("utf-8", "surrogatepass")).hexdigest()
    return "%s:%s" % (dedup_key[: MAX_KEY - 65], digest)


def _alert(payload: Mapping[str, Any]) -> Dict[str, Any]:
    incident, severity = _map(payload.get("incident")), str(payload.get("severity"))
    scope = _map(incident.get("scope"))
    source = scope.get("instance") or scope.get("workload") or scope.get("service")
    alert = {
        "summary": truncate(one_line(str(payload.get("title") or "selfheal"), 4000), MAX_SUMMARY),
        "source": one_line(str(source or scope.get("cluster") or "selfheal"), 200),
        "severity": severity if severity in _SEVERITIES else "error",
        "timestamp": str(incident.get("opened_at") or ""),
        "component": one_line(str(scope.get("workload") or scope.get("service") or ""), 200),
        "group": one_line(str(scope.get("namespace") or scope.get("cluster") or ""), 200),
        "class": one_line(str(incident.get("alert_type") or ""), 200),
    }
    return {name: value for name, value in alert.items() if value}


def _details(payload: Mapping[str, Any]) -> Dict[str, Any]:
    found = {_NAMES.get(name, name): payload[name] for name in _DETAILS if payload.get(name)}
    if len(found) <= 2:  # a message that is only words
        found["text"] = layout.as_text(layout.of(payload))
    return found


def _links(urls: Mapping[str, str]) -> List[Dict[str, str]]:
    return [
        {"href": url, "text": one_line(name, 100)}
        for name, url in sorted(urls.items())
        if _URL.match(url)
    ]


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""An alert as Alertmanager knows it: its labels, its fingerprint, its webhook body (version 4), its
entry in the API.

Shapes as Alertmanager 0.25 to 0.28 sends them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Mapping, Optional, Sequence

NEVER = "0001-01-01T00:00:00Z"
RECEIVER = "selfheal"
_FNV_OFFSET, _FNV_PRIME, _64_BITS = 14695981039346656037, 1099511628211, (1 << 64) - 1
_MATCHER = re.compile(r"\s*(\w+)\s*(=~|!~|!=|=)\s*\"?(.*?)\"?\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Alert:
    """One alert that fires or fired. Times are epoch seconds; `ends_at` None while it fires."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    starts_at: float
    ends_at: Optional[float] = None

    @property
    def status(self) -> str:
        """firing or resolved."""
        return "firing" if self.ends_at is None else "resolved"


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a over the sorted labels, as Prometheus computes it (common/model/signature.go)."""
    value = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            value = ((value ^ byte) * _FNV_PRIME) & _64_BITS
    return "%016x" % value


def webhook_body(alert: Alert, alertmanager_url: str) -> Dict[str, Any]:
    """What Alertmanager posts to a webhook receiver for a group of this one alert."""
    name = alert.labels["alertname"]
    return {
        "receiver": RECEIVER,
        "status": alert.status,
        "alerts": [
            {
                "status": alert.status,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": iso(alert.starts_at),
                "endsAt": iso(alert.ends_at) if alert.ends_at is not None else NEVER,
                "generatorURL": alert.generator_url,
                "fingerprint": fingerprint(alert.labels),
            }
        ],
        "groupLabels": {"alertname": name},
        "commonLabels": dict(alert.labels),
        "commonAnnotations": dict(alert.annotations),
        "externalURL": alertmanager_url,
        "version": "4",
        "groupKey": '{}:{alertname="%s"}' % name,
        "truncatedAlerts": 0,
    }


def api_entry(alert: Alert, now: float) -> Dict[str, Any]:
    """The alert in the answer of GET /api/v2/alerts."""
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": iso(alert.starts_at),
        "endsAt": iso(now + 240),
        "updatedAt": iso(now),
        "fingerprint": fingerprint(alert.labels),
        "generatorURL": alert.generator_url,
        "receivers": [{"name": RECEIVER}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    }


def is_selected(labels: Mapping[str, str], filters: Sequence[str]) -> bool:
    """Whether every matcher (`service="orders"`, `!=`, `=~`, `!~`) fits. Raises ValueError for what
    is none.
    """
    for text in filters:
        parts = _MATCHER.match(text)
        if parts is None:
            raise ValueError("bad matcher format: %s" % text)
        name, operator, wanted = parts.groups()
        found = labels.get(name, "")
        fits = bool(re.fullmatch(wanted, found)) if "~" in operator else found == wanted
        if fits == operator.startswith("!"):
            return False
    return True


def iso(at: float) -> str:
    """An epoch time as Alertmanager writes it: UTC, milliseconds."""
    moment = datetime.fromtimestamp(at, timezone.utc)
    return "%s.%03dZ" % (moment.strftime("%Y-%m-%dT%H:%M:%S"), moment.microsecond // 1000)

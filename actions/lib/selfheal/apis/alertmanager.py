"""Alertmanager's API, version 2: which alerts fire, whether one does, how long the server has run.

`target` is one entry of the setting `alertmanager`: url, username and password or token,
verify_tls, ca_file, timeout_s. What is not the expected answer raises, so nobody takes a failure
for "no alerts".
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlencode

from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError, ExternalError
from selfheal.http import HttpClient, Response

# A filter per label narrows the answer; a URL has a limit, and the whole label set is compared here
# anyway.
_MAX_FILTERS = 12
_MAX_FILTER = 400
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


def active_alerts(
    http: HttpClient,
    target: Mapping[str, Any],
    labels: Optional[Mapping[str, str]] = None,
    *,
    muted: bool = True,
) -> List[Dict[str, Any]]:
    """The alerts that fire, as the API lists them, those with `labels` only when given.

    Silenced and inhibited ones are among them (`status.state` is "suppressed"): they fire too.
    `muted` False leaves them out. Raises ConfigError (401, 403, 404: url or credentials),
    ExternalError (no answer, 5xx, no list).
    """
    wanted = "true" if muted else "false"
    query: List[Tuple[str, str]] = [
        ("active", "true"),
        ("silenced", wanted),
        ("inhibited", wanted),
        ("unprocessed", "true"),
    ]
    query += [("filter", matcher) for matcher in _matchers(labels or {})]
    answer = ask(http, target, "/api/v2/alerts?" + urlencode(query))
    alerts = answer.json()
    if not isinstance(alerts, list) or not all(
        isinstance(alert, dict) and isinstance(alert.get("labels"), dict) for alert in alerts
    ):
        raise ExternalError(
            "%s did not answer with a list of alerts but %r; is alertmanager.url the address of an "
            "Alertmanager 0.16 or later?" % (answer.url, answer.text(120))
        )
    return [
        alert
        for alert in alerts
        if all(alert["labels"].get(n) == v for n, v in (labels or {}).items())
    ]


def alert_is_active(
    http: HttpClient,
    target: Mapping[str, Any],
    labels: Optional[Mapping[str, str]] = None,
    fingerprint: str = "",
) -> bool:
    """Whether an alert of this fingerprint, or of exactly these labels, fires now, muted or not.

    Raises ValueError when neither is given, else as `active_alerts`.
    """
    if not labels and not fingerprint:
        raise ValueError("neither labels nor a fingerprint: which alert is meant?")
    for alert in active_alerts(http, target, labels):
        if (
            alert.get("fingerprint") == fingerprint
            if fingerprint
            else alert["labels"] == dict(labels or {})
        ):
            return True
    return False


def uptime_s(http: HttpClient, target: Mapping[str, Any], now: float) -> float:
    """For how many seconds, at `now`, this Alertmanager has run: a young one has forgotten what
    fires.

    Raises as `active_alerts`.
    """
    answer = ask(http, target, "/api/v2/status")
    status = answer.json()
    since = status.get("uptime") if isinstance(status, dict) else None
    try:
        started = datetime.strptime(str(since)[:19], "%Y-%m-%dT%H:%M:%S").replace(
            tzinfo=timezone.utc
        )
    except ValueError:
        raise ExternalError(
            "%s did not say since when it runs but %r" % (answer.url, answer.text(120))
        ) from None
    return now - started.timestamp()


def ask(
    http: HttpClient,
    target: Mapping[str, Any],
    path: str,
    *,
    method: str = "GET",
    body: Any = None,
    also: Sequence[int] = (),
) -> Response:
    """The answer to one request, when its status is 2xx or one of `also`; else raises as
    `active_alerts` does.
    """
    url = str(target["url"]).rstrip("/") + path
    answer = http.request(method, url, json=body, **request_options(target))
    if answer.ok or answer.status in also:
        return answer
    shown = "%s answered %d: %s" % (answer.url.partition("?")[0], answer.status, answer.text(200))
    if answer.status in (401, 403):
        raise ConfigError("%s; check alertmanager.username and password, or token" % shown)
    if answer.status == 404 or 300 <= answer.status < 400:
        raise ConfigError(
            "%s; check alertmanager.url (with the path prefix, if it has one)" % shown
        )
    raise ExternalError(shown, retryable=answer.status >= 500 or answer.status == 429)


def _matchers(labels: Mapping[str, str]) -> List[str]:
    found: List[str] = []
    for name, value in sorted(labels.items(), key=lambda item: (item[0] != "alertname", item[0])):
        is_plain = value.isprintable() and len(value) <= _MAX_FILTER
        if _LABEL_NAME.match(name) and is_plain and len(found) < _MAX_FILTERS:
            found.append('%s="%s"' % (name, value.replace("\\", "\\\\").replace('"', '\\"')))
    return found

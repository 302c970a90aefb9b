"""Stands in for Prometheus and Alertmanager: probes the service, decides that an alert fires, and
tells of it.

A detector, not a script: it sees only what GET /health answers. The alert fires after three failed
probes in a row and ends after three good ones. The webhook gets Alertmanager's body, tried again
until it is taken; the end of an alert is told some seconds later, as Alertmanager's group_interval
has it. GET /api/v2/alerts answers what fires now.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import urllib.parse
from typing import Any, Callable, List, Mapping, Optional, Tuple

from standalone.demo import loopback
from standalone.demo.alerting import Alert, api_entry, is_selected, iso, webhook_body
from standalone.demo.shop import Health

PROBE_EVERY_S = 0.2
PROBES = 3
GROUP_INTERVAL_S = 3.0
Tell = Callable[..., None]


class Prober:
    """`look()` is one probe; `tell(kind, **data)` hears of alert_fires, alert_ends and webhook."""

    def __init__(
        self,
        look: Callable[[], Health],
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        webhook_url: str,
        tell: Tell,
    ) -> None:
        self._look = look
        self._labels = labels
        self._annotations = annotations
        self._webhook_url = webhook_url
        self._tell = tell
        self._alert: Optional[Alert] = None
        self._untold: List[Tuple[float, Alert]] = []
        self._bad = self._good = 0
        self._began_at = time.time()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
        self._listener = loopback.Listener(self._answer)
        self.url = self._listener.url

    def start(self) -> None:
        """Begins to probe and to answer."""
        self._listener.start()
        self._thread.start()

    def stop(self) -> None:
        """Probes no more; what was not told stays untold."""
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._listener.stop()

    @property
    def is_firing(self) -> bool:
        """Whether the alert is active now."""
        return self._alert is not None

    def _run(self) -> None:
        while not self._is_stopping.wait(PROBE_EVERY_S):
            self._consider(self._look(), time.time())
            self._notify(time.time())

    def _consider(self, health: Health, now: float) -> None:
        self._bad, self._good = (0, self._good + 1) if health.is_healthy else (self._bad + 1, 0)
        if self._alert is None and self._bad >= PROBES:
            annotations = dict(
                self._annotations, description="%d probes failed: %s" % (self._bad, health)
            )
            self._alert = Alert(self._labels, annotations, "%s/graph" % self.url, now)
            self._untold.append((now, self._alert))
            self._tell(
                "alert_fires", name=self._labels["alertname"], probes=self._bad, health=str(health)
            )
        elif self._alert is not None and self._good >= PROBES:
            ended, self._alert = self._alert, None
            self._untold.append((now + GROUP_INTERVAL_S, dataclasses.replace(ended, ends_at=now)))
            self._tell(
                "alert_ends", name=self._labels["alertname"], probes=self._good, health=str(health)
            )

    def _notify(self, now: float) -> None:
        while self._untold and self._untold[0][0] <= now:
            alert = self._untold[0][1]
            try:
                status, _echo = loopback.request(
                    "POST", self._webhook_url, webhook_body(alert, self.url)
                )
            except OSError:
                return  # the receiver is down: again at the next probe
            if not 200 <= status < 300:
                return
            self._untold.pop(0)
            path = urllib.parse.urlsplit(self._webhook_url).path
            self._tell("webhook", alert_status=alert.status, path=path, status=status)

    def _answer(self, method: str, path: str, _body: Any) -> Tuple[int, Any]:
        parts = urllib.parse.urlsplit(path)
        if method != "GET":
            return 405, {"code": 405, "message": "method %s is not allowed" % method}
        if parts.path == "/api/v2/alerts":
            return self._alerts(urllib.parse.parse_qs(parts.query))
        if parts.path == "/api/v2/status":
            return 200, {
                "cluster": {"status": "disabled"},
                "config": {"original": ""},
                "uptime": iso(self._began_at),
                "versionInfo": {"version": "demo"},
            }
        if parts.path in ("/-/healthy", "/-/ready"):
            return 200, "OK"
        return 404, {"code": 404, "message": "path %s was not found" % parts.path}

    def _alerts(self, query: Mapping[str, List[str]]) -> Tuple[int, Any]:
        alert = self._alert
        try:
            is_wanted = (
                alert is not None and
                query.get("active", ["true"])[-1] != "false" and
                is_selected(alert.labels, query.get("filter", []))
            )
        except ValueError as error:
            return 400, str(error)
        return 200, [api_entry(alert, time.time())] if alert is not None and is_wanted else []

"""A real Alertmanager and a real Prometheus for tests, on free loopback ports, stopped by whoever
started them.

`Alertmanager(directory, webhook_url).start()` answers once `/-/ready` does. Intervals are short, so
that a notification leaves within about a second, and nothing is repeated or ends by itself while a
test lasts, however slow the machine; `config` replaces the whole configuration where a
test wants another.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

from tests import needs
from tests.live_server import Server


def rfc3339(epoch_s: float) -> str:
    """`epoch_s` as Alertmanager writes times: UTC with milliseconds."""
    moment = datetime.fromtimestamp(epoch_s, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def get_json(url: str):
    """The JSON that `url` answers to a GET."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def post_json(url: str, body):
    """POST `body` as JSON; the answer's JSON, or None when it is empty."""
    request = urllib.request.Request(
        url, data=json.dumps(body).encode("utf-8"), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text.strip() else None


class _Server(Server):
    """A process that answers `/-/ready` on its own port."""

    ready_path = "/-/ready"


class Alertmanager(_Server):
    """Alertmanager with one webhook receiver named `selfheal` at `webhook_url` (none: nothing is
    sent).
    """

    def __init__(
        self,
        directory,
        webhook_url: str = "",
        *,
        group_by=("alertname",),
        group_wait: str = "100ms",
        group_interval: str = "1s",
        repeat_interval: str = "1h",
        resolve_timeout: str = "1h",
        max_alerts: int = 0,
        config=None,
    ) -> None:
        super().__init__(directory)
        self.binary = needs.tool("prometheus-alertmanager")
        receiver = {"name": "selfheal"}
        if webhook_url:
            receiver["webhook_configs"] = [
                {"url": webhook_url, "send_resolved": True, "max_alerts": max_alerts}
            ]
        # JSON is YAML: no YAML writer is needed.
        self.config = config or {
            "global": {"resolve_timeout": resolve_timeout},
            "route": {
                "receiver": "selfheal",
                "group_by": list(group_by),
                "group_wait": group_wait,
                "group_interval": group_interval,
                "repeat_interval": repeat_interval,
            },
            "receivers": [receiver],
        }

    def command(self):
        path = self.directory / "alertmanager.yml"
        path.write_text(json.dumps(self.config))
        return [
            self.binary,
            "--config.file=%s" % path,
            "--storage.path=%s" % (self.directory / "data"),
            "--web.listen-address=127.0.0.1:%d" % self.port,
            "--cluster.listen-address=",
            "--web.external-url=%s" % self.url,
            "--log.level=warn",
        ]

    def post_alerts(self, alerts) -> None:
        """Send alerts as Prometheus does: [{"labels", "annotations", "startsAt", "endsAt",
        "generatorURL"}].
        """
        post_json(self.url + "/api/v2/alerts", list(alerts))

    def alerts(self):
        """What `/api/v2/alerts` answers."""
        return get_json(self.url + "/api/v2/alerts")

    def silence(self, name: str, value: str, seconds: float = 3600.0) -> str:
        """Silence alerts whose label `name` is `value`; the silence's id."""
        now = time.time()
        return post_json(
            self.url + "/api/v2/silences",
            {
                "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True}],
                "startsAt": rfc3339(now),
                "endsAt": rfc3339(now + seconds),
                "createdBy": "test",
                "comment": "test",
            },
        )["silenceID"]

    def unsilence(self, silence_id: str) -> None:
        """End a silence."""
        urllib.request.urlopen(
            urllib.request.Request(
                "%s/api/v2/silence/%s" % (self.url, silence_id), method="DELETE"
            ),
            timeout=60,
        ).close()


class Prometheus(_Server):
    """Prometheus scraping `targets` (host:port) each second, with `rules` (a list of rules, as in a
    rule file).
    """

    def __init__(
        self,
        directory,
        targets=(),
        rules=(),
        alertmanager_url: str = "",
        *,
        interval: str = "1s",
        external_labels=None,
        job: str = "app",
    ) -> None:
        super().__init__(directory)
        self.binary = needs.tool("prometheus")
        rule_file = self.directory / "rules.yml"
        rule_file.write_text(json.dumps({"groups": [{"name": "test", "rules": list(rules)}]}))
        self.config = {
            "global": {
                "scrape_interval": interval,
                "evaluation_interval": interval,
                "scrape_timeout": interval,
                "external_labels": dict(external_labels or {}),
            },
            "rule_files": [str(rule_file)],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": list(targets)}]}],
        }
        if alertmanager_url:
            self.config["alerting"] = {
                "alertmanagers": [
                    {"static_configs": [{"targets": [alertmanager_url.split("://", 1)[1]]}]}
                ]
            }

    def command(self):
        path = self.directory / "prometheus.yml"
        path.write_text(json.dumps(self.config))
        return [
            self.binary,
            "--config.file=%s" % path,
            "--storage.tsdb.path=%s" % (self.directory / "data"),
            "--web.listen-address=127.0.0.1:%d" % self.port,
            "--rules.alert.resend-delay=1s",
            "--log.level=warn",
        ]

    def query(self, expression: str):
        """The result of an instant query: a list of samples."""
        from urllib.parse import urlencode

        answer = get_json("%s/api/v1/query?%s" % (self.url, urlencode({"query": expression})))
        return answer["data"]["result"]

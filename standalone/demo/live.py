"""A real Prometheus that scrapes the demo's service, and a real Alertmanager that posts to the
pack.

Both from Debian, on free ports of the loopback address, with intervals of one second so that one
need not wait for minutes. Nothing here decides anything: the rule is in Prometheus, the message is
Alertmanager's own.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from standalone.demo import loopback
from standalone.demo.shop import NAME, Shop, free_port, wait_for

TOOLS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}
INSTALL = "as root on Debian: apt-get install prometheus prometheus-alertmanager"
READY_S = 120.0
SCRAPED_S = 120.0
STOP_S = 5.0
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class ToolMissing(RuntimeError):
    """A program is not installed; the message says which and how to get it."""


class Live:
    """Prometheus and Alertmanager for one shop. `url` is Alertmanager's, `prometheus_url` the
    other's.
    """

    def __init__(self, home: Path, shop: Shop, webhook_url: str, alert: str) -> None:
        self._programs = {name: find_tool(name) for name in TOOLS}
        self._directory = home / "live"
        self._shop = shop
        self._webhook_url = webhook_url
        self._alert = alert
        self._processes: List[subprocess.Popen[bytes]] = []
        self._ports = {name: free_port() for name in TOOLS}
        self.url = "http://127.0.0.1:%d" % self._ports["alertmanager"]
        self.prometheus_url = "http://127.0.0.1:%d" % self._ports["prometheus"]

    def start(self) -> None:
        """Starts both; the service has been scraped when this returns. Raises RuntimeError."""
        self._directory.mkdir()
        self._start(
            "alertmanager",
            self._alertmanager_config(),
            [
                "--storage.path=%s" % (self._directory / "alertmanager-data"),
                "--cluster.listen-address=",
                "--web.external-url=%s" % self.url,
            ],
        )
        self._write("rules.yml", self._rules())
        self._start(
            "prometheus",
            self._prometheus_config(),
            [
                "--storage.tsdb.path=%s" % (self._directory / "prometheus-data"),
                "--rules.alert.resend-delay=1s",
                "--web.external-url=%s" % self.prometheus_url,
            ],
        )
        if not wait_for(self._is_scraped, SCRAPED_S, 0.2):
            raise RuntimeError(
                "Prometheus does not scrape %s/metrics; see %s"
                % (self._shop.url, self._directory / "prometheus.log")
            )

    def stop(self) -> None:
        """Ends both."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, config: Dict[str, Any], arguments: List[str]) -> None:
        path = self._write("%s.yml" % name, config)
        base = "http://127.0.0.1:%d" % self._ports[name]
        log_path = self._directory / ("%s.log" % name)
        with open(str(log_path), "wb") as log:
            process = subprocess.Popen(
                [
                    self._programs[name],
                    "--config.file=%s" % path,
                    "--web.listen-address=127.0.0.1:%d" % self._ports[name],
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_dies_with_parent(),
            )
        self._processes.append(process)
        wait_for(lambda: process.poll() is not None or _is_ready(base), READY_S)
        if process.poll() is not None or not _is_ready(base):
            raise RuntimeError("%s does not start: %s" % (name, _last_line(log_path)))

    def _write(self, name: str, content: Dict[str, Any]) -> Path:
        import yaml

        path = self._directory / name
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path

    def _is_scraped(self) -> bool:
        try:
            status, found = loopback.request(
                "GET", self.prometheus_url + "/api/v1/query?query=demo_up"
            )
        except OSError:
            return False
        return status == 200 and bool(found["data"]["result"])

    def _rules(self) -> Dict[str, Any]:
        # A service that cannot be scraped has no demo_up: without `up` a restart would look like an
        # end of the alert.
        rule = {
            "alert": self._alert,
            "expr": 'demo_up{job="%s"} == 0 or up{job="%s"} == 0' % (NAME, NAME),
            "for": "1s",
            "labels": {"severity": "critical"},
            "annotations": {
                "summary": "The orders service takes orders and works none of them off",
                "description": "demo_up of {{ $labels.instance }} is {{ $value }}",
            },
        }
        return {"groups": [{"name": "demo", "interval": "1s", "rules": [rule]}]}

    def _prometheus_config(self) -> Dict[str, Any]:
        return {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self._directory / "rules.yml")],
            "alerting": {
                "alertmanagers": [
                    {
                        "static_configs": [
                            {"targets": ["127.0.0.1:%d" % self._ports["alertmanager"]]}
                        ]
                    }
                ]
            },
            "scrape_configs": [
                {
                    "job_name": NAME,
                    "static_configs": [
                        {"targets": ["127.0.0.1:%d" % self._shop.port], "labels": {"service": NAME}}
                    ],
                }
            ],
        }

    def _alertmanager_config(self) -> Dict[str, Any]:
        return {
            "route": {
                "receiver": "selfheal",
                "group_by": ["alertname"],
                "group_wait": "1s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [
                {
                    "name": "selfheal",
                    "webhook_configs": [{"url": self._webhook_url, "send_resolved": True}],
                }
            ],
        }


def find_tool(name: str) -> str:
    """The path of `prometheus` or `alertmanager`. Raises ToolMissing."""
    for candidate in TOOLS[name]:
        path = shutil.which(candidate)
        if path:
            return path
    raise ToolMissing("%s is not installed (%s)" % (name, INSTALL))


def _is_ready(base: str) -> bool:
    try:
        return loopback.request("GET", base + "/-/ready", timeout_s=1.0)[0] == 200
    except OSError:
        return False


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().split("\n")
    return lines[-1][:300]


def _dies_with_parent() -> Optional[Callable[[], None]]:
    if not hasattr(os, "setsid") or not Path("/proc/self").exists():
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork: afterwards only plain calls are safe

    def arrange() -> None:
        prctl(_KILL_WITH_PARENT, int(signal.SIGKILL))

    return arrange

"""Everything that runs during one demo, started in order and stopped in reverse whatever happens.

A home directory, the pack's configuration in it, the standalone engine with the pack, the shop with
its customers, the detector (stand-in or real Prometheus and Alertmanager), and the phone of the
on-call engineer.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Protocol, Tuple

from standalone.demo.casebook import PACK_ROOT, Casebook
from standalone.demo.prober import Prober
from standalone.demo.receiver import Receiver
from standalone.demo.shop import NAME, Customers, Shop, wait_for

SCENARIOS = ("heal", "unfixable", "approve", "elk")
RUNBOOKS = Path(__file__).resolve().parent / "runbooks"
COMMANDS = Path(__file__).resolve().parent / "commands.yaml"
ALERT = "OrdersNotWorkedOff"
HEALTHY_S = 60.0
_PORT_IN_RUNBOOKS = "127.0.0.1:8480"
_LIVE_CHECK = """
  - prometheus:
      query: demo_up{job="orders"} == 0
      expect: empty
"""


@dataclass(frozen=True)
class Settings:
    """What the person asked for. `timeout_s` bounds the response, the person's own thinking
    excluded.
    """

    scenario: str = "heal"
    live: bool = False
    yes: bool = False
    keep: bool = False
    home: Optional[Path] = None
    timeout_s: float = 90.0


class Detector(Protocol):
    """What notices that the service fails and tells the pack. `url` is Alertmanager's (or its
    stand-in's).
    """

    url: str

    def start(self) -> None:
        """Begins to look."""

    def stop(self) -> None:
        """Ends with all it started."""


class DemoError(RuntimeError):
    """The demo itself cannot go on; the message says what to do."""


class Stage:
    """The running parts. `events` gets (kind, data) from all of them, from whatever thread.

    The engine runs as soon as this is made, the rest after `start`; `close` ends all of it.
    """

    def __init__(self, settings: Settings) -> None:
        from standalone.engine import Engine

        self.settings = settings
        self.events: queue.Queue[Tuple[str, Dict[str, Any]]] = queue.Queue()
        self._stack = contextlib.ExitStack()
        self.home = self._stack.enter_context(_home(settings))
        try:
            self.shop = Shop(self.home)
            self.shop.prepare()
            self._stack.callback(self.shop.stop)
            self._stack.enter_context(_on_path(self.shop.bin))
            self.receiver = Receiver(self.tell)
            self._stack.callback(self.receiver.stop)
            key = secrets.token_hex(16)
            config_path = self.home / "selfheal.yaml"
            self.engine = Engine(
                PACK_ROOT,
                config_path=config_path,
                home=self.home,
                api_keys=[key],
                timers=True,
                on_event=lambda event: self.tell("engine." + event.kind, **event.data),
            )
            self._stack.callback(self.engine.stop)
            self.engine.start()  # it has an address from here on
            self.webhook_url = "%s/webhooks/prometheus_alert?st2-api-key=%s" % (
                self.engine.api_url,
                key,
            )
            self.database_url = "sqlite:///%s" % (self.home / "selfheal.db")
            self.detector = self._detector()
            self._stack.callback(self.detector.stop)
            self._write_config(config_path)
            self.customers = Customers(self.shop)
            self._stack.callback(self.customers.stop)
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Opens the shop; it is healthy and has customers when this returns. Raises DemoError."""
        self.receiver.start()
        self.shop.control("start")
        if not wait_for(lambda: self.shop.health().is_healthy, HEALTHY_S):
            raise DemoError("the demo's service does not get healthy: %s" % self.shop.health())
        self.customers.start()
        self.detector.start()
        if self.settings.live:
            self.engine.start_sensors(["all"])

    def settle_symptom(self) -> None:
        """Waits until customers have met the fault: then it shows in the spool, too."""
        wait_for(lambda: self.shop.health().waiting > 0, 2)

    def open_casebook(self) -> Casebook:
        """The store, for reading; closed with the rest."""
        book = Casebook(self.database_url)
        self._stack.callback(book.close)
        return book

    def tell(self, kind: str, **data: Any) -> None:
        """Puts an event where the story is told from."""
        self.events.put((kind, data))

    def close(self) -> None:
        """Stops everything and removes the home directory."""
        self._stack.close()

    def _detector(self) -> Detector:
        if self.settings.live:
            from standalone.demo.live import Live

            return Live(self.home, self.shop, self.webhook_url, ALERT)
        if self.settings.scenario == "elk":
            from standalone.demo.log_watch import LogWatch

            return LogWatch(self.engine)
        labels = {
            "alertname": ALERT,
            "instance": "127.0.0.1:%d" % self.shop.port,
            "job": NAME,
            "service": NAME,
            "severity": "critical",
        }
        notes = {"summary": "The orders service takes orders and works none of them off"}
        return Prober(self.shop.health, labels, notes, self.webhook_url, self.tell)

    def _write_config(self, path: Path) -> None:
        import yaml

        is_live, scenario = self.settings.live, self.settings.scenario
        book = "release_orders_by_log.yaml" if scenario == "elk" else "release_orders.yaml"
        text = (RUNBOOKS / book).read_text(encoding="utf-8")
        text = text.replace(_PORT_IN_RUNBOOKS, "127.0.0.1:%d" % self.shop.port)
        runbooks = self.home / "runbooks"
        runbooks.mkdir()
        (runbooks / book).write_text(
            text.rstrip() + (_LIVE_CHECK if is_live else "\n"), encoding="utf-8"
        )
        config: Dict[str, Any] = {
            "database": {"url": self.database_url},
            "notify": {"webhook": {"url": self.receiver.url}},
            "resolver": {
                "runbook_paths": [str(runbooks)],
                "verify_timeout": 4 if scenario == "unfixable" else 120,
                "verify_interval": 1,
                # Longer than Alertmanager needs to send its own message, so that one closes the
                # incident.
                "healthy_hold": 45 if is_live else 1,
            },
            "safety": {
                "autonomy": "approve" if scenario == "approve" else "auto",
                "command_table": str(COMMANDS),
            },
        }
        if scenario == "elk":
            config["log_files"] = {"paths": [str(self.shop.log)]}
        else:
            config["alertmanager"] = {"url": self.detector.url}
        if is_live:
            config["prometheus"] = {"url": getattr(self.detector, "prometheus_url", "")}
        path.write_text("---\n" + yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


@contextlib.contextmanager
def _home(settings: Settings) -> Iterator[Path]:
    if settings.home is not None:
        home = settings.home.expanduser().resolve()
        if home.exists() and any(home.iterdir()):
            raise DemoError("%s is not empty; name a directory that the demo may fill" % home)
        home.mkdir(parents=True, exist_ok=True)
    else:
        home = Path(tempfile.mkdtemp(prefix="selfheal-demo-"))
    try:
        yield home
    finally:
        if not settings.keep and settings.home is None:
            shutil.rmtree(str(home), ignore_errors=True)


@contextlib.contextmanager
def _on_path(directory: Path) -> Iterator[None]:
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = "%s%s%s" % (directory, os.pathsep, before)
    try:
        yield
    finally:
        os.environ["PATH"] = before

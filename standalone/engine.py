"""Runs one pack on one machine: its rules, actions, workflows, sensors and timers, without
StackStorm.

The same YAML, the same matching and rendering, actions in processes of their own, an API over HTTP
on the loopback address. It is one process and remembers nothing: what it was running is lost when
it dies, and dies with it. It never claims to be StackStorm; that is what production has.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from standalone import api, lifeline, orquesta_compat, schemas
from standalone.datastore import Datastore
from standalone.executions import Event, Execution, Subscribers
from standalone.launching import InquiryError, Launcher, ParamError, Platform, UnknownAction
from standalone.packs import Action, Pack, Rule, load_pack, read_yaml
from standalone.reactor import WEBHOOK, Reactor, TriggerInstance, hook_of
from standalone.work import Work

__all__ = ["WEBHOOK", "Engine", "Event", "Execution", "InquiryError", "ParamError", "UnknownAction"]

LOG = logging.getLogger("standalone")
CONFIG_SECONDS = 2.0


class Engine:
    """One pack at work. Use it as a context manager, or call start() and stop().

    `home` holds the datastore and, unless the configuration names another, the pack's SQLite
    database. Rules that are off stay off unless `enable_rules` names them (reference, name, or
    "all"). `open_webhooks` takes webhooks without a key, for demonstrations. `sensors` and `timers`
    are off unless asked for.
    """

    def __init__(
        self,
        pack_root: Path,
        *,
        config_path: Optional[Path] = None,
        home: Path,
        python: str = sys.executable,
        on_event: Optional[Callable[[Event], None]] = None,
        workers: int = 4,
        enable_rules: Iterable[str] = (),
        port: int = 0,
        api_keys: Iterable[str] = (),
        open_webhooks: bool = False,
        timers: bool = False,
        sensors: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.pack: Pack = load_pack(Path(pack_root))
        self.home = Path(home).expanduser().resolve()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store = Datastore(self.home / "datastore.json")
        self.token = secrets.token_hex(16)
        self.python = python
        self.api_keys = frozenset(api_keys)
        self.open_webhooks = open_webhooks
        self._config_path = Path(config_path) if config_path is not None else self._found_config()
        self._config_lock = threading.Lock()
        self._config_cache: Optional[Tuple[Any, float, Dict[str, Any]]] = None
        self._subscribers = Subscribers(LOG.warning)
        if on_event is not None:
            self._subscribers.add(on_event)
        self._work = Work()
        platform = Platform(lambda: self.api_url, self.token, python)
        self._launcher = Launcher(
            self.pack,
            self.store,
            self.config,
            platform,
            self._inject,
            self._subscribers,
            self._work,
            workers,
        )
        self._reactor = Reactor(
            self.pack, self.store, enable_rules, self._enforce, self._subscribers, self._work
        )
        self._server = api.Server(self, port)
        self._timers_wanted = timers
        self._timers: Any = None
        self._clock = clock
        self._sensors_wanted = tuple(sensors)
        self._sensors: Any = None
        self._is_stopped = False
        self._is_warm = False

    def __enter__(self) -> Engine:
        return self.start()

    def __exit__(self, *problem: Any) -> None:
        self.stop()

    # ---- life

    def start(self) -> Engine:
        """Opens the API and begins to take triggers, timers and sensors."""
        lifeline.hold()
        self._server.start()
        self._reactor.start()
        if self._timers_wanted:
            from standalone.timers import Timers

            self._timers = Timers(self._reactor.rules.values(), self._reactor.inject, self._clock)
            self._timers.start()
        if self._sensors_wanted:
            self.start_sensors(self._sensors_wanted)
        return self

    def stop(self) -> None:
        """Kills what runs, closes the API. Idempotent."""
        if self._is_stopped:
            return
        self._is_stopped = True
        for part in (self._timers, self._sensors):
            if part is not None:
                part.stop()
        self._launcher.close()
        self._reactor.stop()
        self._server.stop()

    def start_sensors(self, names: Iterable[str]) -> None:
        """Starts sensors of the pack, by class name or reference; "all" means the enabled ones."""
        self._sensor_service().start(names)

    def run_sensor_once(self, name: str) -> int:
        """One poll of a sensor in its own process: its exit code. Raises UnknownSensor."""
        code: int = self._sensor_service().run_once(name)
        return code

    @property
    def api_url(self) -> str:
        """Where the API is, as an action is told: http://127.0.0.1:PORT/v1."""
        return self._server.url

    # ---- what happens from outside

    def inject(
        self, trigger_ref: str, payload: Any, parameters: Optional[Mapping[str, Any]] = None
    ) -> TriggerInstance:
        """Queues a trigger instance. Raises ValueError when the payload does not fit the trigger's
        schema.
        """
        self.check_payload(trigger_ref, payload)
        self._warm_up()
        return self._reactor.inject(trigger_ref, payload, parameters)

    def check_payload(self, trigger_ref: str, payload: Any) -> None:
        """Raises ValueError when a trigger of this pack does not take such a payload; others are
        not known here.
        """
        trigger = self.pack.triggers.get(trigger_ref)
        if trigger is None:
            return
        if not isinstance(payload, dict):
            raise ValueError(
                "The payload of %s must be an object, not %s"
                % (trigger_ref, type(payload).__name__)
            )
        try:
            schemas.check(payload, trigger.payload_schema)
        except schemas.SchemaError as error:
            raise ValueError("The payload does not fit %s: %s" % (trigger_ref, error)) from None

    def webhooks(self) -> List[str]:
        """The webhooks that enabled rules register."""
        return self._reactor.webhooks()

    def receive_webhook(self, name: str, body: Any, headers: Mapping[str, str]) -> None:
        """What the API does with a webhook it has let in: one trigger instance for its rules."""
        self._warm_up()
        lower = {key.lower(): value for key, value in headers.items()}
        payload = {"body": body, "headers": dict(headers), "headers_lower": lower}
        self._reactor.inject(WEBHOOK, payload, {"url": hook_of(name)})

    def post_webhook(
        self, name: str, body: Any, headers: Optional[Mapping[str, str]] = None
    ) -> Tuple[int, bytes]:
        """Posts a webhook to this engine's API over HTTP: (status, answer). `body` is bytes, or
        data for JSON.
        """
        given = {"X-Auth-Token": self.token}
        given.update(headers or {})
        return api.post("%s/webhooks/%s" % (self.api_url, hook_of(name)), body, given)

    def run(
        self,
        action_ref: str,
        parameters: Optional[Mapping[str, Any]] = None,
        wait: bool = True,
        timeout: Optional[float] = None,
        context: Optional[Mapping[str, Any]] = None,
    ) -> Execution:
        """Runs an action as a person would. With `wait`, returns when it has ended or `timeout`
        seconds are over. `context` says who it is: "user", in chat also "api_user".

        Raises UnknownAction, and ParamError for parameters that the action does not take.
        """
        execution = self._launcher.for_person(action_ref, parameters or {}, context)
        if wait:
            return self._launcher.executions.wait(execution.id, timeout)
        return self._launcher.executions.get(execution.id) or execution

    def cancel(self, execution_id: str) -> None:
        """Stops an execution and what it has started."""
        self._launcher.cancel(execution_id)

    def answer_inquiry(self, inquiry_id: str, response: Any) -> None:
        """Answers a pending core.ask; its workflow goes on. Raises InquiryError."""
        self._launcher.answer(inquiry_id, response)

    # ---- what there is to see

    def wait_idle(self, timeout_s: Optional[float] = None) -> bool:
        """True once no trigger, action or delay is under way; an inquiry that waits for a person
        does not count.
        """
        return self._work.wait(timeout_s)

    def find_action(self, ref: str) -> Optional[Action]:
        """The action of that reference, in the pack or in core; None when there is none."""
        return self._launcher.find_action(ref)

    def execution(self, execution_id: str) -> Optional[Execution]:
        """One execution as it is now, or None."""
        return self._launcher.executions.get(execution_id)

    def executions(self) -> List[Execution]:
        """All executions, oldest first."""
        return self._launcher.executions.all()

    def pending_inquiries(self) -> List[Execution]:
        """The core.ask executions that wait for an answer; `result` holds {schema, route, users,
        roles, ttl}.
        """
        return self._launcher.inquiries()

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Calls `callback(event)` for everything that happens from now on, in the thread where it
        happens.
        """
        self._subscribers.add(callback)

    def tell(self, kind: str, **data: Any) -> None:
        """Tells the subscribers of something that a part of the engine saw."""
        self._subscribers.tell(kind, **data)

    def config(self) -> Dict[str, Any]:
        """The pack's configuration as an action is given it. Raises ConfigurationError naming the
        key.
        """
        from standalone.configuration import load_config

        with self._config_lock:
            stamp = (_stamp(self._config_path), _stamp(self.store.path))
            cached = self._config_cache
            # Keys with a ttl end without a write, hence the seconds.
            is_old = cached is None or time.monotonic() - cached[1] > CONFIG_SECONDS
            if cached is None or is_old or cached[0] != stamp:
                values = load_config(self.pack, self._config_path, self.store)
                cached = (stamp, time.monotonic(), self._with_database(values))
                self._config_cache = cached
            return cached[2]

    # ---- inside

    def _sensor_service(self) -> Any:
        from standalone.sensor_service import SensorService

        if self._sensors is None:
            self._sensors = SensorService(self)
        return self._sensors

    def _warm_up(self) -> None:
        # What comes from outside is likely to start a workflow, and orquesta takes 0.4 s to
        # import: better beside the first action than after it.
        if not self._is_warm and any(
            a.runner_type == "orquesta" for a in self.pack.actions.values()
        ):
            self._is_warm = True
            threading.Thread(target=orquesta_compat.prepare, name="warm-up", daemon=True).start()

    def _inject(self, trigger: str, payload: Any) -> Any:
        return self._reactor.inject(trigger, payload)

    def _enforce(self, rule: Rule, payload: Any, instance: TriggerInstance) -> Execution:
        return self._launcher.for_rule(rule, payload, instance.id)

    def _found_config(self) -> Optional[Path]:
        path = self.home / ("%s.yaml" % self.pack.ref)
        return path if path.is_file() else None

    def _with_database(self, values: Dict[str, Any]) -> Dict[str, Any]:
        if "database" not in self.pack.config_schema or self._names_database():
            return values
        database = dict(values.get("database") or {})
        database["url"] = "sqlite:///%s" % (self.home / ("%s.db" % self.pack.ref))
        return {**values, "database": database}

    def _names_database(self) -> bool:
        if self._config_path is None or not self._config_path.is_file():
            return False
        written = read_yaml(self._config_path)
        database = written.get("database") if isinstance(written, dict) else None
        return isinstance(database, dict) and bool(database.get("url"))


def _stamp(path: Optional[Path]) -> Optional[Tuple[int, int]]:
    try:
        found = os.stat(str(path)) if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found is not None else None

"""Keeps the pack's sensors running, each in a process of its own, with StackStorm's rule for those
that die.

A sensor that ends is told of by `core.st2.sensor.process_exit`. One that failed is started again
after 2.5 s and then 5 s, and given up after that; ten seconds of life clear its record.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping

from standalone import lifeline, runner
from standalone.packs import Sensor

EXIT_TRIGGER = "core.st2.sensor.process_exit"
RESPAWN_DELAY_S = 2.5
MAX_RESPAWNS = 2
GOOD_START_S = 10.0
STOP_S = 5.0
ALL = "all"

_PROCESS = Path(__file__).resolve().parent / "sensor_process.py"


class UnknownSensor(ValueError):
    """No such sensor in the pack."""


class SensorService:
    """The sensors of one engine; `respawn_delay_s` is there for tests."""

    def __init__(self, engine: Any, respawn_delay_s: float = RESPAWN_DELAY_S) -> None:
        self._engine = engine
        self._respawn_delay_s = respawn_delay_s
        self._lock = threading.Lock()
        self._running: Dict[str, subprocess.Popen[str]] = {}
        self._threads: List[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self, names: Iterable[str]) -> None:
        """Starts sensors by class name or reference; "all" means every enabled one. Raises
        UnknownSensor.
        """
        for sensor in self._chosen(list(names)):
            thread = threading.Thread(
                target=self._keep, args=(sensor,), name="sensor-" + sensor.class_name, daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def run_once(self, name: str) -> int:
        """setup(), one poll(), cleanup(): the exit code. Raises UnknownSensor."""
        sensor = self._chosen([name])[0]
        return self._run(sensor, ["--once"])

    def running(self) -> List[str]:
        """The references of the sensors whose process lives."""
        with self._lock:
            return sorted(self._running)

    def stop(self) -> None:
        """Asks every sensor to clean up and end; kills those that do not."""
        self._stopping.set()
        with self._lock:
            processes = list(self._running.values())
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                runner.kill_group(process)
        for thread in self._threads:
            thread.join(STOP_S)

    def _chosen(self, names: List[str]) -> List[Sensor]:
        known = self._engine.pack.sensors.values()
        if ALL in names:
            return [sensor for sensor in known if sensor.enabled]
        chosen = []
        for name in names:
            found = [
                each for each in known if name in (each.ref, each.class_name, _file_name(each))
            ]
            if not found:
                raise UnknownSensor(
                    "There is no sensor %s; the pack has %s"
                    % (name, ", ".join(sorted(each.class_name for each in known)) or "none")
                )
            chosen.extend(found)
        return chosen

    def _keep(self, sensor: Sensor) -> None:
        respawns = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                code = self._run(sensor, [])
            except Exception as error:
                self._engine.tell("sensor_failed", sensor=sensor.ref, reason=str(error))
                return
            if self._stopping.is_set():
                return
            payload = {"id": sensor.class_name, "timestamp": int(time.time()), "exit_code": code}
            self._engine.inject(EXIT_TRIGGER, payload)
            self._engine.tell("sensor_exited", sensor=sensor.ref, exit_code=code)
            if time.monotonic() - started >= GOOD_START_S:
                respawns = 0
            if code == 0 or respawns >= MAX_RESPAWNS:
                return
            respawns += 1
            if self._stopping.wait(self._respawn_delay_s * respawns):
                return

    def _run(self, sensor: Sensor, options: List[str]) -> int:
        config = self._engine.config()
        process = self._spawn(sensor, options)
        with self._lock:
            self._running[sensor.ref] = process
        if self._stopping.is_set():
            process.terminate()
        self._engine.tell("sensor_started", sensor=sensor.ref, pid=process.pid)
        try:
            assert process.stdin is not None and process.stdout is not None
            _hand_over(process.stdin, config)
            for line in process.stdout:
                self._engine.tell("sensor_output", sensor=sensor.ref, line=line.rstrip("\n"))
            return process.wait()
        finally:
            with self._lock:
                self._running.pop(sensor.ref, None)

    def _spawn(self, sensor: Sensor, options: List[str]) -> subprocess.Popen[str]:
        arguments = [
            self._engine.python,
            "-u",
            str(_PROCESS),
            "--pack=%s" % sensor.pack,
            "--file-path=%s" % sensor.entry_point,
            "--class-name=%s" % sensor.class_name,
        ]
        if sensor.poll_interval:
            arguments.append("--poll-interval=%d" % sensor.poll_interval)
        rope = lifeline.hold()
        env = dict(os.environ)
        env["ST2_ACTION_API_URL"] = self._engine.api_url
        env["ST2_ACTION_AUTH_TOKEN"] = self._engine.token
        env[lifeline.VARIABLE] = str(rope)
        return subprocess.Popen(
            arguments + options,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=(rope,),
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )


def _hand_over(stdin: Any, config: Mapping[str, Any]) -> None:
    try:
        json.dump(dict(config), stdin)
        stdin.close()
    except BrokenPipeError:
        return


def _file_name(sensor: Sensor) -> str:
    return Path(sensor.entry_point).stem

"""Runs one python-script action in a process of its own, the way StackStorm's python runner does.

Promises StackStorm's environment, its import path (the pack's actions/lib on, its lib off), its
limits and the shape of its results; a timeout kills the whole process group. What an action may be
told is decided before, by rendering.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Dict, List, Mapping, Optional, Set

from standalone import lifeline
from standalone.wrapper import INVALID_STATUS_EXIT_CODE, split_output

DEFAULT_TIMEOUT_S = 600
MAX_ARGUMENT_BYTES = 131057
"""Longer parameters go through stdin; StackStorm's own threshold (st2common/constants/action.py).
"""

_WRAPPER = Path(__file__).resolve().parent / "wrapper.py"


@dataclass(frozen=True)
class Outcome:
    """How an action ended: `status` in StackStorm's words, `result` as its runner stores it."""

    status: str
    result: Dict[str, Any]


@dataclass(frozen=True)
class Call:
    """What to run: an entry point with its parameters, and what the process is to know of the
    platform.
    """

    execution_id: str
    pack_ref: str
    pack_root: Path
    entry_point: Path
    parameters: Mapping[str, Any]
    config: Mapping[str, Any]
    api_url: str
    token: str
    timeout_s: int = DEFAULT_TIMEOUT_S
    env: Optional[Mapping[str, str]] = None
    log_level: Optional[str] = None


class Processes:
    """The action processes that run now, each the leader of its own group, by execution id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Dict[str, subprocess.Popen[bytes]] = {}
        self._canceled: Set[str] = set()
        self._is_closed = False

    def add(self, execution_id: str, process: subprocess.Popen[bytes]) -> None:
        """From now on it can be killed by its execution's id."""
        with self._lock:
            self._running[execution_id] = process
            is_unwanted = self._is_closed or execution_id in self._canceled
        if is_unwanted:
            kill_group(process)

    def remove(self, execution_id: str) -> bool:
        """Forgets a process that has ended; says whether it had been canceled."""
        with self._lock:
            self._running.pop(execution_id, None)
            was_canceled = execution_id in self._canceled
            self._canceled.discard(execution_id)
            return was_canceled or self._is_closed

    def cancel(self, execution_id: str) -> None:
        """Kills the process group of an execution, or its process as soon as it starts."""
        with self._lock:
            self._canceled.add(execution_id)
            process = self._running.get(execution_id)
        if process is not None:
            kill_group(process)

    def close(self) -> None:
        """Kills all of them and whatever is started later."""
        with self._lock:
            self._is_closed = True
            processes = list(self._running.values())
        for process in processes:
            kill_group(process)


def run(call: Call, processes: Processes, python: str = sys.executable) -> Outcome:
    """Runs the action and waits for it. Never raises for what the action does."""
    text = json.dumps(dict(call.parameters))
    try:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = _start(call, text, python, out, err)
            processes.add(call.execution_id, process)
            is_timed_out = _wait(process, call.timeout_s)
            was_canceled = processes.remove(call.execution_id)
            stdout, stderr = _text_of(out), _text_of(err)
    except OSError as error:
        return Outcome("failed", {"error": "The action's process cannot be started: %s" % error})
    if process.returncode == INVALID_STATUS_EXIT_CODE:
        return Outcome("failed", {"error": stderr, "traceback": stderr})
    outcome = outcome_of(
        process.returncode, stdout, stderr, call.timeout_s if is_timed_out else None
    )
    return Outcome("canceled", outcome.result) if was_canceled else outcome


def outcome_of(exit_code: int, stdout: str, stderr: str, timed_out_s: Optional[int]) -> Outcome:
    """StackStorm's reading of what the wrapper wrote: status and {stdout, stderr, exit_code,
    result[, error]}.
    """
    try:
        stdout, result, action_status = split_output(stdout)
    except ValueError as error:
        return Outcome("failed", {"error": str(error), "traceback": stderr})
    output: Dict[str, Any] = {
        "stdout": stdout,
        "stderr": stderr,
        "exit_code": exit_code,
        "result": result,
    }
    if timed_out_s is not None:
        output["error"] = "Action failed to complete in %s seconds" % timed_out_s
        return Outcome("timeout", output)
    is_good = exit_code == 0 and action_status in (None, True)
    return Outcome("succeeded" if is_good else "failed", output)


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kills a process and everything it started in its group."""
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def python_path(pack_root: Path) -> str:
    """PYTHONPATH of an action: the pack's actions/lib first, then what this process was given."""
    parts = [str(pack_root / "actions" / "lib"), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(part for part in parts if part)


def _start(
    call: Call, text: str, python: str, out: IO[bytes], err: IO[bytes]
) -> subprocess.Popen[bytes]:
    arguments: List[str] = [
        python,
        "-u",
        str(_WRAPPER),
        "--pack=%s" % call.pack_ref,
        "--file-path=%s" % call.entry_point,
        "--user=stanley",
        "--parent-args=[]",
    ]
    stdin: Any = subprocess.DEVNULL
    if len(text) >= MAX_ARGUMENT_BYTES:
        arguments.append("--stdin-parameters")
        stdin = tempfile.TemporaryFile()
        stdin.write(('{"parameters": %s}\n' % text).encode("utf-8"))
        stdin.seek(0)
    else:
        arguments.append("--parameters=%s" % text)
    if call.config:
        arguments.append("--config=%s" % json.dumps(dict(call.config)))
    if call.log_level:
        arguments.append("--log-level=%s" % call.log_level)
    rope = lifeline.hold()
    try:
        return subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=out,
            stderr=err,
            env=_environment(call, rope),
            pass_fds=(rope,),
            start_new_session=True,
        )
    finally:
        if stdin is not subprocess.DEVNULL:
            stdin.close()


def _environment(call: Call, rope: int) -> Dict[str, str]:
    env = dict(os.environ)
    for name, value in (call.env or {}).items():
        if name.lower() != "pythonpath":
            env[name] = str(value)
    env["PYTHONPATH"] = python_path(call.pack_root)
    env["ST2_ACTION_PACK_NAME"] = call.pack_ref
    env["ST2_ACTION_EXECUTION_ID"] = call.execution_id
    env["ST2_ACTION_API_URL"] = call.api_url
    env["ST2_ACTION_AUTH_TOKEN"] = call.token
    env["ST2_ACTION_DEBUG"] = "False"
    env[lifeline.VARIABLE] = str(rope)
    return env


def _wait(process: subprocess.Popen[bytes], timeout_s: int) -> bool:
    # Popen.wait(timeout) polls; a timer beside a plain wait returns the moment the process ends.
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        kill_group(process)

    timer = threading.Timer(timeout_s, expire)
    timer.daemon = True
    timer.start()
    try:
        process.wait()
    finally:
        timer.cancel()
    return expired.is_set() and process.returncode != 0


def _text_of(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")

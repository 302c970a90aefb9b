"""What the engine does, one line per step, for a person who watches it on a terminal."""

from __future__ import annotations

import os
import threading
import time
from typing import IO, Any, Callable, Dict, Mapping, Optional

from standalone.executions import Event

_COLOURS = {"good": "32", "bad": "31", "asks": "33", "dim": "2"}


class Progress:
    """Writes events to `stream`; colour only on a terminal, and never when NO_COLOR is set."""

    def __init__(self, stream: IO[str], colour: Optional[bool] = None) -> None:
        self.is_quiet = False
        self._stream = stream
        is_terminal = bool(getattr(stream, "isatty", lambda: False)())
        self._has_colour = (
            colour if colour is not None else is_terminal and not os.environ.get("NO_COLOR")
        )
        self._started = time.time()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Takes an event of the engine, as given to Engine.subscribe."""
        tell = None if self.is_quiet else _LINES.get(event.kind)
        line = tell(event.data) if tell is not None else None
        if line is not None:
            tone, text = line
            self.say(text, tone, event.at)

    def say(self, text: str, tone: str = "", at: Optional[float] = None) -> None:
        """One line of our own, with the seconds since the beginning before it."""
        seconds = (at if at is not None else time.time()) - self._started
        if tone and self._has_colour:
            text = "\x1b[%sm%s\x1b[0m" % (_COLOURS[tone], text)
        with self._lock:
            self._stream.write("%6.1fs  %s\n" % (max(seconds, 0.0), text))
            self._stream.flush()


def reason_of(result: Any) -> str:
    """Why an execution failed, in one line, wherever the kind of action puts it."""
    if not isinstance(result, dict):
        return ""
    inner = result.get("result")
    if isinstance(inner, dict) and inner.get("error"):
        return _one_line(inner["error"])
    if result.get("error"):
        return _one_line(result["error"])
    errors = result.get("errors")
    if isinstance(errors, list) and errors:
        return _one_line(errors[0].get("message") if isinstance(errors[0], dict) else errors[0])
    lines = str(result.get("stderr") or "").strip().splitlines()
    return _one_line(lines[-1]) if lines else ""


def _one_line(value: Any) -> str:
    # Text of an action may hold anything; what moves a cursor is shown, not obeyed.
    text = "".join(c if c.isprintable() else " " for c in " ".join(str(value).split()))
    return text if len(text) <= 200 else text[:197] + "..."


def _name(data: Mapping[str, Any]) -> str:
    indent = "  " if data.get("parent") else ""
    name = str(data.get("ref"))
    task = data.get("task")
    return "%s%s" % (
        indent,
        name if not task or name.endswith("." + task) else "%s (%s)" % (name, task),
    )


def _finished(data: Mapping[str, Any]) -> Any:
    if data.get("runner") in ("noop", "inquirer"):
        return None
    status = str(data.get("status"))
    text = "%-42s %s, %.1f s" % (_name(data), status, data.get("seconds") or 0.0)
    if status == "succeeded":
        return "good", text
    reason = reason_of(data.get("result"))
    return "bad", "%s%s" % (text, ": " + reason if reason else "")


def _started(data: Mapping[str, Any]) -> Any:
    return ("dim", "%-42s starts" % _name(data)) if data.get("runner") == "orquesta" else None


def _triggered(data: Mapping[str, Any]) -> Any:
    if str(data.get("trigger", "")).startswith("core.st2.generic."):
        return None
    return "dim", "trigger %s" % data.get("trigger")


def _rule_failed(data: Mapping[str, Any]) -> Any:
    return "bad", "rule %s failed: %s" % (data.get("rule"), _one_line(data.get("reason")))


_LINES: Dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "trigger_injected": _triggered,
    "rule_matched": lambda data: (
        "dim",
        "rule %s runs %s" % (data.get("rule"), data.get("action")),
    ),
    "rule_failed": _rule_failed,
    "execution_started": _started,
    "execution_finished": _finished,
    "inquiry_opened": lambda data: ("asks", "waits for an answer to inquiry %s" % data.get("id")),
    "inquiry_answered": lambda data: ("asks", "inquiry %s is answered" % data.get("id")),
    "webhook_lost": lambda data: (
        "bad",
        "a body of %s bytes is lost, as on StackStorm" % data.get("bytes"),
    ),
    "sensor_started": lambda data: ("dim", "sensor %s starts" % data.get("sensor")),
    "sensor_output": lambda data: (
        "dim",
        "%s | %s" % (data.get("sensor"), _one_line(data.get("line"))),
    ),
    "sensor_exited": lambda data: (
        "bad",
        "sensor %s ended with exit code %s" % (data.get("sensor"), data.get("exit_code")),
    ),
    "sensor_failed": lambda data: (
        "bad",
        "sensor %s: %s" % (data.get("sensor"), _one_line(data.get("reason"))),
    ),
    "engine_failed": lambda data: ("bad", "the engine itself: %s" % _one_line(data.get("reason"))),
}

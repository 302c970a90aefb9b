"""What a person sees of the demo: one line per step with its time and outcome, the plan, the
timeline, the end.

Fed with what happens (the engine's events, the demo's own, the incident's timeline); decides only
how it looks.
"""

from __future__ import annotations

import datetime
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from standalone.demo.terminal import Terminal

DETAIL_INDENT = 12
GOOD = ("resolved", "succeeded")
SUMMARIES: Dict[str, Tuple[str, ...]] = {
    "decide": ("strategy",),
    "remediate": ("outcome",),
    "undo": ("outcome",),
    "close": ("status",),
    "escalate": ("status",),
    "ticket": ("status",),
    "observe": ("status",),
    "settle_approval": ("verdict",),
}


class View:
    """Progress of one run, timed from when it was made."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._began = time.monotonic()
        self._running: Dict[str, Tuple[str, float]] = {}
        self._waiting = "getting ready"
        self._turn = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def title(self, text: str, subtitle: str) -> None:
        """The first lines."""
        self._terminal.write()
        self._terminal.write("  " + self._terminal.style(text, "bold"))
        for line in self._terminal.wrap(subtitle, 2):
            self._terminal.write("  " + self._terminal.style(line, "dim"))
        self._terminal.write()

    def step(
        self,
        sign: str,
        label: str,
        text: str = "",
        details: Sequence[str] = (),
        colour: str = "",
        seconds: Optional[float] = None,
    ) -> None:
        """One thing that happened, with what is to be said of it beneath."""
        terminal = self._terminal
        styles = (colour,) if colour else ()
        took = "%.2f s" % seconds if seconds is not None else ""
        head = "%7s  %s %s" % (
            terminal.style("%5.1f s" % self.elapsed, "dim"),
            terminal.style(terminal.signs[sign], *styles),
            terminal.style(label, "bold", *styles),
        )
        indent = 13 + len(label)
        lines = terminal.wrap(text, indent) if text else []
        if len(lines) > 1:
            lines, details = [], [text, *details]
        ending = "".join(
            "  " + part for part in (lines[0] if lines else "", terminal.style(took, "dim")) if part
        )
        terminal.write(head + ending)
        self.details(details)

    def details(self, texts: Sequence[str]) -> None:
        """More about the last step."""
        for text in texts:
            for number, line in enumerate(self._terminal.wrap(text, DETAIL_INDENT + 2)):
                indent = DETAIL_INDENT + (2 if number else 0)
                self._terminal.write(" " * indent + self._terminal.style(line, "dim"))

    @property
    def is_acting(self) -> bool:
        """Whether an action runs."""
        return bool(self._running)

    def waits_for(self, what: str) -> None:
        """What the last line says while no action runs."""
        self._waiting = what

    def tick(self) -> None:
        """Keeps the last line alive."""
        self._turn += 1
        running = list(self._running.values())
        if running:
            label, since = running[-1]
            self._terminal.status("%s %.1f s" % (label, time.monotonic() - since), self._turn)
        elif self._waiting:
            self._terminal.status(self._waiting, self._turn)

    def action_started(self, execution_id: str, label: str) -> None:
        """An action began."""
        self._running[execution_id] = (label, time.monotonic())

    def action_finished(
        self, event: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
    ) -> None:
        """An action ended; `entries` is what it wrote on the incident's timeline."""
        self._running.pop(event["id"], None)
        label = label_of(event)
        is_good = event["status"] == "succeeded"
        details = [line for entry in entries for line in _told(entry)]
        if not is_good:
            details.append(_problem(event.get("result")))
        word = _summary(label, event.get("result")) if is_good else event["status"]
        details = [
            line[len(word) + 2:] if line.startswith(word + ": ") else line for line in details
        ]
        is_bad_news = not is_good or word in (
            "escalated",
            "not resolved",
            "failed",
            "refused",
            "partly",
        )
        self.step(
            "bad" if is_bad_news else "good",
            label,
            word,
            details,
            "red" if is_bad_news else "green",
            event.get("seconds"),
        )

    def plan(self, facts: Sequence[Tuple[str, str]]) -> None:
        """The plan to decide on: (what, text) in order; an empty `what` goes on with the last."""
        self.step("ask", "a person decides", "", (), "yellow")
        self._terminal.table([("        " + what, text) for what, text in facts], ((), ()))

    def ask(self, question: str) -> None:
        """The question; the answer is read by whoever asks."""
        self._terminal.prompt("\n  %s " % self._terminal.style(question, "bold", "yellow"))

    def answered(self, text: str) -> None:
        """Completes the line when the answer was not typed on it."""
        self._terminal.write(self._terminal.clean(text))

    def timeline(self, incident_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """The incident's timeline as a table."""
        self._terminal.write()
        self._terminal.write(
            "  " + self._terminal.style("Timeline of %s (UTC)" % incident_id, "bold")
        )
        rows = [
            (_clock(entry["at"]), str(entry["kind"]), str(entry["message"])) for entry in entries
        ]
        self._terminal.table(rows, (("dim",), ("cyan",), ()))

    def end(self, is_good: bool, text: str, details: Sequence[str] = ()) -> None:
        """How it ended."""
        colour = "green" if is_good else "red"
        self._terminal.write()
        sign = self._terminal.signs["good" if is_good else "bad"]
        for number, line in enumerate(self._terminal.wrap(text, 4)):
            lead = sign if not number else " "
            self._terminal.write(
                "  " + self._terminal.style("%s %s" % (lead, line), "bold", colour)
            )
        for detail in details:
            for line in self._terminal.wrap(detail, 4):
                self._terminal.write("    " + self._terminal.style(line, "dim"))
        self._terminal.write()

    def last_line(self, text: str) -> None:
        """The line for programs."""
        self._terminal.write(text)


def label_of(event: Mapping[str, Any]) -> str:
    """What an execution is called: its task in the workflow, else its action."""
    return str(event.get("task") or str(event["ref"]).rpartition(".")[2])


def _summary(label: str, result: Any) -> str:
    found = result.get("result") if isinstance(result, Mapping) else None
    if not isinstance(found, Mapping):
        return ""
    if label == "verify":
        return "resolved" if found.get("resolved") else "not resolved"
    if label == "analyze" and found.get("state") == "claimed":
        return "runbook %s" % found["runbook"] if found.get("has_plan") else "no runbook fits"
    if label == "analyze":
        return str(found.get("state"))
    if label == "ingest_alertmanager":
        return ", ".join(str(one.get("incident_id")) for one in found.get("incidents") or [])
    return ", ".join(
        str(found[key]) for key in SUMMARIES.get(label, ()) if found.get(key) is not None
    )


def _told(entry: Mapping[str, Any]) -> List[str]:
    data = entry.get("data") if isinstance(entry.get("data"), Mapping) else {}
    if entry["kind"] == "remediation_step" and "seconds" in data:
        output = str(data.get("stdout") or data.get("stderr") or data.get("detail") or "").strip()
        first = output.split("\n")[0][:200]
        return [
            "%s: %s, %.2f s: %s" % (data.get("name"), data.get("status"), data["seconds"], first)
        ]
    if entry["kind"] == "verified":
        looks = [look for look in data.get("history") or [] if isinstance(look, Mapping)]
        return [
            "after %.1f s: %s: %s" % (look["after_s"], look["asked"], look["answer"])
            for look in looks
        ] + [str(entry["message"])]
    return [str(entry["message"])]


def _problem(result: Any) -> str:
    found = result if isinstance(result, Mapping) else {}
    inner = found.get("result") if isinstance(found.get("result"), Mapping) else {}
    lines: List[str] = str(
        inner.get("error") or found.get("error") or found.get("stderr") or ""
    ).split("\n")
    return next((line for line in reversed(lines) if line.strip()), "no reason given")


def _clock(at: Any) -> str:
    if isinstance(at, (int, float)):
        at = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()
    return str(at)[11:21].rstrip("+Z")

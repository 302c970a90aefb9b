"""Tells what happens from the fault to the end of the incident, and knows when the end is reached.

Takes every event of the stage in one thread: shows it, asks the person when the pack asks, and
returns how it ended.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional

from standalone.demo import loopback
from standalone.demo.casebook import CLOSED, HANDED_OVER
from standalone.demo.stage import Stage
from standalone.demo.view import View, label_of

RESPONSE = "selfheal.incident_response"
INGEST = "selfheal.ingest_alertmanager"
WEBHOOK = "core.st2.webhook"
ELK_ERROR = "selfheal.elk_error"
TICK_S = 0.1
SETTLE_S = 60.0
MESSAGE_LINES = 3


@dataclass
class Ending:
    """How it ended. `seconds` runs from the fault to the last change of the incident."""

    incident_id: Optional[str] = None
    status: str = "none"
    strategy: Optional[str] = None
    resolution: Optional[str] = None
    actions: List[str] = field(default_factory=list)
    seconds: float = 0.0
    problem: str = ""

    @property
    def is_resolved(self) -> bool:
        """Whether the pack did its job to the end."""
        return self.status == CLOSED


class Story:
    """One run on one stage."""

    def __init__(
        self, stage: Stage, view: View, read_line: Optional[Callable[[], str]] = None
    ) -> None:
        self._stage = stage
        self._view = view
        self._read_line = read_line or line_from_stdin
        self._book = stage.open_casebook()
        self._ending = Ending()
        self._question: Optional[str] = None
        self._is_asking = False
        self._is_over = False
        self._held: List[str] = []
        self._broken_at = 0.0

    def follow(self, broken_at: float) -> Ending:
        """Shows events until the incident's response has ended or the time is up. `broken_at` is
        epoch seconds.
        """
        self._broken_at = broken_at
        deadline = time.monotonic() + self._stage.settings.timeout_s
        while not self._is_over and time.monotonic() < deadline:
            if self._is_asking:
                deadline += TICK_S
            elif self._question and self._stage.events.empty() and self._stage.engine.wait_idle(0):
                self._ask()
            self._take_one()
        if not self._is_over:
            self._ending.problem = (
                "nothing came to an end within %g s" % self._stage.settings.timeout_s
            )
        self._settle()
        return self._conclude()

    def _take_one(self) -> None:
        try:
            kind, data = self._stage.events.get(timeout=TICK_S)
        except queue.Empty:
            if not self._is_asking:
                self._view.tick()
            return
        self._take(kind, data)

    def _take(self, kind: str, data: Dict[str, Any]) -> None:
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, data)

    def _settle(self) -> None:
        # The last action may still be writing, the phone still ringing.
        self._stage.engine.wait_idle(SETTLE_S if self._is_over else 0)
        while not self._stage.events.empty():
            self._take_one()

    def _conclude(self) -> Ending:
        ending = self._ending
        if ending.incident_id:
            incident = self._book.incident(ending.incident_id)
            ending.status, ending.strategy = incident.status, incident.strategy
            ending.resolution = incident.resolution
            ending.seconds = (incident.resolved_at or incident.updated_at) - self._broken_at
            if incident.status not in (CLOSED, *HANDED_OVER) and not ending.problem:
                ending.problem = "the response ended and left the incident %s" % incident.status
        return ending

    # ---- what is heard

    def _alert_fires(self, data: Mapping[str, Any]) -> None:
        text = "%s after %d failed probes of /health" % (data["name"], data["probes"])
        self._view.step("alert", "alert fires", text, (), "yellow")

    def _alert_ends(self, data: Mapping[str, Any]) -> None:
        text = "%s after %d good probes of /health" % (data["name"], data["probes"])
        self._view.step("up", "alert ends", text, (), "green")

    def _errors_counted(self, payload: Mapping[str, Any]) -> None:
        if self._ending.incident_id is None:
            self._ending.incident_id = payload["incident_id"]
        text = "%d errors of one kind in the log: %s" % (payload["count"], payload["alert_type"])
        details = ["%s: %s" % (payload["fingerprint"], payload["sample"])]
        self._view.step("alert", "sensor", text, details, "yellow")
        self._view.waits_for("the response begins")

    def _injected(self, data: Mapping[str, Any]) -> None:
        if data["trigger"] == ELK_ERROR:
            self._errors_counted(data["payload"])
        if data["trigger"] != WEBHOOK:
            return
        body = data["payload"].get("body")
        body = body if isinstance(body, dict) else {}
        sender = data["payload"].get("headers_lower", {}).get("user-agent", "")
        who = "Alertmanager" if self._stage.settings.live else "Alertmanager's stand-in"
        text = "%s posts %d alert to /v1/webhooks/prometheus_alert: %s" % (
            who,
            len(body.get("alerts", ())),
            body.get("status"),
        )
        if self._stage.settings.live:
            text += " (%s)" % sender
        self._view.step(
            "alert", "webhook", text, (), "yellow" if body.get("status") == "firing" else "green"
        )

    def _matched(self, data: Mapping[str, Any]) -> None:
        text = "%s starts %s" % (data["rule"].rpartition(".")[2], data["action"].rpartition(".")[2])
        if data["trigger"].startswith("selfheal.") and self._view.is_acting:
            self._held.append(text)  # the action at hand injected it: to be read after that
        else:
            self._view.step("rule", "rule", text, (), "blue")

    def _failed(self, data: Mapping[str, Any]) -> None:
        lines = [line for line in str(data.get("reason")).split("\n") if line.strip()]
        self._view.step(
            "bad",
            "engine",
            "%s %s" % (data.get("rule") or "", lines[-1] if lines else ""),
            (),
            "red",
        )

    def _started(self, data: Mapping[str, Any]) -> None:
        if data["runner"] == "python-script" and _is_of_the_pack(data):
            self._view.action_started(data["id"], label_of(data))

    def _finished(self, data: Mapping[str, Any]) -> None:
        if not _is_of_the_pack(data):
            return
        if data["runner"] == "python-script":
            self._note_incident(data)
            self._ending.actions.append(data["ref"])
            self._view.action_finished(data, self._fresh())
            while self._held:
                self._view.step("rule", "rule", self._held.pop(0), (), "blue")
        if data["ref"] == INGEST and data["status"] != "succeeded":
            self._ending.problem = "the pack could not take the alert"
            self._is_over = True
        if data["ref"] == RESPONSE:
            self._is_over = True
            if data["status"] != "succeeded":
                self._view.step("bad", "incident_response", data["status"], (), "red")

    def _note_incident(self, data: Mapping[str, Any]) -> None:
        if self._ending.incident_id or data["ref"] != INGEST or data["status"] != "succeeded":
            return
        found = data["result"]["result"].get("incidents") or []
        if found:
            self._ending.incident_id = found[0]["incident_id"]
        else:
            self._ending.problem = "the pack took the alert and opened no incident"
            self._is_over = True

    def _fresh(self) -> List[Dict[str, Any]]:
        return self._book.new_entries(self._ending.incident_id) if self._ending.incident_id else []

    def _opened(self, data: Mapping[str, Any]) -> None:
        self._question = data["id"]

    def _message(self, data: Mapping[str, Any]) -> None:
        body = data["body"]
        lines = [
            line
            for line in str(body.get("text") or body.get("title") or body).split("\n")
            if line.strip()
        ]
        self._view.step(
            "mail", "on-call is told", lines[0] if lines else "", lines[1:MESSAGE_LINES], "yellow"
        )

    # ---- the question

    def _ask(self) -> None:
        assert self._question and self._ending.incident_id
        self._view.plan(self._book.plan(self._ending.incident_id))
        if self._stage.settings.yes:
            self._view.ask("Approve this plan? [y/N]")
            self._view.answered("y (--yes)")
            self._answer({"text": "y"})
            return
        self._is_asking = True
        self._view.ask("Approve this plan? [y/N]")
        threading.Thread(
            target=lambda: self._stage.tell("answer", text=self._read_line()),
            name="answer",
            daemon=True,
        ).start()

    def _answer(self, data: Mapping[str, Any]) -> None:
        is_approved = data["text"].strip().lower() in ("y", "yes")
        if self._is_asking:
            self._is_asking = False
            if not data["text"].endswith("\n") or not sys.stdin.isatty():
                self._view.answered(data["text"].strip() or "no answer, so no")
        question, self._question = self._question, None
        engine = self._stage.engine
        status, answer = loopback.request(
            "PUT",
            "%s/inquiries/%s" % (engine.api_url, question),
            {"id": question, "response": {"approved": is_approved}},
            {"X-Auth-Token": engine.token},
        )
        if status == 200:
            self._view.step("ask", "answered", "yes" if is_approved else "no", (), "yellow")
        else:
            self._view.step("bad", "answered", "too late: %s" % answer, (), "red")


_HANDLERS: Dict[str, Callable[[Story, Dict[str, Any]], None]] = {
    "alert_fires": Story._alert_fires,
    "alert_ends": Story._alert_ends,
    "message": Story._message,
    "answer": Story._answer,
    "engine.trigger_injected": Story._injected,
    "engine.rule_matched": Story._matched,
    "engine.rule_failed": Story._failed,
    "engine.engine_failed": Story._failed,
    "engine.execution_started": Story._started,
    "engine.execution_finished": Story._finished,
    "engine.inquiry_opened": Story._opened,
}


def line_from_stdin() -> str:
    """One line; shorter than that at the end of the input. Without sys.stdin, whose lock outlives a
    daemon thread.
    """
    content = b""
    while not content.endswith(b"\n"):
        try:
            byte = os.read(0, 1)
        except OSError:
            break
        if not byte:
            break
        content += byte
    return content.decode("utf-8", "replace")


def _is_of_the_pack(data: Mapping[str, Any]) -> bool:
    # Started by a rule or within a workflow; what the demo itself asks of the pack is not part of
    # the story.
    return bool(data.get("rule") or data.get("parent")) and data["ref"].startswith("selfheal.")

"""The incident as the pack's own store has it, read while the pack works on it. Changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

PACK_ROOT = Path(__file__).resolve().parents[2]
CLOSED = "resolved"
HANDED_OVER = ("escalated", "ticketed", "observed")
Facts = Sequence[Tuple[str, str]]


class Casebook:
    """Reads one incident. To be used from one thread; `close` when done."""

    def __init__(self, database_url: str) -> None:
        library = str(PACK_ROOT / "actions" / "lib")
        if library not in sys.path:
            sys.path.insert(0, library)
        from selfheal.store import open_store

        self._store = open_store(database_url)
        self._seen: Set[Tuple[Any, ...]] = set()

    def close(self) -> None:
        """Closes the database."""
        self._store.close()

    def incident(self, incident_id: str) -> Any:
        """The incident as the library has it. Raises NotFound."""
        from selfheal.incidents import registry

        return registry.get(self._store, incident_id)

    def new_entries(self, incident_id: str) -> List[Dict[str, Any]]:
        """What was written on its timeline since the last call."""
        from selfheal.incidents import timeline

        fresh = []
        for entry in timeline.entries(self._store, incident_id):
            key = (entry["at"], entry["kind"], entry["message"])
            if key not in self._seen:
                self._seen.add(key)
                fresh.append(entry)
        return fresh

    def plan(self, incident_id: str) -> Facts:
        """The plan as a person must see it to decide: what, where, risk, each step with its undo,
        the proof.
        """
        import yaml

        incident = self.incident(incident_id)
        plan = incident.plan or {}
        book = yaml.safe_load(Path(plan["path"]).read_text(encoding="utf-8"))
        where = [
            "%s %s" % (name, value)
            for name in ("cluster", "namespace", "workload", "service", "instance")
            for value in [getattr(incident, name)]
            if value
        ]
        facts = [
            (
                "what",
                "%s: %s" % (plan["runbook"], " ".join(str(book.get("description") or "").split())),
            ),
            ("where", ", ".join(where) or "nothing named"),
            ("risk", "%s; confidence %.2f" % (plan["risk"], plan["confidence"])),
        ]
        for number, step in enumerate(book["steps"], 1):
            facts.append(
                ("steps" if number == 1 else "", "%d. %s: %s" % (number, step["name"], _act(step)))
            )
            if step.get("undo"):
                facts.append(("", "   undone by: %s" % _act(step["undo"])))
        checks = book.get("verify") or [{"alert": "resolved"}]
        facts += [
            ("proof" if not number else "", _check(check)) for number, check in enumerate(checks)
        ]
        return facts


def _act(step: Mapping[str, Any]) -> str:
    if step.get("command"):
        command = step["command"]
        if command.get("argv"):
            return " ".join(str(part) for part in command["argv"])
        return "script for %s" % " ".join(command.get("interpreter") or ["/bin/sh"])
    if step.get("api_call"):
        return "%s %s" % (step["api_call"].get("method"), step["api_call"].get("url"))
    if step.get("condition"):
        condition = step["condition"]
        return "only if %s %s %r" % (
            condition.get("value"),
            condition.get("is"),
            condition.get("to"),
        )
    return "wait"


def _check(check: Mapping[str, Any]) -> str:
    kind, wanted = next(iter(check.items()))
    if kind == "http":
        return "%s answers %s" % (wanted["url"], wanted.get("status", 200))
    if kind == "prometheus":
        return "Prometheus: %s is %s" % (wanted["query"], wanted["expect"])
    return "%s %s" % (kind, wanted)

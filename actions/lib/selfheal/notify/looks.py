"""What a close look found, as a message carries it: the facts are among the evidence, this is what
lies behind them, cut to what one reads at night.

Secrets were hidden before it was stored. Text in it is from outside and stays on its line.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.text import cap, iso, one_line

_LOG_LINES = 20
_LOGS = 2
_EVENTS = 8
_CHANGES = 10
_LINE = 300
_PAYLOAD_STRING = 1000
_PAYLOAD_ITEMS = 40


def payload(diagnosis: Mapping[str, Any]) -> Dict[str, Any]:
    """`diagnosis` (see diagnose.record.shown) for a machine that takes the message, bounded."""
    if not diagnosis:
        return {}
    found: Dict[str, Any] = cap(dict(diagnosis), _PAYLOAD_STRING, _PAYLOAD_ITEMS)
    if isinstance(diagnosis.get("at"), float):
        found["at"] = iso(diagnosis["at"])
    found["logs"] = [
        dict(cap(dict(log), _LINE, 10), lines=_tail(log))
        for log in _maps(diagnosis, "logs")[:_LOGS]
    ]
    return found


def sections(diagnosis: Mapping[str, Any]) -> List[Tuple[str, List[str]]]:
    """(heading, lines) of a message's text."""
    if not diagnosis:
        return []
    found: List[Tuple[str, List[str]]] = []
    changed = diagnosis.get("changed")
    if isinstance(changed, Mapping):
        what = changed.get("what")
        lines = [one_line(str(one), _LINE) for one in _items(what)[:_CHANGES]]
        heading = "Changed by revision %s (before: %s):" % (
            changed.get("to_revision"), changed.get("from_revision"),
        )
        found.append((one_line(heading), lines))
    for log in _maps(diagnosis, "logs")[:_LOGS]:
        run = ", the run before" if log.get("previous") else ""
        heading = "Log of container %s of pod %s%s, the end:" % (
            log.get("container"), log.get("pod"), run,
        )
        found.append((one_line(heading), _tail(log)))
    events = [
        "%s %s on %s, %s times: %s"
        % tuple(
            one_line(str(event.get(key)), _LINE)
            for key in ("at", "reason", "object", "count", "message")
        )
        for event in _maps(diagnosis, "events")[:_EVENTS]
    ]
    found.append(("Events:", events))
    missing = [
        one_line("%s: %s" % (one.get("part"), one.get("why")), _LINE)
        for one in _maps(diagnosis, "missing")[:5]
    ]
    found.append(("Could not be found out:", missing))
    return [(heading, lines) for heading, lines in found if lines]


def _tail(log: Mapping[str, Any]) -> List[str]:
    return [one_line(str(line), _LINE) for line in _items(log.get("lines"))[-_LOG_LINES:]]


def _maps(value: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
    return [one for one in _items(value.get(key)) if isinstance(one, Mapping)]


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []

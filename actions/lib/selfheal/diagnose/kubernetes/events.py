"""What Kubernetes itself said of the workload, its pods and its nodes: events, as words. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Set

from selfheal.diagnose.kubernetes.notebook import Notebook, clock
from selfheal.workloads import shape

MOST = 40
_MOST_FACTS = 4
_MESSAGE = 1000


def write(notes: Notebook, found: Sequence[Any]) -> None:
    """The events, warnings and the latest first."""
    entries = [dict(one, message=notes.clean(one["message"])) for one in told(found)]
    notes.content["events"] = [dict(one, at=clock(one["at"])) for one in entries]
    said: Set[str] = set()
    for one in entries:
        if one["type"] == "Normal" or one["reason"] in said or len(said) >= _MOST_FACTS:
            continue
        said.add(one["reason"])
        notes.fact(
            "event %s" % one["reason"],
            "%s%s: %s"
            % (
                "%d times, last at %s" % (one["count"], clock(one["at"]))
                if one["count"] > 1
                else "at %s" % clock(one["at"]),
                " on %s" % one["object"],
                one["message"],
            ),
        )


def told(events: Sequence[Any]) -> List[Dict[str, Any]]:
    """At most MOST events as {"at", "type", "reason", "message", "count", "object"}: warnings
    before others, of each the latest first. The same said again counts as one.
    """
    merged: Dict[Any, Dict[str, Any]] = {}
    for event in events:
        one = _entry(event)
        key = (one["type"], one["reason"], one["object"], one["message"])
        known = merged.get(key)
        if known is None:
            merged[key] = one
        else:
            known["count"] += one["count"]
            known["at"] = max(known["at"], one["at"])
    found = sorted(merged.values(), key=lambda one: (one["type"] == "Normal", -one["at"]))
    return found[:MOST]


def _entry(event: Any) -> Dict[str, Any]:
    series = shape.mapping(event, "series")
    about = shape.mapping(event, "involvedObject")
    times = (
        shape.moment(series, "lastObservedTime"),
        shape.moment(event, "lastTimestamp"),
        shape.moment(event, "eventTime"),
        shape.moment(event, "firstTimestamp"),
        shape.moment(shape.metadata(event), "creationTimestamp"),
    )
    return {
        "at": next((at for at in times if at > 0), 0.0),
        "type": shape.line(event, "type", 20) or "Normal",
        "reason": shape.line(event, "reason", 100),
        "message": shape.line(event, "message", _MESSAGE),
        "count": max(1, shape.number(series, "count") or shape.number(event, "count")),
        "object": "%s %s"
        % (shape.line(about, "kind", 60), shape.line(about, "name", shape.NAME_LIMIT)),
    }

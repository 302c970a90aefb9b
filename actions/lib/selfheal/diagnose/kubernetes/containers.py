"""How the containers of a workload stand and how they ended the last time. Pure."""

from __future__ import annotations

import signal
from typing import Any, Dict, List, Optional, Sequence, Tuple

from selfheal.diagnose.kubernetes.notebook import Notebook, clock, lasting
from selfheal.text import counted
from selfheal.workloads import shape

MOST_PODS = 10
_MOST_FACTS = 3
_REASON = 100
_MESSAGE = 2000
_STATES = ("waiting", "running", "terminated")
_EXIT_CODES = {
    126: "the command cannot be executed",
    127: "the command was not found",
}


def write(notes: Notebook, pods: Sequence[Any]) -> None:
    """How the pods' containers stand, the worst first."""
    found = [entry for pod in pods for entry in of_pod(pod)]
    found.sort(key=_rank)
    notes.content["containers"] = [
        dict(entry, message=notes.clean(entry["message"])) for entry in found[:MOST_PODS * 3]
    ]
    for entry in found[:_MOST_FACTS]:
        if _rank(entry)[0] < 3:
            notes.fact("container %s of pod %s" % (entry["container"], entry["pod"]), said(entry))


def of_pod(pod: Any) -> List[Dict[str, Any]]:
    """One entry for each container of a pod: what is it doing, how did it end before."""
    status, spec = shape.mapping(pod, "status"), shape.mapping(pod, "spec")
    name = shape.place(pod)[1]
    specs = {
        shape.text(one, "name"): one
        for key in ("initContainers", "containers")
        for one in shape.mappings(spec, key)
    }
    entries = []
    for key in ("initContainerStatuses", "containerStatuses"):
        for one in shape.mappings(status, key):
            kind, now = _state(shape.mapping(one, "state"))
            entries.append(
                {
                    "pod": name,
                    "container": shape.line(one, "name", shape.NAME_LIMIT),
                    "node": shape.line(spec, "nodeName", shape.NAME_LIMIT),
                    "is_init": key.startswith("init"),
                    "is_ready": one.get("ready") is True,
                    "restarts": shape.number(one, "restartCount"),
                    "state": kind,
                    "reason": shape.line(now, "reason", _REASON),
                    "message": shape.text(now, "message")[:_MESSAGE],
                    "exit_code": shape.optional_number(now, "exitCode"),
                    "last_end": _ending(shape.mapping(one, "lastState", "terminated")),
                    "image": shape.line(one, "image", 300),
                    **resources_of(specs.get(shape.text(one, "name"), {})),
                }
            )
    return entries


def said(entry: Dict[str, Any]) -> str:
    """How a container stands, in words."""
    words = entry["state"] or "unknown"
    if entry["reason"]:
        words += " (%s)" % entry["reason"]
    if entry["state"] == "running" and not entry["is_ready"]:
        words += ", not ready"
    if entry["restarts"]:
        words += ", %s" % counted(entry["restarts"], "restart")
    if entry["exit_code"] is not None and entry["state"] == "terminated":
        words += ", %s" % exit_words(entry["exit_code"])
    last = entry["last_end"]
    if last:
        words += "; ended before with %s" % exit_words(last["exit_code"])
        words += " (%s)" % last["reason"] if last["reason"] else ""
        words += " at %s" % clock(last["finished_at"]) if last["finished_at"] else ""
        if 0 < last["started_at"] <= last["finished_at"]:
            words += " after %s" % lasting(last["finished_at"] - last["started_at"])
    return "%s: %s" % (words, entry["message"]) if entry["message"] else words


def exit_words(code: Optional[int]) -> str:
    """What an exit code says."""
    if code is None:
        return "an unknown exit code"
    if code in _EXIT_CODES:
        return "exit code %d (%s)" % (code, _EXIT_CODES[code])
    if 128 < code < 160:
        try:
            return "exit code %d (%s)" % (code, signal.Signals(code - 128).name)
        except ValueError:
            pass  # no signal has this number here
    return "exit code %d" % code


def _state(state: shape.Json) -> Tuple[str, shape.Json]:
    for kind in _STATES:
        if isinstance(state.get(kind), dict):
            return kind, shape.mapping(state, kind)
    return "", {}


def _ending(ended: shape.Json) -> Dict[str, Any]:
    if not ended:
        return {}
    return {
        "reason": shape.line(ended, "reason", _REASON),
        "exit_code": shape.optional_number(ended, "exitCode"),
        "started_at": shape.moment(ended, "startedAt"),
        "finished_at": shape.moment(ended, "finishedAt"),
    }


def resources_of(spec: shape.Json) -> Dict[str, Dict[str, str]]:
    """{"requests", "limits"}: {"cpu", "memory"} of a container as its spec has them."""
    return {
        kind: {
            name: shape.line(shape.mapping(spec, "resources", kind), name, 40)
            for name in ("cpu", "memory")
            if shape.text(shape.mapping(spec, "resources", kind), name)
        }
        for kind in ("requests", "limits")
    }


def _rank(entry: Dict[str, Any]) -> Tuple[int, int, str, str]:
    """The worst first: what cannot run, what has crashed, what is not ready, the rest."""
    if entry["state"] == "terminated" and entry["exit_code"] == 0:
        rank = 3
    elif entry["state"] in ("waiting", "terminated"):
        rank = 0
    elif entry["last_end"] and entry["last_end"]["exit_code"] != 0:
        rank = 1
    else:
        rank = 2 if not entry["is_ready"] else 3
    return rank, -int(entry["restarts"]), str(entry["pod"]), str(entry["container"])

"""Which trigger asks for the response to an incident, and what it says: one per kind of source.

An incident of error logs or of Kubernetes says in its trigger what rules may want to choose by. Its
text is from outside: it is bounded here, and made harmless by the platform like every payload.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from selfheal.store import Row, Store, load
from selfheal.text import one_line, truncate
from selfheal.verify.errors import SOURCE as ERRORS_SOURCE
from selfheal.workloads import SOURCE as KUBERNETES_SOURCE

ALERT_TRIGGER = "selfheal.alert"
ERROR_TRIGGER = "selfheal.elk_error"
POD_TRIGGER = "selfheal.pod_unhealthy"
_MAX_SAMPLE = 500
_MAX_NAME = 253  # the longest name that Kubernetes allows
_PLACES = ("cluster", "namespace", "workload", "pod", "host", "program")
# What Kubernetes calls things; the incident itself says cluster, namespace and workload.
_OBJECTS = ("workload_kind", "pod", "container", "node", "reason")
_MAX_NUMBER = 2**31 - 1


def announcement(store: Store, row: Row, number: int) -> Tuple[str, Dict[str, Any]]:
    """(trigger, payload) for the incident in `row` (id, severity, alert_type, source, alert_count,
    response_level); `number` names this request for a response. Raises StoreError.
    """
    payload = {
        "incident_id": row["id"],
        "severity": row["severity"],
        "alert_type": row["alert_type"],
        "status": "firing",
        "source": row["source"],
        "alert_count": row["alert_count"],
        "response_level": row["response_level"],
        "dispatch": number,
    }
    if row["source"] not in (ERRORS_SOURCE, KUBERNETES_SOURCE):
        return ALERT_TRIGGER, payload
    kept = store.one(
        "SELECT cluster, namespace, workload, signal FROM incidents WHERE id = ?", (row["id"],)
    )
    signal = (load(kept["signal"]) if kept else None) or {}
    if row["source"] == ERRORS_SOURCE:
        return ERROR_TRIGGER, dict(payload, **_of_errors(signal))
    return POD_TRIGGER, dict(payload, **_of_kubernetes(kept or {}, signal))


def _of_errors(signal: Mapping[str, Any]) -> Dict[str, Any]:
    labels, annotations = (signal.get(name) or {} for name in ("labels", "annotations"))
    return {
        "type": one_line(str(labels.get("error_type", "")), _MAX_NAME),
        "fingerprint": one_line(str(labels.get("fingerprint", "")), _MAX_NAME),
        "count": _number(annotations.get("count")),
        "first_seen": one_line(str(annotations.get("first_seen", "")), _MAX_NAME),
        "last_seen": one_line(str(annotations.get("last_seen", "")), _MAX_NAME),
        "sample": truncate(str(annotations.get("sample", "")), _MAX_SAMPLE),
        **{name: one_line(str(labels.get(name, "")), _MAX_NAME) for name in _PLACES},
    }


def _of_kubernetes(row: Mapping[str, Any], signal: Mapping[str, Any]) -> Dict[str, Any]:
    labels, annotations = (signal.get(name) or {} for name in ("labels", "annotations"))
    exit_code = str(labels.get("exit_code", ""))
    return {
        **{
            name: one_line(str(row.get(name) or ""), _MAX_NAME)
            for name in ("cluster", "namespace", "workload")
        },
        **{name: one_line(str(labels.get(name, "")), _MAX_NAME) for name in _OBJECTS},
        "exit_code": _number(exit_code) if exit_code else -1,
        "restarts": _number(annotations.get("restarts")),
    }


def _number(text: Any) -> int:
    """The count that `text` writes; 0 for what is none."""
    shown = str(text or "")
    is_count = shown.isdecimal() and shown.isascii() and len(shown) <= 10
    return min(int(shown), _MAX_NUMBER) if is_count else 0

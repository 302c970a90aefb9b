"""Which trigger asks for the response to an incident, and what it says: one per kind of source.

An incident of error logs says in its trigger what rules may want to choose by. Its text is from
outside: it is bounded here, and made harmless by the platform like every payload.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from selfheal.store import Row, Store, load
from selfheal.text import one_line, truncate
from selfheal.verify.errors import SOURCE as ERRORS_SOURCE

ALERT_TRIGGER = "selfheal.alert"
ERROR_TRIGGER = "selfheal.elk_error"
_MAX_SAMPLE = 500
_MAX_NAME = 253  # the longest name that Kubernetes allows
_PLACES = ("cluster", "namespace", "workload", "pod", "host", "program")


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
    if row["source"] != ERRORS_SOURCE:
        return ALERT_TRIGGER, payload
    signal = load(store.value("SELECT signal FROM incidents WHERE id = ?", (row["id"],))) or {}
    return ERROR_TRIGGER, dict(payload, **_of_errors(signal))


def _of_errors(signal: Mapping[str, Any]) -> Dict[str, Any]:
    labels, annotations = (signal.get(name) or {} for name in ("labels", "annotations"))
    count = str(annotations.get("count", ""))
    return {
        "type": one_line(str(labels.get("error_type", "")), _MAX_NAME),
        "fingerprint": one_line(str(labels.get("fingerprint", "")), _MAX_NAME),
        "count": int(count) if count.isdecimal() else 0,
        "first_seen": one_line(str(annotations.get("first_seen", "")), _MAX_NAME),
        "last_seen": one_line(str(annotations.get("last_seen", "")), _MAX_NAME),
        "sample": truncate(str(annotations.get("sample", "")), _MAX_SAMPLE),
        **{name: one_line(str(labels.get(name, "")), _MAX_NAME) for name in _PLACES},
    }

"""The signal that a group of errors gives: that it is over the threshold, and that it is quiet
again.

What a signal says comes from the data alone, so that every sensor would say the same of the same
documents. Text from outside is kept as it came in labels and annotations, and made one printable
line in the title.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

from selfheal.errors.record import UNREADABLE
from selfheal.errors.scope import NAMES
from selfheal.errors.windows import MINUTES_OF_GROUP, OF_GROUP, span
from selfheal.incidents.model import severity_rank
from selfheal.incidents.signal import FIRING, RESOLVED, Signal, epoch_of, time_text
from selfheal.store import Row, Store, load
from selfheal.text import counted, one_line, truncate
from selfheal.verify.errors import SOURCE

MINUTE_S = 60
ALERT_NAMES = {
    "application": "ApplicationErrors",
    "configuration": "ConfigurationErrors",
    "database": "DatabaseErrors",
    "kubernetes": "KubernetesErrors",
    "network": "NetworkErrors",
    "security": "SecurityErrors",
    "storage": "StorageErrors",
    "system": "SystemErrors",
    UNREADABLE: "UnreadableDocuments",
}
_OTHER = "ApplicationErrors"
_MAX_COUNTED = 10_000  # beyond it the minutes' counts are exact enough for a title
_MAX_SAMPLE = 2000
_MAX_RANKED = 50
_TICK_S = 0.001  # what canonical times tell apart
_LATEST = 253402300799.0  # the last second that a time can be written of
_BY_AGGREGATION = (
    "counted by aggregation: the number is exact, how it divides among patterns is estimated from "
    "samples"
)


def name_of(group_key: str) -> str:
    """The fingerprint of the group's signal."""
    return "%s:%s" % (SOURCE, group_key)


def cause_of(group_key: str) -> str:
    """The cause (group key) of the incident that the group's errors open."""
    text = json.dumps([SOURCE, group_key])
    return "v1:%s" % hashlib.sha256(text.encode("ascii")).hexdigest()[:40]


def time_of(at: float) -> str:
    """`at` as a signal writes times, whatever a log claimed."""
    return time_text(min(max(at, 0.0), _LATEST))


def after(text: str) -> float:
    """The first moment that is later than the canonical time `text`."""
    return epoch_of(text) + _TICK_S


def firing(store: Store, group: Row, start: float, window_s: float) -> Signal:
    """The group is over the threshold in the window that begins at `start`. `group` is its row."""
    key = str(group["group_key"])
    pattern = store.one(
        "SELECT template, sample, rule FROM error_patterns WHERE fingerprint = ?",
        (group["fingerprint"],),
    ) or {"template": "", "sample": "", "rule": ""}
    first = store.one(
        "SELECT error_type, host, program, message, detail FROM error_logs WHERE %s "
        "ORDER BY group_key, logged_at LIMIT 1" % OF_GROUP,
        span(key, start),
    )
    detail: Dict[str, Any] = load(first["detail"]) if first else {}
    error_type = str(first["error_type"] if first else group["error_type"])
    name = ALERT_NAMES.get(error_type, _OTHER)
    severity = _worst(store, key, start) or str(group["severity"])
    stored, by_storm = _counts(store, key, start, window_s)
    summary = "%s in %g min" % (counted(stored + by_storm, "error"), window_s / MINUTE_S)
    where = _labels(group, first, detail)
    rule = str(detail.get("rule") or pattern["rule"])
    sample = truncate(str(first["message"] if first else pattern["sample"]), _MAX_SAMPLE)
    annotations = {
        "summary": summary,
        "description": "%s of one pattern (%s)%s; %s by the rule %s"
        % (summary, group["fingerprint"], _where(group), error_type, rule),
        "pattern": truncate(str(pattern["template"]), _MAX_SAMPLE),
        "sample": sample,
        "first_seen": time_of(start),
        "last_seen": time_of(group["last_logged_at"]),
        "count": str(stored + by_storm),
        **({"counted": _BY_AGGREGATION} if by_storm else {}),
    }
    labels = {
        "alertname": name,
        "error_type": error_type,
        "severity": severity,
        "fingerprint": str(group["fingerprint"]),
        "rule": rule,
        "origin": str(group["origin"]),
        **where,
    }
    title = one_line("%s: %s" % (summary, pattern["template"] or sample))
    return _signal(group, name, severity, title, labels, annotations, time_of(start))


def quiet(group: Row) -> Signal:
    """The signal that fires for the group has ended with its last error."""
    name = ALERT_NAMES.get(str(group["error_type"]), _OTHER)
    starts_at = str(group["alerting_since"])
    return replace(
        _signal(group, name, str(group["severity"]), name, {}, {}, starts_at),
        status=RESOLVED,
        ends_at=max(time_of(group["last_logged_at"]), starts_at),
    )


def _signal(
    group: Row,
    name: str,
    severity: str,
    title: str,
    labels: Dict[str, str],
    annotations: Dict[str, str],
    starts_at: str,
) -> Signal:
    return Signal(
        fingerprint=name_of(group["group_key"]),
        starts_at=starts_at,
        status=FIRING,
        alert_name=name,
        severity=severity,
        title=title,
        source=SOURCE,
        group_key=cause_of(group["group_key"]),
        labels=labels,
        annotations=annotations,
        cluster=group["cluster"],
        namespace=group["namespace"],
        workload=group["workload"],
        instance=group["host"] or labels.get("host"),
        service=group["program"] or labels.get("program"),
        grouping=_grouping(group),
    )


def _grouping(group: Row) -> Dict[str, str]:
    scope = {name: str(group[name]) for name in NAMES if group[name]}
    return {"fingerprint": str(group["fingerprint"]), **scope}


def _labels(group: Row, first: Optional[Row], detail: Dict[str, Any]) -> Dict[str, str]:
    """Where the errors come from: the group's scope, and of its first document what that lacks."""
    found = {name: group[name] for name in NAMES}
    if first:
        for name in ("host", "program"):
            found[name] = found[name] or first[name]
    for name in ("cluster", "namespace", "workload", "pod", "container", "node"):
        found[name] = found.get(name) or detail.get(name)
    return {name: str(value) for name, value in found.items() if value}


def _where(group: Row) -> str:
    return " at %s" % group["scope"] if group["scope"] else ""


def _worst(store: Store, key: str, start: float) -> str:
    rows = store.query(
        "SELECT severity FROM error_logs WHERE %s ORDER BY group_key, logged_at LIMIT ?" % OF_GROUP,
        (*span(key, start), _MAX_RANKED),
    )
    return min((str(row["severity"]) for row in rows), key=severity_rank, default="")


def _counts(store: Store, key: str, start: float, window_s: float) -> Tuple[int, int]:
    """(errors stored, errors counted by aggregation) in the window."""
    stored = store.value(
        "SELECT COUNT(*) FROM (SELECT 1 FROM error_logs WHERE %s LIMIT ?) AS found" % OF_GROUP,
        (*span(key, start, start + window_s), _MAX_COUNTED),
    )
    row = store.one(
        "SELECT SUM(stored) AS stored, SUM(counted) AS counted FROM error_counts WHERE %s"
        % MINUTES_OF_GROUP,
        span(key, int(start // MINUTE_S), int((start + window_s) // MINUTE_S)),
    ) or {"stored": 0, "counted": 0}
    by_minute = int(row["stored"] or 0)
    exact = int(stored or 0)
    return (max(exact, by_minute) if exact == _MAX_COUNTED else exact), int(row["counted"] or 0)

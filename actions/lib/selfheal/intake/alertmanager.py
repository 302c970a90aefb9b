"""Alertmanager's words become Signals: the webhook's body (version 4), the API's alerts, and single
alerts.

Any JSON may come. A body that cannot be used at all raises InvalidInput; a bad alert is rejected
alone and never costs a neighbour; a missing fingerprint, start or status is mended and the signal
is marked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.incidents.model import severity_of
from selfheal.incidents.signal import FIRING, RESOLVED, Signal, canonical_time, time_text
from selfheal.intake.grouping import group_of, scope_of
from selfheal.records import dataclass
from selfheal.text import one_line, printable, truncate

SOURCE = "alertmanager"
VERSION = "4"
UNNAMED = "unnamed"
_CUT = "…"  # the label or annotation that says what was cut
_MAX_NAME = 200
_MAX_URL = 4096
# A fingerprint is computed byte by byte; above this size the sender's own is taken unchecked.
_MAX_HASHED = 64 * 1024
_MIN_PIECE = 256  # bytes; a shorter piece of a long text says nothing
_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_64_BITS = (1 << 64) - 1
_SEPARATOR = b"\xff"
_FAR_AHEAD_S = 10 * 366 * 86400.0
# Kept before any other when labels must be cut: they say which incident the alert belongs to.
_KEPT = (
    "alertname",
    "severity",
    "cluster",
    "namespace",
    "pod",
    "instance",
    "service",
    "job",
    "node",
    "deployment",
    "statefulset",
    "daemonset",
    "workload",
)
_TITLES = ("summary", "message", "description")


@dataclass(frozen=True)
class Reading:
    """How alerts are read. `now` is seconds since the epoch. `is_answer` says that Alertmanager was
    asked and has just answered: only then does an alert's `updatedAt` count as proof that it
    fires.
    """

    now: float
    group_by: Tuple[str, ...] = ()
    cluster_label: str = "cluster"
    max_bytes: int = 262144
    source: str = SOURCE
    is_answer: bool = False


@dataclass(frozen=True)
class Parsed:
    """What a body held. `rejected` are (reason, the alert as it came); `truncated` is how many
    alerts Alertmanager left out; `group_labels`, `common_labels` and `receiver` are the body's
    own.
    """

    signals: List[Signal]
    rejected: List[Tuple[str, Any]]
    truncated: int = 0
    receiver: str = ""
    group_key: str = ""
    group_labels: Dict[str, str] = field(default_factory=dict)
    common_labels: Dict[str, str] = field(default_factory=dict)


def parse_body(body: Any, reading: Reading) -> Parsed:
    """The webhook's body. Raises InvalidInput when it is no object, of another version, or without
    alerts.
    """
    if not isinstance(body, Mapping):
        raise InvalidInput(
            "the body is %s, not an object as Alertmanager's webhook sends it; point its "
            "webhook_configs url at "
            "this hook and send application/json" % _kind(body)
        )
    version = body.get("version", VERSION)
    if str(version) != VERSION:
        raise InvalidInput(
            'the body has version %r; only Alertmanager\'s version "4" (since 0.6) is understood'
            % one_line(str(version), 40)
        )
    alerts = body.get("alerts")
    if not isinstance(alerts, (list, tuple)):
        raise InvalidInput(
            "the body has no list `alerts` (it is %s); is this an Alertmanager webhook?"
            % _kind(alerts)
        )
    signals, rejected = parse_alerts(alerts, reading)
    left_out = body.get("truncatedAlerts")
    truncated = max(0, left_out) if isinstance(left_out, int) else 0
    return Parsed(
        signals,
        rejected,
        truncated,
        _plain(body.get("receiver")),
        _plain(body.get("groupKey")),
        _texts(body.get("groupLabels")),
        _texts(body.get("commonLabels")),
    )


def parse_alerts(
    alerts: Sequence[Any], reading: Reading
) -> Tuple[List[Signal], List[Tuple[str, Any]]]:
    """(signals, rejected) of a list of alerts, as the webhook or the API writes them."""
    signals: List[Signal] = []
    rejected: List[Tuple[str, Any]] = []
    for alert in alerts:
        try:
            signals.append(parse_alert(alert, reading))
        except InvalidInput as error:
            rejected.append((str(error), alert))
        except RecursionError:
            rejected.append(("the alert is nested too deeply", None))
    return signals, rejected


def parse_alert(alert: Any, reading: Reading) -> Signal:
    """One alert. Raises InvalidInput when it is no object or has no labels."""
    if not isinstance(alert, Mapping):
        raise InvalidInput("the alert is %s, not an object" % _kind(alert))
    labels = _texts(alert.get("labels"))
    if not labels:
        raise InvalidInput("the alert has no labels (labels is %s)" % _kind(alert.get("labels")))
    annotations = _texts(alert.get("annotations"))
    marks: List[str] = []
    fingerprint = _fingerprint(alert.get("fingerprint"), labels, marks)
    status, starts_at, ends_at = _times(alert, reading, marks)
    name = one_line(labels.get("alertname", ""), _MAX_NAME) or UNNAMED
    scope = scope_of(labels, reading.cluster_label)
    group_key, grouping = group_of(name, labels, scope, reading.group_by)
    title = next((annotations[key] for key in _TITLES if annotations.get(key, "").strip()), name)
    return Signal(
        fingerprint=fingerprint,
        starts_at=starts_at,
        status=status,
        alert_name=name,
        severity=severity_of(labels.get("severity")),
        title=one_line(title[:2000], _MAX_NAME) or name,
        source=reading.source,
        group_key=group_key,
        grouping=grouping,
        labels=_limited(labels, reading.max_bytes, "labels", marks),
        annotations=_limited(annotations, reading.max_bytes, "annotations", marks),
        ends_at=ends_at,
        generator_url=truncate(
            printable(_plain(alert.get("generatorURL"))[: _MAX_URL + 1]), _MAX_URL
        ),
        cluster=scope.cluster,
        namespace=scope.namespace,
        workload=scope.workload,
        instance=scope.instance,
        service=scope.service,
        updated_at=canonical_time(alert.get("updatedAt")) if reading.is_answer else None,
        marks=tuple(marks),
    )


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The fingerprint that Alertmanager gives this label set: FNV-1a (64 bit) over the sorted names
    and values.
    """
    total = _FNV_OFFSET
    for name in sorted(labels):
        # A lone surrogate cannot come from Alertmanager itself (Go replaces it); here it must not
        # be fatal.
        pair = (
            name.encode("utf-8", "surrogatepass") +
            _SEPARATOR +
            labels[name].encode("utf-8", "surrogatepass")
        )
        for byte in pair + _SEPARATOR:
            total = ((total ^ byte) * _FNV_PRIME) & _64_BITS
    return "%016x" % total


def _fingerprint(given: Any, labels: Dict[str, str], marks: List[str]) -> str:
    """The label set's own fingerprint: the one sent may be missing, or the same for different
    alerts.
    """
    size = sum(len(name) + len(value) for name, value in labels.items())
    is_usable = (
        isinstance(given, str) and len(given) == 16 and all(c in "0123456789abcdef" for c in given)
    )
    if size > _MAX_HASHED:
        if is_usable:
            return str(given)
        marks.append("fingerprint computed")
        return hashlib.sha256(json.dumps(labels, sort_keys=True).encode("ascii")).hexdigest()[:16]
    computed = fingerprint_of(labels)
    if computed != given:
        marks.append("fingerprint computed" if not given else "fingerprint did not fit the labels")
    return computed


def _times(
    alert: Mapping[str, Any], reading: Reading, marks: List[str]
) -> Tuple[str, str, Optional[str]]:
    """(status, starts_at, ends_at); ends_at only for a resolved alert."""
    now = time_text(reading.now)
    starts_at, ends_at = canonical_time(alert.get("startsAt")), canonical_time(alert.get("endsAt"))
    status = alert.get("status")
    if isinstance(status, Mapping):  # the API's form; it lists only alerts that have not ended
        status = FIRING
    if status not in (FIRING, RESOLVED):
        status = RESOLVED if ends_at is not None and ends_at <= now else FIRING
        marks.append("status derived from endsAt")
    if starts_at is not None and starts_at > time_text(reading.now + _FAR_AHEAD_S):
        starts_at = None  # every true start would look older than this one
    if starts_at is None:
        marks.append("startsAt set to the time it came")
        starts_at = now if status == FIRING or ends_at is None else ends_at
    return str(status), starts_at, (ends_at or starts_at) if status == RESOLVED else None


def _limited(texts: Dict[str, str], max_bytes: int, what: str, marks: List[str]) -> Dict[str, str]:
    if sum(len(name) + len(value) for name, value in texts.items()) * 4 <= max_bytes:
        return texts  # within the limit even if every character took four bytes
    if sum(_size(name) + _size(value) for name, value in texts.items()) <= max_bytes:
        return texts
    kept: Dict[str, str] = {}
    room = max_bytes
    for name in sorted(texts, key=lambda name: (name not in _KEPT, _size(texts[name]), name)):
        value, left = texts[name], room - _size(name)
        if _size(value) > left:
            if left < _MIN_PIECE:
                continue
            value = truncate(value, left // 4)
        kept[name] = value
        room = left - _size(value)
    missing = len(texts) - len(kept)
    marks.append("%s cut to %d bytes" % (what, max_bytes))
    kept[_CUT] = "cut to %d bytes: %d of %d %s left out" % (max_bytes, missing, len(texts), what)
    return kept


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _texts(value: Any) -> Dict[str, str]:
    """A map of texts: what is no text becomes its JSON; a missing or null map is empty."""
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name): item if isinstance(item, str) else _as_text(item)
        for name, item in value.items()
        if item is not None
    }


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kind(value: Any) -> str:
    if value is None:
        return "missing or null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "%s %s" % (
        "the text" if isinstance(value, str) else "the value",
        one_line(repr(value)[:200], 60),
    )

"""The alerts of incidents: one row per (fingerprint, start), whatever order and however often
messages come.

A row's status follows from the set of facts seen, not from their order: it is resolved when its own
end or a later end of its fingerprint is known, superseded when a later start is, firing otherwise.
An end that comes before its start leaves a row all the same, so that the late start opens nothing.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence

from selfheal.records import dataclass
from selfheal.store import Row, Store, dump, load
from selfheal.store.engine import in_chunks, insert_sql, placeholders

if TYPE_CHECKING:
    from selfheal.incidents.signal import Signal

FIRING = "firing"
RESOLVED = "resolved"
SUPERSEDED = "superseded"
MANUAL_SOURCE = "manual"  # raised by a person: no other system can be asked about it
BY_HAND = "ByHand"  # the alert name of incidents that an operation by hand opens
_CHUNK = 400  # two lists of this length still fit into old SQLite's 999 placeholders
_COLUMNS = (
    "fingerprint",
    "starts_at",
    "incident_id",
    "status",
    "severity",
    "source",
    "labels",
    "annotations",
    "generator_url",
    "ends_at",
    "first_seen_at",
    "last_seen_at",
)


@dataclass
class Alert:
    """One alert while a batch is worked on. `was` is its status in the store, None when it is new
    there.
    """

    fingerprint: str
    starts_at: str
    status: str
    was: Optional[str]
    source: str
    incident_id: Optional[str] = None
    ends_at: Optional[str] = None
    seen: Optional[Signal] = None

    @property
    def began(self) -> bool:
        """Whether it fires now and did not before."""
        return self.status == FIRING and self.was != FIRING

    @property
    def ended(self) -> bool:
        """Whether its end has come now; one that a later start replaces has not ended."""
        return self.was == FIRING and self.status == RESOLVED


@dataclass
class _History:
    """What is known of one fingerprint: the latest start and end, and the rows that may still
    change.
    """

    newest: str = ""
    last_end: str = ""
    alerts: Dict[str, Alert] = field(default_factory=dict)


class AlertBook:
    """The alerts that a batch of signals concerns: loaded at once, changed in memory, written at
    once.
    """

    def __init__(self, store: Store, signals: Sequence[Signal]) -> None:
        self._store = store
        self._histories = {signal.fingerprint: _History() for signal in signals}
        for chunk in in_chunks(list(signals), _CHUNK):
            self._load(sorted({s.fingerprint for s in chunk}), sorted({s.starts_at for s in chunk}))

    def apply(self, signal: Signal) -> None:
        """Take one signal in."""
        history = self._histories[signal.fingerprint]
        alert = history.alerts.get(signal.starts_at)
        is_new = alert is None
        if alert is None:
            alert = Alert(signal.fingerprint, signal.starts_at, "", None, signal.source)
        if signal.is_resolved:
            _end(history, alert, signal.ends_at or signal.starts_at)
        elif signal.updated_at is not None and signal.updated_at > max(
            history.last_end, alert.ends_at or ""
        ):
            # Alertmanager itself says that it fires, and said so after any end we know: a start
            # that only looks late.
            _supersede(history, except_for=alert)
            alert.status, alert.ends_at = FIRING, None
        elif is_new:
            alert.status = _status_of_new(history, signal.starts_at)
        if is_new and signal.starts_at > history.newest:
            history.newest = signal.starts_at
            _supersede(history, except_for=alert)
        history.alerts[signal.starts_at] = alert
        if alert.source == MANUAL_SOURCE:
            alert.source = signal.source
        alert.seen = signal

    def touched(self) -> List[Alert]:
        """Alerts that a signal named or that changed, firing ones first, in a fixed order."""
        found = [
            alert
            for history in self._histories.values()
            for alert in history.alerts.values()
            if alert.seen is not None or alert.status != alert.was
        ]
        return sorted(
            found, key=lambda alert: (alert.status != FIRING, alert.starts_at, alert.fingerprint)
        )

    def write(self) -> None:
        """Store what was taken in. Every new alert must have its incident by now."""
        now = self._store.now()
        new, known = [], []
        for alert in self.touched():
            if alert.was is None and alert.seen is not None:
                new.append(_new_row(alert, alert.seen, now))
            else:
                known.append(
                    (
                        alert.incident_id,
                        alert.status,
                        alert.ends_at,
                        alert.source,
                        int(alert.seen is not None),
                        now,
                        alert.fingerprint,
                        alert.starts_at,
                    )
                )
        self._store.execute_many(insert_sql("alerts", _COLUMNS), new)
        self._store.execute_many(
            "UPDATE alerts SET incident_id = ?, status = ?, ends_at = ?, source = ?, "
            "last_seen_at = CASE WHEN ? = 1 THEN ? ELSE last_seen_at END WHERE fingerprint = ? "
            "AND starts_at = ?",
            known,
        )

    def _load(self, fingerprints: List[str], starts: List[str]) -> None:
        marks = placeholders(fingerprints)
        rows = self._store.query(
            "SELECT fingerprint, starts_at, incident_id, status, source, ends_at FROM alerts "
            "WHERE fingerprint IN (%s) AND "
            "(starts_at IN (%s) OR (ends_at IS NULL AND status <> ?))"
            % (marks, placeholders(starts)),
            (*fingerprints, *starts, SUPERSEDED),
        )
        for row in rows:
            self._histories[row["fingerprint"]].alerts.setdefault(
                row["starts_at"], Alert(was=row["status"], **row)
            )
        for row in self._store.query(
            "SELECT fingerprint, MAX(starts_at) AS newest, MAX(ends_at) AS last_end FROM "
            "alerts "
            "WHERE fingerprint IN (%s) GROUP BY fingerprint" % marks,
            fingerprints,
        ):
            history = self._histories[row["fingerprint"]]
            history.newest, history.last_end = row["newest"], row["last_end"] or ""


def alerts_of(store: Store, incident_id: str, status: str = "", limit: int = 1000) -> List[Row]:
    """The incident's alerts (of `status` when given), oldest start first, labels and annotations as
    dicts.
    """
    rows = store.query(
        "SELECT * FROM alerts WHERE incident_id = ? AND (? = '' OR status = ?) ORDER BY "
        "starts_at, fingerprint LIMIT ?",
        (incident_id, status, status, limit),
    )
    for row in rows:
        row["labels"], row["annotations"] = load(row["labels"]), load(row["annotations"])
    return rows


def tally(store: Store, incident_ids: Iterable[str]) -> Dict[str, Row]:
    """For each incident that has alerts: {"firing": rows that fire, "alerts": distinct alerts
    ever}.
    """
    found: Dict[str, Row] = {}
    for chunk in in_chunks(sorted(incident_ids), _CHUNK):
        rows = store.query(
            "SELECT incident_id, SUM(CASE WHEN status = ? THEN 1 ELSE 0 END) AS firing, "
            "COUNT(DISTINCT fingerprint) AS alerts FROM alerts WHERE incident_id IN (%s) GROUP "
            "BY incident_id" % placeholders(chunk),
            (FIRING, *chunk),
        )
        found.update((row["incident_id"], row) for row in rows)
    return found


def _end(history: _History, alert: Alert, ends_at: str) -> None:
    alert.ends_at = max(alert.ends_at or ends_at, ends_at)
    alert.status = RESOLVED
    history.last_end = max(history.last_end, ends_at)
    for other in history.alerts.values():
        if other.status == FIRING and other.starts_at <= history.last_end:
            other.status = RESOLVED


def _supersede(history: _History, except_for: Alert) -> None:
    for other in history.alerts.values():
        if other is not except_for and other.ends_at is None:
            other.status = SUPERSEDED


def _status_of_new(history: _History, starts_at: str) -> str:
    if history.newest > starts_at:
        return SUPERSEDED
    return RESOLVED if history.last_end >= starts_at else FIRING


def _new_row(alert: Alert, signal: Signal, now: float) -> Sequence[Any]:
    return (
        alert.fingerprint,
        alert.starts_at,
        alert.incident_id,
        alert.status,
        signal.severity,
        alert.source,
        dump(signal.labels),
        dump(signal.annotations),
        signal.generator_url,
        alert.ends_at,
        now,
        now,
    )

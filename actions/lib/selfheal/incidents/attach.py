"""Signals become incidents: one open incident per cause, duplicates attach, the last end clears it.

`attach` is one transaction that runs alone among its kind, so two senders of the same alert end in
one incident. The outcome does not depend on the order of messages, nor on how often each came.
Starting responses is left to `dispatch`.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence

from selfheal.exceptions import Refused
from selfheal.incidents import flapping, model, timeline
from selfheal.incidents.alerts import FIRING, MANUAL_SOURCE, Alert, AlertBook, tally
from selfheal.incidents.columns import (
    BY_ITSELF,
    DEFAULT_RESPONSE_LEVEL,
    new_columns,
    signal_column,
)
from selfheal.records import dataclass
from selfheal.store import Row, Store, chain
from selfheal.store.engine import in_chunks, insert_sql, placeholders
from selfheal.text import counted
from selfheal.verify.errors import SOURCE as ERRORS_SOURCE
from selfheal.workloads import SOURCE as KUBERNETES_SOURCE

if TYPE_CHECKING:
    from selfheal.incidents.signal import Signal

# A firing message this soon after its incident was closed may have been on its way before; later
# the alert still fires.
LATE_MESSAGE_S = 300.0
_CHUNK = 400
_LOADED = (
    "id, group_key, source, alert_type, severity, status, response_level, dry_run, signal, "
    "title, resolution, reopened, "
    "opened_at, dispatched_at, cleared_at, resolved_at"
)
# What any batch may change, and what only some do: a response moves the status at the same time, so
# we must not write back what we have read.
_OFTEN = ("severity", "alert_count", "cleared_at", "updated_at", "last_seen_at")
_SELDOM = (
    "status",
    "title",
    "signal",
    "response_level",
    "dry_run",
    "resolution",
    "reopened",
    "dispatched_at",
    "resolved_at",
)

# What people call the signals of a source.
_NOUNS = {ERRORS_SOURCE: "error group", KUBERNETES_SOURCE: "unhealthy state"}
_NO_TRIAL = (
    "a dry run must not touch %s, which is real and %s: it would count as tried out from then on, "
    "and nobody would heal it. %s"
)
_SEE_PLAN = (
    "To see its plan and leave it as it is: st2 run selfheal.remediate incident_id=%s dry_run=true"
)
_TRY_ANEW = "To try the same alert anew, give it another label, such as trial=1"


@dataclass(frozen=True)
class AttachSettings:
    """`response_level` and `dry_run` are set where a person said so, and None where only an alert
    came. `flap_quiet_minutes` is how long a cause that people were told of must stay away to be
    told anew; 0 tells it each time.
    """

    reopen_minutes: float = 30.0
    response_level: Optional[str] = None
    dry_run: Optional[bool] = None
    flap_quiet_minutes: float = 0.0


@dataclass(frozen=True)
class Attachment:
    """What a batch did. Lists hold incident ids in a fixed order; `touched` is all of them
    together.

    `incident_of` maps (fingerprint, starts_at) of each signal to its incident.
    """

    opened: List[str] = field(default_factory=list)
    reopened: List[str] = field(default_factory=list)
    attached: List[str] = field(default_factory=list)
    cleared: List[str] = field(default_factory=list)
    touched: List[str] = field(default_factory=list)
    incident_of: Dict[Any, str] = field(default_factory=dict)


@dataclass
class _Case:
    """One incident while a batch is worked on: its columns, and what the batch did to it."""

    columns: Row
    loaded: Row
    is_new: bool = False
    is_opened: bool = False
    is_reopened: bool = False
    is_cleared: bool = False
    began: List[Signal] = field(default_factory=list)
    ended: int = 0

    @property
    def id(self) -> str:
        return str(self.columns["id"])

    @property
    def is_closed(self) -> bool:
        return bool(self.columns["status"] == model.RESOLVED)


def attach(
    store: Store, signals: Sequence[Signal], settings: Optional[AttachSettings] = None
) -> Attachment:
    """Bring `signals` into the store as alerts of incidents. Raises StoreError, and Refused for a
    dry run of what is real already; then nothing of the batch is stored.
    """
    if not signals:
        return Attachment()
    settings = settings or AttachSettings()
    with store.transaction("incidents"):
        book = AlertBook(store, signals)
        for signal in signals:
            book.apply(signal)
        touched = book.touched()
        register = _Register(store, settings, touched)
        for alert in touched:
            register.place(alert)
        book.write()
        return register.finish(
            {(a.fingerprint, a.starts_at): str(a.incident_id) for a in touched if a.seen}
        )


class _Register:
    """The incidents that a batch may concern, by id and by cause."""

    def __init__(self, store: Store, settings: AttachSettings, alerts: Sequence[Alert]) -> None:
        self._store = store
        self._settings = settings
        self._now = store.now()
        self._reopen_after = self._now - settings.reopen_minutes * 60
        self._cases: Dict[str, _Case] = {}
        self._open: Dict[str, _Case] = {}
        self._recent: Dict[str, _Case] = {}
        self._touched: Dict[str, _Case] = {}
        self._told: List[Row] = []
        self._load("id IN (%s)", {alert.incident_id for alert in alerts if alert.incident_id})
        keys = {alert.seen.group_key for alert in alerts if alert.seen}
        self._load("group_key IN (%s) AND status <> 'resolved'", keys)
        self._load(
            "group_key IN (%s) AND status = 'resolved' AND resolved_at >= ?",
            keys,
            self._reopen_after,
        )

    def place(self, alert: Alert) -> None:
        """Give `alert` its incident, opening or reopening one where it fires and none is open."""
        case = self._cases.get(alert.incident_id or "")
        signal = alert.seen
        begins = alert.began
        if signal is not None and (
            case is None or (case.is_closed and self._fires_again(alert, case))
        ):
            case = self._case_for(alert, signal)
            begins = alert.status == FIRING
        if case is None:
            return
        if self._settings.dry_run and not case.is_new and not case.columns["dry_run"]:
            advice = _TRY_ANEW if case.is_closed else _SEE_PLAN % case.id
            raise Refused(_NO_TRIAL % (case.id, case.columns["status"], advice))
        alert.incident_id = case.id
        self._touched[case.id] = case
        if begins and signal is not None:
            case.began.append(signal)
        case.ended += int(alert.ended)
        if alert.was is None and signal is not None and not case.is_reopened:
            case.columns["severity"] = _worse(case.columns["severity"], signal.severity)

    def finish(self, incident_of: Dict[Any, str]) -> Attachment:
        """Write the incidents and their timelines; the alerts are stored already."""
        counts = tally(self._store, self._touched)
        done = Attachment(touched=sorted(self._touched), incident_of=incident_of)
        cases = [self._touched[incident_id] for incident_id in done.touched]
        for case in cases:
            count = counts.get(case.id, {"firing": 0, "alerts": 0})
            self._settle(case, count["firing"], done)
            case.columns.update(
                alert_count=count["alerts"], updated_at=self._now, last_seen_at=self._now
            )
            self._narrate(case, count["firing"])
        self._fold([case for case in cases if case.is_opened or case.is_reopened])
        new = [case.columns for case in cases if case.is_new]
        if new:
            self._store.execute_many(
                insert_sql("incidents", new[0]), (tuple(columns.values()) for columns in new)
            )
        known = [case for case in cases if not case.is_new]
        self._update(_OFTEN, known)
        self._update(
            _SELDOM,
            [case for case in known if any(case.columns[n] != case.loaded[n] for n in _SELDOM)],
        )
        timeline.record_many(self._store, self._told)
        return done

    def _update(self, names: Sequence[str], cases: Sequence[_Case]) -> None:
        self._store.execute_many(
            "UPDATE incidents SET %s WHERE id = ?" % ", ".join("%s = ?" % name for name in names),
            [(*(case.columns[name] for name in names), case.id) for case in cases],
        )

    def _load(self, condition: str, values: Iterable[Any], *more: Any) -> None:
        for chunk in in_chunks(sorted(values), _CHUNK):
            for row in self._store.query(
                "SELECT %s FROM incidents WHERE %s" % (_LOADED, condition % placeholders(chunk)),
                (*chunk, *more),
            ):
                self._remember(self._cases.setdefault(row["id"], _Case(row, dict(row))))

    def _remember(self, case: _Case) -> None:
        key = case.columns["group_key"]
        if not case.is_closed:
            self._open[key] = case
        elif (case.columns["resolved_at"] or 0) >= self._reopen_after:
            known = self._recent.get(key)
            if known is None or known.columns["resolved_at"] <= case.columns["resolved_at"]:
                self._recent[key] = case

    def _fires_again(self, alert: Alert, case: _Case) -> bool:
        """Whether a firing alert of a closed incident says that the cause is back, or was never
        gone.
        """
        if alert.status != FIRING:
            return False
        by_hand = case.columns["resolution"] == "manual"
        patience = self._settings.reopen_minutes * 60 if by_hand else LATE_MESSAGE_S
        return alert.began or abs(self._now - (case.columns["resolved_at"] or 0)) >= patience

    def _case_for(self, alert: Alert, signal: Signal) -> _Case:
        key = signal.group_key
        if key in self._open:
            return self._open[key]
        recent = self._recent.get(key)
        if alert.status != FIRING:
            return recent or self._create(signal, model.RESOLVED)
        if recent is None or (self._settings.dry_run and not recent.columns["dry_run"]):
            return self._create(signal, model.OPEN)  # a trial does not open what was real again
        self._reopen(recent)
        return recent

    def _create(self, signal: Signal, status: str) -> _Case:
        is_open = status == model.OPEN
        columns = new_columns(
            signal,
            status,
            self._settings.response_level,
            bool(self._settings.dry_run),
            self._now,
        )
        case = _Case(columns, dict(columns), is_new=True, is_opened=is_open)
        self._cases[case.id] = case
        self._remember(case)
        return case

    def _reopen(self, case: _Case) -> None:
        columns = case.columns
        # Recorded only because its end came first: then this is its opening, not a return.
        was_never_open = (
            columns["resolved_at"] == columns["opened_at"] and
            columns["dispatched_at"] is None and
            columns["resolution"] == BY_ITSELF
        )
        case.is_opened, case.is_reopened = was_never_open, not was_never_open
        columns.update(
            status=model.OPEN,
            resolution=None,
            resolved_at=None,
            cleared_at=None,
            dispatched_at=None,
            reopened=columns["reopened"] + int(case.is_reopened),
            dry_run=int(bool(self._settings.dry_run)),
            response_level=self._settings.response_level or DEFAULT_RESPONSE_LEVEL,
        )
        self._recent.pop(columns["group_key"], None)
        self._remember(case)

    def _settle(self, case: _Case, firing: int, done: Attachment) -> None:
        columns = case.columns
        if case.began and (case.is_opened or case.is_reopened):
            worst = min(
                case.began,
                key=lambda s: (model.severity_rank(s.severity), s.starts_at, s.fingerprint),
            )
            columns.update(signal=signal_column(worst), title=worst.title)
            if case.is_reopened:
                columns["severity"] = worst.severity
        if not case.is_closed:
            self._heed_settings(case)
            if firing:
                columns["cleared_at"] = None
            elif columns["cleared_at"] is None:
                columns["cleared_at"] = self._now
                case.is_cleared = True
                done.cleared.append(case.id)
        if case.is_opened:
            done.opened.append(case.id)
        elif case.is_reopened:
            done.reopened.append(case.id)
        elif case.began:
            done.attached.append(case.id)

    def _heed_settings(self, case: _Case) -> None:
        columns, settings = case.columns, self._settings
        if settings.response_level is not None:
            columns["response_level"] = settings.response_level
        if settings.dry_run is not None:
            columns["dry_run"] = int(settings.dry_run)
        elif columns["dry_run"] and any(signal.source != MANUAL_SOURCE for signal in case.began):
            # Somebody only tried this incident out, and now it is real: it must not stay a
            # rehearsal.
            columns["dry_run"] = 0
            if columns["status"] == model.OBSERVED:
                columns.update(status=model.OPEN, dispatched_at=None)
            self._tell(case, "dry_run_ended", "a real alert joined this dry run: it counts now")

    def _narrate(self, case: _Case, firing: int) -> None:
        began = counted(len(case.began), _noun(case))
        data = {
            "fingerprints": sorted(signal.fingerprint for signal in case.began)[:20],
            "alerts": len(case.began),
        }
        if case.is_opened:
            self._tell(case, "opened", "opened by %s" % began, data)
        elif case.is_reopened:
            self._tell(case, "reopened", "the cause is back: reopened by %s" % began, data)
        elif case.is_new:
            self._tell(case, "opened", "recorded as over already: only its end has come")
        elif case.began:
            self._tell(case, "alert_attached", "%s attached" % began, data)
        if case.ended or (case.is_cleared and not case.is_new):
            message = "%s ended, %d still firing" % (counted(case.ended, _noun(case)), firing)
            self._tell(case, "alert_resolved", message, {"ended": case.ended, "firing": firing})

    def _fold(self, cases: Sequence[_Case]) -> None:
        """Leave to the person who has it what keeps coming back, without another response."""
        keys = [case.columns["group_key"] for case in cases]
        back = flapping.came_back(self._store, keys, self._settings.flap_quiet_minutes * 60)
        for case in cases:
            told = back.get(case.columns["group_key"])
            if told is None or case.columns["status"] != model.OPEN or case.columns["dry_run"]:
                continue
            if told.is_flapping and told.covers(case.columns["severity"]):
                case.columns["status"] = model.ESCALATED
                message = "it keeps going away and coming back (%s); people know it by message %s"
                self._tell(
                    case,
                    model.ESCALATED,
                    message % (counted(told.returns, "time"), told.outbox_id),
                    {"folded": "flapping", "outbox_id": told.outbox_id, "returns": told.returns},
                )

    def _tell(self, case: _Case, kind: str, message: str, data: Optional[Row] = None) -> None:
        self._told.append(chain.entry(self._store, case.id, kind, message, data))


def _noun(case: _Case) -> str:
    return _NOUNS.get(str(case.columns["source"]), "alert")


def _worse(one: str, other: str) -> str:
    return min(one, other, key=model.severity_rank)

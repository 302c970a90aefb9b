"""What a look at a cluster found against what fires already: what is new begins, what was missing
for long ends, and the cause of an incident follows what is wrong now.

A state ends only when it was missing in two complete lists of what it was seen on, `settle_s`
apart: what is there one moment and gone the next neither resolves nor reopens its incident. A list
that failed, was forbidden or broke off ends nothing.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, AbstractSet, Any, Dict, List, Mapping, Optional, Tuple

from selfheal.incidents import causes, model
from selfheal.incidents.alerts import FIRING
from selfheal.incidents.attach import LATE_MESSAGE_S, Attachment, attach
from selfheal.incidents.signal import Signal
from selfheal.intake.ingest import settings_for
from selfheal.intake.kubernetes import grouping
from selfheal.intake.kubernetes.grouping import Findings, Place, Sick
from selfheal.records import dataclass
from selfheal.store import Row, Store, checkpoints, load_map
from selfheal.store.engine import begins_with, in_chunks, placeholders
from selfheal.workloads import SOURCE
from selfheal.workloads.model import Ref
from selfheal.workloads.states import STATES

if TYPE_CHECKING:
    from selfheal.context import Context

_WORST = 10**9  # the priority of a state that nobody knows any more


@dataclass(frozen=True)
class Look:
    """What was looked at: since when (epoch s), and which kinds were listed completely."""

    at: float
    settle_s: float
    complete: AbstractSet[str]


@dataclass
class Settled:
    """What became of a look: counts of alerts, and the incidents whose last alert ended."""

    opened: int = 0
    reopened: int = 0
    attached: int = 0
    resolved: int = 0
    changed: int = 0
    cleared: List[str] = field(default_factory=list)


def settle(ctx: Context, place: Place, findings: Findings, look: Look) -> Settled:
    """Store what began and what ended. All or nothing; starting responses is left to the caller
    (incidents.dispatch). Raises StoreError.
    """
    store = ctx.store
    with store.transaction("incidents"):
        known = _firing(store, place.target)
        begins: List[Signal] = []
        owner_of: Dict[str, Ref] = {}
        for owner in findings.owners():
            for sick in findings.of(owner):
                signal = _begin(place, owner, sick, known, look.at)
                owner_of[grouping.fingerprint_of(place.target, owner, sick.finding.state.name)] = (
                    owner
                )
                if signal is not None:
                    begins.append(signal)
        ends = _ended(store, place.target, known, owner_of, look)
        attachment = attach(store, begins + ends, settings_for(ctx))
        gone = {signal.fingerprint for signal in ends}
        left = {name: row for name, row in known.items() if name not in gone}
        changed = _follow(store, place, findings, left, attachment)
    return Settled(
        len(attachment.opened),
        len(attachment.reopened),
        len(attachment.attached),
        len(ends),
        changed,
        attachment.cleared,
    )


def _firing(store: Store, target: str) -> Dict[str, Row]:
    """The alerts of the target that fire, by fingerprint, with what their incidents are."""
    begins, given = begins_with("a.fingerprint", grouping.prefix_of(target))
    rows = store.query(
        "SELECT a.fingerprint, a.starts_at, a.labels, a.severity, a.incident_id, i.group_key, "
        "i.status AS incident_status, i.resolved_at, i.alert_type AS incident_type "
        "FROM alerts a JOIN incidents i ON i.id = a.incident_id "
        "WHERE a.status = ? AND a.source = ? AND %s ORDER BY a.starts_at" % begins,
        (FIRING, SOURCE, *given),
    )
    return {str(row["fingerprint"]): dict(row, labels=load_map(row["labels"])) for row in rows}


def _begin(
    place: Place, owner: Ref, sick: Sick, known: Mapping[str, Row], now: float
) -> Optional[Signal]:
    """The signal of a state that does not fire yet, or that is still there although its incident
    was closed a while ago.
    """
    row = known.get(grouping.fingerprint_of(place.target, owner, sick.finding.state.name))
    if row is None:
        return grouping.firing(place, owner, sick, now)
    is_closed = row["incident_status"] == model.RESOLVED
    if is_closed and abs(now - (row["resolved_at"] or 0.0)) >= LATE_MESSAGE_S:
        return grouping.firing(place, owner, sick, now, str(row["starts_at"]))
    return None


def _ended(
    store: Store, target: str, known: Mapping[str, Row], there: Mapping[str, Ref], look: Look
) -> List[Signal]:
    """The ends of what was missing in this complete look and in one `settle_s` before."""
    name = "%s_missed:%s" % (SOURCE, target)
    before = checkpoints.read(store, name)
    before = before if isinstance(before, dict) else {}
    missed: Dict[str, float] = {}
    ended: List[Signal] = []
    for fingerprint, row in known.items():
        if fingerprint in there:
            continue
        since = checkpoints.number(before, fingerprint)
        if not _is_covered(row["labels"], look.complete):
            if since is not None:
                missed[fingerprint] = since
            continue
        first = look.at if since is None else min(since, look.at)  # the clock may step back
        if since is None or look.at - first < look.settle_s:
            missed[fingerprint] = first
        else:
            ended.append(_end_of(fingerprint, row, first))
    if missed != before:
        checkpoints.write(store, name, missed)
    return ended


def _is_covered(labels: Mapping[str, Any], complete: AbstractSet[str]) -> bool:
    """Whether all lists were complete that would have shown the state of the alert."""
    seen_on = str(labels.get("seen_on", ""))
    return set(grouping.needs_of(seen_on)) <= complete


def _end_of(fingerprint: str, row: Row, ended_at: float) -> Signal:
    return grouping.ended(
        fingerprint,
        str(row["starts_at"]),
        str(row["group_key"]),
        str(row["labels"].get("alertname") or row["incident_type"]),
        str(row["severity"]),
        ended_at,
    )


def _follow(
    store: Store,
    place: Place,
    findings: Findings,
    known: Mapping[str, Row],
    attachment: Attachment,
) -> int:
    """Make each incident's cause what explains best what is wrong with its owner now; how many
    changed.
    """
    incidents = {fingerprint: incident for (fingerprint, _), incident in
                 attachment.incident_of.items()}
    incidents.update((name, str(row["incident_id"])) for name, row in known.items()
                     if name not in incidents)
    wanted: List[Tuple[str, Ref, Sick]] = []
    for owner in findings.owners():
        cause = findings.cause_of(owner)
        if cause is not None:
            fingerprint = grouping.fingerprint_of(place.target, owner, cause.finding.state.name)
            incident = incidents.get(fingerprint)
            if incident is not None and not _is_explained(cause, incident, known, findings, owner):
                wanted.append((incident, owner, cause))
    types = _types(store, [incident for incident, _, _ in wanted])
    new = set(attachment.opened)
    begun = new.union(attachment.reopened)  # they say what the worst signal says, not the cause
    changed = 0
    for incident, owner, cause in wanted:
        found = grouping.cause_by(place, owner, cause)
        is_other = types.get(incident, found.alert_type) != found.alert_type
        if is_other or incident in begun:
            is_changed = causes.change(store, incident, *found, is_new=incident in new)
            changed += int(is_changed and is_other and incident not in new)
    return changed


def _is_explained(
    cause: Sick, incident: str, known: Mapping[str, Row], findings: Findings, owner: Ref
) -> bool:
    """Whether a state that was there a moment ago, and may be again, explains more than `cause`."""
    there = {sick.finding.state.name for sick in findings.of(owner)}
    return any(
        row["incident_id"] == incident and
        row["labels"].get("state") not in there and
        _priority(row["labels"].get("state")) < cause.finding.state.priority
        for row in known.values()
    )


def _priority(name: Any) -> int:
    state = STATES.get(str(name))
    return state.priority if state is not None else _WORST


def _types(store: Store, incidents: List[str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for chunk in in_chunks(sorted(set(incidents))):
        for row in store.query(
            "SELECT id, alert_type FROM incidents WHERE id IN (%s)" % placeholders(chunk), chunk
        ):
            found[str(row["id"])] = str(row["alert_type"])
    return found

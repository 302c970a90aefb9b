"""What an incident is: its states, the transitions allowed between them, and the row as a frozen
value.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional

from selfheal.records import dataclass
from selfheal.store import Row, load

OPEN = "open"
ANALYZING = "analyzing"
AWAITING_APPROVAL = "awaiting_approval"
REMEDIATING = "remediating"
VERIFYING = "verifying"
ESCALATED = "escalated"
TICKETED = "ticketed"
OBSERVED = "observed"
RESOLVED = "resolved"

RESPONDING: FrozenSet[str] = frozenset((ANALYZING, AWAITING_APPROVAL, REMEDIATING, VERIFYING))
ACTIVE: FrozenSet[str] = RESPONDING | {OPEN}
HANDED_OVER: FrozenSet[str] = frozenset((ESCALATED, TICKETED, OBSERVED))
STATUSES: FrozenSet[str] = ACTIVE | HANDED_OVER | {RESOLVED}

# From which state to which. A resolved incident only moves by being reopened; a handed-over one may
# be taken up again.
TRANSITIONS: Dict[str, FrozenSet[str]] = {
    OPEN: RESPONDING | HANDED_OVER | {RESOLVED},
    ANALYZING: RESPONDING | HANDED_OVER | {OPEN, RESOLVED},
    AWAITING_APPROVAL: RESPONDING | HANDED_OVER | {OPEN, RESOLVED},
    REMEDIATING: RESPONDING | HANDED_OVER | {OPEN, RESOLVED},
    VERIFYING: RESPONDING | HANDED_OVER | {OPEN, RESOLVED},
    ESCALATED: HANDED_OVER | RESPONDING | {RESOLVED},
    TICKETED: HANDED_OVER | RESPONDING | {RESOLVED},
    OBSERVED: HANDED_OVER | RESPONDING | {RESOLVED},
    RESOLVED: frozenset((OPEN,)),
}

# Most severe first. What an alert calls itself is mapped onto these (see `severity_of`).
SEVERITIES = ("critical", "error", "warning", "info")
_SEVERITY_NAMES = {
    "critical": "critical",
    "page": "critical",
    "fatal": "critical",
    "emergency": "critical",
    "disaster": "critical",
    "p1": "critical",
    "sev1": "critical",
    "error": "error",
    "high": "error",
    "major": "error",
    "p2": "error",
    "sev2": "error",
    "warning": "warning",
    "warn": "warning",
    "average": "warning",
    "medium": "warning",
    "minor": "warning",
    "p3": "warning",
    "sev3": "warning",
    "info": "info",
    "low": "info",
    "none": "info",
    "notice": "info",
    "p4": "info",
    "sev4": "info",
    "p5": "info",
}
RESPONSE_LEVELS = ("info", "auto", "manual")


def severity_of(name: Any) -> str:
    """The pack's severity for what an alert calls its own; unknown or missing is `warning`."""
    return _SEVERITY_NAMES.get(str(name or "").strip().lower(), "warning")


def severity_rank(severity: str) -> int:
    """0 for the most severe."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


@dataclass(frozen=True)
class Incident:
    """One incident as the store holds it. Times are seconds since the epoch, UTC.

    `signal` is what raised it: {"labels", "annotations", "generator_url", ...}, from outside and
    kept as it came.
    """

    id: str
    group_key: str
    source: str
    alert_type: str
    title: str
    severity: str
    status: str
    response_level: str
    dry_run: bool
    cluster: Optional[str]
    namespace: Optional[str]
    workload: Optional[str]
    instance: Optional[str]
    service: Optional[str]
    signal: Dict[str, Any]
    analysis: Optional[Dict[str, Any]]
    plan: Optional[Dict[str, Any]]
    strategy: Optional[str]
    reasons: Optional[List[str]]
    resolution: Optional[str]
    run_id: Optional[str]
    attempts: int
    reopened: int
    alert_count: int
    opened_at: float
    updated_at: float
    last_seen_at: float
    dispatched_at: Optional[float]
    cleared_at: Optional[float]
    resolved_at: Optional[float]

    @property
    def labels(self) -> Dict[str, str]:
        return dict(self.signal.get("labels") or {})

    @property
    def annotations(self) -> Dict[str, str]:
        return dict(self.signal.get("annotations") or {})

    @property
    def is_cleared(self) -> bool:
        """Whether the signal that raised it is gone (its last alert resolved)."""
        return self.cleared_at is not None


_JSON_COLUMNS = {"signal": dict, "analysis": dict, "plan": dict, "reasons": list}


def from_row(row: Row) -> Incident:
    """The incident in a row of table `incidents`. A plan that nobody here wrote is a plan that no
    remedy can carry out; of other columns that cannot be read nothing is left.
    """
    values = dict(row)
    for column, kind in _JSON_COLUMNS.items():
        try:
            value = load(values[column])
        except (ValueError, RecursionError):
            value = "unreadable"
        if value is not None and not isinstance(value, kind):
            value = {"remedy": "unreadable"} if column == "plan" else None
        values[column] = {} if column == "signal" and value is None else value
    values["dry_run"] = bool(values["dry_run"])
    return Incident(**values)

"""The columns of an incident that a signal opens, as attach writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from selfheal.ids import new_id
from selfheal.incidents import model
from selfheal.store import Row, dump

if TYPE_CHECKING:
    from selfheal.incidents.signal import Signal

DEFAULT_RESPONSE_LEVEL = "auto"
BY_ITSELF = "self_resolved"


def signal_column(signal: Signal) -> str:
    """What an incident keeps of the signal that raised it, as its column holds it."""
    return dump(
        {
            "fingerprint": signal.fingerprint,
            "starts_at": signal.starts_at,
            "labels": signal.labels,
            "annotations": signal.annotations,
            "generator_url": signal.generator_url,
            "grouping": signal.grouping,
            "marks": list(signal.marks),
        }
    )


def new_columns(
    signal: Signal, status: str, response_level: Optional[str], is_dry: bool, now: float
) -> Row:
    """The row of an incident that `signal` opens with `status` (open or resolved)."""
    over_at = None if status == model.OPEN else now
    return {
        "id": new_id("inc", now),
        "group_key": signal.group_key,
        "source": signal.source,
        "alert_type": signal.alert_name,
        "title": signal.title,
        "severity": signal.severity,
        "status": status,
        "response_level": response_level or DEFAULT_RESPONSE_LEVEL,
        "dry_run": int(is_dry),
        "cluster": signal.cluster,
        "namespace": signal.namespace,
        "workload": signal.workload,
        "instance": signal.instance,
        "service": signal.service,
        "signal": signal_column(signal),
        "resolution": None if status == model.OPEN else BY_ITSELF,
        "attempts": 0,
        "reopened": 0,
        "alert_count": 0,
        "opened_at": now,
        "updated_at": now,
        "last_seen_at": now,
        "dispatched_at": None,
        "cleared_at": over_at,
        "resolved_at": over_at,
    }

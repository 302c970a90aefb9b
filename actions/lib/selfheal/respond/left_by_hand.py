"""What hands left behind: incidents of `by_hand` whose process died, or whose question nobody said
yes to. What is half done is undone, then they are closed, so that none stays open for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict

from selfheal.exceptions import Conflict
from selfheal.incidents import model, registry
from selfheal.incidents.alerts import BY_HAND, MANUAL_SOURCE
from selfheal.remedy import journal
from selfheal.respond.approval import record

if TYPE_CHECKING:
    from selfheal.context import Context

# A hand is not silent for so long: it writes when it begins, and when it ends.
_QUIET_S = 900.0
# A yes holds for as long as its question had to run (see approval.record).
_LEFT = (
    "SELECT i.id FROM incidents i WHERE i.source = ? AND i.alert_type = ? AND i.status = ? "
    "AND i.updated_at <= ? AND NOT EXISTS (SELECT 1 FROM approvals a WHERE "
    "a.incident_id = i.id AND a.status IN (?, ?) AND 2 * a.expires_at - a.requested_at > ?) "
    "AND NOT EXISTS (SELECT 1 FROM execution_history e WHERE e.incident_id = i.id "
    "AND e.status = ?) "
    "ORDER BY i.id LIMIT 100"
)


def close_left(ctx: Context) -> Dict[str, int]:
    """Close what hands left behind. Returns {"closed", "escalated"}. Raises StoreError."""
    store, counts = ctx.store, {"closed": 0, "escalated": 0}
    now = store.now()
    rows = store.query(
        _LEFT,
        (
            MANUAL_SOURCE, BY_HAND, model.OBSERVED, now - _QUIET_S,
            *record.LIVING, now, journal.RUNNING,
        ),
    )
    for row in rows:
        incident_id = str(row["id"])
        if not registry.is_held(store, incident_id):
            ended = _ended(ctx, incident_id)
            if ended:
                counts[ended] += 1
    return counts


def _ended(ctx: Context, incident_id: str) -> str:
    """closed, escalated, or empty when somebody is at it."""
    from selfheal.remedy import undo  # all of these are dear to import, and seldom needed
    from selfheal.respond import escalate, finish
    from selfheal.respond.remediate import undo_half_done

    try:
        outcome = undo_half_done(ctx, incident_id)
    except Conflict:
        return ""
    if outcome == undo.PARTLY:
        escalate.escalate_to_oncall(ctx, incident_id, reason="undo_failed")
        return "escalated"
    finish.close_incident(ctx, incident_id)
    return "closed"

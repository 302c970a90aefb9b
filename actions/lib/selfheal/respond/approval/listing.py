"""The questions that wait for a person, with all that was shown; and, if asked for, those of the
past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

from selfheal.exceptions import InvalidInput
from selfheal.respond.approval import record
from selfheal.store import load
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Row

MAX_LISTED = 200
STATUSES = (
    record.PENDING,
    record.APPROVED,
    record.REJECTED,
    record.EXPIRED,
    record.CLEARED,
    record.WITHDRAWN,
    record.USED,
)


def approval_list(
    ctx: Context, status: str = record.PENDING, incident_id: str = "", limit: int = 20
) -> Dict[str, Any]:
    """Questions, newest first: {"approvals": [...], "count"}. `status` is one of STATUSES or all.

    Each holds what was shown when it was asked. Raises InvalidInput naming what the filters may be.
    """
    if status != "all" and status not in STATUSES:
        raise InvalidInput(
            "status must be all or one of %s, not %r" % (", ".join(STATUSES), status[:40])
        )
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
        raise InvalidInput("limit must be a whole number from 1 to %d" % MAX_LISTED)
    conditions: List[str] = []
    parameters: List[Any] = []
    wanted = "" if status == "all" else status
    for column, value in (("status", wanted), ("incident_id", incident_id)):
        if value:
            conditions.append("%s = ?" % column)
            parameters.append(value)
    rows = ctx.store.query(
        "SELECT * FROM approvals WHERE %s ORDER BY requested_at DESC, id DESC LIMIT ?"
        % (" AND ".join(conditions) or "1 = 1"),
        (*parameters, limit),
    )
    return {"approvals": [_one(ctx, row) for row in rows], "count": len(rows)}


def _one(ctx: Context, row: Row) -> Dict[str, Any]:
    is_waiting = row["status"] == record.PENDING
    return {
        "approval_id": row["id"],
        "incident_id": row["incident_id"],
        "status": row["status"],
        "is_too_late": is_waiting and record.is_over(ctx.store, row),
        "requested_at": iso(row["requested_at"]),
        "expires_at": iso(row["expires_at"]),
        "decided_by": one_line(row["decided_by"] or ""),
        "decided_at": _when(row["decided_at"]),
        "comment": row["comment"] or "",
        "used_by": row["used_by"] or "",
        "used_at": _when(row["used_at"]),
        "shown": load(row["shown"]) or {},
    }


def _when(at: Optional[float]) -> Optional[str]:
    return None if at is None else iso(at)

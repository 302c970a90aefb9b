"""The questions that wait for a person, with all that was shown; and, if asked for, those of the
past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.exceptions import InvalidInput, NotFound
from selfheal.respond.approval import codes, record
from selfheal.store import load
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Row, Store

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
    ctx: Context,
    status: str = record.PENDING,
    incident_id: str = "",
    limit: int = 20,
    question: str = "",
) -> Dict[str, Any]:
    """Questions, newest first: {"approvals": [...], "count", "whole"}. `status` is one of STATUSES
    or all. `question`, an id or that of an incident, means that one alone, whatever state it is in;
    `whole` then says all of it in lines, and is empty otherwise.

    Each holds what was shown when it was asked, and while it waits the code that a yes in chat
    needs (see `codes`). Raises InvalidInput naming what the filters may be, NotFound.
    """
    if question:
        row = _named(ctx.store, question)
        one = _one(ctx, row)
        return {"approvals": [one], "count": 1, "whole": _whole(one)}
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
    return {"approvals": [_one(ctx, row) for row in rows], "count": len(rows), "whole": []}


def _named(store: Store, question: str) -> Row:
    """The question of that id, or the last about that incident, one that waits before any other."""
    row = store.one(
        "SELECT * FROM approvals WHERE id = ? OR incident_id = ? "
        "ORDER BY CASE status WHEN 'pending' THEN 0 ELSE 1 END, requested_at DESC, id DESC LIMIT 1",
        (question, question),
    )
    if row is None:
        raise NotFound(
            "there is no question %r, and none about an incident of that id; `heal approvals` (st2 "
            "run selfheal.approval_list) shows what waits" % question[:80]
        )
    return row


def _whole(one: Mapping[str, Any]) -> List[str]:
    """All that was shown of the question, and what became of it."""
    from selfheal.respond.approval import shown  # seldom needed

    view = one["shown"]
    said = "%s about %s: %s" % (one["approval_id"], one["incident_id"], _state(one))
    if not view:
        return [said, "What was shown is not kept: it was asked by an older version."]
    if one["status"] == record.PENDING and not one["is_too_late"]:
        told = shown.lines(view)
    else:
        told = ["[%s] %s" % (view["severity"], view["title"]), *shown.plan_lines(view)]
    return [said, *told, "", "The runbook: %s" % view["what"]["path"]]


def _state(one: Mapping[str, Any]) -> str:
    if one["status"] == record.PENDING:
        return "too late to answer" if one["is_too_late"] else "waits for a yes or no"
    said = "%s by %s" % (one["status"], one["decided_by"] or "nobody")
    return "%s: %s" % (said, one["comment"]) if one["comment"] else said


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
        "code": codes.of(row) if is_waiting and codes.are_asked(ctx.config) else "",
        "used_by": row["used_by"] or "",
        "used_at": _when(row["used_at"]),
        "shown": load(row["shown"]) or {},
    }


def _when(at: Optional[float]) -> Optional[str]:
    return None if at is None else iso(at)

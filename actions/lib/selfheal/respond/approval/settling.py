"""What an answer means for the response that waited for it.

What was recorded with a name counts more than what the inquiry answered, except that a no is always
a no. A yes that only the inquiry knows has no name, so it counts only where nobody's name is asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Tuple

from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents import model, registry, timeline
from selfheal.respond.approval import people, record
from selfheal.respond.approval.record import (
    APPROVED,
    CLEARED,
    EXPIRED,
    LIVING,
    PENDING,
    REJECTED,
    USED,
    WITHDRAWN,
)
from selfheal.respond.holding import held

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.store import Row, Store

ANSWERS = ("yes", "no", "none")
BY_INQUIRY = "the inquiry, without a name"


def settle_approval(
    ctx: Context, incident_id: str, approval_id: str, answer: str, run_id: str = ""
) -> Dict[str, Any]:
    """What the answer of the inquiry (yes, no, none) and what was recorded mean for the incident
    now. Settling twice gives the first verdict again, unless the second answer is no.

    Returns {"verdict": approved|rejected|expired|cleared, "reason"}. Raises NotFound, InvalidInput,
    Conflict, ConfigError.
    """
    if answer not in ANSWERS:
        raise InvalidInput(
            "answer must be one of %s, not %r" % (", ".join(ANSWERS), str(answer)[:40])
        )
    incident = registry.get(ctx.store, incident_id)
    needs_name = bool(people.approvers(ctx.config))
    with held(ctx, incident, run_id), ctx.store.transaction("incidents"):
        row = _question(ctx.store, incident_id, approval_id)
        incident = registry.get(ctx.store, incident_id)
        verdict, reason = _verdict(ctx.store, incident, row, answer, needs_name)
        now = ctx.store.now()
        if row["status"] == PENDING:
            columns = {"status": verdict, "decided_by": BY_INQUIRY, "decided_at": now}
            record.change(ctx.store, approval_id, (PENDING,), **columns)
        elif row["status"] == APPROVED and verdict == REJECTED:
            record.change(ctx.store, approval_id, (APPROVED,), status=REJECTED, decided_at=now)
        ctx.store.execute(
            "UPDATE approvals SET told_at = ? WHERE id = ? AND told_at IS NULL", (now, approval_id)
        )
        timeline.record(
            ctx.store,
            incident_id,
            "approval_settled",
            "%s: %s" % (verdict, reason),
            {"approval_id": approval_id, "answer": answer, "verdict": verdict},
            run_id or None,
            once="settled:%s:%s" % (approval_id, verdict),
        )
    return {"verdict": verdict, "reason": reason}


def _question(store: Store, incident_id: str, approval_id: str) -> Row:
    row = record.find(store, approval_id)
    if row is None or row["incident_id"] != incident_id:
        raise NotFound(
            "nothing with the id %r was ever asked about incident %s; nothing counts as approved"
            % (approval_id[:64], incident_id)
        )
    return row


def _verdict(
    store: Store, incident: Incident, row: Row, answer: str, needs_name: bool
) -> Tuple[str, str]:
    if incident.is_cleared or incident.status == model.RESOLVED:
        return CLEARED, "the alert went away meanwhile"
    status = row["status"]
    who = row["decided_by"] or "a person"
    if status not in LIVING:
        return {
            USED: (APPROVED, "this was settled before, and used"),
            WITHDRAWN: (REJECTED, "the question was withdrawn"),
            EXPIRED: (EXPIRED, "the time to answer is over"),
        }.get(status, (status, "%s said so before" % who))
    if answer == "no":
        return REJECTED, "a person said no"
    if not record.is_same_plan(incident, row):
        said = "a person said yes, but " if APPROVED == status or answer == "yes" else ""
        return REJECTED, said + "the plan has changed since it was shown"
    if status == APPROVED:
        if not record.is_approved(store, incident, row["plan_hash"]):
            return EXPIRED, "the yes of %s is too old to count, or the clock was set" % who
        return APPROVED, "%s said yes to the plan" % who
    if answer == "none" or record.is_over(store, row):
        return EXPIRED, "nobody answered" if answer == "none" else "the time to answer is over"
    if needs_name:
        return REJECTED, (
            "somebody answered yes in StackStorm itself, where selfheal cannot see who; "
            "safety.approvers is set, so only `heal approve %s` or `st2 run "
            "selfheal.approve question=%s` by one of them counts" % (row["id"], row["id"])
        )
    return APPROVED, "a person said yes to the plan"

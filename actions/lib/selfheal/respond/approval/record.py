"""The state of a question: pending, then approved, rejected, expired, cleared or withdrawn; what
was approved is used by one execution, once.

Every change is one UPDATE that names the states it may come from, so of many who race one wins.
Clocks are not trusted with a yes: one that lies before its question, or outlives the time that the
question had, is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

from selfheal.exceptions import ExternalError, SelfhealError
from selfheal.incidents import timeline
from selfheal.store.engine import placeholders
from selfheal.text import iso

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.store import Row, Store

PENDING = "pending"
APPROVED = "approved"
REJECTED = "rejected"
EXPIRED = "expired"
CLEARED = "cleared"
WITHDRAWN = "withdrawn"
USED = "used"
LIVING = (PENDING, APPROVED)  # what can still become, or be, a yes

CLOCK_SLACK_S = 5.0  # what the clocks of two healthy nodes may differ
# A yes of this incident's response (or by hand) to this plan that holds now. Four parameters:
# the ids, then `_times`.
_HOLDS = (
    "incident_id = ? AND plan_hash = ? AND status = ? AND (run_id = ? OR run_id IS NULL) AND "
    "decided_at >= ? AND decided_at >= requested_at - ? AND decided_at <= expires_at AND "
    "decided_at <= ? AND decided_at + (expires_at - requested_at) >= ?"
)


def find(store: Store, approval_id: str) -> Optional[Row]:
    """The question of that id, or None."""
    return store.one("SELECT * FROM approvals WHERE id = ?", (approval_id,))


def change(store: Store, approval_id: str, sources: Sequence[str], **columns: Any) -> bool:
    """Set columns of a question that is in one of the states `sources`; False when it is not."""
    assignments = ", ".join("%s = ?" % name for name in columns)
    sql = "UPDATE approvals SET %s WHERE id = ? AND status IN (%s)"
    parameters = (*columns.values(), approval_id, *sources)
    return store.execute(sql % (assignments, placeholders(sources)), parameters) == 1


def is_approved(store: Store, incident: Incident, plan_hash: str) -> bool:
    """Whether a person's yes to that plan, for the incident's present response, can be used now."""
    sql = "SELECT id FROM approvals WHERE " + _HOLDS
    return store.one(sql, _held_by(store, incident, plan_hash)) is not None


def use(store: Store, incident: Incident, plan_hash: str, execution_id: str) -> bool:
    """Use up the yes to that plan for one execution; False when there is none (any more).

    Of many callers one wins; the same execution may ask again and hears True again.
    """
    sql = (
        "UPDATE approvals SET status = ?, used_by = ?, used_at = ? WHERE status = ? AND id = "
        "(SELECT id FROM approvals WHERE %s ORDER BY decided_at DESC, id DESC LIMIT 1)" % _HOLDS
    )
    head = (USED, execution_id, store.now(), APPROVED)
    with store.transaction():
        if store.execute(sql, (*head, *_held_by(store, incident, plan_hash))) == 1:
            words = "the approval is used up by execution %s" % execution_id
            data = {"execution_id": execution_id, "plan_hash": plan_hash}
            timeline.record(
                store,
                incident.id,
                "approval_used",
                words,
                data,
                incident.run_id,
                once="used:%s" % execution_id,
            )
            return True
        return bool(
            store.value(
                "SELECT COUNT(*) FROM approvals WHERE incident_id = ? AND plan_hash = ? AND "
                "status = ? AND used_by = ?",
                (incident.id, plan_hash, USED, execution_id),
            )
        )


def refusal(store: Store, incident: Incident, plan_hash: str) -> str:
    """Why no approval allows that plan now, and what to do about it; empty when one does."""
    if is_approved(store, incident, plan_hash):
        return ""
    last = store.one(
        "SELECT * FROM approvals WHERE incident_id = ? AND (run_id = ? OR run_id IS NULL) "
        "ORDER BY requested_at DESC, id DESC LIMIT 1",
        (incident.id, incident.run_id),
    )
    again = "a new response asks again: st2 run selfheal.incident_response incident_id=%s" % (
        incident.id
    )
    if last is None:
        return "nobody was asked about this plan; %s" % again
    who = last["decided_by"] or "somebody"
    if last["plan_hash"] != plan_hash:
        return "the plan has changed since %s was shown for approval; %s" % (last["id"], again)
    words = {
        PENDING: "the question %s is not answered yet; answer it with st2 run "
        "selfheal.approve question=%s"
        % (last["id"], last["id"]),
        REJECTED: "%s said no to this plan; %s" % (who, again),
        EXPIRED: "nobody answered the question %s in time; %s" % (last["id"], again),
        USED: "the approval %s was used up by execution %s, and each is good for one; %s"
        % (last["id"], last["used_by"], again),
        APPROVED: "the yes that %s gave at %s holds no longer: it is older than the time the "
        "question had, or the clock was set; %s" % (who, iso(last["decided_at"] or 0.0), again),
    }
    return words.get(last["status"], "the question %s was withdrawn; %s" % (last["id"], again))


def is_same_plan(incident: Incident, row: Row) -> bool:
    """Whether the incident's plan is the one that was shown."""
    if not incident.plan:
        return False
    from selfheal.remedy import (
        plan as plans,  # dear to import, and closing or escalating needs none
    )

    return bool(plans.hash_of(incident.plan) == row["plan_hash"])


def is_over(store: Store, row: Row) -> bool:
    """Whether the time to answer is over, or the clock makes no sense (then it is over as well)."""
    return not (
        float(row["requested_at"]) - CLOCK_SLACK_S <= store.now() <= float(row["expires_at"])
    )


def tell(ctx: Context, row: Row) -> bool:
    """Tell the workflow that asked what came of its question; whether it took the answer.

    What could not be told is told by housekeeping later. A workflow that is gone, or was answered
    already, needs no telling. Raises StoreError.
    """
    if not row["inquiry_id"]:
        return False
    is_told, is_done = True, True
    try:
        ctx.platform.answer_inquiry(
            str(row["inquiry_id"]), {"approved": row["status"] in (APPROVED, USED)}
        )
    except SelfhealError as error:
        is_told = False
        is_done = isinstance(error, ExternalError) and not error.retryable
        ctx.log.warning("question %s (%s): %s", row["id"], row["status"], error)
    if is_done:
        ctx.store.execute(
            "UPDATE approvals SET told_at = ? WHERE id = ? AND told_at IS NULL",
            (ctx.store.now(), row["id"]),
        )
        if row["status"] == EXPIRED:
            timeline.record(
                ctx.store,
                str(row["incident_id"]),
                "approval_expired",
                "nobody answered the question in time; the plan is not carried out",
                once="expired:%s" % row["id"],
            )
    return is_told


def expire_and_tell(ctx: Context) -> Dict[str, int]:
    """Questions that nobody answered in time count as no, and every workflow that was not told
    yet what came of its question is told. Returns {"expired", "answered"}. Raises StoreError.
    """
    store = ctx.store
    with store.transaction("incidents"):
        expired = store.execute(
            "UPDATE approvals SET status = ?, decided_at = ? WHERE status = ? AND expires_at <= ?",
            (EXPIRED, store.now(), PENDING, store.now()),
        )
    rows = store.query(
        "SELECT * FROM approvals WHERE told_at IS NULL AND inquiry_id IS NOT NULL AND "
        "status <> ? ORDER BY id",
        (PENDING,),
    )
    return {"expired": expired, "answered": sum(1 for row in rows if tell(ctx, row))}


def withdraw(ctx: Context, incident_id: str, cause: str) -> None:
    """Every question still open about the incident is withdrawn, and its workflow told so, best
    effort. Raises StoreError.
    """
    store = ctx.store
    rows = store.query(
        "SELECT * FROM approvals WHERE incident_id = ? AND status = ?", (incident_id, PENDING)
    )
    for row in rows:
        columns = {"status": WITHDRAWN, "decided_by": cause, "decided_at": store.now()}
        if change(store, str(row["id"]), (PENDING,), **columns):
            tell(ctx, dict(row, status=WITHDRAWN))


def _held_by(store: Store, incident: Incident, plan_hash: str) -> Sequence[Any]:
    now = store.now()
    return (
        incident.id,
        plan_hash,
        APPROVED,
        incident.run_id,
        incident.opened_at,
        CLOCK_SLACK_S,
        now + CLOCK_SLACK_S,
        now,
    )

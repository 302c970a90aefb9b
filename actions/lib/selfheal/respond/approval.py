"""Asking a person: what is asked and until when, which inquiry asks it, and whether the answer
counts.

A yes counts for the plan that was shown, in time, while the incident still needs it; everything
else is no. The question itself is put by the workflow (core.ask).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from selfheal.exceptions import InvalidInput, NotFound, Refused, SelfhealError
from selfheal.ids import new_id
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import plan as plans
from selfheal.respond.holding import enter, held
from selfheal.store import Row, Store
from selfheal.text import iso

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

PENDING = "pending"
APPROVED = "approved"
REJECTED = "rejected"
EXPIRED = "expired"
CLEARED = "cleared"
WITHDRAWN = "withdrawn"
ANSWERS = ("yes", "no", "none")
ROUTE = "selfheal."


def request_approval(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Record that a person is asked about the incident's plan. Asking twice in one run is one
    question.

    Returns {"approval_id", "expires_at" (ISO 8601, UTC)}. Raises NotFound, Refused (no plan),
    Conflict.
    """
    incident = registry.get(ctx.store, incident_id)
    if not incident.plan:
        raise Refused("incident %s has no plan to approve; analyze it first" % incident_id)
    waits_s = ctx.config.number("safety.approval_minutes") * 60.0
    with held(ctx, incident, run_id, waits_s), ctx.store.transaction("incidents"):
        enter(ctx, incident, run_id, model.AWAITING_APPROVAL)
        now, plan_hash = ctx.store.now(), plans.hash_of(incident.plan)
        asked = (
            ctx.store.one(
                "SELECT id, expires_at FROM approvals WHERE incident_id = ? AND run_id = ? AND "
                "status = ? AND plan_hash = ? "
                "AND expires_at > ?",
                (incident_id, run_id or None, PENDING, plan_hash, now),
            )
            if run_id
            else None
        )
        if asked is None:
            asked = {"id": new_id("apr", now), "expires_at": now + waits_s}
            ctx.store.insert(
                "approvals",
                {
                    "id": asked["id"],
                    "incident_id": incident_id,
                    "run_id": run_id or None,
                    "inquiry_id": None,
                    "plan_hash": plan_hash,
                    "status": PENDING,
                    "decided_by": None,
                    "requested_at": now,
                    "expires_at": asked["expires_at"],
                    "decided_at": None,
                },
            )
            timeline.record(
                ctx.store,
                incident_id,
                "approval_requested",
                "a person is asked to approve the plan, until %s" % (iso(asked["expires_at"])),
                {"approval_id": asked["id"], "plan": incident.plan},
                run_id or None,
            )
    return {"approval_id": str(asked["id"]), "expires_at": iso(asked["expires_at"])}


def settle_approval(
    ctx: Context, incident_id: str, approval_id: str, answer: str, run_id: str = ""
) -> Dict[str, Any]:
    """What the answer (yes, no, none) means for the incident now. Settling twice gives the first
    verdict again.

    Returns {"verdict": approved|rejected|expired|cleared}. Raises NotFound, InvalidInput, Conflict.
    """
    if answer not in ANSWERS:
        raise InvalidInput(
            "answer must be one of %s, not %r" % (", ".join(ANSWERS), str(answer)[:40])
        )
    incident = registry.get(ctx.store, incident_id)
    with held(ctx, incident, run_id), ctx.store.transaction("incidents"):
        row = _question(ctx.store, incident_id, approval_id)
        incident = registry.get(ctx.store, incident_id)
        verdict, reason = _verdict(ctx.store, incident, row, answer)
        if row["status"] == PENDING:
            ctx.store.execute(
                "UPDATE approvals SET status = ?, decided_by = ?, decided_at = ? WHERE id = ?",
                (verdict, "inquiry", ctx.store.now(), approval_id),
            )
        timeline.record(
            ctx.store,
            incident_id,
            "approval_settled",
            "%s: %s" % (verdict, reason),
            {"approval_id": approval_id, "answer": answer, "verdict": verdict},
            run_id or None,
            once="settled:%s" % approval_id,
        )
    return {"verdict": verdict}


def approval_asked(ctx: Context, inquiry_id: str, route: str) -> Dict[str, Any]:
    """Note the inquiry that asks one of our questions (its route is selfheal.<approval id>).

    Returns {"approval_id", "known"}. A question that needs no answer any more is answered no at
    once, best effort.
    """
    approval_id = route[len(ROUTE):] if route.startswith(ROUTE) else ""
    row = ctx.store.one("SELECT * FROM approvals WHERE id = ?", (approval_id,))
    if row is None:
        return {"approval_id": approval_id, "known": False}
    ctx.store.execute("UPDATE approvals SET inquiry_id = ? WHERE id = ?", (inquiry_id, approval_id))
    status = ctx.store.value("SELECT status FROM approvals WHERE id = ?", (approval_id,))
    if status != PENDING:
        try:
            ctx.platform.answer_inquiry(inquiry_id, {"approved": False})
        except SelfhealError as error:
            ctx.log.warning("inquiry %s stays asked until it expires: %s", inquiry_id, error)
    return {"approval_id": approval_id, "known": True}


def is_approved(store: Store, incident: Incident, plan_hash: str) -> bool:
    """Whether a person approved that plan for the incident's present response."""
    found = store.one(
        "SELECT id FROM approvals WHERE incident_id = ? AND plan_hash = ? AND status = ? "
        "AND decided_at >= ? AND (run_id = ? OR run_id IS NULL)",
        (incident.id, plan_hash, APPROVED, incident.opened_at, incident.run_id),
    )
    return found is not None


def _question(store: Store, incident_id: str, approval_id: str) -> Row:
    row = store.one(
        "SELECT * FROM approvals WHERE id = ? AND incident_id = ?", (approval_id, incident_id)
    )
    if row is None:
        raise NotFound(
            "nothing with the id %r was ever asked about incident %s; nothing counts as approved"
            % (approval_id[:64], incident_id)
        )
    return row


def _verdict(store: Store, incident: Incident, row: Row, answer: str) -> Tuple[str, str]:
    if incident.is_cleared or incident.status == model.RESOLVED:
        return CLEARED, "the alert went away meanwhile"
    settled: Optional[str] = (
        row["status"] if row["status"] in (APPROVED, REJECTED, CLEARED) else None
    )
    if settled:
        return settled, "this was settled before"
    if row["status"] == WITHDRAWN:
        return REJECTED, "the question was withdrawn"
    if row["status"] == EXPIRED or store.now() > float(row["expires_at"]):
        return EXPIRED, "the time to answer is over"
    if answer == "none":
        return EXPIRED, "nobody answered"
    if answer == "no":
        return REJECTED, "a person said no"
    if not incident.plan or plans.hash_of(incident.plan) != row["plan_hash"]:
        return REJECTED, "a person said yes, but the plan has changed since it was shown"
    return APPROVED, "a person said yes to the plan"

"""Putting a question: what is shown is stored as it was shown, and people are told once.

The inquiry itself is the workflow's (core.ask); which one it is becomes known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.exceptions import Refused
from selfheal.guard import gate
from selfheal.ids import new_id
from selfheal.incidents import model, registry, timeline
from selfheal.outbox import letters
from selfheal.remedy import plan as plans
from selfheal.respond import deeds, ladder, telling
from selfheal.respond.approval import people, record, shown
from selfheal.respond.holding import enter, held
from selfheal.respond.previews import previews
from selfheal.store import dump
from selfheal.text import iso

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.remedy.model import Runbook
    from selfheal.store import Row

ROUTE = "selfheal."
MESSAGE = "approval"


def request_approval(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Ask people whether the incident's plan may be carried out. Asking twice in one run is one
    question and one message; a new question replaces whatever was asked before.

    Returns {"approval_id", "expires_at" (ISO 8601, UTC), "outbox_id", "delivered"}. Raises
    NotFound, Refused (no plan, or its runbook is not what was decided on), Conflict, ConfigError.
    """
    incident = registry.get(ctx.store, incident_id)
    if not incident.plan:
        raise Refused(
            "incident %s has no plan to approve; analyze it first: st2 run "
            "selfheal.analyze_incident incident_id=%s" % (incident_id, incident_id)
        )
    runbook = plans.reload(incident.plan)  # nobody is asked about what can no longer be done
    guard = _guard_says(ctx, incident, runbook)  # it asks other systems, so before anything is held
    seen = previews(ctx, incident, runbook)
    waits_s = ctx.config.number("safety.approval_minutes") * 60.0
    told: List[str] = []
    with held(ctx, incident, run_id, waits_s), ctx.store.transaction("incidents"):
        enter(ctx, incident, run_id, model.AWAITING_APPROVAL)
        row = _asked_before(ctx, incident, run_id)
        if row is None:
            row = _new(ctx, incident, run_id, waits_s)
            account = telling.account_of(ctx.store, incident)
            allowed = people.in_words(ctx.config)
            view = shown.build(ctx.config, account, runbook, row, allowed, guard, seen)
            _put(ctx, incident, row, view)
            told = ladder.tell(ctx, MESSAGE, incident_id, _key(row), shown.message(view))
    told = told or [letters.find(ctx.store, _key(row))]
    return {
        "approval_id": str(row["id"]),
        "expires_at": iso(row["expires_at"]),
        "outbox_id": told[0],
        "delivered": ladder.delivered_now(ctx, told),
    }


def _new(ctx: Context, incident: Incident, run_id: str, waits_s: float) -> Dict[str, Any]:
    """The row of a new question about the incident's plan; not stored yet."""
    now = ctx.store.now()
    return {
        "id": new_id("apr", now),
        "incident_id": incident.id,
        "run_id": run_id or None,
        "inquiry_id": None,
        "plan_hash": plans.hash_of(incident.plan or {}),
        "status": record.PENDING,
        "decided_by": None,
        "requested_at": now,
        "expires_at": now + waits_s,
        "decided_at": None,
    }


def _put(ctx: Context, incident: Incident, row: Row, view: Mapping[str, Any]) -> None:
    """Store the question with what is shown, in the place of any before it."""
    _replace(ctx, incident.id)
    ctx.store.insert("approvals", dict(row, shown=dump(dict(view))))
    timeline.record(
        ctx.store,
        incident.id,
        "approval_requested",
        "a person is asked to approve the plan, until %s" % iso(row["expires_at"]),
        {"approval_id": row["id"], "plan": incident.plan},
        row["run_id"],
    )


def approval_asked(ctx: Context, inquiry_id: str, route: str) -> Dict[str, Any]:
    """Note the inquiry that asks one of our questions (its route is selfheal.<approval id>).

    Returns {"approval_id", "known"}. A question that was answered or ended before its inquiry came
    is told to it at once, best effort.
    """
    approval_id = route[len(ROUTE):] if route.startswith(ROUTE) else ""
    if record.find(ctx.store, approval_id) is None:
        return {"approval_id": approval_id, "known": False}
    ctx.store.execute(
        "UPDATE approvals SET inquiry_id = ?, told_at = NULL WHERE id = ?",
        (inquiry_id, approval_id),
    )
    row = record.find(ctx.store, approval_id)
    if row is not None and row["status"] != record.PENDING:
        record.tell(ctx, row)
    return {"approval_id": approval_id, "known": True}


def _guard_says(ctx: Context, incident: Incident, runbook: Runbook) -> List[str]:
    """What the guards would object to if the plan began now."""
    deed = deeds.imagined(incident, incident.plan or {}, runbook)
    return ["%s: %s" % (one.rule, one) for one in gate.look(ctx, deed)]


def _asked_before(ctx: Context, incident: Incident, run_id: str) -> Optional[Row]:
    if not run_id:
        return None
    return ctx.store.one(
        "SELECT * FROM approvals WHERE incident_id = ? AND run_id = ? AND status = ? AND "
        "plan_hash = ? AND expires_at > ?",
        (
            incident.id,
            run_id,
            record.PENDING,
            plans.hash_of(incident.plan or {}),
            ctx.store.now(),
        ),
    )


def _replace(ctx: Context, incident_id: str) -> None:
    """Earlier questions of the incident can no longer be answered, nor their yes be used;
    housekeeping tells whoever still waits for one.
    """
    rows = ctx.store.query(
        "SELECT id, status FROM approvals WHERE incident_id = ? AND status IN (?, ?)",
        (incident_id, *record.LIVING),
    )
    for row in rows:
        columns = {
            "status": record.WITHDRAWN,
            "decided_by": "a newer question",
            "decided_at": ctx.store.now(),
        }
        record.change(ctx.store, str(row["id"]), record.LIVING, **columns)


def _key(row: Row) -> str:
    return "approval:%s" % row["id"]

"""The last step of a response: close the incident, record it, make a ticket of it, or wake a
person.

Each may be called twice: the second call changes nothing and names the same message. Escalating
never depends on the store: when that is down, the message goes straight to the webhook and the
result says that nothing was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from selfheal.exceptions import (
    ConfigError,
    Conflict,
    InvalidInput,
    NotFound,
    SelfhealError,
    StoreError,
)
from selfheal.guard import locks
from selfheal.incidents import model, registry
from selfheal.notify import messages, outbox
from selfheal.remedy import journal
from selfheal.respond import telling
from selfheal.store import Store
from selfheal.text import one_line
from selfheal.tickets import record as tickets

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

REMEDIATED = "remediated"
SELF_RESOLVED = "self_resolved"
MANUAL = "manual"
RESOLUTIONS = (REMEDIATED, SELF_RESOLVED, MANUAL)
HOLD_S = 180.0
TAKEN_BY_HAND = "escalated by hand"
_FAILURE_WINDOW_S = 3600.0

_CLOSING_WORDS = {
    REMEDIATED: "closed: the remediation worked and the signal is healthy again",
    SELF_RESOLVED: "closed: the signal went away by itself",
    MANUAL: "closed by hand",
}


def close_incident(
    ctx: Context, incident_id: str, run_id: str = "", resolution: str = MANUAL
) -> Dict[str, Any]:
    """Close the incident, also under a running response, which then stops at its next step.

    Returns {"incident_id", "status", "closed", "resolution", "note"}; `closed` is False when it was
    closed already or, for self_resolved without a run, when its signal is back. Raises
    InvalidInput, NotFound, Conflict (our run lost it).
    """
    if resolution not in RESOLUTIONS:
        raise InvalidInput(
            "resolution must be one of %s, not %r" % (", ".join(RESOLUTIONS), resolution[:40])
        )
    store, note, closed = ctx.store, "", False
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        if incident.status == model.RESOLVED:
            note = "it was closed before"
        elif resolution == SELF_RESOLVED and not run_id and not incident.is_cleared:
            note = "its signal is firing again, so it stays open"
        else:
            registry.hold(store, incident, run_id, HOLD_S)
            if not run_id and registry.is_held(store, incident_id):
                note = "the running response stops at its next step"
            if resolution == SELF_RESOLVED and _was_remediated(store, incident_id):
                resolution = REMEDIATED
            message = _CLOSING_WORDS[resolution] + ("; %s" % note if note else "")
            closed = registry.resolve(store, incident_id, resolution, message, run_id)
    after = registry.get(store, incident_id)
    if after.status == model.RESOLVED:
        _withdraw_approvals(ctx, incident_id, "the incident was closed")
    return {
        "incident_id": incident_id,
        "status": after.status,
        "closed": closed,
        "resolution": after.resolution or "",
        "note": note,
    }


def observe_incident(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Leave the incident recorded, with nothing done. Returns {"incident_id", "status"}.

    Raises NotFound, and Conflict while another response holds it.
    """
    store = ctx.store
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        if incident.status in (model.RESOLVED, model.OBSERVED):
            registry.release(store, incident_id, run_id)
        else:
            _hold_or_refuse(store, incident, run_id)
            registry.hand_over(
                store, incident_id, model.OBSERVED, _observed_words(incident), run_id=run_id
            )
    return {"incident_id": incident_id, "status": registry.get(store, incident_id).status}


def create_incident_ticket(ctx: Context, incident_id: str, run_id: str = "") -> Dict[str, Any]:
    """Make a ticket of the incident: one message of kind ticket, once per incident and reopening.

    Returns {"incident_id", "status", "outbox_id", "delivered", "note"}; a closed incident gets no
    new ticket. Raises NotFound, and Conflict when our run lost the incident to another.
    """
    store, note = ctx.store, ""
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        key = tickets.key(incident)
        outbox_id = outbox.find(store, key)
        if incident.status == model.RESOLVED:
            note = "the incident is closed; no ticket was made"
            registry.release(store, incident_id, run_id)
        else:
            registry.hold(store, incident, run_id, HOLD_S)
            is_new = not outbox_id
            if is_new:
                payload = dict(
                    messages.ticket(telling.account_of(store, incident)),
                    ticket=tickets.fields(incident),
                )
                outbox_id = outbox.post(store, tickets.KIND, incident_id, key, payload)
            if is_new or incident.status in model.ACTIVE:
                words = "handed over as a ticket" + ("" if is_new else ", the one made before")
                registry.hand_over(
                    store, incident_id, model.TICKETED, words, {"outbox_id": outbox_id}, run_id
                )
            registry.release(store, incident_id, run_id)
    return {
        "incident_id": incident_id,
        "status": registry.get(store, incident_id).status,
        "outbox_id": outbox_id,
        "delivered": telling.delivered_now(ctx, outbox_id),
        "note": note,
    }


def escalate_to_oncall(
    ctx: Context, incident_id: str, run_id: str = "", reason: str = ""
) -> Dict[str, Any]:
    """Hand the incident to the on-call engineer: one message per incident and reopening.

    Returns {"incident_id", "status", "escalated", "outbox_id", "delivered", "recorded", "note"}. A
    resolved incident, or one that another living response holds, is left alone and `note` says so.
    With the store down the message is posted straight to the webhook (`recorded` False); raises
    StoreError when that fails as well. Raises NotFound.
    """
    try:
        result = _record_escalation(ctx.store, incident_id, run_id, reason)
    except (StoreError, ConfigError) as error:
        return telling.past_the_store(
            ctx,
            "escalation",
            "escalation:%s:unrecorded" % incident_id,
            messages.unrecorded(incident_id, reason, str(error)),
            error,
            incident_id,
        )
    if result["escalated"]:
        try:
            _withdraw_approvals(ctx, incident_id, "the incident was escalated")
        except StoreError as error:
            ctx.log.warning("approvals of %s stay asked: %s", incident_id, error)
    return dict(result, delivered=telling.delivered_now(ctx, result["outbox_id"]), recorded=True)


def report_failure(
    ctx: Context, subject: str, status: str, execution_id: str = "", incident_id: str = ""
) -> Dict[str, Any]:
    """The safety net: tell people that a part of the pack failed, by its incident if there is one.

    `subject` names what failed, `status` how. The incident may be named or is the one that
    execution `execution_id` was responding to. Without one a message of kind failure is sent, once
    an hour for the same subject and status. Returns as escalate_to_oncall does, with "subject".
    Raises StoreError when neither store nor webhook takes it.
    """
    try:
        found = _incident_of(ctx.store, incident_id, execution_id)
        if found:
            return dict(_escalate_failed_run(ctx, found, execution_id), subject=subject)
        key = "failure:%s:%s:%d" % (
            subject[:200],
            status[:80],
            ctx.clock.now() // _FAILURE_WINDOW_S,
        )
        outbox_id = outbox.post(
            ctx.store, "failure", None, key, messages.failure(subject, status, execution_id)
        )
    except (StoreError, ConfigError) as error:
        payload = messages.failure(subject, status, execution_id)
        if incident_id:
            payload["incident"] = {"id": incident_id}
            payload["text"] += "\nIncident: %s" % one_line(incident_id, 80)
        payload["text"] += "\n\nselfheal's own database failed: %s" % one_line(str(error), 500)
        return dict(
            telling.past_the_store(
                ctx,
                "failure",
                "failure:%s:%s" % (subject[:200], execution_id),
                payload,
                error,
                incident_id,
            ),
            subject=subject,
        )
    return {
        "subject": subject,
        "incident_id": "",
        "status": status,
        "escalated": False,
        "outbox_id": outbox_id,
        "delivered": telling.delivered_now(ctx, outbox_id),
        "recorded": True,
        "note": "",
    }


def _record_escalation(store: Store, incident_id: str, run_id: str, reason: str) -> Dict[str, Any]:
    """Message and new state in one transaction, so that neither exists without the other."""
    result = {
        "incident_id": incident_id,
        "status": model.ESCALATED,
        "escalated": False,
        "outbox_id": "",
        "note": "",
    }
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        key = "escalation:%s:%d" % (incident_id, incident.reopened)
        known = result["outbox_id"] = outbox.find(store, key)
        if incident.status == model.RESOLVED:
            registry.release(store, incident_id, run_id)
            return dict(
                result, status=incident.status, note="the incident is resolved; nobody was called"
            )
        try:
            registry.hold(store, incident, run_id, HOLD_S)
        except Conflict as error:
            return dict(result, status=incident.status, note=str(error))
        if known and incident.status == model.ESCALATED:
            registry.release(store, incident_id, run_id)
            return dict(result, escalated=True, note="it was escalated before")
        if not known:
            payload = messages.escalation(telling.account_of(store, incident), reason)
            result["outbox_id"] = outbox.post(store, "escalation", incident_id, key, payload)
        running = (
            None
            if run_id
            else store.one(
                "SELECT * FROM locks WHERE name = ? AND expires_at > ?",
                (registry.lock_name(incident_id), store.now()),
            )
        )
        registry.hand_over(
            store,
            incident_id,
            model.ESCALATED,
            "escalated to on-call: %s" % messages.why(reason),
            {"reason": reason or MANUAL, "outbox_id": result["outbox_id"]},
            run_id,
        )
        if running:
            # The response that was cut off must not take the incident up again with its next step.
            store.insert("locks", dict(running, owner=TAKEN_BY_HAND))
    return dict(result, escalated=True)


def _escalate_failed_run(ctx: Context, incident: Incident, execution_id: str) -> Dict[str, Any]:
    """Escalate for a run that the platform says has ended; an incident that a living run holds is
    left to it.
    """
    holder = locks.holder(ctx.store, registry.lock_name(incident.id))
    if incident.status in model.HANDED_OVER or (holder and execution_id and holder != execution_id):
        note = (
            "another response holds the incident"
            if holder
            else "the incident was handed over before"
        )
        return {
            "incident_id": incident.id,
            "status": incident.status,
            "escalated": False,
            "outbox_id": "",
            "delivered": False,
            "recorded": True,
            "note": note,
        }
    return escalate_to_oncall(ctx, incident.id, holder or "", "workflow_failed")


def _incident_of(store: Store, incident_id: str, execution_id: str) -> Optional[Incident]:
    if incident_id:
        try:
            return registry.get(store, incident_id)
        except NotFound:
            pass  # the failure is told all the same, only without an incident
    found = (
        store.value("SELECT id FROM incidents WHERE run_id = ?", (execution_id,))
        if execution_id
        else None
    )
    return registry.get(store, str(found)) if found else None


def _hold_or_refuse(store: Store, incident: Incident, run_id: str) -> None:
    registry.hold(store, incident, run_id, HOLD_S)
    if not run_id and registry.is_held(store, incident.id):
        raise Conflict(
            "incident %s is held by a running response (%s); wait for its end, or close or "
            "escalate it" % (incident.id, locks.holder(store, registry.lock_name(incident.id)))
        )


def _observed_words(incident: Incident) -> str:
    if incident.dry_run:
        return "recorded only: a dry run; the plan is kept and nothing was touched"
    reasons = "; ".join(one_line(str(item)) for item in incident.reasons or [])
    return "recorded only, nothing was done%s" % (": %s" % reasons if reasons else "")


def _was_remediated(store: Store, incident_id: str) -> bool:
    """Whether a remediation finished since the incident was opened, or opened again."""
    reopened_at = store.value(
        "SELECT MAX(at) FROM incident_events WHERE incident_id = ? AND kind = ?",
        (incident_id, "reopened"),
    )
    return journal.was_done(store, incident_id, float(reopened_at or 0))


def _withdraw_approvals(ctx: Context, incident_id: str, cause: str) -> None:
    """Answer no to every question still asked about the incident, so that no workflow waits for it.
    Best effort.
    """
    store = ctx.store
    rows = store.query(
        "SELECT id, inquiry_id FROM approvals WHERE incident_id = ? AND status = ?",
        (incident_id, "pending"),
    )
    for row in rows:
        if (
            store.execute(
                "UPDATE approvals SET status = ?, decided_by = ?, decided_at = ? WHERE id = ? "
                "AND status = ?",
                ("withdrawn", cause, store.now(), row["id"], "pending"),
            ) and
            row["inquiry_id"]
        ):
            try:
                ctx.platform.answer_inquiry(row["inquiry_id"], {"approved": False})
            except SelfhealError as error:
                ctx.log.warning(
                    "the question %s of %s stays asked: %s", row["id"], incident_id, error
                )

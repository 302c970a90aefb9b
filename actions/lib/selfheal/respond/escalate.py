"""Waking a person: one message per incident and opening, or none where people know of it already.

A message tells all of a storm, all that wait for one remedy, and a cause that keeps going away and
coming back; what it covers is handed over with its id. Escalating never depends on the store: when
that is down, the message goes straight to the webhook and the result says that nothing was
recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from selfheal.exceptions import ConfigError, Conflict, NotFound, StoreError
from selfheal.guard import locks
from selfheal.incidents import flapping, model, registry
from selfheal.notify import messages, outbox
from selfheal.notify.reasons import why
from selfheal.respond import folding, telling
from selfheal.respond.approval import record as approval
from selfheal.respond.finish import HOLD_S, MANUAL
from selfheal.store import Store
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

TAKEN_BY_HAND = "escalated by hand"
LASTING = "keeps_coming"
_FAILURE_WINDOW_S = 3600.0


def escalate_to_oncall(
    ctx: Context, incident_id: str, run_id: str = "", reason: str = ""
) -> Dict[str, Any]:
    """Hand the incident to the on-call engineer: one message per incident and reopening, none where
    another message covers it (see `folding`).

    Returns {"incident_id", "status", "escalated", "outbox_id", "delivered", "recorded", "note"}. A
    resolved incident, or one that another living response holds, is left alone and `note` says so;
    so is one of a dry run, unless a person escalates it.
    With the store down the message is posted straight to the webhook (`recorded` False); raises
    StoreError when that fails as well. Raises NotFound.
    """
    try:
        result = _record_escalation(ctx, incident_id, run_id, reason)
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
            approval.withdraw(ctx, incident_id, "the incident was escalated")
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


def tell_of_lasting(ctx: Context) -> Dict[str, Any]:
    """People are called anew for what was flapping and is not any more: it is back, and stays.
    Returns {"told": how many}. Raises StoreError.
    """
    store, told = ctx.store, 0
    for known in flapping.lasting(store, 60.0 * ctx.config.number("safety.flap_quiet_minutes")):
        found = store.one(
            "SELECT id, status, cleared_at FROM incidents WHERE status <> ? AND group_key = "
            "(SELECT group_key FROM incidents WHERE id = ?)",
            (model.RESOLVED, known.incident_id),
        )
        if found and found["status"] == model.ESCALATED and found["cleared_at"] is None:
            result = escalate_to_oncall(ctx, str(found["id"]), reason=LASTING)
            told += int(bool(result["escalated"]))
    return {"told": told}


def _record_escalation(
    ctx: Context, incident_id: str, run_id: str, reason: str
) -> Dict[str, Any]:
    """Message and new state in one transaction, so that neither exists without the other."""
    store = ctx.store
    result = {
        "incident_id": incident_id,
        "status": model.ESCALATED,
        "escalated": False,
        "outbox_id": "",
        "note": "",
    }
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        key = folding.own_key(incident) + (":%s" % reason if reason == LASTING else "")
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
        if incident.dry_run and run_id:
            words = "a dry run: nobody is called (else: %s)" % why(reason)
            registry.hand_over(store, incident_id, model.OBSERVED, words, run_id=run_id)
            return dict(result, status=model.OBSERVED, outbox_id="", note=words)
        if known and incident.status == model.ESCALATED:
            registry.release(store, incident_id, run_id)
            return dict(result, escalated=True, note="it was escalated before")
        fold = None if known else folding.find(ctx, incident, reason)
        if fold is not None:
            result.update(outbox_id=fold.outbox_id, note=fold.words)
        elif not known:
            payload = messages.escalation(telling.account_of(store, incident), reason)
            result["outbox_id"] = outbox.post(store, "escalation", incident_id, key, payload)
            flapping.tell(store, incident, str(result["outbox_id"]))
        _hand_over(store, incident, run_id, reason, str(result["outbox_id"]), fold)
    return dict(result, escalated=True)


def _hand_over(
    store: Store,
    incident: Incident,
    run_id: str,
    reason: str,
    outbox_id: str,
    fold: Optional[folding.Fold],
) -> None:
    running = (
        None
        if run_id
        else store.one(
            "SELECT * FROM locks WHERE name = ? AND expires_at > ?",
            (registry.lock_name(incident.id), store.now()),
        )
    )
    data = {"reason": reason or MANUAL, "outbox_id": outbox_id}
    message = "escalated to on-call: %s" % why(reason)
    if fold is not None:
        data.update(folded=fold.kind, **fold.data)
        message = "escalated to on-call, %s: %s" % (fold.words, why(reason))
    registry.hand_over(store, incident.id, model.ESCALATED, message, data, run_id)
    if running:
        # The response that was cut off must not take the incident up again with its next step.
        store.insert("locks", dict(running, owner=TAKEN_BY_HAND))


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

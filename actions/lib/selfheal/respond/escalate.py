"""Waking a person: one message per incident and opening, or none where people know of it already.

A message tells all of a storm, all that wait for one remedy, and a cause that keeps going away and
coming back; what it covers is handed over with its id. Escalating never depends on the store: when
that is down, the message goes straight to the channels and the result says that nothing was
recorded. Who is called next, while nobody acknowledges, is `ladder`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from selfheal import document
from selfheal.exceptions import ConfigError, Conflict, NotFound, SelfhealError, StoreError
from selfheal.guard import locks
from selfheal.incidents import flapping, model, registry
from selfheal.notify import messages
from selfheal.notify.reasons import why
from selfheal.outbox import letters
from selfheal.respond import folding, ladder, telling
from selfheal.respond.approval import record as approval
from selfheal.respond.finish import HOLD_S, MANUAL
from selfheal.respond.ticketing import follow_quietly
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
    The first rung of the ladder is told now (see `ladder`), `delivered` when one channel has it.
    With the store down it is told directly (`recorded` False); raises StoreError when that fails as
    well. Raises NotFound.
    """
    try:
        result = _record_escalation(ctx, incident_id, run_id, reason)
    except (StoreError, ConfigError) as error:
        from selfheal.respond import past_the_store  # seldom needed

        return past_the_store.tell(
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
        follow_quietly(ctx, incident_id)
    told = ladder.first_letters(ctx, str(result["outbox_id"]))
    return dict(result, delivered=ladder.delivered_now(ctx, told), recorded=True)


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
        payload = messages.failure(subject, status, execution_id, telling.web_url(ctx.config))
        with ctx.store.transaction("incidents"):
            told = ladder.tell(ctx, "failure", "", key, payload)
    except (StoreError, ConfigError) as error:
        told_directly = _tell_failure_directly(
            ctx, subject, messages.failure(subject, status, execution_id), error, incident_id,
            execution_id,
        )
        return dict(told_directly, subject=subject)
    return {
        "subject": subject,
        "incident_id": "",
        "status": status,
        "escalated": False,
        "outbox_id": told[0],
        "delivered": ladder.delivered_now(ctx, told),
        "recorded": True,
        "note": "",
    }


def tell_of_lasting(ctx: Context) -> Dict[str, Any]:
    """People are called anew for what was flapping and is not any more: it is back, and stays, and
    nobody has acknowledged since. Returns {"told": how many}. Raises StoreError.
    """
    store, told = ctx.store, 0
    for known in flapping.lasting(store, 60.0 * ctx.config.number("safety.flap_quiet_minutes")):
        found = store.one(
            "SELECT id, status, cleared_at FROM incidents WHERE status <> ? AND group_key = "
            "(SELECT group_key FROM incidents WHERE id = ?)",
            (model.RESOLVED, known.incident_id),
        )
        if not found or _is_taken(store, str(found["id"]), known.back_at):
            continue
        if found["status"] == model.ESCALATED and found["cleared_at"] is None:
            result = escalate_to_oncall(ctx, str(found["id"]), reason=LASTING)
            told += int(bool(result["escalated"]))
    return {"told": told}


def _is_taken(store: Store, incident_id: str, since: Optional[float]) -> bool:
    """Whether somebody has acknowledged the incident since then."""
    found = store.value(
        "SELECT 1 FROM incident_events WHERE incident_id = ? AND kind = ? AND at >= ? LIMIT 1",
        (incident_id, "acknowledged", since),
    )
    return found is not None


def _tell_failure_directly(
    ctx: Context,
    subject: str,
    payload: Dict[str, Any],
    problem: SelfhealError,
    incident_id: str,
    execution_id: str,
) -> Dict[str, Any]:
    from selfheal.respond import past_the_store  # seldom needed

    lost = ["Incident: %s" % one_line(incident_id, 80)] if incident_id else []
    lost.append("selfheal's own database failed: %s" % one_line(str(problem), 500))
    payload["text"] += "\n%s" % "\n\n".join(lost)
    payload["document"] += document.dumped((document.text(*lost),))
    if incident_id:
        payload["incident"] = {"id": incident_id}
    key = "failure:%s:%s" % (subject[:200], execution_id)
    return past_the_store.tell(ctx, "failure", key, payload, problem, incident_id)


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
        known = result["outbox_id"] = letters.find(store, key)
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
            ladder.join(ctx, incident, fold.outbox_id)
        elif not known:
            payload = messages.escalation(telling.account(ctx, incident), reason)
            result["outbox_id"] = ladder.call(ctx, incident, key, payload)
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

"""Did it work: asks the plan's checks until they have stayed healthy for a while, or time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

from selfheal.diagnose import solutions
from selfheal.exceptions import Conflict, Refused
from selfheal.guard import locks
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import journal
from selfheal.remedy import plan as plans
from selfheal.respond import carrying, deeds, silencing
from selfheal.respond.holding import enter, held
from selfheal.verify import ask, errors
from selfheal.verify.model import DEFAULT_CHECKS, AlertCheck, Check, parse_checks
from selfheal.verify.watch import Watched, watch

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

_MAX_HISTORY = 200
_MIN_INTERVAL_S = 0.1


def verify_resolution(
    ctx: Context,
    incident_id: str,
    run_id: str = "",
    timeout_s: float = 0,
    hold_s: float = -1,
    interval_s: float = 0,
) -> Dict[str, Any]:
    """Look at the signal until it has been healthy for `hold_s` seconds, at most `timeout_s`, every
    `interval_s`.

    0, -1 and 0 mean resolver.verify_timeout, resolver.healthy_hold and resolver.verify_interval.
    Returns {"resolved", "checks": [{"check", "asked", "answer", "healthy"}] (the last look at
    each), "waited_s", "reason"}. Changes nothing but the record. Raises NotFound, and Conflict when
    another response holds the incident.
    """
    incident = registry.get(ctx.store, incident_id)
    limit_s = float(timeout_s) if timeout_s > 0 else ctx.config.number("resolver.verify_timeout")
    hold = float(hold_s) if hold_s >= 0 else ctx.config.number("resolver.healthy_hold")
    interval = (
        float(interval_s) if interval_s > 0 else ctx.config.number("resolver.verify_interval")
    )
    with held(ctx, incident, run_id, limit_s):
        if incident.status == model.RESOLVED:
            return _answer(Watched(True, "closed", (), (), 0, 0.0))
        enter(ctx, incident, run_id, model.VERIFYING)
        checks = _checks_of(ctx, incident)
        question = errors.Question(_since(ctx, incident), hold, limit_s)
        watched = watch(
            ctx.clock,
            lambda: ask.look(ctx, registry.get(ctx.store, incident_id), checks, question),
            timeout_s=limit_s,
            hold_s=hold,
            interval_s=max(interval, _MIN_INTERVAL_S),
            ended=_ended(ctx, incident_id, run_id),
            healthy_since=_healthy_since(ctx, incident_id, checks, question),
        )
        _record(ctx, incident, run_id, watched, hold, limit_s)
        _settle(ctx, incident, run_id, watched)
    return _answer(watched)


def _checks_of(ctx: Context, incident: Incident) -> List[Check]:
    """The checks of the runbook that was carried out, else that the alert is gone."""
    done = journal.last_done(ctx.store, incident.id)
    plan = done["plan"] if done else incident.plan
    if not plan:
        return parse_checks(DEFAULT_CHECKS)
    try:
        return parse_checks(plans.reload(plan).verify)
    except Refused as error:
        timeline.record(
            ctx.store,
            incident.id,
            "verification_note",
            "the runbook's own checks cannot be read (%s); only the alert is asked" % error,
        )
        return parse_checks(DEFAULT_CHECKS)


def _since(ctx: Context, incident: Incident) -> float:
    """From when on all must be well: since the runbook was carried out, else from now."""
    done = journal.last_done(ctx.store, incident.id)
    finished_at = done["finished_at"] if done else None
    now: float = ctx.store.now()
    return now if finished_at is None else min(now, float(finished_at))


def _ended(ctx: Context, incident_id: str, run_id: str) -> Callable[[], Optional[bool]]:
    def ended() -> Optional[bool]:
        if registry.get(ctx.store, incident_id).status == model.RESOLVED:
            return True
        holder = locks.holder(ctx.store, registry.lock_name(incident_id))
        if run_id and holder not in (run_id, None):
            raise Conflict(
                "incident %s is held by another response (%s); this one stops"
                % (incident_id, holder),
                retryable=False,
            )
        return None

    return ended


def _healthy_since(
    ctx: Context, incident_id: str, checks: Sequence[Check], question: errors.Question
) -> Callable[[], Optional[float]]:
    """When the alert is all that is asked, the time since it was reported as gone counts towards
    the hold; so does the time for which errors are known to have stayed away.
    """

    def healthy_since() -> Optional[float]:
        if not all(isinstance(check, AlertCheck) for check in checks):
            return None
        incident = registry.get(ctx.store, incident_id)
        if incident.source == errors.SOURCE:
            return errors.quiet_for_s(ctx, incident, question)
        cleared_at = incident.cleared_at
        if cleared_at is None:
            return None
        return max(0.0, ctx.store.now() - cleared_at)

    return healthy_since


def _record(
    ctx: Context, incident: Incident, run_id: str, watched: Watched, hold_s: float, limit_s: float
) -> None:
    with ctx.store.transaction("incidents"):
        done = journal.last_done(ctx.store, incident.id)
        if done:
            journal.set_verified(ctx.store, str(done["id"]), watched.resolved)
            # Somebody closed it: that says nothing of the remedy. Nor is what another incident's
            # remedy did counted twice.
            if watched.reason != "ended" and not done["outcome"].get("inherited_from"):
                before = None if done["verified"] is None else bool(done["verified"])
                solutions.record(ctx.store, incident, done["plan"], watched.resolved, before)
        history = [
            dict(look.as_dict(), after_s=round(after_s, 1))
            for after_s, look in watched.history[:_MAX_HISTORY]
        ]
        timeline.record(
            ctx.store,
            incident.id,
            "verified" if watched.resolved else "not_verified",
            _in_words(watched, hold_s, limit_s),
            {
                "resolved": watched.resolved,
                "checks": [look.as_dict() for look in watched.looks],
                "looks": watched.rounds,
                "waited_s": round(watched.waited_s, 1),
                "history": history,
            },
            run_id or None,
        )
        if not watched.resolved:
            silencing.end(ctx.store, incident.id, fix_only=True)


def _settle(ctx: Context, incident: Incident, run_id: str, watched: Watched) -> None:
    """Tell the remedy's breaker what the signal proved of it."""
    done = journal.last_done(ctx.store, incident.id)
    if done is None or done["outcome"].get("inherited_from"):
        return
    deeds.leave(
        ctx,
        deeds.deed_of(incident, done["plan"], str(done["id"])),
        None if watched.reason == "ended" else watched.resolved,
        max(0.0, float(done["finished_at"]) - float(done["started_at"])),
        carrying.note_for(ctx, incident.id, run_id),
    )


def _in_words(watched: Watched, hold_s: float, limit_s: float) -> str:
    if watched.reason == "ended":
        return "the incident was closed while it was verified"
    if watched.resolved:
        return "all %d checks stayed healthy for %g s" % (len(watched.looks), hold_s)
    if watched.reason == "not long enough":
        return "healthy at last, but not for %g s within the %g s given" % (hold_s, limit_s)
    return "not healthy within %g s: %s" % (
        limit_s,
        "; ".join(
            "%s: %s" % (look.asked, look.answer) for look in watched.looks if not look.healthy
        ),
    )


def _answer(watched: Watched) -> Dict[str, Any]:
    return {
        "resolved": watched.resolved,
        "checks": [look.as_dict() for look in watched.looks],
        "waited_s": round(watched.waited_s, 3),
        "reason": watched.reason,
    }

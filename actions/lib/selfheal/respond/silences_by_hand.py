"""Silences that a person asks for: making one, ending one, and what there is.

Who asks gets the answer at once; what Alertmanager cannot be asked now waits in the outbox, until
the silence's own end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.incidents import model, registry
from selfheal.notify import silence_rows as rows
from selfheal.notify.silence_rows import Wanted
from selfheal.respond import silencing
from selfheal.text import counted, iso, one_line

if TYPE_CHECKING:
    from selfheal.apis.silences import Silence
    from selfheal.context import Context

MOST_LISTED = 100
_STATES = ("active", "pending", "expired", "all")


def silence_create(
    ctx: Context,
    matchers: str = "",
    minutes: float = 60,
    comment: str = "",
    incident_id: str = "",
    cluster: str = "",
    who: str = "",
) -> Dict[str, Any]:
    """Silence the alerts that `matchers` match, or the incident's own, for `minutes`; the same
    matchers for the same incident keep one silence, made longer. It ends with its incident.

    Returns {"id", "silence_id", "status" (active, or asked while Alertmanager cannot be reached),
    "matchers", "alerts", "ends_at", "incident_id", "summary"}. Raises InvalidInput, NotFound,
    ConfigError, and Refused for what is too wide, too long or matches too many alerts.
    """
    from selfheal.apis.matchers import parse
    from selfheal.respond.writing import write_now

    incident = registry.get(ctx.store, incident_id) if incident_id else None
    if incident is not None and incident.status == model.RESOLVED:
        raise Refused("incident %s is closed; there is nothing to silence for it" % incident_id)
    if not matchers.strip() and incident is None:
        raise InvalidInput("give matchers, or the incident whose alerts are to be silenced")
    if matchers.strip() or incident is None:
        found = silencing.narrow(parse(matchers))
    else:
        found = silencing.own_matchers(ctx.store, incident)
    words = one_line(comment, 300) or "asked for by %s" % (who or "somebody")
    wanted = rows.want(
        ctx.store,
        target=silencing.target_name(ctx, cluster, incident),
        incident_id=incident_id,
        matchers=silencing.text_of(found),
        purpose=rows.HAND,
        created_by=who,
        comment="%s, incident %s" % (words, incident_id) if incident_id else words,
        ends_at=ctx.store.now() + _seconds(ctx, minutes),
        is_posted=False,
    )
    written = write_now(
        ctx,
        channel=rows.CHANNEL % wanted.target,
        kind=rows.MAKE,
        payload={"silence": wanted.id, "by_hand": True},
        key=rows.key_of(wanted),
        queue=rows.queue_of(wanted),
        incident_id=incident_id,
    )
    return _answer(written, rows.get(ctx.store, wanted.id) or wanted)


def silence_expire(
    ctx: Context,
    silence_id: str = "",
    incident_id: str = "",
    others: bool = False,
    cluster: str = "",
    who: str = "",
) -> Dict[str, Any]:
    """End one silence, by our id or Alertmanager's, or all of an incident. One that selfheal did
    not make is left alone unless `others`.

    Returns {"ended": [ids], "waiting": [ids], "summary"}. Raises InvalidInput, NotFound, Refused,
    ConfigError, ExternalError.
    """
    from selfheal.respond import telling

    if bool(silence_id) == bool(incident_id):
        raise InvalidInput("give either silence_id or incident_id, so that it is clear what ends")
    why = "asked for by %s" % (who or "somebody")
    if incident_id:
        registry.get(ctx.store, incident_id)
        over = (rows.ENDED, rows.REFUSED)
        found = [one for one in rows.of_incident(ctx.store, incident_id) if one.status not in over]
    else:
        one = _recorded(ctx, silence_id, cluster)
        if one is None:
            return _end_unrecorded(ctx, silence_id, others, cluster)
        found = [one]
    ended: List[str] = []
    waiting: List[str] = []
    for one in found:
        outbox_id = rows.end(ctx.store, one, why)
        if outbox_id:
            (ended if telling.delivered_now(ctx, outbox_id) else waiting).append(one.id)
    return _ended(ended, waiting, "there was no silence to end")


def silence_list(
    ctx: Context, state: str = "active", incident_id: str = "", cluster: str = "", limit: int = 50
) -> Dict[str, Any]:
    """Silences as Alertmanager has them, those that end first at the top.

    `state` is active, pending, expired or all. Returns {"silences": [{"silence_id", "id" (ours),
    "state", "matchers", "starts_at", "ends_at", "created_by", "comment", "is_ours", "incident_id",
    "alerts"}], "count", "summary"}. Raises InvalidInput, ConfigError, ExternalError.
    """
    if state not in _STATES:
        raise InvalidInput("state must be one of %s, not %r" % (", ".join(_STATES), state[:40]))
    incident = registry.get(ctx.store, incident_id) if incident_id else None
    name = silencing.target_name(ctx, cluster, incident)
    from selfheal.apis import silences as api  # dear to import, and not before it is needed
    from selfheal.breakers import service
    from selfheal.notify.silences import target_of

    target = target_of(ctx, name)
    service_name = service.name_of(ctx.config, silencing.SECTION, target)
    there = service.call(ctx, service_name, lambda: api.listed(ctx.http, target))
    muted = service.call(ctx, service_name, lambda: api.muted_counts(ctx.http, target))
    ours = {one.silence_id: one for one in rows.known(ctx.store, name)}
    found = []
    for one in sorted(there, key=lambda silence: (silence.ends_at, silence.id)):
        mine = ours.get(one.id)
        about = (mine.incident_id or "") if mine else ""
        if state in (one.state, "all") and (not incident_id or about == incident_id):
            found.append(_shown(one, mine, muted.get(one.id, 0)))
    listed = found[:max(1, min(limit, MOST_LISTED))]
    lines = [
        "%(matchers)s until %(ends_at)s, %(alerts)d muted, %(silence_id)s" % one
        for one in listed[:10]
    ]
    head = counted(len(found), "silence" if state == "all" else "%s silence" % state)
    return {"silences": listed, "count": len(found), "summary": "\n".join([head, *lines])}


def _shown(silence: Silence, mine: Optional[Wanted], alerts: int) -> Dict[str, Any]:
    from selfheal.notify.silences import is_ours

    return {
        "silence_id": silence.id,
        "id": mine.id if mine else "",
        "state": silence.state,
        "matchers": one_line(silencing.text_of(silence.matchers), 1000),
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at),
        "created_by": one_line(silence.created_by),
        "comment": one_line(silence.comment, 500),
        "is_ours": is_ours(silence),
        "incident_id": (mine.incident_id or "") if mine else "",
        "alerts": alerts,
    }


def _seconds(ctx: Context, minutes: float) -> float:
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not minutes > 0:
        raise InvalidInput("minutes must be a number above 0, not %r" % (minutes,))
    most = 60.0 * ctx.config.number("safety.max_silence_hours")
    if minutes > most:
        raise Refused(
            "%g minutes are too long: at most %g may be silenced; give fewer, or raise "
            "safety.max_silence_hours" % (minutes, most)
        )
    return 60.0 * minutes


def _answer(written: Dict[str, Any], wanted: Wanted) -> Dict[str, Any]:
    is_made = bool(written["delivered"] and wanted.silence_id)
    alerts = int((written["answer"] or {}).get("alerts") or 0)
    until = "%s until %s" % (wanted.matchers, iso(wanted.ends_at))
    words = "silenced, with %s that fire now: %s; to end it" % (counted(alerts, "alert"), until)
    if not is_made:
        words = (
            "not silenced yet, since Alertmanager cannot be reached; it is tried again: %s; to "
            "call it off" % until
        )
    return {
        "id": wanted.id,
        "silence_id": wanted.silence_id or "",
        "status": rows.ACTIVE if is_made else rows.ASKED,
        "matchers": wanted.matchers,
        "alerts": alerts,
        "ends_at": iso(wanted.ends_at),
        "incident_id": wanted.incident_id or "",
        "summary": "%s: st2 run selfheal.silence_expire silence_id=%s" % (words, wanted.id),
    }


def _recorded(ctx: Context, silence_id: str, cluster: str) -> Optional[Wanted]:
    if silence_id.startswith("sil-"):
        found = rows.get(ctx.store, silence_id)
        if found is None:
            raise NotFound("there is no silence %r; silence_list shows those there are" %
                           silence_id[:80])
        return found
    return rows.by_silence(ctx.store, silencing.target_name(ctx, cluster, None), silence_id)


def _end_unrecorded(
    ctx: Context, silence_id: str, others: bool, cluster: str
) -> Dict[str, Any]:
    """One that the store knows nothing of: somebody else's, or ours from a lost database."""
    from selfheal.apis import silences as api
    from selfheal.breakers import service
    from selfheal.notify.silences import is_ours, target_of
    from selfheal.respond.writing import write_now

    name = silencing.target_name(ctx, cluster, None)
    target = target_of(ctx, name)
    service_name = service.name_of(ctx.config, silencing.SECTION, target)
    found = service.call(ctx, service_name, lambda: api.read(ctx.http, target, silence_id))
    if found is None:
        raise NotFound(
            "Alertmanager knows of no silence %r; silence_list shows those there are"
            % silence_id[:80]
        )
    if not found.is_living:
        return _ended([], [], "silence %s is over already" % silence_id)
    if not others and not is_ours(found):
        raise Refused(
            "silence %s was made by %s and not by selfheal (%s); to end it all the same run "
            "silence_expire with others=true"
            % (silence_id, one_line(found.created_by, 60), one_line(found.comment, 100))
        )
    written = write_now(
        ctx,
        channel=rows.CHANNEL % name,
        kind=rows.END,
        payload={"silence_id": silence_id},
        key="silence_end:%s:%s" % (name, silence_id),
        queue="silence:%s" % silence_id,
    )
    is_done = bool(written["delivered"])
    return _ended([silence_id] if is_done else [], [] if is_done else [silence_id], "")


def _ended(ended: List[str], waiting: List[str], nothing: str) -> Dict[str, Any]:
    words = []
    if ended:
        words.append("ended: %s" % ", ".join(ended))
    if waiting:
        words.append(
            "Alertmanager could not be reached and is tried again: %s" % ", ".join(waiting)
        )
    return {"ended": ended, "waiting": waiting, "summary": "; ".join(words) or nothing}

"""Who is told, by which channel, and when: the ladder of escalation.ladder, climbed until somebody
acknowledges or all that was told of is over; and what follows in the same thread.

An escalation posts its first rung in its own transaction. Housekeeping climbs on, and says when it
is over. A channel that never got the first message gets nothing that follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from selfheal.exceptions import ConfigError, StoreError
from selfheal.incidents import flapping, timeline
from selfheal.notify import channels, threads
from selfheal.outbox import letters
from selfheal.respond import calls, rungs
from selfheal.respond.calls import Call
from selfheal.respond.rungs import Rung

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

_WHO = "the ladder"
_ENDED = {
    "remediated": "the remediation worked and the signal is healthy again",
    "self_resolved": "the signal went away by itself",
    "manual": "closed by hand",
}


def rungs_of(ctx: Context) -> List[Rung]:
    """The ladder as it is configured now; one rung with all channels where the setting is none, or
    is no ladder.
    """
    config = ctx.config
    configured = channels.configured(config)
    try:
        repeat = config.number("escalation.repeat")
        pause = config.number("escalation.repeat_minutes")
        return rungs.ladder(config.get("escalation.ladder"), configured, int(repeat), pause)
    # A call must not fail because of a word: check_config says it.
    except (ConfigError, ValueError, OverflowError) as error:
        ctx.log.error("%s", error)
        return rungs.ladder(None, configured)


def call(ctx: Context, incident: Incident, key: str, payload: Mapping[str, Any]) -> str:
    """Call somebody about `incident`: the first rung's letters, in the caller's transaction.
    Returns the id of the first letter, by which the call is known; that of the letter that is there
    when `key` was told before.
    """
    first = letters.find(ctx.store, key)
    if first:
        return first
    told = threads.first(payload, key)
    posted = _post(ctx, threads.ESCALATION, incident.id, key, told, rungs_of(ctx)[0].by)
    return calls.begin(ctx.store, incident, key, told, posted)


def tell(
    ctx: Context, kind: str, incident_id: str, key: str, payload: Mapping[str, Any]
) -> List[str]:
    """Tell the first rung's channels something that needs no acknowledging (a failure, a question),
    in the caller's transaction. A question goes to PagerDuty only where there is nothing else.
    Returns the letters' ids.
    """
    by = rungs_of(ctx)[0].by
    if kind != "failure":
        by = tuple(one for one in by if not one.startswith(channels.PAGERDUTY)) or by
    known = letters.find(ctx.store, key)
    if known:
        return [known]
    told = threads.first(payload, key)
    return [one for _, one in _post(ctx, kind, incident_id, key, told, by)]


def delivered_now(ctx: Context, outbox_ids: List[str]) -> bool:
    """Carry the letters, and whether one of them has arrived. A failure is no error."""
    from selfheal.respond import telling  # that a call is over is told without it

    arrived = [telling.delivered_now(ctx, one) for one in outbox_ids]
    return any(arrived)


def first_letters(ctx: Context, outbox_id: str) -> List[str]:
    """The letters that tell what letter `outbox_id` tells, that one first."""
    try:
        rows = calls.letters_of(ctx.store, outbox_id) if outbox_id else []
    except StoreError:
        rows = []
    found = [str(row["outbox_id"]) for row in rows if row["number"] == 0]
    return list(dict.fromkeys([outbox_id, *found])) if outbox_id else []


def climb(ctx: Context) -> Dict[str, Any]:
    """Tell the rungs that are due. Returns {"told": letters posted, "ended": calls that are over}.
    Raises StoreError.
    """
    ended = settle(ctx)
    _follow_returns(ctx)
    ladder, posted = rungs_of(ctx), 0
    for found in calls.living(ctx.store):
        if rungs.due(ladder, found.began_at, found.told, False, ctx.store.now()):
            posted += _climb(ctx, found.id, ladder)
    return {"told": posted, "ended": ended}


def settle(ctx: Context) -> int:
    """Say to all who were told that it is over, where it is. Returns how many calls ended. Raises
    StoreError.
    """
    ended = 0
    for found in calls.over(ctx.store):
        with ctx.store.transaction("incidents"):
            now = calls.get(ctx.store, found.id)
            if now is None or calls.members(ctx.store, now.id):
                continue  # meanwhile it was made to cover another incident
            if not calls.set_ended(ctx.store, now):
                continue
            say_last(ctx, now, how_it_ended(ctx, now))
            ended += 1
    return ended


def say_last(ctx: Context, found: Call, how: str) -> None:
    """The last word to all who were told: it ended `how`, or, when that is empty, it goes on
    elsewhere. Belongs into the transaction that ends the call.
    """
    for channel, thread in who_was_told(ctx, found):
        payload = (
            threads.resolved(found.payload, found.about, thread, how)
            if how
            else threads.told_anew(found.payload, found.about, thread)
        )
        calls.follow(ctx.store, found, channel, threads.RESOLVED, payload)


def _follow_returns(ctx: Context) -> None:
    """What is to be said of causes that keep going away and coming back."""
    is_known = any(one.is_flapping for one in flapping.remembered(ctx.store))
    if is_known or calls.returning(ctx.store):
        from selfheal.respond import returning  # seldom needed

        try:
            returning.follow(ctx)
        except ConfigError as error:  # as in `rungs_of`: the others are called all the same
            ctx.log.error("%s", error)


def join(ctx: Context, incident: Incident, call_id: str) -> None:
    """The call covers `incident` as well. One that was over is so no more: whoever reads the thread
    learns that it is back, and only the ladder wakes anybody. Belongs into the transaction that
    hands over.
    """
    found = calls.get(ctx.store, call_id)
    if found is None:
        return
    is_back = calls.revive(ctx.store, found)
    calls.join(ctx.store, incident, call_id)
    for channel, thread in who_was_told(ctx, found, is_over=False) if is_back else ():
        if not channel.startswith(channels.PAGERDUTY):
            payload = threads.returned(found.payload, found.about, thread)
            calls.follow(ctx.store, found, channel, threads.RETURNED, payload)


def settle_quietly(ctx: Context) -> None:
    """The same for whoever has done more important work: housekeeping does what fails here."""
    try:
        settle(ctx)
    except StoreError as error:
        ctx.log.warning("that calls are over is told later: %s", error)


def acknowledged(ctx: Context, found: Call, by: str, note: str) -> None:
    """Say to all who were told that `by` has it; what was not delivered yet to anybody further up
    is taken back. Belongs into the transaction that acknowledges.
    """
    for channel, thread in who_was_told(ctx, found, is_over=False):
        payload = threads.acknowledged(found.payload, found.about, thread, by, note)
        calls.follow(ctx.store, found, channel, threads.ACKNOWLEDGED, payload)


def _climb(ctx: Context, call_id: str, ladder: List[Rung]) -> int:
    store = ctx.store
    with store.transaction("incidents"):
        found = calls.get(store, call_id)
        if found is None or found.is_acknowledged or found.ended_at is not None:
            return 0
        now = store.now()
        due = rungs.due(ladder, found.began_at, found.told, found.is_acknowledged, now)
        if not due or not calls.is_firing(store, call_id):
            return 0  # the signal is gone: it waits for its end, and nobody is called
        by = tuple(dict.fromkeys(channel for rung in due for channel in rung.by))
        minutes = max(0.0, now - found.began_at) / 60.0
        for channel in by:
            thread = _first_of(ctx, call_id, channel)
            payload = threads.again(found.payload, found.about, thread, minutes)
            calls.follow(store, found, channel, threads.ESCALATION, payload, due[-1].number)
        calls.set_told(store, found, [rung.number for rung in due])
        words = "nobody has acknowledged for %d minutes: told %s" % (
            minutes, ", ".join(channels.word_of(channel) for channel in by),
        )
        for incident_id in calls.members(store, call_id):
            once = "rung:%s:%d" % (call_id, due[-1].number)
            data = {"outbox_id": call_id, "by": list(by)}
            timeline.record(store, incident_id, "escalated_further", words, data, once=once)
    return len(by)


def _post(
    ctx: Context,
    kind: str,
    incident_id: str,
    key: str,
    payload: Mapping[str, Any],
    by: Tuple[str, ...],
) -> List[Tuple[str, str]]:
    """(channel, letter) for each; the first has the plain key, and is the webhook's where that is
    among them or nothing is configured: then it waits.
    """
    is_called = kind == threads.ESCALATION
    ordered = sorted(by or (channels.WEBHOOK,), key=lambda one: one != channels.WEBHOOK)
    posted: List[Tuple[str, str]] = []
    for channel in ordered:
        own = key if not posted else "%s:%s" % (key, channel)
        outbox_id = letters.post(
            ctx.store,
            kind,
            incident_id or None,
            own,
            calls.for_channel(channel, payload),
            channel=channel,
            queue=calls.queue_of(key, channel) if is_called else "",
        )
        posted.append((channel, outbox_id))
    return posted


def _first_of(ctx: Context, call_id: str, channel: str) -> str:
    rows = calls.letters_of(ctx.store, call_id, channel)
    return str(rows[0]["outbox_id"]) if rows else ""


def who_was_told(ctx: Context, found: Call, is_over: bool = True) -> List[Tuple[str, str]]:
    """(channel, first letter) of the channels that were told, or may have been. Letters that were
    not carried are discarded: all when it is over, else those that call further people.
    """
    known: Dict[str, str] = {}
    for row in calls.letters_of(ctx.store, found.id):
        channel, outbox_id = str(row["channel"]), str(row["outbox_id"])
        is_waiting = row["status"] in (letters.PENDING, letters.DEAD) and not row["in_doubt"]
        may_go = is_over or bool(row["rung"])
        if is_waiting and may_go and _discarded(ctx, outbox_id, is_over):
            continue
        if row["status"] != letters.DISCARDED:
            known.setdefault(channel, outbox_id)
    if _has_silent_webhook(ctx):
        known.pop(channels.WEBHOOK, None)
    return sorted(known.items())


def _discarded(ctx: Context, outbox_id: str, is_over: bool) -> bool:
    why = "it was over before it was delivered" if is_over else "it was acknowledged"
    return letters.discard(ctx.store, outbox_id, _WHO, why)


def _has_silent_webhook(ctx: Context) -> bool:
    return ctx.config.optional("notify.webhook.follow_ups") is False


def how_it_ended(ctx: Context, found: Call) -> str:
    """Why what the call was about is over, in words; empty when it was opened anew."""
    row = ctx.store.one(
        "SELECT status, resolution FROM incidents WHERE id = ?", (found.incident_id,)
    )
    if row is None or row["status"] != "resolved":
        return ""
    many = ctx.store.value(
        "SELECT COUNT(DISTINCT incident_id) FROM escalation_members WHERE escalation_id = ?",
        (found.id,),
    )
    how = _ENDED.get(str(row["resolution"]), "closed")
    return "all %d incidents are closed" % many if int(many or 0) > 1 else how

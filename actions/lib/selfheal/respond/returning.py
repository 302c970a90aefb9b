"""What a thread says of a cause that keeps going away and coming back without a response: its last
word stays true, and nobody reads the same every minute.

The first return of that kind is told with what follows; then at most once in a while how often it
came back; at last that it has calmed down, that a person closed it, or that somebody is called
anew. In between the call is not over, and no further rung of its ladder is climbed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from selfheal.incidents import flapping, model, registry
from selfheal.notify import channels, threads
from selfheal.respond import calls, ladder
from selfheal.store import checkpoints
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.flapping import Told
    from selfheal.respond.calls import Call

_RAREST_S = 600.0  # a window that is set to less says it so often at most


def follow(ctx: Context) -> None:
    """Say what is to be said now. Raises StoreError."""
    store = ctx.store
    quiet_s = 60.0 * ctx.config.number("safety.flap_quiet_minutes")
    known = {told.outbox_id: told for told in flapping.remembered(store) if told.is_flapping}
    now = store.now()
    coming = [name for name, told in known.items() if not told.is_calm(now, quiet_s)]
    for call_id in dict.fromkeys((*coming, *calls.returning(store))):
        with store.transaction("incidents"):
            call = calls.get(store, call_id)
            if call is None:
                calls.forget_returns(store, call_id)
            elif call_id in coming:
                _follow(ctx, call, known[call_id], quiet_s)
            else:
                _end(ctx, call, known.get(call_id), quiet_s)


def _follow(ctx: Context, call: Call, told: Told, quiet_s: float) -> None:
    store, times, window_s = ctx.store, told.returns, max(quiet_s, _RAREST_S)
    now, said = store.now(), calls.said_of_returns(store, call.id)
    incident_id = _open_incident(ctx, told)
    if incident_id:
        is_back = calls.revive(store, call)
        calls.join(store, registry.get(store, incident_id), call.id)
        if said is None and is_back:
            _say(ctx, call, times, lambda thread: threads.keeps_returning(
                call.payload, call.about, thread, times, window_s / 60.0, quiet_s / 60.0
            ))
            return
    if said is None or checkpoints.number(said, "returns") == times:
        return  # it is as it was said, or the ladder says it
    if not 0 <= now - (checkpoints.number(said, "at") or 0.0) < window_s:
        _say(ctx, call, times, lambda thread: threads.returned_often(
            call.payload, call.about, thread, times, told.told_at, bool(incident_id), now
        ))


def _open_incident(ctx: Context, told: Told) -> str:
    """The incident of the cause that people have now, or nothing."""
    found = ctx.store.value(
        "SELECT id FROM incidents WHERE status = ? AND dry_run = 0 AND group_key = "
        "(SELECT group_key FROM incidents WHERE id = ?)",
        (model.ESCALATED, told.incident_id),
    )
    return str(found or "")


def _say(
    ctx: Context, call: Call, times: int, payload_for: Callable[[str], Dict[str, Any]]
) -> None:
    for channel, thread in ladder.who_was_told(ctx, call, is_over=False):
        if not channel.startswith(channels.PAGERDUTY):
            calls.follow(ctx.store, call, channel, threads.RETURNED, payload_for(thread))
    calls.note_returns(ctx.store, call.id, times)


def _end(ctx: Context, call: Call, told: Optional[Told], quiet_s: float) -> None:
    """The last word; the call is over."""
    calls.forget_returns(ctx.store, call.id)
    if told is not None and calls.members(ctx.store, call.id):
        return  # something else that the call covers is open: from here on it is like any other
    if not calls.set_ended(ctx.store, call):
        return
    how = ladder.how_it_ended(ctx, call)
    if told is not None:
        if not told.has_stayed(quiet_s):
            how = "it has stayed away for %s" % threads.minutes_of(quiet_s / 60.0)
        how += ", after it had been opened again %s" % counted(told.returns, "time")
    elif calls.members(ctx.store, call.id):
        how = ""
    ladder.say_last(ctx, call, how)

"""Who may act on an incident: the response that claimed it, or a person by hand while no response
is at work.

By hand the incident is held for the length of one step under a name of its own, so that two hands,
or a hand and a response, never act at once.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

from selfheal.exceptions import Conflict
from selfheal.guard import locks
from selfheal.ids import new_id
from selfheal.incidents import model, registry
from selfheal.respond import ticketing

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident


def claim_s(ctx: Context, longest_s: float) -> float:
    """Seconds to hold an incident for a step of at most `longest_s`: the next one must get time to
    begin before the response counts as dead.
    """
    return longest_s + 60.0 * ctx.config.number("safety.response_minutes")


@contextmanager
def held(ctx: Context, incident: Incident, run_id: str, longest_s: float = 0.0) -> Iterator[None]:
    """Hold the incident for a step of at most `longest_s` seconds. Raises Conflict when another
    holds it.

    The claim of a run outlives the step, since its next one follows; that of a hand ends with it.
    What the step did, the incident's tickets are told.
    """
    ttl_s = claim_s(ctx, longest_s)
    if run_id:
        registry.hold(ctx.store, incident, run_id, ttl_s)
        yield
        ticketing.follow_quietly(ctx, incident.id)
        return
    name, owner = registry.lock_name(incident.id), new_id("hand", ctx.clock.now())
    if not locks.acquire(ctx.store, name, owner, ttl_s):
        raise Conflict(
            "incident %s is held by a running response (%s); wait for its end, or close or "
            "escalate it" % (incident.id, locks.holder(ctx.store, name))
        )
    try:
        yield
    finally:
        locks.release(ctx.store, name, owner)
    ticketing.follow_quietly(ctx, incident.id)


def enter(ctx: Context, incident: Incident, run_id: str, status: str) -> None:
    """Move the incident to `status` for a response; by hand it stays where it is. Raises Conflict
    when it is closed.
    """
    if not run_id:
        return
    # Alone: who attaches an alert at this moment would write back the state that it has read.
    with ctx.store.transaction("incidents"):
        if registry.move(ctx.store, incident.id, status):
            return
        if registry.get(ctx.store, incident.id).status == model.RESOLVED:
            raise Conflict("incident %s was closed meanwhile" % incident.id, retryable=False)

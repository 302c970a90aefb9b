"""The circuit breaker of a remedy on a scope: what failed there again and again is not repeated.

`objection` only looks, `permit` takes a probe when it is time to try again (both inside the gate's
transaction), `settle` says what became of it. What cannot be read is an objection. Remedies that
only read have breakers too: a script that always hangs should stop being run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Callable, List, Optional

from selfheal.breakers import rows, words
from selfheal.breakers.machine import Breaker, Change, Refusal
from selfheal.breakers.settings import REMEDY, Name, Settings, settings_of
from selfheal.exceptions import SelfhealError, StoreError
from selfheal.guard.verdict import Objection

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.guard.verdict import Deed

RULE = "breaker"


def objection(ctx: Context, deed: Deed) -> Optional[Objection]:
    """Whether the breaker lets `deed` begin now; takes nothing, writes nothing."""

    def looked(settings: Settings) -> Optional[Refusal]:
        breaker = rows.read(ctx.store, _name(deed), settings)
        return breaker.refusal(ctx.clock.now(), deed.execution_id)

    return _asked(ctx, deed, looked)


def permit(ctx: Context, deed: Deed) -> Optional[Objection]:
    """As `objection`; when it is None and the breaker is being tried, `deed` is a probe now and
    must be settled. Asked again for the same execution, the answer is the same.
    """

    def taken(settings: Settings) -> Optional[Refusal]:
        now, owner = ctx.clock.now(), deed.execution_id
        return rows.change(
            ctx.store, _name(deed), settings, lambda breaker: breaker.permit(now, owner), owner
        )[0]

    return _asked(ctx, deed, taken)


def settle(ctx: Context, deed: Deed, is_ok: bool, seconds: Optional[float] = None) -> List[Change]:
    """The outcome of `deed` after `seconds`; told a second time it changes nothing.

    Returns the changes of state that it made (see `sentence`). Raises StoreError, ConfigError.
    """
    now, owner = ctx.clock.now(), deed.execution_id

    def act(breaker: Breaker) -> bool:
        return breaker.settle(now, is_ok, seconds, owner)

    return rows.change(ctx.store, _name(deed), settings_of(ctx.config, REMEDY), act, owner)[1]


def release(ctx: Context, deed: Deed) -> None:
    """`deed` did not begin after all: a probe that it took is free again. Raises StoreError."""
    owner = deed.execution_id
    settings = settings_of(ctx.config, REMEDY)
    rows.change(ctx.store, _name(deed), settings, lambda breaker: breaker.release(owner), owner)


def sentence(deed: Deed, change: Change) -> str:
    """A change of state as the incident's timeline tells it."""
    return "the circuit breaker of %s went from %s to %s: %s" % (
        _name(deed).shown,
        change.from_state,
        change.to_state,
        change.reason,
    )


def _name(deed: Deed) -> Name:
    return Name(REMEDY, deed.remedy, deed.scope.casefold())  # a host's name has no case


def _asked(
    ctx: Context, deed: Deed, ask: Callable[[Settings], Optional[Refusal]]
) -> Optional[Objection]:
    name = _name(deed)
    if not (deed.execution_id and deed.remedy and deed.scope):
        return Objection(
            RULE,
            "a deed without an execution, a remedy or a scope has no circuit breaker",
            "analyze the incident again; its plan must say what it touches",
        )
    now = ctx.clock.now()
    if not math.isfinite(now):
        return Objection("clock", "the time %r makes no sense" % now, "set this host's clock right")
    try:
        refusal = ask(settings_of(ctx.config, REMEDY))
    except SelfhealError as error:
        rule = "store" if isinstance(error, StoreError) else RULE
        return Objection(
            rule,
            "the circuit breaker of %s cannot be asked: %s" % (name.shown, error),
            "what cannot be judged is not done; mend the database (database.url) or "
            "safety.breaker, then start the remedy again",
        )
    if refusal is None:
        return None
    data = {
        "breaker": name.key,
        "name": name.shown,
        "state": refusal.state,
        "since": refusal.since,
        "why": refusal.reason,
    }
    return Objection(
        RULE, words.reason(name, refusal), words.advice(name, refusal), refusal.until, data
    )

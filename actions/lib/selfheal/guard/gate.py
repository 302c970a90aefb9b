"""The one place that asks all guards whether a deed may be done: `look` to know, `enter` to do it.

The guards are asked in a fixed order (see GUARDS), and the first that objects decides. `enter` asks
and takes what the deed costs (a unit of each budget, the probe of a half-open breaker) in one
transaction that excludes all others, so what one was allowed no other can be allowed as well.
Whatever cannot be found out is an objection: the answer is no until every guard has said yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple

from selfheal.exceptions import SelfhealError, StoreError
from selfheal.guard import breaker, budgets, clock, group_health, pause, storm, waits, windows
from selfheal.guard.verdict import Deed, Objection
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

PURPOSE = "guard"
Guard = Callable[["Context", Deed], Optional[Objection]]

# In the order in which they are asked: first whether anything can be believed at all, then what
# people have said, then what the past says, then what the deed itself would do. What is found
# out outside of the store (min_healthy) and about the words to run (command) is brought along.
GUARDS: Tuple[Tuple[str, Guard], ...] = (
    ("store", lambda ctx, deed: _readable(ctx)),
    ("clock", clock.objection),
    ("pause", pause.objection),
    ("window", windows.objection),
    ("storm", storm.objection),
    ("wait", waits.objection),
    ("budget", budgets.objection),
    ("min_healthy", group_health.objection),
    ("breaker", breaker.objection),
)


def look(ctx: Context, deed: Deed, commands: Sequence[Objection] = ()) -> List[Objection]:
    """All that speaks against `deed` now, in the order of the guards. Takes nothing; what the clock
    and the storm are remembered by is kept up to date.

    `commands` are the objections to the words that it would run. Never raises for what a guard
    cannot find out: that is an objection.
    """
    found = [_asked(name, guard, ctx, deed) for name, guard in GUARDS]
    return [objection for objection in (*found, *commands) if objection is not None]


def enter(ctx: Context, deed: Deed, commands: Sequence[Objection] = ()) -> Optional[Objection]:
    """Ask all guards, and take what `deed` costs; the first objection, and then nothing is taken.

    Call it when the target is held, just before the first step, and `leave` when the deed is over.
    """
    try:
        measured = group_health.measure(ctx, deed)  # it asks other systems, so before all excludes
        with ctx.store.transaction(PURPOSE):
            objection = _first(ctx, deed, measured) or next(iter(commands), None)
            if objection is None:
                objection = breaker.permit(ctx, deed)
            if objection is None:
                budgets.charge(ctx, deed)
                group_health.charge(ctx, deed, measured)
            return objection
    except Exception as error:  # whatever it is, it was not a yes
        return _cannot_tell("store" if isinstance(error, StoreError) else "guard", ctx, error)


def was_entered(ctx: Context, deed: Deed) -> bool:
    """Whether `deed` was let in, for who comes after its death; one that only reads may have been.
    Raises StoreError.
    """
    return not deed.changes_something or budgets.is_charged(ctx.store, deed)


def leave(
    ctx: Context, deed: Deed, is_good: Optional[bool], seconds: Optional[float] = None
) -> List[str]:
    """Tell the breaker how an entered deed ended: well, badly, or (None) in a way that says nothing
    of the remedy; told twice, the first time counts.

    Returns what changed by it, in words for the timeline. Raises StoreError, ConfigError.
    """
    with ctx.store.transaction(PURPOSE):
        if is_good is None:
            breaker.release(ctx, deed)
            return []
        changes = breaker.settle(ctx, deed, is_good, seconds)
        return [breaker.sentence(deed, change) for change in changes]


def _first(ctx: Context, deed: Deed, measured: group_health.Measured) -> Optional[Objection]:
    for name, guard in GUARDS:
        if name == "min_healthy":
            objection = group_health.objection(ctx, deed, measured)
        else:
            objection = _asked(name, guard, ctx, deed)
        if objection is not None:
            return objection
    return None


def _readable(ctx: Context) -> Optional[Objection]:
    ctx.store.value("SELECT COUNT(*) FROM locks WHERE name = ?", (PURPOSE,))
    return None


def _asked(name: str, guard: Guard, ctx: Context, deed: Deed) -> Optional[Objection]:
    try:
        return guard(ctx, deed)
    except Exception as error:  # a guard that breaks has not said yes
        return _cannot_tell("store" if isinstance(error, StoreError) else name, ctx, error)


def _cannot_tell(rule: str, ctx: Context, error: Exception) -> Objection:
    is_foreseen = isinstance(error, SelfhealError)
    if not is_foreseen:
        ctx.log.error("the guard %s broke", rule, exc_info=error)
    problem = one_line("%s%s" % ("" if is_foreseen else type(error).__name__ + ": ", error), 500)
    if rule == "store":
        return Objection(
            rule,
            "selfheal's database could not be asked whether this may be done: %s" % problem,
            "mend database.url (st2 run selfheal.check_config shows what is wrong), then start the "
            "remedy again",
        )
    return Objection(
        rule,
        "the guard %s could not find out whether this may be done: %s" % (rule, problem),
        "mend what it names (st2 run selfheal.check_config checks the settings), then start the "
        "remedy again; until then a person acts",
    )

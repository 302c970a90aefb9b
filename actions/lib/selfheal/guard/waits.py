"""The growing wait between two remedies on one target for one cause: after the first it is
safety.retry_wait_minutes, after each further one twice as long, until a day passed without one.

Counts what guard.budgets charged; writes nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence

from selfheal.guard import budgets
from selfheal.guard.doubt import amount, no_when_unreadable
from selfheal.guard.verdict import Deed, Objection
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

QUIET_S = budgets.DAY_S
_MOST_READ = 64  # doubling so often is longer than any quiet time


def in_a_row(times: Sequence[float], now: float, quiet_s: float = QUIET_S) -> int:
    """How many of `times` (the latest first) came without a quiet time between them, or since."""
    count, later = 0, now
    for at in times:
        if later - at >= quiet_s:
            break
        count, later = count + 1, at
    return count


def wait_s(count: int, first_wait_s: float) -> float:
    """Seconds to wait after the `count`-th remedy in a row."""
    return first_wait_s * 2.0 ** (count - 1) if count else 0.0


@no_when_unreadable("when the last remedies began", "wait")
def objection(ctx: Context, deed: Deed) -> Optional[Objection]:
    """Why the deed must wait, or None."""
    if not deed.changes_something:
        return None
    first_wait_s = 60.0 * amount(ctx, "safety.retry_wait_minutes")
    now = ctx.clock.now()
    times = _begun(ctx, deed)
    count = in_a_row(times, now)
    if not count:
        return None
    wait = min(wait_s(count, first_wait_s), QUIET_S)  # after a quiet day the count begins anew
    until = times[0] + wait
    if until <= now:
        return None
    return Objection(
        "wait",
        "remedies begun on %s for this cause without a day between them: %d, the last at %s; the "
        "next one waits %g minutes after it"
        % (one_line(deed.scope, 100), count, iso(times[0]), wait / 60.0),
        "wait until %s, or lower safety.retry_wait_minutes" % iso(until),
        until,
        {"begun": count, "last_at": times[0], "wait_s": wait},
    )


def _begun(ctx: Context, deed: Deed) -> List[float]:
    """When remedies of the deed's target and cause began, the latest first."""
    name = budgets.cause_name(deed)
    rows = ctx.store.query(
        "SELECT at FROM budgets WHERE name = ? AND execution_id <> ? ORDER BY at DESC LIMIT ?",
        (name, deed.execution_id, _MOST_READ),
    )
    return [budgets.checked_time(row["at"], "table budgets, name %s," % name) for row in rows]

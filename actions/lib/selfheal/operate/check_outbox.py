"""Whether letters were given up, or wait because of settings: what a person has to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Tuple

from selfheal.exceptions import SelfhealError
from selfheal.outbox import letters
from selfheal.text import counted, iso

if TYPE_CHECKING:
    from selfheal.context import Context

Row = Tuple[str, str, str, str]
_WAITING_S = 3600.0


def lines(ctx: Context) -> List[Row]:
    """(what, state, detail, do) of the outbox, as in `check_config`; one line. Nothing when the
    store cannot be read, which another line says.
    """
    try:
        channels = letters.by_channel(ctx.store)
    except SelfhealError:
        return []
    now = ctx.clock.now()
    waiting = sum(one["pending"] for one in channels)
    amiss = [
        one for one in channels if one["dead"] or now - float(one["oldest_at"]) > _WAITING_S
    ]
    if not amiss:
        return [("outbox", "on", "%s on their way" % counted(waiting, "letter"), "")]
    state = "error" if any(one["dead"] for one in amiss) else "warning"
    detail = "; ".join(
        "%s: %d given up, %d waiting since %s%s"
        % (
            one["channel"],
            one["dead"],
            one["pending"],
            iso(one["oldest_at"]),
            " (%s)" % one["last_error"] if one["last_error"] else "",
        )
        for one in amiss
    )
    do = "st2 run selfheal.outbox_list; then outbox_retry channel=... or outbox_discard"
    return [("outbox", state, detail, do)]

"""What holds remedies back by the clock or by a person's word: windows, quiet hours, pauses.

Says what is wrong with each entry, else when it is open and comes next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from selfheal.exceptions import SelfhealError
from selfheal.guard import pause, quiet, windows
from selfheal.incidents.model import SEVERITIES

if TYPE_CHECKING:
    from selfheal.context import Context

_SHOWN = 20
Row = Tuple[str, str, str, str]


def lines(ctx: Context) -> List[Row]:
    """(what, state, detail, do) for windows, quiet hours and pauses, as in `check_config`; nothing
    where there are none.
    """
    now = ctx.clock.now()
    frozen = "mend it; until then nothing changes without a yes"
    rows: List[Row] = [
        (windows.KEY, "error", problem, frozen) for problem in windows.problems(ctx.config, now)
    ]
    rows += [
        (quiet.KEY, "error", problem, "mend it; until then people are woken")
        for problem in quiet.problems(ctx.config, now, SEVERITIES)
    ]
    rows += [
        _row("%s window %s" % (one["kind"], one["name"]), one)
        for one in windows.describe(ctx.config, now)
        if not one["trouble"]
    ]
    rows += [
        _row("quiet hours for %s" % ", ".join(one["severities"]), one)
        for one in quiet.describe(ctx.config, now)
        if not one["trouble"]
    ]
    return rows + _pauses(ctx)


def _row(what: str, one: Dict[str, Any]) -> Row:
    if one["until"]:
        return what, "on", "%s; open now, until %s" % (one["when"], one["until"]), ""
    if one["next_start"]:
        return what, "on", "%s; next at %s" % (one["when"], one["next_start"]), ""
    return what, "warning", "%s; it is over" % one["when"], "remove it from the configuration"


def _pauses(ctx: Context) -> List[Row]:
    try:
        found = pause.live(ctx.store)
    except SelfhealError:
        return []  # the store's own line says what is wrong with it
    return [("pause", "warning", str(one), pause.resuming(one)) for one in found[:_SHOWN]]

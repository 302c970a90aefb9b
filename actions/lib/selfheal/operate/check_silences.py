"""Whether silences can be read in each Alertmanager, how many of ours are there, and whether the
settings about them have an effect. Whether we may write one is only known by writing one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Tuple

from selfheal.config import DEFAULT_TARGET
from selfheal.exceptions import ConfigError, SelfhealError
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context

WHAT = "silences"
SECTION = "alertmanager"
Row = Tuple[str, str, str, str]


def lines(ctx: Context, longest_wait_s: float) -> List[Row]:
    """(what, state, detail, do) for silences, as in `check_config`."""
    try:
        targets = ctx.config.targets(SECTION)
    except ConfigError:
        return []  # the section's own line tells
    is_wanted = bool(ctx.config.get("safety.silence_while_fixing"))
    if not targets:
        if not is_wanted:
            return []
        detail = "safety.silence_while_fixing is on, but no Alertmanager is configured"
        return [(WHAT, "warning", detail, "set alertmanager.url")]
    return [
        _line(ctx, name, settings, is_wanted, longest_wait_s)
        for name, settings in sorted(targets.items())
    ]


def _line(
    ctx: Context, name: str, settings: Mapping[str, Any], is_wanted: bool, longest_wait_s: float
) -> Row:
    from selfheal.apis import silences as api
    from selfheal.notify.silences import is_ours

    what = WHAT if name == DEFAULT_TARGET else "%s: %s" % (WHAT, name)
    asked_s = settings.get("timeout_s")
    is_number = isinstance(asked_s, (int, float)) and not isinstance(asked_s, bool)
    wait_s = min(float(asked_s or longest_wait_s), longest_wait_s) if is_number else longest_wait_s
    try:
        found = api.listed(ctx.http, dict(settings, timeout_s=wait_s))
    except SelfhealError as error:
        do = "mend %s; until then nothing is silenced" % SECTION
        return (what, "error" if is_wanted else "warning", str(error), do)
    ours = sum(1 for one in found if one.is_living and is_ours(one))
    words = "on" if is_wanted else "off"
    detail = "%s of ours now; while a remedy runs: %s" % (counted(ours, "silence"), words)
    return (what, "on", detail, "")

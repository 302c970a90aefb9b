"""What the guard would make of the configuration: the command policy and what it refuses, limits
that contradict each other, groups that must stay healthy, windows and pauses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Tuple

from selfheal.exceptions import ConfigError
from selfheal.guard import command_check, groups
from selfheal.guard.commands import check
from selfheal.operate import check_windows
from selfheal.remedy import catalogue

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.context import Context

POLICY = "command policy"
Row = Tuple[str, str, str, str]


def lines(ctx: Context) -> List[Row]:
    """(what, state, detail, do), as in `check_config`."""
    rows = [*_commands(ctx.config), *_min_healthy(ctx.config), *_approvers(ctx.config)]
    try:
        rows += _breakers(ctx.config)
    except ConfigError:
        pass  # no figure at all: the configuration's own line says so
    return rows + check_windows.lines(ctx)


def _commands(config: Config) -> List[Row]:
    try:
        policy = command_check.policy_of(config)
        count = check(policy)
        runbooks = catalogue.load(catalogue.search_paths(config)).runbooks
    except ConfigError as error:
        return [(POLICY, "error", str(error), "mend it; until then no command runs")]
    site = config.get("safety.command_table")
    detail = "rows for %d programs%s, safe mode %s" % (
        count,
        ", %s read after the pack's" % site if site else "",
        "on" if policy.safe_mode else "off",
    )
    rows: List[Row] = [(POLICY, "on", detail, "")]
    for runbook in runbooks:
        what = "runbook %s" % runbook.path
        judged = command_check.judge_runbook(runbook, policy)
        rows += [(what, "error", one.reason, one.advice) for one in judged.objections]
        rows += [(what, "warning", note, "say so in its `risk`") for note in judged.notes]
    return rows


def _breakers(config: Config) -> List[Row]:
    """Breakers that could never open, or never close: each setting is right, but not together."""
    rows: List[Row] = []
    for section in ("breaker", "service_breaker"):
        key = "safety.%s" % section
        least, longest = (
            config.number("%s.%s" % (key, name)) for name in ("open_minutes", "max_open_minutes")
        )
        if longest < least:
            trouble = "max_open_minutes (%g) is less than open_minutes (%g)" % (longest, least)
            rows.append((key, "error", trouble, "make it at least that long"))
    seen = _remedies_in_window(config)
    needed = config.number("safety.breaker.min_calls")
    if needed > seen > 0:
        trouble = (
            "min_calls (%g) is more than the budgets let begin on one target within window_minutes "
            "(%g): it would never open" % (needed, seen)
        )
        rows.append(("safety.breaker", "error", trouble, "lower min_calls or raise the window"))
    return rows


def _remedies_in_window(config: Config) -> float:
    """How many remedies may begin on one target while a breaker looks back; 0 where none may."""
    hour, day = (config.number("safety.budgets.target_%s" % name) for name in ("hour", "day"))
    return min(day, hour * config.number("safety.breaker.window_minutes") / 60.0)


def _min_healthy(config: Config) -> List[Row]:
    try:
        found = groups.parse(config.get("safety.min_healthy"))
    except ConfigError as error:
        return [("safety.min_healthy", "error", str(error), "mend it; until then nothing changes")]
    if found and not config.targets("prometheus"):
        trouble = "%d groups must stay healthy, but no Prometheus can be asked" % len(found)
        return [("safety.min_healthy", "error", trouble, "set prometheus.url")]
    return []


def _approvers(config: Config) -> List[Row]:
    names = config.get("safety.approvers") or []
    blank = [name for name in names if not str(name).strip() or "*" in str(name)]
    if not blank:
        return []
    trouble = "%r is no name of a person, and there are no patterns" % (blank[0],)
    return [("safety.approvers", "error", trouble, "write each name in full")]

"""Whether each search target of the configuration can be searched for errors, and finds any.

Asks for its health and counts the errors of the last minutes, as the sensor would; nothing is read
or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from selfheal.config import target_key
from selfheal.exceptions import ConfigError, SelfhealError
from selfheal.intake.elk import settings as elk_settings
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.context import Context

_MINUTES = 15
Row = Tuple[str, str, str, str]


def lines(ctx: Context, longest_wait_s: float) -> List[Row]:
    """(what, state, detail, do) for each target of section elasticsearch, as in `check_config`."""
    section = elk_settings.SECTION
    try:
        targets = elk_settings.targets(ctx.config)
    except ConfigError as error:
        return [(section, "error", str(error), "correct the section %s" % section)]
    if not targets:
        without = "no errors are searched for there"
        return [(section, "off", "%s.url is not set: %s" % (section, without), "")]
    found: List[Row] = []
    for name, settings in sorted(targets.items()):
        what = target_key(section, name)
        settings["timeout_s"] = min(settings["timeout_s"], longest_wait_s)
        found.append((what, *_checked(ctx, what, settings)))
    return found


def _checked(ctx: Context, what: str, settings: Dict[str, Any]) -> Tuple[str, str, str]:
    from selfheal.apis.elasticsearch.search import Search  # dear to import, and often not used

    try:
        search = Search(settings, sleep=ctx.clock.sleep, monotonic=ctx.clock.monotonic)
    except SelfhealError as error:
        return "error", str(error), "correct %s" % what
    try:
        health = search.health()
        now = ctx.clock.now()
        errors = search.count(now - _MINUTES * 60, now)
        warnings = search.warnings()
    except SelfhealError as error:
        do = "see what the message advises; until then errors are not found"
        return "error", str(error), do
    finally:
        search.close()
    if health["status"] == "red":
        return "error", health["detail"], "bring the missing nodes or indices back"
    detail = "%s answers, %s; %s in %s in the last %d minutes" % (
        health["version"],
        health["status"],
        counted(errors, "error"),
        settings["index"],
        _MINUTES,
    )
    if health["status"] == "unknown":
        return "warning", "%s; %s" % (detail, health["detail"]), "permit it to see the health"
    if warnings:
        return "warning", "%s; %s" % (detail, "; ".join(warnings)), "mend the index template"
    return "on", detail, ""

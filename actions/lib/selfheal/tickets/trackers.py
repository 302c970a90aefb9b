"""Which trackers are configured, by name (servicenow.default), and the object that speaks to each.

What a tracker needs is loaded when one is spoken to, not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from selfheal.config import DEFAULT_TARGET, Config
from selfheal.exceptions import ConfigError
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.tickets.model import Tracker

# section of the configuration: the module with `tracker(ctx, target)`
MODULES: Dict[str, str] = {
    "servicenow": "selfheal.tickets.servicenow",
    "jira": "selfheal.tickets.jira",
}


def is_any(config: Config) -> bool:
    """Whether there may be a tracker; asks no more than it must."""
    return any(config.optional(section) for section in MODULES)


def names(config: Config) -> Tuple[str, ...]:
    """The trackers that get a ticket: those of `tickets.trackers`, else all that are configured."""
    if not is_any(config):
        return ()
    wanted = {full_name(str(name)) for name in config.optional("tickets.trackers") or ()}
    return tuple(name for name in known(config) if not wanted or name in wanted)


def known(config: Config) -> Tuple[str, ...]:
    """All that are configured."""
    return tuple(
        "%s.%s" % (section, target)
        for section in MODULES
        if config.optional(section)
        for target in sorted(config.targets(section))
    )


def problems(values: Mapping[str, Any]) -> List[str]:
    """What is wrong with `tickets.trackers` in the configuration `values`, one line each."""
    tickets = values.get("tickets")
    wanted = tickets.get("trackers") if isinstance(tickets, Mapping) else None
    if not isinstance(wanted, (list, tuple)):
        return []
    try:
        there = known(Config(values))
    except ConfigError:
        return []  # what is wrong with a section is said of it
    others = " (there are %s)" % ", ".join(there) if there else "; none is configured"
    return [
        "tickets.trackers names %s, and there is no such tracker%s: no ticket is made there"
        % (one_line(str(name), 60), others)
        for name in wanted
        if full_name(str(name)) not in there
    ]


def full_name(name: str) -> str:
    """`jira` is `jira.default`."""
    return name if "." in name else "%s.%s" % (name, DEFAULT_TARGET)


def is_configured(config: Config, name: str) -> bool:
    """Whether there is a tracker of that name."""
    section, _, target = name.partition(".")
    return section in MODULES and target in config.targets(section)


def nowhere(config: Config, name: str) -> str:
    """Why letters to the tracker of that name have nowhere to go, or empty. They wait: settings
    that were lost come back.
    """
    if is_configured(config, name):
        return ""
    return "no tracker %s is configured" % one_line(name, 60)


def open_tracker(ctx: Context, name: str) -> Tracker:
    """The tracker of that name. Raises ConfigError when it is not configured."""
    section, _, target = name.partition(".")
    if not is_configured(ctx.config, name):
        raise ConfigError(
            "there is no tracker %s in the configuration (section %s); set it up again, or drop "
            "its letters with outbox_discard" % (name, section)
        )
    module: Any = import_module(MODULES[section])
    found: Tracker = module.tracker(ctx, target)
    return found

"""How many letters a channel takes in a minute: `max_per_minute` of its settings, 0 for any
number.
"""

from __future__ import annotations

from typing import Any, Mapping

from selfheal.config import DEFAULT_TARGET, Config


def limit_of(config: Config, channel: str) -> int:
    """The limit of `channel`: that of its named target, else of its section under `notify`, else
    none. What is no whole number is none: check_config says so.
    """
    carrier, _, target = channel.partition(":")
    section = config.optional("notify.%s" % carrier)
    if not isinstance(section, Mapping):
        return 0
    named: Any = section.get(target or DEFAULT_TARGET)
    value = named.get("max_per_minute") if isinstance(named, Mapping) else None
    if value is None:
        value = section.get("max_per_minute")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return max(0, int(value))

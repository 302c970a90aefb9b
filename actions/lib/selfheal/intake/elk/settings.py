"""The settings of each search target, complete: what a named target leaves out comes from the
schema, lists that are empty from the pack's own, and `source` names the fields to fetch.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from selfheal.config import Config
from selfheal.errors import keywords
from selfheal.exceptions import ConfigError
from selfheal.intake.elk.fields import source_filter

SECTION = "elasticsearch"
# name: (least, most); what lies outside is refused by name rather than found out by a search.
RANGES: Dict[str, Any] = {
    "page_size": (1, 10000),
    "query_delay_s": (0, 86400),
    "late_minutes": (0, 1440),
    "slice_minutes": (1, 1440),
    "timeout_s": (1, 600),
}


def targets(config: Config) -> Dict[str, Dict[str, Any]]:
    """{name: complete settings} of every target that is on. Raises ConfigError."""
    return {
        name: completed(config, name, target) for name, target in config.targets(SECTION).items()
    }


def completed(config: Config, name: str, target: Mapping[str, Any]) -> Dict[str, Any]:
    """`target` with the schema's default for every setting that it leaves out. Raises ConfigError
    naming a number that is none or lies outside of its range.
    """
    described = config.schema[SECTION]["properties"]
    found = {key: one.get("default") for key, one in described.items()}
    found.update({key: value for key, value in target.items() if value is not None})
    for key, (least, most) in RANGES.items():
        found[key] = _number("%s.%s.%s" % (SECTION, name, key), found[key], least, most)
    found = keywords.completed(found)
    time_field = str(found.get("time_field") or "@timestamp")
    found["source"] = source_filter([time_field, *found["text_fields"]])
    return found


def _number(key: str, value: Any, least: float, most: float) -> int:
    try:
        number = float("nan") if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = float("nan")
    if not (least <= number <= most and number == int(number)):
        raise ConfigError(
            "%s must be a whole number from %d to %d, not %r" % (key, least, most, value)
        )
    return int(number)

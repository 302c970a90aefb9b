"""Which deeds and incidents an entry of the settings is for: its `match` compares labels of the
incident, with * as in file names, letter case apart.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Dict, Mapping

from selfheal.exceptions import ConfigError
from selfheal.text import one_line

_LONGEST_VALUE = 512  # a longer one is not compared, it counts as matching
# What selfheal made of an alert, under the names that labels have.
_UNDERSTOOD = {
    "alertname": "alert_type",
    "cluster": "cluster",
    "namespace": "namespace",
    "workload": "workload",
    "service": "service",
    "instance": "instance",
    "severity": "severity",
}


def parse(value: Any, where: str) -> Dict[str, str]:
    """The setting `match` of the entry `where`: {label: pattern}; empty, for all, when there is
    none. Raises ConfigError.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(
            "%s.match must be a map of labels, as in {namespace: shop-*}, not %s"
            % (where, one_line(repr(value), 80))
        )
    for label, pattern in value.items():
        if not isinstance(pattern, str) or not pattern:
            raise ConfigError(
                "%s.match.%s must be a text that the label is compared with (* stands for "
                "anything), not %s" % (where, label, one_line(repr(pattern), 80))
            )
    return {str(label): str(pattern) for label, pattern in value.items()}


def match(wanted: Mapping[str, str], subject: Any) -> bool:
    """Whether all of `wanted` match, by what the alert of `subject` (a deed, an incident) says or
    by what selfheal understood it to be.
    """
    for label, pattern in wanted.items():
        values = [str(subject.labels.get(label) or "")]
        if label in _UNDERSTOOD:
            values.append(str(getattr(subject, _UNDERSTOOD[label], None) or ""))
        folded = pattern.casefold()
        if not any(
            len(one) > _LONGEST_VALUE or fnmatchcase(one.casefold(), folded) for one in values
        ):
            return False
    return True

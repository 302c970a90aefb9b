"""Reading JSON whose shape nobody promised: a missing key or a wrong type reads as empty, never as
an error.

Text that ends in a finding is from outside and goes through `line`, which bounds it and makes it
printable.
"""

from __future__ import annotations

import calendar
import re
from typing import Any, Dict, List, Mapping, Optional, Tuple

from selfheal.text import one_line

Json = Mapping[str, Any]

NAME_LIMIT = 253  # of an object's name in Kubernetes
_EMPTY: Dict[str, Any] = {}
# RFC 3339 as Kubernetes writes it: UTC, in seconds (Time) or microseconds (MicroTime).
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:Z|([+-])(\d\d):(\d\d))\Z", re.ASCII
)
_PLAIN = re.compile(r"[!-~]*\Z")
_GREATEST = 2 ** 53  # what every JSON reader can hold


def mapping(value: Any, *keys: str) -> Json:
    """The mapping under `keys` of `value`; an empty one when there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else _EMPTY


def mappings(value: Any, key: str) -> List[Json]:
    """The mappings in the list under `key`; what else is in it is left out."""
    found = value.get(key) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(value: Any, key: str) -> str:
    """The string under `key` as it came; for comparisons."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def line(value: Any, key: str, limit: int = 200) -> str:
    """The string under `key`, printable, on one line of at most `limit` characters."""
    found = text(value, key)
    if len(found) <= limit and _PLAIN.match(found):
        return found  # as all names and nearly all reasons are
    # A long line break or escape costs more than it tells, so most is cut before it is cleaned.
    return one_line(found[: limit * 4], limit) if found else ""


def number(value: Any, key: str) -> int:
    """The whole number from 0 under `key`, else 0, which is what Kubernetes leaves out."""
    return optional_number(value, key) or 0


def optional_number(value: Any, key: str) -> Optional[int]:
    """The same, None for what is not there or is no such number."""
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if 0 <= found <= _GREATEST else None


def moment(value: Any, key: str) -> float:
    """The time under `key` in seconds since the epoch; 0.0 when it is not known."""
    found = _TIME.match(text(value, key))
    if found is None:
        return 0.0
    try:
        seconds = calendar.timegm(tuple(int(part) for part in found.groups()[:6]) + (0, 0, 0))
    except (ValueError, OverflowError):
        return 0.0
    if found.group(8):
        offset = int(found.group(9)) * 3600 + int(found.group(10)) * 60
        seconds += -offset if found.group(8) == "+" else offset
    return max(0.0, seconds + float(found.group(7) or 0))


def metadata(value: Any) -> Json:
    """`metadata` of an object."""
    return mapping(value, "metadata")


def place(value: Any) -> Tuple[str, str]:
    """(namespace, name) of an object, printable and bounded."""
    meta = metadata(value)
    return line(meta, "namespace", NAME_LIMIT), line(meta, "name", NAME_LIMIT)


def labels(value: Any) -> Dict[str, str]:
    """Labels of an object; one that is no text is left out."""
    found = mapping(metadata(value), "labels")
    return {key: each for key, each in found.items() if isinstance(each, str)}


def conditions(value: Any) -> Dict[str, Json]:
    """`status.conditions` of an object by their type; of two of a type the later counts."""
    found = mappings(mapping(value, "status"), "conditions")
    return {text(one, "type"): one for one in found}


def replicas_wanted(value: Any) -> int:
    """`spec.replicas`, which is 1 where nobody says."""
    found = optional_number(mapping(value, "spec"), "replicas")
    return 1 if found is None else found


def earliest(*times: float) -> float:
    """The earliest of the times that are known (not 0.0), else 0.0."""
    return min((one for one in times if one > 0), default=0.0)


def changed_at(value: Any) -> float:
    """When anybody last changed an object, by what the API server notes of its writers; 0.0 when it
    notes nothing.
    """
    entries = mappings(metadata(value), "managedFields")
    return max((moment(entry, "time") for entry in entries), default=0.0)


def is_observed(value: Any) -> bool:
    """Whether the status of a workload speaks of its spec as it is now."""
    seen = optional_number(mapping(value, "status"), "observedGeneration")
    return seen is None or seen >= number(metadata(value), "generation")


def is_deleting(value: Any) -> bool:
    """Whether an object is on its way out."""
    return bool(metadata(value).get("deletionTimestamp"))

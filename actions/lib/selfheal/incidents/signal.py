"""A Signal: one alert, document or state in the pack's own terms, whatever sent it.

Its identity is (fingerprint, starts_at). Times are canonical UTC text of fixed width, so that text
order is time order, cut to milliseconds: Alertmanager's webhook writes nanoseconds where its API
writes milliseconds of the same moment.
"""

from __future__ import annotations

import re
from dataclasses import field
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Optional, Tuple

from selfheal.records import dataclass

FIRING = "firing"
RESOLVED = "resolved"

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?"
    r"(?:[Zz]|([+-])(\d\d):?(\d\d))\Z",
    re.ASCII,
)


@dataclass(frozen=True)
class Signal:
    """One signal. `labels` and `annotations` are as they came; all other text is printable and
    bounded.

    `group_key` names the cause, `grouping` says what it was made of. `updated_at` is set when the
    sender itself was asked and said that the alert fires (an API answer, not a message that may be
    late). `marks` say what had to be mended.
    """

    fingerprint: str
    starts_at: str
    status: str
    alert_name: str
    severity: str
    title: str
    source: str
    group_key: str
    labels: Dict[str, str]
    annotations: Dict[str, str]
    ends_at: Optional[str] = None
    generator_url: str = ""
    cluster: Optional[str] = None
    namespace: Optional[str] = None
    workload: Optional[str] = None
    instance: Optional[str] = None
    service: Optional[str] = None
    grouping: Dict[str, str] = field(default_factory=dict)
    updated_at: Optional[str] = None
    marks: Tuple[str, ...] = ()

    @property
    def is_resolved(self) -> bool:
        return self.status == RESOLVED


def canonical_time(value: Any) -> Optional[str]:
    """RFC 3339 text as `YYYY-MM-DDTHH:MM:SS.mmmZ`; None for anything else, Go's zero time (year 1)
    included.
    """
    found = _RFC3339.match(value) if isinstance(value, str) and len(value) <= 64 else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    milliseconds = int((found.group(7) or "0").ljust(3, "0")[:3])
    try:
        moment = datetime(
            year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=timezone.utc
        )
        if found.group(8):
            offset = timedelta(hours=int(found.group(9)), minutes=int(found.group(10)))
            moment = moment - offset if found.group(8) == "+" else moment + offset
    except (ValueError, OverflowError):
        return None
    return None if moment.year <= 1 else _text(moment)


def time_text(epoch_s: float) -> str:
    """Seconds since the epoch in the same form."""
    return _text(datetime.fromtimestamp(epoch_s, timezone.utc))


def epoch_of(text: str) -> float:
    """Seconds since the epoch of a canonical time."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Every common way to write a moment, as seconds since the epoch, UTC.

Promises that any JSON value is accepted and the same value always gives the same moment (the cache
only saves work). Text without a zone counts as UTC, unless the caller says otherwise, as it does to
Elasticsearch. What can be read in two ways (03/04/2026) is not read at all.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime, timezone
from typing import Any, Dict, Optional, Tuple

_MONTHS = {
    name: number
    for number, name in enumerate(
        "jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
    )
}
# Abbreviations that mean one thing in logs, in hours.
_ZONES = {
    "z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3,
    "msk": 3, "jst": 9, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
    "pst": -8, "pdt": -7,
}  # fmt: skip

_CLOCK = r"(?P<h>\d{1,2}):(?P<m>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d{1,30}))?)?"
_ZONE = (
    r"(?:\s?(?P<zone>[Zz]|[A-Za-z]{3,4}|(?:UTC|GMT)?[+-]\d\d:?(?:\d\d)?)"
    r"(?:\s\(?[A-Z]{3,4}\)?)?)?"
)
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},?\s+)?"
_MONTH = r"(?P<mon>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_FORMS = tuple(
    re.compile(r"\s*\[?\s*" + form + r"\s*\]?\s*\Z", re.ASCII | re.IGNORECASE)
    for form in (
        # ISO 8601 and what programs make of it; Go's Time.String adds a monotonic clock
        r"(?P<Y>\d{4})([-/.])(?P<M>\d\d?)\2(?P<D>\d\d?)(?:[T _,]\s?" + _CLOCK + _ZONE +
        r"(?:\sm=[+-][\d.]+)?)?",
        r"(?P<Y>\d{4})(?P<M>\d\d)(?P<D>\d\d)[T ]?(?P<h>\d\d):?(?P<m>\d\d):?(?P<s>\d\d)"
        r"(?:[.,](?P<f>\d{1,30}))?" + _ZONE,
        # RFC 1123 and 2822, Redis, PHP (22-Nov-2026), Apache's access log
        _WEEKDAY + r"(?P<D>\d{1,2})[\s/-]" + _MONTH + r"[\s/-](?P<Y>\d{4})[\s:]" + _CLOCK + _ZONE,
        # syslog, with or without a year; ctime and date(1) write it last
        _WEEKDAY + _MONTH + r"\s+(?P<D>\d{1,2}),?(?:\s+(?P<Y>\d{4}),?)?\s+(?:(?:at|@)\s)?" +
        _CLOCK + r"(?:\s(?P<half>[AP]M))?" + _ZONE + r"(?:\s(?P<Y2>\d{4}))?",
        # klog
        r"[IWEFD]?(?P<M>\d\d)(?P<D>\d\d)\s(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)\.(?P<f>\d{1,9})",
        # day and month by numbers, told apart by their size alone
        r"(?P<A>\d{1,2})([/.-])(?P<B>\d{1,2})\2(?P<Y>\d{4}),?[\s:]" + _CLOCK +
        r"(?:\s(?P<half>[AP]M))?" + _ZONE,
    )
)
# What follows a known minute; fewer digits than the form takes, but nothing that rounds to 61.
_SECONDS = re.compile(r"(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?Z\Z").match
_NUMBER = re.compile(r"\s*(\d{9,20})(\.\d{1,12})?\s*\Z", re.ASCII)
_LONGEST = 80
_MAX_ITEMS = 20
_MAX_MINUTES = 5000
_DAY_S = 86400.0
# Before this a bare number is a date or a counter, not a time: 1973-03-03.
_LEAST_EPOCH = 1e8
_MOST_EPOCH = 7258118400.0  # the year 2200

_minutes: Dict[str, float] = {}


def epoch_of(value: Any, now: float = 0.0, utc_offset_s: float = 0.0) -> Optional[float]:
    """`value` (text, number, list of them) as epoch seconds; None when it is no time.

    `now` is needed where the year is missing: the latest year is taken that does not put the moment
    more than a day into the future. `utc_offset_s` is the zone of text that names none.
    """
    if type(value) is str:
        minute = _minutes.get(value[:17])
        if minute is not None and _SECONDS(value, 17):
            return minute + float(value[17:-1])
        return _of_text(value, now, utc_offset_s)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return _of_number(value)
    if isinstance(value, (list, tuple)):
        for item in value[:_MAX_ITEMS]:
            found = None if isinstance(item, (list, tuple)) else epoch_of(item, now, utc_offset_s)
            if found is not None:
                return found
        return None
    if isinstance(value, dict) and len(value) == 1 and not isinstance(value.get("$date"), dict):
        return epoch_of(value.get("$date"), now, utc_offset_s)  # MongoDB's extended JSON
    return None


def _of_number(value: float) -> Optional[float]:
    """Seconds, milliseconds, microseconds or nanoseconds: by size, as each of them in our time has
    its own.
    """
    if not _LEAST_EPOCH <= value < 1e20:
        return None
    if value < 1e11:
        found = float(value)
    elif value < 1e14:
        found = value / 1e3
    elif value < 1e17:
        found = value / 1e6
    else:
        found = value / 1e9
    return found if found < _MOST_EPOCH else None


def _of_text(text: str, now: float, utc_offset_s: float) -> Optional[float]:
    if len(text) > _LONGEST:
        return None
    number = _NUMBER.match(text)
    if number:
        compact = _FORMS[1].match(text) if len(number.group(1)) == 14 else None
        if compact is None:
            whole = int(number.group(1))
            return _of_number(float(text) if number.group(2) else whole)
    for form in _FORMS:
        found = form.match(text)
        if found:
            return _of_parts(found.groupdict(), text, now, utc_offset_s)
    return None


def _of_parts(
    parts: Dict[str, Optional[str]], text: str, now: float, utc_offset_s: float
) -> Optional[float]:
    day = _month_and_day(parts)
    clock = _clock(parts)
    zone = _zone(parts.get("zone"), utc_offset_s)
    if day is None or clock is None or zone is None:
        return None
    year_text = parts.get("Y") or parts.get("Y2")
    hour, minute, seconds = clock
    if year_text:
        start = _minute(int(year_text), day[0], day[1], hour, minute)
    else:
        start = _without_year(day, hour, minute, now + zone)
    if start is None:
        return None
    if text[16:17] == ":" and text[10:11] == "T" and text[4:5] == "-" and text[-1] == "Z":
        if len(_minutes) >= _MAX_MINUTES:
            _minutes.clear()
        _minutes[text[:17]] = start
    return start - zone + seconds


def _month_and_day(parts: Dict[str, Optional[str]]) -> Optional[Tuple[int, int]]:
    first, second = parts.get("A"), parts.get("B")
    if first and second:
        one, other = int(first), int(second)
        if one <= 12 and other <= 12 and one != other:
            return None
        return (other, one) if one > 12 else (one, other)
    name = parts.get("mon")
    month = _MONTHS[name.lower()] if name else int(parts["M"] or 0)
    return month, int(parts["D"] or 0)


def _clock(parts: Dict[str, Optional[str]]) -> Optional[Tuple[int, int, float]]:
    hour, minute = int(parts.get("h") or 0), int(parts.get("m") or 0)
    # One number and one conversion, as in `epoch_of`: else the last bit could differ.
    seconds = float("%s.%s" % (parts.get("s") or "0", parts.get("f") or "0"))
    half = parts.get("half")
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    if hour > 23 or minute > 59 or seconds >= 61.0:
        return None
    return hour, minute, seconds


def _zone(name: Optional[str], utc_offset_s: float) -> Optional[float]:
    """Seconds to subtract; None for a zone whose offset is not known."""
    if not name:
        return utc_offset_s
    sign_at = max(name.find("+"), name.find("-"))
    if sign_at < 0:
        hours = _ZONES.get(name.lower())
        return None if hours is None else hours * 3600.0
    digits = name[sign_at + 1:].replace(":", "")
    offset = int(digits[:2]) * 3600.0 + int(digits[2:] or 0) * 60.0
    if offset > _DAY_S:
        return None
    return -offset if name[sign_at] == "-" else offset


def _minute(year: int, month: int, day: int, hour: int, minute: int) -> Optional[float]:
    if not 1970 <= year < 2200:
        return None  # Go's and .NET's zero times among them
    try:
        moment = datetime(year, month, day, hour, minute, tzinfo=timezone.utc)
    except ValueError:
        return None
    return float(timegm(moment.timetuple()))


def _without_year(day: Tuple[int, int], hour: int, minute: int, now: float) -> Optional[float]:
    if not 0 <= now < _MOST_EPOCH:
        return None
    latest = datetime.fromtimestamp(now, timezone.utc).year + 1
    for year in range(latest, latest - 10, -1):  # eight years can lie between two leap years
        start = _minute(year, day[0], day[1], hour, minute)
        if start is not None and start <= now + _DAY_S:
            return start
    return None

"""A log line parted from the header that its own program wrote: time, level, process, logger.

Two lines that say the same then read the same, whatever logged them. Promises to take away only
what is surely a header: text that merely looks like one in part stays as it is. Each pattern is
bounded, so a hostile line costs no more than a long one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Optional

from selfheal.errors.severity import level_of, level_of_priority


class Parted(NamedTuple):
    """What is left of the line, and what its header said; "" where it said nothing."""

    message: str
    level: str = ""
    program: str = ""
    host: str = ""
    time: str = ""


_UPPER = (
    "EMERG(?:ENCY)?|ALERT|CRIT(?:ICAL)?|FATAL|SEVERE|PANIC|ERR(?:OR)?|WARN(?:ING)?|NOTICE|INFO|"
    "DEBUG|TRACE|LOG"
)
_ANY = (
    "emerg(?:ency)?|alert|crit(?:ical)?|fatal|severe|panic|err(?:or)?|fail|warn(?:ing)?|notice|"
    "info(?:rmation)?|debug|trace"
)
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|CES?T|EES?T|WES?T|[ECMP][SD]T|MSK|JST|[+-]\d\d:?\d\d)(?![\w]))?"
_LEVEL = (
    r"(?:\[?(?P<level>" + _UPPER + r")(?=[\s:|\],/)>-]|\Z)|"
    r"[\[<(](?:\w{1,30}:)?(?P<boxed>(?i:" + _ANY + r"))\s{0,5}(?=[\])>]))"
)
_BOX = r"\[(?![A-Z]{2,6}-?\d{3,6}\])[^\[\]\n]{0,200}\]"  # but no error code, such as [MY-010119]
_BEFORE = (
    r"(?:(?:" + _BOX + r"|\d{1,8}(?!\d)|[-|:,]{1,3}(?![-|:,])|[\w.$/-]{1,100}(?=\s{1,20}[-|]\s)|"
    r"[\w-]{1,63}@[\w-]{1,63}|"
    r"[\w.$]{1,200}\s[\w$<>]{1,100}\n)\s{0,20}){0,6}?"
)
_AFTER = (
    r"(?:/[\w-]{1,60})?[\])>]?\s{0,20}[:|,-]{0,3}\s{0,20}"
    r"(?:\d{1,8}#\d{1,8}:\s{1,5}(?:\*\d{1,12}\s{1,5})?)?"  # nginx: process, thread, connection
    r"(?:\d{1,8}\s{1,5}---\s{1,5})?"  # Spring Boot
    r"(?:" + _BOX + r":?\s{0,20}){0,4}(?:[-|:]{1,3}\s{1,20})?"
    r"(?:(?P<logger>[A-Za-z_$][\w$]{0,100}(?:[./][\w$-]{1,100}){1,20}|"
    r"[A-Za-z_$][\w$]{0,100}(?=\s{2,40}:\s|(?::[\w<>]{1,60}){0,2}:\d{1,6}\s{1,5}-\s))"
    r"(?:(?::[\w<>]{1,60}){0,2}:\d{1,6}|\[[^\]\n]{0,60}\]|\(\d{1,12}\))?"
    r"\s{0,40}[-|:]{1,2}\s{1,20})?"
    r"(?:[A-Za-z_][\w:]{0,100}\]\s{1,5})?"  # Rust: the module, within the brackets of the time
)

_STAMP = re.compile(
    r"(?:\d{1,8}:[A-Z]\s{1,3})?\[?"  # Redis: process and role
    r"(?P<time>"
    r"(?:\d\d)?\d\d[-/.]\d\d[-/.]\d\d[T _]" + _CLOCK + _ZONE + "|"
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s)?" + _MONTH +
    r"\s{1,2}\d{1,2}\s" + _CLOCK + r"(?:\s\d{4})?(?=[\s\]])|" +
    _MONTH + r"\s\d{1,2},\s\d{4}\s\d{1,2}:\d\d:\d\d\s[AP]M|"
    r"\d{1,2}[-/ ]" + _MONTH + r"[-/ ]\d{4}[: ]" + _CLOCK + _ZONE +
    r")[:\]]?,?\s{0,20}(?:(?:stdout|stderr)\s[FP]\s)?"
)
_SYSLOG = re.compile(
    r"(?P<host>[\w.:-]{1,255})\s{1,3}(?P<program>[A-Za-z(][\w./()@-]{0,100})"
    r"(?:\[[\w.-]{1,20}\])?:\s{1,3}"
)
# Behind an ISO time `word word:` may be the message itself; a process number tells.
_SYSLOG_STRICT = re.compile(
    r"(?P<host>[\w.:-]{1,255})\s{1,3}(?P<program>[A-Za-z(][\w./()@-]{0,100}?)"
    r"(?:\[\d{1,10}\]|(?<=\skernel)):\s{1,3}"
)
_RFC5424 = re.compile(
    r"1\s(?P<time>\S{1,40})\s(?P<host>\S{1,255})\s(?P<program>\S{1,100})\s\S{1,128}\s\S{1,64}\s"
    r"(?:-|(?:\[[^\]]{0,2000}\]){1,20})\s?\ufeff?"
)
_PRIORITY = re.compile(r"<(\d{1,3})>")
_KLOG = re.compile(
    r"(?P<level>[IWEF])(?P<time>\d{4}\s\d\d:\d\d:\d\d\.\d{1,9})\s{1,8}\d{1,8}\s"
    r"[\w./-]{1,200}:\d{1,6}\]\s?"
)
_UPTIME = re.compile(r"\[\s{0,10}\d{1,10}\.\d{3,9}\]\s{0,3}")
_MARK = re.compile(r"[#*.-]\s(?=\S)")
_SEPARATOR = re.compile(r"[-|:]{1,2}\s{1,20}")
_AFTER_TIME = re.compile(_BEFORE + _LEVEL + _AFTER)
_LEVEL_FIRST = re.compile(
    r"(?:\[(?P<boxed>(?i:" + _ANY + r"))\s{0,5}\]|(?P<level>" + _UPPER + r")"
    r"(?=\s?[:|]|\s{1,6}\S)(?!\s(?:is|was|in|from|of|on|at|while|when|during)\b))"
)
_PYTHON_FIRST = re.compile(r"(?P<level>" + _UPPER + r"):(?P<logger>[A-Za-z_][\w.]{0,100}):(?=\S)")
_AFTER_FIRST = re.compile(_AFTER)
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")

# A line that starts with anything else has no header: with these signs, or as a time in words does.
_SIGNS = frozenset("0123456789[<")
_IN_WORDS = frozenset(
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun".split()
)
_MAX_ROUNDS = 3  # a program's own header behind that of syslog or of the container's runtime
_NONE = ("-", "")


def may_have_header(line: str) -> bool:
    """Whether `part` could find anything; cheap."""
    return "\x1b" in line or _may_start(line[:3])


@lru_cache(maxsize=4096)
def _may_start(start: str) -> bool:
    first = start[:1]
    if first in _SIGNS:
        return True
    # Levels are all upper case here, klog's letters have a digit behind them.
    return first.isupper() and (start in _IN_WORDS if start[1:2].islower() else start[1:2] > " ")


def part(line: str) -> Parted:
    """`line` without its header."""
    if "\x1b" in line:
        line = _COLOUR.sub("", line)
    whole = Parted(line)
    for _ in range(_MAX_ROUNDS):
        found = _one(whole.message) if may_have_header(whole.message) else None
        if found is None or not found.message.strip():
            break  # a line that is all header stays what it is
        whole = Parted(
            found.message,
            found.level or whole.level,
            found.program or whole.program,
            whole.host or found.host,
            whole.time or found.time,
        )
    return whole


def _one(line: str) -> Optional[Parted]:
    first = line[0]
    if first == "<":
        return _with_priority(line)
    if first in "IWEF" and line[1:2].isdigit():
        klog = _KLOG.match(line)
        return klog and Parted(
            line[klog.end():], level_of(klog.group("level")), time=klog.group("time")
        )
    stamp = _STAMP.match(line) if first.isdigit() or first in "[JFMASOND" else None
    if stamp:
        return _behind_time(line, stamp)
    uptime = _UPTIME.match(line) if first == "[" else None
    if uptime:
        return Parted(line[uptime.end():], program="kernel")
    return None if first.isdigit() else _level_first(line)


def _with_priority(line: str) -> Optional[Parted]:
    priority = _PRIORITY.match(line)
    if not priority:
        return None
    level = level_of_priority(priority.group(1))
    rest = line[priority.end():]
    new = _RFC5424.match(rest)
    if new:
        host, program = ("" if text in _NONE else text for text in new.group("host", "program"))
        return Parted(rest[new.end():], level, program, host, new.group("time"))
    return Parted(rest, level) if level else None


def _behind_time(line: str, stamp: re.Match[str]) -> Parted:
    time, at = stamp.group("time"), stamp.end()
    is_syslog = time[0].isalpha() and "," not in time
    found = (_SYSLOG if is_syslog else _SYSLOG_STRICT).match(line, at)
    if found:
        return Parted(line[found.end():], "", found.group("program"), found.group("host"), time)
    found = _AFTER_TIME.match(line, at)
    if found:
        return Parted(line[found.end():], _level(found), found.group("logger") or "", "", time)
    found = _MARK.match(line, at) or _SEPARATOR.match(line, at)
    return Parted(line[found.end() if found else at:], time=time)


def _level_first(line: str) -> Optional[Parted]:
    python = _PYTHON_FIRST.match(line)
    if python:
        return Parted(line[python.end():], level_of(python.group("level")), python.group("logger"))
    found = _LEVEL_FIRST.match(line)
    if not found:
        return None
    after = _AFTER_FIRST.match(line, found.end())
    if after is None:
        return None
    return Parted(line[after.end():], _level(found), after.group("logger") or "")


def _level(found: re.Match[str]) -> str:
    return level_of(found.group("level") or found.group("boxed"))

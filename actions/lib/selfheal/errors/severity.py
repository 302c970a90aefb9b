"""How bad a log line says it is: every spelling of a level, as one of syslog's eight.

Promises that any JSON value is accepted, and that what is no level comes out as "". What a level
means for an incident is SEVERITY_OF; a classification rule may know better.
"""

from __future__ import annotations

from typing import Any, Dict

# In syslog's order: the index is the code of RFC 5424.
LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")

SEVERITY_OF: Dict[str, str] = {
    "emergency": "critical",
    "alert": "critical",
    "critical": "critical",
    "error": "error",
    "warning": "warning",
    "notice": "info",
    "info": "info",
    "debug": "info",
}

# Who writes what: syslog, nginx, log4j and java.util.logging, Python, logrus (four letters),
# ASP.NET (four others), Android and klog (one), PostgreSQL, Windows, Rust, Google Cloud.
_NAMES = {
    "emergency": "emergency emerg panic pani",
    "alert": "alert alrt",
    "critical": "critical crit fatal fata ftl f severe disaster dpanic c",
    "error": "error err erro eror e fail failure failed stderr exception",
    "warning": "warning warn wrn wrng w",
    "notice": "notice note",
    "info": "info inf information informational i log config default stdout detail hint success "
    "audit_success",
    "debug": "debug dbg debu dbug d trace trc trac trce t verbose v fine finer finest all spam",
}
# Numbers beyond syslog's eight: those of bunyan and pino, and those of log4j and logback.
_NUMBERS = {
    10: "debug",
    20: "debug",
    30: "info",
    40: "warning",
    50: "error",
    60: "critical",
    5000: "debug",
    10000: "debug",
    20000: "info",
    30000: "warning",
    40000: "error",
    50000: "critical",
}
_LEVEL_OF: Dict[str, str] = {
    **{str(code): level for code, level in enumerate(LEVELS)},
    **{str(number): level for number, level in _NUMBERS.items()},
    **{name: level for level, names in _NAMES.items() for name in names.split()},
}
_LEVEL_OF_NUMBER = {int(name): level for name, level in _LEVEL_OF.items() if name.isdigit()}
_AROUND = "[](){}<>\"'*:;,|.-=#! \t\r\n"
_LONGEST = 40
_MAX_KNOWN = 1000
_MAX_ITEMS = 10

_known: Dict[str, str] = {}


def level_of(value: Any) -> str:
    """The level that `value` (a name, a number, either as text, a list of them) means, or ""."""
    if type(value) is str:
        known = _known.get(value)
        return _remember(value) if known is None else known
    if type(value) is int:
        return _LEVEL_OF_NUMBER.get(value, "")
    if isinstance(value, bool):
        return ""
    if isinstance(value, (int, float)):
        return _LEVEL_OF.get("%d" % value, "") if 0 <= value < 1e5 and value == int(value) else ""
    if isinstance(value, (list, tuple)):
        for item in value[:_MAX_ITEMS]:
            level = "" if isinstance(item, (list, tuple)) else level_of(item)
            if level:
                return level
    return ""


def level_of_priority(value: Any) -> str:
    """The level in a syslog priority (facility * 8 + severity, 0 to 191), or ""."""
    if isinstance(value, str) and value.isdigit() and len(value) <= 3:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 191:
        return ""
    return LEVELS[value & 7]


def level_of_otel(value: Any) -> str:
    """The level of OpenTelemetry's severity number (1 to 24), or ""."""
    if isinstance(value, str) and value.isdigit() and len(value) <= 2:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 24:
        return ""
    return ("debug", "debug", "info", "warning", "error", "critical")[(value - 1) // 4]


def _remember(text: str) -> str:
    level = _read(text) if len(text) <= _LONGEST else ""
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    if len(text) <= _LONGEST:
        _known[text] = level
    return level


def _read(text: str) -> str:
    name = text.strip(_AROUND).lower()
    level = _LEVEL_OF.get(name)
    if level is None and "." in name:
        # daemon.err of syslog, SEVERITY.ERROR of an enumeration; 3.0 of a number made a float
        head, _, tail = name.rpartition(".")
        level = _LEVEL_OF.get(head if tail.strip("0") == "" else tail)
    if level is None and name[:1].isdigit():
        # 3-error, "4 (warning)"
        level = _LEVEL_OF.get(name.split(" ")[0].split("-")[0])
    return level or ""

"""A structured record that was logged as one line of text: JSON, or key=value pairs (logfmt).

Promises a plain map of the record's own fields, or None where the line is ordinary text; never
raises and takes linear time.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Optional

_MAX_JSON = 65536
_MAX_PAIRS = 100
_MAX_LOGFMT = 16384
_STARTS_WITH_KEY = re.compile(r"[A-Za-z_@][\w.@-]{0,60}=")
# A value is quoted whole or has no quote, so an open quote ends the record.
_PAIR = re.compile(
    r'\s*([A-Za-z_@][\w.@/-]{0,60})=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|\Z)', re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def record_in(text: str) -> Optional[Dict[str, Any]]:
    """The fields of the record that `text` is, None when it is none."""
    start = text[:1]
    if start == "{":
        return _json(text)
    if "msg=" in text or "message=" in text:
        return _logfmt(text) if _STARTS_WITH_KEY.match(text) else None
    return None


def _json(text: str) -> Optional[Dict[str, Any]]:
    if len(text) > _MAX_JSON or not text.rstrip().endswith("}"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if type(found) is dict and found else None


def _logfmt(text: str) -> Optional[Dict[str, Any]]:
    found: Dict[str, Any] = {}
    at, text = 0, text[:_MAX_LOGFMT].rstrip()
    while at < len(text) and len(found) < _MAX_PAIRS:
        pair = _PAIR.match(text, at)
        if pair is None:
            break
        quoted = pair.group(2)
        value = pair.group(3) if quoted is None else _ESCAPE.sub(_unescaped, quoted)
        found.setdefault(pair.group(1), value)
        at = pair.end()
    return found if "msg" in found or "message" in found else None


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPED.get(found.group(1), found.group(1))

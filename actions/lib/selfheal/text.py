"""Text from outside, made harmless: what people see, what StackStorm stores, what a terminal
prints.

StackStorm and Orquesta evaluate `{{ }}` and `<% %>` wherever they find them, data included.
`neutralise` parts each such marker with a WORD JOINER (U+2060), which no evaluator matches and no
reader sees, and makes control characters visible. So it does with the mark by which StackStorm
finds a result in an action's output. The store keeps the original; only copies for people pass
here.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any, Iterable, List, Set

WORD_JOINER = "\u2060"
HIDDEN = "********"
_MAX_DEPTH = 40
_MIN_SECRET = 4  # hiding a shorter one would eat ordinary words
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*\Z")  # spelled the same in a URL, JSON and a message

_MARKER = re.compile(r"\{(?=[{%#])|[}%#](?=\})|<(?=%)|%(?=>)|%(?=~=~=)")
# C0 but tab and newline, DEL, C1, the bidirectional overrides that disguise text, and lone
# surrogates
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # the block "Control Pictures": ESC becomes one visible sign
    return "\u2421" if code == 0x7F else "\ufffd"


def printable(text: str) -> str:
    """`text` with control characters shown instead of acted on; safe for a terminal and for any
    UTF-8 store.
    """
    return _UNPRINTABLE.sub(_visible, text)


def _neutral_string(text: str) -> str:
    return _MARKER.sub(lambda found: found.group() + WORD_JOINER, printable(text))


def neutralise(value: Any, _depth: int = 0) -> Any:
    """A copy of plain JSON `value` in which no string, key included, is an expression to StackStorm
    or to a terminal.

    Doing it twice changes nothing. Below 40 levels of nesting the rest is replaced by an ellipsis.
    """
    if isinstance(value, str):
        return _neutral_string(value)
    if isinstance(value, dict):
        if _depth >= _MAX_DEPTH:
            return "…"
        return {
            _neutral_string(key if isinstance(key, str) else str(key)): neutralise(item, _depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [neutralise(item, _depth + 1) for item in value] if _depth < _MAX_DEPTH else "…"
    return value


def truncate(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, the cut marked with how much is gone."""
    if len(text) <= limit:
        return text
    mark = "… [+%d characters]" % (len(text) - limit)
    return text[: max(0, limit - len(mark))] + mark


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line of at most `limit` characters, for titles and tables."""
    return truncate(" ".join(printable(text).split()), limit)


def without_credentials(url: str) -> str:
    """`url` as it may be shown: user information and key-like query values hidden."""
    url = re.sub(r"//[^/?#\s]*@", "//***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:key|token|password|secret)[^=&]*=)[^&\s]*", r"\1***", url)


def counted(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def iso(at: float) -> str:
    """`at` (seconds since the epoch) as UTC text to the millisecond: 2026-11-21T22:20:53.000Z."""
    moment = datetime.fromtimestamp(at, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def scrub(value: Any, secrets: Iterable[str]) -> Any:
    """A copy of plain JSON `value` in which each of `secrets` is replaced by asterisks, keys
    included, also where it is spelled as URLs, JSON or Python's messages spell it.
    """
    spelled = {spelling for secret in secrets for spelling in _spellings(secret)}
    needles = sorted((one for one in spelled if len(one) >= _MIN_SECRET), key=len, reverse=True)
    return _scrubbed(value, needles) if needles else value


def _spellings(secret: str) -> Set[str]:
    secret = secret.strip()  # without the newline of the file that it was stored from
    if _UNRESERVED.match(secret):
        return {secret}
    from urllib.parse import quote, quote_plus

    found = {secret, repr(secret)[1:-1]}
    found.update(json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    for encoded in (quote(secret, "", errors="replace"), quote_plus(secret, errors="replace")):
        found.add(encoded)
        found.add(re.sub(r"%[0-9A-F]{2}", lambda code: code.group().lower(), encoded))
    return found


def _scrubbed(value: Any, needles: List[str]) -> Any:
    if isinstance(value, str):
        for needle in needles:
            value = value.replace(needle, HIDDEN)
        return value
    if isinstance(value, dict):
        return {_scrubbed(key, needles): _scrubbed(item, needles) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrubbed(item, needles) for item in value]
    return value


def cap(value: Any, max_string: int, max_items: int) -> Any:
    """A copy of plain JSON `value` with long strings cut and long lists and maps shortened, each
    cut marked.
    """
    if isinstance(value, str):
        return truncate(value, max_string)
    if isinstance(value, (list, tuple)):
        kept = [cap(item, max_string, max_items) for item in value[:max_items]]
        return (
            kept + ["… [+%d items]" % (len(value) - max_items)] if len(value) > max_items else kept
        )
    if isinstance(value, dict):
        pairs = list(value.items())
        short = {
            truncate(str(key), 200): cap(item, max_string, max_items)
            for key, item in pairs[:max_items]
        }
        if len(pairs) > max_items:
            short["…"] = "[+%d items]" % (len(pairs) - max_items)
        return short
    return value

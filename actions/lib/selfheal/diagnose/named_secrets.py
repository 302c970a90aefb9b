"""Values whose name says that they are secret: `password=...`, `"apiKey": "..."`, `--token ...`,
`Authorization: ...`, `<secret>...</secret>`, in log lines of any make.

Only the value is hidden, so that a reader still sees which setting it was. One walk over the text:
what was looked at for a value is not looked at again.
"""

from __future__ import annotations

import re
from typing import Dict, List, Match, Optional, Tuple

from selfheal.text import HIDDEN

_KEYS = (
    "api", "access", "secret", "private", "account", "encryption", "signing", "master", "shared",
    "sharedaccess", "shared[_-]?access", "license", "auth", "ssh", "service", "subscription",
    "storage", "app", "client",
)
_NAMES = (
    "requirepass", "masterauth", "passw(?:or)?d", "passphrase", "passcode", "dockerconfigjson",
    "(?<![A-Za-z])(?:bind|root|user|admin|ldap)?pw(?![A-Za-z])", "secret", "token",
    "credentials?", "authorization",
    "set-cookie", "cookie", "signature", r"jsessionid|phpsessid|session[_-]?id",
    r"(?<![A-Za-z])(?:pass|pwd|auth|sig|otp)(?![A-Za-z])", "connection[_-]?string",
    "(?:%s)[_-]?key(?![a-z])" % "|".join(_KEYS),
)
# The rest of the name may follow; of the other quotes, a closing one.
_NAME = re.compile(
    r"(?i)(?P<name>%s)(?P<rest>[A-Za-z0-9_.-]{0,64})" % "|".join(_NAMES)
)
_SEPARATOR = re.compile(
    r"(?P<quote>\\{0,8}[\"'`])?[ \t]{0,8}(?:=>|:=|==?|:|%3[ADad])[ \t]{0,8}|"
    r"(?P<list>[\"'`][ \t]{0,8},[ \t]{0,8}(?=[\"'`]))|"
    r"(?P<markup>[^<>\s]{0,40}>)|"
    r"(?P<blank>[ \t]{1,8})"
)
_OPTION = re.compile(r"(?:^|[\s\"'\[,])--?[A-Za-z0-9_.-]{0,64}\Z")
_QUOTED = re.compile(r"(\\{0,8})([\"'`])")
_LINE_END = re.compile(r"[\r\n]|\Z")
_CLOSING_QUOTE = {quote: re.compile(r"(\\*)" + quote) for quote in "\"'`"}
# Unquoted, it ends at a blank; at punctuation only where something else begins there.
_PLAIN = re.compile(
    r"(?:[^\s,;&|)\]}\"'`<>\\]|"
    r"[,;&|)\]}](?![\s,;&|)\]}\"'`]|\Z|[ ]?[A-Za-z_][A-Za-z0-9_. -]{0,40}[=:])|"
    r"\\(?![\"'`nrt]))+"
)
_WHOLE_LINE = re.compile(r"[^\r\n\"'`\]\\]+")
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_ALL_OF_IT = ("authorization", "cookie")  # a scheme and a value, or several values
_BEFORE = 66  # what is looked at before a name
_NOWHERE = (0, 0)
Span = Tuple[int, int]
_QUOTED_AFTER_BLANK = ("password", "passwd", "passphrase")
_AFTER_BLANK = ("requirepass", "masterauth")  # of Redis' configuration
# A host that is called so, and its port: `http://auth:8080/`, `token-svc:8080`.
_PORT = re.compile(r":[0-9]{2,5}(?![A-Za-z0-9_.-])")

# Names that tell of a secret without being one, by their ends.
_HARMLESS_END = re.compile(
    r"(?i)(?:names?|type|kind|policy|count|length|len|size|limit|ttl|file|path|dir|ref|refs|"
    r"version|status|state|enabled|required|provider|at|expiry|expires?|expiration|expires[_-]?in|"
    r"age|algorithm|alg|issuer|endpoint|mount|store|manager|engine|review|exception|errors?|"
    r"failure|filter|izer|service|svc|server|"
    r"\.(?:java|kt|scala|py|go|rs|rb|js|ts|cs|cc|cpp|c|h|php))\Z"
)
_COUNTS = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")
_HARMLESS = frozenset(
    "a absent already an and are authentication but cannot connection could denied dial disabled "
    "does enabled expected expired failed false for forbidden from has have in incorrect invalid "
    "is it mismatch missing must needs no nil none not null of on or permission rejected required "
    "revoked secret secrets should sigint sigkill sigterm the this timeout to token tokens true "
    "unauthorized undefined unset unknown unexpected verification was were with wrong".split()
)


def hide(text: str) -> Tuple[str, Dict[str, int]]:
    """`text` without the values of secrets, and how many there were: {"password": ...,
    "authorization": ...}.
    """
    parts: List[str] = []
    counts: Dict[str, int] = {}
    position = done = line_end = 0
    while True:
        found = _NAME.search(text, position)
        if found is None:
            parts.append(text[done:])
            return "".join(parts), counts
        if found.end() > line_end:  # else it is the same line still
            line_end = _end_of_line(text, found.end())
        start, end = _value(text, found, line_end)
        if start < end and not _is_harmless(found, text[start:end]):
            parts += [text[done:start], HIDDEN]
            kind = "authorization" if _is_header(found) else "password"
            counts[kind] = counts.get(kind, 0) + 1
            done = end
        # What follows a name without a value may be a name itself.
        position = max(end, found.end("name"))


def _is_header(found: Match[str]) -> bool:
    return any(word in found.group("name").lower() for word in _ALL_OF_IT)


def _value(text: str, found: Match[str], line_end: int) -> Span:
    """Where the value of the name at `found` stands; nowhere where there is none."""
    separator = _SEPARATOR.match(text, found.end(), line_end)
    if separator is None or _HARMLESS_END.search(found.group("rest")):
        return _NOWHERE
    if _is_host(text, found):
        return _NOWHERE
    start = separator.end()
    opening = _QUOTED.match(text, start, line_end)
    if separator.group("list") and not _is_option(text, found):
        return _NOWHERE
    if separator.group("markup"):
        return _in_markup(text, found, start, line_end)
    if separator.group("blank"):
        return _after_blank(text, found, start, opening, line_end)
    if opening:
        return _in_quotes(text, opening, line_end)
    sign = text[start:min(start + 1, line_end)]
    if sign in _CLOSING:
        end = text.find(_CLOSING[sign], start, line_end)
        return start + 1, line_end if end < 0 else end
    if separator.group("quote"):
        # A quoted name is JSON: a value without quotes is a number, or it is no value.
        return _plain(text, start, line_end) if sign.isdigit() else _NOWHERE
    if _is_header(found):
        line = _WHOLE_LINE.match(text, start, line_end)
        return line.span() if line else _NOWHERE
    return _plain(text, start, line_end)


def _after_blank(
    text: str, found: Match[str], start: int, opening: Optional[Match[str]], line_end: int
) -> Span:
    """The value of an option of a command; of SQL's PASSWORD '...'."""
    is_bare = not found.group("rest")
    if opening and is_bare and found.group("name").lower() in _QUOTED_AFTER_BLANK:
        return _in_quotes(text, opening, line_end)
    is_setting = is_bare and found.group("name").lower() in _AFTER_BLANK
    if not (is_setting or _is_option(text, found)) or text.startswith("-", start):
        return _NOWHERE
    return _in_quotes(text, opening, line_end) if opening else _plain(text, start, line_end)


def _is_option(text: str, found: Match[str]) -> bool:
    return bool(_OPTION.search(text[max(0, found.start() - _BEFORE):found.start()]))


def _is_host(text: str, found: Match[str]) -> bool:
    """Whether the name at `found` is that of a host with a port."""
    rest = found.group("rest")
    is_name = rest[:1] in ("-", ".") or (not rest and found.group("name").lower() == "auth")
    return is_name and bool(_PORT.match(text, found.end()))


def _plain(text: str, start: int, line_end: int) -> Span:
    found = _PLAIN.match(text, start, line_end)
    return found.span() if found else _NOWHERE


def _in_quotes(text: str, opening: Match[str], line_end: int) -> Span:
    """From the opening quote to the one that closes it; to the end of the line where none does."""
    depth, start = len(opening.group(1)), opening.end()
    for found in _CLOSING_QUOTE[opening.group(2)].finditer(text, start, line_end):
        slashes = len(found.group(1))
        if depth == 0 and slashes % 2 == 0:
            return start, found.end() - 1
        if depth and slashes <= depth:
            return start, found.start()
    return start, line_end


def _in_markup(text: str, found: Match[str], start: int, line_end: int) -> Span:
    before = text[max(0, found.start() - _BEFORE):found.start()]
    if "<" not in before or ">" in before[before.rfind("<"):]:
        return _NOWHERE
    end = text.find("<", start, line_end)
    return (start, end) if end > start else _NOWHERE


def _end_of_line(text: str, start: int) -> int:
    found = _LINE_END.search(text, start)
    return found.start() if found else len(text)


def _is_harmless(found: Match[str], value: str) -> bool:
    """Whether the value is known to be no secret, or hidden already."""
    plain = value.strip().strip("\"'`")
    if not plain or plain.startswith(HIDDEN):
        return True
    name = (found.group("name") + found.group("rest")).lower()
    if plain.lower().rstrip(".:!") in _HARMLESS:
        return True
    if name in ("tokens", "pass") and _COUNTS.match(plain):
        return True
    return name == "pwd" and plain.startswith("/")

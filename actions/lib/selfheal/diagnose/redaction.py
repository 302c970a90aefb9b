"""Secrets in text that somebody else wrote: log lines, events, messages. What looks like one is
hidden, and counted by kind.

For whatever leaves the machine or is kept: diagnoses, tickets, an adviser. By pattern, so it cannot
know every secret; when in doubt it hides. The time it takes grows with the length of the text and
with nothing else, whoever wrote it. Values of our own settings are `text.scrub`'s.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import field
from typing import Callable, Dict, List, Match, Tuple

from selfheal.diagnose import named_secrets
from selfheal.records import dataclass
from selfheal.text import HIDDEN

_KEY_MARK = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_KEY = 20000
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\]*")
_KEY_LINE = re.compile(r"[ \t]*[A-Za-z0-9+/=]{4,100}[ \t\r]*\Z")
_LINE_BREAK = re.compile(r"\n|\\n")

# What stands between blanks, quotes and brackets, where it holds a URL.
_WORD = re.compile(r"[^\s\"'<>`]+")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_LONG_USER = 16  # a user of a URL that is longer, and without a password, is a token
_MYSQL = re.compile(
    r"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]{1,64}):([^\s@:]{1,200})@(?=(?:tcp|unix)\()"
)

_ORACLE = re.compile(r"(?i)(jdbc:oracle:[a-z0-9]{1,8}:[^\s/@:]{1,64}/)(?!\*{8})[^\s@]{1,200}(?=@)")
# Secrets that a command or a statement takes without naming them: `curl -u name:...`,
# `mysql -p...`, `redis-cli -a ...`, IDENTIFIED BY '...'.
_WORDS = r"(?:[ \t]{1,4}[^\s|;&]{1,100}){0,8}?[ \t]{1,4}"
_COMMAND = re.compile(
    r"(?:(?<![^\s\"'\[,])(?:-u|--user|--proxy-user)[ \t=]{1,4}[\"']?"
    r"(?![0-9]{1,10}:[0-9]{1,10}(?![^\s\"']))[^\s:\"'/]{1,100}:|"
    r"\b(?:mysql(?:dump|admin)?|mariadb(?:-dump)?)%s-p(?=[^\s])|"
    r"\bsshpass[ \t]{1,4}-p[ \t]{0,4}|\bdocker[ \t]{1,4}login%s-p[ \t]{1,4}|"
    r"\bredis-cli%s-a[ \t]{1,4}|"
    r"\b[Ii][Dd][Ee][Nn][Tt][Ii][Ff][Ii][Ee][Dd][ \t]{1,4}[Bb][Yy][ \t]{1,4}(?=[\"']))"
    r"(?P<value>\"[^\"\r\n]{1,200}\"|'[^'\r\n]{1,200}'|(?![\"'])[^\s\"'|;&]{1,200})"
    % (_WORDS, _WORDS, _WORDS)
)

_SCHEME = re.compile(
    r"(?i)(?<![A-Za-z0-9])(bearer|basic)[ \t]{1,4}(?=[A-Za-z0-9])([A-Za-z0-9._~+/-]+={0,2})"
)
_TELLING = re.compile(r"[0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]")

_BOUND = r"(?<![A-Za-z0-9_-])"
_TOKENS: Tuple[Tuple[str, str], ...] = (
    ("jwt", r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}"),
    ("cloud_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("cloud_key", r"AIza[A-Za-z0-9_-]{35}"),
    ("cloud_key", r"(?:ya29\.|GOCSPX-|dop_v1_|doo_v1_|dapi)[A-Za-z0-9_-]{16,}"),
    ("token", r"(?:gh[pousr]_|github_pat_|glpat-|gldt-|glrt-|npm_|pypi-)[A-Za-z0-9_-]{16,}"),
    ("token", r"(?:xox[abeoprs]-|xapp-)[A-Za-z0-9-]{8,}"),
    ("token", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}"),
    ("token", r"(?:sk-|pplx-|whsec_|shpat_|shpss_|hf_|r8_|lin_api_)[A-Za-z0-9_-]{16,}"),
    ("token", r"eyJhdXRocyI6[A-Za-z0-9+/=]{8,}"),  # {"auths": of a registry, in base64
    ("token", r"hv[sbr]\.[A-Za-z0-9_-]{16,}"),
    ("token", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("token", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}"),
)
_TOKEN = re.compile(
    _BOUND + "(?:%s)" % "|".join("(%s)" % pattern for _, pattern in _TOKENS)
)
_HOOK = re.compile(
    r"(?i)((?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks|"
    r"outlook\.office\.com/webhook)/)[A-Za-z0-9_/@.-]+"
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?=[A-Za-z0-9-])[A-Za-z0-9.-]{1,190}\."
    r"[A-Za-z]{2,24}(?![A-Za-z0-9-])"
)


@dataclass(frozen=True)
class Redacted:
    """`text` without what was hidden; `hidden` is how many secrets, by kind."""

    text: str
    hidden: Dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many secrets were hidden."""
        return sum(self.hidden.values())


def redact(text: str, hides_emails: bool = False) -> Redacted:
    """`text` with each secret replaced by asterisks; e-mail addresses only where asked for.

    Kinds: private_key, url, connection, password (any value whose name says that it is secret),
    authorization, token, jwt, cloud_key, email. Doing it twice changes nothing.
    """
    hidden: Dict[str, int] = {}
    for hide in _STEPS:
        text = hide(text, hidden)
    if hides_emails:
        text = _EMAIL.sub(_counting("email", hidden), text)
    return Redacted(text, hidden)


def total(*parts: Redacted) -> Dict[str, int]:
    """What was hidden in all of `parts`, by kind."""
    counts: Dict[str, int] = {}
    for part in parts:
        for kind, count in part.hidden.items():
            _count(counts, kind, count)
    return counts


def _count(hidden: Dict[str, int], kind: str, many: int = 1) -> None:
    hidden[kind] = hidden.get(kind, 0) + many


def _counting(kind: str, hidden: Dict[str, int]) -> Callable[[Match[str]], str]:
    def replaced(_found: Match[str]) -> str:
        _count(hidden, kind)
        return HIDDEN

    return replaced


def _private_keys(text: str, hidden: Dict[str, int]) -> str:
    """Blocks of private keys; of one whose end or beginning was cut off, what is there."""
    if "PRIVATE KEY" not in text:
        return text
    marks = list(_KEY_MARK.finditer(text))
    parts: List[str] = []
    done = 0
    for mark, after in zip(marks, [*marks[1:], None]):
        if mark.group(1) == "END":
            if mark.start() > done:  # its beginning is in what was cut off before
                parts.append(_without_key_lines(text[done:mark.start()], hidden))
            done = mark.start()
            continue
        start = mark.end()
        stop = after.start() if after and after.group(1) == "END" else start + _LONGEST_KEY + 1
        if stop - start > _LONGEST_KEY:
            body = _KEY_BODY.match(text, start, start + _LONGEST_KEY)
            stop = body.end() if body else start
        parts.append(text[done:start])
        done = start
        if text[start:stop].strip() not in ("", HIDDEN):
            parts.append(HIDDEN)
            _count(hidden, "private_key")
            done = stop
    return "".join(parts) + text[done:]


def _without_key_lines(text: str, hidden: Dict[str, int]) -> str:
    """`text` without the lines of a key that it ends with."""
    start = end = len(text)
    for found in reversed(list(_LINE_BREAK.finditer(text))):
        if found.end() < end and not _KEY_LINE.match(text, found.end(), end):
            break
        start, end = found.end(), found.start()
    else:
        if end and _KEY_LINE.match(text, 0, end):
            start = 0
    if text[start:].strip() in ("", HIDDEN):
        return text
    _count(hidden, "private_key")
    return text[:start] + HIDDEN + "\n"


def _urls(text: str, hidden: Dict[str, int]) -> str:
    """The credentials in URLs and in the addresses of databases."""
    if "://" in text:
        text = _WORD.sub(lambda found: _url_word(found.group(), hidden), text)
    text = _HOOK.sub(lambda found: _kept(found.group(1), found.group(), "url", hidden), text)
    return _MYSQL.sub(
        lambda found: _kept(found.group(1) + ":", found.group(), "connection", hidden) + "@"
        if found.group(2) != HIDDEN
        else found.group(),
        text,
    )


def _kept(start: str, whole: str, kind: str, hidden: Dict[str, int]) -> str:
    if whole.startswith(start + HIDDEN):
        return whole
    _count(hidden, kind)
    return start + HIDDEN


def _url_word(word: str, hidden: Dict[str, int]) -> str:
    if "://" not in word or "@" not in word:
        return word
    first, *rest = word.split("://")
    return "://".join([first, *(_authority(part, hidden) for part in rest)])


def _authority(part: str, hidden: Dict[str, int]) -> str:
    """What follows `://`, without the password before the host."""
    end = min((at for at in (part.find(sign) for sign in "/?#") if at >= 0), default=len(part))
    at = part.rfind("@", 0, end)
    if at < 0:
        # A slash in the password, unless what looks like one is a port.
        at = part.rfind("@")
        if at < 0 or ":" not in part[:end] or _PORT.match(part[part.find(":") + 1:end]):
            return part
    user, colon, password = part[:at].partition(":")
    if password.startswith(HIDDEN) or (not colon and user.startswith(HIDDEN)):
        return part
    if colon and password:
        _count(hidden, "url")
        return "%s:%s%s" % (user, HIDDEN, part[at:])
    if not colon and len(user) >= _LONG_USER:
        _count(hidden, "url")
        return HIDDEN + part[at:]
    return part


def _commands(text: str, hidden: Dict[str, int]) -> str:
    """What commands and statements take without a name."""

    def replaced(found: Match[str]) -> str:
        start = found.group()[: found.start("value") - found.start()]
        quote = found.group("value")[:1] if found.group("value")[:1] in "\"'" else ""
        if found.group("value")[len(quote):].startswith(HIDDEN):
            return found.group()
        _count(hidden, "password")
        return start + quote + HIDDEN + quote

    text = _ORACLE.sub(
        lambda found: _kept(found.group(1), found.group(), "connection", hidden), text
    )
    return _COMMAND.sub(replaced, text)


def _named(text: str, hidden: Dict[str, int]) -> str:
    clean, kinds = named_secrets.hide(text)
    for kind, many in kinds.items():
        _count(hidden, kind, many)
    return clean


def _schemes(text: str, hidden: Dict[str, int]) -> str:
    """Credentials after the words bearer and basic, wherever they stand."""

    def replaced(found: Match[str]) -> str:
        word, value = found.group(1), found.group(2)
        is_secret = _is_basic(value) if word.lower() == "basic" else _is_bearer(value)
        if not is_secret:
            return found.group()
        _count(hidden, "authorization")
        return found.group()[: found.start(2) - found.start()] + HIDDEN

    return _SCHEME.sub(replaced, text)


def _is_bearer(value: str) -> bool:
    """Whether it is no word of a sentence."""
    return len(value) >= 8 and (len(value) >= 24 or bool(_TELLING.search(value)))


def _is_basic(value: str) -> bool:
    try:
        return b":" in binascii.a2b_base64(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return False


def _tokens(text: str, hidden: Dict[str, int]) -> str:
    """What is known as a secret by how it looks."""

    def replaced(found: Match[str]) -> str:
        _count(hidden, _TOKENS[(found.lastindex or 1) - 1][0])
        return HIDDEN

    return _TOKEN.sub(replaced, text)


_STEPS: Tuple[Callable[[str, Dict[str, int]], str], ...] = (
    _private_keys, _urls, _named, _commands, _schemes, _tokens,
)

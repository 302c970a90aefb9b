"""The kinds of values that the table can ask for, each as a fast test of one word.

A test answers False (it does not fit), something true (it fits), or ASK: it fits, but a person must
see it, because it is neither on the list of what is known nor on the list of what is refused.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from socket import AF_INET6, inet_pton
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

from selfheal.exceptions import ConfigError

ASK = 2
MAX_VALUE = 512
Test = Callable[[str], Any]

_NUMBER = re.compile(r"(?:0|-?[1-9][0-9]{0,8})\Z").match
_RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)\Z").match
_NOT_TOO_LONG = r"(?![\s\S]{%d})" % (MAX_VALUE + 1)
_REFERENCE = re.compile(r"<([a-z_]+)>")
_UNIT = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.:@\\-]{0,200}?)(\.[a-z]+)?\Z").match
_ACTED_ON = frozenset((None, ".service", ".timer", ".socket"))
_NOT_ACTED_ON = frozenset(
    (".target", ".mount", ".automount", ".slice", ".scope", ".path", ".swap", ".device")
)
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,20}\.?)\Z"
).match
_URL = re.compile(
    r"(?:https?://)?(\[[0-9A-Fa-f:]{2,39}\]|[A-Za-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?"
    r"(/[A-Za-z0-9._~/%:+,=-]*)?(\?[A-Za-z0-9._~/%:+,=&-]*)?\Z"
).match
# Without http:// curl takes the protocol from the beginning of the name.
_OTHER_PROTOCOLS = ("ftp.", "dict.", "ldap.", "imap.", "smtp.", "pop3.")
_PATH = re.compile(r"(?:/[A-Za-z0-9._@+:,=-]+)*/?\Z").match
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z").match


def test_for(spec: str, document: Mapping[str, Any]) -> Test:
    """The test that the table calls `spec`, such as `int 1..100`, `enum a b` or `duration`.

    Raises ConfigError when there is no such kind.
    """
    kind, _, rest = spec.partition(" ")
    words = rest.split()
    maker = _MAKERS.get(kind)
    if maker is not None:
        return maker(words, document)
    if rest or kind not in document["patterns"]:
        raise ConfigError("the command table names %r, which is no kind of value" % spec)
    return pattern(kind, document)


def pattern(name: str, document: Mapping[str, Any]) -> Test:
    """The test for the named pattern of the table."""
    return _compiled(_expanded(name, document["patterns"], ()))


@lru_cache(maxsize=1024)
def described(spec: str) -> str:
    """`spec` in words, for a message."""
    kind, _, rest = spec.partition(" ")
    if kind == "int":
        return "a whole number from %s" % rest.replace("..", " to ")
    if kind == "enum":
        return "one of %s" % ", ".join(rest.split())
    if kind == "format":
        return "one of %s, jsonpath=... or custom-columns=..." % ", ".join(rest.split())
    if kind == "either":
        return "of the form %s (see patterns in the table)" % " or ".join(map(repr, rest.split()))
    if kind == "host" and rest:
        return "one of the hosts in the table's list %s" % rest
    return _IN_WORDS.get(kind) or "of the form '%s' (see patterns in the table)" % kind


def name_patterns(patterns: Sequence[str]) -> Callable[[str], Any]:
    """A test whether a name fits one of the shell-style `patterns`, letter case apart."""
    return _name_patterns(tuple(str(one) for one in patterns))


@lru_cache(maxsize=None)
def _name_patterns(patterns: Tuple[str, ...]) -> Callable[[str], Any]:
    exact, starts, ends, within, others = set(), [], [], [], []
    for one in (pattern.lower() for pattern in patterns):
        bare = one.strip("*")
        if not bare or any(sign in bare for sign in "*?["):
            others.append(translate(one))
        elif one == bare:
            exact.add(one)
        elif one.startswith("*") and one.endswith("*"):
            within.append(bare)
        elif one.endswith("*"):
            starts.append(bare)
        else:
            ends.append(bare)
    beginnings, endings = tuple(starts), tuple(ends)
    anywhere = re.compile("|".join(map(re.escape, within)) or "(?!)").search
    otherwise = re.compile("|".join(others) or "(?!)").match

    def test(name: str) -> Any:
        name = name.lower()
        return (
            name in exact or
            name.startswith(beginnings) or
            name.endswith(endings) or
            anywhere(name) or
            otherwise(name)
        )

    return test


@lru_cache(maxsize=None)
def _compiled(expression: str) -> Callable[[str], Any]:
    try:
        return re.compile(_NOT_TOO_LONG + "(?:%s)\\Z" % expression, re.ASCII).match
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError("a pattern of the command table is unusable: %s" % error) from error


def _expanded(name: str, patterns: Mapping[str, Any], within: Tuple[str, ...]) -> str:
    if name not in patterns or name in within:
        raise ConfigError("the command table has no usable pattern %r" % name)

    def inner(found: Any) -> str:
        return "(?:%s)" % _expanded(found.group(1), patterns, (*within, name))

    return _REFERENCE.sub(inner, str(patterns[name]))


def _int(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    bounds = _RANGE(words[0]) if len(words) == 1 else None
    if bounds is None:
        raise ConfigError("int needs LOW..HIGH in the command table, not %r" % " ".join(words))
    low, high = int(bounds.group(1)), int(bounds.group(2))
    return lambda word: _NUMBER(word) and low <= int(word) <= high


def _enum(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    return frozenset(words).__contains__


def _namespace(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    return _LABEL


def _format(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    known = frozenset(words)
    template = re.compile(
        r"(?:jsonpath|custom-columns)=[A-Za-z0-9{}\[\]().*@?=!<>&|:,\"' _/\\+-]+\Z"
    ).match
    return lambda word: word in known or (len(word) <= MAX_VALUE and template(word))


def _unit(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    lists = document["lists"]
    known, never = name_patterns(lists["units"]), name_patterns(lists["never_units"])
    is_for_reading = list(words) == ["any"]

    def test(word: str) -> Any:
        found = _UNIT(word)
        if found is None:
            return False
        name, kind = found.groups()
        if is_for_reading:
            return True
        if kind in _NOT_ACTED_ON:
            return False
        if kind not in _ACTED_ON:
            name = word  # a dot within the name
        if "\\" in word or never(name):
            return False
        return True if known(name) else ASK

    return test


def _path(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    entries = [str(entry) for name in words for entry in _list(name, document)]
    files = frozenset(entries)
    below = tuple(entry for entry in entries if entry.endswith("/") and entry != "/")
    shaped = name_patterns([entry for entry in entries if "*" in entry])
    never = name_patterns(_list("never_paths", document))

    def test(word: str) -> Any:
        if len(word) > MAX_VALUE or not word.startswith("/") or not _PATH(word):
            return False
        if not word.startswith(below) and word not in files and word.rstrip("/") not in files:
            if not shaped(word):
                return False
        for part in word.split("/"):
            if part and (part == ".." or never(part)):
                return False
        return True

    return test


def _host(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    if words:
        return frozenset(_list(words[0], document)).__contains__
    return lambda word: len(word) <= 253 and (_HOST(word) or (":" in word and _is_ipv6(word)))


def _is_ipv6(word: str) -> bool:
    try:
        return bool(inet_pton(AF_INET6, word))
    except OSError:
        return False


def _url(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    hosts = frozenset(str(host).lower() for host in _list(words[0], document))
    known = name_patterns(_list("health_paths", document))

    def test(word: str) -> Any:
        found = _URL(word) if len(word) <= MAX_VALUE else None
        if found is None or found.group(1).lower() not in hosts:
            return False
        if "://" not in word and word.lower().startswith(_OTHER_PROTOCOLS):
            return False
        _host, port, path, query = found.groups()
        path = path or "/"
        if "%" in path or ".." in path or "//" in path or int(port or 0) > 65535:
            return False
        is_known = known(path.rstrip("/") or "/") and not query
        return True if is_known else ASK

    return test


def _either(words: Sequence[str], document: Mapping[str, Any]) -> Test:
    if len(words) != 2:
        raise ConfigError("either needs two patterns in the command table: what fits, what asks")
    known, asking = (pattern(name, document) for name in words)
    return lambda word: True if known(word) else ASK if asking(word) else False


def _list(name: str, document: Mapping[str, Any]) -> Sequence[Any]:
    found = document["lists"].get(name)
    if not isinstance(found, list):
        raise ConfigError("the command table has no list %r" % name)
    return found


_MAKERS: Dict[str, Callable[[Sequence[str], Mapping[str, Any]], Test]] = {
    "int": _int,
    "enum": _enum,
    "namespace": _namespace,
    "format": _format,
    "unit": _unit,
    "path": _path,
    "host": _host,
    "url": _url,
    "either": _either,
}
_IN_WORDS = {
    "namespace": "the name of one namespace (a-z, 0-9, -)",
    "unit": "a systemd service, timer or socket that the list never_units does not refuse",
    "path": "a plain absolute path that the table lists and that holds no secrets by its name",
    "host": "a host name or an address",
    "url": "an http address of a listed host, without credentials",
    "duration": "a duration such as 30s, 5m or 1h30m",
    "selector": "a label selector such as app=web",
    "narrow_selector": "a label selector of the form app=web",
    "dns": "a plain name (a-z, 0-9, '-', '.')",
    "label": "a plain name (a-z, 0-9, '-')",
    "word": "a plain name (letters, digits, '.', '_', '-')",
    "container": "the name or the id of a container",
    "text": "a search text that does not begin with '-'",
}

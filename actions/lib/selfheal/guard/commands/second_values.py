"""The kinds of values once more, for the second reading: by parsers of the standard library where
the first reading has expressions of its own.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from fnmatch import fnmatchcase
from typing import Any, Mapping
from urllib.parse import urlsplit

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_PATH_SIGNS = frozenset(_LETTERS + _LETTERS.upper() + _DIGITS + "._@+:,=-/")
_URL_SIGNS = frozenset(_LETTERS + _LETTERS.upper() + _DIGITS + "._~/%:+,=-")
_FORMAT_SIGNS = frozenset(_LETTERS + _LETTERS.upper() + _DIGITS + "{}[]().*@?=!<>&|:,\"' _/\\+-")
_MAX = 512


class Misfit(Exception):
    """The words do not mean what the table allows; the text says where."""


def fits(spec: str, word: str, table: Mapping[str, Any]) -> bool:
    """Whether a person must be asked about `word`, which is of the kind `spec`. Raises Misfit when
    it is not.
    """
    kind, _, rest = spec.partition(" ")
    check = _CHECKS.get(kind)
    if not word:
        raise Misfit("an empty value")
    if check is not None:
        return check(word, rest.split(), table)
    if kind not in table["patterns"] or rest:
        raise Misfit("no kind %r" % spec)
    expression = str(table["patterns"][kind])
    while re.search(r"<[a-z_]+>", expression):
        expression = re.sub(
            r"<([a-z_]+)>", lambda found: "(?:%s)" % table["patterns"][found[1]], expression
        )
    if len(word) > _MAX or not re.fullmatch(expression, word, re.ASCII):
        raise Misfit("%r is no %s" % (word, kind))
    return False


def in_list(name: str, word: str, table: Mapping[str, Any]) -> bool:
    """Whether `word` fits an entry of the table's list `name`, letter case apart."""
    return any(fnmatchcase(word.lower(), str(one).lower()) for one in table["lists"][name])


def _int(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    low, high = (int(bound) for bound in rest[0].split(".."))
    if str(_number(word)) != word or not low <= _number(word) <= high:
        raise Misfit("%r is no whole number from %d to %d" % (word, low, high))
    return False


def _number(word: str) -> int:
    try:
        return int(word, 10)
    except ValueError:
        raise Misfit("%r is no number" % word) from None


def _enum(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    if word not in rest:
        raise Misfit("%r is not one of %s" % (word, rest))
    return False


def _namespace(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    signs = frozenset(_LETTERS + _DIGITS + "-")
    if not set(word) <= signs or word.strip("-") != word or len(word) > 63:
        raise Misfit("%r is no namespace" % word)
    return False


def _format(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    name, equals, template = word.partition("=")
    if word in rest:
        return False
    if name not in ("jsonpath", "custom-columns") or not equals or len(word) > _MAX:
        raise Misfit("%r is no format" % word)
    if not template or not set(template) <= _FORMAT_SIGNS:
        raise Misfit("%r has signs that a format does not need" % word)
    return False


def _unit(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    signs = frozenset(_LETTERS + _LETTERS.upper() + _DIGITS + "_.:@-" + ("\\" if rest else ""))
    if not set(word) <= signs or not word[0].isalnum() or len(word) > 220:
        raise Misfit("%r is no unit" % word)
    if rest == ["any"]:
        return False
    name, kind = posixpath.splitext(word)
    kinds = (".target", ".mount", ".automount", ".slice", ".scope", ".path", ".swap", ".device")
    if kind in kinds:
        raise Misfit("a unit %s is not acted on" % kind)
    if kind not in (".service", ".timer", ".socket"):
        name = word
    if in_list("never_units", name, table):
        raise Misfit("the unit %r is refused" % name)
    return not in_list("units", name, table)


def _path(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    bare = word.rstrip("/") or "/"
    if not set(word) <= _PATH_SIGNS or posixpath.normpath(word) != bare or word[:2] == "//":
        raise Misfit("%r is no plain path" % word)
    roots = [str(entry) for name in rest for entry in table["lists"][name]]
    folders = tuple(root for root in roots if root.endswith("/") and root != "/")
    shapes = [root.lower() for root in roots if "*" in root]
    is_shaped = any(fnmatchcase(word.lower(), shape) for shape in shapes)
    if not is_shaped and word not in roots and bare not in roots and not word.startswith(folders):
        raise Misfit("%r is under none of the listed paths" % word)
    for part in bare.strip("/").split("/"):
        if part and in_list("never_paths", part, table):
            raise Misfit("%r may hold secrets" % word)
    return False


def _host(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    if rest:
        if word not in table["lists"][rest[0]]:
            raise Misfit("the host %r is not listed" % word)
        return False
    if ":" in word:
        try:
            ipaddress.IPv6Address(word)
        except ValueError:
            raise Misfit("%r is no address" % word) from None
        return False
    labels = (word[:-1] if word.endswith(".") else word).split(".")
    signs = frozenset(_LETTERS + _LETTERS.upper() + _DIGITS + "-")
    for label in labels:
        if not label or not set(label) <= signs or label.strip("-") != label or len(label) > 63:
            raise Misfit("%r is no host" % word)
    return False


def _url(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    if word.split("/")[0] not in ("http:", "https:"):
        if word.split(".")[0].lower() in ("ftp", "dict", "ldap", "imap", "smtp", "pop3"):
            raise Misfit("the name of %r chooses another protocol" % word)
        word = "http://" + word
    try:
        parts = urlsplit(word)
        port = parts.port
    except ValueError as error:
        raise Misfit("%r is no URL (%s)" % (word, error)) from None
    is_plain = set(parts.path + parts.query.replace("&", "")) <= _URL_SIGNS and "#" not in word
    if parts.scheme not in ("http", "https") or not word.startswith(parts.scheme) or not is_plain:
        raise Misfit("%r is no plain URL" % word)
    host = parts.hostname or ""
    spelled = "[%s]" % host if ":" in host else host
    authority = spelled if port is None else "%s:%d" % (spelled, port)
    if parts.netloc.lower() != authority:
        raise Misfit("%r has more than a host and a port" % word)
    if spelled not in [str(one).lower() for one in table["lists"][rest[0]]]:
        raise Misfit("the host %r is not listed" % host)
    if re.search(r"%|//|\.\.", parts.path):
        raise Misfit("%r has a path that may mean another" % word)
    path = parts.path.rstrip("/") or "/"
    return not in_list("health_paths", path, table) or "?" in word


def _either(word: str, rest: Any, table: Mapping[str, Any]) -> bool:
    known, asking = rest
    try:
        return fits(known, word, table)
    except Misfit:
        fits(asking, word, table)
        return True


_CHECKS = {
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

"""Typed values in single words: `10.0.0.7:22` becomes `<ip>`, `blk_-123` becomes `<id>`.

A word is what stands between blanks. What it becomes depends on its own characters only, so the
result may be remembered for each word. What follows from a word's neighbours is in `phrases`.
"""

from __future__ import annotations

import re
from typing import Callable, List, Optional

from selfheal.errors import values
from selfheal.errors.values import Kind

# Hears of every step: (rule, what stood there, what stands there now).
Note = Callable[[str, str, str], None]

_SPLIT = re.compile(r"""((?:[=,;|()\[\]{}<>"'`\s]|(?<=\w)\.{2,})+)""")
_WHOLE = (
    ("://", "url", values.URL, "<url>"),
    ("?", "path", values.QUERY, "<path>"),
    ("\\", "path", values.DRIVE, "<path>"),
)
# The commonest values, known at one look; what they become is what the rules below say as well.
_COMMON = re.compile(
    r"(?P<ip>/?[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?)\Z"
    r"|(?P<id>[a-z]{2,40}_-?[0-9]{3,40})\Z|(?P<path>/[A-Za-z][\w\-./]{1,300}\w)\Z"
)
_JOINED = re.compile(r"(<[a-z*]+>)((?:[-#:/.,_@|+*~\\x]{1,3}<[a-z*]+>)+)")
_HEX_PAIR = re.compile("[0-9a-f]{2}\\Z")
_DIGIT = re.compile("[0-9]")
_CALLED = re.compile(r"[A-Za-z_][\w.:]{0,60}\Z")  # before "()": a function, digits and all
_POINTER = re.compile(r"[a-z]\w{0,60}\.[A-Z]\w{0,100}\Z")  # after "*": a type, as Go shows it
_RESOURCE = re.compile(r"[a-z][\w.\-]{1,100}/[a-z]\w{1,60}(?::{1,2}[a-z][\w.\-]{1,100}){1,5}\Z")
_PAIR = re.compile(r"[a-z]{2,60}/[a-z+]{2,60}\Z")
_SHORT = 8  # letters; fewer are never a hexadecimal number


def mask(token: str, note: Optional[Note] = None) -> str:
    """`token` (no blanks) with each typed value replaced by its placeholder."""
    if token.isalpha() and (len(token) < _SHORT or not values.HEX.match(token)):
        return _noted("host", token, "<host>", note) if token == "localhost" else token
    if token.isdigit():
        return _noted("number", token, "<num>", note)
    if note is None:
        common = _COMMON.match(token)
        if common:
            return "<%s>" % common.lastgroup
    for sign, rule, pattern, placeholder in _WHOLE:
        if sign in token:
            token = _replaced(pattern, placeholder, token, rule, note)
    pieces = _SPLIT.split(token)
    for index in range(0, len(pieces), 2):
        piece = pieces[index]
        if not piece or (len(piece) < _SHORT and piece.isalpha()):
            continue
        if index + 1 < len(pieces) and pieces[index + 1].startswith("()") and _CALLED.match(piece):
            continue
        pieces[index] = _atom(piece, note)
    return joined("".join(pieces), note)


def joined(text: str, note: Optional[Note] = None) -> str:
    """`text` with values that are joined by punctuation taken for one: `<ip>:<num>` is `<ip>`."""
    if text.count("<") < 2:
        return text
    return _replaced(_JOINED, r"\1", text, "joined values", note)


def _replaced(
    pattern: re.Pattern[str], how: str, text: str, rule: str, note: Optional[Note]
) -> str:
    if note is None:
        return pattern.sub(how, text)
    return pattern.sub(lambda found: _noted(rule, found.group(), found.expand(how), note), text)


def _noted(rule: str, before: str, after: str, note: Optional[Note]) -> str:
    if note is not None and (before != after or rule.endswith("kept")):
        note(rule, before, after)
    return after


def _atom(piece: str, note: Optional[Note]) -> str:
    """`piece` (no brackets, quotes, commas or `=`) with the punctuation around its core kept."""
    core = piece.rstrip(".:!?*-…#&$\\+")
    tail = piece[len(core):]
    start = 0
    while start < len(core) and core[start] in ":*#!?&@%" and core[:2] != "::":
        start += 1
    head, core = core[:start], core[start:]
    if not core or (len(core) < _SHORT and core.isalpha()):
        return piece
    if head[-1:] == "*" and _POINTER.match(core):
        return head + _noted("type of a value", core, "<type>", note) + tail
    rule, shown = _typed(core)
    if shown == core and core[0] == "-":
        bare = core.lstrip("-")
        rule, shown = _typed(bare) if bare and not bare.isalpha() else ("", bare)
        shown = core[: len(core) - len(bare)] + shown
    if shown == "<app>" and tail[:1] == ":":
        return piece  # who speaks, not of what
    if shown[-1] == ">":
        tail = tail.lstrip("-+*")
    return head + _noted(rule, core, shown, note) + tail


def _typed(core: str) -> Kind:
    """The rule that applies to `core` and what it becomes; ("", core) when it stays."""
    has_digit = _DIGIT.search(core) is not None
    kind = values.shape_of(core, has_digit)
    if kind is not None:
        return kind
    if core[0] in "/~." and len(core) > 1 and "/" in core:
        return "path", "<path>"
    if "@" in core:
        return _with_at(core)
    for sign in ":#\\*+!%":
        if sign in core and (sign != "+" or "/" not in core):
            return _compound(core, sign)
    if "/" in core:
        return _with_slash(core, has_digit)
    if "." in core:
        return values.dotted(core, has_digit)
    return values.word(core, has_digit)


def _compound(core: str, sign: str) -> Kind:
    parts: List[str] = []
    if sign == ":" and _RESOURCE.match(core):
        return "name of a resource", "<path>"
    is_hex = sign == ":" and _DIGIT.search(core) is not None
    for part in core.split(sign):
        if is_hex and _HEX_PAIR.match(part):  # of the address of a bus: 0000:af:00.0
            parts.append("<hex>")
        else:
            parts.append(part if not part or part.isalpha() else _typed(part)[1])
    return "parts joined by " + sign, joined(sign.join(parts))


def _with_at(core: str) -> Kind:
    name, _, rest = core.rpartition("@")
    if not name or values.has_humps(name):
        if _DIGIT.search(rest) or len(rest) > 5:
            return "identity of an object", "%s@<id>" % (_typed(name)[1] if name else "")
        return "", core
    if values.MAIL.match(core):
        return "mail", "<mail>"
    return _compound(core, "@")


def _with_slash(core: str, has_digit: bool) -> Kind:
    parts = core.split("/")
    named = [part for part in parts if part]
    if len(parts) == 2 and parts[0].isalpha() and parts[0] != parts[0].lower() and (
            values.NUMBER.match(parts[1])):
        return "version of a product", "%s/<num>" % parts[0]
    if has_digit and not all(part.isalpha() or values.is_term(part) for part in named):
        return "path", "<path>"
    if len(named) > 2 or (not has_digit and re.search(r"[-_.]", core)):
        return "path", "<path>"
    if _PAIR.match(core) and core not in values.PROSE:
        return "path", "<path>"
    return "", core

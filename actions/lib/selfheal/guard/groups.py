"""The entries of safety.min_healthy, and how values of labels get into their PromQL.

A label's value is text from outside. It is only ever put into the quoted value of a matcher, with
everything escaped that could end it, and as plain text where the matcher is a regular expression.
Anywhere else it is refused.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, List, Mapping

from selfheal.exceptions import ConfigError, InvalidInput
from selfheal.guard import labels as labelled
from selfheal.records import dataclass
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.guard.verdict import Deed

_KEYS = ("match", "healthy", "total", "keep")
_MOST_VALUE = 1000  # characters of a label's value
_KEEP = re.compile(r"([0-9]{1,9})\Z|([0-9]{1,3}(?:\.[0-9]{1,3})?)%\Z")
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MATCHER = re.compile(r"(=~|!~|!=|(?<![=!<>~])=)\s*\Z")
_REGEX_SIGNS = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True)
class Group:
    """One entry: for whom it is (label, pattern), what is asked, what must stay; `where` it is
    written.
    """

    match: Mapping[str, str]
    healthy: str
    total: str
    keep: str
    where: str

    def is_of(self, deed: Deed) -> bool:
        """Whether the deed is done on a member of it; without `match` every deed is."""
        return labelled.match(self.match, deed)


def parse(entries: Any) -> List[Group]:
    """The groups of setting safety.min_healthy. Raises ConfigError saying which entry and why."""
    if not isinstance(entries, (list, tuple)):
        raise ConfigError("safety.min_healthy must be a list, not %s" % _shown(entries))
    return [
        _group(entry, "safety.min_healthy[%d]" % number) for number, entry in enumerate(entries)
    ]


def kept_of(keep: str, total: float) -> float:
    """How many of `total` must stay by `keep`; a share is rounded up."""
    if not keep.endswith("%"):
        return float(keep)
    return float(math.ceil(total * float(keep[:-1]) / 100.0 - 1e-9))


def filled(template: str, labels: Mapping[str, str]) -> str:
    """PromQL `template` with each `${label}` replaced by that label's value, as nothing but text.

    Raises InvalidInput when a label is missing or empty, when its value cannot be text of a query,
    and where `${label}` does not stand in (or for) the quoted value of a matcher.
    """
    parts: List[str] = []
    quote = operator = ""  # the sign that ends the string we are in, and what stood before it
    position = 0
    while position < len(template):
        sign = template[position]
        found = _NAME.match(template, position)
        if found:
            before = operator if quote else _operator_before(template, position)
            parts.append(_inserted(found.group(1), labels, quote, before, template))
            position = found.end()
            continue
        if template.startswith("${", position) or (sign == "#" and not quote):
            raise InvalidInput("%s has a ${ without a label, or a comment" % _shown(template))
        if quote and sign == "\\" and quote != "`":
            parts.append(template[position:position + 2])
            position += 2
            continue
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`":
            quote, operator = sign, _operator_before(template, position)
        parts.append(sign)
        position += 1
    return "".join(parts)


def _inserted(
    name: str, labels: Mapping[str, str], quote: str, operator: str, template: str
) -> str:
    value = labels.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(
            "the incident has no label %s, which %s needs" % (name, _shown(template))
        )
    if len(value) > _MOST_VALUE:
        raise InvalidInput("the label %s is longer than %d characters" % (name, _MOST_VALUE))
    if not operator or quote == "`":
        raise InvalidInput(
            '${%s} may only stand in the value of a matcher, as in {%s="${%s}"}; %s has it '
            "elsewhere" % (name, name, name, _shown(template))
        )
    text = _as_text(value, quote or '"', operator in ("=~", "!~"))
    return text if quote else '"%s"' % text


def _operator_before(template: str, position: int) -> str:
    found = _MATCHER.search(template[:position])
    return found.group(1) if found else ""


def _as_text(value: str, quote: str, is_regex: bool) -> str:
    """`value` inside a PromQL string that ends with `quote`."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("a label's value is no text: %s" % _shown(value)) from None
    if is_regex:
        value = _REGEX_SIGNS.sub(r"\\\1", value)
    value = value.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return "".join(sign if sign.isprintable() else _escaped(ord(sign)) for sign in value)


def _escaped(code: int) -> str:
    return "\\u%04x" % code if code <= 0xFFFF else "\\U%08x" % code


def _group(entry: Any, where: str) -> Group:
    if not isinstance(entry, Mapping):
        raise ConfigError(
            "%s must be a map with %s, not %s" % (where, ", ".join(_KEYS), _shown(entry))
        )
    unknown = sorted(str(key) for key in entry if key not in _KEYS)
    if unknown:
        raise ConfigError("%s: unknown key %s" % (where, one_line(", ".join(unknown), 100)))
    for key in ("healthy", "total"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ConfigError("%s: %s must be a PromQL expression" % (where, key))
    keep = entry.get("keep")
    text = str(keep).strip() if isinstance(keep, (int, str)) and not isinstance(keep, bool) else ""
    if not _KEEP.match(text) or text.endswith("%") and float(text[:-1]) > 100:
        raise ConfigError(
            '%s: keep must be a number of members or a share such as "50%%", not %s'
            % (where, _shown(keep))
        )
    match = labelled.parse(entry.get("match"), where)
    return Group(match, entry["healthy"], entry["total"], text, where)


def _shown(value: Any) -> str:
    return one_line(repr(value), 120)

"""Jira's query language, as far as we write it: values quoted so that no text can break out, and
labels that any text can become.
"""

from __future__ import annotations

import hashlib
import re

from selfheal.apis.jira.lengths import LONGEST_LABEL

_PLAIN = re.compile(r"[A-Za-z0-9 ._:/@+-]")
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_NOT_LABEL = re.compile(r"[^a-z0-9._-]+")
_HASH = 12
_LONGEST_OWN = 100  # of a label that we make: people read it


def quoted(text: str) -> str:
    """`text` as one value of JQL: whatever is no plain character is written by its number, so
    nothing in it is a quote, an operator or a wildcard of the query's own.
    """
    return '"%s"' % "".join(_character(one) for one in text)


def _character(one: str) -> str:
    if _PLAIN.match(one):
        return one
    if one > "\uffff":
        return one  # JQL names no character beyond the sixteenth bit; none of them is special
    return "\\u%04x" % ord(one)


def equals(field: str, value: str) -> str:
    """The clause that `field` is `value`. Raises ValueError for an empty value, which would find
    what was not meant.
    """
    if not value.strip():
        raise ValueError("an empty value for %s in JQL" % field)
    return "%s = %s" % (field, quoted(value))


def label(prefix: str, text: str) -> str:
    """A label that tells `text` from any other: Jira takes no spaces and finds letters of either
    case, so what does not fit becomes a hash. Raises ValueError for an empty text.
    """
    if not text.strip():
        raise ValueError("an empty text makes no label")
    whole = text if text.startswith(prefix + "-") else "%s-%s" % (prefix, text)
    if _LABEL.match(whole) and len(whole) <= min(_LONGEST_OWN, LONGEST_LABEL):
        return whole
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    readable = _NOT_LABEL.sub("-", text.lower()).strip("-.")[:40].strip("-.")
    return "-".join(part for part in (prefix, readable, digest) if part)

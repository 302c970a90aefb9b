"""Where an error happened, as far as that tells one group of errors from another.

A group is a pattern in one scope. Its key depends on nothing but the pattern and the values of the
scope, so every sensor gives the same group the same key.
"""

from __future__ import annotations

import hashlib
import json
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from selfheal.errors.record import Document
from selfheal.text import one_line

NAMES = ("cluster", "namespace", "workload", "host", "program")
VERSION = "g1"
_MAX_NAME = 253  # the longest name that Kubernetes allows
Values = Tuple[Tuple[str, str], ...]


class Scope(NamedTuple):
    """One scope: `values` are its (name, value) pairs as they came, `text` reads well and `columns`
    are the values by name, cut and printable, None where the scope does not have one.
    """

    values: Values
    text: str
    columns: Dict[str, Optional[str]]


def values_of(document: Document, scope_by: Sequence[str]) -> Values:
    """The document's own values of the names in `scope_by`, in that order. Empty ones are left out,
    and so is the host where the workload is known: a pod that moves stays in its group.
    """
    return tuple(
        (name, value)
        for name in scope_by
        for value in (getattr(document, name),)
        if value and not (name == "host" and document.workload)
    )


def scope_of(values: Values) -> Scope:
    """The scope with these values."""
    shown = {name: one_line(value, _MAX_NAME) for name, value in values}
    text = ", ".join("%s=%s" % pair for pair in shown.items())
    return Scope(values, text, {name: shown.get(name) for name in NAMES})


def group_key(fingerprint: str, values: Values) -> str:
    """The key of the group of errors of pattern `fingerprint` in the scope with `values`."""
    text = json.dumps([fingerprint, [list(pair) for pair in values]])
    return "%s:%s" % (VERSION, hashlib.sha256(text.encode("ascii")).hexdigest()[:20])

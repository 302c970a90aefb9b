"""Readers of single fields of a runbook: each returns the value or raises InvalidInput saying where
and what it expected.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, Optional, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.remedy.model import INCIDENT_FIELDS, Reference, Step


def only_keys(value: Any, known: Sequence[str], required: Sequence[str], where: str) -> None:
    """Raises InvalidInput unless `value` is a map of `known` keys with all the `required` ones."""
    if not isinstance(value, Mapping):
        raise InvalidInput("%s must be a map, not %r" % (where, value))
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise InvalidInput(
            "%s has the unknown key %s (known: %s)" % (where, ", ".join(unknown), ", ".join(known))
        )
    missing = [key for key in required if key not in value]
    if missing:
        raise InvalidInput("%s lacks %s" % (where, ", ".join(missing)))


def text_of(value: Any, where: str) -> str:
    """`value` as text without NUL."""
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput("%s must be text, not %r (put it in quotes?)" % (where, value))
    return value


def texts_of(value: Any, where: str, may_be_empty: bool = False) -> Tuple[str, ...]:
    """One text or a list of them, none empty."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or (not items and not may_be_empty):
        raise InvalidInput("%s must be text or a list of texts, not %r" % (where, value))
    for item in items:
        if not text_of(item, where).strip():
            raise InvalidInput("%s contains an empty text" % where)
    return tuple(items)


def one_of(value: Any, allowed: Sequence[str], where: str) -> str:
    """`value` when it is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidInput("%s must be one of %s, not %r" % (where, ", ".join(allowed), value))
    return value


def seconds_of(value: Any, where: str) -> Optional[float]:
    """A positive, finite number of seconds; None stays None."""
    if value is None:
        return None
    if (
        isinstance(value, bool) or
        not isinstance(value, (int, float)) or
        not math.isfinite(value) or
        value <= 0
    ):
        raise InvalidInput("%s must be a positive number of seconds, not %r" % (where, value))
    return float(value)


def reference_of(value: Any, where: str, steps: Mapping[str, Step]) -> Reference:
    """A reference such as labels.service, annotations.summary, incident.namespace,
    steps.check.stdout.
    """
    parts = value.split(".", 1) if isinstance(value, str) else []
    if len(parts) == 2 and parts[0] in ("labels", "annotations") and parts[1]:
        return Reference((parts[0], parts[1]))
    if len(parts) == 2 and parts[0] == "incident" and parts[1] in INCIDENT_FIELDS:
        return Reference((parts[0], parts[1]))
    if len(parts) == 2 and parts[0] == "steps":
        step, _, field = parts[1].rpartition(".")
        if step in steps and field in _fields_of(steps[step]):
            return Reference(("steps", step, field))
        raise InvalidInput(
            "%s: %r must be steps.<an earlier step>.<field>, the field exit_code, stdout or "
            "stderr of a "
            "command, status or body of an api_call" % (where, value)
        )
    raise InvalidInput(
        "%s: %r is none of labels.<name>, annotations.<name>, steps.<step>.<field>, incident.<%s>"
        % (where, value, "|".join(INCIDENT_FIELDS))
    )


def _fields_of(step: Step) -> Tuple[str, ...]:
    return {"command": ("exit_code", "stdout", "stderr"), "api_call": ("status", "body")}.get(
        step.kind, ()
    )

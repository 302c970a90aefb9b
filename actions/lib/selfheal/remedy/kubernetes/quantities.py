"""Quantities as Kubernetes writes them (512Mi, 250m, 1.5, 2e9), as exact numbers and back."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from selfheal.exceptions import InvalidInput
from selfheal.text import one_line

MEBIBYTE = Decimal(1024**2)
_FORM = re.compile(
    r"([+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})\Z"
)
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(1024),
    "Mi": MEBIBYTE,
    "Gi": Decimal(1024**3),
    "Ti": Decimal(1024**4),
    "Pi": Decimal(1024**5),
    "Ei": Decimal(1024**6),
}


def parsed(value: Any) -> Decimal:
    """The number that a quantity stands for. Raises InvalidInput."""
    found = _FORM.match(str(value)) if isinstance(value, (str, int, float)) else None
    if found is None or isinstance(value, bool):
        raise InvalidInput("%s is no quantity such as 512Mi or 250m" % one_line(repr(value), 80))
    number, suffix = Decimal(found.group(1)), found.group(2)
    if suffix in _SUFFIXES:
        return number * _SUFFIXES[suffix]
    if suffix[:1] in "eE" and len(suffix) > 1:
        return number * Decimal(10) ** int(suffix[1:])
    raise InvalidInput("%s is no quantity such as 512Mi or 250m" % one_line(repr(value), 80))


def mebibytes(number: Decimal) -> str:
    """`number` of bytes as whole mebibytes, rounded up: 192Mi."""
    return "%dMi" % math.ceil(number / MEBIBYTE)

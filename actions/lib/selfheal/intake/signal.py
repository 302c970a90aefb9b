"""Signals as Alertmanager's alerts make them: the fingerprint of a label set.

What a signal is, and its times, are the incidents' own terms (incidents.signal); they are named
here as well, for the intake's modules.
"""

from __future__ import annotations

from typing import Mapping

from selfheal.incidents.signal import (
    FIRING,
    RESOLVED,
    Signal,
    canonical_time,
    epoch_of,
    time_text,
)

__all__ = [
    "FIRING",
    "RESOLVED",
    "Signal",
    "canonical_time",
    "epoch_of",
    "fingerprint_of",
    "time_text",
]

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_64_BITS = (1 << 64) - 1
_SEPARATOR = b"\xff"


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The fingerprint that Alertmanager gives this label set: FNV-1a (64 bit) over the sorted names
    and values.
    """
    total = _FNV_OFFSET
    for name in sorted(labels):
        # A lone surrogate cannot come from Alertmanager itself (Go replaces it); here it must not
        # be fatal.
        pair = (
            name.encode("utf-8", "surrogatepass") +
            _SEPARATOR +
            labels[name].encode("utf-8", "surrogatepass")
        )
        for byte in pair + _SEPARATOR:
            total = ((total ^ byte) * _FNV_PRIME) & _64_BITS
    return "%016x" % total

"""Identifiers that sort by the time they were made: `inc-01jd5k3x9q-8f2k1z`.

Ten base-32 digits of milliseconds, then six of chance; within one process they never repeat and
always rise, so that ordering by id is ordering by time. Safe in a URL, a file name, a chat message
and a StackStorm parameter.
"""

from __future__ import annotations

import os
import re
import threading

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_RANDOM_BITS = 30
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}\Z")
_lock = threading.Lock()
_last = [0]
# A forked process that goes on counting from its parent's last would make its siblings' ids.
os.register_at_fork(after_in_child=lambda: _last.__setitem__(0, 0))


def _base32(number: int, width: int) -> str:
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(5 * (width - 1), -1, -5))


def is_id(text: str) -> bool:
    """Whether `text` can be the identifier of one thing, ours or StackStorm's: no pattern, no list
    and never empty.
    """
    return _ID.match(text) is not None


def new_id(prefix: str, now: float) -> str:
    """A new identifier for something made at `now` (seconds since the epoch)."""
    random_part = int.from_bytes(os.urandom(4), "big") >> (32 - _RANDOM_BITS)
    value = (int(now * 1000) << _RANDOM_BITS) | random_part
    with _lock:
        value = max(value, _last[0] + 1)
        _last[0] = value
    return "%s-%s-%s" % (
        prefix,
        _base32(value >> _RANDOM_BITS, 10),
        _base32(value & ((1 << _RANDOM_BITS) - 1), 6),
    )

"""How many examples of a property are tried: SELFHEAL_EXAMPLES, else as few as the test says."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """The number for `max_examples`; `few` where nobody asked for more."""
    return int(os.environ.get("SELFHEAL_EXAMPLES") or few)

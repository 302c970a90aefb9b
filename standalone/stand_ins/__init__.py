"""Stand-ins for the few StackStorm classes that a pack's entry points and tests import.

Appended last on sys.path, so that where StackStorm is installed its own classes win. They promise
the behaviour the pack relies on and nothing more.
"""

from __future__ import annotations

import os
import sys

__all__ = ["append_to_path", "directory"]


def directory() -> str:
    """The directory that holds the stand-ins, for a PYTHONPATH."""
    return os.path.dirname(os.path.abspath(__file__))


def append_to_path() -> None:
    """Make the stand-ins importable behind everything else; does nothing the second time."""
    if directory() not in sys.path:
        sys.path.append(directory())

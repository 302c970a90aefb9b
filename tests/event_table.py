"""The table of example messages: which are one event and which are not."""

from __future__ import annotations

from pathlib import Path

_TABLE = Path(__file__).parent / "errors" / "fixtures" / "events.txt"


def blocks():
    """[[message, ...]]: the messages of a block are one event, those of two blocks never."""
    text = _TABLE.read_text(encoding="utf-8")
    found = (
        [line for line in block.splitlines() if line and not line.startswith("# ")]
        for block in text.split("\n\n")
    )
    return [block for block in found if block]


def messages():
    """Every message of the table."""
    return [message for block in blocks() for message in block]

"""How long a text is to Jira, which counts as Java does, and how a document is cut to fit.

A character beyond the sixteenth bit counts twice. Blocks are kept from the first on; the one that
does not fit is cut line by line, and a last paragraph says that it was.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Callable, List, Tuple

from selfheal.document import Block, Document, text
from selfheal.text import counted

LONGEST_TEXT = 32767
LONGEST_SUMMARY = 255
LONGEST_LABEL = 255


def units(value: str) -> int:
    """Length of `value` in UTF-16 code units."""
    return len(value) + sum(1 for character in value if character > "\uffff")


def head(value: str, most: int) -> str:
    """`value` from its start, at most `most` code units, no character halved."""
    if units(value) <= most:
        return value
    used = 0
    for position, character in enumerate(value):
        used += 2 if character > "\uffff" else 1
        if used > most:
            return value[:position]
    return value


def cut(value: str, most: int) -> str:
    """`value` in at most `most` code units, the cut marked with how much is gone."""
    if units(value) <= most:
        return value
    kept = head(value, max(0, most - 28))
    return head("%s… [+%d characters]" % (kept, len(value) - len(kept)), most)


def fitted(
    document: Document, size: Callable[[Document], int], most: int = LONGEST_TEXT
) -> Tuple[Document, bool]:
    """(as much of `document` from its start as is no longer than `most` by `size`, whether it was
    cut). What was cut ends with a paragraph that says so.
    """
    lines = [(number, line) for number, block in enumerate(document) for line in block.lines]
    bare = list(accumulate(units(line) for _, line in lines))  # no markup makes it shorter
    if (not bare or bare[-1] <= most) and size(document) <= most:
        return document, False

    def first(count: int) -> Document:
        kept: List[Block] = []
        for number, block in enumerate(document):
            mine = tuple(line for at, line in lines[:count] if at == number)
            if mine:
                kept.append(Block(block.kind, mine))
        left = counted(len(lines) - count, "line")
        return (*kept, text("… [+%s: the whole is in the attachment]" % left))

    low, high = 0, min(len(lines) - 1, bisect_right(bare, most))
    while low < high:  # the most lines that fit
        middle = (low + high + 1) // 2
        if size(first(middle)) <= most:
            low = middle
        else:
            high = middle - 1
    return first(low), True

"""The commonest values that never repeat, told by one look: plain numbers, addresses, UUIDs, hex
and numbered identifiers, with a key before and punctuation around them.

Only a shortcut: what it says is what `tokens.mask` would say, which is tested, and for anything
else it says nothing. Such words make most of what no cache can hold.
"""

from __future__ import annotations

import re
from typing import Optional

VALUE = re.compile(
    r"[(\[\"']{0,2}(?:(?=[a-fA-F]{0,7}[=g-zG-Z])[A-Za-z]{1,30}=)?[(\[\"']?(?:"
    r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?)|"
    r"([0-9]+(?:\.[0-9]+)?(?:ms|s|h|[kKMG]?B|%)?)|"
    r"((?=[a-f-]{0,36}[0-9])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|"
    # With a letter before its last digit that is no exponent and no unit of time.
    r"((?=[0-9ed]*[abcf][0-9a-f]*[0-9])[0-9a-f]{8,})|"
    r"([A-Za-z]{2,20}[-_][0-9]{7,})"
    r")[:.]?[)\]\"',;]{0,3}\Z"
).match
# By the group that matched.
PLACEHOLDERS = ("", "<ip>", "<num>", "<uuid>", "<hex>", "<id>")
ID = 5


def quick(word: str) -> Optional[str]:
    """`word` with its value replaced by the placeholder, None when a closer look is needed."""
    found = VALUE(word)
    if found is None:
        return None
    kind = found.lastindex or 0
    return word[: found.start(kind)] + PLACEHOLDERS[kind] + word[found.end(kind):]

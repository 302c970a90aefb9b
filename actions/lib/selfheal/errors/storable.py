"""Text from outside as both databases take it: no NUL, no lone surrogate, bounded where it is a
key.
"""

from __future__ import annotations

import hashlib

from selfheal.text import printable

# PostgreSQL refuses index entries beyond 2704 bytes; four bytes are the most for a character.
_MAX_KEY = 512


def storable(text: str) -> str:
    """`text` with what no database takes made visible."""
    return text if text.isprintable() else printable(text)


def storable_id(document_id: str) -> str:
    """The id under which the document is stored; different ids stay different."""
    if document_id.isascii() and document_id.isprintable() and len(document_id) <= _MAX_KEY:
        return document_id
    safe = printable(document_id)
    if safe == document_id and len(safe) <= _MAX_KEY:
        return document_id
    digest = hashlib.sha256(document_id.encode("utf-8", "surrogatepass")).hexdigest()
    return "%s#%s" % (safe[: _MAX_KEY - 50], digest[:40])

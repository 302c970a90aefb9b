"""A message as a document, and the document as text without markup.

What a channel writes in its own markup is made of the same document, so all channels say the same,
in the same order: first what is wrong, then what to do, then the rest.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from selfheal import document
from selfheal.document import Block, Document
from selfheal.text import truncate

MAX_CHARACTERS = 24000


def section(heading: str, items: Sequence[str]) -> Document:
    """A heading and its list; nothing when there are no items."""
    return (document.heading(heading), document.bullets(items)) if items else ()


def output(heading: str, lines: Sequence[str]) -> Document:
    """A heading and quoted output; nothing when there is none."""
    return (document.heading(heading), document.code("\n".join(lines))) if lines else ()


def linked(urls: Mapping[str, str]) -> Document:
    """The links under their heading, in the order of their words; nothing when there are none."""
    found = {words: urls[words] for words in sorted(urls)}
    return (document.heading("Links:"), document.links(found)) if found else ()


def as_text(message: Document) -> str:
    """The message for readers that know no markup: the first heading is the title."""
    lines: List[str] = []
    before = ""
    for block in message:
        if not block.lines:
            continue
        is_new = block.kind == document.HEADING or (
            block.kind == document.TEXT and before != document.HEADING
        )
        if is_new and lines:
            lines.append("")
        lines += _lines(block)
        before = block.kind
    return "\n".join(lines)


def _lines(block: Block) -> List[str]:
    if block.kind in (document.HEADING, document.TEXT):
        return list(block.lines)
    if block.kind == document.LINKS:
        return ["  - %s: %s" % document.link_of(line) for line in block.lines]
    return ["  - %s" % line for line in block.lines]


def of(payload: Mapping[str, Any]) -> Document:
    """The document of a message's payload; of one that has none, its title and text as they are."""
    found = document.loaded(payload.get("document"))
    if found:
        return found
    title, text = str(payload.get("title") or "selfheal"), str(payload.get("text") or "")
    first, _, rest = text.partition("\n")
    shown = rest if first.strip() == title.strip() else text
    blocks = (document.heading(title), document.code(shown))
    return tuple(block for block in blocks if block.lines)


def cut(message: Document, limit: int = MAX_CHARACTERS) -> Document:
    """The message in about `limit` characters: what does not fit is left out from its end on, which
    is where the least urgent stands, and the cut is marked.
    """
    kept: List[Block] = []
    left, gone = limit, 0
    for block in message:
        lines: List[str] = []
        for line in block.lines:
            if left <= 0:
                gone += 1
                continue
            lines.append(line if block.kind == document.LINKS else truncate(line, max(left, 40)))
            left -= len(line) + 1
        if lines:
            kept.append(Block(block.kind, tuple(lines)))
    if kept and kept[-1].kind == document.HEADING and gone:
        kept.pop()
    return (*kept, document.text("… [+%d lines]" % gone)) if gone else tuple(kept)


def with_document(payload: Dict[str, Any], message: Document, max_text: int) -> Dict[str, Any]:
    """`payload` with the message as `text` and as `document`."""
    return dict(
        payload,
        text=truncate(as_text(message), max_text),
        document=document.dumped(cut(message)),
    )

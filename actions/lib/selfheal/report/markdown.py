"""A document as Markdown, for files and for whatever shows them.

What came from outside is escaped: it makes no heading, list, link, image, HTML or code of its own,
and code cannot end before its end. Only http(s) addresses become links.
"""

from __future__ import annotations

import re
from typing import List

from selfheal.document import CODE, HEADING, LINKS, LIST, Block, Document, link_of

_SPECIAL = re.compile(r"([\\`*_\[\]~|!])")
# What begins a line of its own kind: a heading, a list, a quote, a rule.
_START = re.compile(r"^(\s*)([#+=>-]|\d{1,9}[.)])")
_LINK = re.compile(r"https?://[^\s<>]+\Z", re.ASCII)


def rendered(document: Document) -> str:
    """The document; its first heading is the title. Ends in a newline."""
    parts: List[str] = []
    is_titled = False
    for block in document:
        if not block.lines:
            continue
        level = "##" if is_titled else "#"
        is_titled = is_titled or block.kind == HEADING
        parts.append(_block(block, level))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """`text`, one line of it, as Markdown that shows just that."""
    safe = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    safe = safe.replace(">", "&gt;")
    start = _START.match(safe)
    if start is None:
        return safe
    place = start.end(2) - 1  # before the point of "1.", which is what makes the list
    return "%s\\%s" % (safe[:place], safe[place:])


def _block(block: Block, level: str) -> str:
    if block.kind == HEADING:
        return "%s %s" % (level, escaped(block.lines[0]))
    if block.kind == LIST:
        return "\n".join("- %s" % escaped(line) for line in block.lines)
    if block.kind == LINKS:
        return "\n".join("- %s" % _link(line) for line in block.lines)
    if block.kind == CODE:
        longest = max((len(run) for run in re.findall("`+", "\n".join(block.lines))), default=0)
        fence = "`" * max(3, longest + 1)
        return "\n".join([fence, *block.lines, fence])
    return "\n\n".join(escaped(line) for line in block.lines)


def _link(line: str) -> str:
    words, url = link_of(line)
    if _LINK.match(url):
        return "[%s](<%s>)" % (escaped(words), url.replace("\\", "%5C"))
    return "%s: %s" % (escaped(words), escaped(url))

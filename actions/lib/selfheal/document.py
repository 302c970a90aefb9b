"""A text with structure, before it is known where it will be read: headings, paragraphs, lists,
quoted output, links.

Each system that people read in writes it in its own markup (Atlassian's document format, wiki
markup, HTML, Slack's) and escapes what came from outside there; `plain` is for all that has none.
Documents travel through the store as JSON.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.text import one_line, printable

HEADING = "heading"  # one line
TEXT = "text"  # paragraphs, one a line
LIST = "list"  # items, one a line
CODE = "code"  # output as it came, line by line
LINKS = "links"  # "words" and "url" of each line, parted by a tab
KINDS = (HEADING, TEXT, LIST, CODE, LINKS)
_LINE = 4000


@dataclass(frozen=True)
class Block:
    """One piece of a document: its kind (one of KINDS) and its lines, raw text from anywhere."""

    kind: str
    lines: Tuple[str, ...]


Document = Tuple[Block, ...]


def heading(words: str) -> Block:
    """A heading."""
    return Block(HEADING, (one_line(words, _LINE),))


def text(*lines: str) -> Block:
    """Paragraphs."""
    return Block(TEXT, tuple(one_line(line, _LINE) for line in lines))


def bullets(items: Sequence[str]) -> Block:
    """A list."""
    return Block(LIST, tuple(one_line(item, _LINE) for item in items))


def code(output: str) -> Block:
    """Output as it came."""
    return Block(CODE, tuple(printable(output).splitlines()))


def links(urls: Mapping[str, str]) -> Block:
    """Links by their words."""
    return Block(LINKS, tuple("%s\t%s" % (one_line(words), url) for words, url in urls.items()))


def link_of(line: str) -> Tuple[str, str]:
    """(words, url) of one line of a LINKS block."""
    words, _, url = line.partition("\t")
    return words, url


def plain(document: Document) -> str:
    """The document for readers that know no markup; an empty line between its blocks."""
    return "\n\n".join("\n".join(_plain_lines(block)) for block in document if block.lines)


def _plain_lines(block: Block) -> List[str]:
    if block.kind == LIST:
        return ["- %s" % line for line in block.lines]
    if block.kind == CODE:
        return ["    %s" % line for line in block.lines]
    if block.kind == LINKS:
        return ["%s: %s" % link_of(line) for line in block.lines]
    return list(block.lines)


def dumped(document: Document) -> List[Dict[str, Any]]:
    """The document as plain JSON."""
    return [{"kind": block.kind, "lines": list(block.lines)} for block in document]


def loaded(value: Any) -> Document:
    """The document that `dumped` made plain; what is not one of its blocks is left out."""
    found = []
    for one in value if isinstance(value, list) else []:
        if not isinstance(one, dict) or one.get("kind") not in KINDS:
            continue
        lines = one.get("lines")
        if isinstance(lines, list):
            found.append(Block(str(one["kind"]), tuple(str(line) for line in lines)))
    return tuple(found)

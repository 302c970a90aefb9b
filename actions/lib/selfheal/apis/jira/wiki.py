"""A document in Jira's wiki markup, as Data Center takes it for descriptions and comments.

What came from outside is escaped so that no character of it is markup, macro, mention, image or
emoticon. A backslash becomes an entity: two of them would be a line break, one would take the
escape of its neighbour away.
"""

from __future__ import annotations

import re
from typing import Match, Tuple

from selfheal.apis.jira.adf import is_url
from selfheal.apis.jira.lengths import LONGEST_TEXT, fitted, units
from selfheal.document import CODE, HEADING, LINKS, LIST, Block, Document, link_of
from selfheal.text import WORD_JOINER, printable

_ALWAYS = "{}[]|!"
_PHRASE = "*_+^~?-"  # markup only at the edge of a word
_SPECIAL = re.compile("\0.|[%s]" % re.escape(_ALWAYS + _PHRASE + "\\\\:;(&"))
_EMOTICON = re.compile(r"[:;](?=-?[)(PDp](?![^\W_]))|\((?=[!?/xiyn*+\-]|on|off|flag)")
_ENTITY = re.compile(r"&(?=#|\w)")
_LINE_START = re.compile(r"(h[1-6]|bq)\.|#")
_URL_UNSAFE = re.compile(r"[\s\\|\[\]{}^!\"<>]")


def rendered(
    document: Document, tail: Document = (), most: int = LONGEST_TEXT
) -> Tuple[str, bool]:
    """(`document` and `tail` as wiki markup, whether the document was cut to fit `most`)."""
    kept, is_cut = fitted(document, lambda one: units(_written((*one, *tail))), most)
    return _written((*kept, *tail)), is_cut


def escaped(line: str) -> str:
    """One line of text with nothing in it that Jira would act on."""
    line = printable(line).replace("\n", " ")
    start = _LINE_START.match(line.lstrip())
    if start:
        indent = len(line) - len(line.lstrip())
        end = indent + start.end()
        line = line[: end - 1] + "\0" + line[end - 1:]  # escaped below
    return _SPECIAL.sub(_piece, line)


def _piece(match: Match[str]) -> str:
    line, position, character = match.string, match.start(), match.group()[-1]
    if match.group()[0] == "\0":
        return "&#%d;" % ord(character)
    if character == "\\":
        return "&#92;"
    if character in _ALWAYS:
        return "\\" + character
    if character in _PHRASE:
        return character if _is_within_word(line, position) else "\\" + character
    if _EMOTICON.match(line, position):
        return "&#%d;" % ord(character)
    if _ENTITY.match(line, position):
        return "&amp;"
    return character


def _is_within_word(line: str, position: int) -> bool:
    around = line[max(0, position - 1):position] + line[position + 1:position + 2]
    return len(around) == 2 and around.isalnum() and line[position] in "_-"


def _written(document: Document) -> str:
    return "\n\n".join(part for part in (_block(block) for block in document) if part)


def _block(block: Block) -> str:
    lines = [line for line in block.lines if block.kind == CODE or line.strip()]
    if not any(line.strip() for line in lines):
        return ""
    if block.kind == HEADING:
        return "h3. " + escaped(" ".join(lines))
    if block.kind == CODE:
        return "{noformat}\n%s\n{noformat}" % _quoted("\n".join(lines))
    if block.kind == LIST:
        return "\n".join("* " + escaped(line) for line in lines)
    if block.kind == LINKS:
        return "\n".join("* " + _link(line) for line in lines)
    return "\n\n".join(escaped(line) for line in lines)


def _quoted(output: str) -> str:
    """`output` such that it cannot end the block that it stands in."""
    return re.sub(
        r"(?i)\{(?=\s*noformat)", lambda found: found.group() + WORD_JOINER, printable(output)
    )


def _link(line: str) -> str:
    words, url = link_of(line)
    if not is_url(url):
        return escaped("%s: %s" % (words, url))
    return "[%s|%s]" % (escaped(words or url), _URL_UNSAFE.sub(_percent, printable(url)))


def _percent(found: Match[str]) -> str:
    return "".join("%%%02X" % byte for byte in found.group().encode("utf-8"))

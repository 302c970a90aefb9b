"""A message as Slack takes it: blocks in which text stands as it came, and mrkdwn for what shows
no blocks.

Blocks are of type rich_text, in which nothing is markup, so nothing has to be escaped and nothing
can be smuggled in. In mrkdwn `&`, `<` and `>` are escaped, which leaves no link, no channel and no
mention. Limits: https://docs.slack.dev/reference/block-kit/blocks (header 150 characters, 50
blocks), text of about 4,000 characters, and all blocks together 13,200, found out by others
(slackapi/bolt-js issue 2509).
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Tuple

from selfheal import document
from selfheal.document import Block, Document
from selfheal.text import one_line, truncate

MAX_TEXT = 3800
MAX_HEADER = 150
MAX_BLOCKS = 50
MAX_ALL = 11500  # of JSON in ASCII, which is what goes over the wire
_LINE = 900
_URL = re.compile(r"https?://[^\s<>|\"]+\Z")


def escaped(text: str) -> str:
    """`text` as mrkdwn shows it as it is: no link, channel, person or date in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(message: Document, limit: int = MAX_TEXT) -> str:
    """The message as mrkdwn in at most `limit` characters, cut between lines and marked."""
    lines = _marked(message)
    kept: List[str] = []
    left = limit - 40
    for line in lines:
        if len(line) + 1 > left:
            break
        kept.append(line)
        left -= len(line) + 1
    gone = sum(1 for line in lines[len(kept):] if line)
    return "\n".join(kept).rstrip() + ("\n… [+%d lines]" % gone if gone else "")


def blocks(message: Document) -> List[Dict[str, Any]]:
    """The message as Block Kit blocks within Slack's limits; what does not fit is counted in the
    last one.
    """
    title, rest = _titled(message)
    header = {"type": "plain_text", "text": truncate(title, MAX_HEADER), "emoji": False}
    found: List[Dict[str, Any]] = [{"type": "header", "text": header}]
    left, gone = MAX_ALL - len(json.dumps(found)) - 200, 0
    for group in _groups(rest):
        elements: List[Dict[str, Any]] = []
        if len(found) >= MAX_BLOCKS - 1:
            gone += sum(1 for block in group for line in block.lines if line)
            continue
        for block in group:
            kept, cost = _within(block, left)
            gone += len([line for line in block.lines if line]) - len(kept)
            if kept:
                elements.append(_element(block.kind, kept))
                left -= cost
        only_heading = len(elements) == 1 and len(group) > 1
        if elements and not only_heading:
            found.append({"type": "rich_text", "elements": elements})
    if gone:
        mark = _section([_text("… [+%d lines]" % gone, {"italic": True})])
        found.append({"type": "rich_text", "elements": [mark]})
    return found


def body(message: Document, is_plain: bool = False) -> Dict[str, Any]:
    """What is posted: blocks, and mrkdwn for notifications and for what shows no blocks; with
    `is_plain` the mrkdwn alone.
    """
    found: Dict[str, Any] = {
        "text": mrkdwn(message),
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return found if is_plain else dict(found, blocks=blocks(message))


def _titled(message: Document) -> Tuple[str, Document]:
    if message and message[0].kind == document.HEADING:
        return message[0].lines[0] or "selfheal", message[1:]
    return "selfheal", message


def _groups(rest: Document) -> List[List[Block]]:
    """The blocks by the heading they stand under."""
    found: List[List[Block]] = []
    for block in rest:
        is_new = block.kind == document.HEADING or (
            block.kind == document.TEXT and found and found[-1][-1].kind != document.HEADING
        )
        if is_new or not found:
            found.append([])
        found[-1].append(block)
    return found


def _within(block: Block, left: int) -> Tuple[List[str], int]:
    """The lines of the block that fit into `left` characters of JSON, and what they cost."""
    kept, cost = [], 60
    for line in block.lines:
        short = line if block.kind == document.LINKS else truncate(line, _LINE)
        price = len(json.dumps(short)) + 95
        if not short:
            continue
        if cost + price > left:
            break
        kept.append(short)
        cost += price
    return kept, cost


def _element(kind: str, lines: List[str]) -> Dict[str, Any]:
    if kind == document.HEADING:
        return _section([_text(" ".join(lines), {"bold": True})])
    if kind == document.CODE:
        return {"type": "rich_text_preformatted", "elements": [_text("\n".join(lines))]}
    if kind == document.TEXT:
        return _section([_text("\n".join(lines))])
    items = [_link(line) if kind == document.LINKS else _text(line) for line in lines]
    sections = [_section([item]) for item in items]
    return {"type": "rich_text_list", "style": "bullet", "elements": sections}


def _link(line: str) -> Dict[str, Any]:
    words, url = document.link_of(line)
    if _URL.match(url):
        return {"type": "link", "url": url, "text": one_line(words, 200) or "link"}
    return _text(one_line("%s: %s" % (words, url), _LINE))


def _section(elements: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {"type": "rich_text_section", "elements": elements}


def _text(words: str, style: Any = None) -> Dict[str, Any]:
    return {"type": "text", "text": words, **({"style": style} if style else {})}


def _marked(message: Document) -> List[str]:
    title, rest = _titled(message)
    lines = ["*%s*" % _unstarred(truncate(title, 300))]
    for group in _groups(rest):
        lines.append("")
        for block in group:
            for line in block.lines:
                if block.kind == document.HEADING:
                    lines.append("*%s*" % _unstarred(truncate(line, _LINE)))
                elif block.kind == document.LINKS:
                    lines.append("• %s" % _marked_link(line))
                else:
                    mark = "" if block.kind == document.TEXT else "• "
                    lines.append(mark + escaped(truncate(line, _LINE)))
    return lines


def _unstarred(words: str) -> str:
    return escaped(words.replace("*", "∗"))


def _marked_link(line: str) -> str:
    words, url = document.link_of(line)
    if _URL.match(url):
        return "<%s|%s>" % (escaped(url), escaped(words))
    return escaped(one_line("%s: %s" % (words, url), _LINE))

"""A document in Atlassian's document format, as Jira Cloud takes it for descriptions and comments.

Text stands in text nodes, where nothing is markup; only http and https become links. What is made
here fits Atlassian's schema whatever it holds, and its limit by the longest way to count: the JSON.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from selfheal.apis.jira.lengths import LONGEST_TEXT, fitted, units
from selfheal.document import CODE, HEADING, LINKS, LIST, Block, Document, link_of
from selfheal.text import printable

_HEADING_LEVEL = 3
_LONGEST_URL = 2000
Node = Dict[str, Any]


def rendered(
    document: Document, tail: Document = (), most: int = LONGEST_TEXT
) -> Tuple[Node, bool]:
    """(`document` and `tail` as ADF, whether the document was cut to fit `most`)."""
    kept, is_cut = fitted(document, lambda one: units(_dumped(_doc((*one, *tail)))), most)
    return _doc((*kept, *tail)), is_cut


def text_of(node: Any) -> str:
    """The words of an ADF value, block by block on lines of their own."""
    if isinstance(node, str):
        return node
    found: List[str] = []
    _collect(node, found)
    return "".join(found).strip("\n")


def is_url(url: str) -> bool:
    """Whether `url` may become a link that people click."""
    return url.lower().startswith(("http://", "https://")) and len(url) <= _LONGEST_URL


def _dumped(node: Node) -> str:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"))


def _doc(document: Document) -> Node:
    content = [node for block in document for node in _nodes(block)]
    return {"type": "doc", "version": 1, "content": content}


def _nodes(block: Block) -> List[Node]:
    lines = [printable(line) for line in block.lines]
    if not any(line.strip() for line in lines):
        return []
    if block.kind == HEADING:
        words = " ".join(lines)
        return [
            {
                "type": "heading",
                "attrs": {"level": _HEADING_LEVEL},
                "content": [_text(words)],
            }
        ]
    if block.kind == CODE:
        return [{"type": "codeBlock", "content": [_text("\n".join(lines))]}]
    if block.kind == LIST:
        return [_bullets([[_text(line)] for line in lines if line])]
    if block.kind == LINKS:
        return [_bullets([_link(line) for line in lines])]
    return [_paragraph([_text(line)]) for line in lines if line]


def _text(value: str) -> Node:
    return {"type": "text", "text": value}


def _paragraph(content: List[Node]) -> Node:
    return {"type": "paragraph", "content": content}


def _bullets(items: List[List[Node]]) -> Node:
    return {
        "type": "bulletList",
        "content": [{"type": "listItem", "content": [_paragraph(item)]} for item in items],
    }


def _link(line: str) -> List[Node]:
    words, url = link_of(line)
    if not is_url(url):
        return [_text("%s: %s" % (words, url))]
    mark = {"type": "link", "attrs": {"href": url}}
    return [{"type": "text", "text": words or url, "marks": [mark]}]


_BLOCKS = ("paragraph", "heading", "codeBlock", "listItem", "blockquote", "rule", "hardBreak")


def _collect(node: Any, found: List[str], depth: int = 0) -> None:
    if not isinstance(node, dict) or depth > 50:
        return
    if node.get("type") == "text":
        found.append(str(node.get("text") or ""))
    for one in node.get("content") or []:
        _collect(one, found, depth + 1)
    if node.get("type") in _BLOCKS and not (found and found[-1].endswith("\n")):
        found.append("\n")

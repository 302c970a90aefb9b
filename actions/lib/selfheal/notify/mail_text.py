"""A message as a mail: text and HTML of the same content, with headers that nobody from outside can
add to. Pure.

The Message-ID is made of the message's own id, so that a mail which is sent twice is one mail to
the reader's program; what follows names the first in In-Reply-To and is shown in its thread.
"""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, getaddresses
from html import escape
from typing import List, Sequence

from selfheal import document
from selfheal.document import Block, Document
from selfheal.exceptions import ConfigError
from selfheal.notify import layout
from selfheal.text import one_line

MAX_SUBJECT = 200
MAX_CHARACTERS = 40000  # Gmail folds what is longer than 102 KB
_URL = re.compile(r"https?://[^\s\"<>]+\Z")
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+\Z")
_NO_ID = re.compile(r"[^0-9A-Za-z._-]+")
_URGENT = ("critical", "error")
_FRAME = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>%s</title></head>'
    '<body style="font-family:sans-serif;max-width:50em">\n%s\n</body></html>\n'
)


def mail(
    message: Document,
    *,
    sender: str,
    to: Sequence[str],
    message_id: str,
    thread_id: str = "",
    severity: str = "",
    at: float = 0.0,
) -> EmailMessage:
    """The mail, ready to be sent. `message_id` and `thread_id` (of the first mail, when this one
    follows it) are our own ids. Raises ConfigError for an address that is none.
    """
    domain = address(sender).domain
    short = layout.cut(message, MAX_CHARACTERS)
    title = short[0].lines[0] if short and short[0].kind == document.HEADING else "selfheal"
    found = EmailMessage(policy=SMTP)
    found["Subject"] = ("Re: " if thread_id else "") + _header(title)
    found["From"] = address(sender)
    found["To"] = tuple(address(one) for one in to)
    found["Date"] = formatdate(at)
    found["Message-ID"] = _id(message_id, domain)
    if thread_id:
        found["In-Reply-To"] = found["References"] = _id(thread_id, domain)
    found["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    if severity in _URGENT and not thread_id:
        found["Importance"], found["X-Priority"] = "high", "1"
    found.set_content(_wire(layout.as_text(short)) + "\n")
    found.add_alternative(_wire(html(short)), subtype="html")
    return found


def html(message: Document) -> str:
    """The message as HTML without anything that is loaded or run; text from outside is escaped and
    a link is one only when it is http or https.
    """
    parts = [_html(block, place == 0) for place, block in enumerate(message) if block.lines]
    title = message[0].lines[0] if message and message[0].lines else "selfheal"
    return _FRAME % (escape(title), "\n".join(parts))


def address(written: str) -> Address:
    """An address as `name@host` or `Name <name@host>`. Raises ConfigError for what is none."""
    found = getaddresses([str(written)])
    name, plain = found[0] if len(found) == 1 else ("", "")
    if "\n" in str(written) or "\r" in str(written) or not _ADDRESS.match(plain):
        raise ConfigError(
            "%r is not a mail address; write name@example.org or Name <name@example.org>"
            % one_line(str(written), 100)
        )
    user, _, domain = plain.rpartition("@")
    try:
        return Address(one_line(name, 100), user, domain)
    except (ValueError, IndexError) as error:
        raise ConfigError("%r is not a mail address: %s" % (plain, error)) from None


def _html(block: Block, is_title: bool) -> str:
    lines = [escape(line) for line in block.lines]
    if block.kind == document.HEADING:
        name = "h2" if is_title else "h3"
        return "<%s>%s</%s>" % (name, "<br>".join(lines), name)
    if block.kind == document.LIST:
        return _listed(lines)
    if block.kind == document.LINKS:
        return _listed([_link(line) for line in block.lines])
    if block.kind == document.CODE:
        return '<pre style="background:#eee;padding:0.5em">%s</pre>' % "\n".join(lines)
    return "<p>%s</p>" % "<br>\n".join(lines)


def _listed(items: List[str]) -> str:
    return "<ul>\n%s\n</ul>" % "\n".join("<li>%s</li>" % item for item in items)


def _link(line: str) -> str:
    words, url = document.link_of(line)
    if _URL.match(url):
        return '<a href="%s" rel="noreferrer">%s</a>' % (escape(url), escape(words or url))
    return escape("%s: %s" % (words, url))


def _id(ours: str, domain: str) -> str:
    return "<%s@%s>" % (_NO_ID.sub("-", ours)[:200] or "selfheal", domain)


def _header(title: str) -> str:
    return one_line(title, MAX_SUBJECT)


def _wire(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")

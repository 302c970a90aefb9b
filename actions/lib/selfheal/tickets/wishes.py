"""What letters with a person's wish have in common, whichever tracker they go to: the operation
they ask for, a comment that is written once, a file.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Dict, Mapping, TypeVar

from selfheal.outbox.carrying import Letter, NotTaken

if TYPE_CHECKING:
    from selfheal.document import Document
    from selfheal.tickets.model import Tracker

T = TypeVar("T")


def asked_of(letter: Letter, operations: Mapping[str, T]) -> T:
    """The operation that the letter asks for. Raises NotTaken for one that there is not."""
    operation = operations.get(str(letter.payload.get("op")))
    if operation is None:
        raise NotTaken("the letter asks for nothing that can be done", is_final=True)
    return operation


def comment_once(tracker: Tracker, ref: str, body: Document, letter: Letter) -> None:
    """Add a comment by the letter's mark, unless an attempt before this one has."""
    if not (letter.may_have_arrived and tracker.has_comment(ref, letter.id)):
        tracker.comment(ref, body, letter.id)


def file_payload(name: str, content: bytes, media_type: str) -> Dict[str, Any]:
    """The part of a letter that is a file; `content_of` reads it."""
    text = b64encode(content).decode("ascii")
    return {"name": name, "content": text, "media_type": media_type}


def content_of(payload: Mapping[str, Any]) -> bytes:
    """What is in the file of a letter."""
    return b64decode(str(payload["content"]))

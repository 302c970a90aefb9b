"""The code of a question: whoever says yes in chat says which plan, not only which question.

It is made from the question and the hash of the plan that was shown, so a plan that changed has
another one. It is no secret: it proves that the plan was looked at, not who looked.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from selfheal.store import dump

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.store import Row

LENGTH = 6
# No vowels, so that it is never a word; no letter that reads like another or like a figure.
LETTERS = "bcdfghjkmnpqrstvwxz"


def are_asked(config: Config) -> bool:
    """Whether a yes in chat needs the code; what cannot be read asks for it."""
    return config.get("safety.chat_codes") is not False


def of(row: Row) -> str:
    """The code of the question `row`."""
    content = dump([row["id"], row["plan_hash"]]).encode("ascii")
    number = int.from_bytes(hashlib.sha256(content).digest(), "big")
    found = ""
    for _ in range(LENGTH):
        number, index = divmod(number, len(LETTERS))
        found += LETTERS[index]
    return found


def is_right(code: str, row: Row) -> bool:
    """Whether `code`, as somebody typed it, is the question's."""
    return code.strip().lower() == of(row)


def command(config: Config, row: Row) -> str:
    """What is typed in chat to say yes to the question."""
    words = "heal approve %s" % row["id"]
    return "%s %s" % (words, of(row)) if are_asked(config) else words

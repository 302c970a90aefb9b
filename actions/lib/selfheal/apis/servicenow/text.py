"""Text from outside as ServiceNow shows it: a journal takes [code]...[/code] for HTML. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional

from selfheal.text import WORD_JOINER, printable, truncate

_CODE = re.compile(r"\[(?=\s*/?\s*code\s*\])", re.IGNORECASE)
_FORM = "%Y-%m-%d %H:%M:%S"


def harmless(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, of which none is markup or a control character."""
    plain = printable(text.replace("\r\n", "\n"))
    return truncate(_CODE.sub("[" + WORD_JOINER, plain), limit)


def moment(at: float) -> str:
    """`at` (epoch seconds) as the Table API takes a time: in UTC, without a zone."""
    return datetime.fromtimestamp(at, timezone.utc).strftime(_FORM)


def seconds(value: str) -> Optional[float]:
    """The time that the Table API gave, in epoch seconds; None when it is none."""
    try:
        return datetime.strptime(value, _FORM).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None

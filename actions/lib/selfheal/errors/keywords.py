"""Which words, levels and fields make a log line an error, where a site does not say so itself.

One list for the search in Elasticsearch and for log files, so that both mean the same. A keyword is
a word or a phrase; `*` stands for any characters within a word; case counts for nothing.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Pattern, Sequence, Tuple

# Words of programs. Only two begin with a star: the search has to look through all its words then.
_OF_PROGRAMS = (
    "*error*",
    "*exception*",
    "err",
    "fail",
    "fails",
    "failed",
    "failing",
    "failure*",
    "crash*",
    "panic*",
    "fatal*",
    "critical",
    "crit",
    "emerg",
    "severe",
    "killed",
    "timeout*",
    "timed",
    "traceback",
    "abort*",
    "unhandled",
    "unable",
    "refused",
    "unreachable",
    "denied",
    "unauthorized",
    "deadlock*",
    "corrupt*",
    "overflow",
    "backoff",
    "evicted",
    "could not",
    "no space left",
)
# The kernel and the machine, in the words of their own messages.
_OF_SYSTEMS = (
    "oom*",
    "segfault*",
    "fault",
    "oops",
    "lockup",
    "hung*",
    "stall*",
    "mce",
    "edac",
    "uncorrectable",
    "dumped",
    "remount*",
    "out of memory",
    "i/o error",
    "blocked for more than",
    "machine check",
    "link is down",
    "link down",
    "carrier lost",
    "table full",
    "above threshold",
)
KEYWORDS: Tuple[str, ...] = _OF_PROGRAMS + _OF_SYSTEMS
LEVELS: Tuple[str, ...] = (
    "error",
    "err",
    "e",
    "severe",
    "fatal",
    "f",
    "critical",
    "crit",
    "alert",
    "emergency",
    "emerg",
    "panic",
    "dpanic",
)
# Where shippers put what the program said.
TEXT_FIELDS: Tuple[str, ...] = (
    "message",
    "msg",
    "log",
    "event.original",
    "error.message",
    "error.type",
    "error.stack_trace",
    "exception.message",
    "exception.class",
    "stack_trace",
    "body",
    "body.text",
    "MESSAGE",
)
_OWN = {"keywords": KEYWORDS, "levels": LEVELS, "text_fields": TEXT_FIELDS}
_NO_WORD = "[^0-9a-z_]+"  # what parts the words of a phrase


def completed(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """A copy of a target's `settings` in which keywords, levels and text_fields are lists of text:
    the pack's own where the target gives none.
    """
    filled = dict(settings)
    for name, own in _OWN.items():
        given = settings.get(name)
        items = [given] if isinstance(given, str) else list(given or ())
        filled[name] = [str(item) for item in items if str(item).strip()] or list(own)
    return filled


def matcher(keywords: Sequence[str] = ()) -> Callable[[str], bool]:
    """Whether a line holds one of `keywords` (none: the pack's own), as the search would find it.

    Words end where ASCII letters, digits and `_` end, so that no line is missed that the search
    finds; linear in the line's length.
    """
    by_needle: Dict[str, List[Pattern[str]]] = {}
    for keyword in completed({"keywords": keywords})["keywords"]:
        needle, pattern = _compiled(keyword.lower())
        by_needle.setdefault(needle, []).append(pattern)
    pairs = list(by_needle.items())

    def is_error(line: str) -> bool:
        low = line.lower()
        for needle, patterns in pairs:
            if needle in low:
                for pattern in patterns:
                    if pattern.search(low):
                        return True
        return False

    return is_error


def _compiled(keyword: str) -> Tuple[str, Pattern[str]]:
    """(the longest plain piece that every match holds, the expression)."""
    words = re.findall("[^\x00-/:-@\\[-^`{-\x7f]+|\\*", keyword)  # runs of word characters, stars
    pieces = []
    spaced = re.split("([^0-9a-z_*\x80-\U0010ffff]+)", keyword)
    for position, part in enumerate(spaced):
        if position % 2:
            pieces.append(_NO_WORD)
        else:
            pieces.append("[0-9a-z_]*".join(re.escape(bit) for bit in part.split("*")))
    text = "".join(pieces)
    if not keyword.startswith("*"):
        text = "(?<![0-9a-z_])" + text
    if not keyword.endswith("*"):
        text += "(?![0-9a-z_])"
    needle = max((word for word in words if word != "*"), key=len, default="")
    return needle, re.compile(text)

"""Lines of a log file as events: a stack trace belongs to the line before it, a line without its
newline waits.

Works on any bytes (UTF-8, what is none replaced) in bounded memory. Nothing here knows positions of
files or decides what is an error.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Iterator, List, NamedTuple, Tuple

CHUNK_BYTES = 1 << 18
MAX_LINES = 500  # of one event; the rest of an endless trace starts another

# An indented line with a time of its own is no continuation, however it is indented.
_STAMP = re.compile(
    r"\W{0,3}(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d[-/.]\d\d[-/.]\d{2,4}|\d\d:\d\d:\d\d|[IWEF]\d{4} \d\d:|"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d |<\d{1,3}>|\d{10}\b|"
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )"
)
_LEVEL = re.compile(r"\W{0,2}(?:CRITICAL|FATAL|ERROR|ERR|WARNING|WARN|SEVERE|EXCEPTION)\b", re.I)
# What only ever goes on with an event that has begun.
_GOES_ON = re.compile(
    r"Caused by: |Suppressed: |\.\.\. \d+ (?:more|common frames omitted)|--- End of |"
    r"During handling of the above exception|The above exception was the direct cause|"
    r"goroutine \d+ \[|created by |\[signal "
)
_TRACEBACK = "Traceback (most recent call last)"
# The line of the exception itself, below the message it was logged with.
_THROWN = re.compile(r"(?:[A-Za-z_$][\w$]*\.)+[\w$]*(?:Exception|Error|Throwable|Failure)\b")
_LAST_OF_TRACEBACK = re.compile(r"[A-Za-z_][\w.]*(?::\s|$)")


class Event(NamedTuple):
    """One event of a file: the bytes from `start` to `end` as text, without the last newline.
    `is_last`: more may still be written to it. `is_whole`: it ends with a newline.
    """

    start: int
    end: int
    text: str
    is_last: bool
    is_whole: bool


class Line(NamedTuple):
    """One line. `is_whole` is false for the last one while its newline is missing."""

    start: int
    end: int
    text: str
    is_whole: bool


def events(source: BinaryIO, start: int, max_bytes: int) -> Iterator[Event]:
    """The events of `source` from byte `start` to its end. A line or event beyond `max_bytes` is
    cut, and says so.
    """
    parts: List[Line] = []
    size = 0
    for line in lines(source, start, max_bytes):
        if parts and len(parts) < MAX_LINES and _continues(line.text, parts):
            if size < max_bytes or len(parts) == 1:
                size += len(line.text)
                parts.append(line)
            else:
                parts[-1] = parts[-1]._replace(end=line.end, is_whole=line.is_whole)
            continue
        if parts:
            yield _event(parts, max_bytes, False)
        parts, size = [line], len(line.text)
    if parts:
        yield _event(parts, max_bytes, True)


def lines(source: BinaryIO, start: int, max_bytes: int) -> Iterator[Line]:
    """The lines of `source` from byte `start` to its end."""
    source.seek(start)
    kept, at, dropped = b"", start, 0
    position = start
    while True:
        chunk = source.read(CHUNK_BYTES)
        if not chunk:
            break
        begin = 0
        newline = chunk.find(b"\n")
        while newline >= 0:
            kept, dropped = _grown(kept, chunk[begin:newline], dropped, max_bytes)
            end = position + newline + 1
            yield Line(at, end, _text(kept, dropped), True)
            kept, dropped, at = b"", 0, end
            begin = newline + 1
            newline = chunk.find(b"\n", begin)
        kept, dropped = _grown(kept, chunk[begin:], dropped, max_bytes)
        position += len(chunk)
    if at < position:
        yield Line(at, position, _text(kept, dropped), False)


def _grown(kept: bytes, more: bytes, dropped: int, max_bytes: int) -> Tuple[bytes, int]:
    if not kept:
        # A program that goes on writing where it was after its file was truncated leaves a hole.
        more = more.lstrip(b"\0")
    room = max_bytes - len(kept)
    if len(more) <= room:
        return kept + more if kept else more, dropped
    return kept + more[:room], dropped + len(more) - room


def _text(content: bytes, dropped: int) -> str:
    text = content.decode("utf-8", "replace").rstrip("\r")
    return "%s… [+%d bytes]" % (text, dropped) if dropped else text


def _event(parts: List[Line], max_bytes: int, is_last: bool) -> Event:
    text = "\n".join(part.text for part in parts).rstrip("\n")
    if len(text) > max_bytes + 100:  # its first line may bear the mark of a cut already
        text = "%s… [+%d characters]" % (text[:max_bytes], len(text) - max_bytes)
    return Event(parts[0].start, parts[-1].end, text, is_last, parts[-1].is_whole)


def _continues(text: str, parts: List[Line]) -> bool:
    """Whether a line belongs to the event of the lines before it."""
    if not text:
        return len(parts) > 1 or parts[0].text.startswith(("panic:", _TRACEBACK))
    if text[0] in " \t":
        return bool(parts[0].text) and not _STAMP.match(text.lstrip())
    first, last = parts[0].text, parts[-1].text
    if _GOES_ON.match(text):
        return bool(first)
    if text.startswith(_TRACEBACK):
        return len(parts) > 1 and not last or _is_headed(first)
    if _THROWN.match(text):
        return len(parts) == 1 and _is_headed(first) or _is_in_traceback(parts)
    if last[:1] in (" ", "\t") and _LAST_OF_TRACEBACK.match(text) and _is_in_traceback(parts):
        return True
    return _is_go_call(text) and any(part.text.startswith("goroutine ") for part in parts)


def _is_go_call(text: str) -> bool:
    name, bracket, _ = text.partition("(")
    is_call = bool(bracket) and text.endswith(")") and " " not in name
    return is_call or text.startswith("exit status ")


def _is_headed(text: str) -> bool:
    return bool(_STAMP.match(text) or _LEVEL.match(text))


def _is_in_traceback(parts: List[Line]) -> bool:
    return any(part.text.startswith(_TRACEBACK) for part in parts) and parts[-1].text[:1] == " "
